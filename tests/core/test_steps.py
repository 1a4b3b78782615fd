"""The steps of a plan: what each needs, what a unit's run takes, and where the graph ends."""

from __future__ import annotations

import pytest

from lambdabuild.core.units import SHARED, TEMPLATE
from lambdabuild.engine.steps.kinds import KINDS
from lambdabuild.plan.steps import Graph, Step, steps
from lambdabuild.plan.types import (
    Build,
    BuildKey,
    BuildPlan,
    ImageBuild,
    ImageKey,
    Publication,
    Resolution,
    ResolutionKey,
    Sizes,
)


def build(name: str, kind: str = "function", **more: object) -> Build:
    return Build(name, BuildKey("rule", kind, "python3.12", "arm64", name), (name,), **more)  # type: ignore[arg-type]


def resolution(*users: str) -> Resolution:
    return Resolution(users[0], ResolutionKey("rule", "", "", ""), "requirements.txt", users)


def tasks(chain: list[Step]) -> list[str]:
    return [step.task for step in chain]


def graph(plan: BuildPlan, left_out: tuple[str, ...] = ()) -> Graph:
    return steps(plan, KINDS, left_out)


def test_a_build_with_everything_takes_its_steps_in_order() -> None:
    whole = build("Orders", resolution="Orders", compiles=True)
    made = graph(BuildPlan((resolution("Orders"),), (whole,), has_trees=True))
    assert " ".join(tasks(made.chain("Orders"))) == (
        "resolve:Orders compile:Orders copy:Orders zip:Orders hash:Orders upload:Orders tree:Orders"
    )
    assert made.ends("Orders") == ["upload:Orders", "tree:Orders"]


def test_a_tree_that_nothing_points_at_is_there_to_be_named_and_no_part_of_a_run() -> None:
    made = graph(BuildPlan((), (build("Orders"),)))
    assert made.ends("Orders") == ["upload:Orders"]
    assert "tree:Orders" not in tasks(made.chain("Orders"))
    assert made.by_task["tree:Orders"].needs == ("copy:Orders", "zip:Orders")


def test_a_function_waits_for_the_list_of_its_layer_whose_other_steps_are_no_part_of_its_chain() -> None:
    plan = BuildPlan((), (build("Orders"), build("Base", "layer")), sizes=(Sizes("Orders", "Orders", ("Base",)),))
    made = graph(plan)
    assert made.by_task["hash:Orders"].needs == ("zip:Orders", "copy:Base")
    assert "copy:Base" not in tasks(made.chain("Orders"))
    assert "copy:Base" in tasks(made.whole_chain("Orders"))
    assert "zip:Base" not in tasks(made.whole_chain("Orders"))


def test_the_template_needs_the_end_of_every_unit_but_of_those_that_are_left_out() -> None:
    image = ImageBuild("Report", ImageKey("recipe", "docker"), ("Report",))
    plan = BuildPlan((), (build("Go"), build("Orders")), images=(image,), has_template=True)
    assert graph(plan).by_task["template"].needs == ("upload:Go", "upload:Orders", "image:Report")
    assert graph(plan, ("Go",)).by_task["template"].needs == ("upload:Orders", "image:Report")
    assert "upload:Go" in graph(plan, ("Go",)).by_task


def test_nobody_publishes_a_layer_who_did_not_say_so() -> None:
    plan = BuildPlan((), (build("Base", "layer"),), publications=(Publication("Base", ("Base",), "base"),))
    made = graph(plan)
    assert "publish:Base" not in tasks(made.whole_chain("Base"))
    assert tasks(made.asked_for("Base")) == ["publish:Base"]


def test_automatic_layers_are_one_unit_that_rests_on_what_was_resolved() -> None:
    from lambdabuild.plan.types import LayerCandidate, ShareGroup

    group = ShareGroup("", "python3.12", "arm64", "python/")
    candidates = tuple(LayerCandidate(name, "A", group, (name,), 4) for name in "AB")
    both = tuple(build(name, resolution="A") for name in "AB")
    made = graph(BuildPlan((resolution("A", "B"),), both, layer_candidates=candidates, has_trees=True))
    assert tasks(made.chain(SHARED)) == ["resolve:A", "share:plan", "share:zip", "share:upload", "share:tree"]
    assert made.by_task["copy:B"].needs == ("resolve:A", "share:plan")
    assert made.ends(SHARED) == ["share:upload", "share:tree"]


def test_the_order_in_which_kinds_are_listed_decides_nothing_but_the_order_of_tasks() -> None:
    plan = BuildPlan((resolution("Orders"),), (build("Orders", resolution="Orders"),), has_template=True)
    backwards = steps(plan, dict(reversed(KINDS.items())))
    assert {step.task: step.needs for step in backwards.steps} == {step.task: step.needs for step in graph(plan).steps}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_it_is_and_what_it_costs_unless_nobody_waits_for_it(kind: str) -> None:
    row = KINDS[kind]
    assert row.title
    assert row.usual_ms > 0 or kind in ("publish", "template")
    assert row.has_bytes <= (row.restore is not None), "only what a cache brings can be away"


def test_every_unit_has_a_name_that_no_logical_id_can_have() -> None:
    assert " " in SHARED and " " in TEMPLATE
