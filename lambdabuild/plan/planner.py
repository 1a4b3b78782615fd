"""Service + rules + file names -> BuildPlan: which functions need the same bytes, and which the same dependencies."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from lambdabuild.config.settings import CREDENTIALS, Settings
from lambdabuild.core.errors import LambdaBuildError, NoManifest, NoRule, raise_all
from lambdabuild.core.handlers import finder_of
from lambdabuild.core.model import Function, Layer, Service
from lambdabuild.core.records import Struct, replace
from lambdabuild.plan import checks, keys, sources, targets
from lambdabuild.plan.broken import all_broken, mistakes, with_candidates
from lambdabuild.plan.images import images, wrong_images
from lambdabuild.plan.keys import Identify
from lambdabuild.plan.layers import candidates
from lambdabuild.plan.layers.tables import publications
from lambdabuild.plan.rule_choice import PLAIN, Choice, Names, choose
from lambdabuild.plan.types import BuildPlan, Rule, Sizes
from lambdabuild.plan.workspaces import Disk, above, not_covered


def manifest_folders(service: Service, settings: Settings) -> frozenset[str]:
    """Return the folders whose file names ``plan`` needs, without those above them."""
    items: tuple[Function | Layer, ...] = (*service.functions, *service.layers)
    files = {settings.of(item.name).manifest for item in items}
    files |= {path for item in items for path in targets.include(item, settings)}
    files |= {path for item in items for path in targets.requirements(item, settings)}
    folders = (
        {item.source for item in items}
        | {posixpath.dirname(path) for path in files if path}
        | {folder for item in items for folder in targets.inherited_folders(item, service, settings)}
        | {sources.folder_of_source(source) for source in settings.sources.values()}
    )
    return frozenset(folders | {"." for folder in folders if not folder})


def folders_above(service: Service, settings: Settings, top: str) -> frozenset[str]:
    """Return the folders above code folders and manifests up to the project root, whose file names ``plan`` needs."""
    return frozenset(parent for folder in manifest_folders(service, settings) for parent in above(folder or ".", top))


def plan(
    service: Service, rules: tuple[Rule, ...], disk: Disk | Names, identify: Identify, settings: Settings
) -> BuildPlan:
    """Return the whole plan. Raise all mistakes of functions and layers together (LB301, LB302, LB303, ...)."""
    whole = plan_of_sound(service, rules, disk, identify, settings)
    raise_all(mistakes(whole.broken))
    return whole


def plan_of_sound(
    service: Service, rules: tuple[Rule, ...], disk: Disk | Names, identify: Identify, settings: Settings
) -> BuildPlan:
    """Return the plan of all functions and layers without a mistake; the others are ``broken`` in it."""
    disk = disk if isinstance(disk, Disk) else Disk(disk)
    checks.refuse_bad_settings(service, rules, settings)
    chosen = _choices(service, rules, disk, settings)
    for users, wrong in wrong_images(service, images(service, settings), settings):
        for name in users:
            chosen.errors[name].append(wrong)
    broken = all_broken(service, chosen.errors)
    without = {item.name for item in broken}
    sound = _plan(_without(service, without), rules, disk, identify, settings, chosen)
    return replace(
        sound,
        publications=publications(_without(service, without), settings, without),
        broken=with_candidates(broken, sound.layer_candidates, settings),
    )


class _Choices(Struct, frozen=True):
    """How each function and layer is built, by name."""

    rules: dict[str, Choice]
    packages: dict[str, str]
    """The folder of its distribution, for each function that is installed as one."""
    errors: dict[str, list[LambdaBuildError]]
    """The mistakes in the others."""


def _choices(service: Service, rules: tuple[Rule, ...], disk: Disk, settings: Settings) -> _Choices:
    """Choose a rule and a manifest for every function and layer."""
    chosen = _Choices({}, {}, defaultdict(list))
    for name, error in sources.bad_functions(service, settings):
        chosen.errors[name].append(error)
    for item in targets.targets(service, settings):
        if item.name in chosen.errors:
            continue
        try:
            _choose(item, service, rules, disk, settings, chosen)
        except LambdaBuildError as error:
            chosen.errors[item.name].append(error)
    return chosen


def _choose(
    item: Function | Layer,
    service: Service,
    rules: tuple[Rule, ...],
    disk: Disk,
    settings: Settings,
    chosen: _Choices,
) -> None:
    """Add one function or layer to the choices, or its mistakes."""
    checks.refuse_missing_folder(item, disk.names)
    chosen.errors[item.name] += checks.missing_files(item, settings, disk.names)
    inherited = targets.inherited_folders(item, service, settings) if targets.inherits(item) else ()
    choice = _choice(item, settings, rules, disk, inherited)
    if choice.manifest:
        candidates.check(item, choice.rule, targets.options(item, choice, settings), settings)
    chosen.rules[item.name] = choice
    if settings.of(item.name).packaged:
        chosen.packages[item.name] = sources.folder_of(item, (item.source, *inherited), disk.names)


def _choice(
    item: Function | Layer, settings: Settings, rules: tuple[Rule, ...], disk: Disk, inherited: tuple[str, ...]
) -> Choice:
    """Return the rule and the manifest.

    Without a manifest the first file of ``requirements`` takes its place. A function with a command of its own needs
    no rule.
    """
    own, requirements = settings.of(item.name), targets.requirements(item, settings)
    try:
        choice = choose(item, own, rules, disk, inherited)
        if requirements and not choice.manifest and own.dependencies is not False:
            return choose(item, replace(own, manifest=requirements[0]), rules, disk, ())
        return choice
    except (NoRule, NoManifest):
        if not targets.command(item, settings).run:
            raise
        return Choice(next(rule for rule in rules if rule.name == PLAIN))


def _without(service: Service, names: AbstractSet[str]) -> Service:
    return replace(
        service,
        functions=tuple(function for function in service.functions if function.name not in names),
        layers=tuple(layer for layer in service.layers if layer.name not in names),
        images=tuple(image for image in service.images if image.name not in names),
        assets=tuple(asset for asset in service.assets if asset.name not in names),
    )


def _plan(
    service: Service,
    rules: tuple[Rule, ...],
    disk: Disk,
    identify: Identify,
    settings: Settings,
    chosen: _Choices,
) -> BuildPlan:
    """Return the plan of a service in which every function and layer has a rule."""
    items = targets.targets(service, settings)
    choices = {item.name: _with_layers(item, chosen.rules[item.name], service) for item in items}

    # What needs the same dependencies, and what the same bytes.
    resolution_keys = {
        item.name: keys.resolution_keys(item, choices[item.name], identify, settings, disk) for item in items
    }
    withheld = () if service.packs_as_framework else CREDENTIALS  # the Serverless Framework packs them
    builds = keys.builds(items, choices, settings, resolution_keys, chosen.packages, withheld)
    checks.refuse_bytecode_of_several(items, builds, resolution_keys)
    resolutions = keys.resolutions(builds, resolution_keys, choices)
    builds = keys.with_resolutions(builds, resolutions, resolution_keys)
    builds, packages = sources.with_packages((*builds, *sources.builds(service, settings, disk.names)), settings, rules)

    sizes = _sizes(service, {user: build.name for build in builds for user in build.users}, settings)
    return BuildPlan(
        resolutions=resolutions,
        builds=builds,
        images=images(service, settings),
        assets=tuple(sorted(service.assets, key=lambda asset: asset.name)),
        sizes=sizes,
        skipped=tuple(sorted(service.skipped, key=lambda skipped: skipped.name)),
        notes=(*service.warnings, *service.notes, *_notes(items, choices, rules, disk, settings)),
        packages=packages,
        sources=sources.published(settings),
        pinned=sources.pinned(service, settings),
        layer_candidates=tuple(candidates.layer_candidates(builds, sizes, {rule.name: rule for rule in rules})),
        has_trees=service.has_trees,
        has_template=service.has_template,
    )


def _with_layers(item: Function | Layer, choice: Choice, service: Service) -> Choice:
    return replace(choice, layers=targets.layers_of_rule(item, choice.rule, service))


def _notes(
    items: tuple[Function | Layer, ...],
    choices: Mapping[str, Choice],
    rules: tuple[Rule, ...],
    disk: Disk,
    settings: Settings,
) -> tuple[str, ...]:
    with_manifest = [(item, choices[item.name]) for item in items if choices[item.name].manifest]
    refused = candidates.notes(
        [(item, choice.rule, targets.options(item, choice, settings)) for item, choice in with_manifest], settings
    )
    return (*_unlocked(choices, rules, disk), *refused)


def _unlocked(choices: Mapping[str, Choice], rules: tuple[Rule, ...], disk: Disk) -> list[str]:
    """Return a note for each lock file above manifests that it does not cover, although a reader may think so."""
    manifests: dict[str, set[str]] = defaultdict(set)
    for choice in choices.values():
        if choice.manifest and not choice.workspace:
            lock = not_covered(choice.resolver or choice.rule, choice.manifest, rules, disk)
            manifests[lock].add(choice.manifest)
    return [
        f"{lock} does not cover {', '.join(sorted(names))}, which no workspace there names: the newest version is used"
        for lock, names in sorted(manifests.items())
        if lock
    ]


def _sizes(service: Service, build_of: Mapping[str, str], settings: Settings) -> tuple[Sizes, ...]:
    """Return what each function that is built loads in Lambda; ``build_of`` has the build of functions and layers."""
    built = (function for function in service.functions if function.name in build_of)
    return tuple(
        Sizes(
            function=function.name,
            build=build_of[function.name],
            layers=tuple(build_of[layer] for layer in function.layers if layer in build_of),
            layer_count=len(function.layers) + function.foreign_layers,
            handler=_handler(function, settings),
        )
        for function in sorted(built, key=lambda function: function.name)
    )


def _handler(function: Function, settings: Settings) -> tuple[str, ...]:
    """Return what the handler check depends on in addition to files; () when the handler is not checked."""
    finder = finder_of(function.runtime)
    if finder is None or not settings.flag("check_handler", function.name):
        return ()
    return (function.runtime, function.handler, *(name for name in finder.search_path if name in function.environment))
