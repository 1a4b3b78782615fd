"""The resolve step of every Python rule: a manifest -> the parts that its packages are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from lambdabuild.core import regular
from lambdabuild.python import indexes, locks, named_indexes, pip, pip_sources, project, requirements, targets, uv
from lambdabuild.python.named_indexes import NOTHING_TOLD, Origins
from lambdabuild.python.poetry import manifest as poetry_manifest
from lambdabuild.python.poetry import sources
from lambdabuild.python.requirements import Requirements
from lambdabuild.python.wheels import fetch, local, parts
from lambdabuild.rule_api import Archive, CannotResolve, Folder, Job, Part, RequirementsClash, Result


def from_requirements(job: Job) -> Result:
    """Packages of a requirements file: each a wheel for the target's platform, or built when it is pure Python.

    Files that the option ``requirements`` names are resolved together with it, not one after the other.
    """
    manifest, more = job.target.manifest, {**_more(job), **_said(job)}
    platform = targets.platform_of(job.target.runtime, job.target.architecture, job.who)
    listed = requirements.read(manifest, os.path.relpath(manifest, job.target.project), more)
    local_paths = list(listed.local_paths())
    files = [file for file in listed.files if not file.startswith(job.scratch + os.sep)]
    reads = [*files, *local_paths, *_configuration(os.path.dirname(manifest))]
    known_indexes = indexes.of(os.path.dirname(manifest), listed, offline=job.offline)
    by_pip = job.target.options.get("resolver") == "pip"
    projects = _projects(local_paths, listed)
    told = sources.of_projects(job, projects, platform)
    known_indexes = named_indexes.with_logins(job, known_indexes, told.named.values())
    ask = uv.Ask(manifest, tuple(_arguments(job, by_pip)), _links(job), known_indexes, more=tuple(more))
    if by_pip:
        return _result(job, known_indexes, _chosen_by_pip(job, ask, platform, listed), reads, [])
    choices, notes = _compiled(job, ask, platform, listed, local_paths, told)
    return _result(job, known_indexes, choices, [*reads, *projects, *told.folders], notes)


def _more(job: Job) -> dict[str, str]:
    """Requirements files besides the manifest: absolute paths, each with its name for messages."""
    value = job.target.options.get("requirements", [])
    return {os.path.join(job.target.project, path): path for path in ([value] if isinstance(value, str) else value)}


ARGUMENTS = {"--no-deps": "--no-deps", "--pre": "--prerelease=allow", "--trusted-host": "--allow-insecure-host"}
"""Options that uv does not take from a file, by what pip calls them."""
PATHS = frozenset({"-c", "--constraint", "-f", "--find-links"})


def _lines(job: Job) -> list[str]:
    value = job.target.options.get("requirement_options", [])
    return [value] if isinstance(value, str) else list(value)


def _said(job: Job) -> dict[str, str]:
    """Write a file with the option ``requirement_options`` (lines such as ``--extra-index-url https://...``)."""
    lines = [_absolute(job, line) for line in _lines(job) if line.partition(" ")[0] not in ARGUMENTS]
    if not lines:
        return {}
    file = os.path.join(job.scratch, "options.txt")
    with open(file, "w", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + "\n")
    return {file: "requirement_options"}


def _absolute(job: Job, line: str) -> str:
    """Paths in an option are relative to the project's folder."""
    word, _, value = line.partition(" ")
    return f"{word} {os.path.join(job.target.project, value)}" if word in PATHS and "://" not in value else line


def _arguments(job: Job, by_pip: bool) -> Iterator[str]:
    for line in _lines(job):
        word, _, value = line.partition(" ")
        if word in ARGUMENTS:
            yield word if by_pip else ARGUMENTS[word]
            yield from [value] if value else []


def _chosen_by_pip(job: Job, ask: uv.Ask, platform: targets.Platform, listed: Requirements) -> tuple[locks.Choice, ...]:
    """Choose by pip. It builds local projects in place, so it gets copies; hashes are checked as for uv."""
    projects = _projects((path for _, path in listed.local_lines()), listed)
    told = sources.of_projects(job, projects, platform)
    pip_sources.refuse(job, projects, told, listed, ask.indexes)
    ask, constraints = named_indexes.pinned(job, ask, replace(told, named={}))
    if projects or listed.has_paths_elsewhere:
        lists = [listed, *([constraints] if constraints else [])]
        ask = local.mirrored(job, ask, lists, [*projects, *told.folders], {})
    choices = pip.compile_lock(job, ask, platform, listed)
    locks.check_pinned(choices, listed, job.who)
    return choices


def from_pyproject(job: Job) -> Result:
    """Packages of a pyproject.toml, as its uv.lock says when there is one."""
    folder = os.path.dirname(job.target.manifest)
    platform = targets.platform_of(job.target.runtime, job.target.architecture, job.who)
    pyproject = project.read(job, platform)
    root = job.target.workspace or folder
    projects = _projects(pyproject.local_paths, None)
    told = NOTHING_TOLD if pyproject.lock else _told_to_poetry(job, platform, projects)
    reads = [*_configuration(folder), *_configuration(root), *pyproject.local_paths, *projects, *told.folders]
    if not pyproject.has_dependencies and not _more(job):
        _refuse_poetrys_own(job)
        return Result(reads=tuple(_there(reads)))
    where = indexes.of(root, None, offline=job.offline)
    if pyproject.lock:
        choices = uv.export_lock(job, folder, platform, pyproject.options, where)
        members = (choice.path for choice in choices if isinstance(choice, locks.Source) and choice.path)
        for member in members if job.target.workspace else ():
            project.check_member(job, pyproject.lock, member)
        choices, more = joined(job, platform, where, choices)
        return _result(job, where, choices, [*reads, pyproject.lock, *more], [])
    where = named_indexes.with_indexes(job, where, told.indexes, {})
    where = named_indexes.with_logins(job, where, told.named.values())
    ask = uv.Ask(job.target.manifest, pyproject.options, _links(job), where)
    choices, notes = _compiled(job, ask, platform, None, list(pyproject.local_paths), told)
    choices, more = joined(job, platform, where, choices)
    return _result(job, where, choices, [*reads, *more], notes)


def _told_to_poetry(job: Job, platform: targets.Platform, local_paths: Iterable[str]) -> Origins:
    """[tool.poetry.dependencies] may tell where a package of [project] comes from; uv would ask an index for it."""
    with project.reading(job, job.target.manifest, poetry_manifest.PAGE):
        manifest = poetry_manifest.read(job, job.target.manifest)
        told = sources.of(job, manifest, platform) if manifest.poetry else NOTHING_TOLD
    return told.and_then(sources.of_projects(job, [*told.folders, *local_paths], platform))


def _refuse_poetrys_own(job: Job) -> None:
    """A pyproject.toml that says its dependencies to Poetry only would be built without any."""
    with open(job.target.manifest, "rb", opener=regular.opener) as stream:
        data = regular.toml(stream.read().decode())
    if poetry_manifest.has_own_dependencies(data):
        raise CannotResolve(
            f"{job.who}: the dependencies are in [tool.poetry.dependencies], and there is no poetry.lock",
            where=job.place(job.target.manifest),
            help="run poetry lock, or move them to [project] dependencies",
        )


def joined(
    job: Job, platform: targets.Platform, where: indexes.Indexes, locked: tuple[locks.Choice, ...]
) -> tuple[tuple[locks.Choice, ...], list[str]]:
    """Return what is locked, plus what the files of the option ``requirements`` need; and the files read.

    The lock decides: the files are resolved with its versions as they are. Raises RequirementsClash (LB416) when that
    cannot be.
    """
    more = _more(job)
    if not more:
        return locked, []
    (first, shown), *rest = more.items()
    listed = requirements.read(first, shown, dict(rest))
    constraints = os.path.join(job.scratch, "locked.txt")
    with open(constraints, "w", encoding="utf-8") as stream:
        stream.writelines(f"{choice.name}=={choice.version}\n" for choice in locked if choice.version)
    ask = uv.Ask(first, ("--constraints", constraints), _links(job), where, more=tuple(more)[1:])
    local_paths = list(listed.local_paths())
    told = sources.of_projects(job, _projects(local_paths, listed), platform)
    try:
        compiled, _ = _compiled(job, ask, platform, listed, local_paths, told)
    except CannotResolve as error:
        manifest = os.path.relpath(job.target.manifest, job.target.project)
        raise RequirementsClash(
            f"{job.who}: {' and '.join(more.values())} ask for what does not go with the versions of {manifest}",
            where=error.where,
            tail=error.tail,
            help="agree on one version: a function has one copy of each package",
        ) from error
    known = {choice.name for choice in locked}
    together = (*locked, *(choice for choice in compiled if choice.name not in known))
    return tuple(sorted(together, key=lambda choice: choice.name)), [*listed.files, *listed.local_paths()]


def _configuration(folder: str) -> list[str]:
    return [os.path.join(folder, name) for name in indexes.CONFIGURATION]


def _compiled(
    job: Job,
    ask: uv.Ask,
    platform: targets.Platform,
    listed: Requirements | None,
    local_paths: list[str],
    told: Origins = NOTHING_TOLD,
) -> tuple[tuple[locks.Choice, ...], list[str]]:
    """Return the choices, and what they would have been without regard to wheels, asked at the same time."""
    projects = _projects([*local_paths, *told.folders], listed)
    ask, constraints = named_indexes.pinned(job, ask, told)
    names = local.names_of(job, filter(local.needs_build, projects), ask.indexes)
    ignored = list(listed.passed_over()) if listed else []
    if names or ignored or (listed and listed.has_paths_elsewhere):
        ask = local.mirrored(
            job, ask, [source_list for source_list in (listed, constraints) if source_list], projects, names
        )
    is_pinned = listed is not None and all("==" in line.text for line in listed.lines)
    with ThreadPoolExecutor(1) as pool:
        newest = None if job.offline or is_pinned or names else pool.submit(uv.newest, job, ask, platform)
        choices = uv.compile_lock(job, ask, platform, listed, list(names.values()))
    return choices, [
        *_older(choices, newest.result() if newest else {}, platform),
        *(
            f"{line.where}: {line.passed_over} says nothing there, as with pip; write it on a line of its own"
            for line in ignored
        ),
    ]


def _projects(paths: Iterable[str], listed: Requirements | None) -> list[str]:
    """Of what a manifest names the folders that are Python projects, and those that these name."""
    links = listed.link_folders if listed else ()
    return project.with_their_own(path for path in paths if os.path.isdir(path) and path not in links)


def _older(choices: Iterable[locks.Choice], newest: dict[str, str], platform: targets.Platform) -> list[str]:
    from packaging.version import Version

    return [
        f"{choice.name} {choice.version} instead of {newest[choice.name]}: that has no wheel for {platform.tag}"
        for choice in choices
        if choice.version and choice.name in newest and Version(newest[choice.name]) > Version(choice.version)
    ]


def _result(
    job: Job, where: indexes.Indexes, choices: Sequence[locks.Choice], reads: list[str], notes: list[str]
) -> Result:
    unwanted = uv.without(job)
    choices = [choice for choice in choices if choice.name not in unwanted]
    wheels = [choice for choice in choices if isinstance(choice, locks.Wheel)]
    paths = fetch.fetch(wheels, job, where.credentials)
    parts_by_name: dict[str, Part] = {
        wheel.name: parts.archive(wheel, path) for wheel, path in zip(wheels, paths, strict=True)
    }
    for choice in choices:
        if isinstance(choice, locks.Source):
            parts_by_name[choice.name] = local.build(job, choice, where)
    own = [choice.path for choice in choices if isinstance(choice, locks.Source) and choice.path]
    reads += [path for path in own if not path.startswith(job.scratch + os.sep)]
    return Result(
        parts=tuple(parts_by_name[choice.name] for choice in choices),
        reads=tuple(_there(reads)),
        notes=tuple(f"{job.target.name}: {note}" for note in notes),
        facts={"packages": [_fact(choice, parts_by_name[choice.name]) for choice in choices]},
    )


def _there(paths: Iterable[str]) -> list[str]:
    """Return paths that a later run should look at; missing ones count too, because they may be added."""
    return list(dict.fromkeys(os.path.normpath(path) for path in paths))


def _fact(choice: locks.Choice, part: Part) -> dict[str, Any]:
    fact: dict[str, Any] = {"name": choice.name, "version": choice.version}
    if isinstance(choice, locks.Source):
        return fact | {"built_from": choice.commit or ("sdist" if choice.url else "local"), "sha256": choice.sha256}
    assert isinstance(part, Archive | Folder)
    sha256 = os.path.basename(os.path.dirname(part.path))
    return fact | {"wheel": choice.file_name, "sha256": sha256, "bytes": os.path.getsize(part.path)}


def _links(job: Job) -> str:
    """Return a folder with a link to each wheel of the store, from which uv resolves when the run is offline."""
    if not job.offline:
        return ""
    folder, store = os.path.join(job.scratch, "links"), os.path.join(job.store, "wheels")
    os.makedirs(folder, exist_ok=True)
    for digest in sorted(os.listdir(store)) if os.path.isdir(store) else ():
        inner = os.path.join(store, digest)
        for name in os.listdir(inner) if os.path.isdir(inner) else ():
            link, wheel = os.path.join(folder, name), os.path.join(inner, name)
            if name.endswith(".whl") and not os.path.lexists(link) and job.is_whole(wheel, digest):
                os.symlink(wheel, link)
    return folder
