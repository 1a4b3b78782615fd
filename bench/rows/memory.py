"""What a big build needs at most."""

from __future__ import annotations

from collections.abc import Iterator

from bench.figures import Bench, Figure
from bench.measure import peak
from bench.services import plain


def of_many(bench: Bench) -> Iterator[Figure]:
    """The peak memory of a cold build of 5,000 functions, once: it hardly differs from one run to the next."""
    functions = bench.sized(5000)
    folder = plain.write(bench.folder("many"), functions, 50, git=False)
    megabytes = peak(bench.ours("lambdabuild", folder=folder))
    yield Figure(f"cold build of {functions:,} functions x 50 files, memory of all its processes", megabytes, 200, "MB")
