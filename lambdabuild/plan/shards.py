"""Divide a plan's builds among machines so that the slowest finishes early. Pure.

Costs are ``{task: milliseconds}`` in whole numbers, because their sums do not depend on the order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from lambdabuild.core.records import Struct, field
from lambdabuild.core.units import SHARED
from lambdabuild.plan.steps import Graph, PlannedKind
from lambdabuild.plan.types import Build, BuildPlan

Costs = Mapping[str, int]


class Chain(Struct, frozen=True):
    """Everything one build needs. ``steps`` are tasks; a machine runs a step that several chains need once."""

    task: str
    steps: frozenset[str]
    together: str = ""
    """What it shares with others, such as a resolution. Such chains go to one machine unless that takes longer."""


class Shard(Struct, frozen=True):
    """``tasks`` are what doit is asked for."""

    tasks: tuple[str, ...]
    milliseconds: int


class _Machine(Struct):
    number: int
    tasks: list[str] = field(default_factory=list)
    steps: set[str] = field(default_factory=set)
    milliseconds: int = 0


def chains(plan: BuildPlan, graph: Graph) -> tuple[Chain, ...]:
    """Return every build and image with the steps before it, those of its layers included: it must know their size."""
    shared = {step.task for step in graph.by_unit.get(SHARED, ())}
    result = []
    for unit in plan.made:
        needed = frozenset(step.task for step in graph.whole_chain(unit.name))
        alone = (unit.resolution or unit.package) if isinstance(unit, Build) else ""
        result.append(Chain(f"{unit.group(unit.name)}:{unit.name}", needed, SHARED if needed & shared else alone))
    return tuple(result)


def estimated(plan: BuildPlan, graph: Graph, kinds: Mapping[str, PlannedKind], known: Costs) -> Costs:
    """Return what every step costs: as recorded, else as the same kind of step of its rule, else as usual."""
    rule_of = {f"resolve:{resolution.name}": resolution.key.rule for resolution in plan.resolutions}
    for unit in plan.made:
        rule = unit.key.rule if isinstance(unit, Build) else unit.key.kind
        rule_of = {step.task: rule for step in graph.whole_chain(unit.name)} | rule_of
    alike: dict[tuple[str, str], list[int]] = defaultdict(list)
    for step, rule in rule_of.items():
        if step in known:
            alike[_kind(step), rule].append(known[step])
    return {
        step: known[step] if step in known else _middle(alike[_kind(step), rule], kinds[_kind(step)].usual_ms)
        for step, rule in rule_of.items()
    }


def _kind(step: str) -> str:
    return step.partition(":")[0]


def _middle(values: Sequence[int], otherwise: int) -> int:
    return sorted(values)[len(values) // 2] if values else otherwise


def split(work: Iterable[Chain], costs: Costs, count: int) -> tuple[Shard, ...]:
    """Divide the chains among ``count`` shards; some may be empty.

    The longest chain is placed first, and each where it ends earliest (LPT: Graham, Bounds on multiprocessing timing
    anomalies, 1969). Chains that share a resolution stay together, except for the largest such groups when separating
    them ends earlier: then more than one machine resolves the same.
    """
    groups = _groups(work, costs)
    together = [position for position, group in enumerate(groups) if len(group) > 1]
    best: tuple[_Machine, ...] | None = None
    for apart in range(min(len(together), 2 * count) + 1):
        torn = set(together[:apart])
        bundles = [
            bundle
            for position, group in enumerate(groups)
            for bundle in ([[chain] for chain in group] if position in torn else [group])
        ]
        machines = _placed(sorted(bundles, key=lambda bundle: _order(bundle, costs)), costs, count)
        if best is None or _price(machines) < _price(best):
            best = machines
    return tuple(Shard(tuple(sorted(machine.tasks)), machine.milliseconds) for machine in best or ())


def _groups(work: Iterable[Chain], costs: Costs) -> list[list[Chain]]:
    """Return the groups of chains that share a resolution, and each other chain by itself; the longest first."""
    groups: dict[str, list[Chain]] = defaultdict(list)
    for chain in sorted(work, key=lambda chain: chain.task):
        groups[chain.together or chain.task].append(chain)
    return sorted(groups.values(), key=lambda group: _order(group, costs))


def _order(bundle: Sequence[Chain], costs: Costs) -> tuple[int, str]:
    return -_cost(frozenset[str]().union(*(chain.steps for chain in bundle)), costs), bundle[0].task


def _cost(steps: Iterable[str], costs: Costs) -> int:
    return sum(costs[step] for step in steps)


def _placed(bundles: Iterable[Sequence[Chain]], costs: Costs, count: int) -> tuple[_Machine, ...]:
    machines = tuple(_Machine(number) for number in range(count))
    for bundle in bundles:
        needed = frozenset[str]().union(*(chain.steps for chain in bundle))
        ends = ((machine.milliseconds + _cost(needed - machine.steps, costs), machine.number) for machine in machines)
        end, number = min(ends)
        machines[number].tasks += [chain.task for chain in bundle]
        machines[number].steps |= needed
        machines[number].milliseconds = end
    return machines


def _price(machines: Sequence[_Machine]) -> tuple[int, int]:
    """Return when the last shard ends, then the total work."""
    return max(machine.milliseconds for machine in machines), sum(machine.milliseconds for machine in machines)
