"""A run with nothing to do, and one edit, among 1,000 and 5,000 functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench import peers
from bench.figures import Bench, Figure
from bench.measure import Contestant, in_turn, memory, once, seconds, system_calls, written
from bench.services import plain


def of_many(bench: Bench) -> Iterator[Figure]:
    """A run with nothing to do, of 1,000 and of 5,000 functions with 50 files each, against git and ninja."""
    goals = ((1000, 2.0, 1.3, "git", 60), (5000, 1.2, 1.0, "ninja", 100))
    for full_size, of_git, of_ours, against, megabytes in goals:
        functions = bench.sized(full_size)
        folder = plain.write(bench.folder(f"many-{functions}"), functions, 50)
        plain.write_ninja(folder)
        ninja = Contestant([str(peers.ninja()), "--quiet"], folder)
        for first in (bench.ours("doit", folder=folder), bench.ours("doit", folder=folder), ninja):
            once(first)
        imports = bench.python("import doit.doit_cmd", folder)
        contestants = {
            "git": Contestant(["git", "status"], folder),
            "ninja": ninja,
            "doit": bench.ours("doit", folder=folder),
            "lambdabuild": bench.ours("lambdabuild", folder=folder),
            "build:F": bench.ours("doit", f"build:Fn{functions // 2:04}", folder=folder),
            "import": imports,
            "list": bench.ours("doit", "list", folder=folder),
            "edit": Contestant(
                [str(bench.programs / "doit")],
                folder,
                bench.env({}),
                partial(plain.edit, folder, f"src/f{functions // 2:04}/m7.py"),
            ),
            "after the edit": bench.ours("doit", folder=folder),
        }
        taken = in_turn(contestants, bench.rounds)
        took = {name: seconds(one) for name, one in taken.items()}
        size = f"{functions:,} functions x 50 files"
        opened, started = system_calls(contestants["doit"])
        detail = f"{opened} files opened, {started} processes, {written(taken['doit']):.1f} MB written"
        yield Figure(f"null doit, {size}, of git status", took["doit"] / took["git"], of_git, detail=detail)
        yield Figure(f"null doit, {size}, memory", memory(taken["doit"]), megabytes, "MB")
        yield Figure(f"null lambdabuild, {size}, of {against}", took["lambdabuild"] / took[against], of_ours,
                     detail=f"git status {took['git']:.3f} s, ninja {took['ninja']:.3f} s, "
                            f"lambdabuild {took['lambdabuild']:.3f} s")  # fmt: skip
        if full_size == 1000:
            yield from _of_one(bench, folder, took)


def _of_one(bench: Bench, folder: Path, took: dict[str, float]) -> Iterator[Figure]:
    yield Figure("null doit build:F among 1,000, of import doit.doit_cmd", took["build:F"] / took["import"], 1.3)
    alone = plain.write(bench.folder("alone"), 1, 50)
    for _ in range(2):
        once(bench.ours("doit", folder=alone))
    steps = in_turn(
        {"edit": Contestant([str(bench.programs / "doit")], alone, bench.env({}), lambda: plain.edit(alone, "src/f0000/m7.py")),
         "null": bench.ours("doit", folder=alone)}, bench.rounds
    )  # fmt: skip
    own = seconds(steps["edit"]) - seconds(steps["null"])
    yield Figure("one file of one function in 1,000 edited: beyond the null run and its own steps",
                 took["edit"] - took["doit"] - own, 0.1, "s",
                 detail=f"{took['edit']:.3f} s; null {took['doit']:.3f} s, the steps of one alone {own:.3f} s")  # fmt: skip
    empty = bench.folder("empty")
    (empty / "dodo.py").write_text("")
    listed = in_turn({"empty": bench.ours("doit", "list", folder=empty), "many": bench.ours("doit", "list", folder=folder)},
                     bench.rounds)  # fmt: skip
    yield Figure(
        "doit list of 1,000 functions, of an empty dodo.py", seconds(listed["many"]) / seconds(listed["empty"]), 2
    )


def edit_of_many(bench: Bench) -> Iterator[Figure]:
    """One file of one function edited: what the build takes longer than a run with nothing to do."""
    functions = bench.sized(1000)
    folder = plain.write(bench.folder("many"), functions, 50)
    for _ in range(2):
        once(bench.ours("lambdabuild", folder=folder))
    null = bench.ours("lambdabuild", folder=folder)
    edited = f"src/f{functions // 2:04}/m7.py"
    taken = in_turn({"edit": replace(null, before=lambda: plain.edit(folder, edited)), "null": null}, bench.rounds)
    took = {name: seconds(runs) for name, runs in taken.items()}
    yield Figure(f"one file of {functions:,} x 50 edited, lambdabuild, beyond the null run", took["edit"] - took["null"],
                 0.15, "s", detail=f"{took['edit']:.3f} s; null {took['null']:.3f} s")  # fmt: skip
