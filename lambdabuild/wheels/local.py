"""Packages that must be built: local projects, sdists, git checkouts -> the files of a pure-Python wheel.

What is built becomes a folder, not a wheel in the store: a backend's own zip may differ from machine to machine, its
content does not.
"""

from __future__ import annotations

import os
import shutil
import zipfile

from lambdabuild.errors import CannotResolve, NoWheel, ToolFailed
from lambdabuild.rule_api import Folder, Job
from lambdabuild.wheels import fetch, locks, parts, uv
from lambdabuild.wheels.targets import Platform

NOT_SOURCE = shutil.ignore_patterns(
    ".git", ".hg", "__pycache__", "*.egg-info", "build", "dist", ".venv", "venv", ".tox", ".mypy_cache", "node_modules"
)


def build(job: Job, source: locks.Source, platform: Platform) -> Folder:
    """Build a package and unpack it into ``job.out``. Raises NoWheel (LB403) when it is not pure Python."""
    work = os.path.join(job.scratch, "build", source.name or "unnamed")
    os.makedirs(work, exist_ok=True)
    place = _brought(job, source, work)
    wheel = _built(job, source, os.path.join(place, source.subdirectory), os.path.join(work, "wheel"), platform)
    if not wheel.endswith("-none-any.whl"):
        raise NoWheel(
            f"{job.who}: {source.name} is native ({os.path.basename(wheel)}), so it must be built on Amazon Linux",
            mend=locks.WAYS_OUT,
        )
    name, version = os.path.basename(wheel).split("-")[:2]
    target = os.path.join(job.out, f"{name}-{version}")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    parts.spread_data(target)
    return Folder(target, leave_out=parts.NOT_FROM_BUILT)


def names_of(job: Job, folders: list[str], platform: Platform) -> list[str]:
    """The names of local projects, as their own metadata says."""
    found = []
    for number, folder in enumerate(folders):
        if os.path.isdir(folder):
            work = os.path.join(job.scratch, "names", str(number))
            wheel = _built(
                job, locks.Source(os.path.basename(folder), "", path=folder), _copied(folder, work), work, platform
            )
            found.append(os.path.basename(wheel).split("-")[0].replace("_", "-"))
    return found


def _brought(job: Job, source: locks.Source, work: str) -> str:
    """The source as a folder or an archive that may be written to."""
    if source.git:
        return _cloned(job, source, os.path.join(work, "git"))
    if source.path and os.path.isdir(source.path):
        return _copied(source.path, work)
    url = source.url or f"file://{source.path}"
    archive = locks.Wheel(source.name, source.version, locks.file_name_of(url), url, source.sha256)
    return fetch.fetch([archive], job.store, offline=job.offline, who=job.who)[0]


def _copied(folder: str, work: str) -> str:
    target = os.path.join(work, "source", os.path.basename(folder) or "source")
    shutil.copytree(folder, target, ignore=NOT_SOURCE)
    return target


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
            mend="check the address and your access",
        ) from error
    return target


def _built(job: Job, source: locks.Source, place: str, out: str, platform: Platform) -> str:
    try:
        return uv.build_wheel(job, place, out, platform)
    except ToolFailed as error:
        raise NoWheel(
            f"{job.who}: {source.name or place} has no wheel, and none can be built from its source without a compiler",
            tail=error.tail,
            mend=locks.WAYS_OUT,
        ) from error
