"""Which steps' files a step reads: those before it whose results go into the artifact."""

from __future__ import annotations

from collections.abc import Iterator

from lambdabuild.engine.base.plan_index import PlanIndex
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import Step, kind_of
from lambdabuild.engine.step_cache import materialize
from lambdabuild.plan.steps import Step as PlannedStep


def _parts_before(index: PlanIndex, task: str) -> Iterator[Step]:
    """Yield the steps whose results go into a build, as far as they come before a task of it."""
    return _before(index, task, ())


def _before(index: PlanIndex, task: str, through: tuple[str, ...]) -> Iterator[Step]:
    def is_in(step: PlannedStep) -> bool:
        return step.kind in through or kind_of(index, step.kind).has_bytes

    return ((step.kind, step.name) for step in index.graph.before(task, is_in))


def by_compile(run: Run, name: str) -> Iterator[Step]:
    return _parts_before(run.index, f"compile:{name}")


def by_copy(run: Run, name: str) -> Iterator[Step]:
    return _parts_before(run.index, f"copy:{name}")


def by_zip(run: Run, name: str) -> Iterator[Step]:
    return _before(run.index, f"zip:{name}", ("copy",))


def by_tree(run: Run, name: str) -> Iterator[Step]:
    """Leave out what is away: a tree is then made of the zip."""
    return (step for step in by_zip(run, name) if not materialize.is_away(run, *step))


def by_share(run: Run, name: str) -> Iterator[Step]:
    return (step for step in _before(run.index, f"share:{name}", ("share",)) if step[0] != "share")
