"""Errors LB7xx: a serverless.yml that cannot be compiled into a template."""

from __future__ import annotations

from lambdabuild.core.errors.root import LambdaBuildError


class CannotCompile(LambdaBuildError):
    """The output template cannot be written."""

    code = "LB701"


class BadFunction(LambdaBuildError):
    """Settings of a function or layer contradict each other, or name something that does not exist."""

    code = "LB702"


class OverLimit(LambdaBuildError):
    """A compiled template exceeds a limit of CloudFormation."""

    code = "LB703"


class NameClash(LambdaBuildError):
    """Two things in a serverless.yml would get the same logical id."""

    code = "LB705"


class BadExtension(LambdaBuildError):
    """``resources.extensions`` names a resource that does not exist, or an attribute that cannot be extended."""

    code = "LB706"


class BadEvent(LambdaBuildError):
    """The settings of a function's event contradict each other, or one is missing."""

    code = "LB707"
