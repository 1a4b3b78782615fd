"""Engines of the Remote Execution API on loopback: buildbox-casd, and a small one that has trouble on demand."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
import psutil
from cache_servers import BUILDBOX, Reapi, free_port, wait_for

from lambdabuild.cache import remote_execution_pb2 as api

SENT = ("Heartbeat", "ShowCatalog", "TermsOfSale", "TrackParcel")
"""What of the sample app has a compile step that can go."""
T = TypeVar("T")


def until(ask: Callable[[], T], seconds: float) -> T:
    """The first answer that is one."""
    end = time.monotonic() + seconds
    while not (found := ask()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def settings_of(address: str) -> dict[str, str]:
    """An engine on this machine, and where its programs are."""
    homes = [os.path.dirname(program) for program in map(shutil.which, ("go", "node", "make")) if program]
    path = ":".join(dict.fromkeys([f"{sys.base_prefix}/bin", *homes, "/usr/bin", "/bin"]))
    return {"LAMBDABUILD_EXECUTOR": address, "LAMBDABUILD_EXECUTOR__ENVIRONMENT__PATH": path}


@dataclass
class Engine:
    """buildbox-casd with its execution service, whose sandboxes see this machine's programs and no network."""

    folder: Path
    port: int
    mounts: dict[str, str]
    """What its sandboxes see beside the usual: a folder here -> where it is there."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return settings_of(self.address)

    def start(self) -> None:
        """With the blobs and results of the last time."""
        programs = BUILDBOX / "buildbox-casd", BUILDBOX / "buildbox-run"
        mounts = {
            **self.mounts,
            "/usr": "/usr",
            "/usr/bin": "/bin",
            "/usr/lib": "/lib",
            "/usr/lib64": "/lib64",
            "/etc": "/etc",
        }
        mounts |= {} if sys.base_prefix.startswith("/usr") else {sys.base_prefix: sys.base_prefix}
        # A file system of its own would outlive it when it is killed.
        binds = ["--runner-arg=--staging-mode=copy-or-link"]
        binds += [f"--runner-arg=--bind-mount={here}:{there}" for here, there in mounts.items() if os.path.exists(here)]
        command = [
            str(programs[0]),
            "--bind",
            f"127.0.0.1:{self.port}",
            "--buildbox-run",
            str(programs[1]),
            "--jobs",
            "2",
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *binds, str(self.folder)], stdout=log, stderr=log,
                env={**os.environ, "PATH": f"{BUILDBOX}:{os.environ['PATH']}"}, start_new_session=True,
            )  # fmt: skip
        wait_for(self.port, self.process, self.folder / "log")

    def stop(self) -> None:
        """With all that it has started."""
        if self.process is not None:
            started = self.running()
            self.process.kill()
            for one in started:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            self.process.wait(10)
        self.process = None

    def running(self, name: str = "") -> list[psutil.Process]:
        """What runs on it now: all processes, or those of a program."""
        assert self.process
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [one for one in found if not name or _name(one) == name]


def _name(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return str(process.name())
    return ""


@contextmanager
def engine(folder: Path, mounts: dict[str, str] | None = None) -> Iterator[Engine]:
    folder.mkdir(parents=True)
    made = Engine(folder, free_port(), mounts or {})
    made.start()
    try:
        yield made
    finally:
        made.stop()


class Workshop(Reapi):
    """An engine too, that runs actions in a folder here and has all the trouble that it is told to have."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.queue_seconds = 0.0
        self.trouble: list[str] = []
        """What happens next: ``lost`` (the stream breaks), ``died`` (the worker), ``gone`` (the inputs)."""
        self.done: dict[str, Any] = {}

    def service(self, details: Any) -> Any:
        method = details.method.rpartition("/")[2]
        known = {"Execute": api.ExecuteRequest, "WaitExecution": api.WaitExecutionRequest}
        if method not in known:
            return super().service(details)
        self.asked.append(method)
        ask = getattr(self, method)
        return grpc.unary_stream_rpc_method_handler(ask, known[method].FromString, api.Operation.SerializeToString)

    def GetCapabilities(self, request: Any, context: Any) -> Any:  # noqa: N802  # the specification's names
        found = super().GetCapabilities(request, context)
        found.execution_capabilities.exec_enabled = True
        return found

    def Execute(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        trouble = self.trouble.pop(0) if self.trouble else ""
        name = f"operations/{len(self.done)}"
        yield api.Operation(
            name=name, metadata=api.Any(value=api.ExecuteOperationMetadata(stage=2).SerializeToString())
        )
        time.sleep(self.queue_seconds)
        if trouble == "gone":
            self.blobs.clear()
        action = self._message(api.Action, request.action_digest, context)
        self.done[name] = self._answer_of(action, context) if trouble != "died" else api.ExecuteResponse(
            status=api.Status(code=14, message="the worker is gone")
        )  # fmt: skip
        if trouble == "lost":
            context.abort(grpc.StatusCode.UNAVAILABLE, "the stream broke")
        yield self._operation(name)

    def WaitExecution(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        yield self._operation(request.name)

    def _operation(self, name: str) -> Any:
        return api.Operation(name=name, done=True, response=api.Any(value=self.done[name].SerializeToString()))

    def _message(self, kind: Any, digest: Any, context: Any) -> Any:
        if digest.hash not in self.blobs:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "an input is missing")
        return kind.FromString(self.blobs[digest.hash])

    def _answer_of(self, action: Any, context: Any) -> Any:
        command = self._message(api.Command, action.command_digest, context)
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        self._stage(folder, self._message(api.Directory, action.input_root_digest, context), context)
        variables = {one.name: one.value for one in command.environment_variables}
        ran = subprocess.run(list(command.arguments), cwd=folder, env=variables, capture_output=True)
        result = api.ActionResult(exit_code=ran.returncode, stdout_raw=ran.stdout, stderr_raw=ran.stderr)
        for output in command.output_paths:
            children: list[Any] = []
            root = self._capture(folder / output, children)
            tree = api.Tree(root=root, children=children).SerializeToString()
            result.output_directories.add(path=output, tree_digest=self._kept(tree))
        return api.ExecuteResponse(result=result)

    def _stage(self, folder: Path, directory: Any, context: Any) -> None:
        for file in directory.files:
            (folder / file.name).write_bytes(self.blobs[file.digest.hash])
            (folder / file.name).chmod(0o755 if file.is_executable else 0o644)
        for link in directory.symlinks:
            (folder / link.name).symlink_to(link.target)
        for child in directory.directories:
            (folder / child.name).mkdir()
            self._stage(folder / child.name, self._message(api.Directory, child.digest, context), context)

    def _capture(self, folder: Path, children: list[Any]) -> Any:
        found = api.Directory()
        for path in sorted(folder.iterdir()):
            if path.is_symlink():
                found.symlinks.add(name=path.name, target=os.readlink(path))
            elif path.is_dir():
                child = self._capture(path, children)
                children.append(child)
                found.directories.add(name=path.name, digest=self._kept(child.SerializeToString(deterministic=True)))
            else:
                runs = bool(path.stat().st_mode & 0o100)
                found.files.add(name=path.name, digest=self._kept(path.read_bytes()), is_executable=runs)
        return found

    def _kept(self, data: bytes) -> Any:
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return api.Digest(hash=digest, size_bytes=len(data))
