"""Constructs of the AWS CDK whose code lambdabuild builds: ``from lambdabuild.cdk import Function, Layer``.

Comes in: a folder of code, and what a function of the CDK takes. Goes out: the same function, with the built zip as its
asset. Needs the extra ``cdk``; nothing else of lambdabuild imports this.
"""

from lambdabuild.cdk.constructs import Function, Layer

__all__ = ["Function", "Layer"]
