"""``base.lists``: the list of an artifact's entries is what copy left, whoever reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_project import FakeProject, fake_project

from lambdabuild.artifacts.entries import Entry, FileOnDisk, InArchive
from lambdabuild.core.errors import CannotRead
from lambdabuild.core.recent import Recent
from lambdabuild.core.records import replace
from lambdabuild.engine.base import lists
from lambdabuild.engine.base.run import LISTS_COST


@pytest.fixture
def project(tmp_path: Path) -> FakeProject:
    return fake_project(tmp_path)


def entries(project: FakeProject) -> tuple[Entry, ...]:
    return (
        Entry("a.py", True, 3, "aa", FileOnDisk(str(project.source("Orders"))), "Orders"),
        Entry("m.py", False, 5, "bb", InArchive(f"{project.run.project.cache_dir}/wheels/m.whl", 30, 5, 8, 99, 7)),
    )


def forgotten(project: FakeProject) -> FakeProject:
    """The project in another run, which has settled nothing."""
    return FakeProject(project.folder, replace(project.run, lists=Recent(LISTS_COST)), project.kept, project.ran)


def test_another_run_reads_the_list_that_was_written(project: FakeProject) -> None:
    lists.write_list(project.run, "Orders", entries(project))
    assert lists.read_list(forgotten(project).run, "Orders") == entries(project)


def test_the_file_names_no_place_of_this_machine(project: FakeProject) -> None:
    lists.write_list(project.run, "Orders", entries(project))
    assert str(project.folder) not in Path(project.run.project.record("copy", "Orders")).read_text()


def test_the_run_that_settled_a_list_does_not_read_it_again(project: FakeProject) -> None:
    given = entries(project)
    lists.write_list(project.run, "Orders", given)
    assert lists.read_list(project.run, "Orders")[0] is given[0]


def test_a_list_that_another_process_settled_since_is_read(project: FakeProject) -> None:
    lists.write_list(project.run, "Orders", entries(project))
    lists.write_list(forgotten(project).run, "Orders", entries(project)[:1])
    assert lists.read_list(project.run, "Orders") == entries(project)[:1]


def test_a_list_that_is_gone_is_an_error_that_says_what_to_do(project: FakeProject) -> None:
    lists.write_list(project.run, "Orders", entries(project))
    Path(project.run.project.record("copy", "Orders")).unlink()
    with pytest.raises(CannotRead) as raised:
        lists.read_list(project.run, "Orders")
    assert raised.value.help == "doit forget copy:Orders"


def test_a_list_that_is_torn_is_an_error(project: FakeProject) -> None:
    lists.write_list(project.run, "Orders", entries(project))
    Path(project.run.project.record("copy", "Orders")).write_text('[["a.py"')
    with pytest.raises(CannotRead):
        lists.read_list(project.run, "Orders")


def test_what_no_memory_should_hold_is_read_from_the_file(project: FakeProject) -> None:
    one = entries(project)[0]
    many = [replace(one, path=f"{number}.py") for number in range(LISTS_COST)]
    lists.write_list(project.run, "Orders", entries(project))
    lists.write_list(project.run, "Reports", many)
    assert project.run.lists.get("Orders") is None
    assert project.run.lists.get("Reports") is not None
    assert lists.read_list(project.run, "Orders") == entries(project)
