"""Plan [sources] and packaged functions: their builds, and the distributions they share."""

from __future__ import annotations

import json
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from lambdabuild.config.settings import DEFAULT_EXCLUDE, Settings, nearest
from lambdabuild.config.tables import SourceSettings
from lambdabuild.core.errors import BadSettings, LambdaBuildError, NoManifest, NoSource, raise_all
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.model import Function, Globs, Layer, Service
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Span
from lambdabuild.plan.rule_choice import Names
from lambdabuild.plan.types import Build, BuildKey, Pinned, Rule, Source

PACKAGE = "python_package"
"""The rule that builds every distribution."""
MANIFESTS = ("pyproject.toml", "setup.py")
METADATA_NAME = re.compile(r"[A-Za-z0-9_-]+")
TAGS_AT_MOST = 10


def check(service: Service, settings: Settings) -> None:
    """Raise the mistakes in [sources] together (LB107)."""
    raise_all(_bad_sources(service, settings))


def _bad_sources(service: Service, settings: Settings) -> Iterator[LambdaBuildError]:
    named: dict[str, Span] = {}
    for items in (service.functions, service.layers, service.skipped, service.assets):
        named |= {item.name: item.where for item in items}
    prefixes: dict[str, str] = {}
    for name, source in settings.sources.items():
        if name in named:
            places = [place for place in (source.where, named[name]) if place]
            yield BadSettings(
                f"the source {name!r} has the name of something in the template", where=places, help="rename it"
            )
        if not name or name in (".", "..") or name.startswith(".") or set(name) & set("/:*?[] "):
            help = "use letters, digits, - and _: it names tasks and files"
            yield BadSettings(f"{name!r} cannot be the name of a source", where=source.where, help=help)
        yield from _bad_labels(name, source, settings)
        first = prefixes.setdefault(_prefix(source, settings), name)
        if first != name:
            places = [place for place in (settings.sources[first].where, source.where) if place]
            yield BadSettings(
                f"the sources {first!r} and {name!r} have the same prefix, so their versions would collide",
                where=places,
                help=f'give one of them a prefix of its own: prefix = "{name}"',
            )


def _bad_labels(name: str, source: SourceSettings, settings: Settings) -> Iterator[LambdaBuildError]:
    """Yield what S3 would refuse: metadata travels as HTTP headers, and an object can have ten tags.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html and object-tagging.html
    """
    for key, value in source.metadata.items():
        if not METADATA_NAME.fullmatch(key) or key.lower() == "sha256" or not (value.isascii() and value.isprintable()):
            yield BadSettings(
                f"[sources.{name}] metadata cannot be {key!r} = {value!r}",
                where=source.where,
                help="names are letters, digits, - and _, but not sha256, which is ours; values are printable ASCII",
            )
    if len({**settings.tags, **source.tags}) > TAGS_AT_MOST:
        help = f"S3 takes {TAGS_AT_MOST} of an object, those of the settings among them"
        yield BadSettings(f"[sources.{name}] has too many tags", where=source.where, help=help)


def bad_functions(service: Service, settings: Settings) -> Iterator[tuple[str, LambdaBuildError]]:
    """Yield the mistakes of functions about [sources] (LB107), with the functions' names."""
    functions = {item.name: item for item in service.functions}
    alone = {item.name: item.reason for item in service.skipped}
    for name, own in settings.functions.items():
        wrong = _bad_function(name, own, settings, functions.get(name), alone.get(name, ""))
        if wrong and (own.packaged or own.source or own.source_version):
            where = functions[name].where if name in functions else None
            yield name, BadSettings(f"[functions.{name}] {wrong[0]}", where=where, help=wrong[1])


def _bad_function(
    name: str, own: FunctionSettings, settings: Settings, function: Function | None, alone: str
) -> tuple[str, str] | None:
    """Return what is wrong and how to fix it, None when nothing is wrong."""
    setting = "packaged" if own.packaged else "source" if own.source else "source_version"
    if function is None:
        why = f"is not built ({alone})" if alone else "is no function"
        return f"has {setting}, but {name} {why}", f"remove {setting}, or give it a code folder"
    if not function.runtime.startswith("python"):
        return f"has {setting}, but its runtime is {function.runtime}", f"remove {setting}: distributions are Python's"
    if own.packaged and own.source:
        return "has both packaged and source", "keep one: a source brings no dependencies"
    if own.source_version and not own.source:
        return "has a source_version, but no source", "name the source as well"
    if own.source and own.source not in settings.sources:
        near = nearest(own.source, settings.sources)
        known = ", ".join(sorted(settings.sources)) or "none"
        return f"names the source {own.source!r}", f"did you mean {near!r}?" if near else f"there are: {known}"
    command = settings.command_of(name, function.build_method, function.runtime)
    if command.run and (own.source or not command.adds):
        return f"has {setting}, and [commands] has a command for it", "keep one: both define its code"
    return None


def folder_of(item: Function | Layer, folders: Iterable[str], names: Names) -> str:
    """Return the folder of a function's distribution: the first with a manifest. Raise NoManifest (LB303)."""
    for folder in folders:
        if any(name in names.get(folder, ()) for name in MANIFESTS):
            return folder
    raise NoManifest(
        f"function {item.name!r} is packaged, but there is no {' or '.join(MANIFESTS)} in {item.source}/",
        where=item.where,
        help="add a pyproject.toml that names its packages, or remove packaged",
    )


def packaged(key: BuildKey, folder: str, settings: Settings, name: str) -> BuildKey:
    """Return the key with an installed distribution in place of the code folder; its backend decides what is in it."""
    leave_out = (*settings.exclude, *settings.of(name).exclude)
    source = key.source if key.command.run else folder
    return replace(key, package=folder, source=source, leave_out_package=leave_out, globs=Globs())


def folder_of_source(source: SourceSettings) -> str:
    """Return the folder of a source as a normalized path relative to the project."""
    return posixpath.normpath(source.path)


def builds(service: Service, settings: Settings, names: Names) -> tuple[Build, ...]:
    """Return one build per source, shared by the functions that name it. Raise NoSource, NoManifest (LB302, LB303)."""
    raise_all(_missing(settings, names))
    return tuple(_build(name, source, service, settings) for name, source in sorted(settings.sources.items()))


def _missing(settings: Settings, names: Names) -> Iterator[LambdaBuildError]:
    for name, source in sorted(settings.sources.items()):
        folder = folder_of_source(source)
        if folder not in names:
            yield NoSource(
                f"the folder {source.path}/ of source {name!r} does not exist or is not a folder",
                where=source.where,
                help=f"correct [sources.{name}] path; it is relative to the project's folder",
            )
        elif not any(manifest in names[folder] for manifest in MANIFESTS):
            yield NoManifest(
                f"source {name!r} has no {' or '.join(MANIFESTS)} in {source.path}/",
                where=source.where,
                help=f"add one, or correct [sources.{name}] path",
            )


def _build(name: str, source: SourceSettings, service: Service, settings: Settings) -> Build:
    folder = folder_of_source(source)
    users = [f for f in service.functions if settings.of(f.name).source == name and _is_built(settings.of(f.name))]
    key = BuildKey(
        rule=PACKAGE,
        kind="source",
        runtime="",
        architecture="",
        source=folder,
        package=folder,
        leave_out_package=settings.exclude,
        name=name,
    )
    return Build(name, key, (name, *sorted(function.name for function in users)))


def _is_built(own: FunctionSettings) -> bool:
    return not own.source_version


def _resolver(name: str) -> tuple[tuple[str, str], ...]:
    return (("resolver", json.dumps(name)),) if name else ()


def with_packages(
    function_builds: Iterable[Build], settings: Settings, rules: tuple[Rule, ...]
) -> tuple[tuple[Build, ...], tuple[Build, ...]]:
    """Return the builds with the names of their distributions, and the distributions."""
    every = sorted(function_builds, key=lambda build: build.name)
    users: dict[BuildKey, list[str]] = defaultdict(list)
    for build in every:
        if build.key.package:
            users[_package_key(build, settings, rules)].append(build.name)
    first = {build.name: build.key.kind != "source" for build in every}
    named = {key: min(names, key=lambda name: (first[name], name)) for key, names in users.items()}
    packages = (Build(named[key], key, tuple(names), compiles=True) for key, names in users.items())
    builds = (
        replace(build, package=named[_package_key(build, settings, rules)]) if build.key.package else build
        for build in every
    )
    return tuple(builds), tuple(sorted(packages, key=lambda package: package.name))


def _package_key(build: Build, settings: Settings, rules: tuple[Rule, ...]) -> BuildKey:
    rule = next(rule for rule in rules if rule.name == PACKAGE)
    resolver = settings.of(build.users[0]).resolver or settings.resolver
    return BuildKey(
        rule=PACKAGE,
        kind="source",
        runtime="",
        architecture="",
        source=build.key.package,
        options=_resolver(resolver),
        leave_out=(*DEFAULT_EXCLUDE, *rule.leave_out),
    )


def published(settings: Settings) -> tuple[Source, ...]:
    """Return how each source is published."""
    return tuple(
        Source(
            name=name,
            prefix=_prefix(source, settings),
            tags=tuple(sorted({**settings.tags, **source.tags}.items())),
            metadata=tuple(sorted(source.metadata.items())),
            overwrite=source.overwrite,
        )
        for name, source in sorted(settings.sources.items())
    )


def _prefix(source: SourceSettings, settings: Settings) -> str:
    return (settings.prefix if source.prefix is None else source.prefix).strip("/")


def pinned(service: Service, settings: Settings) -> tuple[Pinned, ...]:
    """Return the functions that use an earlier version of a source."""
    functions = ((function.name, settings.of(function.name)) for function in service.functions)
    return tuple(Pinned(name, own.source, own.source_version) for name, own in sorted(functions) if own.source_version)
