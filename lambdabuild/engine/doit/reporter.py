"""doit's reporter: shows a run as text, as JSON lines, or only its errors.

Imported at every start of doit: keep it small.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TextIO

from doit.exceptions import InvalidTask, UnmetDependency

from lambdabuild.core.messages import MESSAGES, size_text
from lambdabuild.core.plain import Json, JsonObject
from lambdabuild.engine.base.display import DISPLAY
from lambdabuild.engine.base.snapshot import GROUPS, number
from lambdabuild.engine.doit import summary
from lambdabuild.engine.doit.printer import Printer
from lambdabuild.engine.doit.progress import Progress


class DoitTask(Protocol):
    """A task of doit's, as far as the reporter asks; doit ships no types."""

    name: str
    actions: Sequence[object]
    task_dep: Sequence[str]
    meta: Json | None
    values: Json


class DoitFailure(Protocol):
    """A failure of doit's, as far as the reporter asks; one of ours has the ``error`` too."""

    def get_msg(self) -> str: ...

    def get_name(self) -> str: ...


class Reporter:
    """Print what doit reports.

    doit calls ``execute_task`` from the thread that runs the step, and everything else from its main thread.
    """

    desc = "progress, a summary, errors without tracebacks"

    def __init__(self, outstream: TextIO, options: JsonObject) -> None:
        self.mode = DISPLAY.mode
        self.printer = Printer(outstream, sys.stderr)
        self.began = time.monotonic()
        self.steps: list[str] = []
        self.owners: dict[str, str] = {}
        """``{build:F: the build that F has}``, of the functions and layers that were asked for."""
        self.results: list[summary.StepResult] = []
        self.skipped: list[str] = []
        self.failed: list[str] = []
        self.blocked: list[str] = []
        self.broken: list[str] = []
        self.is_everything = False
        self.has_begun = False
        """True once the project's lock is taken."""

    # what doit calls

    def initialize(self, tasks: Mapping[str, DoitTask], selected: Iterable[str]) -> None:
        reached = _reached(tasks, selected)
        self.steps = [name for name in reached if _is_step(tasks[name])]
        self.printer.progress = Progress(len(self.steps))
        groups = [name for name in reached if _is_group(name) and not tasks[name].actions]
        first = {name: tasks[name].task_dep[0].partition(":") for name in groups if tasks[name].task_dep}
        owners = {name: owner for name, (kind, _, owner) in first.items() if kind != "layer"}  # no group of groups
        self.owners = {**DISPLAY.settled, **owners}
        self.is_everything = "template" in reached or "template" not in tasks

    def get_status(self, task: DoitTask) -> None:
        """Take the project's lock before doit asks whether a task is up to date.

        doit calls this for a group without steps too, for which it may fork.
        """
        if self.steps and DISPLAY.run is not None and not self.has_begun:
            from lambdabuild.core.errors import LambdaBuildError
            from lambdabuild.engine.base import session
            from lambdabuild.engine.processes import chains

            try:
                session.about_to_look(DISPLAY.run, self.steps)
                chains.begin(DISPLAY.run, self.steps)
                self.has_begun = True
            except LambdaBuildError as error:
                for one in getattr(error, "errors", (error,)) if self.mode == "json" else ():
                    self.printer.event({"event": "error", "error": one.as_dict()})
                raise InvalidTask(f"nothing was started\n{MESSAGES.text_of(error)}") from error

    def execute_task(self, task: DoitTask) -> None:
        if not _is_step(task):
            return
        self.printer.progress.start(task.name)
        if self.mode == "json":
            self.printer.event(_event("start", task))
        elif self.mode == "text":
            self.printer.view()

    def add_success(self, task: DoitTask) -> None:
        if not _is_step(task):
            return
        result = summary.StepResult(task.name, *_kind_and_name(task), task.values)
        self.results.append(result)
        seconds = self.printer.progress.end(task.name)
        if self.mode == "json":
            self.printer.event(
                _event("restored" if result.is_restored else "done", task, seconds=seconds, **_shown(task.values))
            )
        elif self.mode == "text":
            self.printer.view().line(_finished(task, seconds))

    def skip_uptodate(self, task: DoitTask) -> None:
        if not _is_step(task):
            return
        self.skipped.append(task.name)
        self.printer.progress.end(task.name)
        if self.mode == "json":
            self.printer.event(_event("skip", task))

    def skip_ignore(self, task: DoitTask) -> None:
        if _is_step(task) and self.mode == "text":
            self.printer.view().line(f"{task.name}  ignored (doit forget {task.name} brings it back)")

    def add_failure(self, task: DoitTask, fail: DoitFailure) -> None:
        if isinstance(fail, UnmetDependency):
            self.blocked += [task.name] if _is_step(task) else []
            return
        self.failed.append(task.name)
        seconds = self.printer.progress.end(task.name)
        if self.mode == "json":
            self.printer.event(_event("fail", task, seconds=seconds, error=_error(fail)))
        else:
            self.printer.error(_failure(task, fail))

    def cleanup_error(self, exception: Any) -> None:
        self.printer.error(exception.get_msg())

    def runtime_error(self, message: str) -> None:
        self.broken.append(message)

    def teardown_task(self, task: DoitTask) -> None: ...

    def complete_run(self) -> None:
        moved: Mapping[str, int] = {}
        if self.results and DISPLAY.run is not None:
            from lambdabuild.engine.step_cache import caches

            moved = caches.finish_run(DISPLAY.run)
        self.printer.close()
        for message in self.broken:
            self.printer.error(message)
        if self.mode == "json":
            self.printer.event({"event": "summary", **summary.data(self._result(moved))})
        elif self.mode == "text" and (self.steps or DISPLAY.settled) and not self.broken:
            text = summary.lines(self._result(moved), is_terminal=self.printer.is_terminal)
            self.printer.last_lines("\n".join(text))

    def _result(self, moved: Mapping[str, int]) -> summary.RunResult:
        """Return all that the summary depends on."""
        restored = [step for step in self.results if step.is_restored]
        return summary.RunResult(
            steps=(*(step for step in self.results if not step.is_restored), *restored),
            up_to_date=len(self.skipped) + DISPLAY.settled_steps,
            failed=tuple(self.failed),
            not_run=tuple(self.blocked),
            owners=self.owners,
            left_out=DISPLAY.left_out if self.is_everything else (),
            notes=DISPLAY.notes if self.is_everything else (),
            news=DISPLAY.news if self.is_everything else (),
            warnings=tuple(MESSAGES.warnings),
            moved=moved,
            next_command=DISPLAY.next_command,
            seconds=round(time.monotonic() - self.began, 3),
            is_interrupted=isinstance(sys.exc_info()[1], KeyboardInterrupt),
        )


def _reached(tasks: Mapping[str, DoitTask], selected: Iterable[str]) -> list[str]:
    """Return every task that a run of the selected ones comes to."""
    waiting, reached = [name for name in selected if name in tasks], dict[str, None]()
    while waiting:
        name = waiting.pop()
        if name not in reached and name in tasks:
            reached[name] = None
            waiting += tasks[name].task_dep
    return list(reached)


def _is_group(name: str) -> bool:
    """Return whether people name a function, layer or source by this task."""
    kind, _, rest = name.partition(":")
    return kind in GROUPS and bool(rest)


def _kind_and_name(task: DoitTask) -> tuple[str, str]:
    meta = task.meta or {}
    return meta["kind"], meta["name"]


def _is_step(task: DoitTask) -> bool:
    return bool(task.actions) and "kind" in (task.meta or {})


SHOWN = (
    "objects",
    "size",
    "unzipped",
    "files",
    "sent",
    "location",
    "notes",
    "warnings",
    "versions",
    "published",
    "restored",
    "executor",
)


def _event(event: str, task: DoitTask, **more: Any) -> Json:
    return {"event": event, "task": task.name, **(task.meta or {}), **more}


def _shown(values: JsonObject) -> Json:
    return {key: values[key] for key in SHOWN if key in values}


def _finished(task: DoitTask, seconds: float) -> str:
    """Return the line of a step that ended well."""
    values, parts = task.values, [f"{seconds:.2f} s"]
    if values.get("files") is not None:
        parts.append(f"{number(values['files'], 'file')}, {size_text(values['unzipped'])}")
    elif values.get("size") is not None:
        parts.append(size_text(values["size"]))
    if "restored" in values:
        parts.append("restored")
    if "executor" in values:
        parts.append(f"on {values['executor']}")
    if "sent" in values:
        parts.append("sent" if values["sent"] else "there already")
    if "versions" in values:
        parts += ["published" if values["published"] else "published already", *values["versions"]]
    return "  ".join([task.name, *parts])


def _failure(task: DoitTask, fail: DoitFailure) -> str:
    """Return the text of a failure; one that is no mistake of the user's keeps its traceback, because it is our bug."""
    error = getattr(fail, "error", None)
    if error is not None:
        return f"{task.name} failed\n{MESSAGES.text_of(error)}"
    return f"{task.name} failed: {fail.get_name()}\n{fail.get_msg()}"


def _error(fail: DoitFailure) -> Json:
    """Return a failure as data."""
    error = getattr(fail, "error", None)
    if error is None:
        return {"code": "", "message": fail.get_msg()}
    known: Json = error.as_dict()
    return known
