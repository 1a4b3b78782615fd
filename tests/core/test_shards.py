"""A plan's chains over several machines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lambdabuild.engine.freshness.costs import recorded
from lambdabuild.engine.steps.kinds import KINDS
from lambdabuild.plan.shards import Chain, chains, estimated, split
from lambdabuild.plan.steps import Graph, steps
from lambdabuild.plan.types import Build, BuildKey, BuildPlan, ImageBuild, ImageKey, Resolution, ResolutionKey, Sizes


def chain(name: str, together: str = "") -> Chain:
    steps = {f"zip:{name}"} | ({f"resolve:{together}"} if together else set())
    return Chain(f"build:{name}", frozenset(steps), together)


def costs(**seconds: float) -> dict[str, int]:
    return {f"{'resolve' if name.islower() else 'zip'}:{name}": round(value * 1000) for name, value in seconds.items()}


def shares(work: list[Chain], known: dict[str, int], count: int) -> list[tuple[str, float]]:
    found = split(work, known, count)
    return [(" ".join(task.partition(":")[2] for task in one.tasks), one.milliseconds / 1000) for one in found]


def test_the_longest_go_first_each_to_where_it_ends_soonest() -> None:
    work = [chain(name) for name in "ABCDE"]
    assert shares(work, costs(A=1, B=2, C=3, D=4, E=5), 2) == [("A B E", 8), ("C D", 7)]


def test_what_shares_a_resolution_stays_together_when_that_is_cheaper() -> None:
    work = [*(chain(name, "r") for name in "ABCD"), *(chain(name) for name in "XYZ")]
    assert shares(work, costs(r=10, A=1, B=1, C=1, D=1, X=10, Y=10, Z=10), 2) == [("A B C D Z", 24), ("X Y", 20)]


def test_it_is_taken_apart_when_one_machine_would_work_while_others_wait() -> None:
    work = [chain(name, "r") for name in "ABCD"]
    assert shares(work, costs(r=1, A=9, B=9, C=9, D=9), 2) == [("A C", 19), ("B D", 19)]


def test_more_machines_than_work_leaves_some_without() -> None:
    assert shares([chain("A")], costs(A=1), 3) == [("A", 1), ("", 0), ("", 0)]
    assert shares([], {}, 2) == [("", 0), ("", 0)]


@given(
    st.lists(st.tuples(st.sampled_from(["", "r", "s"]), st.integers(0, 50)), max_size=12),
    st.integers(1, 5),
    st.randoms(),
)
def test_every_chain_has_one_place_whatever_order_they_come_in(work: list, count: int, random) -> None:
    known = {"resolve:r": 30_000, "resolve:s": 4_000} | {f"zip:F{n}": cost * 1000 for n, (_, cost) in enumerate(work)}
    every = [chain(f"F{number}", together) for number, (together, _) in enumerate(work)]
    found = split(every, known, count)
    random.shuffle(every)

    assert split(every, known, count) == found
    assert sorted(task for shard in found for task in shard.tasks) == sorted(one.task for one in every)
    assert len(found) == count
    longest = max((sum(known[step] for step in one.steps) for one in every), default=0)
    needed = {step for one in every for step in one.steps}
    assert max(shard.milliseconds for shard in found) >= max(longest, sum(known[step] for step in needed) // count)
    assert max(shard.milliseconds for shard in found) <= sum(known[step] for step in needed)


def graph(plan: BuildPlan) -> Graph:
    return steps(plan, KINDS)


def build(name: str, rule: str, **more: str) -> Build:
    kind = "layer" if name == "Shared" else "function"
    return Build(name, BuildKey(rule, kind, "", "", name), (name,), compiles=rule == "make", **more)


def test_what_a_function_needs_of_its_layer_is_part_of_its_cost() -> None:
    resolution = Resolution("Shared", ResolutionKey("pip", "", "", ""), "", ("Shared",))
    plan = BuildPlan(
        (resolution,),
        (build("Orders", "make"), build("Refunds", "make"), build("Shared", "pip", resolution="Shared")),
        sizes=(Sizes("Orders", "Orders", ("Shared",)), Sizes("Refunds", "Refunds")),
    )
    orders, refunds, shared = chains(plan, graph(plan))
    assert {"resolve:Shared", "copy:Shared"} <= orders.steps
    assert not refunds.steps & shared.steps
    assert (orders.task, shared.task) == ("build:Orders", "layer:Shared")

    known = estimated(plan, graph(plan), KINDS, {"compile:Refunds": 70_000})
    assert known["compile:Orders"] == 70_000, "as the other of its rule"
    assert known["resolve:Shared"] > known["hash:Shared"] > 0, "as usual"
    assert known.keys() == orders.steps | refunds.steps | shared.steps


def test_an_image_has_a_chain_and_a_cost_as_a_build_has() -> None:
    image = ImageBuild("Report", ImageKey("recipe", "report", repository="host/report"), ("Report", "Twin"))
    plan = BuildPlan((), (), images=(image,))
    known = recorded(graph(plan), ["Report"], lambda task: {"seconds": 2.5} if task == "image:Report" else {})

    assert known == {"image:Report": 2500}
    assert chains(plan, graph(plan)) == (Chain("build:Report", frozenset({"image:Report", "upload:Report"})),)
    assert estimated(plan, graph(plan), KINDS, known)["image:Report"] == 2500
    assert set(estimated(plan, graph(plan), KINDS, {})) == {"image:Report", "upload:Report"}
