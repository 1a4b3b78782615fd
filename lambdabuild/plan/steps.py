"""BuildPlan -> steps: every task of the graph, with the steps that it needs first. Pure.

Which kinds of steps there are is given, as a table from a kind to what plans it: ``engine.steps.kinds.KINDS``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Protocol

from lambdabuild.core.records import Struct, replace
from lambdabuild.core.units import SHARED, TEMPLATE
from lambdabuild.plan.types import Build, BuildPlan


class Step(Struct, frozen=True, order=True):
    """One task of the graph: what is done, for whom, and which steps it needs first."""

    kind: str
    name: str = ""
    """The build, resolution, image, asset or layer that it is done for; "" for the only step of its kind."""
    needs: tuple[str, ...] = ()
    """Tasks."""
    unit: str = ""
    """The build, image or asset that it belongs to; "" when it belongs to all that need it."""
    is_wanted: bool = True
    """True if a run of the unit runs it; other steps are run only when they are named."""

    @property
    def task(self) -> str:
        return task_name(self.kind, self.name)


def task_name(kind: str, name: str) -> str:
    """Return what doit calls a step."""
    return f"{kind}:{name}" if name else kind


Planned = Callable[[BuildPlan, Collection[str]], Iterable[Step]]
"""Plans the steps of one kind; the second argument names builds that a plain run leaves out."""


class PlannedKind(Protocol):
    """The part of a kind of step that planning needs."""

    @property
    def planned(self) -> Planned: ...

    @property
    def needs_all(self) -> bool:
        """Return whether it needs the last step of every unit."""
        ...

    @property
    def usual_ms(self) -> int:
        """Its cost in milliseconds until one was recorded."""
        ...


class Graph:
    """The steps of a plan, by task and by unit."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self.steps = tuple(steps)
        self._chains: dict[str, tuple[Step, ...]] = {}

    @cached_property
    def by_task(self) -> Mapping[str, Step]:
        return {step.task: step for step in self.steps}

    @cached_property
    def by_unit(self) -> Mapping[str, tuple[Step, ...]]:
        units: dict[str, list[Step]] = defaultdict(list)
        for step in self.steps:
            units[step.unit].append(step)
        return {unit: tuple(steps) for unit, steps in units.items()}

    @cached_property
    def _positions(self) -> Mapping[str, int]:
        return {step.task: position for position, step in enumerate(self.steps)}

    def ends(self, unit: str) -> list[str]:
        """Return the tasks of a unit that no other of its steps needs: whoever wants the unit asks for these."""
        own = [step for step in self.by_unit.get(unit, ()) if step.is_wanted]
        needed = {task for step in own for task in step.needs}
        return [step.task for step in own if step.task not in needed]

    def chain(self, unit: str) -> tuple[Step, ...]:
        """Return the steps that a run of the unit takes, in order: its own, and what belongs to all that need it."""
        if unit not in self._chains:
            self._chains[unit] = tuple(self._closure(self.ends(unit), lambda step: step.unit in ("", unit)))
        return self._chains[unit]

    def whole_chain(self, unit: str) -> list[Step]:
        """Return the same with all that steps of other units must have done before."""
        return self._closure(self.ends(unit), lambda _: True)

    def before(self, task: str, is_in: Callable[[Step], bool]) -> list[Step]:
        """Return the steps before a task, as far as there is a way to them through steps that are ``is_in``."""
        step = self.by_task.get(task)
        return self._closure(step.needs if step is not None else (), is_in)

    def asked_for(self, unit: str) -> list[Step]:
        """Return the steps that nobody wants by themselves, and that need the unit."""
        own = {step.task for step in self.by_unit.get(unit, ())}
        return [step for step in self.steps if not step.is_wanted and step.unit != unit and own & {*step.needs}]

    def _closure(self, tasks: Iterable[str], is_in: Callable[[Step], bool]) -> list[Step]:
        waiting, closure, by_task = [*tasks], dict[str, Step](), self.by_task
        while waiting:
            task = waiting.pop()
            step = by_task.get(task)
            if step is not None and task not in closure and is_in(step):
                closure[task] = step
                waiting += step.needs
        return [closure[task] for task in sorted(closure, key=self._positions.__getitem__)]


def steps(plan: BuildPlan, kinds: Mapping[str, PlannedKind], left_out: Collection[str] = ()) -> Graph:
    """Return the steps of a plan in the order of the table of kinds.

    The builds that are ``left_out`` have steps, for those who name them, but nothing needs these.
    """
    first = [step for kind in kinds.values() if not kind.needs_all for step in kind.planned(plan, left_out)]
    graph = Graph(first)
    units = dict.fromkeys(step.unit for step in first if step.unit and step.unit not in left_out)
    ends = tuple(task for unit in units for task in graph.ends(unit))
    last = [step for kind in kinds.values() if kind.needs_all for step in kind.planned(plan, left_out)]
    return Graph([*first, *(replace(step, needs=ends) for step in last)])


def shared_resolutions(plan: BuildPlan, left_out: Collection[str] = ()) -> Mapping[str, str]:
    """Return the resolutions of the builds that take part in automatic layers, by build."""
    return {
        candidate.build: candidate.resolution for candidate in plan.layer_candidates if candidate.build not in left_out
    }


# the kinds that lambdabuild has


def resolve(plan: BuildPlan, left_out: Collection[str]) -> Iterator[Step]:
    return (Step("resolve", resolution.name) for resolution in plan.resolutions)


def package(plan: BuildPlan, left_out: Collection[str]) -> Iterator[Step]:
    return (Step("package", package.name) for package in plan.packages)


def compile(plan: BuildPlan, left_out: Collection[str]) -> Iterator[Step]:
    return (Step("compile", build.name, _sources(build), build.name) for build in plan.builds if build.compiles)


def copy(plan: BuildPlan, left_out: Collection[str]) -> Iterator[Step]:
    shares = shared_resolutions(plan, left_out)
    for build in plan.builds:
        needs = [*_sources(build), *([f"compile:{build.name}"] if build.compiles else [])]
        needs += ["share:plan"] if build.name in shares else []
        yield Step("copy", build.name, tuple(needs), build.name)


def zip_(plan: BuildPlan, left_out: Collection[str]) -> Iterator[Step]:
    return (Step("zip", build.name, (f"copy:{build.name}",), build.name) for build in plan.builds)


def hash_(plan: BuildPlan, left_out: Collection[str]) -> Iterator[Step]:
    """The digest is checked against the size of the function's layers, so it needs their lists too."""
    layers: dict[str, set[str]] = defaultdict(set)
    for sizes in plan.sizes:
        layers[sizes.build].update(sizes.layers)
    for build in plan.builds:
        yield Step(
            "hash",
            build.name,
            (f"zip:{build.name}", *(f"copy:{layer}" for layer in sorted(layers[build.name]))),
            build.name,
        )


def tree(plan: BuildPlan, left_out: Collection[str]) -> Iterator[Step]:
    """Trees are what built-template.yaml points at. They are made of the zip when a cache has the bytes of the rest."""
    for build in plan.builds:
        is_pointed_at = plan.has_trees and any(build.group(user) != "source" for user in build.users)
        yield Step("tree", build.name, (f"copy:{build.name}", f"zip:{build.name}"), build.name, is_pointed_at)


def image(plan: BuildPlan, left_out: Collection[str]) -> Iterator[Step]:
    return (Step("image", image.name, (), image.name) for image in plan.images if "image" in image.steps)


def upload(plan: BuildPlan, left_out: Collection[str]) -> Iterator[Step]:
    for build in plan.builds:
        yield Step("upload", build.name, (f"hash:{build.name}",), build.name)
    for image in plan.images:
        if "upload" in image.steps:
            needs = (f"image:{image.name}",) if "image" in image.steps else ()
            yield Step("upload", image.name, needs, image.name)
    for name in (*(pinned.function for pinned in plan.pinned), *(asset.name for asset in plan.assets)):
        yield Step("upload", name, (), name)


def publish(plan: BuildPlan, left_out: Collection[str]) -> Iterator[Step]:
    """A layer is published when somebody says so."""
    for publication in plan.publications:
        needs = [f"upload:{plan.build_of(layer).name}" for layer in publication.layers]
        yield Step("publish", publication.name, tuple(needs), is_wanted=False)


def share(plan: BuildPlan, left_out: Collection[str]) -> Iterator[Step]:
    """One chain for all automatic layers: how many there are is known when its first step has run."""
    shares = shared_resolutions(plan, left_out)
    if shares:
        yield Step("share", "plan", tuple(f"resolve:{name}" for name in sorted({*shares.values()})), SHARED)
        yield Step("share", "zip", ("share:plan",), SHARED)
        yield Step("share", "upload", ("share:zip",), SHARED)
    if shares and plan.has_trees:
        yield Step("share", "tree", ("share:plan",), SHARED)


def template(plan: BuildPlan, left_out: Collection[str]) -> Iterator[Step]:
    if plan.has_template and not plan.broken:
        yield Step("template", unit=TEMPLATE)


def _sources(build: Build) -> tuple[str, ...]:
    """Return the steps whose results go into a build."""
    packaged = (f"package:{build.package}",) if build.package else ()
    return (*(f"resolve:{resolution}" for resolution in build.resolutions), *packaged)
