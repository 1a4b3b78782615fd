"""``base.project``: where everything of a project is, and how records name paths so that they hold elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_project import FakeProject, fake_project

from lambdabuild.config.settings import CacheSettings, Settings
from lambdabuild.core.records import replace
from lambdabuild.engine.base.project import Project, boundary_of, root_above


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "checkout/.git").mkdir(parents=True)
    return fake_project(tmp_path / "checkout/service").run.project


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("src/a.py", "{project}/src/a.py"),
        ("build/Orders.zip", "{build}/Orders.zip"),
        ("build/.lambdabuild/out/make/Orders", "{state}/out/make/Orders"),
        ("home/wheels/a.whl", "{store}/wheels/a.whl"),
        ("../shared/a.py", "{checkout}/shared/a.py"),
    ],
)
def test_a_record_names_a_path_by_the_innermost_folder_that_holds_it(project: Project, path: str, named: str) -> None:
    assert project.portable(project.path(path)) == named


def test_a_record_of_a_project_that_moved_names_the_new_place(project: Project) -> None:
    moved = replace(project, folder="/moved", build_dir="/moved/build")
    assert moved.expand(project.portable(project.path("src/a.py"))) == "/moved/src/a.py"


@pytest.mark.parametrize("path", ["src/a.py", "build/a.zip", "build/.lambdabuild/x", "home/a", "../a", "../../a"])
def test_expand_is_the_inverse_of_portable(project: Project, path: str) -> None:
    assert project.expand(project.portable(project.path(path))) == project.path(path)


def test_a_folder_whose_name_only_begins_like_the_build_folder_is_not_in_it(project: Project) -> None:
    assert project.portable(project.path("buildings/a.py")) == "{project}/buildings/a.py"


def test_a_path_outside_of_everything_is_named_as_it_is(project: Project) -> None:
    assert project.portable("/usr/bin/go") == "/usr/bin/go"


def test_names_of_nested_stacks_are_one_file_name(project: Project) -> None:
    assert project.receipt("make", "Child/Orders") == f"{project.state_dir}/steps/make/Child.Orders.json"


def test_a_step_without_a_name_has_the_receipt_of_its_kind(project: Project) -> None:
    assert project.receipt("template", "") == f"{project.state_dir}/steps/template/template.json"


def test_the_store_is_in_the_build_folder_unless_it_is_named(project: Project) -> None:
    assert project.store_dir == f"{project.build_dir}/.store"
    named = replace(project, settings=Settings(store="artifacts"))
    assert named.store_dir == f"{project.folder}/artifacts"


def test_a_scratch_folder_is_gone_when_its_step_failed(project: Project) -> None:
    with pytest.raises(ZeroDivisionError), project.scratch() as scratch:
        Path(scratch, "half").write_text("")
        _ = 1 / 0
    assert not Path(scratch).exists()


def test_two_steps_at_once_have_two_scratch_folders(project: Project) -> None:
    with project.scratch() as one, project.scratch() as other:
        assert one != other


def test_what_we_build_is_no_source(project: Project) -> None:
    assert project.not_source == {project.build_dir, f"{project.build_dir}/.store"}


def test_links_may_point_as_far_as_the_checkout(project: Project) -> None:
    assert project.boundary == str(Path(project.folder).parent)


def test_a_project_root_that_is_set_precedes_the_checkout(project: Project) -> None:
    assert boundary_of(project.folder, Settings(project_root="../..")) == str(Path(project.folder).parent.parent)


def test_the_root_above_is_the_checkout_as_the_model_has_paths(project: Project) -> None:
    assert root_above(project.folder, Settings()) == ".."


def test_the_root_above_a_checkout_itself_is_the_project(project: Project) -> None:
    assert root_above(str(Path(project.folder).parent), Settings()) == "."


def test_a_project_root_beside_the_project_is_no_root_above_it(project: Project) -> None:
    assert root_above(project.folder, Settings(project_root="../other")) == "."


def test_without_a_checkout_the_root_is_above_all_folders_that_are_named(tmp_path: Path) -> None:
    project: FakeProject = fake_project(tmp_path, cache=False)
    folders = ("src", "../shared", "../../lib", "/elsewhere/../x/../..")
    assert root_above(str(project.folder), Settings(cache=CacheSettings()), folders) == "../.."


def test_without_a_checkout_and_folders_the_root_is_the_project(tmp_path: Path) -> None:
    assert root_above(str(tmp_path), Settings(), ("src",)) == "."
