"""How far a run has come: which steps are running, and how many have ended. Any thread may change it."""

from __future__ import annotations

import threading
import time

from lambdabuild.core.records import Struct


class Running(Struct, frozen=True):
    """A step that is running, and since when (``time.monotonic``)."""

    task: str
    since: float


class Progress:
    """The counts of one run. A step that has ended never runs again, and the count of ended steps never falls."""

    def __init__(self, total: int = 0) -> None:
        self.total = total
        self._lock = threading.Lock()
        self._since: dict[str, float] = {}
        self._running: dict[str, float] = {}
        self._ended: set[str] = set()

    def start(self, task: str) -> None:
        """Note that a step begins."""
        with self._lock:
            if task not in self._ended:
                self._running[task] = self._since[task] = time.monotonic()

    def end(self, task: str) -> float:
        """Note that a step has ended or need not run; return how many seconds it took."""
        now = time.monotonic()
        with self._lock:
            self._running.pop(task, None)
            self._ended.add(task)
            return round(now - self._since.get(task, now), 3)

    def now(self) -> tuple[int, list[Running]]:
        """Return the number of steps that have ended, and those that are running, the oldest first."""
        with self._lock:
            running = [Running(task, since) for task, since in self._running.items()]
            return len(self._ended), sorted(running, key=lambda step: step.since)
