"""A pyproject.toml of Poetry with its poetry.lock -> what is to be installed on one platform.

The formats: https://python-poetry.org/docs/pyproject/ and https://python-poetry.org/docs/dependency-specification/;
of poetry.lock, poetry/packages/locker.py (its metadata.lock-version is 1.x, 2.0 or 2.1) is all there is.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lambdabuild.core import regular
from lambdabuild.core.errors import BadManifest, CannotResolve
from lambdabuild.core.spans import Span
from lambdabuild.python import locks, pins, project, resolve, targets
from lambdabuild.python.named_indexes import Index
from lambdabuild.python.poetry import constraints, sources
from lambdabuild.python.poetry.manifest import (
    PAGE,
    Dependency,
    Manifest,
    check_names,
    check_python,
    dependencies,
    has_own_dependencies,
    holds,
    line_of,
    name_of,
    read,
)
from lambdabuild.python.requirements import normalised
from lambdabuild.python.targets import Platform
from lambdabuild.rule_api import Job, Result

AGAIN = "poetry lock"
SECTIONS = ("dependencies", "source", "extras", "dev-dependencies")
PROJECT_KEYS = ("requires-python", "dependencies", "optional-dependencies")
KNOWN_POETRY = (2, 5)
"""The last Poetry whose way to make the content-hash is known to be the one below."""


def from_poetry(job: Job) -> Result:
    """Packages of a pyproject.toml as its poetry.lock says, or as [tool.poetry.dependencies] does without one."""
    given, folder = job.target.manifest, os.path.dirname(job.target.manifest)
    platform = targets.platform_of(job.target.runtime, job.target.architecture, job.who)
    is_lock = given.endswith(".lock")
    file = os.path.join(folder, "pyproject.toml") if is_lock else given
    lock = given if is_lock else os.path.join(folder, "poetry.lock")
    has_lock, reads = os.path.isfile(lock), [pins.configuration(file)]
    with project.reading(job, file, PAGE):
        manifest = read(job, file)
        if has_lock or has_own_dependencies(manifest.data):
            check_names(job, manifest)
            check_python(job, manifest, platform)
        asked = None if has_lock else _asked(job, manifest, platform)
    if has_lock:
        with project.reading(job, lock, f"make it again with: {AGAIN}"):
            locked, notes = read_lock(job, manifest, lock, platform)
        return pins.from_lock(job, platform, locked, reads, notes)
    if asked:
        return pins.from_constraints(job, platform, asked, [*reads, lock])
    return resolve.from_pyproject(job)


def read_lock(job: Job, manifest: Manifest, file: str, platform: Platform) -> tuple[pins.Locked, list[str]]:
    """Return what a poetry.lock has for a platform, the chosen groups and extras; and notes.

    Raises BadManifest (LB402) for one that cannot be read or was made for another pyproject.toml.
    """
    shown = os.path.relpath(file, job.target.project)
    lock = project._toml(file, shown)
    version = str(lock.get("metadata", {}).get("lock-version", "1.0"))
    if not re.match(r"[12]\.", version):
        raise BadManifest(
            f"{job.who}: poetry.lock has the unknown format {version}",
            where=Span(shown),
            help="make it with Poetry 1 or 2",
        )
    text = regular.read_text(file)
    notes = _check_fresh(job, manifest, lock, text, shown)
    if all("groups" in package for package in lock.get("package", ())):
        packages = [package for package in lock.get("package", ()) if _is_wanted(package, manifest, platform)]
    else:
        packages = _walked(job, manifest, lock, platform, shown)
    named: dict[str, Index] = {}
    locked: list[pins.Pin] = []
    direct: list[locks.Choice] = []
    for package in packages:
        where = Span(shown, line_of(text, rf"(?m)^name = \"{re.escape(package['name'])}\"$"))
        hashes = _hashes(package, lock)
        if package.get("source", {}).get("type", "legacy") != "legacy":
            direct.append(_direct(job, package, os.path.dirname(file), hashes, where))
            continue
        index = sources.index(package.get("source", {}))
        locked.append(pins.Pin(normalised(package["name"]), package["version"], tuple(hashes), where, index))
        named.setdefault(index.url, index)
    return pins.Locked(file, tuple(locked), tuple(direct), tuple(named.values()), AGAIN), notes


def _check_fresh(job: Job, manifest: Manifest, lock: Mapping[str, Any], text: str, shown: str) -> list[str]:
    """Compute the hashes as Poetry does at installation. A newer Poetry may compute them in a different way."""
    recorded = lock.get("metadata", {}).get("content-hash", "")
    if recorded in content_hashes(manifest.data):
        return []
    made_by = re.search(r"by Poetry (\d+)\.(\d+)", text.partition("\n")[0])
    if made_by and (int(made_by[1]), int(made_by[2])) > KNOWN_POETRY:
        return [f"whether {shown} still fits {manifest.shown} cannot be told: Poetry {made_by[1]}.{made_by[2]} made it"]
    raise BadManifest(
        f"{job.who}: poetry.lock was made for another {manifest.shown}",
        where=Span(manifest.shown),
        help=f"bring it up to date with: {AGAIN}",
    )


def content_hashes(data: Mapping[str, Any]) -> set[str]:
    """Every content-hash that a Poetry up to 2.5 gives a pyproject.toml; from 2.3 on [dependency-groups] counts."""
    digests = set()
    of_project: dict[str, Any] = data.get("dependency-groups", {})
    for groups in (of_project, {}):
        about = {key: data["project"][key] for key in PROJECT_KEYS if key in data.get("project", {})}
        content: dict[str, Any] = {"project": about} if about else {}
        content |= {"dependency-groups": groups} if groups else {}
        own = data.get("tool", {}).get("poetry", {})
        kept = {key: own[key] for key in (*SECTIONS, "group") if own.get(key) is not None}
        content = content | {"tool": {"poetry": kept}} if content else dict.fromkeys(SECTIONS) | kept
        digests.add(hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest())
        # Poetry 1 looks at nothing but [tool.poetry].
        old = json.dumps(dict.fromkeys(SECTIONS) | kept, sort_keys=True, default=str)
        digests.add(hashlib.sha256(old.encode()).hexdigest())
    return digests


def _is_wanted(package: Mapping[str, Any], manifest: Manifest, platform: Platform) -> bool:
    """Since format 2.1 each package lists its groups, and its markers for all of them or for each."""
    markers = package.get("markers", "")
    return any(
        holds(markers.get(group, "") if isinstance(markers, dict) else markers, platform, manifest.extras)
        for group in package["groups"]
        if normalised(group) in manifest.groups
    )


def _walked(
    job: Job, manifest: Manifest, lock: Mapping[str, Any], platform: Platform, shown: str
) -> list[Mapping[str, Any]]:
    """Before format 2.1 a lock lists only which package needs which, so we start from what the manifest asks for.

    A package may be there in several versions; who asks for it decides. So this is done until nothing changes.
    """
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for package in lock.get("package", ()):
        by_name.setdefault(normalised(package["name"]), []).append(package)
    roots = manifest.wanted(platform)
    chosen: dict[str, Mapping[str, Any]] = {}
    for _ in range(len(by_name) + 1):
        asked = _by_name([*roots, *_needs_of(chosen, roots, platform)])
        versions = {name: _version_for(job, by_name.get(name, []), asked[name], platform, shown) for name in asked}
        if versions == chosen:
            break
        chosen = versions
    return [chosen[name] for name in sorted(chosen)]


def _by_name(asked: Iterable[Dependency]) -> dict[str, list[Dependency]]:
    result: dict[str, list[Dependency]] = {}
    for dependency in asked:
        result.setdefault(dependency.name, []).append(dependency)
    return result


def _needs_of(
    chosen: Mapping[str, Mapping[str, Any]], roots: Sequence[Dependency], platform: Platform
) -> list[Dependency]:
    """Return what the chosen packages need, each with all extras that are asked for."""
    extras: dict[str, frozenset[str]] = {}
    result: list[Dependency] = []
    waiting = list(roots)
    while waiting:
        asked = waiting.pop()
        before = extras.get(asked.name)
        extras[asked.name] = (before or frozenset()) | asked.extras
        if asked.name in chosen and extras[asked.name] != before:
            needs = list(_needs(chosen[asked.name], extras[asked.name], platform))
            result += needs
            waiting += needs
    return result


def _needs(package: Mapping[str, Any], extras: frozenset[str], platform: Platform) -> Iterator[Dependency]:
    listed = {normalised(name): texts for name, texts in package.get("extras", {}).items()}
    chosen = {name_of(text) for extra in extras for text in listed.get(extra, ())}
    for dependency in dependencies(package.get("dependencies", {})):
        if (not dependency.optional or dependency.name in chosen) and dependency.applies(platform, extras):
            yield dependency


def _version_for(
    job: Job, versions: Sequence[Mapping[str, Any]], asked: Sequence[Dependency], platform: Platform, shown: str
) -> Mapping[str, Any]:
    from packaging.version import Version

    fitting = [
        package
        for package in versions
        if constraints.fits_python(package.get("python-versions", ""), platform)
        and all(constraints.allows(dependency.constraint, package["version"]) for dependency in asked)
    ]
    if not fitting:
        raise BadManifest(
            f"{job.who}: poetry.lock has no {asked[0].name} for Python {platform.python}"
            f" that is {', '.join(sorted({dependency.constraint for dependency in asked}))}",
            where=Span(shown),
            help=f"bring it up to date with: {AGAIN}",
        )
    return max(fitting, key=lambda package: Version(package["version"]))


def _hashes(package: Mapping[str, Any], lock: Mapping[str, Any]) -> dict[str, str]:
    """``{hash: file name}``: in the package since format 2.0, before that in the lock's metadata."""
    about, name = lock.get("metadata", {}), package["name"]
    files = package["files"] if "files" in package else about.get("files", {}).get(name, ())
    return {item["hash"]: item["file"] for item in files} or dict.fromkeys(about.get("hashes", {}).get(name, ()), "")


def _direct(job: Job, package: Mapping[str, Any], folder: str, hashes: Mapping[str, str], where: Span) -> locks.Choice:
    """Return the choice for a package that comes from no index: a path, an address, a git commit."""
    source, name, version = package["source"], normalised(package["name"]), package["version"]
    url, below = source["url"], source.get("subdirectory", "")
    of_file = [digest for digest, file in hashes.items() if file == locks.file_name_of(url)]
    sha256 = pins.sha256_among(of_file or list(hashes))
    if source["type"] == "git":
        commit = source.get("resolved_reference") or source["reference"]
        return locks.Source(name, version, git=url, commit=commit, subdirectory=below)
    if source["type"] == "url":
        return pins.at_address(name, version, url, sha256, below)
    if source["type"] in ("directory", "file"):
        path = os.path.normpath(os.path.join(folder, url))
        return pins.file_or_folder(job, name, version, path, sha256, where, below)
    raise CannotResolve(
        f"{job.who}: {name} comes from {source['type']!r}, which is not known here",
        where=where,
        help="take it from an index, a path, an address or git",
    )


def _asked(job: Job, manifest: Manifest, platform: Platform) -> pins.Asked | None:
    """Return what [tool.poetry] asks for; None when [project] does. Raise an error if only Poetry can tell: lock it."""
    if not has_own_dependencies(manifest.data):
        return None
    tables = (
        manifest.data.get("dependency-groups", {}),
        manifest.data.get("project", {}).get("optional-dependencies", {}),
    )
    for what, asked, table in zip(("group", "extra"), (manifest.groups, manifest.extras), tables, strict=True):
        if told := asked & set(map(normalised, table)):
            raise _for_poetry_only(job, f"the {what} {min(told)} of {manifest.shown}", Span(manifest.shown))
    wanted = manifest.wanted(platform)
    lines = tuple((_requirement(job, manifest, dependency), manifest.where(dependency.name)) for dependency in wanted)
    folders = tuple(sources.local_projects(job, manifest.folder, wanted))
    return pins.Asked(manifest.file, lines, sources.of(job, manifest, platform), folders)


def _for_poetry_only(job: Job, what: str, where: Span) -> CannotResolve:
    message = f"{job.who}: {what} can be resolved by Poetry only"
    return CannotResolve(message, where=where, help=f"make a poetry.lock with: {AGAIN}")


def _requirement(job: Job, manifest: Manifest, dependency: Dependency) -> str:
    """Return the requirement in PEP 508's form, without the marker, which was evaluated before."""
    name = dependency.name + (f"[{','.join(sorted(dependency.extras))}]" if dependency.extras else "")
    sources.check_path(job, manifest, dependency)
    if url := sources.address(manifest, dependency):
        return f"{name} @ {url}"
    specifier = constraints.specifier(dependency.constraint, manifest.where(dependency.name))
    if specifier is None or dependency.table.get("allow-prereleases"):
        raise _for_poetry_only(job, f"{dependency.name} {dependency.constraint!r}", manifest.where(dependency.name))
    return name + specifier
