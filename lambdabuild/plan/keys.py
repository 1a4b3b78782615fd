"""What makes two builds, or the dependencies of two builds, the same: functions with equal keys share the steps."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

from lambdabuild.config.settings import DEFAULT_EXCLUDE, PACKED_OF_A_SERVICE, Settings
from lambdabuild.core.errors import BadLayer
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.model import Function, Layer, Options
from lambdabuild.core.records import replace
from lambdabuild.plan import sources, targets
from lambdabuild.plan.container_choice import container_key
from lambdabuild.plan.layers import candidates
from lambdabuild.plan.rule_choice import Choice
from lambdabuild.plan.types import Build, BuildKey, ContainerKey, Resolution, ResolutionKey, Rule
from lambdabuild.plan.workspaces import Disk, reads_source

Identify = Callable[[Choice], str]
"""What makes two manifests the same: the digest of their content when they stand alone, else their path."""


def resolution_keys(
    item: Function | Layer, choice: Choice, identify: Identify, settings: Settings, disk: Disk
) -> tuple[ResolutionKey, ...]:
    """Return one key per runtime the dependencies are resolved for; () when there is nothing to resolve.

    Only a layer can be for several runtimes.
    """
    rule = choice.resolver or choice.rule
    if rule.resolve is None or not choice.manifest:
        return ()
    options = _only(targets.options(item, choice, settings), rule.resolve.options)
    values = {option: json.loads(value) for option, value in options}
    key = ResolutionKey(
        rule=rule.name,
        runtime="",
        architecture=item.architecture,
        manifest=identify(choice),
        options=options,
        name=item.name if rule.needs_name else "",
        workspace=choice.workspace,
        source=item.source if reads_source(rule, choice.manifest, values, disk) else "",
    )
    return tuple(
        replace(key, runtime=runtime, container=container_key(settings, item.name, runtime, item.architecture))
        for runtime in _runtimes(item, choice.rule)
    )


def _only(options: Options, wanted: tuple[str, ...]) -> Options:
    return tuple((name, value) for name, value in options if name in wanted)


def _runtimes(item: Function | Layer, rule: Rule) -> tuple[str, ...]:
    if isinstance(item, Function) or not (item.from_settings and rule.runtime_prefix and item.runtimes):
        return (targets.runtime(item),)
    foreign = [name for name in item.runtimes if not any(fnmatchcase(name, method) for method in rule.build_methods)]
    if foreign:
        raise BadLayer(
            f"layer {item.name!r} is for {item.runtimes[0]}, but {', '.join(foreign)} needs a different rule",
            where=item.where,
            help="make a layer for each language",
        )
    return tuple(dict.fromkeys(item.runtimes))


def builds(
    items: tuple[Function | Layer, ...],
    choices: Mapping[str, Choice],
    settings: Settings,
    resolutions_of: Mapping[str, tuple[ResolutionKey, ...]],
    packages: Mapping[str, str],
    withheld: tuple[str, ...],
) -> tuple[Build, ...]:
    """Return one build per distinct key, sorted by name; functions that need the same bytes share it.

    ``packages`` has the folder of the distribution for each function that is installed as one. ``withheld`` are
    patterns of files that are left out of every code folder.
    """
    users: dict[tuple[BuildKey, tuple[ResolutionKey, ...]], list[str]] = defaultdict(list)
    for item in items:
        key = _build_key(item, choices[item.name], settings, withheld)
        if item.name in packages:
            key = sources.packaged(key, packages[item.name], settings, item.name)
        users[(key, resolutions_of[item.name])].append(item.name)
    shared = (
        Build(
            min(names),
            key,
            tuple(sorted(names)),
            compiles=bool(key.command.run) or rule_compiles(choices[names[0]].rule, key),
        )
        for (key, _), names in users.items()
    )
    return tuple(sorted(shared, key=lambda build: build.name))


def _build_key(item: Function | Layer, choice: Choice, settings: Settings, withheld: tuple[str, ...]) -> BuildKey:
    rule, own, options = choice.rule, settings.of(item.name), targets.options(item, choice, settings)
    command, runtime = targets.command(item, settings), targets.runtime(item)
    needs_tools = bool(rule.entry) or bool(command.run)  # files that are only copied need no container
    return BuildKey(
        rule=rule.name,
        kind="layer" if isinstance(item, Layer) else "function",
        runtime=runtime,
        architecture=item.architecture,
        source=item.source,
        manifest=choice.manifest,
        options=options,
        leave_out=_leave_out(item, rule, settings, withheld),
        leave_out_dependencies=_leave_out_dependencies(choice, settings, own),
        name=item.name if rule.needs_name else "",
        globs=item.globs,
        command=command,
        container=container_key(settings, item.name, runtime, item.architecture) if needs_tools else ContainerKey(),
        strip=settings.strip if own.strip is None else own.strip,
        include=targets.include(item, settings),
        extras=item.extras if isinstance(item, Function) else (),
        zips_dependencies=isinstance(item, Function) and settings.flag("zip_dependencies", item.name),
        workspace=choice.workspace,
        shares_in=candidates.shares_in(item, rule, options, settings) if choice.manifest else "",
    )


def _leave_out(item: Function | Layer, rule: Rule, settings: Settings, withheld: tuple[str, ...]) -> tuple[str, ...]:
    """Return the gitignore patterns that keep files out of the code; later ones win and can bring files back."""
    command = targets.command(item, settings)
    ships_source = rule.ships_source and (command.adds or not command.run)
    # Dot-files of a serverless.yml's functions are packed as the Serverless Framework packs them.
    packed = PACKED_OF_A_SERVICE if item.globs.lines else ()
    # Of a folder that was named for its manifest alone nothing is packed.
    everything = ("*",) if isinstance(item, Layer) and item.dependencies_only else ()
    return (
        *(line for line in DEFAULT_EXCLUDE if line not in packed),
        *(withheld if ships_source else ()),
        *rule.leave_out,
        *settings.exclude,
        *everything,
        *settings.of(item.name).exclude,
    )


def _leave_out_dependencies(choice: Choice, settings: Settings, own: FunctionSettings) -> tuple[str, ...]:
    """Return the rule's lists that were asked for, then the user's patterns, which can bring files back."""
    rule = choice.resolver or choice.rule
    slim = settings.slim if own.slim is None else own.slim
    provided = settings.exclude_provided if own.exclude_provided is None else own.exclude_provided
    return (
        *(rule.slim if slim else ()),
        *(rule.provided if provided else ()),
        *settings.exclude_dependencies,
        *own.exclude_dependencies,
    )


def rule_compiles(rule: Rule, key: BuildKey) -> bool:
    """Return whether the rule's own compile step has anything to do."""
    if rule.compile is None:
        return False
    option = rule.compile.only_with_option
    return not option or dict(key.options).get(option, "false") not in ("false", "null", '""')


def resolutions(
    builds: tuple[Build, ...], keys: Mapping[str, tuple[ResolutionKey, ...]], choices: Mapping[str, Choice]
) -> tuple[Resolution, ...]:
    """Return one resolution per distinct key, sorted by name.

    Each is named after the first build whose own it is; one that only further runtimes of layers need is named after
    the first of these layers and the runtime.
    """
    users: dict[ResolutionKey, list[str]] = defaultdict(list)
    for build in builds:
        for key in keys[build.name]:
            users[key].append(build.name)
    shared = []
    for key, names in users.items():
        owners = [name for name in names if keys[name][0] == key]
        name = min(owners) if owners else f"{min(names)}-{key.runtime}"
        shared.append(Resolution(name, key, choices[min(names)].manifest, tuple(sorted(names))))
    return tuple(sorted(shared, key=lambda resolution: resolution.name))


def with_resolutions(
    builds: tuple[Build, ...],
    resolutions: tuple[Resolution, ...],
    keys: Mapping[str, tuple[ResolutionKey, ...]],
) -> tuple[Build, ...]:
    """Return the builds with the names of the resolutions they use."""
    names = {resolution.key: resolution.name for resolution in resolutions}
    return tuple(_with_names(build, [names[key] for key in keys[build.name]]) for build in builds)


def _with_names(build: Build, names: list[str]) -> Build:
    return replace(build, resolution=names[0], other_resolutions=tuple(names[1:])) if names else build
