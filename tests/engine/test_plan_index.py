"""``base.plan_index``: look-ups over a plan, and what this machine cannot build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_project import fake_project, fake_rule

from lambdabuild.config.tables import Command
from lambdabuild.core.model import Service, Skipped
from lambdabuild.core.spans import Span
from lambdabuild.engine.base.plan_index import PlanIndex, index
from lambdabuild.plan.left_out import LeftOut
from lambdabuild.plan.types import (
    Build,
    BuildKey,
    BuildPlan,
    ContainerKey,
    LayerCandidate,
    Resolution,
    ResolutionKey,
    ShareGroup,
    Sizes,
    StepClaims,
)

MISSING = "no-such-tool-anywhere"
SERVICE = Service((), (), ())


def build(name: str, *users: str, rule: str = "fake", compiles: bool = True, resolution: str = "", **key: Any) -> Build:
    made = BuildKey(rule, "function", "", "x86_64", name, **key)
    return Build(name, made, users or (name,), resolution=resolution, compiles=compiles)


def indexed(folder: Path, plan: BuildPlan, *, may_skip: bool = True, **claims: Any) -> PlanIndex:
    given = {"compile": StepClaims(tools=(MISSING,)), **claims}
    kinds = fake_project(folder / "project", names=()).run.index.kinds
    return index(SERVICE, plan, {"fake": fake_rule(folder / "rule", **given)}, kinds, may_skip=may_skip)


def test_a_build_whose_tool_is_missing_is_unbuildable_and_the_tool_is_named(tmp_path: Path) -> None:
    assert indexed(tmp_path, BuildPlan((), (build("F"),))).unbuildable == {"F": MISSING}


def test_the_words_after_a_tools_name_are_its_question_and_not_its_name(tmp_path: Path) -> None:
    found = indexed(tmp_path, BuildPlan((), (build("F"),)), compile=StepClaims(tools=(f"{MISSING} version",)))
    assert found.unbuildable == {"F": MISSING}


def test_nothing_is_unbuildable_when_nothing_may_be_skipped(tmp_path: Path) -> None:
    assert indexed(tmp_path, BuildPlan((), (build("F"),)), may_skip=False).unbuildable == {}


def test_the_tools_of_a_step_that_a_build_does_not_have_are_not_looked_for(tmp_path: Path) -> None:
    assert indexed(tmp_path, BuildPlan((), (build("F", compiles=False),))).unbuildable == {}


def test_a_build_without_a_resolution_does_not_need_the_resolvers_tool(tmp_path: Path) -> None:
    resolver = StepClaims(tools=(MISSING,))
    assert indexed(tmp_path, BuildPlan((), (build("F"),)), compile=None, resolve=resolver).unbuildable == {}


def test_the_tools_of_the_rule_that_resolves_count(tmp_path: Path) -> None:
    resolution = Resolution("r", ResolutionKey("fake", "", "", ""), "requirements.txt", ("F",))
    plan = BuildPlan((resolution,), (build("F", compiles=False, resolution="r"),))
    assert indexed(tmp_path, plan, compile=None, resolve=StepClaims(tools=(MISSING,))).unbuildable == {"F": MISSING}


def test_the_tools_of_the_users_own_command_count(tmp_path: Path) -> None:
    plan = BuildPlan((), (build("F", compiles=False, command=Command(tools=(MISSING,))),))
    assert indexed(tmp_path, plan).unbuildable == {"F": MISSING}


def test_a_build_in_a_container_needs_no_tools_of_this_machine(tmp_path: Path) -> None:
    assert indexed(tmp_path, BuildPlan((), (build("F", container=ContainerKey("true")),))).unbuildable == {}


def test_a_build_in_a_container_needs_the_tools_that_run_on_the_host_all_the_same(tmp_path: Path) -> None:
    plan = BuildPlan((), (build("F", container=ContainerKey("true")),))
    claims = StepClaims(tools=("python", MISSING), host_tools=(MISSING,))
    assert indexed(tmp_path, plan, compile=claims).unbuildable == {"F": MISSING}


def test_what_cannot_be_built_is_left_out_by_the_names_of_its_users_with_its_reason(tmp_path: Path) -> None:
    found = indexed(tmp_path, BuildPlan((), (build("F", "F", "G"),)))
    assert found.left_out == (LeftOut(f"{MISSING} is not on PATH", ("F", "G")),)


def test_what_the_plan_skips_is_left_out_too(tmp_path: Path) -> None:
    plan = BuildPlan((), (), skipped=(Skipped("H", "it is inline", Span("template.yaml")),))
    assert indexed(tmp_path, plan).left_out == (LeftOut("it is inline", ("H",)),)


def test_what_cannot_be_built_has_steps_for_those_who_name_it(tmp_path: Path) -> None:
    assert "pack:F" in indexed(tmp_path, BuildPlan((), (build("F"),))).graph.by_task


def candidate(name: str) -> LayerCandidate:
    return LayerCandidate(name, "r", ShareGroup("", "python3.12", "x86_64", "python"), (name,), 5)


def test_what_cannot_be_built_is_no_candidate_for_automatic_layers(tmp_path: Path) -> None:
    plan = BuildPlan((), (build("F"), build("G", compiles=False)), layer_candidates=(candidate("F"), candidate("G")))
    assert set(indexed(tmp_path, plan).candidates) == {"G"}


def test_all_functions_with_a_build_are_measured_with_their_layers(tmp_path: Path) -> None:
    sizes = (Sizes("F", "F"), Sizes("G", "F", ("L",)), Sizes("H", "H"))
    assert indexed(tmp_path, BuildPlan((), (), sizes=sizes)).sizes == {"F": sizes[:2], "H": sizes[2:]}


@pytest.mark.parametrize("may_skip", [True, False])
def test_builds_are_found_by_name(tmp_path: Path, may_skip: bool) -> None:
    one = build("F")
    assert indexed(tmp_path, BuildPlan((), (one,)), may_skip=may_skip).builds == {"F": one}
