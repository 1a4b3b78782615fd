"""doit's view of a project in which a run has nothing to do, or only names are asked for: a handful of tasks.

Imported instead of ``loader``, which knows the steps.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from lambdabuild.core.plain import Json, JsonObject
from lambdabuild.engine.base.display import DISPLAY
from lambdabuild.engine.base.snapshot import Snapshot
from lambdabuild.engine.noop import doit_command
from lambdabuild.engine.noop.doit_command import Asked

Task: TypeAlias = dict[str, Any]
"""A task as doit takes it: https://pydoit.org/tasks.html"""

Titles = Mapping[str, Sequence[str]]
"""For each kind of step its title in ``doit list``, with {} for the step's name, and who has such steps."""
TEMPLATE = "template"
WHY = {"basename": "why", "name": None, "doc": "tell for each step of a function whether it would run, and why"}


def namespace(last_run: Snapshot, mode: str, otherwise: Callable[[], JsonObject]) -> Json:
    """The names of a dodo.py. ``otherwise`` gives the whole, which tasks of the user's own may need by name."""
    DISPLAY.configure(mode, last_run.shown["notes"], last_run.shown.get("left_out", ()))
    return {"DOIT_CONFIG": last_run.shown["config"], "lambdabuild_tasks": Groups(last_run, otherwise)}


def creator(make: Any) -> Any:
    """Of a method that doit calls for tasks: it asks on which line each stands, to sort them.

    Python tokenizes the source to tell, which takes 4 ms; of a module it tells 0 at once.
    """
    make.__wrapped__ = sys.modules[__name__]
    return make


class Groups:
    """The tasks of a dodo.py: doit calls ``create_doit_tasks`` and gets the groups without their steps."""

    def __init__(self, last_run: Snapshot, otherwise: Callable[[], JsonObject]) -> None:
        self.last_run, self.otherwise = last_run, otherwise

    @creator
    def create_doit_tasks(self) -> Iterator[Task]:
        question = doit_command.by_doit()
        if question is None or question.has_other_tasks(self) or not self._knows(question):
            yield from self.otherwise()["lambdabuild_tasks"].create_doit_tasks()
            return
        yield from groups(self.last_run.shown["titles"], "template" in self.last_run.shown["groups"])
        if question.is_overview:
            return
        from doit.globals import Globals

        owners = self.last_run.owners
        for name in owners.keys() & {*question.selected}:
            kind, _, user = name.partition(":")
            yield {"basename": kind, "name": user, "actions": None}
        manager: Any = Globals.dep_manager
        manager.backend.rest()
        asked_for = [name for name in question.tasks if name in owners]
        DISPLAY.settle({name: owners[name] for name in asked_for} or owners, self.last_run.steps(asked_for))

    def _knows(self, question: Asked) -> bool:
        """Return whether the dodo.py selects nothing but what was found to be up to date."""
        return question.is_overview or self.last_run.answers(
            name for name in question.selected if name not in self.last_run.shown["groups"]
        )


def heads(titles: Titles) -> Iterator[Task]:
    """Yield the groups of steps and of functions, so that ``doit list`` says what they are, even those without any."""
    for kind, (title, whose) in titles.items():
        if kind != TEMPLATE:
            yield {"basename": kind, "name": None, "doc": title.format(whose)}
    yield {"basename": "build", "name": None, "doc": "build each function: all its steps"}
    yield {"basename": "layer", "name": None, "doc": "build each layer: all its steps"}
    yield {"basename": "source", "name": None, "doc": "build and publish each source: all its steps"}


def groups(titles: Titles, has_template: bool) -> Iterator[Task]:
    """Yield all that ``doit list`` shows: the heads, and tasks that belong to none."""
    yield from heads(titles)
    if has_template:
        yield {"basename": TEMPLATE, "actions": None, "doc": titles[TEMPLATE][0]}
