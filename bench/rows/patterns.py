"""Small apps in mixed languages, as most services are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from bench.figures import Bench, Figure
from bench.measure import in_turn, seconds
from bench.rows.node import cold
from bench.services import patterns


def of_collections(bench: Bench) -> Iterator[Figure]:
    """Forty apps, one after another, cold with warm package caches, and null; what counts is the sum of the times."""
    apps = bench.sized(40)
    ours, theirs = (list(patterns.write(bench.folder(who), apps)) for who in ("ours", "theirs"))
    took: Counter[str] = Counter()
    for app, peer in zip(ours, theirs, strict=True):
        builds = cold(bench, app, peer)
        nulls = {f"null {name}": replace(build, before=lambda: None) for name, build in builds.items()}
        for contestants in (builds, nulls):
            took.update({name: seconds(taken) for name, taken in in_turn(contestants, bench.few).items()})
    for kind, what, goal in (("", "cold with warm package caches", 4), ("null ", "null", 40)):
        own, sam = took[f"{kind}ours"], took[f"{kind}sam"]
        yield Figure(f"{apps} apps in mixed languages, {what}, sum of the times, times faster than sam build", sam / own,
                     goal, more=True, detail=f"{own:.2f} s against {sam:.2f} s")  # fmt: skip
