"""lambdabuild: an incremental, reproducible build system for AWS Lambda, on doit."""

from __future__ import annotations

TYPE_CHECKING = False  # as typing has it, without what typing imports at every start
if TYPE_CHECKING:
    from typing import Any

    from lambdabuild.builder import LambdaBuilder

__version__ = "0.1.0"
__all__ = ["LambdaBuilder", "__version__"]


def __getattr__(name: str) -> Any:
    """LambdaBuilder is loaded when it is asked for: plain runs do without it."""
    if name == "LambdaBuilder":
        from lambdabuild.builder import LambdaBuilder

        return LambdaBuilder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
