"""The command that doit was given, for a dodo.py that is being loaded: doit itself does not pass it on.

Imported at every start of doit: no records, whose import takes as long as all else of ours.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, NamedTuple

from lambdabuild.core.plain import JsonObject


class Wanted(NamedTuple):
    """Tasks, none for all; and whether mistakes of some may be told by these, while the others are built."""

    tasks: tuple[str, ...] = ()
    is_run: bool = False
    keeps_going: bool = False


class Asked(NamedTuple):
    """A command of doit's, with its options and the tasks it was given; none is all."""

    command: str
    options: Any
    tasks: tuple[str, ...]
    selected: tuple[str, ...] = ()
    """These or the dodo.py's default tasks, once it is loaded."""
    namespace: JsonObject | None = None
    """The dodo.py, once it is loaded."""

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.tasks, self.command == "run", bool(self.options.get("continue")))

    @property
    def is_run(self) -> bool:
        return self.command == "run"

    @property
    def is_plain_run(self) -> bool:
        """A run in which what is up to date need not be touched."""
        return self.is_run and not any(self.options.get(name) for name in ("always", "single"))

    @property
    def is_overview(self) -> bool:
        """``doit list`` of the groups alone."""
        shows_all = any(self.options.get(name) for name in ("subtasks", "status", "private", "list_deps"))
        return self.command == "list" and not self.tasks and not shows_all

    def has_other_tasks(self, ours: object) -> bool:
        """Return whether the dodo.py makes tasks of its own, which may need any of ours by name."""
        return any(
            value is not ours and (name.startswith("task_") or hasattr(value, "create_doit_tasks"))
            for name, value in (self.namespace or {}).items()
        )


def by_doit() -> Asked | None:
    """The command on whose behalf we are called; None when doit is used in another way than by a command."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        names = frame.f_locals
        if frame.f_code.co_name == "execute" and {"self", "params", "args"} <= names.keys():
            command = names["self"]
            if hasattr(command, "sel_tasks") and hasattr(command, "get_name"):
                namespace = getattr(command.loader, "namespace", None)
                selected = tuple(command.sel_tasks or ())
                return Asked(command.get_name(), names["params"], tuple(names["args"]), selected, namespace)
        frame = frame.f_back
    return None
