"""One run in one project: its lock, and what doit's state knows."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from lambdabuild.core.plain import JsonObject
from lambdabuild.engine.base import ownership, sweep
from lambdabuild.engine.base.journal import Journal, ProjectLock
from lambdabuild.engine.base.project import Project, journal_file
from lambdabuild.engine.base.receipts import Saved

if TYPE_CHECKING:
    from lambdabuild.engine.base.run import Run


def about_to_look(run: Run, tasks: Iterable[str]) -> None:
    """doit is going to ask which steps are up to date: from now on nobody else may change the answer.

    The places that the steps write to are checked before the first of them runs. Raises InTheWay (LB507).

    Taken here, in doit's own process, the lock is shared with the processes that it forks for ``-P process``.
    """
    try:
        begin(run)
    except PermissionError:
        return  # nothing can be written; a step that has to will say so
    if not run.progress.is_looked_at:
        run.progress.is_looked_at = True
        steps = (task.partition(":") for task in tasks)
        ownership.claim_all(run, ((kind, name) for kind, _, name in steps))


def saved_in(project: Project) -> Saved:
    """Return what answers for the last success of a task: doit's state during a run of doit's, else the journal."""
    process = os.getpid()

    @cache
    def journal() -> Journal:
        return Journal(journal_file(project))

    def saved(task: str) -> JsonObject:
        manager = _manager()
        if manager is None:
            return journal().record(task) or {}
        if process != os.getpid():
            _reload()  # a fork of doit's learns from the disk what the others have done
        return manager.get_values(task) or {}

    return saved


def saved_at_fork(task: str) -> JsonObject:
    """Return what doit's state had of a task when this process was forked, if doit did not fork it."""
    manager = _manager()
    return (manager.get_values(task) if manager is not None else None) or {}


def keep(task: str, values: JsonObject) -> None:
    """Save the values of a task that another one ran."""
    manager = _manager()
    if manager is not None:
        manager.backend.set(task, "_values_:", dict(values))


def begin(run: Run) -> None:
    """Take the project's lock. A second run waits here for the first, and then knows what that one did."""
    with run.locks.of("the project's lock"):
        if run.progress.project_lock is None:
            lock = ProjectLock(os.path.join(run.project.state_dir, "lock"))
            acquired = lock.acquire(run.project.settings.lock_timeout_seconds, _say_waiting)
            if acquired.waited:
                _reload()
            sweep.state(run.project)
            if acquired.after_death:
                sweep.outputs(run)
            run.progress.project_lock = lock


def interrupted() -> None:
    """This process ends before its steps do: the next run looks for what they leave."""
    ProjectLock.is_interrupted = True


def _say_waiting(holder: int) -> None:
    sys.stderr.write(f"waiting for another run in this project (process {holder}) to end\n")
    sys.stderr.flush()


def _manager() -> Any:
    """Return doit's state, None when no command of doit's is running."""
    loaded = sys.modules.get("doit.globals")
    return loaded.Globals.dep_manager if loaded is not None else None


def _reload() -> None:
    backend = getattr(_manager(), "backend", None)
    if isinstance(backend, Journal):
        backend.reload()
