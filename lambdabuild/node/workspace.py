"""A workspace: several packages of one repository under one lock file at its root (``[workspace]`` in rule.toml)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from lambdabuild.core.records import Struct
from lambdabuild.node import manifest
from lambdabuild.rule_api import Job


class Workspace(Struct, frozen=True, dict=True):
    """``folder`` is the root, where the lock file is; ``members`` are the folders of its packages, the root too."""

    job: Job
    folder: str
    members: tuple[str, ...]

    @cached_property
    def manifests(self) -> dict[str, dict[str, Any]]:
        """The package.json of each member that has one, by its folder."""
        files = (os.path.join(member, "package.json") for member in self.members)
        return {os.path.dirname(file): manifest.read(self.job, file) for file in files if os.path.isfile(file)}

    def needed(self, folder: str, kinds: Iterable[str] = manifest.KINDS) -> list[str]:
        """Return the folders of the members that a package of the workspace depends on, directly or not, sorted."""
        named = {str(about.get("name", "")): member for member, about in self.manifests.items()}
        reached, ahead, kinds = {folder}, [folder], tuple(kinds)
        while ahead:
            about = self.manifests.get(ahead.pop(), {})
            wanted = {named[name] for kind in kinds for name in about.get(kind, {}) if name in named}
            ahead += sorted(wanted - reached)
            reached |= wanted
        return sorted(reached - {folder, self.folder})

    def siblings(self, folder: str, omitted: Iterable[str] = ()) -> Siblings:
        """Return the other packages that a tool must see to install one; for the root, all of them."""
        kinds = [kind for kind in manifest.KINDS if kind != "devDependencies" or "dev" not in omitted]
        if folder == self.folder:
            shipped = {needed for member in self.members for needed in self.needed(member, kinds)}
            return Siblings(tuple(sorted(shipped)), tuple(sorted(set(self.members) - shipped - {folder})))
        shipped = set(self.needed(folder, kinds))
        named = {*self.needed(folder), *self.needed(self.folder)} - {folder, *shipped}
        return Siblings(tuple(sorted(shipped)), tuple(sorted(named)))

    def copies_in(self, source: str, root: str) -> dict[str, str]:
        """The members below the code folder, by their paths there: each one's folder in a copy of the workspace."""
        paths = {os.path.relpath(member, source): os.path.relpath(member, self.folder) for member in self.members}
        inside = ((path, copy) for path, copy in paths.items() if path.split(os.sep)[0] not in (".", ".."))
        return {path: os.path.join(root, copy) for path, copy in inside}


class Siblings(Struct, frozen=True):
    """The other members of the workspace that the built one needs."""

    shipped: tuple[str, ...]
    """Those that go into the artifact."""
    named: tuple[str, ...] = ()
    """Those of which only package.json counts: a development dependency, one of the root's."""

    @property
    def manifests(self) -> list[str]:
        return [os.path.join(member, "package.json") for member in self.named]


def around(job: Job, folder: str, members: Iterable[str]) -> Workspace | None:
    """Return the workspace that a package belongs to, None when it stands alone.

    ``members`` are the folders that belong, relative to the root.
    """
    root = job.target.workspace
    if not root:
        return None
    named = {os.path.normpath(os.path.join(root, member)) for member in members}
    return Workspace(job, root, tuple(sorted(named | {root, folder})))


def globbed(root: str, patterns: Iterable[Any]) -> list[str]:
    """The folders with a package.json that globs such as those of the field ``workspaces`` mean, relative to a root."""
    from wcmatch import glob

    flags = glob.GLOBSTAR | glob.BRACE | glob.EXTGLOB | glob.FORCEUNIX
    matched: set[str] = set()
    for pattern in map(str, patterns):
        plain = os.path.normpath(pattern.removeprefix("!").lstrip("/"))
        files = glob.glob(os.path.join(plain, "package.json"), flags=flags, root_dir=root)
        folders = {os.path.dirname(file) for file in files if "node_modules" not in Path(file).parts}
        matched = matched - folders if pattern.startswith("!") else matched | folders
    return sorted(matched - {""})


def patterns_of(about: dict[str, Any]) -> list[Any]:
    """Return the globs of the field ``workspaces``, a list or an object with one."""
    declared = about.get("workspaces", [])
    patterns = declared.get("packages", []) if isinstance(declared, dict) else declared
    return patterns if isinstance(patterns, list) else []


def of_package_json(job: Job, folder: str) -> Workspace | None:
    """Return the workspace of npm's or Yarn's that a package belongs to."""
    file = os.path.join(job.target.workspace or folder, "package.json")
    return around(job, folder, globbed(os.path.dirname(file), patterns_of(manifest.read(job, file))))
