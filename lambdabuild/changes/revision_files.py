"""The project's files at a revision, for the same loader as always; nothing is checked out."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from typing import Literal

from lambdabuild.changes.repository import LINK, MODULE, Difference
from lambdabuild.project_files import ProjectFiles


class PastFiles(ProjectFiles):
    """Files that git knows are as they were; files elsewhere, or ignored by git, are as they are now."""

    runs_programs = False

    def __init__(self, project: str, difference: Difference) -> None:
        super().__init__(project)
        self.difference = difference

    def read(self, path: str) -> str:
        self.seen[path] = None
        inside = self.inside(path)
        if inside is None:
            return super().read(path)
        if not self.difference.is_changed(inside):
            return super().read(os.path.join(self.difference.top, inside))
        entry = self.difference.was.get(inside)
        if entry is None or entry.mode == MODULE:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self.difference.text(inside).removeprefix("\ufeff")

    def kind(self, path: str) -> Literal["file", "folder", ""]:
        inside = self.inside(path)
        if inside is None:
            return super().kind(path)
        self.seen[path] = None
        if inside in self.difference.folders or inside == "":
            return "folder"
        if inside in self.difference.was:
            return "folder" if self.difference.was[inside].mode == MODULE else "file"
        is_new = self.difference.is_changed(inside) or inside in self.difference.new_folders
        return "" if is_new else super().kind(os.path.join(self.difference.top, inside))

    def real(self, path: str) -> str:
        full = os.path.relpath(os.path.join(os.path.realpath(self.project), path), self.difference.top)
        entry, inside = self.difference.was.get(full), self.inside(path)
        if inside is None or entry is None or entry.mode != LINK:
            return path
        return os.path.relpath(inside, self.inside(".") or ".")

    def names(self, folder: str) -> frozenset[str]:
        inside = self.inside(folder)
        if inside is None:
            return super().names(folder)
        was = self.difference.folders.get(inside, frozenset())
        try:
            now = super().names(os.path.join(self.difference.top, inside))
        except OSError:
            now = frozenset()
        unknown = {name for name in now if name not in was and self._is_unknown(f"{inside}/{name}".lstrip("/"))}
        if not was and not unknown:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
        return was | unknown

    def _is_unknown(self, inside: str) -> bool:
        """Return whether git cannot know if an existing path existed at the revision."""
        return not self.difference.is_changed(inside) and inside not in self.difference.new_folders

    def inside(self, path: str) -> str | None:
        """Return where in the repository a path led, None if it led out of it."""
        full = os.path.join(os.path.realpath(self.project), path)
        relative = os.path.relpath(full, self.difference.top)
        if relative == ".":
            return ""
        real = self.difference.real(relative)
        return None if real == ".." or real.startswith("../") else real


def may_read_differently(files: ProjectFiles, difference: Difference) -> bool:
    """Return whether anything that was read through ``files``, or listed, may have been different at the revision."""
    if difference.changed_folders:
        return True
    seen, top = {*_real(files.project, files.seen), *_real(files.project, files.listed)}, difference.top
    for path in difference.changed:
        entry, here = difference.was.get(path), os.path.join(top, path)
        if os.path.islink(here) or (entry is not None and entry.mode in (LINK, MODULE)) or here in seen:
            return True
        is_edited = entry is not None and os.path.isfile(here)
        if not is_edited and any(os.path.join(top, folder) in seen for folder in _around(path, difference)):
            return True
    return False


def _real(project: str, paths: Iterable[str]) -> Iterator[str]:
    """Yield the real places of paths. Those of their folders, of which there are fewer, are remembered."""
    folders: dict[str, str] = {}
    for path in paths:
        folder, name = os.path.split(os.path.normpath(os.path.join(project, path)))
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        place = os.path.join(folders[folder], name)
        yield os.path.realpath(place) if os.path.islink(place) else place


def _around(path: str, difference: Difference) -> Iterator[str]:
    """Yield the folders whose names changed because a file came or went: its own, and those that came or went too."""
    while path:
        path = os.path.dirname(path)
        yield path
        if path in difference.folders and os.path.isdir(os.path.join(difference.top, path)):
            return
