"""Functions and layers for the AWS CDK that lambdabuild builds: ``from lambdabuild.cdk import Function, Layer``.

In: constructs, each with the folder of its code. Out: the location of a zip in the asset manifest, for the template.
The zips of an app are made in one run of lambdabuild, which is a program of its own. Needs the extra ``cdk``
(``pip install 'doit-lambdabuild[cdk]'``); nothing else in lambdabuild imports this package. In TypeScript the same is
in ``npm/``.
"""

from lambdabuild.cdk.constructs import Function, Layer

__all__ = ["Function", "Layer"]
