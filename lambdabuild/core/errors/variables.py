"""Errors LB2xx: the ``${...}`` variables of a serverless.yml."""

from __future__ import annotations

from lambdabuild.core.errors.root import LambdaBuildError


class BadVariable(LambdaBuildError):
    """A ``${...}`` of a serverless.yml is not a well-formed variable."""

    code = "LB201"


class MissingVariable(LambdaBuildError):
    """A variable has no value, and none of its fallbacks has one."""

    code = "LB202"


class CircularVariable(LambdaBuildError):
    """A variable needs its own value."""

    code = "LB203"


class UnknownSource(LambdaBuildError):
    """A variable names a source that does not exist."""

    code = "LB204"


class SourceFailed(LambdaBuildError):
    """A variable's source gave no value: a broken file, a refused request, a wrong address."""

    code = "LB205"
