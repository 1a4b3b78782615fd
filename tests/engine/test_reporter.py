"""``doit.reporter`` and ``doit.progress``: what a run counts, and what it prints as text and as JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from doit.exceptions import TaskError, TaskFailed, UnmetDependency

from lambdabuild.core.errors import BadSource
from lambdabuild.engine.base.display import DISPLAY
from lambdabuild.engine.doit.printer import Printer
from lambdabuild.engine.doit.progress import Progress
from lambdabuild.engine.doit.reporter import Reporter


@dataclass
class FakeTask:
    """As much of a task of doit's as a reporter looks at."""

    name: str
    task_dep: list[str] = field(default_factory=list)
    values: Mapping[str, Any] = field(default_factory=dict)
    is_step: bool = True

    @property
    def actions(self) -> list[str]:
        return ["perform"] if self.is_step else []

    @property
    def meta(self) -> dict[str, str] | None:
        kind, _, name = self.name.partition(":")
        return {"kind": kind, "name": name} if self.is_step else None


TASKS = {
    task.name: task
    for task in (
        FakeTask("build", ["build:F", "build:G"], is_step=False),
        FakeTask("build:F", ["pack:F"], is_step=False),
        FakeTask("build:G", ["pack:G"], is_step=False),
        FakeTask("pack:F", ["make:F"], {"size": 1500}),
        FakeTask("pack:G", ["make:G"]),
        FakeTask("make:F"),
        FakeTask("make:G", values={"restored": "team", "secret": "not shown"}),
        FakeTask("mine", is_step=False),
    )
}


@pytest.fixture(autouse=True)
def display() -> Iterator[None]:
    """What doit's reporter is told of a run, which doit cannot hand to it."""
    yield
    DISPLAY.configure("text")
    DISPLAY.settle({}, 0)
    DISPLAY.next_command = ""


class Printed:
    """A reporter, and what it has printed."""

    def __init__(self, mode: str, *selected: str) -> None:
        DISPLAY.configure(mode, ["a note"], [{"reason": "it is inline", "names": ["H"]}], ["some news"])
        self.out, self.err = io.StringIO(), io.StringIO()
        self.reporter = Reporter(self.out, {})
        self.reporter.printer = Printer(self.out, self.err)
        self.reporter.initialize(TASKS, selected or ["build"])

    def ran(self, *names: str) -> Printed:
        for name in names:
            self.reporter.execute_task(TASKS[name])
            self.reporter.add_success(TASKS[name])
        return self

    def skipped(self, *names: str) -> Printed:
        for name in names:
            self.reporter.skip_uptodate(TASKS[name])
        return self

    def failed(self, name: str, failure: Any) -> Printed:
        self.reporter.execute_task(TASKS[name])
        self.reporter.add_failure(TASKS[name], failure)
        return self

    def ended(self) -> Printed:
        self.reporter.complete_run()
        return self

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.getvalue().splitlines()]

    @property
    def summary(self) -> dict[str, Any]:
        return self.ended().events[-1]

    @property
    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()


def mistake() -> Any:
    """A failure as a step raises it for a mistake of the user's."""
    failure: Any = TaskFailed("words")
    failure.error = BadSource("it has a mistake", help="correct it")
    return failure


# what is counted


def test_the_steps_of_a_run_are_those_that_the_selected_tasks_come_to() -> None:
    assert sorted(Printed("text", "build:F").reporter.steps) == ["make:F", "pack:F"]
    assert len(Printed("text").reporter.steps) == 4


def test_a_group_is_no_step() -> None:
    assert Printed("json").ran("build:F").events == []


def test_steps_that_ran_were_restored_or_skipped_are_counted_apart() -> None:
    found = Printed("json").ran("make:F", "pack:F", "make:G").skipped("pack:G").summary
    assert (found["ran"], found["restored"], found["up_to_date"]) == (2, 1, 1)


def test_steps_that_no_task_stands_for_are_up_to_date_too() -> None:
    printed = Printed("json").skipped("make:F")
    DISPLAY.settle({"build:G": "G"}, 5)
    assert printed.summary["up_to_date"] == 6


def test_a_failed_step_and_those_that_need_it_are_named() -> None:
    printed = Printed("json").failed("make:F", mistake())
    printed.reporter.add_failure(TASKS["pack:F"], UnmetDependency("make:F"))
    assert (printed.summary["failed"], printed.summary["not_run"]) == (["make:F"], ["pack:F"])


def test_a_group_that_cannot_be_made_is_no_step_that_did_not_run() -> None:
    printed = Printed("json").failed("pack:F", mistake())
    printed.reporter.add_failure(TASKS["build:F"], UnmetDependency("pack:F"))
    assert printed.summary["not_run"] == []


def test_a_function_is_built_or_reused_as_its_steps_were_run_or_not() -> None:
    found = Printed("json").ran("make:F", "pack:F").skipped("make:G", "pack:G").summary
    assert (found["built"], found["reused"]) == (["build:F"], ["build:G"])


# events for machines


def test_a_step_that_runs_has_an_event_at_its_beginning_and_one_at_its_end() -> None:
    assert [one["event"] for one in Printed("json").ran("make:F").events] == ["start", "done"]


def test_an_event_says_which_step_it_is_about() -> None:
    (start, _) = Printed("json").ran("make:F").events
    assert start == {"event": "start", "task": "make:F", "kind": "make", "name": "F"}


def test_a_step_from_a_cache_says_from_which() -> None:
    event = Printed("json").ran("make:G").events[-1]
    assert (event["event"], event["restored"]) == ("restored", "team")


def test_only_values_that_are_for_others_are_shown() -> None:
    assert "secret" not in Printed("json").ran("make:G").events[-1]


def test_a_step_that_is_up_to_date_is_skipped() -> None:
    assert [one["event"] for one in Printed("json").skipped("make:F").events] == ["skip"]


def test_a_mistake_is_data_with_its_code() -> None:
    event = Printed("json").failed("make:F", mistake()).events[-1]
    assert (event["event"], event["error"]["code"], event["error"]["help"]) == ("fail", BadSource.code, "correct it")


def test_an_error_that_is_our_bug_has_no_code() -> None:
    event = Printed("json").failed("make:F", TaskError("a traceback")).events[-1]
    assert event["error"]["code"] == ""


def test_the_last_line_is_the_summary() -> None:
    assert Printed("json").ran("make:F").summary["event"] == "summary"


def test_every_line_is_one_json_object_whatever_the_number_of_threads() -> None:
    printed = Printed("json")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: printed.ran("make:F", "pack:F"), range(25)))
    assert len(printed.events) == 100


# text for people


def test_a_line_says_what_a_step_came_to() -> None:
    (line,) = Printed("text").ran("pack:F").lines
    assert line.startswith("pack:F  ") and line.endswith(" s  1.5 kB")


def test_a_step_from_a_cache_is_said_to_be_restored() -> None:
    assert Printed("text").ran("make:G").lines[0].endswith("  restored")


def test_steps_that_are_up_to_date_have_no_line() -> None:
    assert Printed("text").skipped("make:F").lines == []


def test_a_mistake_is_told_on_standard_error_without_a_traceback() -> None:
    printed = Printed("text").failed("make:F", mistake())
    assert printed.err.getvalue().startswith("make:F failed\n")
    assert "it has a mistake" in printed.err.getvalue() and "Traceback" not in printed.err.getvalue()


def test_quietly_a_run_says_nothing_but_its_errors() -> None:
    printed = Printed("quiet").ran("make:F").failed("make:G", mistake()).ended()
    assert printed.out.getvalue() == ""
    assert "it has a mistake" in printed.err.getvalue()


def test_a_run_of_everything_says_what_it_leaves_out() -> None:
    found = Printed("json").ran("make:F").summary
    assert [one["names"] for one in found["left_out"]] == [["H"]]
    assert found["notes"] == ["a note", "some news"]


def test_news_are_for_runs_that_did_something() -> None:
    assert Printed("json").skipped("make:F").summary["notes"] == ["a note"]


def test_a_task_of_the_users_own_is_reported_by_nobody() -> None:
    assert Printed("text", "mine").ended().lines == []


# how far a run has come


def test_a_step_runs_from_its_start_to_its_end() -> None:
    progress = Progress(2)
    progress.start("make:F")
    assert [step.task for step in progress.now()[1]] == ["make:F"]
    progress.end("make:F")
    assert progress.now() == (1, [])


def test_a_step_that_need_not_run_has_ended() -> None:
    progress = Progress(2)
    assert progress.end("make:F") == 0
    assert progress.now()[0] == 1


def test_a_step_that_ended_twice_is_counted_once() -> None:
    progress = Progress(2)
    progress.end("make:F")
    progress.end("make:F")
    assert progress.now()[0] == 1


def test_a_step_that_has_ended_never_runs_again() -> None:
    progress = Progress(2)
    progress.end("make:F")
    progress.start("make:F")
    assert progress.now() == (1, [])


def test_the_step_that_runs_longest_comes_first() -> None:
    progress = Progress(2)
    for task in ("make:G", "make:F"):
        progress.start(task)
    assert [step.task for step in progress.now()[1]] == ["make:G", "make:F"]
