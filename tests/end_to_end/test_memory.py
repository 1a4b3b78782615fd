"""Everything is streamed: what a build holds in memory does not grow with what it builds."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from sandbox import PLAIN_FUNCTION, Sandbox

pytestmark = pytest.mark.slow

PEAK = """
import resource, subprocess, sys
code = subprocess.run([sys.executable, "-m", "lambdabuild", "build", "-q"]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
sys.exit(code)
"""
"""ru_maxrss is in KiB on Linux (getrusage(2))."""


def peak_megabytes(project: Sandbox) -> int:
    said = subprocess.run([sys.executable, "-c", PEAK], cwd=project.folder, env=project.environment(),
                          capture_output=True, text=True, check=True)  # fmt: skip
    return int(said.stdout)


def test_a_function_of_200_megabytes_needs_not_much_more_memory_than_a_small_one(project: Sandbox) -> None:
    project.write({"template.yaml": PLAIN_FUNCTION, "src/app.py": "x = 1\n"})
    small = peak_megabytes(project)
    for number in range(2):
        with project.path(f"src/large{number}.bin").open("wb") as stream:
            for _ in range(60):
                stream.write(os.urandom(1 << 20))
    for number in range(80):
        project.path(f"src/part{number}.bin").write_bytes(os.urandom(1 << 20))
    large = peak_megabytes(project)

    assert project.path("build/Orders.zip").stat().st_size > 200 << 20
    assert large - small < 100
