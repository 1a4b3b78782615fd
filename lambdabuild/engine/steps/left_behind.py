"""Files that steps of several kinds leave in the project's state, and how they are removed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from lambdabuild.engine.base.run import Run
from lambdabuild.engine.containers import pool


def folder_of(kind: str) -> Callable[[Run, str], Iterator[str]]:
    """Return what says which folder a rule's step fills."""

    def folders(run: Run, name: str) -> Iterator[str]:
        yield run.project.out(kind, name)

    return folders


def record_of(kind: str) -> Callable[[Run, str], Iterator[str]]:
    """Return what says which file a step keeps from run to run."""

    def records(run: Run, name: str) -> Iterator[str]:
        yield run.project.record(kind, name)

    return records


def containers(run: Run, name: str) -> None:
    """Remove the containers that a killed run left."""
    pool.sweep_if_there(run)


def remove_empty_parents(path: str, top: str) -> None:
    """Remove the folders above a path that are empty now, up to ``top``."""
    parent = os.path.dirname(path)
    while parent.startswith(top + os.sep):
        try:
            os.rmdir(parent)
        except OSError:
            return
        parent = os.path.dirname(parent)
