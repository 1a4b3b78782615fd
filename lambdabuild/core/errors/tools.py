"""Errors LB5xx: programs, files and folders of this machine."""

from __future__ import annotations

from lambdabuild.core.errors.root import LambdaBuildError


class ToolMissing(LambdaBuildError):
    """A program that a rule needs is not on PATH."""

    code = "LB501"


class ToolFailed(LambdaBuildError):
    """A program ended with an error."""

    code = "LB502"
    output: str = ""
    """Everything that it printed."""


class ToolTimeout(LambdaBuildError):
    """A program did not end within its time limit."""

    code = "LB503"


class CannotWrite(LambdaBuildError):
    """The disk is full, a permission is missing, or a folder stands where a file should be."""

    code = "LB504"


class CannotRead(LambdaBuildError):
    """A file that a step needs cannot be read."""

    code = "LB505"


class Locked(LambdaBuildError):
    """Another run is working in this project and did not end in time."""

    code = "LB506"


class InTheWay(CannotWrite):
    """Something that lambdabuild did not make is in the place of an output."""

    code = "LB507"
