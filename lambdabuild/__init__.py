"""lambdabuild: an incremental, reproducible build system for AWS Lambda, on doit."""

from __future__ import annotations

from lambdabuild._version import __version__

TYPE_CHECKING = False  # as typing has it, without what typing imports at every start
if TYPE_CHECKING:
    from typing import Any

    from lambdabuild.api.builds import Artifact, build
    from lambdabuild.api.lambda_builders import LambdaBuilder

__all__ = ["Artifact", "LambdaBuilder", "build", "__version__"]


def __getattr__(name: str) -> Any:
    """Load LambdaBuilder and build when they are asked for: plain runs do without them."""
    if name in ("Artifact", "build"):
        from lambdabuild.api import builds

        return getattr(builds, name)
    if name == "LambdaBuilder":
        from lambdabuild.api.lambda_builders import LambdaBuilder

        return LambdaBuilder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
