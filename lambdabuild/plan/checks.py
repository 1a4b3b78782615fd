"""Mistakes in the settings that show only next to the template: unknown names and files that do not exist."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from lambdabuild.config.settings import Settings, nearest
from lambdabuild.core.errors import BadLayer, BadSettings, LambdaBuildError, NoInclude, NoSource, raise_all
from lambdabuild.core.model import Function, Image, Layer, Service, Skipped
from lambdabuild.plan import sources, targets
from lambdabuild.plan.rule_choice import Names, refuse_unknown
from lambdabuild.plan.types import Build, ResolutionKey, Rule


def refuse_bad_settings(service: Service, rules: tuple[Rule, ...], settings: Settings) -> None:
    """Raise BadSettings (LB107) for settings about what the template does not have."""
    if not service.broken:  # otherwise not all names of the template are known
        _refuse_unknown_commands(service, settings)
        _refuse_unknown_functions(service, settings)
    refuse_unknown(settings.executor.only, rules)
    sources.check(service, settings)


def _refuse_unknown_functions(service: Service, settings: Settings) -> None:
    items: tuple[Function | Layer | Image | Skipped, ...]
    items = (*service.functions, *service.layers, *service.images, *service.skipped)
    known = {item.name for item in items if getattr(item, "kind", "") not in ("stack", "file")}
    raise_all(
        BadSettings(
            f"[functions.{name}] is about a function that the template does not have",
            help=_closest(name, known),
        )
        for name in sorted(settings.functions.keys() - known)
    )


def _refuse_unknown_commands(service: Service, settings: Settings) -> None:
    items: tuple[Function | Layer, ...] = (*service.functions, *service.layers)
    names = (name for item in items for name in (item.name, item.build_method, targets.runtime(item)))
    known = {name for name in names if name}
    raise_all(
        BadSettings(
            f"[commands] has {name!r}, which is not a function, layer, build method or runtime of this project",
            help=_closest(name, known),
        )
        for name in sorted(settings.commands)
        if not any(fnmatchcase(value, name) for value in known)
    )


def _closest(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f"did you mean {near!r}?" if near else f"known: {', '.join(sorted(known))}"


def refuse_missing_folder(item: Function | Layer, names: Names) -> None:
    """Raise NoSource (LB302) when the code folder is not a folder."""
    if item.source not in names:
        raise NoSource(
            f"the code folder {item.source}/ of {targets.kind(item)} {item.name!r} does not exist or is not a folder",
            where=item.where,
            help=f"correct [{targets.kind(item)}s.{item.name}] path; it is relative to the project's folder"
            if item.from_settings
            else "correct the path in the template; it is relative to the template's folder",
        )


def missing_files(item: Function | Layer, settings: Settings, names: Names) -> list[LambdaBuildError]:
    """Return an error (LB415) for each path of ``include`` and ``requirements`` that does not exist."""
    paths = {"include": targets.include(item, settings), "requirements": targets.requirements(item, settings)}
    return [
        _missing_file(item, setting, path, names)
        for setting, listed in paths.items()
        for path in listed
        if not _exists(path, names)
    ]


def _exists(path: str, names: Names) -> bool:
    folder, name = posixpath.split(path)
    return not name or name in (".", "..") or name in names.get(folder, ())


def _missing_file(item: Function | Layer, setting: str, path: str, names: Names) -> LambdaBuildError:
    folder, name = posixpath.split(path)
    near = nearest(name, names.get(folder, frozenset()))
    return NoInclude(
        f"{path}, named by {setting} of {targets.kind(item)} {item.name!r}, does not exist",
        where=item.where,
        help=f"did you mean {posixpath.join(folder, near)}?"
        if near
        else "correct the path; it is relative to the project's folder",
    )


def refuse_bytecode_of_several(
    items: tuple[Function | Layer, ...], builds: tuple[Build, ...], keys: Mapping[str, tuple[ResolutionKey, ...]]
) -> None:
    """Raise BadLayer for bytecode in a layer for several runtimes: bytecode is made by one."""
    places = {item.name: item.where for item in items}
    raise_all(
        BadLayer(
            f"layer {build.name!r} is for several runtimes, but bytecode works with one only",
            where=places[build.name],
            help=f"set bytecode = false in [layers.{build.name}]",
        )
        for build in builds
        if len(keys[build.name]) > 1 and dict(build.key.options).get("bytecode") == "true"
    )
