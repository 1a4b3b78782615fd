"""Errors LB6xx: artifact stores, caches, published versions, git, and remote execution."""

from __future__ import annotations

from lambdabuild.core.errors.root import LambdaBuildError


class StoreFailed(LambdaBuildError):
    """The artifact store refused a request, or could not be reached."""

    code = "LB601"


class TooLarge(LambdaBuildError):
    """An artifact exceeds a limit of Lambda."""

    code = "LB602"


class Offline(LambdaBuildError):
    """The run is offline and needs something from the network."""

    code = "LB603"


class DownloadFailed(LambdaBuildError):
    """A download failed, after retries."""

    code = "LB604"


class VersionTaken(LambdaBuildError):
    """This version of a source is already published, with different content."""

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
    """A cache of built steps refused a request, or could not be reached. Reported once; the build goes on."""

    code = "LB620"


class BrokenEntry(LambdaBuildError):
    """A cache entry does not match its digest. It is ignored and written again."""

    code = "LB621"


class BadExport(LambdaBuildError):
    """A file given to ``cache import`` is not what ``cache export`` writes."""

    code = "LB622"


class BadLayer(LambdaBuildError):
    """A layer's settings contradict each other, or Lambda does not accept them."""

    code = "LB610"


class CannotPublish(LambdaBuildError):
    """Lambda refused a layer version or its permissions, or could not be reached."""

    code = "LB611"


class NoToken(LambdaBuildError):
    """CodeArtifact gave no token for a package index."""

    code = "LB612"


class NotACheckout(LambdaBuildError):
    """You asked what changed, and the project is not in a git checkout."""

    code = "LB630"


class UnknownRevision(LambdaBuildError):
    """Git does not know the revision to compare with."""

    code = "LB631"


class NoCommonAncestor(LambdaBuildError):
    """The revision and HEAD have no history in common, or the clone is too shallow to show it."""

    code = "LB632"


class BadCosts(LambdaBuildError):
    """A file of costs cannot be read."""

    code = "LB633"


class NoExecutor(LambdaBuildError):
    """No Remote Execution API server answers at the address, or it refuses. Reported once; all steps run locally."""

    code = "LB640"


class ExecutorFailed(LambdaBuildError):
    """A remote execution server failed to run a step, after retries. Reported; the step runs locally."""

    code = "LB641"


class MissingExtra(LambdaBuildError):
    """A setting needs a Python package of an extra that is not installed; the help says how to install it."""

    code = "LB642"
