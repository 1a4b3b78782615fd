"""Who takes part in ``auto_layers``: functions whose packages may lie in layers, and why others' may not."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from lambdabuild.config.settings import Settings
from lambdabuild.core.errors import CannotShare
from lambdabuild.core.lambda_limits import LAYERS
from lambdabuild.core.model import Function, Layer, Options
from lambdabuild.plan.types import Build, Rule, Sharer, Sizes, Stage

ROOT = "."


def wants(item: Function | Layer, settings: Settings) -> bool:
    """Whether the settings ask for it; a layer is one already."""
    return isinstance(item, Function) and settings.flag("auto_layers", item.name)


def shares_in(item: Function | Layer, rule: Rule, options: Options, settings: Settings) -> str:
    """The stack in whose layers an item's packages may lie, "" when they may not."""
    if not isinstance(item, Function) or not wants(item, settings) or refusal(item, rule, options, settings):
        return ""
    return item.name.rpartition("/")[0] or ROOT


def refusal(function: Function, rule: Rule, options: Options, settings: Settings) -> str:
    """Why a function's packages have to lie in its zip, "" when they need not."""
    if rule.package_layers is None or not rule.ships_dependencies:
        return f"rule {rule.name} knows no layers of packages"
    if len(function.layers) + function.foreign_layers >= LAYERS:
        return f"there are {LAYERS} layers already"
    if dict(options).get("bytecode") == "true":
        return "bytecode lies beside the modules it is of"
    if settings.flag("zip_dependencies", function.name):
        return "they go into it as one zip (zip_dependencies)"
    hiding = [name for name in rule.package_layers.hidden_by if name in function.environment]
    return f"{hiding[0]} is set, so that layers are not looked into" if hiding else function.fixed_layers


def check(item: Function | Layer, rule: Rule, options: Options, settings: Settings) -> None:
    """Raise CannotShare (LB304) when it was asked for by name and cannot be, for a setting must not do nothing."""
    reason = _reason(item, rule, options, settings)
    if reason and settings.of(item.name).auto_layers:
        raise CannotShare(
            f"packages of {item.name!r} cannot lie in layers of their own: {reason}",
            where=item.where,
            help=f"remove auto_layers from [functions.{item.name}]",
        )


def _reason(item: Function | Layer, rule: Rule, options: Options, settings: Settings) -> str:
    """Why an item takes no part that is meant to."""
    if isinstance(item, Layer):
        return "it is a layer itself" if settings.of(item.name).auto_layers else ""
    return refusal(item, rule, options, settings) if wants(item, settings) else ""


def notes(items: Iterable[tuple[Function | Layer, Rule, Options]], settings: Settings) -> tuple[str, ...]:
    """On those that do not take part, a line for each reason."""
    refused = defaultdict[str, list[str]](list)
    for item, rule, options in items:
        reason = _reason(item, rule, options, settings)
        if reason:
            refused[reason].append(item.name)
    return tuple(
        f"auto_layers: {', '.join(sorted(names))} with all packages in the zip, for {reason}"
        for reason, names in sorted(refused.items())
    )


def sharers(builds: Iterable[Build], sizes: Iterable[Sizes], rules: Mapping[str, Rule]) -> Iterator[Sharer]:
    """The builds that take part; what one of its functions has no room for, none has."""
    counts = {one.function: one.layer_count for one in sizes}
    for build in builds:
        key, rule = build.key, rules[build.key.rule]
        if key.shares_in and build.resolution:
            prefix = posixpath.join(rule.layer_prefix, rule.runtime_folder(key.runtime))
            stack = "" if key.shares_in == ROOT else key.shares_in
            yield Sharer(
                build=build.name,
                resolution=build.resolution,
                stage=Stage(stack, key.runtime, key.architecture, prefix),
                functions=build.users,
                quota=LAYERS - max(counts[user] for user in build.users),
            )
