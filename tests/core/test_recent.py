"""``core.recent``: values are kept while all together are within the budget, the newest always."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lambdabuild.core.recent import Recent


def test_the_oldest_go_first() -> None:
    recent: Recent[str] = Recent(3)
    for name in "abcd":
        recent.keep(name, name.upper(), 1)
    assert [recent.get(name) for name in "abcd"] == [None, "B", "C", "D"]


def test_the_newest_stays_whatever_it_costs() -> None:
    recent: Recent[str] = Recent(3)
    recent.keep("a", "A", 1)
    recent.keep("b", "B", 100)
    assert (recent.get("a"), recent.get("b")) == (None, "B")


def test_a_value_takes_the_place_of_an_earlier_one() -> None:
    recent: Recent[str] = Recent(3)
    recent.keep("a", "A", 2)
    recent.keep("b", "B", 1)
    recent.keep("a", "A again", 2)
    assert (recent.get("a"), recent.get("b")) == ("A again", "B")


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 5))))
def test_what_is_kept_is_within_the_budget(kept: list[tuple[str, int]]) -> None:
    recent: Recent[int] = Recent(7)
    for name, cost in kept:
        recent.keep(name, cost, cost)
        assert recent.get(name) == cost
    there = [cost for name in "abcdef" if (cost := recent.get(name)) is not None]
    assert sum(there) <= 7 or len(there) == 1
