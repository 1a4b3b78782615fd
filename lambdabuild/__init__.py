"""lambdabuild: an incremental, reproducible build system for AWS Lambda, on doit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lambdabuild.builder import LambdaBuilder

__version__ = "0.1.0"
__all__ = ["LambdaBuilder", "__version__"]


def __getattr__(name: str) -> Any:
    """LambdaBuilder is loaded when it is asked for: plain runs do without it."""
    if name == "LambdaBuilder":
        from lambdabuild.builder import LambdaBuilder

        return LambdaBuilder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
