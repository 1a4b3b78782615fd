"""Questions about a big service, which are asked more often than it is built."""

from __future__ import annotations

from collections.abc import Iterator

from bench.figures import Bench, Figure
from bench.measure import in_turn, once, seconds
from bench.services import plain

GOAL_SECONDS = 0.3


def of_many(bench: Bench) -> Iterator[Figure]:
    """``plan``, ``why``, ``affected`` and ``list`` of 1,000 functions that are built."""
    functions = bench.sized(1000)
    folder = plain.write(bench.folder("many"), functions, 50)
    once(bench.ours("lambdabuild", folder=folder))
    questions = (("plan",), ("why", f"Fn{functions // 2:04}"), ("affected", "--since", "HEAD"), ("list",))
    asked = {" ".join(words): bench.ours("lambdabuild", *words, folder=folder) for words in questions}
    for question, taken in in_turn(asked, bench.rounds).items():
        yield Figure(f"lambdabuild {question}, {functions:,} functions", seconds(taken), GOAL_SECONDS, "s")
