"""One run in one project: its lock, and what doit's state knows."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from lambdabuild.engine.base import ownership, sweep
from lambdabuild.engine.base.journal import Journal, ProjectLock
from lambdabuild.engine.base.site import Site

_site: Site | None = None


def use(site: Site) -> None:
    """The project that this process of doit works in; it has only one."""
    global _site
    _site = site


def about_to_look(tasks: Iterable[str]) -> None:
    """doit is going to ask which steps are up to date: from now on nobody else may change the answer.

    What the steps would write over is looked for before the first of them runs. Raises InTheWay (LB507).

    Taken here, in doit's own process, the lock is shared with the processes that it forks for ``-P process``.
    """
    if _site is not None:
        try:
            begin(_site)
        except PermissionError:
            return  # nothing can be written; a step that has to will say so
        if not _site.shared.is_looked_at:
            _site.shared.is_looked_at = True
            steps = (task.partition(":") for task in tasks)
            ownership.claim_all(_site, ((kind, name) for kind, _, name in steps))


def saved(task: str) -> Mapping[str, Any]:
    """Return what doit keeps of a task's last success, during a run; {} for a task that never ran."""
    from doit.globals import Globals

    manager: Any = Globals.dep_manager
    if manager is None:
        return {}
    if _site is not None and _site.shared.process != os.getpid():
        _reload()  # a fork of doit's learns from the disk what the others have done
    return manager.get_values(task) or {}


def keep(task: str, values: Mapping[str, Any]) -> None:
    """Save the values of a task that another one ran."""
    from doit.globals import Globals

    manager: Any = Globals.dep_manager
    if manager is not None:
        manager.backend.set(task, "_values_:", dict(values))


def saved_outside(site: Site) -> Any:
    """The same for a command that is not run by doit: the journal, read without a lock."""
    journal = Journal.open_read_only(site.journal)
    return lambda task: journal.record(task) or {}


def current() -> Site | None:
    """Return the project that this process of doit works in."""
    return _site


def begin(site: Site) -> None:
    """Take the project's lock. A second run waits here for the first, and then knows what that one did."""
    with site.shared.lock:
        if site.shared.project_lock is None:
            lock = ProjectLock(os.path.join(site.state_dir, "lock"))
            acquired = lock.acquire(site.settings.lock_timeout_seconds, _say_waiting)
            if acquired.waited:
                _reload()
            sweep.state(site)
            if acquired.after_death:
                sweep.outputs(site)
            site.shared.project_lock = lock


def interrupted() -> None:
    """This process ends before its steps do: the next run looks for what they leave."""
    ProjectLock.is_interrupted = True


def _say_waiting(holder: int) -> None:
    sys.stderr.write(f"waiting for another run in this project (process {holder}) to end\n")
    sys.stderr.flush()


def _reload() -> None:
    from doit.globals import Globals

    backend = getattr(Globals.dep_manager, "backend", None)
    if isinstance(backend, Journal):
        backend.reload()
