"""Service + rules + file names -> BuildPlan: who needs the same bytes, and who the same dependencies."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from fnmatch import fnmatchcase

from lambdabuild.config.settings import CREDENTIALS, DEFAULT_EXCLUDE, PACKED_OF_A_SERVICE, Command, Settings, nearest
from lambdabuild.core.errors import (
    BadImage,
    BadLayer,
    BadSettings,
    LambdaBuildError,
    NoInclude,
    NoManifest,
    NoRepository,
    NoRule,
    NoSource,
    raise_all,
)
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.handlers import finder_of
from lambdabuild.core.model import Archive, Function, Image, Layer, Options, Recipe, Service, Skipped
from lambdabuild.core.records import replace
from lambdabuild.plan import sources
from lambdabuild.plan.broken import all_broken, mistakes, with_sharers
from lambdabuild.plan.container_choice import native_of
from lambdabuild.plan.layers import candidates
from lambdabuild.plan.layers.tables import publications
from lambdabuild.plan.rule_choice import PLAIN, Choice, Names, choose, refuse_unknown
from lambdabuild.plan.types import (
    Build,
    BuildKey,
    BuildPlan,
    ImageBuild,
    ImageKey,
    Native,
    Resolution,
    ResolutionKey,
    Rule,
    Sizes,
)
from lambdabuild.plan.workspaces import Disk, above, not_covered, reads_source

Identify = Callable[[Choice], str]
"""What makes two manifests the same: the digest of their content when they stand alone, else their path."""


def manifest_folders(service: Service, settings: Settings) -> frozenset[str]:
    """The folders whose file names ``plan`` needs to know, but for those above them."""
    items: tuple[Function | Layer, ...] = (*service.functions, *service.layers)
    named = (settings.of(item.name).manifest for item in items)
    beside = {path for item in items for path in (*_include(item, settings), *_requirements(item, settings))}
    found = (
        {item.source for item in items}
        | {posixpath.dirname(path) for path in (*named, *beside) if path}
        | {folder for item in items for folder in _inherited(service, settings, item)}
        | {sources.folder_of_source(source) for source in settings.sources.values()}
    )
    return frozenset(found | {"." for folder in found if not folder})


def folders_above(service: Service, settings: Settings, top: str) -> frozenset[str]:
    """The folders above code folders and manifests, up to the project root, whose file names count too."""
    return frozenset(one for folder in manifest_folders(service, settings) for one in above(folder or ".", top))


def plan(
    service: Service, rules: tuple[Rule, ...], disk: Disk | Names, identify: Identify, settings: Settings
) -> BuildPlan:
    """The whole plan. All functions without a folder or a rule are told together (LB301, LB302, LB303)."""
    found = plan_of_sound(service, rules, disk, identify, settings)
    raise_all(mistakes(found.broken))
    return found


def plan_of_sound(
    service: Service, rules: tuple[Rule, ...], disk: Disk | Names, identify: Identify, settings: Settings
) -> BuildPlan:
    """The plan of all functions and layers that have no mistake, and those that have some as ``broken``."""
    disk = disk if isinstance(disk, Disk) else Disk(disk)
    names = disk.names
    if not service.broken:  # else not all that is there is known
        _check_names(service, settings)
    refuse_unknown(settings.executor.only, rules)
    sources.check(service, settings)
    errors = defaultdict[str, list[LambdaBuildError]](list)
    for name, error in sources.bad_functions(service, settings):
        errors[name].append(error)
    choices: dict[str, Choice] = {}
    packages: dict[str, str] = {}
    functions = tuple(function for function in service.functions if not settings.of(function.name).source)
    items: tuple[Function | Layer, ...] = (*functions, *service.layers)
    for item in items:
        if item.name in errors:
            continue
        try:
            if item.source not in names:
                raise NoSource(
                    f"the code folder {item.source}/ of {_kind(item)} {item.name!r} does not exist or is not a folder",
                    where=item.where,
                    help="correct the path in the template; it is relative to the template's folder",
                )
            errors[item.name] += _missing(item, settings, names)
            inherited = _inherited(service, settings, item) if _inherits(item) else ()
            choices[item.name] = choice = _choose(item, settings, rules, disk, inherited)
            if choice.manifest:
                candidates.check(item, choice.rule, _options(item, choice, settings), settings)
            if settings.of(item.name).packaged:
                packages[item.name] = sources.folder_of(item, (item.source, *inherited), names)
        except LambdaBuildError as error:
            errors[item.name].append(error)
    images = _images(service, settings)
    for users, wrong in _wrong_images(service, images, settings):
        for name in users:
            errors[name].append(wrong)
    broken = all_broken(service, errors)
    without = {one.name for one in broken}
    service, items = _without(service, without), tuple(item for item in items if item.name not in without)
    images = _images(service, settings)
    choices = {
        item.name: replace(choice := choices[item.name], layers=_layers(item, choice.rule, service)) for item in items
    }
    resolutions_of = {item.name: _resolution_keys(item, choices[item.name], identify, settings, disk) for item in items}
    withheld = CREDENTIALS if service.definition is None else ()  # the framework packs them
    builds = _builds(items, choices, settings, resolutions_of, packages, withheld)
    _refuse_bytecode_of_several(items, builds, resolutions_of)
    resolutions = _resolutions(builds, resolutions_of, choices)
    named = {resolution.key: resolution.name for resolution in resolutions}
    builds = tuple(_with_resolutions(build, [named[key] for key in resolutions_of[build.name]]) for build in builds)
    builds, distributions = sources.with_packages((*builds, *sources.builds(service, settings, names)), settings, rules)
    of = {user: build.name for build in builds for user in build.users}
    sizes = tuple(_sizes(f, of, settings) for f in sorted(service.functions, key=lambda f: f.name) if f.name in of)
    notes = candidates.notes(
        [(item, c.rule, _options(item, c, settings)) for item in items if (c := choices[item.name]).manifest], settings
    )
    taking_part = tuple(candidates.sharers(builds, sizes, {rule.name: rule for rule in rules}))
    return BuildPlan(
        resolutions=resolutions,
        builds=builds,
        images=images,
        assets=tuple(sorted(service.assets, key=lambda asset: asset.name)),
        sizes=sizes,
        skipped=tuple(sorted(service.skipped, key=lambda skipped: skipped.name)),
        notes=(*service.warnings, *service.notes, *_unlocked(choices, rules, disk), *notes),
        packages=distributions,
        sources=sources.published(settings),
        pinned=sources.pinned(service, settings),
        publications=publications(service, settings, without),
        sharers=taking_part,
        broken=with_sharers(broken, taking_part, settings),
    )


def _without(service: Service, names: AbstractSet[str]) -> Service:
    return replace(
        service,
        functions=tuple(one for one in service.functions if one.name not in names),
        layers=tuple(one for one in service.layers if one.name not in names),
        images=tuple(one for one in service.images if one.name not in names),
        assets=tuple(one for one in service.assets if one.name not in names),
    )


def _unlocked(choices: Mapping[str, Choice], rules: tuple[Rule, ...], disk: Disk) -> list[str]:
    """A note for each lock file that somebody may think is about manifests, with their names."""
    found: dict[str, set[str]] = defaultdict(set)
    for choice in choices.values():
        lock = ""
        if choice.manifest and not choice.workspace:
            lock = not_covered(choice.resolver or choice.rule, choice.manifest, rules, disk)
        found[lock] |= {choice.manifest} if lock else set()
    return [
        f"{lock} is not about {', '.join(sorted(found[lock]))}, which no workspace there names: what is newest is taken"
        for lock in sorted(found)
        if lock
    ]


def _missing(item: Function | Layer, settings: Settings, names: Names) -> list[LambdaBuildError]:
    """What ``include`` and ``requirements`` name and is not there (LB415)."""
    named = {"include": _include(item, settings), "requirements": _requirements(item, settings)}
    found: list[LambdaBuildError] = []
    for setting, paths in named.items():
        for path in paths:
            folder, name = posixpath.split(path)
            here = names.get(folder, frozenset())
            if name and name not in (".", "..") and name not in here:
                near = nearest(name, here)
                found.append(
                    NoInclude(
                        f"{path}, which the {setting} of {_kind(item)} {item.name!r} names, is not there",
                        where=item.where,
                        help=f"did you mean {posixpath.join(folder, near)}?"
                        if near
                        else "correct the path; it is relative to the project's folder",
                    )
                )
    return found


def _kind(item: Function | Layer) -> str:
    return "layer" if isinstance(item, Layer) else "function"


def _include(item: Function | Layer, settings: Settings) -> tuple[str, ...]:
    """What goes in beside the source, its own first; what is common to functions is not for layers."""
    common = settings.include if isinstance(item, Function) else ()
    return _paths(settings.of(item.name).include, common)


def _requirements(item: Function | Layer, settings: Settings) -> tuple[str, ...]:
    """Requirements files beside the manifest, its own first."""
    common = settings.requirements if isinstance(item, Function) and item.runtime.startswith("python") else ()
    return _paths(settings.of(item.name).requirements, common)


def _paths(own: tuple[str, ...], common: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(posixpath.normpath(path) for path in (*own, *common)))


def _choose(
    item: Function | Layer, settings: Settings, rules: tuple[Rule, ...], disk: Disk, inherited: tuple[str, ...]
) -> Choice:
    """The rule and manifest. One that has no manifest but requirements has the first of these as its manifest.

    A function with a command of its own needs no rule.
    """
    mine, requirements = settings.of(item.name), _requirements(item, settings)
    try:
        found = choose(item, mine, rules, disk, inherited)
        if requirements and not found.manifest and mine.dependencies is not False:
            return choose(item, dataclasses.replace(mine, manifest=requirements[0]), rules, disk, ())
        return found
    except (NoRule, NoManifest):
        if not _command(item, settings).run:
            raise
        return Choice(next(rule for rule in rules if rule.name == PLAIN))


def _layers(item: Function | Layer, rule: Rule, service: Service) -> tuple[str, ...]:
    """The code folders of the stack's other layers that the rule could build."""
    stack = posixpath.dirname(item.name)
    return tuple(
        sorted(
            layer.source
            for layer in service.layers
            if posixpath.dirname(layer.name) == stack
            and layer.source != item.source
            and any(fnmatchcase(layer.build_method, method) for method in rule.build_methods)
        )
    )


def _command(item: Function | Layer, settings: Settings) -> Command:
    return settings.command_of(item.name, item.build_method, _runtime(item))


def _check_names(service: Service, settings: Settings) -> None:
    items: tuple[Function | Layer | Image | Skipped, ...]
    items = (*service.functions, *service.layers, *service.images, *service.skipped)
    known = {item.name for item in items if getattr(item, "kind", "") not in ("stack", "file")}
    _check_commands(service, settings)
    raise_all(
        BadSettings(
            f"[functions.{name}] is about a function that the template does not have",
            help=f"did you mean {near!r}?" if (near := nearest(name, known)) else f"known: {', '.join(sorted(known))}",
        )
        for name in sorted(settings.functions.keys() - known)
    )


def _check_commands(service: Service, settings: Settings) -> None:
    items: tuple[Function | Layer, ...] = (*service.functions, *service.layers)
    known = {value for item in items for value in (item.name, item.build_method, _runtime(item)) if value}
    raise_all(
        BadSettings(
            f"[commands] has {name!r}, which is no function, layer, build method or runtime here",
            help=f"did you mean {near!r}?" if (near := nearest(name, known)) else f"known: {', '.join(sorted(known))}",
        )
        for name in sorted(settings.commands)
        if not any(fnmatchcase(value, name) for value in known)
    )


def _inherits(item: Function | Layer) -> bool:
    """A layer of plain files has no use for a manifest from elsewhere."""
    return isinstance(item, Function) or bool(item.build_method)


def _inherited(service: Service, settings: Settings, item: Function | Layer) -> tuple[str, ...]:
    """Where a manifest is looked for after the code folder.

    That is the ContextPath of a makefile function, the root given, then beside the item's template. A layer of the
    settings names its manifest, or has it in its folder.
    """
    if isinstance(item, Layer) and item.from_settings:
        return ()
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
    is the function's handler, for rules whose result depends on it; ``layers`` are the folders of other layers, for
    rules that build a function against the layers it runs with.
    """
    mine, rules = settings.of(item.name), (choice.rule, *([choice.resolver] if choice.resolver else []))
    said = {**choice.rule.defaults, **settings.options, **mine.options}
    given: dict[str, str] = {name: json.dumps(value, sort_keys=True) for name, value in said.items()}
    given.update(item.options)
    given.update({"handler": json.dumps(item.handler)} if isinstance(item, Function) else {})
    given.update({"layers": json.dumps(choice.layers)} if choice.layers else {})
    bytecode = settings.bytecode if mine.bytecode is None else mine.bytecode
    given.update({"bytecode": "true"} if bytecode else {})
    resolver = mine.resolver or settings.resolver
    given.update({"resolver": json.dumps(resolver)} if resolver else {})
    requirements = [path for path in _requirements(item, settings) if path != choice.manifest]
    given.update({"requirements": json.dumps(requirements)} if requirements else {})
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


def _resolution_keys(
    item: Function | Layer, choice: Choice, identify: Identify, settings: Settings, disk: Disk
) -> tuple[ResolutionKey, ...]:
    """None when there is nothing to resolve; of a layer that is for several runtimes, one for each."""
    rule = choice.resolver or choice.rule
    if rule.resolve is None or not choice.manifest:
        return ()
    manifest, options = identify(choice), _only(_options(item, choice, settings), rule.resolve.options)
    name = item.name if rule.needs_name else ""
    said = {option: json.loads(value) for option, value in options}
    source = item.source if reads_source(rule, choice.manifest, said, disk) else ""
    key = ResolutionKey(
        rule.name, "", item.architecture, manifest, options, name, workspace=choice.workspace, source=source
    )
    return tuple(
        replace(key, runtime=runtime, native=_native(item, settings, runtime))
        for runtime in _runtimes(item, choice.rule)
    )


def _native(item: Function | Layer, settings: Settings, runtime: str) -> Native:
    return native_of(settings, item.name, runtime, item.architecture)


def _runtimes(item: Function | Layer, rule: Rule) -> tuple[str, ...]:
    if isinstance(item, Function) or not (item.from_settings and rule.runtime_prefix and item.runtimes):
        return (_runtime(item),)
    foreign = [name for name in item.runtimes if not any(fnmatchcase(name, one) for one in rule.build_methods)]
    if foreign:
        raise BadLayer(
            f"layer {item.name!r} is for {item.runtimes[0]}, and {', '.join(foreign)} would need another rule",
            where=item.where,
            help="make a layer for each language",
        )
    return tuple(dict.fromkeys(item.runtimes))


def _refuse_bytecode_of_several(
    items: tuple[Function | Layer, ...], builds: tuple[Build, ...], keys: Mapping[str, tuple[ResolutionKey, ...]]
) -> None:
    places = {item.name: item.where for item in items}
    raise_all(
        BadLayer(
            f"layer {build.name!r} is for several runtimes, and bytecode is of one",
            where=places[build.name],
            help=f"set bytecode = false in [layers.{build.name}]",
        )
        for build in builds
        if len(keys[build.name]) > 1 and dict(build.key.options).get("bytecode") == "true"
    )


def _with_resolutions(build: Build, names: list[str]) -> Build:
    return replace(build, resolution=names[0], other_resolutions=tuple(names[1:])) if names else build


def _only(options: Options, wanted: tuple[str, ...]) -> Options:
    return tuple((name, value) for name, value in options if name in wanted)


def _builds(
    items: tuple[Function | Layer, ...],
    choices: Mapping[str, Choice],
    settings: Settings,
    resolutions_of: Mapping[str, tuple[ResolutionKey, ...]],
    packages: Mapping[str, str],
    withheld: tuple[str, ...],
) -> tuple[Build, ...]:
    users: dict[tuple[BuildKey, tuple[ResolutionKey, ...]], list[str]] = defaultdict(list)
    for item in items:
        key = _build_key(item, choices[item.name], settings, withheld)
        if item.name in packages:
            key = sources.packaged(key, packages[item.name], settings, item.name)
        users[(key, resolutions_of[item.name])].append(item.name)
    builds = (
        Build(
            min(names),
            key,
            tuple(sorted(names)),
            compiles=bool(key.command.run) or rule_compiles(choices[names[0]].rule, key),
        )
        for (key, _), names in users.items()
    )
    return tuple(sorted(builds, key=lambda build: build.name))


def _build_key(item: Function | Layer, choice: Choice, settings: Settings, withheld: tuple[str, ...]) -> BuildKey:
    rule, mine, options = choice.rule, settings.of(item.name), _options(item, choice, settings)
    command = _command(item, settings)
    ships_source = rule.ships_source and (command.adds or not command.run)
    return BuildKey(
        rule=rule.name,
        kind="layer" if isinstance(item, Layer) else "function",
        runtime=_runtime(item),
        architecture=item.architecture,
        source=item.source,
        manifest=choice.manifest,
        options=options,
        leave_out=(
            *_usual(item),
            *(withheld if ships_source else ()),
            *rule.leave_out,
            *settings.exclude,
            *_all_of(item),
            *mine.exclude,
        ),
        leave_out_dependencies=_leave_out_dependencies(choice, settings, mine),
        name=item.name if rule.needs_name else "",
        globs=item.globs,
        command=command,
        native=_native(item, settings, _runtime(item)) if _has_tools(item, choice, settings) else Native(),
        strip=settings.strip if mine.strip is None else mine.strip,
        include=_include(item, settings),
        extras=item.extras if isinstance(item, Function) else (),
        zips_dependencies=_zips_dependencies(item, settings),
        workspace=choice.workspace,
        shares_in=candidates.shares_in(item, rule, options, settings) if choice.manifest else "",
    )


def _usual(item: Function | Layer) -> tuple[str, ...]:
    """What is left out of every source; dot-files of a service are packed as the framework packs them."""
    is_of_a_service = bool(item.globs.lines)
    return tuple(line for line in DEFAULT_EXCLUDE if not (is_of_a_service and line in PACKED_OF_A_SERVICE))


def _all_of(item: Function | Layer) -> tuple[str, ...]:
    """What keeps a folder out that only its manifest was named of."""
    return ("*",) if isinstance(item, Layer) and item.dependencies_only else ()


def _leave_out_dependencies(choice: Choice, settings: Settings, mine: FunctionSettings) -> tuple[str, ...]:
    """The rule's lists that were asked for, then the user's own patterns, which can bring back."""
    rule = choice.resolver or choice.rule
    slim = settings.slim if mine.slim is None else mine.slim
    provided = settings.exclude_provided if mine.exclude_provided is None else mine.exclude_provided
    return (
        *(rule.slim if slim else ()),
        *(rule.provided if provided else ()),
        *settings.exclude_dependencies,
        *mine.exclude_dependencies,
    )


def _has_tools(item: Function | Layer, choice: Choice, settings: Settings) -> bool:
    """Files that are only copied need no container."""
    return bool(choice.rule.entry) or bool(_command(item, settings).run)


def _zips_dependencies(item: Function | Layer, settings: Settings) -> bool:
    return isinstance(item, Function) and settings.says("zip_dependencies", item.name)


def rule_compiles(rule: Rule, key: BuildKey) -> bool:
    """Whether the rule itself has something to do in compile."""
    if rule.compile is None:
        return False
    return not rule.compile.when or dict(key.options).get(rule.compile.when, "false") not in ("false", "null", '""')


def _resolutions(
    builds: tuple[Build, ...], keys: Mapping[str, tuple[ResolutionKey, ...]], choices: Mapping[str, Choice]
) -> tuple[Resolution, ...]:
    """Each is named after the first build that has it as its own, else after the first and the runtime it adds."""
    users: dict[ResolutionKey, list[str]] = defaultdict(list)
    for build in builds:
        for key in keys[build.name]:
            users[key].append(build.name)
    found = []
    for key, names in users.items():
        owners = [name for name in names if keys[name][0] == key]
        name = min(owners) if owners else f"{min(names)}-{key.runtime}"
        found.append(Resolution(name, key, choices[min(names)].manifest, tuple(sorted(names))))
    return tuple(sorted(found, key=lambda resolution: resolution.name))


def _images(service: Service, settings: Settings) -> tuple[ImageBuild, ...]:
    """Images that are equal in all that is known of them are one."""
    users: dict[ImageKey, list[str]] = defaultdict(list)
    for image in service.images:
        users[_image_key(image, settings)].append(image.name)
    found = [ImageBuild(min(names), key, tuple(sorted(names))) for key, names in users.items()]
    return tuple(sorted(found, key=lambda one: one.name))


def _wrong_images(
    service: Service, found: tuple[ImageBuild, ...], settings: Settings
) -> Iterator[tuple[tuple[str, ...], LambdaBuildError]]:
    """Images that nobody could tell apart (LB810), or that have no place to go to (LB812), with their functions."""
    places = {image.name: image.where for image in service.images}
    named = [(one.local_name(user), user, one) for one in found if one.key.kind != "tagged" for user in one.users]
    called = {local_name: (user, one) for local_name, user, one in named}
    for local_name, user, one in named:
        other, image = called[local_name]
        if one is not image:
            yield (
                (user, other),
                BadImage(
                    f"the images of {user!r} and {other!r} would both be called {local_name}",
                    where=(places[user], places[other]),
                    help="rename one of the functions, or give one of them another tag (DockerTag)",
                ),
            )
    for one in found:
        if settings.bucket and "upload" not in one.steps:
            wrong = NoRepository(
                f"the image of function {one.name!r} is to be deployed, but there is no repository for it",
                where=places[one.name],
                help="set repository in lambdabuild.toml, or in [functions.NAME]; to deploy nothing, name no bucket",
            )
            yield one.users, wrong


def _image_key(image: Image, settings: Settings) -> ImageKey:
    mine, source = settings.of(image.name), image.source
    tags = tuple(dict.fromkeys((*image.push_tags, *mine.image_tags)))
    repository = mine.repository or settings.repository or image.repository
    if isinstance(source, Archive):
        return ImageKey("archive", source.path, tag=image.tag, push_tags=tags, repository=repository)
    if not isinstance(source, Recipe):
        return ImageKey("tagged", source.uri)
    arguments = json.dumps(source.arguments) if source.arguments else ""
    return ImageKey(
        "recipe",
        source.context,
        source.dockerfile,
        source.platform,
        hashlib.sha256(arguments.encode()).hexdigest() if arguments else "",
        source.target,
        source.options,
        source.cache_from,
        source.provenance,
        image.tag,
        tags,
        repository,
    )


def _sizes(function: Function, of: Mapping[str, str], settings: Settings) -> Sizes:
    """``of`` gives the build of each function and layer."""
    layers = tuple(of[layer] for layer in function.layers if layer in of)
    count = len(function.layers) + function.foreign_layers
    return Sizes(function.name, of[function.name], layers, count, _handler(function, settings))


def _handler(function: Function, settings: Settings) -> tuple[str, ...]:
    """What the check of its handler depends on, beside files; () when there is none."""
    finder = finder_of(function.runtime)
    if finder is None or not settings.says("check_handler", function.name):
        return ()
    return (function.runtime, function.handler, *(name for name in finder.search_path if name in function.environment))
