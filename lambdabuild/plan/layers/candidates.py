"""Decide which functions take part in ``auto_layers``, and explain why the others cannot."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from lambdabuild.config.settings import Settings
from lambdabuild.core.errors import CannotShare
from lambdabuild.core.lambda_limits import LAYERS
from lambdabuild.core.model import Function, Layer, Options
from lambdabuild.plan.types import Build, LayerCandidate, Rule, ShareGroup, Sizes

ROOT = "."


def wants(item: Function | Layer, settings: Settings) -> bool:
    """Return whether the settings ask for it. A layer never takes part."""
    return isinstance(item, Function) and settings.flag("auto_layers", item.name)


def shares_in(item: Function | Layer, rule: Rule, options: Options, settings: Settings) -> str:
    """Return the stack in whose layers an item's packages may be put; "" when they have to stay in the zip."""
    if not isinstance(item, Function) or not wants(item, settings) or refusal(item, rule, options, settings):
        return ""
    return item.name.rpartition("/")[0] or ROOT


def refusal(function: Function, rule: Rule, options: Options, settings: Settings) -> str:
    """Return why a function's packages have to stay in its zip; "" when they need not."""
    if rule.package_layers is None or not rule.ships_dependencies:
        return f"rule {rule.name} does not support layers of packages"
    if len(function.layers) + function.foreign_layers >= LAYERS:
        return f"there are already {LAYERS} layers"
    if dict(options).get("bytecode") == "true":
        return "bytecode has to be next to its modules"
    if settings.flag("zip_dependencies", function.name):
        return "they are packed as one zip (zip_dependencies)"
    hiding = [name for name in rule.package_layers.hidden_by if name in function.environment]
    return f"{hiding[0]} is set, so layers are not searched" if hiding else function.fixed_layers


def check(item: Function | Layer, rule: Rule, options: Options, settings: Settings) -> None:
    """Raise CannotShare (LB304) when ``auto_layers`` is set for an item that cannot take part."""
    reason = _reason(item, rule, options, settings)
    if reason and settings.of(item.name).auto_layers:
        raise CannotShare(
            f"packages of {item.name!r} cannot be put into layers: {reason}",
            where=item.where,
            help=f"remove auto_layers from [functions.{item.name}]",
        )


def _reason(item: Function | Layer, rule: Rule, options: Options, settings: Settings) -> str:
    """Return why an item that should take part cannot; "" when it can or was not meant to."""
    if isinstance(item, Layer):
        return "it is a layer itself" if settings.of(item.name).auto_layers else ""
    return refusal(item, rule, options, settings) if wants(item, settings) else ""


def notes(items: Iterable[tuple[Function | Layer, Rule, Options]], settings: Settings) -> tuple[str, ...]:
    """Return a note for each reason, with the functions that cannot take part."""
    refused = defaultdict[str, list[str]](list)
    for item, rule, options in items:
        reason = _reason(item, rule, options, settings)
        if reason:
            refused[reason].append(item.name)
    return tuple(
        f"auto_layers: all packages of {', '.join(sorted(names))} stay in the zip: {reason}"
        for reason, names in sorted(refused.items())
    )


def layer_candidates(
    builds: Iterable[Build], sizes: Iterable[Sizes], rules: Mapping[str, Rule]
) -> Iterator[LayerCandidate]:
    """Yield the builds that take part. A build gets only as many layers as each of its functions has room for."""
    counts = {item.function: item.layer_count for item in sizes}
    for build in builds:
        key, rule = build.key, rules[build.key.rule]
        if key.shares_in and build.resolution:
            prefix = posixpath.join(rule.layer_prefix, rule.runtime_folder(key.runtime))
            stack = "" if key.shares_in == ROOT else key.shares_in
            yield LayerCandidate(
                build=build.name,
                resolution=build.resolution,
                group=ShareGroup(stack, key.runtime, key.architecture, prefix),
                functions=build.users,
                quota=LAYERS - max(counts[user] for user in build.users),
            )
