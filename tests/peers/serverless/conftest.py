"""The Serverless Framework itself, installed once."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from filelock import FileLock
from peers.serverless.services import ENVIRONMENT
from s3_server import S3Server
from sandbox import Ran, Sandbox

from lambdabuild.cli.main import main

SERVERLESS = "serverless@3.40.0"
PLUGINS = (
    "serverless-iam-roles-per-function@3.2.0", "serverless-python-requirements@6.1.2", "serverless-esbuild@1.57.2",
    "esbuild@0.25.12",
)  # fmt: skip
MOST_USED_PLUGINS = {
    "serverless-api-gateway-throttling": "2.0.3", "serverless-appsync-plugin": "2.13.0",
    "serverless-deployment-bucket": "1.6.0", "serverless-domain-manager": "10.3.1", "serverless-dotenv-plugin": "6.0.0",
    "serverless-esbuild": "1.57.2", "serverless-iam-roles-per-function": "3.2.0", "serverless-localstack": "1.4.0",
    "serverless-offline": "13.10.1", "serverless-plugin-aws-alerts": "1.7.5",
    "serverless-plugin-conditional-functions": "1.0.8", "serverless-plugin-datadog": "5.134.1",
    "serverless-plugin-ifelse": "1.0.7", "serverless-plugin-lambda-insights": "2.0.0",
    "serverless-plugin-log-retention": "2.1.0", "serverless-plugin-resource-tagging": "1.2.0",
    "serverless-plugin-split-stacks": "1.15.0", "serverless-plugin-tracing": "2.0.0",
    "serverless-plugin-typescript": "2.1.5", "serverless-plugin-warmup": "8.4.1", "serverless-prune-plugin": "2.1.0",
    "serverless-python-requirements": "6.1.2", "serverless-step-functions": "3.28.1", "serverless-webpack": "5.16.2",
}  # fmt: skip
"""With their versions."""
OSLS = "osls@4.3.1"
"""The Serverless Framework's successor, for what only that has."""

PATIENCE_SECONDS = 300.0
"""With one service."""

Peer = Callable[..., Ran]


def installed(*packages: str) -> Path:
    """A folder with npm packages, kept for later runs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lambdabuild-tests"
    names = "-".join(packages)
    folder = cache / (names if len(names) < 200 else hashlib.sha256(names.encode()).hexdigest())
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{packages[0]}.lock"):
        if not (folder / "done").exists():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "package.json").write_text("{}")
            # Plugins want versions of one another that need not be there: each is looked at by itself.
            options = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--legacy-peer-deps"]
            subprocess.run(["npm", "install", *options, *packages], cwd=folder, check=True)
            (folder / "done").touch()
    return folder


def python_programs(*packages: str) -> Path:
    """A folder with programs of Python packages, kept for later runs: what a peer runs, as its users have it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lambdabuild-tests"
    folder = cache / "-".join(packages)
    cache.mkdir(parents=True, exist_ok=True)
    uv = [sys.executable, "-m", "uv"]
    with FileLock(cache / f"{packages[0]}.lock"):
        if not (folder / "done").exists():
            subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
            python = str(folder / "bin/python")
            subprocess.run(
                [*uv, "pip", "install", "-q", "--compile-bytecode", "--python", python, *packages], check=True
            )
            (folder / "done").touch()
    return folder / "bin"


@pytest.fixture(scope="session")
def serverless() -> Path:
    """The Serverless Framework's program."""
    return installed(SERVERLESS, *PLUGINS) / "node_modules/serverless/bin/serverless.js"


@pytest.fixture(scope="session")
def peer(serverless: Path, tmp_path_factory: pytest.TempPathFactory) -> Peer:
    """Run the Serverless Framework's ``package`` in a folder."""
    return runner(serverless, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def osls() -> Path:
    """The program of the Serverless Framework's successor."""
    return installed(OSLS) / "node_modules/osls/bin/serverless.js"


@pytest.fixture(scope="session")
def successor(osls: Path, tmp_path_factory: pytest.TempPathFactory) -> Peer:
    """Run osls' ``package`` in a folder."""
    return runner(osls, tmp_path_factory.mktemp("home"))


def runner(program: Path, home: Path) -> Peer:
    def run(project: Sandbox, *arguments: str, env: Mapping[str, str] | None = None) -> Ran:
        return project.command(["node", str(program), *_package(arguments)], env=_environment(home, env))

    return run


def ours(place: Sandbox, *arguments: str, env: Mapping[str, str] = ENVIRONMENT) -> Ran:
    """Our ``compile``, in this process: to start one takes longer than its work."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(out), redirect_stderr(err):
        patched.chdir(place.folder)
        for name, value in env.items():
            patched.setenv(name, value)
        code = main(["compile", "--stage", "dev", "--region", "us-east-1", *arguments])
    return Ran(code, out.getvalue(), err.getvalue())


def _package(arguments: Sequence[str]) -> list[str]:
    named = () if "--stage" in arguments else ("--stage", "dev", "--region", "us-east-1")
    return ["package", *named, *arguments]


def _environment(home: Path, more: Mapping[str, str] | None) -> dict[str, str]:
    return {
        "HOME": str(home),  # it keeps a compiled schema there
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "SLS_TELEMETRY_DISABLED": "1",
        "SLS_NOTIFICATIONS_MODE": "off",
        **(more or {}),
    }


@pytest.fixture(scope="session")
def many(serverless: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """As ``peer``, for services without plugins of their own: one process of the Serverless Framework's packages them all."""
    with together(serverless, tmp_path_factory.mktemp("home")) as run:
        yield run


@contextmanager
def together(program: Path, home: Path) -> Iterator[Peer]:
    """Run ``package`` in many folders, in one process for each environment that is asked for."""
    script = Path(__file__).with_name("many.cjs")
    with ExitStack() as stack:
        processes: dict[str, subprocess.Popen[str]] = {}

        def start(environment: dict[str, str]) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                ["node", str(script), str(program)], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )  # fmt: skip
            return stack.enter_context(process)

        def run(project: Sandbox, *arguments: str, env: Mapping[str, str] | None = None) -> Ran:
            key = json.dumps(sorted((env or {}).items()))
            if key not in processes:
                processes[key] = start(project.environment(_environment(home, env)))
            process = processes[key]
            assert process.stdin is not None and process.stdout is not None
            request = {"folder": str(project.folder), "arguments": _package(arguments)}
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            clock = threading.Timer(PATIENCE_SECONDS, process.kill)
            clock.start()
            answer = process.stdout.readline()
            clock.cancel()
            assert answer, f"the Serverless Framework's process ended with exit code {process.wait()}"
            return Ran(**json.loads(answer))

        yield run


@pytest.fixture(scope="session")
def cloud(serverless: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A script that node loads first, by which the Serverless Framework asks a server on loopback, not AWS."""
    script = tmp_path_factory.mktemp("cloud") / "loopback.cjs"
    sdk = serverless.parents[2] / "aws-sdk"
    with S3Server() as server:
        script.write_text(
            f"require({str(sdk)!r}).config.update({{endpoint: {server.url!r}, s3ForcePathStyle: true}});\n"
        )
        yield str(script)
