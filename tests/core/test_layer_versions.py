"""Is a new version of a layer needed, who may use it, what may go: decided from plain values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdabuild.artifacts.layer_versions import (
    Grant,
    Version,
    Wanted,
    changes,
    earlier_twins,
    newest,
    says_the_same,
    surplus,
)


def version(number: int, *architectures: str, description: str = "") -> Version:
    return Version(number, f"arn:{number}", description, architectures=architectures)


def wanted(*architectures: str, description: str = "") -> Wanted:
    return Wanted("deps", "sha", description, architectures=architectures)


def test_the_newest_is_that_for_one_of_the_same_architectures() -> None:
    there = [version(3, "arm64"), version(1, "x86_64"), version(2, "x86_64")]

    assert newest(wanted("x86_64"), there) == version(2, "x86_64")
    assert newest(wanted("x86_64", "arm64"), there) == version(3, "arm64")
    assert newest(wanted(), there) == version(3, "arm64"), "one that names none is for all"
    assert newest(wanted("arm64"), [version(4)]) == version(4)
    assert newest(wanted("x86_64"), []) is None


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"description": "other"}, False),
        ({"license": "MIT"}, False),
        ({"runtimes": ("python3.13", "python3.12")}, True),
        ({"runtimes": ("python3.12",)}, False),
        ({"architectures": ("arm64",)}, False),
    ],
)
def test_what_is_said_of_a_version_is_compared_without_order(change: dict, same: bool) -> None:
    said = {"description": "d", "runtimes": ("python3.12", "python3.13"), "architectures": ("x86_64",)}

    assert says_the_same(Wanted("deps", "sha", **said), Version(1, "arn", **{**said, **change})) is same


def test_of_versions_made_at_once_the_lowest_number_stays() -> None:
    there = [version(4), version(6), version(5), version(7), version(8, description="other")]

    assert earlier_twins(wanted(), version(7), 4, there) == (version(5), version(6))
    assert earlier_twins(wanted(), version(5), 4, there) == ()


def test_old_versions_go_by_architecture_and_never_one_in_use() -> None:
    there = [version(1), version(2, "x86_64"), version(3, "arm64"), version(4, "x86_64"), version(5, "x86_64")]

    assert [one.number for one in surplus(there, 1, ())] == [4, 2, 1]
    assert [one.number for one in surplus(there, 1, {2})] == [4, 1]
    assert [one.number for one in surplus(there, 2, ())] == [2]
    assert surplus(there, 0, ()) == ()


@given(st.lists(st.integers(1, 50), unique=True), st.integers(1, 10), st.sets(st.integers(1, 50)))
def test_what_goes_is_older_than_all_that_is_kept_or_used(numbers: list[int], keep: int, used: set[int]) -> None:
    gone = {one.number for one in surplus([version(number) for number in numbers], keep, used)}

    assert gone == set(sorted(numbers)[:-keep]) - used


def test_permissions_change_only_by_what_differs_and_only_ours() -> None:
    account, public, corp = Grant("111122223333"), Grant("*"), Grant("*", "o-t194hfs8cz")

    assert [one.statement_id for one in (account, public, corp)] == [
        "lambdabuild-111122223333", "lambdabuild-public", "lambdabuild-o-t194hfs8cz",
    ]  # fmt: skip
    assert changes([account, corp], ["theirs", "lambdabuild-public", account.statement_id]) == (
        (corp,), ("lambdabuild-public",),
    )  # fmt: skip
    assert changes([account], [account.statement_id]) == ((), ())
