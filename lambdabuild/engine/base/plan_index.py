"""Look-ups over a plan: by name, what the plan has as lists, and its graph of steps. Made once, and never changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TypeVar

from lambdabuild.core import tools
from lambdabuild.core.model import Asset, Function, Image, Service, Skipped
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span
from lambdabuild.core.units import SHARED
from lambdabuild.plan.left_out import LeftOut, left_out
from lambdabuild.plan.steps import Graph, PlannedKind, steps
from lambdabuild.plan.types import (
    Build,
    BuildPlan,
    ImageBuild,
    LayerCandidate,
    Pinned,
    Publication,
    Resolution,
    Rule,
    Sizes,
    Source,
)

STRIP = "llvm-strip"
"""A tool that knows both processors on every machine, and leaves what patchelf laid out as it is."""

Named = TypeVar("Named", Build, Source, Resolution, Publication, Function, Asset, ImageBuild, Image)


class PlanIndex(Struct, frozen=True):
    """A plan, the rules and kinds of steps that it is made with, and its parts by name."""

    plan: BuildPlan
    rules: Mapping[str, Rule]
    kinds: Mapping[str, PlannedKind]
    """The table of kinds of steps (``step_kind.kind_of``)."""
    graph: Graph
    """The steps of the plan. What cannot be built here has steps for those who name it."""
    builds: Mapping[str, Build]
    packages: Mapping[str, Build]
    resolutions: Mapping[str, Resolution]
    sources: Mapping[str, Source]
    pinned: Mapping[str, Pinned]
    """By the function's name."""
    publications: Mapping[str, Publication]
    sizes: Mapping[str, tuple[Sizes, ...]]
    """For each build, the functions that have it, with their layers."""
    candidates: Mapping[str, LayerCandidate]
    """The builds whose packages may go into automatic layers, except those that cannot be built here."""
    assets: Mapping[str, Asset]
    images: Mapping[str, ImageBuild]
    described_images: Mapping[str, Image]
    """As the template describes them, with the arguments that no plan holds."""
    functions: Mapping[str, Function]
    """The functions with a code folder."""
    unbuildable: Mapping[str, str]
    """Builds that a plain run leaves out, and the tool that each misses (``missing_tools = "skip"``)."""
    left_out: tuple[LeftOut, ...]
    """The functions and layers that a run of everything skips, and why."""

    @property
    def sharing_steps(self) -> tuple[str, ...]:
        """The names of the steps ``share:...``, none when no build takes part."""
        return tuple(step.name for step in self.graph.by_unit.get(SHARED, ()))


def index(
    service: Service, plan: BuildPlan, rules: Mapping[str, Rule], kinds: Mapping[str, PlannedKind], *, may_skip: bool
) -> PlanIndex:
    """Return the look-ups of a plan. With ``may_skip``, builds whose tools are missing on this machine are left out."""
    packages, resolutions = _by_name(plan.packages), _by_name(plan.resolutions)
    unbuildable = {}
    for build in plan.builds if may_skip else ():
        if tool := _missing_tool(build, rules, packages, resolutions):
            unbuildable[build.name] = tool
    sizes: dict[str, tuple[Sizes, ...]] = defaultdict(tuple)
    for entry in plan.sizes:
        sizes[entry.build] += (entry,)
    return PlanIndex(
        plan=plan,
        rules=rules,
        kinds=kinds,
        graph=steps(plan, kinds, unbuildable),
        builds=_by_name(plan.builds),
        packages=packages,
        resolutions=resolutions,
        sources=_by_name(plan.sources),
        pinned={pinned.function: pinned for pinned in plan.pinned},
        publications=_by_name(plan.publications),
        sizes=dict(sizes),
        candidates={
            candidate.build: candidate for candidate in plan.layer_candidates if candidate.build not in unbuildable
        },
        assets=_by_name(plan.assets),
        images=_by_name(plan.images),
        described_images=_by_name(service.images),
        functions=_by_name(service.functions),
        unbuildable=unbuildable,
        left_out=_left_out(plan, unbuildable),
    )


def _by_name(items: tuple[Named, ...]) -> dict[str, Named]:
    return {item.name: item for item in items}


def _left_out(plan: BuildPlan, unbuildable: Mapping[str, str]) -> tuple[LeftOut, ...]:
    missing = [
        Skipped(user, f"{unbuildable[build.name]} is not on PATH", Span(""))
        for build in plan.builds
        if build.name in unbuildable
        for user in build.users
    ]
    return left_out([*plan.skipped, *missing])


def _missing_tool(
    build: Build, rules: Mapping[str, Rule], packages: Mapping[str, Build], resolutions: Mapping[str, Resolution]
) -> str:
    """Return the first tool of a build that is not on PATH, "" when all are."""
    rule, package = rules[build.key.rule], packages.get(build.package)
    resolver = rules[resolutions[build.resolution].key.rule] if build.resolution else None
    steps = [resolver.resolve if resolver else None, rule.compile if build.compiles else None, rule.copy]
    is_contained = build.key.container.mode == "true"
    programs = [name.split()[0] for step in steps if step for name in (step.host_tools if is_contained else step.tools)]
    programs += [] if is_contained else build.key.command.tools
    packs = rules[package.key.rule].compile if package is not None else None
    programs += [name.split()[0] for name in (packs.tools if packs else ())]
    programs += [STRIP] if build.key.strip else []
    return next((name for name in programs if tools.find(name) is None), "")
