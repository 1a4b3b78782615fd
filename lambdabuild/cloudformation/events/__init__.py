"""The visible table: event type -> compile(context, function, event, position) -> Fragment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lambdabuild.cloudformation.context import Context, Lambda
from lambdabuild.cloudformation.fragment import Fragment, joined
from lambdabuild.errors import LambdaBuildError, NotCompiled, raise_all

COMPILERS: Mapping[str, Callable[[Context, Lambda, Any, int], Fragment]] = {}


def compile(context: Context, function: Lambda) -> Fragment:
    """All events of a function. Those that nobody compiles are told together (LB704)."""
    errors: list[LambdaBuildError] = []
    found: list[Fragment] = []
    for position, event in enumerate(function.config.get("events") or (), 1):
        kind, options = (event, {}) if isinstance(event, str) else next(iter(event.items()))
        if kind in COMPILERS:
            found.append(COMPILERS[kind](context, function, options, position))
            continue
        errors.append(
            NotCompiled(
                f"function {function.key!r}: lambdabuild does not compile the event {kind!r} yet",
                where=context.definition.at("functions", function.key, "events", str(position - 1)),
                mend=f"it compiles: {', '.join(sorted(COMPILERS)) or 'none so far'}",
            )
        )
    raise_all(errors)
    return joined(found)
