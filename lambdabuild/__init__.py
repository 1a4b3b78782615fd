"""lambdabuild: an incremental, reproducible build system for AWS Lambda, on doit."""

from __future__ import annotations

from lambdabuild._version import __version__

TYPE_CHECKING = False  # as typing has it, without what typing imports at every start
if TYPE_CHECKING:
    from typing import Any

    from lambdabuild.api.lambda_builders import LambdaBuilder

__all__ = ["LambdaBuilder", "__version__"]


def __getattr__(name: str) -> Any:
    """LambdaBuilder is loaded when it is asked for: plain runs do without it."""
    if name == "LambdaBuilder":
        from lambdabuild.api.lambda_builders import LambdaBuilder

        return LambdaBuilder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
