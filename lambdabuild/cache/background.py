"""Work that a build does not wait for until it ends: a few threads, and an end in time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

THREADS = 4


class Background:
    """Jobs run on daemon threads, so that an end that cannot wait does not; without ``threads`` they run at once."""

    def __init__(self, threads: int = THREADS) -> None:
        self._waiting: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._threads = threads
        self._started = 0
        self._left = 0
        self._changed = threading.Condition()

    def do(self, job: Callable[[], object]) -> None:
        """Run a job some time; it must not raise."""
        if not self._threads:
            job()
            return
        with self._changed:
            self._left += 1
            starts = self._started < min(self._threads, self._left)
            self._started += starts
        self._waiting.put(job)
        if starts:
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            job = self._waiting.get()
            try:
                job()
            finally:
                with self._changed:
                    self._left -= 1
                    self._changed.notify_all()

    def finish(self, seconds: float) -> bool:
        """Wait until nothing is left, so many seconds at most; gives whether that is so."""
        until = time.monotonic() + seconds
        with self._changed:
            return self._changed.wait_for(lambda: self._left == 0, max(0, until - time.monotonic()))
