"""``base.run``: what the steps of one run share, in this process and in those that doit forks."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fake_project import in_a_fork

from lambdabuild.engine.base.run import Locks, Once


def test_what_is_needed_twice_is_made_once() -> None:
    made: list[str] = []
    once = Once()
    assert once.get(lambda: made.append("x") or len(made)) == 1
    assert once.get(lambda: made.append("x") or len(made)) == 1


def test_threads_that_need_it_at_the_same_moment_share_one() -> None:
    once, made = Once(), list[object]()

    def make() -> object:
        time.sleep(0.01)
        made.append(object())
        return made[-1]

    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: once.get(make), range(8)))
    assert found == {*made} and len(made) == 1


def test_a_mistake_while_it_is_made_is_no_value() -> None:
    once = Once()
    with pytest.raises(ZeroDivisionError):
        once.get(lambda: 1 // 0)
    assert once.get(lambda: "made") == "made"


def test_what_is_made_may_ask_for_itself_in_the_making_of_another() -> None:
    once, other = Once(), Once()
    assert other.get(lambda: once.get(lambda: 1) + once.get(lambda: 2)) == 2


def test_what_was_not_needed_was_not_made() -> None:
    assert not Once().is_made


def test_what_was_made_is_known() -> None:
    once = Once()
    once.get(lambda: "text")
    assert once.is_made


def test_a_fork_makes_its_own() -> None:
    once = Once()
    once.get(lambda: "the parent's")
    assert in_a_fork(lambda: once.get(lambda: "the fork's") == "the fork's")
    assert once.get(lambda: "another") == "the parent's"


def test_a_fork_does_not_close_what_its_parent_has_made() -> None:
    once = Once()
    once.get(lambda: "a connection")
    assert in_a_fork(lambda: not once.is_made)


def test_one_name_is_one_lock() -> None:
    locks = Locks()
    assert locks.of("a") is locks.of("a")


def test_two_names_can_be_held_at_once() -> None:
    locks = Locks()
    with locks.of("a"), locks.of("b"):
        assert locks.of("a").locked() and locks.of("b").locked()


def test_threads_that_ask_for_a_name_at_the_same_moment_get_one_lock() -> None:
    locks, barrier = Locks(), threading.Barrier(8)

    def ask(_: int) -> threading.Lock:
        barrier.wait()
        return locks.of("a")

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(ask, range(8)))) == 1


def test_a_lock_that_a_fork_takes_is_not_taken_from_its_parent() -> None:
    locks = Locks()
    assert in_a_fork(lambda: locks.of("a").acquire(blocking=False))
    assert not locks.of("a").locked()
