"""A Docker engine in memory: containers that answer as they are told, and a record of all that was asked.

What ``docker.engine_api`` asks of the SDK's low-level client, and no more; no engine has to run.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import IO, Any

from docker.errors import APIError, NotFound

from lambdabuild.docker.engine_api import FRAME, Engine

Program = Callable[[Sequence[str]], tuple[int, str]]
"""The exit code of a command, and what it prints."""


@dataclass
class Started:
    """A container, as it was asked for."""

    id: str
    image: str
    name: str | None
    labels: dict[str, str]
    mounts: list[tuple[str, str, bool]]
    files: dict[str, tarfile.TarInfo] = field(default_factory=dict)
    """Everything that was sent."""


@dataclass
class FakeApi:
    """The low-level client. ``images`` has the id of each image that the engine has."""

    images_by_name: dict[str, str] = field(default_factory=dict)
    program: Program = lambda argv: (0, "")
    refuses_mounts: bool = False
    started: list[Started] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    executed: list[dict[str, Any]] = field(default_factory=list)
    inspected: list[str] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)
    """Containers that were there before."""
    inside: dict[str, bytes] = field(default_factory=dict)
    """The tar that each path gives."""

    def inspect_image(self, name: str) -> dict[str, str]:
        self.inspected.append(name)
        if name not in self.images_by_name:
            raise NotFound(name)
        return {"Id": self.images_by_name[name], "Architecture": "amd64", "Os": "linux"}

    def pull(self, repository: str, tag: str, **options: Any) -> Iterator[dict[str, str]]:
        self.images_by_name[f"{repository}:{tag}"] = f"pulled {repository}"
        yield {"status": "done"}

    def create_host_config(self, **options: Any) -> dict[str, Any]:
        return options

    def create_container(
        self, image: str, *, name: str | None, labels: dict[str, str], **options: Any
    ) -> dict[str, str]:
        mounts = [(one["Source"], one["Target"], one["ReadOnly"]) for one in options["host_config"]["mounts"]]
        if mounts and self.refuses_mounts:
            raise APIError("refused", explanation="bind source path does not exist: /somewhere")
        self.started.append(Started(f"c{len(self.started) + 1}", image, name, labels, mounts))
        return {"Id": self.started[-1].id}

    def attach_socket(self, container: str, params: object) -> IO[bytes]:
        return io.BytesIO()

    def start(self, container: str) -> None: ...

    def exec_create(self, container: str, argv: list[str], **options: Any) -> dict[str, str]:
        self.executed.append({"container": container, "argv": argv, **options})
        return {"Id": str(len(self.executed) - 1)}

    def exec_start(self, exec_id: str, socket: bool = False) -> Any:
        _, printed = self.program(self.executed[int(exec_id)]["argv"])
        text = printed.encode()
        stream = io.BytesIO(FRAME.pack(1, len(text)) + text if text else b"")
        raw = SimpleNamespace(_fp=SimpleNamespace(fp=stream))
        return SimpleNamespace(_response=SimpleNamespace(raw=raw, close=stream.close))

    def _disable_socket_timeout(self, socket: object) -> None: ...

    def exec_inspect(self, exec_id: str) -> dict[str, int]:
        return {"ExitCode": self.program(self.executed[int(exec_id)]["argv"])[0]}

    def inspect_container(self, container: str) -> dict[str, Any]:
        return {"State": {"Running": container not in self.removed}}

    def put_archive(self, container: str, path: str, stream: IO[bytes]) -> None:
        with tarfile.open(fileobj=stream) as archive:
            self._started(container).files |= {f"/{one.name}": one for one in archive.getmembers()}

    def get_archive(self, container: str, path: str) -> tuple[list[bytes], dict[str, str]]:
        if path not in self.inside:
            raise NotFound(path)
        return [self.inside[path]], {}

    def containers(self, *, all: bool, filters: dict[str, list[str]]) -> list[dict[str, Any]]:
        wanted = [text.split("=", 1) for text in filters["label"]]
        return [one for one in self.others if all and all_in(wanted, one["Labels"])]

    def remove_container(self, container: str, force: bool) -> None:
        self.removed.append(container)

    def _started(self, container: str) -> Started:
        return next(one for one in self.started if one.id == container)


def all_in(wanted: list[list[str]], labels: dict[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in wanted)


def fake_engine(api: FakeApi, host: str = "unix:///engine.test", *options: str) -> Engine:
    """Return an engine that has answered, on this machine unless the host says otherwise."""
    return Engine(SimpleNamespace(api=api), host, options)
