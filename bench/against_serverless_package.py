"""`lambdabuild compile` and `serverless package` on made services, in turn, in one run: prints ratios.

    python bench/against_serverless_package.py path/to/serverless.js [rounds]

One service has one function, the other 120 functions with three events each (which is more than CloudFormation takes
in one stack, and both compile it nevertheless). The peer also zips one small file.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

QUEUE = "arn:aws:sqs:us-east-1:123456789012:queue"
SIZES = {"1 function": (1, 0), "120 functions with 3 events": (120, 3)}


def service(functions: int, events: int) -> str:
    text = "service: made\nprovider: {name: aws, runtime: python3.11}\nfunctions:\n"
    for number in range(functions):
        text += f"  f{number}:\n    handler: app.handler\n    environment: {{STAGE: '${{sls:stage}}'}}\n"
        listed = [f"sqs: {QUEUE}{number}", "schedule: rate(5 minutes)", f"sns: topic{number}"][:events]
        text += "    events:\n" + "".join(f"      - {event}\n" for event in listed) if listed else ""
    return text


def seconds(command: list[str], folder: Path) -> float:
    env = {**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "SLS_TELEMETRY_DISABLED": "1",
           "SLS_NOTIFICATIONS_MODE": "off"}  # fmt: skip
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=env, check=False, capture_output=True)
    taken = time.perf_counter() - began
    if not (folder / "out.json").exists() and not (folder / ".serverless").exists():
        sys.exit(f"{' '.join(command)} compiled nothing")
    return taken


def main() -> None:
    peer, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    given = ["--stage", "dev", "--region", "us-east-1"]
    contestants = {
        "lambdabuild": [sys.executable, "-m", "lambdabuild", "compile", "--output", "out.json", *given],
        "serverless": ["node", peer, "package", *given],
    }
    for name, size in SIZES.items():
        taken: dict[str, list[float]] = {one: [] for one in contestants}
        with tempfile.TemporaryDirectory() as top:
            for one in contestants:
                folder = Path(top, one)
                folder.mkdir()
                (folder / "serverless.yml").write_text(service(*size))
                (folder / "app.py").write_text("def handler(event, context):\n    return 1\n")
            for number in range(rounds + 1):
                for one, command in contestants.items():
                    took = seconds(command, Path(top, one))
                    taken[one] += [took] if number else []
        ours, theirs = (statistics.median(taken[one]) for one in contestants)
        sys.stdout.write(f"{name}: lambdabuild {ours:.2f} s, serverless {theirs:.2f} s, ratio {theirs / ours:.1f}\n")


if __name__ == "__main__":
    main()
