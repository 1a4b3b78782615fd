"""A measured value beside its goal, and what a row is given to measure with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Contestant

AWS = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
QUIET = {**AWS, "SAM_CLI_TELEMETRY": "0", "SLS_TELEMETRY_DISABLED": "1", "SLS_NOTIFICATIONS_MODE": "off"}


@dataclass(frozen=True)
class Figure:
    """One measured value beside its goal. ``more`` means that more is better."""

    what: str
    value: float
    goal: float
    unit: str = "x"
    more: bool = False
    detail: str = ""

    @property
    def is_met(self) -> bool:
        return self.value >= self.goal if self.more else self.value <= self.goal


@dataclass(frozen=True)
class Bench:
    """Where things are made, what is measured, how often, and at which share of the full size."""

    top: Path
    rounds: int
    programs: Path
    scale: float = 1.0

    def sized(self, count: int) -> int:
        """Return how many of ``count`` to make; at least two, so that there is something to share."""
        return max(2, round(count * self.scale))

    @property
    def few(self) -> int:
        """Return the number of rounds for what takes long."""
        return max(1, self.rounds // 2)

    def folder(self, name: str) -> Path:
        path = self.top / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def ours(self, *command: str, folder: Path, **env: str) -> Contestant:
        return Contestant([str(self.programs / command[0]), *command[1:]], folder, self.env(env))

    def env(self, more: dict[str, str]) -> dict[str, str]:
        return {
            **QUIET,
            "LAMBDABUILD_CACHE__ENABLED": "false",
            "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
            **more,
        }

    def python(self, code: str, folder: Path) -> Contestant:
        return self.ours("python", "-c", code, folder=folder)


@dataclass(frozen=True)
class Row:
    """A subject of the table. What is big and made of small files is measured in a memory file system that has room."""

    name: str
    measure: Callable[[Bench], Iterator[Figure]]
    memory_megabytes: int = 0
