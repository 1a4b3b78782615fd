"""``python -m bench [ROUNDS] [ROW ...]``: measure, print each figure as it comes, write results.md."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import peers
from bench.rows import ROWS, Bench, Figure

RESULTS = Path(__file__).parent / "results.md"


def main() -> int:
    arguments = sys.argv[1:]
    rounds = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else 5
    rows = [row for row in ROWS if not arguments or row.__name__ in arguments]
    lines = []
    with tempfile.TemporaryDirectory(prefix="lambdabuild-bench-") as top:
        bench = Bench(Path(top), rounds, peers.lambdabuild())
        for row in rows:
            for figure in row(bench):
                lines.append(as_row(figure))
                print(lines[-1], flush=True)
    if len(rows) == len(ROWS):
        RESULTS.write_text(heading(rounds) + "\n".join(lines) + "\n")
    return 0


def as_row(figure: Figure) -> str:
    goal = f"{'at least' if figure.more else 'at most'} {figure.goal:g} {figure.unit}".rstrip()
    value = f"{figure.value:.2f} {figure.unit}".rstrip()
    return f"| {figure.what} | {value} | {goal} | {'yes' if figure.is_met else 'no'} | {figure.detail} |"


def heading(rounds: int) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(peers.VERSIONS.items()))
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    return (
        f"# What was measured\n\n"
        f"By `doit bench` on {datetime.date.today()}: {os.cpu_count()} processors, {platform.system()} "
        f"{platform.release().partition('-')[0]}, Python {platform.python_version()}; git {git}, {versions}. Medians of {rounds} "
        f"rounds in turn, as ratios.\n\n| what | measured | goal | met | |\n|---|---|---|---|---|\n"
    )


if __name__ == "__main__":
    sys.exit(main())
