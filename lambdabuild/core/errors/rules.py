"""Errors LB4xx: a rule, or the manifest and source that it reads."""

from __future__ import annotations

from lambdabuild.core.errors.root import LambdaBuildError


class BadRule(LambdaBuildError):
    """A rule's claims or its code cannot be loaded, or it broke its contract."""

    code = "LB401"


class BadManifest(LambdaBuildError):
    """A manifest or lock file cannot be understood."""

    code = "LB402"


class NoWheel(LambdaBuildError):
    """A package has no wheel for the function's platform."""

    code = "LB403"


class HashMismatch(LambdaBuildError):
    """A download does not match its pinned hash."""

    code = "LB404"


class BadSource(LambdaBuildError):
    """A source file cannot be put into an artifact: a link that leaves the project, a socket, an odd name."""

    code = "LB405"


class Collision(LambdaBuildError):
    """Two files with different contents have the same path in an artifact."""

    code = "LB406"


class WrongMachine(LambdaBuildError):
    """A native file in the artifact was built for a different processor than the function's."""

    code = "LB407"


class CannotResolve(LambdaBuildError):
    """The resolver found no set of packages for the manifest."""

    code = "LB408"


class NoHandler(LambdaBuildError):
    """A function's ``Handler`` is neither in its artifact nor in its layers."""

    code = "LB409"


class NoInclude(LambdaBuildError):
    """A file that ``include``, ``requirements`` or a plugin's option names does not exist."""

    code = "LB415"


class RequirementsClash(LambdaBuildError):
    """Requirements files of one function ask for conflicting versions of a package."""

    code = "LB416"
