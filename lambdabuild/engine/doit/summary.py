"""The summary of a run: what its steps came to, as lines for people and as data for machines.

Plain data in, plain data out. Imported at every start of doit, so it imports next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lambdabuild.core.messages import size_text
from lambdabuild.core.plain import Json, JsonObject
from lambdabuild.core.records import Struct, field
from lambdabuild.engine.base.snapshot import counted, nothing_to_do, number

NO_BUCKET = "first name a bucket (bucket=NAME) that the zips are sent to, then "


class StepResult(Struct, frozen=True):
    """A step that ran or was restored from a cache, and the values that it left."""

    task: str
    kind: str
    unit: str
    values: JsonObject

    @property
    def is_restored(self) -> bool:
        return "restored" in self.values


class RunResult(Struct, frozen=True):
    """All that the summary of a run depends on.

    ``owners`` is ``{build:F: the build that F has}`` for everything that was asked for. ``notes`` are printed always,
    ``news`` only by a run that did something. ``moved`` counts bytes from and to remote caches.
    """

    steps: tuple[StepResult, ...] = ()
    up_to_date: int = 0
    failed: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[JsonObject, ...] = ()
    notes: tuple[str, ...] = ()
    news: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    moved: Mapping[str, int] = field(default_factory=dict)
    next_command: str = ""
    seconds: float = 0.0
    is_interrupted: bool = False


def data(run: RunResult) -> Json:
    """Return the summary for machines, the last line of ``--format json``."""
    uploads = [upload for step in run.steps if not step.is_restored for upload in _uploads(step)]
    sent = [size for size, is_sent in uploads if is_sent]
    built = {step.unit for step in run.steps if step.kind != "resolve"}
    restored = sum(step.is_restored for step in run.steps)
    command = _deploy_command(run)
    return {
        "ran": len(run.steps) - restored,
        "restored": restored,
        **run.moved,
        "up_to_date": run.up_to_date,
        "failed": list(run.failed),
        "not_run": list(run.not_run),
        "uploaded": len(sent),
        "uploaded_bytes": sum(sent),
        "already_there": len(uploads) - len(sent),
        "built": [name for name, unit in run.owners.items() if unit in built],
        "reused": [name for name, unit in run.owners.items() if unit not in built],
        "left_out": [dict(group) for group in run.left_out],
        "notes": _notes(run),
        "warnings": [*run.warnings, *_texts(run, "warnings")],
        **({"deploy_command": command} if command else {}),
        "seconds": run.seconds,
        "interrupted": run.is_interrupted,
    }


def lines(run: RunResult, *, is_terminal: bool = False) -> Iterator[str]:
    """Yield the summary for people. On a terminal, a successful run ends with the command to type next."""
    yield from (f"warning: {warning}" for warning in _texts(run, "warnings"))
    yield from (f"note: {note}" for note in _notes(run))
    if run.is_interrupted:
        yield "interrupted; what is finished is kept"
    elif run.failed:
        yield f"failed: {', '.join(run.failed)}"
        if run.not_run:
            yield f"not run because of that: {', '.join(run.not_run)}"
    elif not run.steps:
        yield nothing_to_do(run.owners, run.up_to_date, _count_left_out(run))
        return
    yield _counts(run)
    if run.failed or run.is_interrupted:
        return
    command = _deploy_command(run)
    if command:
        is_sent = all(step.values["is_sent"] for step in run.steps if "deploy_command" in step.values)
        yield f"deploy: {'' if is_sent else NO_BUCKET}{command}"
    elif is_terminal and run.next_command and any(step.kind == "template" for step in run.steps):
        yield f"next: {run.next_command}"


def _counts(run: RunResult) -> str:
    """Return the line that says how much was built, reused, restored and uploaded, and how long it took."""
    totals = data(run)
    is_whole = not run.failed and not run.is_interrupted
    built = f"built {counted(totals['built'])}; " if is_whole and totals["built"] else ""
    reused = f"reused {counted(totals['reused'])}; " if is_whole and totals["reused"] else ""
    left = f"{_count_left_out(run)} left out; " if run.left_out else ""
    restored = f"{totals['restored']} restored, " if totals["restored"] else ""
    return (
        f"{built}{reused}{left}{number(totals['ran'], 'step')} run, {restored}{totals['up_to_date']} up to date; "
        f"{totals['uploaded']} uploaded ({size_text(totals['uploaded_bytes'])}), "
        f"{totals['already_there']} there already; {totals['seconds']:.1f} s"
    )


def _count_left_out(run: RunResult) -> int:
    return sum(len(group["names"]) for group in run.left_out)


def _texts(run: RunResult, key: str) -> list[str]:
    """Return the ``notes`` or ``warnings`` that steps of this run left."""
    return [text for step in run.steps for text in step.values.get(key) or ()]


def _notes(run: RunResult) -> list[str]:
    """Return every note once."""
    news = run.news if run.steps or run.failed else ()
    return list(dict.fromkeys([*run.notes, *news, *_texts(run, "notes")]))


def _deploy_command(run: RunResult) -> str:
    """Return the command that a serverless.yml's template step left, unless something failed."""
    ran = [step.values for step in run.steps if not step.is_restored]
    commands = [values["deploy_command"] for values in ran if "deploy_command" in values]
    return commands[-1] if commands and not run.failed else ""


def _uploads(step: StepResult) -> Iterable[tuple[int, bool]]:
    """Return the size in bytes of each object that a step put into the store, and whether it had to be sent."""
    if step.kind == "upload":
        return [(step.values.get("size", 0), bool(step.values.get("sent")))]
    return [(size, is_sent) for size, is_sent in step.values.get("objects", ())]
