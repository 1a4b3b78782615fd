"""The project's disk as loading sees it: what is read is recorded, because the last run's answer depends on it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from lambdabuild.config.settings import Settings
from lambdabuild.core import regular
from lambdabuild.core.errors import CannotReadTemplate
from lambdabuild.core.spans import Span

if TYPE_CHECKING:
    from lambdabuild.plan.workspaces import Disk


class ProjectFiles:
    """The project's disk as loading sees it: paths relative to the project's folder, or absolute."""

    runs_programs = True
    """A serverless.ts can be executed; what git has of the past is text only."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.seen: dict[str, None] = {}
        """Every path that was read or looked for."""
        self.listed: dict[str, None] = {}
        """Every folder whose names were asked for."""

    def read(self, path: str) -> str:
        """Return a file's text with its line ends, without a byte order mark at its beginning."""
        self.seen[path] = None
        if not can_be_path(path):
            raise OSError(errno.EINVAL, "cannot be the name of a file", ascii(path))
        with open(os.path.join(self.project, path), encoding="utf-8-sig", newline="", opener=regular.opener) as stream:
            return stream.read()

    def names(self, folder: str) -> frozenset[str]:
        """Return the names in a folder. Raises OSError."""
        self.listed[folder] = None
        return frozenset(os.listdir(os.path.join(self.project, folder or ".")))

    def text(self, path: str) -> str:
        """Return a file's text. Raises CannotReadTemplate (LB101)."""
        try:
            return self.read(path)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise CannotReadTemplate(
                f"cannot read {path}: {why}", where=Span(path), help="make it a readable text file"
            ) from error

    def kind(self, path: str) -> Literal["file", "folder", ""]:
        self.seen[path] = None
        real = os.path.join(self.project, path)
        return "folder" if os.path.isdir(real) else "file" if os.path.exists(real) else ""

    def real(self, path: str) -> str:
        """Return where a link leads to; return any other path, and a folder on the way, as it was given."""
        full = os.path.join(self.project, path)
        if not os.path.islink(full):
            return path
        return os.path.relpath(os.path.realpath(full), os.path.realpath(self.project)).replace(os.sep, "/")


def names_in(files: ProjectFiles, folders: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return the names in each folder that can be read; the planner reports the others, and knows who needs them."""
    names = {}
    for folder in folders:
        try:
            names[folder] = files.names(folder)
        except OSError:
            continue
    return names


def disk_around(folder: str) -> Disk:
    """Return what planning looks at for one manifest in a folder, whose own path is ``.``."""
    from lambdabuild.engine.base.project import root_above
    from lambdabuild.plan.workspaces import Disk, above

    files, top = ProjectFiles(folder), root_above(folder, Settings())
    return Disk(names_in(files, (".", *above(".", top))), files.read, top)


def can_be_path(text: str) -> bool:
    """Return whether a file can have this name: it must contain no NUL and no half of a character."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
