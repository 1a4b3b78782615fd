"""Functions and layers with mistakes of their own, and which of these mistakes concern what was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lambdabuild.config.settings import Settings
from lambdabuild.core.errors import LambdaBuildError, raise_all
from lambdabuild.core.model import Broken, Service
from lambdabuild.core.records import replace
from lambdabuild.plan.types import BuildPlan, LayerCandidate


def all_broken(service: Service, errors: Mapping[str, Sequence[LambdaBuildError]]) -> tuple[Broken, ...]:
    """Return the functions and layers that could not be read, then those for which planning found ``errors``."""
    layers = {layer.name for layer in service.layers}
    unread = {item.name for item in service.broken}
    planned = (
        Broken(name, "layer" if name in layers else "function", tuple(errors_of_item))
        for name, errors_of_item in errors.items()
        if errors_of_item and name not in unread
    )
    return tuple(replace(item, stops=_users(service, item.name)) for item in (*service.broken, *planned))


def _users(service: Service, layer: str) -> frozenset[str]:
    return frozenset(function.name for function in service.functions if layer in function.layers)


def with_candidates(
    broken: tuple[Broken, ...], candidates: Iterable[LayerCandidate], settings: Settings
) -> tuple[Broken, ...]:
    """Add that every candidate for automatic layers waits for a broken one: packages are shared among all of them."""
    others = frozenset(user for candidate in candidates for user in candidate.functions)
    takes_part = {item.name for item in broken if item.kind == "function" and settings.flag("auto_layers", item.name)}
    return tuple(replace(item, stops=item.stops | others) if item.name in takes_part else item for item in broken)


def mistakes(broken: Iterable[Broken]) -> list[LambdaBuildError]:
    """Return all mistakes, each once."""
    return list({str(error): error for item in broken for error in item.errors}.values())


def refuse(plan: BuildPlan, names: Iterable[str]) -> None:
    """Raise the mistakes that keep these names from being built; all of them if the plan does not know a name."""
    asked = set(names)
    known = {*plan.users, *(one.function for one in plan.pinned), *(one.name for one in plan.broken)}
    known |= {asset.name for asset in plan.assets} | {publication.name for publication in plan.publications}
    counts = [one for one in plan.broken if not asked or not asked <= known or asked & {one.name, *one.stops}]
    raise_all(mistakes(counts))
