"""lambdabuild and its peers, each in a virtual environment of its own, from the registries; kept for the next run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
KEPT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lambdabuild-bench"
VERSIONS = {"aws-sam-cli": "1.164.0", "esbuild": "0.25.12", "ninja": "1.13.0", "serverless": "3.40.0"}


def environment(name: str, *wanted: str) -> Path:
    """The programs of a virtual environment that holds what is wanted."""
    folder = KEPT / name
    stamp = folder / "wanted"
    if not stamp.exists() or stamp.read_text() != " ".join(wanted):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(folder / "bin/pip"), "install", "--quiet", *wanted], check=True)
        stamp.write_text(" ".join(wanted))
    return folder / "bin"


def lambdabuild() -> Path:
    """This checkout, installed as users have it: from a wheel, compiled, and with nothing that only developers need."""
    programs = environment("lambdabuild", "pip")
    for command in (
        ["install", "--quiet", str(ROOT)],
        ["install", "--quiet", "--force-reinstall", "--no-deps", str(ROOT)],
    ):
        subprocess.run([str(programs / "pip"), *command], check=True)
    return programs


def sam() -> Path:
    return environment("sam", f"aws-sam-cli=={VERSIONS['aws-sam-cli']}") / "sam"


def ninja() -> Path:
    return environment("ninja", f"ninja=={VERSIONS['ninja']}") / "ninja"


def serverless() -> Path:
    """The script that node runs."""
    return _from_npm("serverless", "serverless/bin/serverless.js")


def esbuild() -> Path:
    """The folder for PATH."""
    return _from_npm("esbuild", ".bin/esbuild").parent


def _from_npm(name: str, program: str) -> Path:
    folder = KEPT / name
    path = folder / "node_modules" / program
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        wanted = f"{name}@{VERSIONS[name]}"
        subprocess.run(["npm", "install", "--silent", "--ignore-scripts", "--prefix", str(folder), wanted], check=True)
    return path
