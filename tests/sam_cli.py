"""SAM CLI in a virtual environment of its own, for tests that compare."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from sandbox import python_of

SAM_CLI = "aws-sam-cli==1.170.0"


@pytest.fixture(scope="session")
def sam() -> Path:
    """The program, kept for later runs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lambdabuild-tests"
    folder = cache / SAM_CLI
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "sam.lock"):
        if not (folder / "bin/sam").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(folder / "bin/python")]
            subprocess.run([*uv, "--compile-bytecode", SAM_CLI], check=True)
    return folder / "bin/sam"


def python_with_pip() -> str:
    """An interpreter of the functions' version; the virtual environment's own has pip, Debian's has not."""
    return sys.executable if sys.version.startswith("3.11.") else python_of("3.11")
