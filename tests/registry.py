"""Debian's docker-registry on loopback, open or for who logs in as ECR's users do; and ECR as moto has it, before it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from s3_server import S3Server

PROGRAM = "docker-registry"
ACCOUNT = "123456789012"
LOGIN = "AWS:" + ACCOUNT + "-auth-token"
"""What moto's get_authorization_token gives."""
HTPASSWD = "AWS:$2b$04$RW8rw9qYc6NArLC9e8dKROIdkUgqaZRZGlVsOA/o3YTqvw2rFjQca\n"
"""The same for the registry, which knows bcrypt only."""
START_SECONDS = 20


@dataclass(frozen=True)
class Registry:
    """A running registry; ``host`` is ``localhost:PORT``, which engines talk to without TLS."""

    host: str
    login: str = ""

    def get(self, path: str) -> Any:
        """What it answers: ``/v2/_catalog``."""
        request = Request(f"http://{self.host}{path}")
        if self.login:
            request.add_header("Authorization", "Basic " + base64.b64encode(self.login.encode()).decode())
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def tags(self, repository: str) -> list[str]:
        return sorted(self.get(f"/v2/{repository}/tags/list")["tags"])


@contextmanager
def running(folder: Path, *, login: str = "") -> Iterator[Registry]:
    """A registry that keeps its files in a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "htpasswd").write_text(HTPASSWD)
    settings: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "of the tests"},
    }
    settings |= {"auth": {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}} if login else {}
    (folder / "settings.yml").write_text(json.dumps(settings))
    command = [PROGRAM, "serve", str(folder / "settings.yml")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("REGISTRY_", "OTEL_"))}
    with (
        open(folder / "log", "wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=environment) as process,
    ):
        try:
            _wait(port, process, folder / "log")
            yield Registry(f"localhost:{port}", login)
        finally:
            process.kill()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"{PROGRAM} does not start:\n{log.read_text()}")


def _needed() -> None:
    if shutil.which(PROGRAM) is None:
        why = f"missing: {PROGRAM}"
        pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that anybody may push to."""
    _needed()
    with running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="session")
def closed_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry for who has ECR's password."""
    _needed()
    with running(tmp_path_factory.mktemp("closed"), login=LOGIN) as found:
        yield found


class EcrServer(S3Server):
    """moto's ECR, whose repositories are in a registry on loopback; ``asked`` are the operations it was asked for."""

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self.registry = registry
        self.asked: list[str] = []

    def ecr(self) -> Any:
        import boto3

        return boto3.client(
            "ecr", endpoint_url=self.url, region_name="eu-west-1", aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )  # fmt: skip

    def _handle(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        operation = environ.get("HTTP_X_AMZ_TARGET", "")
        if "ContainerRegistry" not in operation:
            return super()._handle(environ, start)
        self.asked.append(operation.rpartition(".")[2])
        told: list[Any] = []
        body = b"".join(self._app(environ, lambda status, headers, *_: told.extend((status, headers))))
        body = body.replace(f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com".encode(), self.registry.host.encode())
        headers = [(name, value) for name, value in told[1] if name.lower() != "content-length"]
        start(told[0], [*headers, ("Content-Length", str(len(body)))])
        return [body]


@pytest.fixture
def ecr(closed_registry: Registry) -> Iterator[EcrServer]:
    with EcrServer(closed_registry) as found:
        yield found
