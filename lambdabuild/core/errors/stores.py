"""Errors LB6xx: artifact stores, caches, published versions, git, and remote execution."""

from __future__ import annotations

from lambdabuild.core.errors.root import LambdaBuildError


class StoreFailed(LambdaBuildError):
    """The artifact store refused, or could not be reached."""

    code = "LB601"


class TooLarge(LambdaBuildError):
    """An artifact is over a limit of Lambda."""

    code = "LB602"


class Offline(LambdaBuildError):
    """Something is needed that only the network has, and the run is offline."""

    code = "LB603"


class DownloadFailed(LambdaBuildError):
    """A download ended with an error after its retries."""

    code = "LB604"


class VersionTaken(LambdaBuildError):
    """The version of a source is published already, with other content."""

    code = "LB606"


class BadVersion(LambdaBuildError):
    """A distribution has no version, or one that is neither semantic nor PEP 440."""

    code = "LB607"


class NoSuchVersion(LambdaBuildError):
    """A function has a version of a source that was never published."""

    code = "LB608"


class HandlerNotPackaged(LambdaBuildError):
    """A function's handler is not in the distribution that its code is."""

    code = "LB609"


class CacheFailed(LambdaBuildError):
    """A cache of built steps refused, or could not be reached; told once, and the build goes on without it."""

    code = "LB620"


class BrokenEntry(LambdaBuildError):
    """An entry of a cache is not what its digest says; it is passed over, and written anew."""

    code = "LB621"


class BadExport(LambdaBuildError):
    """A file given to ``cache import`` is not what ``cache export`` writes."""

    code = "LB622"


class BadLayer(LambdaBuildError):
    """A layer's table says what cannot go together, or what Lambda does not take."""

    code = "LB610"


class CannotPublish(LambdaBuildError):
    """Lambda refused a layer version or what goes with it, or could not be reached."""

    code = "LB611"


class NoToken(LambdaBuildError):
    """CodeArtifact gave no token for a package index."""

    code = "LB612"


class NotACheckout(LambdaBuildError):
    """What changed is asked of git, and the project is in no checkout that git reads."""

    code = "LB630"


class UnknownRevision(LambdaBuildError):
    """Git does not have the revision that changes are counted from."""

    code = "LB631"


class NoCommonAncestor(LambdaBuildError):
    """The revision and HEAD have no history in common, or the clone is too shallow to show it."""

    code = "LB632"


class BadCosts(LambdaBuildError):
    """A file of costs cannot be read."""

    code = "LB633"


class NoExecutor(LambdaBuildError):
    """There is no engine of the Remote Execution API at the address, or it refuses; told once, and all is run here."""

    code = "LB640"


class ExecutorFailed(LambdaBuildError):
    """An engine gave up on a step, however often it was asked; told, and the step is run here."""

    code = "LB641"


class MissingExtra(LambdaBuildError):
    """A setting needs a Python package of an extra that is not installed; the help says how to install it."""

    code = "LB642"
