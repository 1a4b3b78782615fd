"""lambdabuild and `sam build` on the sample app, in turn, in one run: prints ratios, not seconds to trust.

    python bench/against_sam_build.py path/to/sam [rounds]

Both have filled their download caches before the first measured round. What is compared: everything from nothing
(``cold``), again with nothing changed (``null``), and after one handler was edited (``edit``); sam build with its own
incremental mode (``--cached --parallel``).
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SAMPLE_APP = Path(__file__).parent.parent / "sample-app"


def seconds(command: list[str], folder: Path) -> float:
    began = time.perf_counter()
    env = {**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-west-1"}
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
    return time.perf_counter() - began


def measured(command: list[str], output: str, folder: Path, round_number: int) -> dict[str, float]:
    shutil.rmtree(folder / output, ignore_errors=True)
    cold = seconds(command, folder)
    null = seconds(command, folder)
    with (folder / "src/refunds/app.py").open("a") as stream:
        stream.write(f"# {round_number}\n")
    return {"cold": cold, "null": null, "edit": seconds(command, folder)}


def main() -> None:
    sam, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    contestants = {
        "lambdabuild": ([sys.executable, "-m", "lambdabuild", "build"], "build"),
        "sam build": ([sam, "build", "--cached", "--parallel"], ".aws-sam"),
    }
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    with tempfile.TemporaryDirectory() as top:
        for name in contestants:
            shutil.copytree(SAMPLE_APP, Path(top, name), ignore=shutil.ignore_patterns("build", "node_modules"))
        for number in range(rounds + 1):
            for name, (command, output) in contestants.items():
                times = measured(command, output, Path(top, name), number)
                taken[name] += [times] if number else []
    for kind in ("cold", "null", "edit"):
        ours, theirs = (statistics.median(times[kind] for times in taken[name]) for name in contestants)
        sys.stdout.write(f"{kind}: lambdabuild {ours:.2f} s, sam build {theirs:.2f} s, ratio {theirs / ours:.1f}\n")


if __name__ == "__main__":
    main()
