"""``python -m bench [ROUNDS] [ROW ...]``: measure, print each figure as it comes, write results.md."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench import peers
from bench.figures import Bench, Figure, Row
from bench.measure import busy
from bench.rows import ROWS

MEMORY = Path("/dev/shm")
"""Where Linux has a file system in memory."""
RESULTS = Path(__file__).parent / "results.md"


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m bench")
    options.add_argument("names", nargs="*", metavar="[ROUNDS] [ROW ...]", help=", ".join(row.name for row in ROWS))
    options.add_argument("--scale", type=float, default=1.0, help="share of the full size, to try a row")
    given = options.parse_intermixed_args()
    names = given.names
    rounds = int(names.pop(0)) if names and names[0].isdigit() else 5
    unknown = set(names) - {row.name for row in ROWS}
    if unknown:
        options.error(f"no row is called {', '.join(sorted(unknown))}")
    # Where nothing is compiled ahead, every start would compile again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    rows = [row for row in ROWS if not names or row.name in names]
    lines, warnings = [], []
    programs = peers.lambdabuild()
    for row in rows:
        others = busy()
        if others:
            warnings.append(f"The machine was not idle before {row.name}: {', '.join(others)}.")
            print(warnings[-1], flush=True)
        for figure in measured(row, rounds, programs, given.scale):
            lines.append(as_row(figure))
            print(lines[-1], flush=True)
    if given.scale == 1:
        write(heading(rounds, warnings), lines, is_whole=len(rows) == len(ROWS))
    return 0


def write(head: str, lines: list[str], is_whole: bool) -> None:
    """Write results.md; figures of single rows replace theirs, if the machine, versions, day and rounds are the same."""
    known = RESULTS.read_text() if RESULTS.exists() else ""
    if not is_whole and not known.startswith(head):
        return
    replaced = {line.split(" | ")[0]: line for line in lines}
    before = [] if is_whole else known.removeprefix(head).splitlines()
    merged = {line.split(" | ")[0]: line for line in before} | replaced
    RESULTS.write_text(head + "\n".join(merged.values()) + "\n")


def measured(row: Row, rounds: int, programs: Path, scale: float) -> Iterator[Figure]:
    """Yield a row's figures; what it made is removed, so that the next has room."""
    in_memory = row.memory_megabytes and has_room(row.memory_megabytes * scale)
    with tempfile.TemporaryDirectory(prefix="lambdabuild-bench-", dir=MEMORY if in_memory else None) as top:
        for figure in row.measure(Bench(Path(top), rounds, programs, scale)):
            where = "in memory" if in_memory else "on disk" if row.memory_megabytes else ""
            yield replace(figure, detail="; ".join(filter(None, [figure.detail, where])))


def has_room(megabytes: float) -> bool:
    return MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > megabytes * 1e6


def as_row(figure: Figure) -> str:
    goal = f"{'at least' if figure.more else 'at most'} {figure.goal:g} {figure.unit}".rstrip()
    value = f"{figure.value:.2f} {figure.unit}".rstrip()
    return f"| {figure.what} | {value} | {goal} | {'yes' if figure.is_met else 'no'} | {figure.detail} |"


def heading(rounds: int, warnings: list[str]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(peers.VERSIONS.items()))
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    noise = "".join(f"**{warning}**\n\n" for warning in warnings)
    return (
        f"# What was measured\n\n"
        f"By `doit bench` on {datetime.date.today()}: {os.cpu_count()} processors, {platform.system()} "
        f"{platform.release().partition('-')[0]}, Python {platform.python_version()}; git {git}, {versions}. Medians of {rounds} "
        f"rounds in turn, as ratios.\n\n{noise}| what | measured | goal | met | |\n|---|---|---|---|---|\n"
    )


if __name__ == "__main__":
    sys.exit(main())
