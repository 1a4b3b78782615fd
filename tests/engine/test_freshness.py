"""``freshness.reasons``: no reason means up to date, and the reasons that decide are those that ``why`` prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_project import FakeProject, fake_project

from lambdabuild.core.errors import BadSource
from lambdabuild.engine.freshness.reasons import NEVER_RUN, NOT_INTACT, Freshness, reasons


@pytest.fixture
def project(tmp_path: Path) -> FakeProject:
    return fake_project(tmp_path)


def why(project: FakeProject, kind: str, name: str) -> list[str]:
    return [*reasons(project.run, kind, name)]


def test_a_step_that_never_ran_is_not_up_to_date(project: FakeProject) -> None:
    assert why(project, "make", "Orders") == [NEVER_RUN]


def test_a_step_that_ran_with_the_same_inputs_is_up_to_date(project: FakeProject) -> None:
    project.perform("make", "Orders")
    assert why(project, "make", "Orders") == []


def test_an_edited_file_is_named(project: FakeProject) -> None:
    project.perform("make", "Orders")
    project.source("Orders").write_text("edited\n")
    assert why(project, "make", "Orders") == ["the file Orders/source.txt changed"]


def test_a_file_that_is_gone_is_named_as_gone(project: FakeProject) -> None:
    project.perform("make", "Orders")
    project.source("Orders").unlink()
    assert why(project, "make", "Orders") == ["the file Orders/source.txt is gone"]


def test_a_step_whose_earlier_step_has_another_output_says_which(project: FakeProject) -> None:
    project.perform("make", "Orders")
    project.perform("pack", "Orders")
    project.source("Orders").write_text("edited\n")
    project.perform("make", "Orders")
    assert why(project, "pack", "Orders") == ["the result of make:Orders changed"]


def test_an_edit_that_changes_no_output_stops_there(project: FakeProject) -> None:
    project.perform("make", "Orders")
    project.perform("pack", "Orders")
    project.source("Orders").write_text(project.source("Orders").read_text().upper())
    project.perform("make", "Orders")
    assert why(project, "pack", "Orders") == []


def test_what_somebody_removed_by_hand_is_made_again(project: FakeProject) -> None:
    project.perform("make", "Orders")
    Path(project.run.project.out("make", "Orders")).unlink()
    assert why(project, "make", "Orders") == [NOT_INTACT]


def test_a_step_that_must_ask_others_says_so_and_nothing_else(project: FakeProject) -> None:
    project.perform("make", "Orders")
    asking = project.with_kind("make", asks_always=lambda run, name: f"{name} asks")
    assert why(asking, "make", "Orders") == ["Orders asks"]


def test_a_lost_receipt_is_as_if_the_step_had_never_run_once_its_inputs_changed(project: FakeProject) -> None:
    project.perform("make", "Orders")
    Path(project.run.project.receipt("make", "Orders")).unlink()
    project.source("Orders").write_text("edited\n")
    assert why(project, "make", "Orders") == [NEVER_RUN]


def test_doit_is_answered_by_the_first_reason_and_what_was_looked_at_is_kept(project: FakeProject) -> None:
    project.perform("make", "Orders")
    question = Freshness(project.run, "make", "Orders")
    assert question(None, project.run.saved("make:Orders"))
    assert ("make", "Orders") in project.run.progress.seen
    project.source("Orders").write_text("edited\n")
    assert not question(None, project.run.saved("make:Orders"))


def test_a_mistake_in_the_inputs_is_the_steps_to_raise(project: FakeProject) -> None:
    project.perform("make", "Orders")

    def broken(run: object, name: str) -> dict[str, str]:
        raise BadSource("it cannot be read")

    wrong = project.with_kind("make", inputs=broken)
    assert not Freshness(wrong.run, "make", "Orders")(None, wrong.run.saved("make:Orders"))
    with pytest.raises(BadSource):
        why(wrong, "make", "Orders")


def test_an_unknown_kind_is_an_error_and_never_a_default(project: FakeProject) -> None:
    project.kept["lint:Orders"] = {"inputs": "x"}
    with pytest.raises(KeyError, match="lint"):
        why(project, "lint", "Orders")
