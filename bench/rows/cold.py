"""Cold builds of many small files without packages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench import peers
from bench.figures import Bench, Figure
from bench.measure import Contestant, in_turn, seconds
from bench.services import plain

COPY_AND_ZIP = """
set -e
mkdir -p out/zips
cp -r src out/src
for function in src/*
do
    cd "$function"
    zip -qr "../../out/zips/${function#src/}.zip" .
    cd ../..
done
"""


def against_zip(bench: Bench) -> Iterator[Figure]:
    """1,000 functions with 50 files each, against ``cp -r`` and ``zip -r``, with a step cache and without."""
    functions = bench.sized(1000)
    folder = plain.write(bench.folder("many"), functions, 50, git=False)
    size = f"cold, {functions:,} functions x 50 files"
    by_hand = Contestant(
        ["sh", "-c", COPY_AND_ZIP], folder, before=lambda: shutil.rmtree(folder / "out", ignore_errors=True)
    )
    caches = {name: bench.folder(f"cache-{name}") for name in ("filled", "full")}
    cached = {name: _cold(bench, folder, LAMBDABUILD_CACHE__ENABLED="true", XDG_CACHE_HOME=str(cache))
              for name, cache in caches.items()}  # fmt: skip

    def empty() -> None:
        cached["full"].before()
        shutil.rmtree(caches["filled"], ignore_errors=True)

    contestants = {
        "by hand": by_hand,
        "off": _cold(bench, folder),
        "one job": _cold(bench, folder, "jobs=1"),
        "filled": replace(cached["filled"], before=empty),
        "full": cached["full"],
    }
    taken = in_turn(contestants, bench.rounds)
    took = {name: seconds(runs) for name, runs in taken.items()}
    yield Figure(f"{size}, of cp -r and zip -r of each", took["off"] / took["by hand"], 0.9,
                 detail=f"{took['off']:.2f} s against {took['by hand']:.2f} s")  # fmt: skip
    yield Figure(f"{size}, times faster with two jobs than with one", took["one job"] / took["off"], 1.6, more=True,
                 detail=f"{took['off']:.2f} s against {took['one job']:.2f} s")  # fmt: skip
    for name, goal, state in (("filled", 1.2, "while it is filled"), ("full", 0.6, "with it full")):
        yield Figure(f"{size}, step cache on, {state}, of cache off", took[name] / took["off"], goal,
                     detail=f"{took[name]:.2f} s against {took['off']:.2f} s")  # fmt: skip


def against_sam(bench: Bench) -> Iterator[Figure]:
    """The same against ``sam build``, which makes no zips, in few rounds: it takes long."""
    functions = bench.sized(1000)
    ours, theirs = (plain.write(bench.folder(who), functions, 50, git=False) for who in ("ours", "theirs"))
    sam = Contestant([str(peers.sam()), "build", "--cached", "--parallel"], theirs, bench.env({}),
                     lambda: shutil.rmtree(theirs / ".aws-sam", ignore_errors=True))  # fmt: skip
    taken = in_turn({"ours": _cold(bench, ours), "sam": sam}, bench.few)
    yield Figure(f"cold, {functions:,} functions x 50 files, times faster than sam build --parallel --cached",
                 seconds(taken["sam"]) / seconds(taken["ours"]), 4, more=True,
                 detail=f"{seconds(taken['ours']):.2f} s against {seconds(taken['sam']):.2f} s")  # fmt: skip


def is_linear(bench: Bench) -> Iterator[Figure]:
    """More functions, and bigger ones, against 1,000 functions with 50 files each: the time for one file."""
    sizes = {(bench.sized(functions), files) for functions, files in ((5000, 50), (100, 2000))}
    usual = (bench.sized(1000), 50)
    folders = {
        size: plain.write(bench.folder("{}x{}".format(*size)), *size, git=False) for size in (usual, *sorted(sizes))
    }
    taken = in_turn({"{}x{}".format(*size): _cold(bench, folder) for size, folder in folders.items()}, bench.few)
    per_file = {size: seconds(taken["{}x{}".format(*size)]) / (size[0] * size[1]) for size in folders}
    for size in sorted(sizes, reverse=True):
        yield Figure(f"cold, {size[0]:,} functions x {size[1]:,} files, time for a file, of {usual[0]:,} x 50",
                     per_file[size] / per_file[usual], 1.2,
                     detail=f"{per_file[size] * 1e6:.0f} µs against {per_file[usual] * 1e6:.0f} µs")  # fmt: skip


def _cold(bench: Bench, folder: Path, *arguments: str, **env: str) -> Contestant:
    """Each run begins without a build folder."""
    run = bench.ours("lambdabuild", *arguments, folder=folder, **env)
    return replace(run, before=lambda: shutil.rmtree(folder / "build", ignore_errors=True))
