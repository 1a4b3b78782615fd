"""Remove what runs left that were killed or interrupted: files that they were about to rename, and scratch folders.

Only what is surely ours: in the project's state, or where an output of ours was being written, with a name that only we
give and the number of a process that is gone. The project's lock is held meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from lambdabuild.core.atomic import TEMPORARY, is_abandoned, remove
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run


def state(project: Project) -> None:
    """Remove leftovers from the state's own folder and its scratch folders; at every run, because it costs two
    listings.
    """
    for entry in _listed(project.state_dir):
        if is_abandoned(entry.name) and entry.is_file(follow_symlinks=False):
            _remove(entry.path)
    for entry in _listed(os.path.join(project.state_dir, "tmp")):
        if not entry.name.startswith(f"{os.getpid()}."):
            _remove(entry.path)


def outputs(run: Run) -> None:
    """Remove leftovers next to zips and templates, in the store and deeper in the state; only after a run was killed.

    Trees are put right by their own steps, which see that something is in them.
    """
    for folder, _, files in os.walk(run.project.state_dir):
        for name in files:
            if is_abandoned(name):
                _remove(os.path.join(folder, name))
    for path in list(_beside_outputs(run)):
        _remove(path)


def _beside_outputs(run: Run) -> Iterator[str]:
    """Unfinished files whose whole would be an output: of the ledger, or in the store of the build folder."""
    paths = list(run.owned.paths(run.project.expand))
    for folder in {os.path.dirname(path) for path in paths}:
        for entry in _listed(folder):
            if is_abandoned(entry.name) and TEMPORARY.sub("", entry.path) in run.owned:
                yield entry.path
    if run.project.store_dir in run.owned:
        for folder, _, files in os.walk(run.project.store_dir):
            yield from (os.path.join(folder, name) for name in files if TEMPORARY.search(name) and is_abandoned(name))


def _remove(path: str) -> None:
    try:
        remove(path)
    except OSError:
        pass  # it is gone, or stays as it is


def _listed(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
