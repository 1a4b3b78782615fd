"""Is a step up to date? When nothing it depends on has changed, and what it made is still there.

``reasons`` decides and explains at once: no reasons means up to date.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import Parameter, Signature
from typing import Any

from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.plain import JsonObject
from lambdabuild.engine.base import receipts
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import kind_of
from lambdabuild.engine.freshness import changes, inputs
from lambdabuild.files import fingerprint
from lambdabuild.plan.steps import task_name

NEVER_RUN = "it has not been run yet, or was forgotten"
NOT_INTACT = "what it made is gone or was changed by hand"


def reasons(run: Run, kind: str, name: str, values: JsonObject | None = None) -> Iterator[str]:
    """Yield why a step would run now, the first reason as soon as it is known; nothing when it is up to date.

    ``values`` is what doit kept of its last run, when the caller has it. Raises what asking for the inputs raises.
    """
    values = run.saved(task_name(kind, name)) if values is None else values
    if not values.get("inputs"):
        yield NEVER_RUN
        return
    row = kind_of(run.index, kind)
    if asked := row.asks_always(run, name):
        yield asked
        return
    now = row.inputs(run, name) | inputs.known_reads(run, values)
    if values["inputs"] != fingerprint.of(now):
        receipt = receipts.read(run.project.receipt(kind, name))
        yield from changes.between(run, kind, name, receipt, now) if receipt is not None else [NEVER_RUN]
    elif not row.is_intact(run, name, values):
        yield NOT_INTACT


class Freshness:
    """doit's ``uptodate`` question for one step."""

    __slots__ = ("kind", "name", "run")

    __signature__ = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("task", "values")])
    """doit looks at each question's, and it takes longer to find than most questions do to be answered."""

    def __init__(self, run: Run, kind: str, name: str) -> None:
        self.run, self.kind, self.name = run, kind, name

    def __call__(self, task: Any, values: JsonObject) -> bool:
        """The signature is doit's: it hands over the task and what it saved of its last run."""
        try:
            with self.run.stats.watched() as seen:
                is_fresh = next(reasons(self.run, self.kind, self.name, values), "") == ""
        except (LambdaBuildError, OSError):
            return False  # the step itself will meet the mistake, and raise it as its own
        if is_fresh and not _must_ask_engine(values):
            self.run.progress.seen[self.kind, self.name] = seen
        return is_fresh

    def __repr__(self) -> str:
        return f"the inputs of {self.kind}:{self.name} are as they were (see doit why:{self.name})"


def _must_ask_engine(values: JsonObject) -> bool:
    """Return whether no file shows that an image has changed, so that no snapshot can answer for the step."""
    if not values.get("images"):
        return False
    from lambdabuild.engine.containers import pool

    return pool.must_ask(values["images"])
