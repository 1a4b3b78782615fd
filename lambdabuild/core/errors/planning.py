"""Errors LB3xx: what to build, from which folder, by which rule."""

from __future__ import annotations

from lambdabuild.core.errors.root import LambdaBuildError


class NoRule(LambdaBuildError):
    """No rule claims the function: its runtime, build method or manifest is unknown."""

    code = "LB301"


class NoSource(LambdaBuildError):
    """The code folder does not exist, is not a folder, or may not be read."""

    code = "LB302"


class NoManifest(LambdaBuildError):
    """The manifest that the template, the settings or the rule names does not exist."""

    code = "LB303"


class CannotShare(LambdaBuildError):
    """``auto_layers`` is set for a function whose packages cannot be put into layers."""

    code = "LB304"


class NotBuilt(LambdaBuildError):
    """You asked for something by name that is in the template, but nothing is built from it."""

    code = "LB305"
