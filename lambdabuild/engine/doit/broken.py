"""Tasks that stand for functions and layers that cannot be built: each fails with the mistakes of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from doit.exceptions import TaskFailed

from lambdabuild.config.settings import Settings
from lambdabuild.core.errors import LambdaBuildError, raise_all
from lambdabuild.core.model import Broken
from lambdabuild.core.plain import Json
from lambdabuild.engine.base.plan_index import PlanIndex
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.snapshot import GROUPS
from lambdabuild.engine.base.step_kind import StepKind, kind_of
from lambdabuild.engine.noop.doit_command import Wanted
from lambdabuild.engine.noop.tasks import TEMPLATE, Task
from lambdabuild.engine.steps.actions import failed
from lambdabuild.plan.broken import mistakes, refuse
from lambdabuild.plan.types import BuildPlan


def _names(kinds: Mapping[str, StepKind]) -> set[str]:
    """Return the tasks of one function or layer: its steps and groups."""
    return {*(name for name, kind in kinds.items() if not kind.is_for_all), *GROUPS}


def check(plan: BuildPlan, wanted: Wanted, settings: Settings, kinds: Mapping[str, StepKind]) -> None:
    """Raise the mistakes of all that is wanted, unless the run is to go on with the others."""
    if wanted.is_run and (wanted.keeps_going or settings.keep_going):
        return
    tasks = [task.partition(":") for task in wanted.tasks]
    is_named = all(kind in {*_names(kinds), "why"} and name for kind, _, name in tasks)
    refuse(plan, [name for _, _, name in tasks] if is_named else ())


def tasks(run: Run) -> Iterator[Task]:
    """Yield tasks that fail for what has a mistake, and for all that needs it."""
    kinds = {kind: kind_of(run.index, kind) for kind in run.index.kinds}
    for one in run.index.plan.broken:
        yield {"basename": _group(one), "name": one.name, "actions": [(_fail, [one])], "doc": "it has a mistake"}
        others = _names(kinds) - {_group(one)}
        yield from ({"basename": kind, "name": one.name, **_after([one])} for kind in sorted(others))
    if run.index.plan.broken and run.project.service.has_template:  # it needs all
        yield {"basename": TEMPLATE, **_after(run.index.plan.broken), "doc": kinds[TEMPLATE].title}


def needed(index: PlanIndex, names: Iterable[str]) -> list[str]:
    """The tasks without which these cannot be built."""
    return [f"{_group(one)}:{one.name}" for one in index.plan.broken if not one.stops.isdisjoint(names)]


def _group(one: Broken) -> str:
    return "layer" if one.kind == "layer" else "build"


def _after(broken: Iterable[Broken]) -> Json:
    return {"actions": None, "task_dep": [f"{_group(one)}:{one.name}" for one in broken]}


def _fail(one: Broken) -> TaskFailed:
    try:
        raise_all(mistakes([one]))
    except LambdaBuildError as error:
        return failed(error, one.name)
    raise AssertionError(one)
