"""The summary of a run: plain data in, lines for people and data for machines out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lambdabuild.core.records import replace
from lambdabuild.engine.doit.summary import RunResult, StepResult, data, lines


def step(kind: str, unit: str = "F", **values: Any) -> StepResult:
    return StepResult(f"{kind}:{unit}", kind, unit, values)


BUILT = RunResult(
    steps=(step("zip"), step("upload", size=1500, sent=True), step("template", "template")),
    owners={"build:F": "F", "build:G": "G"},
    next_command="sam deploy",
    seconds=1.25,
)


def test_a_build_says_what_was_built_reused_and_uploaded() -> None:
    assert list(lines(BUILT)) == [
        "built 1 function; reused 1 function; 3 steps run, 0 up to date; 1 uploaded (1.5 kB), 0 there already; 1.2 s"
    ]


def test_nothing_to_do_is_one_line() -> None:
    assert list(lines(RunResult(owners={"build:F": "F"}, up_to_date=6))) == ["nothing to do: 1 function up to date"]


def test_a_failure_names_the_steps_that_did_not_run_and_no_next_command() -> None:
    run = replace(BUILT, failed=("zip:G",), not_run=("hash:G",))
    assert list(lines(run, is_terminal=True)) == [
        "failed: zip:G",
        "not run because of that: hash:G",
        "3 steps run, 0 up to date; 1 uploaded (1.5 kB), 0 there already; 1.2 s",
    ]


def test_an_interrupted_run_says_so_first() -> None:
    first, counts = lines(replace(BUILT, is_interrupted=True), is_terminal=True)
    assert first == "interrupted; what is finished is kept"
    assert counts.startswith("3 steps run")


def test_the_next_command_is_printed_on_a_terminal_after_a_template_was_written() -> None:
    assert list(lines(BUILT, is_terminal=True))[-1] == "next: sam deploy"
    assert "next: sam deploy" not in lines(BUILT)
    assert "next: sam deploy" not in lines(replace(BUILT, steps=(step("zip"),)), is_terminal=True)


@pytest.mark.parametrize(
    ("is_sent", "line"),
    [
        (True, "deploy: aws x"),
        (False, "deploy: first name a bucket (bucket=NAME) that the zips are sent to, then aws x"),
    ],
)
def test_a_serverless_yml_brings_its_own_command_which_is_always_printed(is_sent: bool, line: str) -> None:
    template = step("template", "template", deploy_command="aws x", is_sent=is_sent)
    run = replace(BUILT, steps=(template,))

    assert list(lines(run))[-1] == line
    assert "next: sam deploy" not in lines(run, is_terminal=True)
    assert data(run)["deploy_command"] == "aws x"
    assert "deploy_command" not in data(replace(run, failed=("zip:F",)))


def test_a_restored_step_is_counted_apart_and_uploads_nothing() -> None:
    run = replace(BUILT, steps=(step("upload", size=9, sent=True, restored="folder"), step("zip")))
    totals = data(run)

    assert (totals["ran"], totals["restored"], totals["uploaded"]) == (1, 1, 0)
    assert "1 step run, 1 restored, 0 up to date" in list(lines(run))[-1]


def test_an_object_that_was_there_already_is_not_counted_as_uploaded() -> None:
    totals = data(replace(BUILT, steps=(step("share", "upload", objects=[(5, True), (7, False)]),)))
    assert (totals["uploaded"], totals["uploaded_bytes"], totals["already_there"]) == (1, 5, 1)


def test_resolving_alone_builds_nothing() -> None:
    assert data(replace(BUILT, steps=(step("resolve"),)))["built"] == []


@pytest.mark.parametrize(
    ("run", "notes"),
    [
        (RunResult(notes=("a",), news=("b",)), ["a"]),
        (RunResult(notes=("a",), news=("b",), steps=(step("zip"),)), ["a", "b"]),
        (RunResult(notes=("a",), news=("b",), failed=("zip:F",)), ["a", "b"]),
        (RunResult(notes=("a",), steps=(step("zip", notes=["a", "c"]),)), ["a", "c"]),
    ],
)
def test_each_note_is_said_once_and_news_only_when_something_was_done(run: RunResult, notes: list[str]) -> None:
    assert data(run)["notes"] == notes


def test_warnings_of_steps_are_printed_in_the_summary_and_all_are_in_its_data() -> None:
    run = replace(BUILT, warnings=("printed before",), steps=(step("zip", warnings=["w"]),))
    assert next(iter(lines(run))) == "warning: w"
    assert data(run)["warnings"] == ["printed before", "w"]


def test_the_data_of_a_summary_has_these_keys() -> None:
    keys: Mapping[str, Any] = data(replace(BUILT, moved={"cache_bytes_read": 1}))
    assert list(keys) == [
        "ran", "restored", "cache_bytes_read", "up_to_date", "failed", "not_run", "uploaded", "uploaded_bytes",
        "already_there", "built", "reused", "left_out", "notes", "warnings", "seconds", "interrupted",
    ]  # fmt: skip
