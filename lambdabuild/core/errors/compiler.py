"""Errors LB7xx: a serverless.yml that cannot be compiled into a template."""

from __future__ import annotations

from lambdabuild.core.errors.root import LambdaBuildError


class CannotCompile(LambdaBuildError):
    """The output template cannot be written."""

    code = "LB701"


class BadFunction(LambdaBuildError):
    """Settings of a function or layer that cannot go together, or name what is not there."""

    code = "LB702"


class OverLimit(LambdaBuildError):
    """A compiled template is larger than CloudFormation takes."""

    code = "LB703"


class NameClash(LambdaBuildError):
    """Two things of a serverless.yml would be one resource."""

    code = "LB705"


class BadExtension(LambdaBuildError):
    """``resources.extensions`` is about a resource that is not there, or an attribute that cannot be extended."""

    code = "LB706"


class BadEvent(LambdaBuildError):
    """An event of a function says what cannot go together, or lacks what it needs."""

    code = "LB707"
