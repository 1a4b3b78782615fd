"""``base.ownership``: only what we made is replaced, emptied or removed, and folders that others need are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fake_project import FakeProject, fake_project

from lambdabuild.artifacts.entries import Entry, FileOnDisk
from lambdabuild.config.settings import Settings
from lambdabuild.core.errors import InTheWay
from lambdabuild.core.records import replace
from lambdabuild.core.store import sha256_of
from lambdabuild.engine.base import ownership
from lambdabuild.engine.base.outputs import Output, tree_output
from lambdabuild.engine.base.run import Run


@pytest.fixture
def project(tmp_path: Path) -> FakeProject:
    return fake_project(tmp_path)


def test_a_free_place_is_ours_once_it_is_claimed(project: FakeProject) -> None:
    output = Output(str(project.packed("Orders")))
    ownership.claim(project.run, [output])
    assert output.path in project.run.owned


def test_what_others_have_in_a_place_does_not_become_ours(project: FakeProject) -> None:
    mine = project.write("build/Orders.packed", "mine")
    with pytest.raises(InTheWay, match=r"build/Orders\.packed"):
        ownership.claim(project.run, [Output(str(mine))])
    assert str(mine) not in project.run.owned


def test_of_two_places_the_free_one_is_not_claimed_when_the_other_is_not_free(project: FakeProject) -> None:
    mine, free = project.write("build/mine"), project.folder / "build/free"
    with pytest.raises(InTheWay):
        ownership.claim(project.run, [Output(str(free)), Output(str(mine))])
    assert str(free) not in project.run.owned


def test_what_an_earlier_run_made_may_be_made_again(project: FakeProject) -> None:
    output = Output(str(project.packed("Orders")))
    ownership.claim(project.run, [output])
    project.write("build/Orders.packed", "ours")
    ownership.claim(project.run, [output])
    ownership.claim_all(project.run, [("pack", "Orders")])


def test_a_link_in_place_of_a_folder_of_the_build_folder_is_in_the_way(project: FakeProject) -> None:
    (project.folder / "build").mkdir()
    (project.folder / "build/Child").symlink_to(project.folder / "Orders")
    with pytest.raises(InTheWay, match="build/Child"):
        ownership.claim(project.run, [Output(str(project.folder / "build/Child/F.zip"))])


def test_an_empty_folder_may_become_the_store(project: FakeProject) -> None:
    store = project.folder / "build/.store"
    store.mkdir(parents=True)
    ownership.claim(project.run, [Output(str(store), "store")])
    assert str(store) in project.run.owned


def test_a_folder_with_files_does_not_become_the_store(project: FakeProject) -> None:
    store = project.write("build/.store/mine").parent
    with pytest.raises(InTheWay):
        ownership.claim(project.run, [Output(str(store), "store")])


def written_tree(project: FakeProject) -> Output:
    """Write the tree of Orders as its step does."""
    source = project.source("Orders")
    output = tree_output(project.run.project, "Orders")
    ownership.claim(project.run, [output])
    Path(output.record).parent.mkdir(parents=True, exist_ok=True)
    entry = Entry("a.py", False, source.stat().st_size, sha256_of(str(source)), FileOnDisk(str(source)))
    output.tree.update([entry])
    return output


def test_a_file_that_somebody_put_into_a_tree_is_named_when_all_is_looked_at(project: FakeProject) -> None:
    tree = written_tree(project)
    project.write("build/Orders/notes.txt", "mine")
    with pytest.raises(InTheWay, match=r"build/Orders/notes\.txt"):
        ownership.claim(project.run, [tree], look_inside=True)


def test_a_tree_goes_and_what_somebody_put_into_it_stays_with_a_line(
    project: FakeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = written_tree(project)
    project.write("build/Orders/notes.txt", "mine")
    ownership.remove(project.run, tree)
    assert os.listdir(tree.path) == ["notes.txt"]
    assert capsys.readouterr().err.startswith("build/Orders/notes.txt stays")


def test_what_is_not_ours_is_not_removed(project: FakeProject, capsys: pytest.CaptureFixture[str]) -> None:
    mine = project.write("build/Orders.packed", "mine")
    ownership.remove(project.run, Output(str(mine)))
    assert mine.exists()
    assert "build/Orders.packed stays" in capsys.readouterr().err


def test_what_was_removed_is_ours_no_longer(project: FakeProject) -> None:
    output = Output(str(project.packed("Orders")))
    ownership.claim(project.run, [output])
    ownership.remove(project.run, output)
    assert output.path not in project.run.owned


def test_a_file_of_ours_makes_room_for_a_folder(project: FakeProject) -> None:
    old = Output(str(project.folder / "build/Child"))
    ownership.claim(project.run, [old])
    project.write("build/Child", "ours")
    ownership.make_room(project.run, str(project.folder / "build/Child/F.zip"))
    assert Path(old.path).is_dir()
    assert old.path not in project.run.owned


# folders that the settings name


def named(project: FakeProject, build_dir: str = "build", store: str = "") -> Run:
    settings = Settings(build_dir=build_dir, store=store)
    known = replace(project.run.project, settings=settings, build_dir=project.run.project.path(build_dir))
    return replace(project.run, project=known)


@pytest.mark.parametrize(
    ("build_dir", "why"),
    [
        (".", "is or holds the project's folder"),
        ("..", "is or holds the project's folder"),
        ("Orders", "is the code of Orders"),
    ],
)
def test_a_build_folder_that_the_build_reads_is_refused(project: FakeProject, build_dir: str, why: str) -> None:
    with pytest.raises(InTheWay, match=why):
        ownership.refuse_folders(named(project, build_dir))


def test_a_build_folder_that_was_named_and_holds_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InTheWay, match="holds the code of src/Orders"):
        ownership.refuse_folders(named(fake_project(tmp_path, names=("src/Orders",)), "src"))


def test_code_in_the_usual_build_folder_is_not_refused(tmp_path: Path) -> None:
    ownership.refuse_folders(named(fake_project(tmp_path, names=("build/Orders",))))


@pytest.mark.parametrize("store", ["build", ".", "Orders", "build/.lambdabuild/x"])
def test_a_store_that_is_or_holds_something_else_is_refused(project: FakeProject, store: str) -> None:
    with pytest.raises(InTheWay, match="store = "):
        ownership.refuse_folders(named(project, store=store))


def test_a_store_of_its_own_is_not_refused(project: FakeProject) -> None:
    ownership.refuse_folders(named(project, store="artifacts"))
