"""Functions and the packages they were resolved to -> which packages become layers. Pure; a source is no input.

Every package starts in the layer of exactly the functions that have it: a big one alone, small ones together, so that
what is heavy is not sent again because of what is light. Each package then lies in one layer only, and a function that
comes, or another version, moves nothing else. Where a function would have more layers than Lambda takes, layers are
merged, or the function keeps a package in its zip, whichever costs the fewest bytes, until it fits.

Decisions use sizes rounded up to powers of two, for the next version of a package is rarely as large as the last.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import combinations

from lambdabuild.core.records import Struct, replace
from lambdabuild.plan.types import Sharer, Stage

LEAST_SAVED_BYTES = 100_000
"""A layer that spares less than this, zipped, over all its functions is not worth one of the five."""
BIG_BYTES = 1 << 22
"""From this rounded size on (over 2 MB zipped) a package has a layer to itself while there is room."""


class Package(Struct, frozen=True, order=True):
    """What lies in one place as a whole: a package, or several that put files into one folder. Sizes are bytes."""

    names: tuple[str, ...]
    digest: str
    """Of what it would put into an artifact: another version, or other filters, make another package."""
    zipped: int
    unzipped: int

    @property
    def weight(self) -> int:
        return 1 << max(self.zipped - 1, 0).bit_length()


class SharedLayer(Struct, frozen=True):
    """A layer that nobody wrote: its logical id, what is in it, and the builds whose functions use it."""

    name: str
    stage: Stage
    packages: tuple[Package, ...]
    builds: tuple[str, ...]

    @property
    def full_name(self) -> str:
        """As functions are named: led by its stack."""
        return f"{self.stage.stack}/{self.name}" if self.stage.stack else self.name

    @property
    def zipped(self) -> int:
        return sum(package.zipped for package in self.packages)

    @property
    def unzipped(self) -> int:
        return sum(package.unzipped for package in self.packages)


def share(
    sharers: Iterable[Sharer], packages: Mapping[str, Iterable[Package]], taken: Mapping[str, frozenset[str]]
) -> tuple[SharedLayer, ...]:
    """The layers, by name. ``packages`` are those of each build; ``taken`` the ids that each stack's template has."""
    together: dict[Stage, list[Sharer]] = defaultdict(list)
    for sharer in sharers:
        together[sharer.stage].append(sharer)
    found: list[SharedLayer] = []
    for stage, ones in sorted(together.items()):
        layers = _fitted(_Functions.of(ones), _first(ones, packages))
        used = set(taken.get(stage.stack, ())) | {layer.name for layer in found if layer.stage.stack == stage.stack}
        found += _named(stage, layers, used)
    return tuple(sorted(found, key=lambda layer: layer.full_name))


class _Layer(Struct, frozen=True, dict=True):
    packages: frozenset[Package]
    builds: frozenset[str]
    weight: int
    """Of its packages together."""

    @cached_property
    def order(self) -> tuple[object, ...]:
        """By what is in it and who has it, never by versions as long as names differ."""
        return sorted(package.names for package in self.packages), sorted(self.builds), sorted(self.packages)


class _Functions(Struct, frozen=True):
    """How many functions each build is of, and how many layers each may still have."""

    counts: Mapping[str, int]
    quotas: Mapping[str, int]

    @staticmethod
    def of(sharers: Iterable[Sharer]) -> _Functions:
        ones = list(sharers)
        return _Functions({one.build: len(one.functions) for one in ones}, {one.build: one.quota for one in ones})

    def value(self, layer: _Layer) -> int:
        """The bytes that a layer spares: all copies but one."""
        return layer.weight * max(sum(map(self.counts.__getitem__, layer.builds)) - 1, 0)

    def worthwhile(self, layers: Iterable[_Layer]) -> Iterator[_Layer]:
        return (layer for layer in layers if self.value(layer) >= LEAST_SAVED_BYTES)


def _first(sharers: Iterable[Sharer], packages: Mapping[str, Iterable[Package]]) -> list[_Layer]:
    """Packages of exactly the same builds together, but for big ones."""
    users: dict[Package, set[str]] = defaultdict(set)
    for sharer in sharers:
        for package in packages.get(sharer.build, ()):
            users[package].add(sharer.build)
    groups: dict[tuple[frozenset[str], Package | None], set[Package]] = defaultdict(set)
    for package, builds in users.items():
        groups[frozenset(builds), package if package.weight >= BIG_BYTES else None].add(package)
    return [_Layer(frozenset(ones), builds, sum(one.weight for one in ones)) for (builds, _), ones in groups.items()]


def _fitted(functions: _Functions, layers: list[_Layer]) -> list[_Layer]:
    """Worth their place, and no more of them for any function than it may have."""
    layers = list(functions.worthwhile(layers))
    while over := _over(functions, layers):
        worst = min(over, key=lambda build: (-over[build], build))
        mine = sorted((layer for layer in layers if worst in layer.builds), key=lambda layer: layer.order)
        changes = [
            *(_Change.drop(layer, worst) for layer in mine),
            *(_Change.merge(*two) for two in combinations(mine, 2)),
        ]
        costs = [change.cost(functions, over) for change in changes]
        least = min(costs)
        equal = [change for change, cost in zip(changes, costs, strict=True) if cost == least]
        best = min(equal, key=lambda change: [layer.order for layer in change.before])
        kept = [layer for layer in layers if layer not in best.before]
        layers = _joined([*kept, *functions.worthwhile(best.after)])
    return layers


def _over(functions: _Functions, layers: Iterable[_Layer]) -> dict[str, int]:
    """By how much each build has too many."""
    counts: dict[str, int] = defaultdict(int)
    for layer in layers:
        for build in layer.builds:
            counts[build] += 1
    return {build: n - functions.quotas[build] for build, n in counts.items() if n > functions.quotas[build]}


def _joined(layers: Iterable[_Layer]) -> list[_Layer]:
    """Two layers of the same packages are one."""
    found: dict[frozenset[Package], _Layer] = {}
    for layer in layers:
        same = found.get(layer.packages)
        found[layer.packages] = replace(layer, builds=layer.builds | same.builds) if same else layer
    return list(found.values())


class _Change(Struct, frozen=True):
    """Layers that take the place of others, so that some builds have one less."""

    before: tuple[_Layer, ...]
    after: tuple[_Layer, ...]
    relieved: frozenset[str]

    @staticmethod
    def drop(layer: _Layer, build: str) -> _Change:
        """The build has those packages in its zip."""
        return _Change((layer,), (replace(layer, builds=layer.builds - {build}),), frozenset({build}))

    @staticmethod
    def merge(one: _Layer, other: _Layer) -> _Change:
        """The builds that have both have one; the others go on with what they had."""
        both = one.builds & other.builds
        merged = _Layer(one.packages | other.packages, both, one.weight + other.weight)
        left = (replace(layer, builds=layer.builds - both) for layer in (one, other))
        return _Change((one, other), (merged, *left), both)

    def cost(self, functions: _Functions, over: Mapping[str, int]) -> tuple[float, int]:
        """The bytes that are spared no more, for each build that had too many; then how much is moved."""
        after = list(functions.worthwhile(self.after))
        lost = sum(map(functions.value, self.before)) - sum(map(functions.value, after))
        return lost / len(self.relieved & over.keys()), sum(layer.weight for layer in self.before)


def _named(stage: Stage, layers: Iterable[_Layer], used: set[str]) -> Iterator[SharedLayer]:
    """Ids that say nothing of versions: of two with the same names in them, the first function's comes first."""
    by_names = sorted(layers, key=lambda layer: layer.order)
    for layer in by_names:
        packages = tuple(sorted(layer.packages))
        first = _logical_id(stage, [name for package in packages for name in package.names])
        name = next(name for n in range(1, len(used) + 3) if (name := first + (str(n) if n > 1 else "")) not in used)
        used.add(name)
        yield SharedLayer(name, stage, packages, tuple(sorted(layer.builds)))


def _logical_id(stage: Stage, names: Iterable[str]) -> str:
    """``SharedNumpy1a2b3c4d``: the first of the packages, and a digest of all their names, runtime and architecture."""
    ordered = sorted(names)
    digest = hashlib.sha256(json.dumps([stage.runtime, stage.architecture, ordered]).encode()).hexdigest()
    first = "".join(word[:1].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", ordered[0]))
    return f"Shared{first}{digest[:8]}"
