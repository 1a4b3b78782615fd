"""Choose which packages of functions become automatic layers. Pure; the source of a function does not matter.

Every package starts in the layer of exactly the functions that use it: a big one alone, small ones together, so that a
heavy package is not uploaded again because a light one changed. Each package is then in one layer only, and a new
function or another version moves nothing else. Where a function would have more layers than Lambda allows, layers are
merged, or the function keeps a package in its zip, whichever costs the fewest bytes, until it fits.

Decisions use sizes rounded up to powers of two, because the next version of a package rarely has the same size.
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
from lambdabuild.plan.types import LayerCandidate, ShareGroup

LEAST_SAVED_BYTES = 100_000
"""A layer that saves less than this, zipped and over all its functions, is not worth one of the five."""
BIG_BYTES = 1 << 22
"""From this rounded size on (over 2 MB zipped) a package gets a layer to itself while there is room."""


class Package(Struct, frozen=True, order=True):
    """What has to be in one place: a package, or several that put files into one folder. Sizes are in bytes."""

    names: tuple[str, ...]
    digest: str
    """The digest of its files in an artifact: another version or other filters make another package."""
    zipped: int
    unzipped: int

    @property
    def weight(self) -> int:
        return 1 << max(self.zipped - 1, 0).bit_length()


class SharedLayer(Struct, frozen=True):
    """A layer that no template has: its logical id, its packages, and the builds whose functions use it."""

    name: str
    group: ShareGroup
    packages: tuple[Package, ...]
    builds: tuple[str, ...]

    @property
    def full_name(self) -> str:
        """Return its name with its stack in front, as functions are named."""
        return f"{self.group.stack}/{self.name}" if self.group.stack else self.name

    @property
    def zipped(self) -> int:
        return sum(package.zipped for package in self.packages)

    @property
    def unzipped(self) -> int:
        return sum(package.unzipped for package in self.packages)


def share(
    candidates: Iterable[LayerCandidate], packages: Mapping[str, Iterable[Package]], taken: Mapping[str, frozenset[str]]
) -> tuple[SharedLayer, ...]:
    """Return the layers, sorted by name.

    ``packages`` are those of each build; ``taken`` are the logical ids that each stack's template already has.
    """
    together: dict[ShareGroup, list[LayerCandidate]] = defaultdict(list)
    for candidate in candidates:
        together[candidate.group].append(candidate)
    shared: list[SharedLayer] = []
    for group, members in sorted(together.items()):
        layers = _fitted(_Functions.of(members), _first(members, packages))
        used = set(taken.get(group.stack, ())) | {layer.name for layer in shared if layer.group.stack == group.stack}
        shared += _named(group, layers, used)
    return tuple(sorted(shared, key=lambda layer: layer.full_name))


class _Layer(Struct, frozen=True, dict=True):
    packages: frozenset[Package]
    builds: frozenset[str]
    weight: int
    """The sum over its packages."""

    @cached_property
    def order(self) -> tuple[object, ...]:
        """Return a sort key of names and users; versions decide only between layers with equal names."""
        return sorted(package.names for package in self.packages), sorted(self.builds), sorted(self.packages)


class _Functions(Struct, frozen=True):
    """How many functions each build has, and how many more layers each may get."""

    counts: Mapping[str, int]
    quotas: Mapping[str, int]

    @staticmethod
    def of(candidates: Iterable[LayerCandidate]) -> _Functions:
        candidates = tuple(candidates)
        counts = {candidate.build: len(candidate.functions) for candidate in candidates}
        return _Functions(counts, {candidate.build: candidate.quota for candidate in candidates})

    def value(self, layer: _Layer) -> int:
        """Return the bytes a layer saves: all copies but one."""
        return layer.weight * max(sum(map(self.counts.__getitem__, layer.builds)) - 1, 0)

    def worthwhile(self, layers: Iterable[_Layer]) -> Iterator[_Layer]:
        return (layer for layer in layers if self.value(layer) >= LEAST_SAVED_BYTES)


def _first(candidates: Iterable[LayerCandidate], packages: Mapping[str, Iterable[Package]]) -> list[_Layer]:
    """Return one layer per set of builds, with the packages that exactly these use; big packages get one each."""
    users: dict[Package, set[str]] = defaultdict(set)
    for candidate in candidates:
        for package in packages.get(candidate.build, ()):
            users[package].add(candidate.build)
    groups: dict[tuple[frozenset[str], Package | None], set[Package]] = defaultdict(set)
    for package, builds in users.items():
        groups[frozenset(builds), package if package.weight >= BIG_BYTES else None].add(package)
    return [
        _Layer(frozenset(members), builds, sum(member.weight for member in members))
        for (builds, _), members in groups.items()
    ]


def _fitted(functions: _Functions, layers: list[_Layer]) -> list[_Layer]:
    """Return layers that are worth their place, and no more for any function than it may have."""
    layers = list(functions.worthwhile(layers))
    while over := _over(functions, layers):
        worst = min(over, key=lambda build: (-over[build], build))
        own_layers = sorted((layer for layer in layers if worst in layer.builds), key=lambda layer: layer.order)
        changes = [
            *(_Change.drop(layer, worst) for layer in own_layers),
            *(_Change.merge(*two) for two in combinations(own_layers, 2)),
        ]
        costs = [change.cost(functions, over) for change in changes]
        least = min(costs)
        equal = [change for change, cost in zip(changes, costs, strict=True) if cost == least]
        best = min(equal, key=lambda change: [layer.order for layer in change.before])
        kept = [layer for layer in layers if layer not in best.before]
        layers = _joined([*kept, *functions.worthwhile(best.after)])
    return layers


def _over(functions: _Functions, layers: Iterable[_Layer]) -> dict[str, int]:
    """Return by how many layers each build exceeds its quota."""
    counts: dict[str, int] = defaultdict(int)
    for layer in layers:
        for build in layer.builds:
            counts[build] += 1
    return {build: n - functions.quotas[build] for build, n in counts.items() if n > functions.quotas[build]}


def _joined(layers: Iterable[_Layer]) -> list[_Layer]:
    """Join layers that have the same packages."""
    by_packages: dict[frozenset[Package], _Layer] = {}
    for layer in layers:
        same = by_packages.get(layer.packages)
        by_packages[layer.packages] = replace(layer, builds=layer.builds | same.builds) if same else layer
    return list(by_packages.values())


class _Change(Struct, frozen=True):
    """A replacement of layers, after which some builds have one less."""

    before: tuple[_Layer, ...]
    after: tuple[_Layer, ...]
    relieved: frozenset[str]

    @staticmethod
    def drop(layer: _Layer, build: str) -> _Change:
        """Return the change in which the build keeps the layer's packages in its zip."""
        return _Change((layer,), (replace(layer, builds=layer.builds - {build}),), frozenset({build}))

    @staticmethod
    def merge(first: _Layer, second: _Layer) -> _Change:
        """Return the change in which builds that use both layers use one; the others keep what they had."""
        both = first.builds & second.builds
        merged = _Layer(first.packages | second.packages, both, first.weight + second.weight)
        left = (replace(layer, builds=layer.builds - both) for layer in (first, second))
        return _Change((first, second), (merged, *left), both)

    def cost(self, functions: _Functions, over: Mapping[str, int]) -> tuple[float, int]:
        """Return the bytes no longer saved per build that had too many layers; then how much is moved."""
        after = list(functions.worthwhile(self.after))
        lost = sum(map(functions.value, self.before)) - sum(map(functions.value, after))
        return lost / len(self.relieved & over.keys()), sum(layer.weight for layer in self.before)


def _named(group: ShareGroup, layers: Iterable[_Layer], used: set[str]) -> Iterator[SharedLayer]:
    """Yield the layers with logical ids that do not depend on versions.

    Of two layers with equal package names, that of the first function comes first.
    """
    by_names = sorted(layers, key=lambda layer: layer.order)
    for layer in by_names:
        packages = tuple(sorted(layer.packages))
        first = _logical_id(group, [name for package in packages for name in package.names])
        name = next(name for n in range(1, len(used) + 3) if (name := first + (str(n) if n > 1 else "")) not in used)
        used.add(name)
        yield SharedLayer(name, group, packages, tuple(sorted(layer.builds)))


def _logical_id(group: ShareGroup, names: Iterable[str]) -> str:
    """Return ``SharedNumpy1a2b3c4d``: the first package, and a digest of names, runtime and architecture."""
    ordered = sorted(names)
    digest = hashlib.sha256(json.dumps([group.runtime, group.architecture, ordered]).encode()).hexdigest()
    first = "".join(word[:1].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", ordered[0]))
    return f"Shared{first}{digest[:8]}"
