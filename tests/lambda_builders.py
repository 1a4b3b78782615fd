"""Lambda Builders in a virtual environment of its own, and the tools it needs, for tests that compare."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from sandbox import python_of

LAMBDA_BUILDERS = "aws-lambda-builders==1.68.0"
ESBUILD = "esbuild@0.25.12"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lambdabuild-tests"


def installed(package: str, program: str) -> Path:
    """A program in a virtual environment of its own, kept for later runs."""
    folder = CACHE / package
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / f"{program}.lock"):
        if not (folder / "bin" / program).exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(folder / "bin/python")]
            subprocess.run([*uv, "--compile-bytecode", package], check=True)
    return folder / "bin" / program


@pytest.fixture(scope="session")
def peer() -> Path:
    return installed(LAMBDA_BUILDERS, "lambda-builders")


@pytest.fixture(scope="session")
def esbuild() -> Path:
    """A folder with the program esbuild, installed by npm."""
    folder = CACHE / ESBUILD
    with FileLock(CACHE / "esbuild.lock"):
        if not (folder / "node_modules/.bin/esbuild").exists():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "package.json").write_text("{}")
            install = ["npm", "install", "--no-audit", "--no-fund", "--silent", ESBUILD]
            subprocess.run(install, cwd=folder, check=True)
    return folder / "node_modules/.bin"


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory, esbuild: Path) -> str:
    """A PATH on which Lambda Builders finds what it needs: Python with pip, uv, cargo-lambda, esbuild."""
    pythons = tmp_path_factory.mktemp("pythons")
    python = sys.executable if sys.version.startswith("3.11.") else python_of("3.11")
    (pythons / "python3.11").write_text(f'#!/bin/sh\nexec "{python}" "$@"\n')
    (pythons / "python3.11").chmod(0o755)
    own = Path(sys.executable).parent
    return os.pathsep.join(map(str, (pythons, esbuild, own, os.environ["PATH"])))
