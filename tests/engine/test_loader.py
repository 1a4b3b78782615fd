"""``doit.loader``: which names there are, what a plain run makes, and ``why``; ``noop.doit_command``: what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from doit.exceptions import InvalidCommand
from fake_project import FakeProject, fake_project, fake_rule

from lambdabuild.config.settings import ExecutorSettings, Settings
from lambdabuild.core.errors import UnknownName
from lambdabuild.core.records import replace
from lambdabuild.engine.base.plan_index import index
from lambdabuild.engine.doit import loader
from lambdabuild.engine.noop.doit_command import Asked
from lambdabuild.engine.noop.tasks import groups
from lambdabuild.engine.steps import actions
from lambdabuild.plan.types import Build, BuildKey, BuildPlan, StepClaims


@dataclass
class Named:
    """A task as doit has loaded it."""

    name: str
    targets: Sequence[str] = ()


TASKS = [
    Named("build"), Named("build:OrdersFunction"), Named("layer:Shared"), Named("zip:OrdersFunction"),
    Named("template", ["build/manifest.json"]),
]  # fmt: skip


def hint(name: str, *, takes_targets: bool = True) -> str:
    """Return what is said of a name that no task has; "" when one has it."""
    try:
        loader._check_names([name], TASKS, takes_targets=takes_targets)
    except InvalidCommand as error:
        assert isinstance(error.__cause__, UnknownName)
        return error.__cause__.help
    return ""


@pytest.mark.parametrize("name", ["build", "build:OrdersFunction", "template", "build:*", "zip:Orders?unction"])
def test_the_name_of_a_task_or_a_pattern_is_known(name: str) -> None:
    assert hint(name) == ""


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("build:OrderFunction", "build:OrdersFunction"),
        ("zip:OrderFunction", "zip:OrdersFunction"),
        ("OrdersFunction", "build:OrdersFunction"),
        ("OrderFunction", "build:OrdersFunction"),
        ("Shared", "layer:Shared"),
        ("templat", "template"),
    ],
)
def test_the_closest_name_is_suggested(name: str, near: str) -> None:
    assert hint(name) == f"did you mean {near!r}?"


def test_a_name_that_is_close_to_none_gets_the_command_that_lists_them() -> None:
    assert "lambdabuild list --all" in hint("xyzzy")


def test_a_target_may_be_run_but_is_no_task() -> None:
    assert hint("build/manifest.json") == ""
    assert hint("build/manifest.json", takes_targets=False) != ""


# a plain run


def with_settings(project: FakeProject, settings: Settings) -> FakeProject:
    run = replace(project.run, project=replace(project.run.project, settings=settings))
    return FakeProject(project.folder, run, project.kept, project.ran)


def test_a_plain_run_makes_all_groups(tmp_path: Path) -> None:
    run = fake_project(tmp_path).run
    assert loader.config(run, run.project.settings)["default_tasks"] == ["build", "layer", "source"]


def test_a_plain_run_names_what_can_be_built_here_when_not_all_can(tmp_path: Path) -> None:
    rule = fake_rule(tmp_path / "rule", compile=StepClaims(tools=("no-such-tool-anywhere",)))
    run = fake_project(tmp_path / "project", rules=(rule,)).run
    builds = tuple(
        Build(name, BuildKey("fake", "function", "", "", name), users, compiles=name == "F")
        for name, users in {"F": ("F",), "G": ("G", "H")}.items()
    )
    planned = index(run.project.service, BuildPlan((), builds), run.index.rules, run.index.kinds, may_skip=True)
    config = loader.config(replace(run, index=planned), run.project.settings)
    assert config["default_tasks"] == ["build:G", "build:H"]


def test_steps_that_wait_for_an_engine_run_beside_those_of_this_machine(tmp_path: Path) -> None:
    settings = Settings(jobs=2, executor=ExecutorSettings(address="grpc://engine.test:1", jobs=5))
    run = with_settings(fake_project(tmp_path), settings).run
    assert loader.config(run, settings)["num_process"] == 7


def test_offline_only_the_steps_of_this_machine_run(tmp_path: Path) -> None:
    settings = Settings(jobs=2, offline=True, executor=ExecutorSettings(address="grpc://engine.test:1", jobs=5))
    run = with_settings(fake_project(tmp_path), settings).run
    assert loader.config(run, settings)["num_process"] == 2


# why


def why(project: FakeProject) -> list[str]:
    return loader.why_text(project.run, "Orders").splitlines()


def test_why_says_of_each_step_that_it_is_up_to_date(tmp_path: Path) -> None:
    project = fake_project(tmp_path)
    project.perform("make", "Orders")
    project.perform("pack", "Orders")
    assert why(project) == ["make:Orders  is up to date", "pack:Orders  is up to date"]


def test_why_gives_the_reasons_of_the_first_step_and_what_follows_from_it(tmp_path: Path) -> None:
    project = fake_project(tmp_path)
    project.perform("make", "Orders")
    project.perform("pack", "Orders")
    project.source("Orders").write_text("edited\n")
    assert why(project) == [
        "make:Orders  would run",
        "  because the file Orders/source.txt changed",
        "pack:Orders  runs if the result of make:Orders changes",
    ]


def test_why_names_the_cache_that_would_spare_a_step(tmp_path: Path) -> None:
    project = fake_project(tmp_path, cache=True)
    project.perform("make", "Orders")
    project.perform("pack", "Orders")
    actions.clean(project.run, "pack", "Orders")
    assert why(project)[1] == f"pack:Orders  would be restored from {project.run.project.built_steps_dir}"


def test_why_names_the_cache_that_a_step_came_from(tmp_path: Path) -> None:
    project = fake_project(tmp_path)
    project.perform("make", "Orders")
    project.perform("pack", "Orders")
    project.kept["pack:Orders"] = {**project.kept["pack:Orders"], "restored": "team"}
    assert why(project)[1] == "pack:Orders  is up to date, restored from team"


# what was asked of doit


def asked(command: str = "run", *tasks: str, namespace: dict[str, Any] | None = None, **options: Any) -> Asked:
    return Asked(command, options, tasks, namespace=namespace)


def test_a_run_that_rebuilds_all_is_no_plain_run() -> None:
    assert asked().is_plain_run
    assert not asked(always=True).is_plain_run
    assert not asked(single=True).is_plain_run
    assert not asked("list").is_plain_run


def test_a_list_of_groups_is_an_overview_and_of_more_it_is_not() -> None:
    assert asked("list").is_overview
    assert not asked("list", subtasks=True).is_overview
    assert not asked("list", "build").is_overview
    assert not asked("run").is_overview


def test_tasks_of_the_users_own_are_seen() -> None:
    ours = object()
    assert not asked(namespace={"lambdabuild_tasks": ours, "helper": len}).has_other_tasks(ours)
    assert asked(namespace={"lambdabuild_tasks": ours, "task_mine": len}).has_other_tasks(ours)


def test_errors_of_some_may_be_told_while_the_others_are_built() -> None:
    assert asked("run", "build:F", **{"continue": True}).wanted.keeps_going
    assert not asked("run", "build:F").wanted.keeps_going


def test_an_overview_has_a_line_for_each_kind_and_each_group() -> None:
    titles = {"make": ("make {}", "each function"), "template": ("write the template", "")}
    docs = {task["basename"]: task["doc"] for task in groups(titles, has_template=True)}
    assert docs["make"] == "make each function"
    assert docs["template"] == "write the template"
    assert {"build", "layer", "source"} <= docs.keys()


def test_without_a_template_there_is_no_task_for_it() -> None:
    assert "template" not in {task["basename"] for task in groups({"template": ("write it", "")}, has_template=False)}
