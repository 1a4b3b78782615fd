"""``doit.tasks``: every step is a task with what it needs; what is left out is neither a task nor needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_project import FakeProject, fake_project

from lambdabuild.core.records import replace
from lambdabuild.engine.base import ownership
from lambdabuild.engine.base.step_kind import kind_of
from lambdabuild.engine.doit.tasks import tasks
from lambdabuild.plan import steps
from lambdabuild.plan.steps import Step
from lambdabuild.plan.types import Build, BuildKey, BuildPlan, Resolution, ResolutionKey


@pytest.fixture
def project(tmp_path: Path) -> FakeProject:
    return fake_project(tmp_path)


def names(found: list[dict[str, Any]]) -> list[str]:
    return [f"{task['basename']}:{task['name']}" for task in found if task.get("name")]


def made(project: FakeProject, **options: Any) -> dict[str, dict[str, Any]]:
    found = [task for task in tasks(project.run, **options) if task.get("name")]
    assert len(set(names(found))) == len(found), "no name is given twice"
    return dict(zip(names(found), found, strict=True))


def test_each_build_has_its_steps_and_a_group(project: FakeProject) -> None:
    found = made(project)
    assert set(found) == {f"{kind}:{name}" for kind in ("make", "pack", "build") for name in ("Orders", "Refunds")}
    assert found["pack:Orders"]["task_dep"] == ["make:Orders"]
    assert found["build:Orders"]["task_dep"] == ["pack:Orders"]
    assert found["make:Orders"]["doc"] == "make Orders"


def test_what_is_left_out_has_no_steps_but_a_name_for_who_asks(project: FakeProject) -> None:
    assert set(made(project, left_out={"Orders"})) == {"make:Refunds", "pack:Refunds", "build:Refunds"}
    assert "build:Orders" in made(project, left_out={"Orders"}, named=["build:Orders"])


def test_a_build_that_two_share_has_a_task_under_each_name(project: FakeProject) -> None:
    both = Build("Orders", BuildKey("fake", "function", "", "", "Orders"), ("Orders", "Returns"))
    shared = project.with_plan(BuildPlan((), (both,)))
    found = made(shared)
    assert found["make:Returns"]["task_dep"] == ["make:Orders"]
    assert found["build:Returns"]["task_dep"] == ["pack:Orders"]
    assert found["build:Returns"]["clean"] == [], "what is shared is cleaned by its own name"


def test_the_slowest_build_comes_first_once_it_is_known(project: FakeProject) -> None:
    assert next(iter(made(project))) == "make:Orders"
    project.kept |= {"make:Orders": {"seconds": 0.1}, "make:Refunds": {"seconds": 9.0}}
    assert next(iter(made(project))) == "make:Refunds"


def test_all_that_is_in_the_way_is_named_before_anything_runs(project: FakeProject) -> None:
    ownership.prepare(project.run)
    for name in ("Orders", "Refunds"):
        project.packed(name).write_text("mine\n")
    with pytest.raises(Exception) as raised:
        ownership.claim_all(project.run, [("pack", "Orders"), ("pack", "Refunds")])
    assert "Orders.packed" in str(raised.value) and "Refunds.packed" in str(raised.value)


def with_shared_steps(project: FakeProject) -> FakeProject:
    """The project with what two builds resolve, and with a template, which needs both."""
    kinds = project.run.index.kinds
    needing = {
        "resolve": replace(kind_of(project.run.index, "make"), planned=steps.resolve),
        "make": replace(
            kind_of(project.run.index, "make"),
            planned=lambda plan, left_out: (
                Step("make", build.name, tuple(f"resolve:{one}" for one in build.resolutions), build.name)
                for build in plan.builds
            ),
        ),
        "pack": kinds["pack"],
        "template": replace(kind_of(project.run.index, "make"), planned=steps.template, needs_all=True),
    }
    own = tuple(replace(build, resolution=f"of-{build.name}") for build in project.run.index.plan.builds)
    resolved = tuple(
        Resolution(build.resolution, ResolutionKey("fake", "", "", ""), "", (build.name,)) for build in own
    )
    changed = replace(project.run, index=replace(project.run.index, kinds=needing))
    made = FakeProject(project.folder, changed, project.kept, project.ran)
    return made.with_plan(BuildPlan(resolved, own, has_template=True))


def order(project: FakeProject, **options: Any) -> list[str]:
    """The steps in the order in which doit gets them."""
    found = [task for task in tasks(project.run, **options) if task.get("actions")]
    return [f"{task['basename']}:{task['name']}" if task.get("name") else task["basename"] for task in found]


def test_what_all_need_comes_first_and_the_template_last(project: FakeProject) -> None:
    assert order(with_shared_steps(project)) == [
        "resolve:of-Orders", "resolve:of-Refunds", "make:Orders", "pack:Orders", "make:Refunds", "pack:Refunds",
        "template",
    ]  # fmt: skip


def test_of_what_the_template_needs_the_slowest_is_begun_first(project: FakeProject) -> None:
    project.kept |= {"make:Orders": {"seconds": 0.1}, "make:Refunds": {"seconds": 9.0}}
    found = {task["basename"]: task for task in tasks(with_shared_steps(project).run) if not task.get("name")}
    assert found["template"]["task_dep"] == ["pack:Refunds", "pack:Orders"]


def test_what_only_a_settled_build_resolves_is_no_task(project: FakeProject) -> None:
    assert "resolve:of-Orders" not in order(with_shared_steps(project), left_out={"Orders"})


def test_a_build_of_a_rule_that_never_ran_is_as_slow_as_is_usual(project: FakeProject) -> None:
    orders, refunds = project.run.index.plan.builds
    other = replace(refunds, key=replace(refunds.key, rule="another"))
    project.kept |= {"make:Orders": {"seconds": 0.001}, "pack:Orders": {"seconds": 0.001}}
    assert order(project.with_plan(BuildPlan((), (orders, other))))[0] == "make:Refunds"
