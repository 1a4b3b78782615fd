"""A workspace: several packages of one repository under one lock file at its root."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lambdabuild import regular
from lambdabuild.node_packages import manifest
from lambdabuild.rule_api import Job


@dataclass(frozen=True)
class Workspace:
    """``folder`` is the root, where the lock file is; ``members`` are the folders of its packages, the root too."""

    folder: str
    members: tuple[str, ...]


def around(job: Job, folder: str, lock: str, members: Callable[[str, str], Iterable[str]]) -> Workspace | None:
    """The workspace that a package is in, None when no lock file is about it.

    A lock file is looked for in the package's folder, then above it up to the project's; one above must name the
    package. ``members`` gives the folders that belong to a root and the text of its lock file, relative to it.
    """
    root = folder
    while True:
        file = os.path.join(root, lock)
        if os.path.isfile(file):
            with open(file, encoding="utf-8", errors="replace", opener=regular.opener) as stream:
                named = {os.path.normpath(os.path.join(root, member)) for member in members(root, stream.read())}
            if root == folder or folder in named:
                return Workspace(root, tuple(sorted(named | {root, folder})))
        if root in (job.target.project, os.path.dirname(root)):
            return None
        root = os.path.dirname(root)


def globbed(job: Job, root: str) -> list[str]:
    """The folders that the field ``workspaces`` of a root's package.json means, relative to it."""
    file = os.path.join(root, "package.json")
    said = manifest.read(job, file).get("workspaces", []) if os.path.isfile(file) else []
    patterns = said.get("packages", []) if isinstance(said, dict) else said
    found: set[str] = set()
    for pattern in map(str, patterns):
        files = Path(root).glob(pattern.removeprefix("!").rstrip("/") + "/package.json")
        folders = {str(file.parent.relative_to(root)) for file in files if "node_modules" not in file.parts}
        found = found - folders if pattern.startswith("!") else found | folders
    return sorted(found)


def needed(job: Job, workspace: Workspace, folder: str) -> list[str]:
    """The folders of the members that a package of the workspace depends on, directly or not, sorted."""
    files = (os.path.join(member, "package.json") for member in workspace.members)
    about = {os.path.dirname(file): manifest.read(job, file) for file in files if os.path.isfile(file)}
    named = {str(data.get("name", "")): member for member, data in about.items()}
    found, ahead = {folder}, [folder]
    while ahead:
        data = about.get(ahead.pop(), {})
        wanted = {named[name] for kind in manifest.KINDS for name in data.get(kind, {}) if name in named}
        ahead += sorted(wanted - found)
        found |= wanted
    return sorted(found - {folder, workspace.folder})
