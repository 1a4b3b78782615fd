"""Read where packages come from in the tables of [tool.poetry], when there is no lock."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lambdabuild.core.errors import BadManifest
from lambdabuild.python.named_indexes import FROM_PYPI, Index, Origins, index_of
from lambdabuild.python.poetry.manifest import MAIN, Dependency, Manifest, dependencies, name_of, read
from lambdabuild.python.requirements import Line
from lambdabuild.python.targets import Platform
from lambdabuild.rule_api import Job

SSH = re.compile(r"(?:([\w.-]+)@)?([\w.-]+):(?!//)(.+)")
"""``git@host:owner/repository``, which is no address."""


def index(source: Mapping[str, Any]) -> Index:
    """Credentials of a named source are in POETRY_HTTP_BASIC_<NAME>_USERNAME and _PASSWORD, as for Poetry."""
    if not source:
        return Index("PyPI", FROM_PYPI)
    name = str(source.get("reference") or source.get("name") or "")
    label = re.sub(r"[^A-Z0-9]", "_", name.upper())
    user, password = (os.environ.get(f"POETRY_HTTP_BASIC_{label}_{what}", "") for what in ("USERNAME", "PASSWORD"))
    return index_of(name, source.get("url") or FROM_PYPI, user, password)


def indexes(manifest: Manifest) -> tuple[Index, ...]:
    """Return the indexes for packages that name no source; PyPI is among them unless another replaces it."""
    listed = [source for source in manifest.poetry.get("source", ()) if source.get("priority") != "explicit"]
    sources = [source for source in listed if "url" in source]
    replaced = any(source.get("priority", "primary") in ("primary", "default") for source in sources)
    has_pypi = len(sources) < len(listed) or not replaced
    return (*map(index, sources), *([index({})] if has_pypi else []))


def of(job: Job, manifest: Manifest, platform: Platform) -> Origins:
    """Return the packages of a manifest's chosen groups on a platform."""
    wanted = list(_told(manifest, platform))
    _check_paths(job, manifest, wanted)
    direct = {
        dependency.name: Line(f"{dependency.name} @ {url}", manifest.where(dependency.name))
        for dependency in wanted
        if (url := address(manifest, dependency))
    }
    named = {
        dependency.name: _named(job, manifest, dependency) for dependency in wanted if dependency.table.get("source")
    }
    folders = tuple(path for path in _folders(manifest.folder, wanted) if os.path.isdir(path))
    return Origins(direct, named, indexes(manifest) if manifest.poetry.get("source") else (), folders)


def of_projects(job: Job, folders: Iterable[str], platform: Platform) -> Origins:
    """Return the same of local projects and those that they lead to.

    poetry-core writes the paths and commits of [tool.poetry.dependencies] into a package's metadata, but none that
    only tell more of what stands in [project]; and never a source.
    """
    origins, waiting, seen = Origins(), list(folders), set[str]()
    while waiting:
        folder = waiting.pop(0)
        file = os.path.join(folder, "pyproject.toml")
        if folder in seen or not os.path.isfile(file):
            continue
        seen.add(folder)
        manifest = read(job, file, chosen=False)
        if not manifest.poetry:
            continue
        told = of(job, manifest, platform)
        waiting += told.folders
        if "dependencies" not in manifest.data.get("project", {}):
            told = Origins({}, told.named)
        origins = origins.and_then(told)
    return origins


def _told(manifest: Manifest, platform: Platform) -> Iterator[Dependency]:
    for group, table in manifest.tables():
        for dependency in dependencies(table) if group in {MAIN, *manifest.groups} else ():
            if dependency.applies(platform, manifest.extras, manifest.where(dependency.name)):
                yield dependency


def _check_paths(job: Job, manifest: Manifest, wanted: Iterable[Dependency]) -> None:
    """Keep the sources of packages that [project] needs; the others are not asked for."""
    needed = {name_of(str(text)) for text in manifest.data.get("project", {}).get("dependencies", ())}
    for dependency in wanted:
        if dependency.name in needed:
            check_path(job, manifest, dependency)


def check_path(job: Job, manifest: Manifest, dependency: Dependency) -> None:
    """Raise BadManifest (LB402) if the path does not exist."""
    path = dependency.table.get("path") or dependency.table.get("file")
    place = os.path.normpath(os.path.join(manifest.folder, str(path)))
    if path and not os.path.exists(place):
        shown = os.path.relpath(place, job.target.project)
        raise BadManifest(
            f"{job.who}: {dependency.name} is to come from {shown}, which does not exist",
            where=manifest.where(dependency.name),
            help="correct the path; it is relative to the manifest",
        )


def address(manifest: Manifest, dependency: Dependency) -> str:
    """Return the address of a package that comes from no index, as PEP 508 writes it; "" otherwise."""
    below = f"#subdirectory={dependency.table['subdirectory']}" if dependency.table.get("subdirectory") else ""
    if path := dependency.table.get("path") or dependency.table.get("file"):
        return Path(os.path.normpath(os.path.join(manifest.folder, path))).as_uri() + below
    if url := dependency.table.get("git"):
        reference = next((dependency.table[key] for key in ("rev", "tag", "branch") if key in dependency.table), "")
        return f"git+{_git(str(url))}{'@' + reference if reference else ''}{below}"
    return f"{dependency.table['url']}{below}" if dependency.table.get("url") else ""


def _git(url: str) -> str:
    match = SSH.fullmatch(url)
    return f"ssh://{match[1] + '@' if match[1] else ''}{match[2]}/{match[3]}" if match else url


def _named(job: Job, manifest: Manifest, dependency: Dependency) -> Index:
    known = {str(source.get("name", "")).lower(): source for source in manifest.poetry.get("source", ())}
    name = str(dependency.table["source"])
    if name.lower() not in known and name.lower() != "pypi":
        raise BadManifest(
            f"{job.who}: {dependency.name} is to come from the source {name!r}, which {manifest.shown} does not have",
            where=manifest.where(dependency.name),
            help="add it as [[tool.poetry.source]]",
        )
    return index(known.get(name.lower(), {}))


def local_projects(job: Job, folder: str, asked: Iterable[Dependency]) -> list[str]:
    """Return the folders that are asked for by path, and those that they ask for in the same way."""
    projects: list[str] = []
    waiting = _folders(folder, asked)
    while waiting:
        project = waiting.pop()
        file = os.path.join(project, "pyproject.toml")
        if project not in projects and os.path.isdir(project):
            projects.append(project)
            if os.path.isfile(file):
                waiting += _folders(project, dependencies(read(job, file).poetry.get("dependencies", {})))
    return projects


def _folders(folder: str, asked: Iterable[Dependency]) -> list[str]:
    return [
        os.path.normpath(os.path.join(folder, str(dependency.table["path"])))
        for dependency in asked
        if "path" in dependency.table
    ]
