"""Service + rules + file names -> BuildPlan: who needs the same bytes, and who the same dependencies."""

from __future__ import annotations

import json
import posixpath
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from lambdabuild.errors import BadSettings, LambdaBuildError, NoManifest, NoRule, NoSource, raise_all
from lambdabuild.model import Function, Layer, Options, Service, Skipped
from lambdabuild.plan import sources
from lambdabuild.plan.claims import PLAIN, Choice, Names, choose
from lambdabuild.plan.native import native_of
from lambdabuild.plan.types import Build, BuildKey, BuildPlan, Native, Resolution, ResolutionKey, Rule, Sizes
from lambdabuild.settings import DEFAULT_EXCLUDE, Command, Settings, nearest

Identify = Callable[[Choice], str]
"""What makes two manifests the same: the digest of their content when they stand alone, else their path."""


def manifest_folders(service: Service, settings: Settings) -> frozenset[str]:
    """The folders whose file names ``plan`` needs to know."""
    items: tuple[Function | Layer, ...] = (*service.functions, *service.layers)
    named = (settings.of(item.name).manifest for item in items)
    return frozenset(
        {item.source for item in items}
        | {posixpath.dirname(manifest) for manifest in named if manifest}
        | {folder for item in items for folder in _inherited(service, settings, item)}
        | {sources.folder_of_source(source) for source in settings.sources.values()}
    )


def plan(service: Service, rules: tuple[Rule, ...], names: Names, identify: Identify, settings: Settings) -> BuildPlan:
    """The whole plan. All functions without a folder or a rule are told together (LB301, LB302, LB303)."""
    _check_names(service, settings)
    sources.check(service, settings)
    errors: list[LambdaBuildError] = []
    choices: dict[str, Choice] = {}
    packages: dict[str, str] = {}
    functions = tuple(function for function in service.functions if not settings.of(function.name).source)
    items: tuple[Function | Layer, ...] = (*functions, *service.layers)
    for item in items:
        try:
            if item.source not in names:
                kind = "layer" if isinstance(item, Layer) else "function"
                raise NoSource(
                    f"the code folder {item.source}/ of {kind} {item.name!r} does not exist or is not a folder",
                    where=item.where,
                    mend="correct the path in the template; it is relative to the template's folder",
                )
            inherited = _inherited(service, settings, item) if _inherits(item) else ()
            choices[item.name] = _choose(item, settings, rules, names, inherited)
            if settings.of(item.name).packaged:
                packages[item.name] = sources.folder_of(item, (item.source, *inherited), names)
        except LambdaBuildError as error:
            errors.append(error)
    raise_all(errors)
    resolution_of = {item.name: _resolution_key(item, choices[item.name], identify, settings) for item in items}
    builds = _builds(items, choices, settings, resolution_of, packages)
    resolutions = _resolutions(builds, resolution_of, choices)
    named = {resolution.key: resolution.name for resolution in resolutions}
    builds = tuple(
        replace(build, resolution=named[key] if (key := resolution_of[build.name]) else "") for build in builds
    )
    builds, distributions = sources.with_packages((*builds, *sources.builds(service, settings, names)), settings, rules)
    of = {user: build.name for build in builds for user in build.users}
    return BuildPlan(
        resolutions=resolutions,
        builds=builds,
        assets=tuple(sorted(service.assets, key=lambda asset: asset.name)),
        sizes=tuple(_sizes(f, of) for f in sorted(service.functions, key=lambda f: f.name) if f.name in of),
        skipped=tuple(sorted(service.skipped, key=lambda skipped: skipped.name)),
        notes=service.notes,
        packages=distributions,
        sources=sources.published(settings),
        pinned=sources.pinned(service, settings),
    )


def _choose(
    item: Function | Layer, settings: Settings, rules: tuple[Rule, ...], names: Names, inherited: tuple[str, ...]
) -> Choice:
    """A function with a command of its own needs no rule."""
    try:
        return choose(item, settings.of(item.name), rules, names, inherited)
    except (NoRule, NoManifest):
        if not _command(item, settings).run:
            raise
        return Choice(next(rule for rule in rules if rule.name == PLAIN))


def _command(item: Function | Layer, settings: Settings) -> Command:
    return settings.command_of(item.name, item.build_method, _runtime(item))


def _check_names(service: Service, settings: Settings) -> None:
    items: tuple[Function | Layer | Skipped, ...] = (*service.functions, *service.layers, *service.skipped)
    known = {item.name for item in items}
    _check_commands(service, settings)
    raise_all(
        BadSettings(
            f"[functions.{name}] is about a function that the template does not have",
            mend=f"did you mean {near!r}?" if (near := nearest(name, known)) else f"known: {', '.join(sorted(known))}",
        )
        for name in sorted(settings.functions.keys() - known)
    )


def _check_commands(service: Service, settings: Settings) -> None:
    items: tuple[Function | Layer, ...] = (*service.functions, *service.layers)
    known = {value for item in items for value in (item.name, item.build_method, _runtime(item)) if value}
    raise_all(
        BadSettings(
            f"[commands] has {name!r}, which is no function, layer, build method or runtime here",
            mend=f"did you mean {near!r}?" if (near := nearest(name, known)) else f"known: {', '.join(sorted(known))}",
        )
        for name in sorted(settings.commands)
        if not any(fnmatchcase(value, name) for value in known)
    )


def _inherits(item: Function | Layer) -> bool:
    """A layer of plain files has no use for a manifest from elsewhere."""
    return isinstance(item, Function) or bool(item.build_method)


def _inherited(service: Service, settings: Settings, item: Function | Layer) -> tuple[str, ...]:
    """Where a manifest is looked for after the code folder.

    That is the ContextPath of a makefile function, the root given, then beside the item's template.
    """
    stack = item.name.rpartition("/")[0]
    if service.definition is not None:
        template = service.definition.path
    else:
        template = next((d.path for d in service.documents if d.stack == stack), "")
    context = json.loads(dict(item.options).get("ContextPath", '""'))
    given = [posixpath.normpath(folder) for folder in (context, settings.root) if folder]
    return (*given, posixpath.dirname(template) or ".")


def _options(item: Function | Layer, choice: Choice, settings: Settings) -> Options:
    """The options that the rule asks for: the settings', the function's own, then the template's BuildProperties.

    ``EntryPoints``, ``entryPoints`` and ``entry_points`` are one, under the name that the rule has for it. ``handler``
    is the function's handler, for rules whose result depends on it.
    """
    mine, rules = settings.of(item.name), (choice.rule, *([choice.resolver] if choice.resolver else []))
    said = {**choice.rule.defaults, **settings.options, **mine.options}
    given: dict[str, str] = {name: json.dumps(value, sort_keys=True) for name, value in said.items()}
    given.update(item.options)
    given.update({"handler": json.dumps(item.handler)} if isinstance(item, Function) else {})
    bytecode = settings.bytecode if mine.bytecode is None else mine.bytecode
    given.update({"bytecode": "true"} if bytecode else {})
    resolver = mine.resolver or settings.resolver
    given.update({"resolver": json.dumps(resolver)} if resolver else {})
    steps = [step for rule in rules for step in (rule.resolve, rule.compile, rule.copy) if step]
    wanted = {_plain(name): name for step in steps for name in (*step.options, step.when)}
    chosen = {wanted[_plain(name)]: value for name, value in given.items() if _plain(name) in wanted}
    return tuple(sorted(chosen.items()))


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _runtime(item: Function | Layer) -> str:
    if isinstance(item, Function):
        return item.runtime
    # A layer is built for the runtime its build method names, else for the first it is said to be compatible with.
    return (
        item.build_method
        if item.build_method[-1:].isdigit() or "." in item.build_method
        else (item.runtimes or ("",))[0]
    )


def _resolution_key(
    item: Function | Layer, choice: Choice, identify: Identify, settings: Settings
) -> ResolutionKey | None:
    rule = choice.resolver or choice.rule
    if rule.resolve is None or not choice.manifest:
        return None
    return ResolutionKey(
        rule=rule.name,
        runtime=_runtime(item),
        architecture=item.architecture,
        manifest=identify(choice),
        options=_only(_options(item, choice, settings), rule.resolve.options),
        name=item.name if rule.needs_name else "",
        native=_native(item, settings),
    )


def _native(item: Function | Layer, settings: Settings) -> Native:
    return native_of(settings, item.name, _runtime(item), item.architecture)


def _only(options: Options, wanted: tuple[str, ...]) -> Options:
    return tuple((name, value) for name, value in options if name in wanted)


def _builds(
    items: tuple[Function | Layer, ...],
    choices: Mapping[str, Choice],
    settings: Settings,
    resolution_of: Mapping[str, ResolutionKey | None],
    packages: Mapping[str, str],
) -> tuple[Build, ...]:
    users: dict[tuple[BuildKey, ResolutionKey | None], list[str]] = defaultdict(list)
    for item in items:
        key = _build_key(item, choices[item.name], settings)
        if item.name in packages:
            key = sources.packaged(key, packages[item.name], settings, item.name)
        users[(key, resolution_of[item.name])].append(item.name)
    handlers = {item.name: item.handler for item in items if isinstance(item, Function) and item.name in packages}
    builds = (
        Build(
            min(names),
            key,
            tuple(sorted(names)),
            compiles=bool(key.command.run) or rule_compiles(choices[names[0]].rule, key),
            handlers=tuple((name, handlers[name]) for name in sorted(names) if name in handlers),
        )
        for (key, _), names in users.items()
    )
    return tuple(sorted(builds, key=lambda build: build.name))


def _build_key(item: Function | Layer, choice: Choice, settings: Settings) -> BuildKey:
    rule, mine = choice.rule, settings.of(item.name)
    return BuildKey(
        rule=rule.name,
        kind="layer" if isinstance(item, Layer) else "function",
        runtime=_runtime(item),
        architecture=item.architecture,
        source=item.source,
        manifest=choice.manifest,
        options=_options(item, choice, settings),
        leave_out=(*DEFAULT_EXCLUDE, *rule.leave_out, *settings.exclude, *mine.exclude),
        leave_out_dependencies=(*settings.exclude_dependencies, *mine.exclude_dependencies),
        name=item.name if rule.needs_name else "",
        globs=item.globs,
        command=_command(item, settings),
        native=_native(item, settings) if _has_tools(item, choice, settings) else Native(),
    )


def _has_tools(item: Function | Layer, choice: Choice, settings: Settings) -> bool:
    """Files that are only copied need no container."""
    return bool(choice.rule.entry) or bool(_command(item, settings).run)


def rule_compiles(rule: Rule, key: BuildKey) -> bool:
    """Whether the rule itself has something to do in compile."""
    if rule.compile is None:
        return False
    return not rule.compile.when or dict(key.options).get(rule.compile.when, "false") not in ("false", "null", '""')


def _resolutions(
    builds: tuple[Build, ...], resolution_of: Mapping[str, ResolutionKey | None], choices: Mapping[str, Choice]
) -> tuple[Resolution, ...]:
    users: dict[ResolutionKey, list[str]] = defaultdict(list)
    for build in builds:
        key = resolution_of[build.name]
        if key is not None:
            users[key].append(build.name)
    found = (
        Resolution(min(names), key, choices[min(names)].manifest, tuple(sorted(names))) for key, names in users.items()
    )
    return tuple(sorted(found, key=lambda resolution: resolution.name))


def _sizes(function: Function, of: Mapping[str, str]) -> Sizes:
    """``of`` gives the build of each function and layer."""
    layers = tuple(of[layer] for layer in function.layers if layer in of)
    return Sizes(function.name, of[function.name], layers, len(function.layers) + function.foreign_layers)
