"""One run in one project: its lock, and what doit's state knows."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from lambdabuild.engine.site import Site
from lambdabuild.engine.state import Journal, ProjectLock


def saved(task: str) -> Mapping[str, Any]:
    """What doit keeps of a task's last success, in the run that is going on; nothing for a task that never ran."""
    from doit.globals import Globals

    manager = Globals.dep_manager
    return (manager.get_values(task) or {}) if manager is not None else {}


def saved_outside(site: Site) -> Any:
    """The same for a command that is not run by doit: the journal, read without a lock."""
    journal = Journal.open_read_only(site.journal)
    return lambda task: journal.record(task) or {}


def begin(site: Site) -> Any:
    """Take the project's lock before the first step moves a byte; gives ``saved``.

    A second run waits here for the first and then reads what that one did, so that it does not do it again.
    """
    with site.shared.lock:
        if not site.shared.began:
            site.shared.began = True
            lock = ProjectLock(os.path.join(site.state_dir, "lock"))
            os.makedirs(site.state_dir, exist_ok=True)
            site.shared.waited = lock.acquire(site.settings.lock_timeout_seconds, _say_waiting)
            site.shared.project_lock = lock
            if site.shared.waited:
                _reload()
    return saved


def _say_waiting(holder: int) -> None:
    sys.stderr.write(f"waiting for another run in this project (process {holder}) to end\n")
    sys.stderr.flush()


def _reload() -> None:
    from doit.globals import Globals

    backend = getattr(Globals.dep_manager, "backend", None)
    if isinstance(backend, Journal):
        backend.reload()
