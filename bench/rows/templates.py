"""Big templates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench import peers
from bench.figures import QUIET, Bench, Figure
from bench.measure import Contestant, in_turn, memory, seconds
from bench.services import plain

STAGE = ("--stage", "dev", "--region", "us-east-1")


def compiled(bench: Bench) -> Iterator[Figure]:
    """A serverless.yml to CloudFormation."""
    for functions, events in ((1, 0), (120, 3)):
        folder = _serverless(bench, functions, events)
        taken = in_turn({
            "ours": _compile(bench, folder),
            "theirs": Contestant(["node", str(peers.serverless()), "package", *STAGE], folder, QUIET),
        }, bench.rounds)  # fmt: skip
        what = f"{functions} functions with {events} events" if functions > 1 else "one function"
        yield Figure(f"compile {what}, times faster than serverless package",
                     seconds(taken["theirs"]) / seconds(taken["ours"]), 10, more=True)  # fmt: skip


def big(bench: Bench) -> Iterator[Figure]:
    """A template of 20,000 functions, planned and not built, and a serverless.yml of 500 with 5 events each."""
    few, many = bench.sized(2000), bench.sized(20000)
    folders = {count: plain.write(bench.folder(f"plan-{count}"), count, 1, git=False) for count in (few, many)}
    plan = ("plan", "--format", "json")
    taken = in_turn({str(count): bench.ours("lambdabuild", *plan, folder=folder) for count, folder in folders.items()},
                    bench.few)  # fmt: skip
    took = {count: seconds(taken[str(count)]) for count in folders}
    what = f"lambdabuild plan, a template of {many:,} functions"
    yield Figure(what, took[many], 10, "s")
    yield Figure(f"{what}, memory", memory(taken[str(many)]), 400, "MB")
    yield Figure(f"{what}, time for a function, of {few:,}", took[many] / many / (took[few] / few), 1.2,
                 detail=f"{took[few]:.2f} s for {few:,}")  # fmt: skip
    functions, events = bench.sized(500), 5
    folder = _serverless(bench, functions, events)
    compiled = in_turn({"compile": _compile(bench, folder)}, bench.few)
    yield Figure(f"compile {functions:,} functions with {events} events", seconds(compiled["compile"]), 3, "s")


def _serverless(bench: Bench, functions: int, events: int) -> Path:
    folder = bench.folder(f"compile-{functions}")
    (folder / "serverless.yml").write_text(plain.serverless(functions, events))
    (folder / "app.py").write_text("def handler(event, context):\n    return 1\n")
    return folder


def _compile(bench: Bench, folder: Path) -> Contestant:
    """More resources than a stack may have: the template is written, and then refused."""
    return replace(
        bench.ours("lambdabuild", "compile", "--output", "out.json", *STAGE, folder=folder), writes="out.json"
    )
