"""The settled list of an artifact's entries, as the copy step keeps it for zip and tree."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from lambdabuild.artifacts.entries import Entry, FileOnDisk, entries_of, rows_of
from lambdabuild.core import regular
from lambdabuild.core.atomic import write_bytes
from lambdabuild.core.errors import CannotRead
from lambdabuild.core.records import to_json
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run

SHARED_PER_OWN = 50
"""What packages brought is one entry in memory for all who have it: so many cost as much as one of a function's own."""


def write_list(run: Run, name: str, entries: Sequence[Entry]) -> None:
    """Keep the list for zip and tree; paths are written relative to the project's folders."""
    write_rows(run.project, name, rows_of(entries, run.project.portable))
    _keep(run, name, _written(run.project, name), tuple(entries))


def _keep(run: Run, name: str, written: tuple[int, ...], entries: tuple[Entry, ...]) -> None:
    own = sum(isinstance(entry.location, FileOnDisk) for entry in entries)
    cost = own + (len(entries) - own) / SHARED_PER_OWN
    run.lists.keep(name, (written, entries), cost)


def write_rows(project: Project, name: str, rows: Sequence[object]) -> None:
    write_bytes(project.record("copy", name), to_json(rows))


def read_list(run: Run, name: str) -> tuple[Entry, ...]:
    """The list as copy left it; what this run settled is still known."""
    written, known = run.lists.get(name) or ((), ())
    now = _written(run.project, name)
    if written and written == now:
        return known
    entries = entries_of(read_rows(run.project, name), run.project.expand)
    if now == _written(run.project, name):
        _keep(run, name, now, entries)
    return entries


def _written(project: Project, name: str) -> tuple[int, ...]:
    """Return whether a list is still the one that was written: doit may fork, and somebody else settle it anew."""
    try:
        stat = os.stat(project.record("copy", name))
    except OSError:
        return ()
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino


def read_rows(project: Project, name: str) -> list[Any]:
    """The list as it is written, which holds on every machine."""
    file = project.record("copy", name)
    try:
        with open(file, encoding="utf-8", opener=regular.opener) as stream:
            return list(regular.json(stream.read()))
    except (OSError, ValueError) as error:
        raise CannotRead(f"what copy:{name} made is gone: {file}", help=f"doit forget copy:{name}") from error
