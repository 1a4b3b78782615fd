"""The AWS CDK, for tests: its library for Python in an environment of its own, and its command line from npm."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from lambda_builders import CACHE
from sandbox import Sandbox

LIBRARY = ("aws-cdk-lib==2.275.0", "constructs>=10.4")
TOOLS = ("aws-cdk@2.1148.1", "@aws-cdk/cloud-assembly-schema@55.6.0")
CONTEXT = '{"aws:cdk:enable-asset-metadata": true, "aws:cdk:enable-path-metadata": true}'


@pytest.fixture(scope="session")
def cdk_python() -> Path:
    """An interpreter that can import aws_cdk."""
    folder = CACHE / "aws-cdk-lib"
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "aws-cdk-lib.lock"):
        stamp = folder / "wanted"
        if not stamp.exists() or stamp.read_text() != " ".join(LIBRARY):
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(folder / "bin/python")]
            subprocess.run([*uv, "--compile-bytecode", *LIBRARY], check=True)
            stamp.write_text(" ".join(LIBRARY))
    return folder / "bin/python"


@pytest.fixture(scope="session")
def cdk_tools() -> Path:
    """The node_modules with the CDK's command line and its schemas."""
    folder = CACHE / "aws-cdk"
    with FileLock(CACHE / "aws-cdk.lock"):
        stamp = folder / "wanted"
        if not stamp.exists() or stamp.read_text() != " ".join(TOOLS):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "package.json").write_text("{}")
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", *TOOLS], cwd=folder, check=True)
            stamp.write_text(" ".join(TOOLS))
    return folder / "node_modules"


def synth(project: Sandbox, python: Path, out: str = "cdk.out") -> None:
    """Run app.py as the CDK's command line runs it, with no network."""
    environment = {
        **os.environ, "CDK_OUTDIR": str(project.path(out)), "CDK_CONTEXT_JSON": CONTEXT,
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1", "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
        "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "1",
    }  # fmt: skip
    subprocess.run([str(python), "app.py"], cwd=project.folder, env=environment, check=True)


@pytest.fixture(scope="session")
def cdk_modules() -> Path:
    """The node_modules with the CDK's library and TypeScript."""
    folder, wanted = (
        CACHE / "aws-cdk-lib-npm",
        ("aws-cdk-lib@2.275.0", "constructs@10", "typescript@5.9", "@types/node@20"),
    )
    with FileLock(CACHE / "aws-cdk-lib-npm.lock"):
        stamp = folder / "wanted"
        if not stamp.exists() or stamp.read_text() != " ".join(wanted):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "package.json").write_text("{}")
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", *wanted], cwd=folder, check=True)
            stamp.write_text(" ".join(wanted))
    return folder / "node_modules"
