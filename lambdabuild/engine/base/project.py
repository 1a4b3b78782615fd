"""One project: its settings, its service, and the paths of all that lambdabuild keeps and makes for it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property

from lambdabuild.config.settings import Settings
from lambdabuild.core.atomic import unfinished
from lambdabuild.core.model import Service
from lambdabuild.core.records import Struct
from lambdabuild.engine.base.snapshot import STATE
from lambdabuild.rule_api import portable


class Project(Struct, frozen=True, dict=True):
    """A project's folders, all absolute, and what it is described by."""

    folder: str
    build_dir: str
    cache_dir: str
    """The machine's store of downloads."""
    built_steps_dir: str
    """The machine's cache of built steps."""
    settings: Settings
    service: Service

    @cached_property
    def state_dir(self) -> str:
        return os.path.join(self.build_dir, STATE)

    @cached_property
    def store_dir(self) -> str:
        """The folder store, when no bucket is named."""
        return self.path(self.settings.store) if self.settings.store else os.path.join(self.build_dir, ".store")

    def path(self, relative: str) -> str:
        """Return a path of the model (relative to the project) as an absolute one."""
        return os.path.normpath(os.path.join(self.folder, relative))

    def receipt(self, kind: str, name: str) -> str:
        """Return the file that says what a step left; the step's doit target."""
        return os.path.join(self.state_dir, "steps", kind, flat(name or kind) + ".json")

    def out(self, kind: str, name: str) -> str:
        """Return the folder that a rule's step fills."""
        return os.path.join(self.state_dir, "out", kind, flat(name))

    def cache(self, kind: str, name: str) -> str:
        """Return a folder that a rule's step keeps from run to run."""
        return os.path.join(self.state_dir, "cache", kind, flat(name))

    def record(self, kind: str, name: str) -> str:
        """Return the file in which a step keeps what it wants to know the next time."""
        return self.out(kind, name) + ".json"

    def zip(self, name: str) -> str:
        return os.path.join(self.build_dir, name + ".zip")

    def tree(self, name: str) -> str:
        return os.path.join(self.build_dir, name)

    @contextmanager
    def scratch(self) -> Iterator[str]:
        """Make a folder that is removed afterwards."""
        parent = os.path.join(self.state_dir, "tmp")
        os.makedirs(parent, exist_ok=True)
        folder = tempfile.mkdtemp(dir=parent, prefix=f"{os.getpid()}.")
        with unfinished(folder):
            yield folder

    @cached_property
    def not_source(self) -> frozenset[str]:
        """Folders of ours that may be inside a source folder, as real paths."""
        return frozenset({os.path.realpath(self.build_dir), os.path.realpath(self.store_dir)})

    @cached_property
    def boundary(self) -> str:
        """How far out a link in the source may point."""
        return boundary_of(self.folder, self.settings)

    @cached_property
    def real_boundary(self) -> str:
        """The same after following links."""
        return os.path.realpath(self.boundary)

    @cached_property
    def roots(self) -> dict[str, str]:
        """The folders that records name instead of this machine's paths."""
        own = {"state": self.state_dir, "store": self.cache_dir, "build": self.build_dir, "project": self.folder}
        wider = {"checkout": self.boundary, "home": os.path.expanduser("~")}
        return own | {name: folder for name, folder in wider.items() if folder != os.sep}

    def portable(self, path: str) -> str:
        """Return a path as records name it, so that they still hold when the project has moved."""
        return portable(path, self.roots)

    def expand(self, path: str) -> str:
        """Return the path that a record names: the inverse of ``portable``."""
        for name, folder in self.roots.items():
            if path.startswith("{" + name + "}"):
                return folder + path[len(name) + 2 :]
        return path


def journal_file(project: Project) -> str:
    """Return the file of doit's state."""
    return os.path.join(project.state_dir, "journal")


def jobs(project: Project) -> int:
    """Return how many steps work on this machine at once."""
    return project.settings.jobs or os.cpu_count() or 1


def flat(name: str) -> str:
    """Return a name as one file name; logical ids hold no dots, so two names never become one."""
    return name.replace("/", ".")


def boundary_of(folder: str, settings: Settings) -> str:
    """Return the project root: what the setting names, else the git checkout, else the project's folder."""
    if settings.project_root:
        return os.path.normpath(os.path.join(folder, settings.project_root))
    return _checkout(folder) or folder


def root_above(project: str, settings: Settings, folders: Iterable[str] = ()) -> str:
    """Return the project root as the model has paths: ``.`` or ``../..``; one that does not hold the project is none.

    Where nothing says what it is, it is the folder that holds the project and all of ``folders``.
    """
    if not settings.project_root and not _checkout(project):
        ups = max((path.split("/").count("..") for path in folders if not path.startswith("/")), default=0)
        return "/".join([".."] * ups) or "."
    path = os.path.relpath(boundary_of(project, settings), project).replace(os.sep, "/")
    return path if set(path.split("/")) == {".."} else "."


def _checkout(folder: str) -> str:
    """Return the folder of the git checkout that a folder is in, "" when it is in none."""
    while not os.path.exists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return ""
        folder = parent
    return folder
