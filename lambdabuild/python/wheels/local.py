"""Packages that must be built: local projects, sdists, git checkouts -> the files of a pure-Python wheel.

What is built becomes a folder, not a wheel in the store: a backend's own zip may differ from machine to machine, its
content does not.
"""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lambdabuild.core import regular
from lambdabuild.core.errors import CannotResolve, NoWheel, ToolFailed
from lambdabuild.core.records import replace
from lambdabuild.python import locks, uv
from lambdabuild.python.indexes import CONFIGURATION, Indexes
from lambdabuild.python.requirements import Requirements
from lambdabuild.python.wheels import fetch, native, parts
from lambdabuild.rule_api import Folder, Job, Part

NOT_SOURCE = shutil.ignore_patterns(".git", ".hg", "__pycache__", "*.egg-info", ".venv", ".tox", "node_modules")
AT_THE_TOP = frozenset({"build", "dist", "venv"})
"""Folders that backends and people leave next to a project's source; deeper down they may well be packages."""


def build(job: Job, source: locks.Source, indexes: Indexes) -> Part:
    """Build a package: unpacked into ``job.out`` when it is pure Python, else a wheel that the container made.

    Raises NoWheel (LB403) for a native one when there is no container.
    """
    work = os.path.join(job.scratch, "build", source.name or "unnamed")
    os.makedirs(work, exist_ok=True)
    place = _brought(job, source, work, indexes)
    folder = os.path.join(place, source.subdirectory) if source.subdirectory else place
    wheel = _built(job, source, folder, os.path.join(work, "wheel"), indexes)
    if not wheel.endswith("-none-any.whl"):
        if job.container is not None:
            return parts.built_archive(source.name, native.wheel(job, source.name, folder))
        raise NoWheel(
            f"{job.who}: {source.name} is native ({os.path.basename(wheel)}), so it must be built on Amazon Linux",
            help=locks.WAYS_OUT,
        )
    name, version = os.path.basename(wheel).split("-")[:2]
    target = os.path.join(job.out, f"{name}-{version}")
    parts.unpack(wheel, target)
    return Folder(target, leave_out=parts.NOT_FROM_BUILT)


def needs_build(folder: str) -> bool:
    """Return whether only the project's backend knows its metadata; running it may write next to the source."""
    try:
        with open(os.path.join(folder, "pyproject.toml"), "rb", opener=regular.opener) as stream:
            about = regular.toml(stream.read().decode()).get("project", {})
    except (OSError, tomllib.TOMLDecodeError):
        return True
    return "name" not in about or bool(about.get("dynamic"))


def names_of(job: Job, folders: Iterable[str], indexes: Indexes) -> dict[str, str]:
    """``{folder: name}`` of local projects, as the wheels built from copies of them say."""
    names = {}
    for number, folder in enumerate(folders):
        work = os.path.join(job.scratch, "names", str(number))
        source = locks.Source(os.path.basename(folder), "", path=folder)
        wheel = _built(job, source, _copied(folder, work), work, indexes)
        names[folder] = os.path.basename(wheel).split("-")[0].replace("_", "-")
    return names


def mirrored(
    job: Job, ask: uv.Ask, lists: Sequence[Requirements], projects: list[str], names: Mapping[str, str]
) -> uv.Ask:
    """Copy the manifest, what it includes and its local projects, keeping their relative paths; return the copy.

    Options that pip passes over are gone. Lines that name a project by its path only get its name too, for uv wants to
    know whom it may build. Resolvers read paths from the first file's folder, so those of files that lie elsewhere
    become absolute.
    """
    files = [ask.manifest, *ask.more, *ask.constraints, *(file for listed in lists for file in listed.files)]
    around = {os.path.dirname(ask.manifest), job.target.workspace} - {""}
    files += [os.path.join(folder, name) for folder in sorted(around) for name in CONFIGURATION]
    top = os.path.commonpath([*map(os.path.dirname, files), *projects])
    tree = os.path.join(job.scratch, "mirror")

    def twin(path: str) -> str:
        return os.path.normpath(os.path.join(tree, os.path.relpath(path, top)))

    for folder in projects:
        _copy_tree(folder, twin(folder))
    for folder in {folder for listed in lists for folder in listed.link_folders}:
        os.makedirs(os.path.dirname(twin(folder)), exist_ok=True)
        os.symlink(folder, twin(folder))
    for file in filter(os.path.isfile, files):
        os.makedirs(os.path.dirname(twin(file)), exist_ok=True)
        shutil.copyfile(file, twin(file))
    for line in (line for listed in lists for line in listed.passed_over()):
        _write_line(twin(line.file), line.where.line, line.meant.text)
    for line, path in (pair for listed in lists for pair in listed.local_lines()):
        there = twin(path) if path in projects else path
        if path in names:
            _write_line(twin(line.file), line.where.line, f"{names[path]} @ {Path(there).as_uri()}")
        elif line.is_from_elsewhere(ask.manifest):
            _write_line(twin(line.file), line.where.line, line.meant.with_path(there))
    more, constraints = (tuple(map(twin, files)) for files in (ask.more, ask.constraints))
    return replace(ask, manifest=twin(ask.manifest), more=more, constraints=constraints, copy_of=ask.shown)


def _write_line(file: str, number: int, text: str) -> None:
    """Put a text in place of a line, and of those that continue it."""
    lines = regular.read_text(file).splitlines()
    last = number
    while last < len(lines) and lines[last - 1].endswith("\\"):
        last += 1
    lines[number - 1 : last] = [text, *[""] * (last - number)]
    Path(file).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _brought(job: Job, source: locks.Source, work: str, indexes: Indexes) -> str:
    """Return the source as a folder or an archive that may be written to."""
    if source.git:
        return _cloned(job, source, os.path.join(work, "git"))
    if source.path and os.path.isdir(source.path):
        return _copied(source.path, work)
    url = source.url or f"file://{source.path}"
    archive = locks.Wheel(source.name, source.version, locks.file_name_of(url), url, source.sha256)
    return fetch.fetch([archive], job, indexes.credentials)[0]


def _copied(folder: str, work: str) -> str:
    target = os.path.join(work, "source", os.path.basename(folder) or "source")
    _copy_tree(folder, target)
    return target


def _copy_tree(folder: str, target: str) -> None:
    def left_out(where: str, names: list[str]) -> set[str]:
        return NOT_SOURCE(where, names) | (AT_THE_TOP & set(names) if where == folder else set())

    shutil.copytree(folder, target, ignore=left_out, ignore_dangling_symlinks=True, dirs_exist_ok=True)


def _cloned(job: Job, source: locks.Source, target: str) -> str:
    git = job.tool("git")
    url = source.git.removeprefix("git+")
    try:
        job.run([git, "clone", "--quiet", url, target])
        job.run([git, "-C", target, "checkout", "--quiet", source.commit])
    except ToolFailed as error:
        raise CannotResolve(
            f"{job.who}: {source.name} cannot be had from {fetch.shown(url)}",
            tail=error.tail,
            help="check the address and your access",
        ) from error
    return target


def _built(job: Job, source: locks.Source, place: str, out: str, indexes: Indexes) -> str:
    if job.use_container == "true" or (job.use_container == "auto" and native.has_native_source(place)):
        return native.wheel(job, source.name or place, place)
    try:
        return uv.build_wheel(job, place, out, indexes)
    except ToolFailed as error:
        if job.container is not None:
            return native.wheel(job, source.name or place, place)
        raise NoWheel(
            f"{job.who}: {source.name or place} has no wheel, and none can be built from its source without a compiler",
            tail=error.tail,
            help=locks.WAYS_OUT,
        ) from error
