"""Steps as doit task dicts. Arguments are plain data and every step is a task that can be listed, run and cleaned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from typing import Any

from doit.action import BaseAction
from doit.exceptions import BaseFail, TaskError, TaskFailed

from lambdabuild.core.plain import Json
from lambdabuild.core.units import SHARED, TEMPLATE
from lambdabuild.engine.base.plan_index import PlanIndex
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import kind_of
from lambdabuild.engine.doit import broken
from lambdabuild.engine.freshness.costs import slowest_first
from lambdabuild.engine.freshness.reasons import Freshness
from lambdabuild.engine.noop.tasks import Task, heads
from lambdabuild.engine.processes import chains
from lambdabuild.engine.steps.actions import clean
from lambdabuild.plan.steps import Step, task_name
from lambdabuild.plan.types import Build, ImageBuild

NO_CAPTURE = {"capture": False}


class StepAction(BaseAction):
    """The action of a step's task.

    doit's own for functions looks at the signature at every call, which takes longer than to pass on what a fork did.
    """

    def __init__(self, run: Run, kind: str, name: str) -> None:
        self.run, self.kind, self.name = run, kind, name
        self.task: Any = None
        self.out = self.err = None
        self.result: Json | None = None
        self.values: Json = {}

    def execute(self, out: object = None, err: object = None) -> BaseFail | None:
        """Perform the step; return its failure. Called by doit, which then takes the values."""
        try:
            made = chains.perform(self.run, self.kind, self.name)
        except Exception as error:  # our bug: doit prints its traceback
            return TaskError(f"{self} broke down", error)
        if isinstance(made, TaskFailed):
            return made
        self.values = self.result = made
        return None

    def __str__(self) -> str:
        return f"the step {task_name(self.kind, self.name)}"


def tasks(run: Run, left_out: Container[str] = (), named: Iterable[str] = ()) -> Iterator[Task]:
    """Yield every task of a service: the steps, then the groups that people name (``build:F``, ``layer:L``).

    Slow builds come first, and doit begins with them. The units that are ``left_out`` (``snapshot_writer.units``) have
    no steps, and only those of their groups that are ``named``.
    """
    yield from heads(titles(run.index))
    steps = list(_in_order(run, left_out))
    there, users = {step.task: position for position, step in enumerate(steps)}, _users(run.index, steps)
    for step in steps:
        # doit begins with what is named first, also of what one task needs: the slowest.
        yield _task(run, step, sorted((task for task in step.needs if task in there), key=there.__getitem__))
        others = (user for user in users.get(step.task, ()) if user != step.name)
        # A step that is another's too has a name of its own, so that a person need not know who owns it.
        yield from (_group(step.kind, user, [step.task]) | {"doc": f"the same as {step.task}"} for user in others)
    for unit in run.index.plan.made:
        if unit.name not in left_out:
            yield from _groups(run, unit, there)
    for pinned in run.index.plan.pinned:
        if pinned.function not in left_out:
            yield _group("build", pinned.function, run.index.graph.ends(pinned.function)) | {
                "doc": f"version {pinned.version} of {pinned.source}"
            }
    yield from ({"basename": kind, "name": name, "actions": None} for kind, _, name in _parts(named))
    if not left_out:
        yield from _publications(run.index)
    yield from broken.tasks(run)


def titles(index: PlanIndex) -> dict[str, tuple[str, str]]:
    """Return what ``doit list`` shows of each kind of step: its title, and whose it is."""
    return {kind: (kind_of(index, kind).title, kind_of(index, kind).whose) for kind in index.kinds}


def _in_order(run: Run, left_out: Container[str]) -> Iterator[Step]:
    """Yield the steps that there are, slow builds first: those of all who need them, of builds, of everything else."""
    graph = run.index.graph
    own = [step for step in graph.steps if step.unit and step.unit not in left_out]
    needed = {task for step in own for task in step.needs}
    builds = [build.name for build in slowest_first(run, left_out)]
    units = dict.fromkeys([*builds, *(step.unit for step in own if step.unit != TEMPLATE), TEMPLATE])
    shared = graph.by_unit.get("", ())
    yield from (step for step in shared if step.is_wanted and step.task in needed)
    yield from (step for unit in units if unit not in left_out for step in graph.by_unit.get(unit, ()))
    yield from (step for step in shared if not step.is_wanted and not left_out)


def _task(run: Run, step: Step, needs: list[str]) -> Task:
    row, name = kind_of(run.index, step.kind), step.name
    task = {
        "basename": step.kind,
        "actions": [StepAction(run, step.kind, name)],
        "task_dep": needs,
        "uptodate": [Freshness(run, step.kind, name)],
        "targets": [run.project.receipt(step.kind, name), *_known_targets(run, step)],
        "clean": [(clean, [run, step.kind, name])] if run.progress.may_clean else [],
        "doc": row.title.format(name),
        "meta": {"kind": step.kind, "name": name or step.kind},
        # Steps print nothing. doit captures by exchanging sys.stdout, which steps on threads would do to one another.
        "io": NO_CAPTURE,
    }
    return task | {"name": name} if name else task


def _known_targets(run: Run, step: Step) -> list[str]:
    """Return the outputs of a step that has no name: everybody else may depend on these files."""
    return [] if step.name else [output.path for output in kind_of(run.index, step.kind).outputs(run, step.name)]


def _users(index: PlanIndex, steps: Iterable[Step]) -> dict[str, list[str]]:
    """Return the functions and layers that have each step: those of its unit, or of the units that need it first.

    A layer for several runtimes needs several steps of one kind; the first is the one that has its name.
    """
    of_unit = {unit.name: unit.users for unit in index.plan.made}
    owners: dict[tuple[str, str], str] = {}
    users: dict[str, list[str]] = defaultdict(list)
    for step in steps:
        users[step.task] += of_unit.get(step.unit, ())
        for task in step.needs if step.unit else ():
            if not index.graph.by_task[task].unit:
                owners.setdefault((step.unit, task.partition(":")[0]), task)
    for (unit, _), task in owners.items():
        users[task] += of_unit.get(unit, ())
    return users


def _groups(run: Run, unit: Build | ImageBuild, there: Container[str]) -> Iterator[Task]:
    shared = [task for task in run.index.graph.ends(SHARED) if unit.name in run.index.candidates and task in there]
    own = run.index.graph.by_unit.get(unit.name, ())
    for user in unit.users:
        needs = [*run.index.graph.ends(unit.name), *shared, *broken.needed(run.index, [user])]
        yield _group(unit.group(user), user, needs) | {
            # What only this one has goes with it; what is shared is cleaned by its own name.
            "clean": [(clean, [run, one.kind, one.name]) for one in reversed(own)]
            if len(unit.users) == 1 and run.progress.may_clean
            else [],
            "doc": _doc(unit),
        }


def _doc(unit: Build | ImageBuild) -> str:
    return f"{unit.key.place} as an image" if isinstance(unit, ImageBuild) else f"{unit.key.source}/ by {unit.key.rule}"


def _group(kind: str, name: str, needs: list[str]) -> Task:
    return {"basename": kind, "name": name, "actions": None, "task_dep": needs}


def _publications(index: PlanIndex) -> Iterator[Task]:
    """Yield the groups of layers that are built once for each architecture."""
    for one in index.plan.publications:
        if one.layers != (one.name,):
            needs = [f"layer:{layer}" for layer in one.layers]
            yield _group("layer", one.name, needs) | {"doc": "for each of its architectures"}


def _parts(named: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    return (name.partition(":") for name in named)
