"""What a person or a machine sees of a run: doit's reporter, as text, as nothing but errors, or as JSON lines.

Imported at every start of doit: keep it small. The live view for terminals is loaded when the first step runs.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from doit.exceptions import InvalidTask, UnmetDependency

from lambdabuild.core.messages import MESSAGES, size_text
from lambdabuild.engine.base.display import DISPLAY
from lambdabuild.engine.base.snapshot import GROUPS, counted, nothing_to_do, number

NO_BUCKET = "first name a bucket (bucket=NAME) that the zips are sent to, then "


class View(Protocol):
    """Where the text goes: a terminal that is redrawn, or lines."""

    def line(self, text: str) -> None: ...
    def started(self, task: str) -> None: ...
    def finished(self, task: str) -> None: ...
    def close(self) -> None: ...


class Lines:
    """Plain lines, for pipes and CI."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def line(self, text: str) -> None:
        self.stream.write(text + "\n")
        self.stream.flush()

    def started(self, task: str) -> None: ...
    def finished(self, task: str) -> None: ...
    def close(self) -> None: ...


class Reporter:
    """doit calls these methods from its main thread, but ``execute_task`` from the thread that runs the step."""

    desc = "progress, a summary, errors without tracebacks"

    def __init__(self, outstream: Any, options: Mapping[str, Any]) -> None:
        self.out, self.err, self.mode = outstream, sys.stderr, DISPLAY.mode
        self.view: View | None = None
        self.lock = threading.Lock()
        self.began = time.monotonic()
        self.since: dict[str, float] = {}
        self.steps: list[str] = []
        self.owners: dict[str, str] = {}
        """``{build:F: the build that F has}``, of the functions and layers that were asked for."""
        self.skipped: list[str] = []
        self.done: list[Any] = []
        self.restored: list[Any] = []
        """Steps that were not run, for a cache had what they leave."""
        self.moved: Mapping[str, int] = {}
        """Bytes that came from remote caches, and that went there."""
        self.failed: list[str] = []
        self.blocked: list[str] = []
        self.broken: list[str] = []
        self.is_asked = False
        self.is_everything = False

    # doit's side

    def initialize(self, tasks: Mapping[str, Any], selected: Iterable[str]) -> None:
        reached = _reached(tasks, selected)
        self.steps = [name for name in reached if _is_step(tasks[name])]
        groups = [
            name for name in reached if ":" in name and name.partition(":")[0] in GROUPS and not tasks[name].actions
        ]
        first = {name: tasks[name].task_dep[0].partition(":") for name in groups if tasks[name].task_dep}
        self.owners = {name: owner for name, (kind, _, owner) in first.items() if kind != "layer"}  # no group of groups
        self.owners = {**DISPLAY.settled, **self.owners}
        self.is_asked = bool(self.steps or DISPLAY.settled)
        self.is_everything = "template" in reached or "template" not in tasks

    def get_status(self, task: Any) -> None:
        """Called before doit asks whether a task is up to date, a group without steps too, for which it may fork."""
        if self.steps:
            from lambdabuild.core.errors import LambdaBuildError
            from lambdabuild.engine.base import session

            try:
                session.about_to_look(self.steps)
            except LambdaBuildError as error:
                for one in getattr(error, "errors", (error,)) if self.mode == "json" else ():
                    self._write({"event": "error", "error": one.as_dict()})
                raise InvalidTask(str(error)) from error

    def execute_task(self, task: Any) -> None:
        if not _is_step(task):
            return
        self.since[task.name] = time.monotonic()
        if self.mode == "json":
            self._event("start", task)
        elif self.mode == "text":
            self._view().started(task.name)

    def add_success(self, task: Any) -> None:
        if not _is_step(task):
            return
        is_restored = "restored" in task.values
        (self.restored if is_restored else self.done).append(task)
        seconds = self._seconds(task)
        if self.mode == "json":
            self._event("restored" if is_restored else "done", task, seconds=seconds, **_shown(task.values))
        elif self.mode == "text":
            self._view().finished(task.name)
            self._view().line(_finished(task, seconds))

    def skip_uptodate(self, task: Any) -> None:
        if not _is_step(task):
            return
        self.skipped.append(task.name)
        if self.mode == "json":
            self._event("skip", task)
        elif self.view is not None:
            self.view.finished(task.name)

    def skip_ignore(self, task: Any) -> None:
        if _is_step(task) and self.mode == "text":
            self._view().line(f"{task.name}  ignored (doit forget {task.name} brings it back)")

    def add_failure(self, task: Any, fail: Any) -> None:
        if isinstance(fail, UnmetDependency):
            self.blocked += [task.name] if _is_step(task) else []
            return
        self.failed.append(task.name)
        if self.mode == "json":
            self._event("fail", task, seconds=self._seconds(task), error=_error(fail))
            return
        if self.view is not None:
            self.view.finished(task.name)
        self._say(_failure(task, fail))

    def cleanup_error(self, exception: Any) -> None:
        self._say(exception.get_msg())

    def runtime_error(self, message: str) -> None:
        self.broken.append(message)

    def teardown_task(self, task: Any) -> None: ...

    def complete_run(self) -> None:
        if self.done or self.restored:
            from lambdabuild.engine.step_cache import caches

            self.moved = caches.finish_run()
        if self.view is not None:
            self.view.close()
            self.view = None
        for message in self.broken:
            self._say(message)
        if self.mode == "json":
            self._write({"event": "summary", **self._totals()})
        elif self.mode == "text" and self.is_asked and not self.broken:
            Lines(self.out).line("\n".join(self._summary()))

    # what is shown

    def _view(self) -> View:
        with self.lock:  # the first two steps may begin at once, and there is one terminal
            if self.view is None:
                self.view = self._live() if _is_terminal(self.out) else Lines(self.out)
            return self.view

    def _live(self) -> View:
        from lambdabuild.engine.doit.live import Live

        return Live(self.out, len(self.steps), len(self.skipped))

    def _say(self, text: str) -> None:
        """An error: to stderr, or above the live view, which has the terminal."""
        if self.view is not None and _is_terminal(self.out):
            self.view.line(text)
        else:
            self.err.write(text.rstrip("\n") + "\n")
            self.err.flush()

    def _event(self, event: str, task: Any, **more: Any) -> None:
        self._write({"event": event, "task": task.name, **(task.meta or {}), **more})

    def _write(self, data: Mapping[str, Any]) -> None:
        self.out.write(json.dumps(data) + "\n")
        self.out.flush()

    def _seconds(self, task: Any) -> float:
        return round(time.monotonic() - self.since.get(task.name, time.monotonic()), 3)

    def _totals(self) -> dict[str, Any]:
        uploads = [put for task in self.done for put in _put(task)]
        sent = [size for size, is_sent in uploads if is_sent]
        interrupted = isinstance(sys.exc_info()[1], KeyboardInterrupt)
        return {
            "ran": len(self.done),
            "restored": len(self.restored),
            **self.moved,
            "up_to_date": len(self.skipped) + DISPLAY.settled_steps,
            "failed": self.failed,
            "not_run": self.blocked,
            "uploaded": len(sent),
            "uploaded_bytes": sum(sent),
            "already_there": len(uploads) - len(sent),
            "built": [name for name, owner in self.owners.items() if owner in self._ran()],
            "reused": [name for name, owner in self.owners.items() if owner not in self._ran()],
            "left_out": [dict(one) for one in DISPLAY.left_out] if self.is_everything else [],
            "notes": self._notes(),
            "warnings": [*MESSAGES.warnings, *self._told("warnings")],
            **self._deployment(),
            "seconds": round(time.monotonic() - self.began, 3),
            "interrupted": interrupted,
        }

    def _ran(self) -> set[str]:
        """The builds that had a step to run, resolving apart."""
        return {task.meta["name"] for task in (*self.done, *self.restored) if task.meta["kind"] != "resolve"}

    def _told(self, kind: str) -> list[str]:
        """What the steps of this run say for the summary: their ``notes`` or ``warnings``."""
        return [text for task in (*self.done, *self.restored) for text in task.values.get(kind) or ()]

    def _deployment(self) -> dict[str, str]:
        """The command that deploys what this run has written, when a service says how."""
        commands = [task.values["deploy_command"] for task in self.done if "deploy_command" in task.values]
        return {"deploy_command": commands[-1]} if commands and not self.failed else {}

    def _notes(self) -> list[str]:
        said = self._told("notes")
        news = DISPLAY.news if self.done or self.restored or self.failed else ()
        return list(dict.fromkeys([*((*DISPLAY.notes, *news) if self.is_everything else ()), *said]))

    def _summary(self) -> Iterable[str]:
        totals = self._totals()
        left_out = sum(len(one["names"]) for one in totals["left_out"])
        yield from (f"warning: {warning}" for warning in self._told("warnings"))
        yield from (f"note: {note}" for note in totals["notes"])
        if totals["interrupted"]:
            yield "interrupted; what is finished is kept"
        elif self.failed:
            yield f"failed: {', '.join(self.failed)}"
            if self.blocked:
                yield f"not run because of that: {', '.join(self.blocked)}"
        elif not self.done and not self.restored:
            yield nothing_to_do(self.owners, totals["up_to_date"], left_out)
            return
        is_whole = not self.failed and not totals["interrupted"]
        built = f"built {counted(totals['built'])}; " if is_whole and totals["built"] else ""
        reused = f"reused {counted(totals['reused'])}; " if is_whole and totals["reused"] else ""
        left = f"{left_out} left out; " if left_out else ""
        restored = f"{len(self.restored)} restored, " if self.restored else ""
        yield (
            f"{built}{reused}{left}{number(totals['ran'], 'step')} run, {restored}{totals['up_to_date']} up to date; "
            f"{totals['uploaded']} uploaded ({size_text(totals['uploaded_bytes'])}), "
            f"{totals['already_there']} there already; {totals['seconds']:.1f} s"
        )
        if is_whole and "deploy_command" in totals:
            is_sent = all(task.values["is_sent"] for task in self.done if "deploy_command" in task.values)
            yield f"deploy: {'' if is_sent else NO_BUCKET}{totals['deploy_command']}"


def _put(task: Any) -> list[tuple[int, bool]]:
    """The size in bytes of each object that a step has put into the store, and whether it had to be sent."""
    if (task.meta or {}).get("kind") == "upload":
        return [(task.values.get("size", 0), bool(task.values.get("sent")))]
    return [(size, is_sent) for size, is_sent in task.values.get("objects", ())]


def _reached(tasks: Mapping[str, Any], selected: Iterable[str]) -> list[str]:
    """Every task that a run of the selected ones comes to."""
    waiting, found = [name for name in selected if name in tasks], dict[str, None]()
    while waiting:
        name = waiting.pop()
        if name not in found and name in tasks:
            found[name] = None
            waiting += tasks[name].task_dep
    return list(found)


def _is_group(name: str) -> bool:
    """Whether it is what people name a function, layer or source by."""
    kind, _, rest = name.partition(":")
    return kind in GROUPS and bool(rest)


def _is_step(task: Any) -> bool:
    return bool(task.actions) and "kind" in (task.meta or {})


def _is_terminal(stream: Any) -> bool:
    return bool(stream.isatty()) and os.environ.get("TERM") not in ("dumb", None) and not os.environ.get("CI")


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


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: values[key] for key in SHOWN if key in values}


def _finished(task: Any, seconds: float) -> str:
    values, parts = task.values, [f"{seconds:.2f} s"]
    if values.get("files") is not None:
        parts.append(f"{values['files']} files, {size_text(values['unzipped'])}")
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


def _failure(task: Any, fail: Any) -> str:
    """A mistake of the user's as it is; anything else with its traceback, for it is ours."""
    if getattr(fail, "error", None) is not None:
        return f"{task.name} failed\n{fail.get_msg()}"
    return f"{task.name} failed: {fail.get_name()}\n{fail.get_msg()}"


def _error(fail: Any) -> dict[str, Any]:
    error = getattr(fail, "error", None)
    if error is None:
        return {"code": "", "message": fail.get_msg()}
    found: dict[str, Any] = error.as_dict()
    return found
