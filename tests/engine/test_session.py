"""``base.session`` and ``base.sweep``: what a run knows of those before it, and what it removes of one that was killed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fake_project import FakeProject, fake_project, in_a_fork

from lambdabuild.engine.base import ownership, session, sweep
from lambdabuild.engine.base.journal import Journal
from lambdabuild.engine.base.outputs import Output
from lambdabuild.engine.base.project import journal_file


@pytest.fixture
def project(tmp_path: Path) -> FakeProject:
    return fake_project(tmp_path)


def dead_process() -> int:
    """Return the number of a process that has ended."""
    process = os.fork()
    if not process:
        os._exit(0)
    os.waitpid(process, 0)
    return process


def test_outside_of_doit_the_journal_says_what_steps_have_left(project: FakeProject) -> None:
    Journal(journal_file(project.run.project)).set("make:F", "_values_:", {"inputs": "x"})
    saved = session.saved_in(project.run.project)
    assert saved("make:F") == {"inputs": "x"}
    assert saved("make:G") == {}


def test_the_places_of_steps_are_looked_at_once_a_run(project: FakeProject) -> None:
    session.about_to_look(project.run, ["pack:Orders"])
    project.write("build/Orders.packed", "somebody's, who was late")
    session.about_to_look(project.run, ["pack:Orders"])
    assert project.run.progress.is_looked_at


def test_the_run_after_one_that_was_killed_removes_what_that_was_writing(project: FakeProject) -> None:
    output = str(project.packed("Orders"))
    assert in_a_fork(lambda: (session.begin(project.run), ownership.claim(project.run, [Output(output)])))
    half = project.write(f"build/Orders.packed.{dead_process()}.ab.tmp", "half")
    session.begin(fake_again(project).run)
    assert not half.exists()


def fake_again(project: FakeProject) -> FakeProject:
    """The project as another run opens it, which has read no ledger so far."""
    for name in ("Orders", "Refunds"):
        project.source(name).unlink()
        project.source(name).parent.rmdir()
    return fake_project(project.folder)


def test_a_scratch_folder_of_another_process_is_removed_and_ours_stays(project: FakeProject) -> None:
    theirs = project.write(f"build/.lambdabuild/tmp/{dead_process()}.x/a").parent
    with project.run.project.scratch() as ours:
        sweep.state(project.run.project)
        assert (theirs.exists(), Path(ours).exists()) == (False, True)


def test_an_unfinished_file_of_nothing_of_ours_stays(project: FakeProject) -> None:
    mine = project.write(f"build/mine.txt.{dead_process()}.ab.tmp")
    sweep.outputs(project.run)
    assert mine.exists()


def test_an_unfinished_file_of_a_process_that_lives_stays(project: FakeProject) -> None:
    output = Output(str(project.packed("Orders")))
    ownership.claim(project.run, [output])
    half = project.write(f"build/Orders.packed.{os.getppid()}.ab.tmp")
    sweep.outputs(project.run)
    assert half.exists()
