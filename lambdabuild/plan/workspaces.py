"""Manifests and lock files above the code folder: how far up they are looked for, and who belongs to a workspace.

Pure: file names and the texts of roots were read before, or come from ``Disk.read``. What a workspace is, each
``rule.toml`` declares in ``[workspace]`` (``plan.types.Workspace``).
"""

from __future__ import annotations

import json
import posixpath
import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from lambdabuild.core.records import Struct, field
from lambdabuild.plan.types import Rule, Workspace


def _unreadable(path: str) -> str:
    raise FileNotFoundError(path)


class Disk(Struct, frozen=True):
    """The disk as planning sees it. Paths are relative to the project's folder."""

    names: Mapping[str, frozenset[str]]
    """For each folder that may hold a manifest, the names of the files in it."""
    read: Callable[[str], str] = _unreadable
    """Return the text of a file. Raises OSError."""
    top: str = "."
    """The project root, where the search ends: ``.`` or ``../..``."""
    parsed: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    manifests: dict[tuple[str, tuple[str, ...]], tuple[Rule, str] | None] = field(default_factory=dict)
    """The best of some rules (by name) for a folder, with the name of its manifest, as far as it was looked for."""

    def has(self, folder: str, name: str) -> bool:
        return name in self.names.get(folder, ())


def above(folder: str, top: str) -> tuple[str, ...]:
    """Return the folders above one, nearest first, ``top`` the last; none when it is not below ``top``."""
    folder = posixpath.normpath(folder)
    if posixpath.isabs(folder) or _ups(folder) > _ups(top):
        return ()
    return _below(parent(folder), top) if folder != top else ()


@lru_cache(maxsize=1024)
def _below(folder: str, top: str) -> tuple[str, ...]:
    """Return a folder and those above it, up to ``top``; remembered, because neighbours have them in common."""
    return (folder,) if folder == top else (folder, *_below(parent(folder), top))


def parent(folder: str) -> str:
    """Return the folder around a relative one: that of ``.`` is ``..``."""
    if folder == ".":
        return ".."
    return posixpath.join(folder, "..") if posixpath.basename(folder) == ".." else posixpath.dirname(folder) or "."


def _ups(folder: str) -> int:
    return folder.split("/").count("..")


def root_of(rule: Rule, folder: str, disk: Disk) -> str:
    """Return the root of the workspace that a manifest's folder belongs to, perhaps that folder itself; else "".

    Where a lock file in the folder itself goes before one further up, such a folder belongs to no other workspace.
    """
    if rule.workspace is None:
        return ""
    if _is_root(rule.workspace, folder, disk):
        return folder
    if rule.workspace.own_lock_first and any(disk.has(folder, name) for name in rule.lock_files):
        return ""
    roots = (root for root in above(folder, disk.top) if _is_root(rule.workspace, root, disk))
    return next((root for root in roots if _belongs(rule.workspace, root, folder, disk)), "")


def reads_source(rule: Rule, manifest: str, options: Mapping[str, Any], disk: Disk) -> bool:
    """Return whether a rule's resolve step runs scripts of the manifest, which may read any file next to it."""
    claims = rule.resolve
    if claims is None or not claims.source_keys or options.get(claims.source_unless):
        return False
    return any(at(_said(disk, manifest), key) for key in claims.source_keys)


def not_covered(rule: Rule, manifest: str, rules: Iterable[Rule], disk: Disk) -> str:
    """Return the nearest lock file above a manifest that has none and belongs to no workspace of it.

    "" when there is none, or the manifest names nothing to lock.
    """
    folder = posixpath.dirname(manifest) or "."
    if rule.workspace is None or any(disk.has(folder, name) for name in rule.lock_files):
        return ""
    siblings = [sibling for sibling in rules if sibling.workspace is not None and sibling.language == rule.language]
    places = ((root, name) for root in above(folder, disk.top) for sibling in siblings for name in sibling.lock_files)
    lock = next((posixpath.join(root, name) for root, name in places if disk.has(root, name)), "")
    data = _said(disk, manifest) if lock else {}
    return posixpath.normpath(lock) if any(at(data, key) for key in rule.workspace.locks) else ""


def _is_root(workspace: Workspace, folder: str, disk: Disk) -> bool:
    """Return whether a folder has the file that makes it a root, with the keys it must have."""
    files = [name for name in workspace.files if disk.has(folder, name)]
    if not files or not (workspace.key or workspace.members):
        return bool(files)
    documents = (_said(disk, posixpath.join(folder, name)) for name in files)
    keys = [workspace.key] if workspace.key else workspace.members
    return any(at(data, key) is not None for data in documents for key in keys)


def _belongs(workspace: Workspace, root: str, folder: str, disk: Disk) -> bool:
    path = posixpath.relpath(folder, root)
    documents = [_said(disk, posixpath.join(root, name)) for name in workspace.files if disk.has(root, name)]
    if workspace.exclude and _matches(
        path, [p for document in documents for key in workspace.exclude for p in globs(document, key)]
    ):
        return False
    patterns = [pattern for document in documents for key in workspace.members for pattern in globs(document, key)]
    return not workspace.members or _matches(path, patterns)


def _said(disk: Disk, path: str) -> Mapping[str, Any]:
    """Return what a root's file says; nothing when it cannot be read, which whoever builds with it reports."""
    path = posixpath.normpath(path)
    if path not in disk.parsed:
        try:
            data = parse(path, disk.read(path))
        except (OSError, ValueError):
            data = {}
        disk.parsed[path] = data
    return disk.parsed[path]


def parse(path: str, text: str) -> Mapping[str, Any]:
    """Return a JSON, TOML or YAML file as data, by the ending of its name. Raises ValueError."""
    ending = posixpath.splitext(path)[1]
    if ending in (".yaml", ".yml"):
        import yaml

        try:
            data = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except yaml.YAMLError as error:
            raise ValueError(str(error)) from error
    else:
        data = json.loads(text.removeprefix("\ufeff")) if ending == ".json" else tomllib.loads(text)
    return data if isinstance(data, dict) else {}


def at(data: Any, key: str) -> Any:
    """Return the value at a dotted key, None when there is none."""
    for name in key.split("."):
        data = data.get(name) if isinstance(data, Mapping) else None
    return data


def globs(data: Mapping[str, Any], key: str) -> list[str]:
    """Return the patterns that a list at a dotted key holds."""
    values = at(data, key)
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def _matches(path: str, patterns: list[str]) -> bool:
    """Return whether the last pattern that matches a folder includes it; patterns that begin with ``!`` exclude."""
    for pattern in reversed(patterns):
        if _glob(pattern.removeprefix("!"), path):
            return not pattern.startswith("!")
    return False


def _glob(pattern: str, path: str) -> bool:
    pattern = posixpath.normpath(pattern.lstrip("/"))
    if pattern == path:
        return True
    from wcmatch import glob

    return bool(glob.globmatch(path, pattern, flags=glob.GLOBSTAR | glob.BRACE | glob.EXTGLOB | glob.FORCEUNIX))
