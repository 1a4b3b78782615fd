"""``actions``: a step runs, leaves a receipt, is restored from a cache, and is cleaned; nobody else's file is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from doit.exceptions import TaskFailed
from fake_project import FakeProject, fake_project

from lambdabuild.engine.base import receipts
from lambdabuild.engine.steps import actions


@pytest.fixture
def project(tmp_path: Path) -> FakeProject:
    return fake_project(tmp_path)


def run(project: FakeProject, name: str = "Orders") -> None:
    project.perform("make", name)
    project.perform("pack", name)


def test_a_step_leaves_its_output_and_a_receipt_of_what_it_was_made_of(project: FakeProject) -> None:
    run(project)
    assert project.packed("Orders").read_text() == "SOURCE OF ORDERS\n"
    receipt = receipts.read(project.run.project.receipt("make", "Orders"))
    assert receipt is not None and [*receipt.components] == ["file:Orders/source.txt"]
    assert project.kept["make:Orders"]["output"] == receipt.output


def test_a_mistake_fails_the_step_with_its_error_and_leaves_no_receipt(project: FakeProject) -> None:
    run(project)
    project.source("Orders").write_text("a mistake\n")
    failed = project.perform("make", "Orders")
    assert isinstance(failed, TaskFailed)
    assert "Orders has a mistake" in failed.get_msg()
    assert receipts.read(project.run.project.receipt("make", "Orders")) is None
    assert project.packed("Orders").read_text() == "SOURCE OF ORDERS\n", "what was built before is intact"


def test_somebody_elses_file_in_the_place_of_an_output_is_not_overwritten(project: FakeProject) -> None:
    project.perform("make", "Orders")
    project.packed("Orders").write_text("mine\n")
    failed = project.perform("pack", "Orders")
    assert isinstance(failed, TaskFailed) and "LB507" in failed.get_msg()
    assert project.packed("Orders").read_text() == "mine\n"


def test_clean_removes_what_a_step_made_and_nothing_else(project: FakeProject) -> None:
    run(project, "Orders")
    run(project, "Refunds")
    (project.folder / "build/notes.txt").write_text("mine\n")
    actions.clean(project.run, "pack", "Orders")
    actions.clean(project.run, "make", "Orders")
    left = sorted(path.name for path in (project.folder / "build").iterdir() if path.is_file())
    assert left == ["Refunds.packed", "notes.txt"]
    assert not Path(project.run.project.out("make", "Orders")).exists()


def test_a_dry_clean_removes_nothing(project: FakeProject) -> None:
    run(project)
    actions.clean(project.run, "pack", "Orders", dryrun=True)
    assert project.packed("Orders").exists()


def test_equal_inputs_are_restored_from_the_cache_and_others_are_run(tmp_path: Path) -> None:
    project = fake_project(tmp_path, cache=True)
    run(project)
    actions.clean(project.run, "pack", "Orders")
    values = project.perform("pack", "Orders")
    assert "restored" in values and project.ran == ["make:Orders", "pack:Orders"]

    project.kept["make:Orders"] = {**project.kept["make:Orders"], "output": "another"}
    refreshed = project.with_kind("pack", inputs=lambda run, name: {"step:make:Orders": "another"})
    assert "restored" not in refreshed.perform("pack", "Orders")
    assert project.ran == ["make:Orders", "pack:Orders", "pack:Orders"]


def test_what_is_asked_for_anew_is_run_though_a_cache_has_it(tmp_path: Path) -> None:
    project = fake_project(tmp_path, cache=True)
    run(project)
    project.run.progress.runs_always = True
    assert "restored" not in project.perform("pack", "Orders")


def test_a_step_whose_inputs_were_edited_while_it_ran_is_given_to_no_cache(tmp_path: Path) -> None:
    project = fake_project(tmp_path, cache=True)
    answers = iter(["before", "after"])  # as the step begins, and when it has run
    edited = project.with_kind("pack", inputs=lambda run, name: {"file:x": next(answers, "before")})
    edited.perform("pack", "Orders")
    assert "restored" not in edited.perform("pack", "Orders")


def test_a_kind_that_no_cache_keeps_is_never_restored(tmp_path: Path) -> None:
    project = fake_project(tmp_path, cache=True).with_kind("pack", restore=None)
    run(project)
    assert "restored" not in project.perform("pack", "Orders")
