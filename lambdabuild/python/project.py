"""A pyproject.toml as far as its dependencies go, and whether its uv.lock still fits it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lambdabuild.core import regular
from lambdabuild.core.errors import BadManifest, CannotResolve
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span
from lambdabuild.python.requirements import normalised
from lambdabuild.python.targets import Platform
from lambdabuild.rule_api import Job

KINDS_OF_MEMBERS = ("virtual", "editable", "directory")
"""How uv.lock marks the projects that it is the lock of, each with its path from the lock's folder."""


class Project(Struct, frozen=True):
    """``options`` choose groups and extras, for ``uv export`` and ``uv pip compile`` alike."""

    has_dependencies: bool
    lock: str
    options: tuple[str, ...]
    local_paths: tuple[str, ...]


def read(job: Job, platform: Platform) -> Project:
    """Raises BadManifest (LB402) for what cannot be read or a stale lock, CannotResolve (LB408) for another Python."""
    manifest = job.target.manifest
    shown = os.path.relpath(manifest, job.target.project)
    data = _toml(manifest, shown)
    about = data.get("project", {})
    _check_python(job, about.get("requires-python", ""), platform, shown)
    lock = os.path.join(job.target.workspace or os.path.dirname(manifest), "uv.lock")
    has_lock = os.path.isfile(lock)
    if has_lock:
        check_member(job, lock, os.path.dirname(manifest))
    groups, extras = _names(job, "groups"), _names(job, "extras")
    chosen = [word for name in extras for word in ("--extra", name)]
    folder = os.path.dirname(manifest)
    is_open = "dependencies" in about.get("dynamic", ())
    return Project(
        has_dependencies=bool(about.get("dependencies") or is_open or groups or extras),
        lock=lock if has_lock else "",
        options=(*chosen, *(word for name in groups for word in ("--group", name))),
        local_paths=tuple(sorted({*_local_paths(folder, data), *_members_named(job, about)})),
    )


def with_their_own(folders: Iterable[str]) -> list[str]:
    """Folders of local projects, and those that they name in [tool.uv.sources] in turn."""
    result: dict[str, None] = {}
    waiting = list(folders)
    while waiting:
        folder = waiting.pop(0)
        file = os.path.join(folder, "pyproject.toml")
        if folder not in result and os.path.isfile(file):
            with open(file, "rb", opener=regular.opener) as stream, suppress(ValueError, AttributeError):
                data = regular.toml(stream.read().decode())
                waiting += sorted(filter(os.path.isdir, _local_paths(folder, data)))
        result[folder] = None
    return list(result)


def _toml(file: str, shown: str) -> dict[str, Any]:
    try:
        with open(file, "rb", opener=regular.opener) as stream:
            return regular.toml(stream.read().decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        place = re.search(r"at line (\d+), column (\d+)", str(error))
        where = Span(shown, int(place[1]), int(place[2])) if place else Span(shown)
        raise BadManifest(f"{shown} is not TOML: {error}", where=where, help="correct it at that place") from error


def _names(job: Job, option: str) -> list[str]:
    value = job.target.options.get(option, [])
    return [value] if isinstance(value, str) else [str(name) for name in value]


def _check_python(job: Job, wanted: str, platform: Platform, shown: str) -> None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        fits = SpecifierSet(wanted).contains(f"{platform.python}.99", prereleases=True)
    except InvalidSpecifier as error:
        raise BadManifest(f"{shown}: requires-python: {error}", where=Span(shown), help="correct it") from error
    if not fits:
        raise CannotResolve(
            f"{job.who} runs on Python {platform.python}, but {shown} has requires-python {wanted!r}",
            where=Span(shown),
            help="change Runtime or requires-python",
        )


def check_member(job: Job, lock_file: str, folder: str) -> None:
    """Raise BadManifest (LB402) if a uv.lock was made for another pyproject.toml than the one in a folder.

    uv can tell only with an interpreter of the right version at hand, so the lock's own record is compared.
    """
    manifest = os.path.join(folder, "pyproject.toml")
    if not os.path.isfile(manifest):
        return
    shown = os.path.relpath(manifest, job.target.project)
    about = _toml(manifest, shown).get("project", {})
    lock = _toml(lock_file, os.path.relpath(lock_file, job.target.project))
    path = os.path.relpath(folder, os.path.dirname(lock_file))
    marks = [{kind: path} for kind in KINDS_OF_MEMBERS]
    own = [package for package in lock.get("package", ()) if package.get("source", {}) in marks]
    if not own and about.get("dependencies") and path != ".":
        raise BadManifest(
            f"{job.who}: uv.lock does not know {shown}, which belongs to its workspace",
            where=Span(shown),
            help="bring it up to date with: uv lock",
        )
    if not own or "dynamic" in about:
        return
    listed = own[0].get("metadata", {}).get("requires-dist", ())
    recorded = {
        _key(item["name"], item.get("specifier", "")) for item in listed if "extra ==" not in item.get("marker", "")
    }
    wanted = {_requirement_key(text) for text in about.get("dependencies", ())}
    differing = sorted({name for name, _ in recorded ^ wanted})
    if differing:
        raise BadManifest(
            f"{job.who}: uv.lock was made for another {shown}: {', '.join(differing)}",
            where=Span(shown),
            help="bring it up to date with: uv lock",
        )


def _requirement_key(text: str) -> tuple[str, str]:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return text, ""
    return _key(requirement.name, str(requirement.specifier))


def _key(name: str, specifier: str) -> tuple[str, str]:
    from packaging.specifiers import SpecifierSet

    return normalised(name), str(SpecifierSet(specifier))


def _members_named(job: Job, about: Mapping[str, Any]) -> Iterator[str]:
    """Yield the folders of the workspace's members that a project names directly; uv says where from."""
    root = job.target.workspace
    if not root:
        return
    shown = os.path.relpath(os.path.join(root, "pyproject.toml"), job.target.project)
    workspace = _toml(os.path.join(root, "pyproject.toml"), shown).get("tool", {}).get("uv", {}).get("workspace", {})
    wanted = {_requirement_key(str(text))[0] for text in about.get("dependencies", ())}
    for pattern in map(str, workspace.get("members", ())):
        for manifest in map(str, sorted(Path(root).glob(os.path.join(os.path.normpath(pattern), "pyproject.toml")))):
            member = _toml(manifest, os.path.relpath(manifest, job.target.project)).get("project", {})
            if normalised(str(member.get("name", ""))) in wanted:
                yield os.path.dirname(manifest)


def _local_paths(folder: str, data: Mapping[str, Any]) -> set[str]:
    sources = data.get("tool", {}).get("uv", {}).get("sources", {})
    paths = set()
    for source in sources.values() if isinstance(sources, dict) else ():
        for table in source if isinstance(source, list) else [source]:
            if isinstance(table, dict) and isinstance(table.get("path"), str):
                paths.add(os.path.normpath(os.path.join(folder, table["path"])))
    return paths


@contextmanager
def reading(job: Job, file: str, help: str) -> Iterator[None]:
    """Data of another shape than its tool gives it is told with its file: BadManifest (LB402).

    Holding every entry against a schema first would be more code than reading them.
    """
    try:
        yield
    except BadManifest as error:
        error.where = error.where or (job.place(file),)
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise BadManifest(
            f"{job.who}: {os.path.basename(file)} cannot be read: {type(error).__name__}: {error}",
            where=job.place(file),
            help=help,
        ) from error
