"""Requests of Lambda Builders' JSON-RPC, and how they are sent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Answer:
    """The one JSON document that came, and how the process ended."""

    code: int
    response: dict[str, Any]
    logs: str

    @property
    def error(self) -> tuple[int, str]:
        return self.response["error"]["code"], self.response["error"]["message"]


Ask = Callable[..., Answer]
Params = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Send a request (an object, or raw bytes) on standard input, or as the argument."""

    def send(request: object, *, as_argument: bool = False, env: Mapping[str, str] | None = None) -> Answer:
        raw = request if isinstance(request, bytes) else json.dumps(request).encode()
        command = [sys.executable, "-m", "lambdabuild", "rpc", *([raw.decode()] if as_argument else [])]
        done = subprocess.run(
            command, input=b"" if as_argument else raw, capture_output=True, cwd=tmp_path,
            env={**os.environ, **(env or {})}, timeout=300, check=False,
        )  # fmt: skip
        logs = done.stderr.decode()
        assert "Traceback" not in logs, logs
        response = json.loads(done.stdout)
        assert response["jsonrpc"] == "2.0"
        assert ("result" in response) != ("error" in response)
        assert done.returncode == ("error" in response)
        return Answer(done.returncode, response, logs)

    return send


@pytest.fixture
def params(tmp_path: Path) -> Params:
    """The parameters of a build of ``src/`` as callers of today send them; ``capability`` is written python/pip."""

    def given(capability: str, manifest: str, runtime: str, **more: Any) -> dict[str, Any]:
        language, manager = (*capability.split("/"), None)[:2]
        return {
            "__protocol_version": "0.3",
            "capability": {"language": language, "dependency_manager": manager, "application_framework": None},
            "source_dir": str(tmp_path / "src"),
            "artifacts_dir": str(tmp_path / "artifacts"),
            "scratch_dir": str(tmp_path / "scratch"),
            "manifest_path": str(tmp_path / "src" / manifest),
            "runtime": runtime,
            "optimizations": None,
            "options": None,
            **more,
        }

    return given


@pytest.fixture
def request_of() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A request with these parameters. SAM CLI writes ``jsonschema`` where the standard has ``jsonrpc``."""
    return lambda params: {"jsonschema": "2.0", "id": 1, "method": "LambdaBuilder.build", "params": params}
