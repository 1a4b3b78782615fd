"""Runs a step's tools in a container."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO

from lambdabuild.core import tools
from lambdabuild.core.errors import LambdaBuildError, ToolTimeout
from lambdabuild.docker import engine_api
from lambdabuild.docker.engine_api import Container
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.containers import files, pool
from lambdabuild.plan.types import ContainerKey
from lambdabuild.rule_api import Job

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
NOT_INSIDE = frozenset({"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_CACHE_HOME", "SYSTEMROOT"})
"""Variables of the base environment that are about this machine."""
KILLED = 137
"""The exit code of a program that was killed (128 + SIGKILL)."""


class InContainer:
    """Tools of a container, for one step. Started by the first tool that is to run."""

    def __init__(self, run: Run, key: ContainerKey, name: str) -> None:
        self.pool, self.key = pool.pool(run), key
        self.wanted = run.project.settings.container_of(name)
        self.job: Job | None = None
        """The step, once it is known."""
        self.is_used = False

    @property
    def machine(self) -> tuple[str, str]:
        processor = self.key.platform.split("/")[1]
        return "Linux", MACHINES.get(processor, processor)

    @property
    def identity(self) -> str:
        self.is_used = True
        return f"{self.pool.image(self.key)} {self.key.platform} {self.key.rest}"

    def find(self, name: str) -> str | None:
        programs = self._running().programs
        if name not in programs:
            ended = self._execute(["sh", "-c", 'command -v "$0"', name], "/", {}, 60)
            programs[name] = ended.stdout.strip() or None if ended.status == 0 else None
        return programs[name]

    def run(
        self, argv: Sequence[str], *, cwd: str, names: Sequence[str], extra: Mapping[str, str],
        timeout_seconds: float | None, who: str, help: str, stdin: str | None,
    ) -> tools.Output:  # fmt: skip
        job, running = self._job(), self._running()
        command = list(argv)
        if stdin is not None:
            with tempfile.NamedTemporaryFile("w", dir=job.scratch, encoding="utf-8", delete=False) as stream:
                stream.write(stdin)
            command = ["sh", "-c", 'exec "$@" < "$0"', stream.name, *command]
        if not running.shares:
            _send(running.container, job)
        ended = self._execute(command, cwd, self._environment(names, extra), timeout_seconds)
        if not running.shares:
            _fetch(running.container, job)
        if not ended.in_time:
            raise ToolTimeout(
                f"{who}: {os.path.basename(argv[0])} took longer than {timeout_seconds:g} s and was stopped",
                tail=f"command: {' '.join(argv)}\nfolder: {cwd}\ncontainer: {self._shown}",
                help="raise tool_timeout_seconds, or look at what the tool waits for",
            )
        if ended.status:
            raise self._failure(argv, cwd, ended, who, help)
        return tools.Output(ended.stdout, ended.stderr)

    def _failure(self, argv: Sequence[str], cwd: str, ended: engine_api.Ended, who: str, help: str) -> LambdaBuildError:
        if engine_api.NO_SPACE in (ended.stdout + ended.stderr).lower():
            help = "make room in the container and on the engine's disk: docker system prune"
        elif ended.status == KILLED:
            help = "it was killed, as for want of memory: give the engine more"
        error = tools.failure(argv, cwd, ended.status, ended.stdout, ended.stderr, who=who, help=help)
        error.tail = f"container: {self._shown}\n{error.tail}"
        return error

    @property
    def _shown(self) -> str:
        return self.key.dockerfile or self.key.image

    def _running(self) -> pool.Running:
        self.is_used = True
        return self.pool.container(self.key)

    def _execute(
        self, argv: Sequence[str], cwd: str, env: Mapping[str, str], timeout_seconds: float | None
    ) -> engine_api.Ended:
        return engine_api.execute(self._running().container, argv, cwd=cwd, env=env, timeout_seconds=timeout_seconds)

    def _job(self) -> Job:
        assert self.job is not None
        return self.job

    def _environment(self, names: Sequence[str], extra: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that rules and settings pass on, without paths that the container does not have."""
        asked = (*(name for name in tools.BASE_ENVIRONMENT if name not in NOT_INSIDE), *names)
        here = self.pool.run.opened_with.environment
        own = {name: here[name] for name in asked if name in here and self._has(here[name])}
        passed = {name: here[name] for name in self.wanted.pass_environment if name in here}
        fixed = {"HOME": files.HOME, "USER": "lambdabuild", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}
        return own | fixed | dict(self.wanted.environment) | passed | dict(extra)

    def _has(self, value: str) -> bool:
        if not os.path.isabs(value):
            return True
        run = self.pool.run
        inside = [
            *files.source_files(run),
            run.project.state_dir,
            run.project.cache_dir,
            *(target for _, target, _ in files.brought_along(self.wanted, run.opened_with.environment)),
        ]
        return any(value == folder or value.startswith(folder.rstrip("/") + os.sep) for folder in inside)


def _send(container: Container, job: Job) -> None:
    """Yield the folders of a step, and what the steps before it left."""
    with tempfile.TemporaryFile() as stream:
        with tarfile.open(fileobj=stream, mode="w") as archive:
            earlier = [part for result in job.earlier.values() for part in result.parts]
            for path in (job.scratch, job.out, job.cache, *(part.path for part in earlier)):
                if path and os.path.exists(path):
                    archive.add(path, path.lstrip("/"), filter=files.as_mine)
        stream.seek(0)
        engine_api.put(container, stream)


def _fetch(container: Container, job: Job) -> None:
    """Replace the content of a step's folders with what a tool left there."""
    for path in filter(None, (job.scratch, job.out, job.cache)):
        with tempfile.TemporaryFile() as stream:
            if not engine_api.get(container, path, stream.write):
                continue
            stream.seek(0)
            _replace(path, stream)


def _replace(path: str, stream: IO[bytes]) -> None:
    parent = os.path.dirname(path)
    with tempfile.TemporaryDirectory(dir=parent, prefix=".fetched-", ignore_cleanup_errors=True) as beside:
        with tarfile.open(fileobj=stream) as archive:
            archive.extractall(beside, filter="tar")
        if os.path.isdir(path):
            os.rename(path, os.path.join(beside, ".old"))
        os.rename(os.path.join(beside, os.path.basename(path)), path)
