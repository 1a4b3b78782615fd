"""Forks of this process that serve requests, one at a time each, with all that this one knew when it forked.

In: a function of a module, and its arguments. Out: what it returns in the fork. A fork ends when this process does,
after the request that it is at.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from queue import Empty, SimpleQueue
from typing import Any

from lambdabuild.core.records import Struct, field
from lambdabuild.engine.base.run import Run

Request = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function, which is given the fork's run first, and its other arguments; all must be possible to pickle."""


class Fork(Struct, frozen=True):
    """The number of a process, and the way to it."""

    process: int
    connection: Connection
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while it is at a request."""

    def ask(self, request: Request) -> Any:
        """Return the answer, None when the fork is gone or the function raised."""
        with self.lock:
            self.send(request)
            return self.receive()

    def send(self, request: Request) -> None:
        """Send a request, to be answered to ``receive``; the lock must be held."""
        with suppress(OSError):  # it is gone, as ``receive`` will find
            self.connection.send(request)

    def receive(self) -> Any:
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None


class Forks:
    """Some forks, and for each a thread that hands it the requests that wait."""

    def __init__(self, run: Run, count: int) -> None:
        """Must be called while this process has no other threads."""
        gc.freeze()  # what both have is not copied only because it is looked at
        self._forks = [_fork(run) for _ in range(count)]
        gc.unfreeze()
        self._asked: list[Fork] = []
        """Those that were asked at once, and owe their answers."""
        self._waiting: SimpleQueue[tuple[Request, Future[tuple[int, Any]]]] = SimpleQueue()
        for number in range(count):
            threading.Thread(target=self._hand_over, args=(number,), name=f"fork {number}", daemon=True).start()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[tuple[int, Any]]:
        """Return what will be the number of the fork that took a request, and its answer."""
        future: Future[tuple[int, Any]] = Future()
        self._waiting.put(((function, arguments), future))
        return future

    def ask_each(self, requests: Sequence[Request]) -> Callable[[], list[Any]]:
        """Have each fork begin with a request of its own; no other begins any more. Return what waits for the answers.

        Needs no thread: Python starts none once it ends.
        """
        self._finish_requests()
        for fork, request in zip(self._forks, requests, strict=True):
            fork.lock.acquire()
            fork.send(request)
            self._asked.append(fork)
        return self._answers

    def close(self) -> None:
        """End the forks, each after the request that it is at."""
        self._finish_requests()
        for fork in self._forks:
            with fork.lock:
                fork.connection.close()
        for fork in self._forks:
            os.waitpid(fork.process, 0)

    def __len__(self) -> int:
        return len(self._forks)

    def _hand_over(self, number: int) -> None:
        while True:
            request, future = self._waiting.get()
            future.set_result((number, self._forks[number].ask(request)))

    def _answers(self) -> list[Any]:
        asked, self._asked = self._asked, []
        answers = [fork.receive() for fork in asked]
        for fork in asked:
            fork.lock.release()
        return answers

    def _finish_requests(self) -> None:
        """Withdraw the requests that wait, and take the answers that nobody took."""
        with suppress(Empty):
            while True:
                self._waiting.get_nowait()
        self._answers()


def _fork(run: Run) -> Fork:
    ours, theirs = Pipe()
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))  # until the fork handles them
    process = os.fork()
    if process:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)
        theirs.close()
        return Fork(process, ours)
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the other process decides what ends
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)
        ours.close()
        _serve(theirs, run)
    finally:
        os._exit(0)


def _serve(connection: Connection, run: Run) -> None:
    """Answer requests until nobody can ask any more."""
    while True:
        try:
            function, arguments = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer = function(run, *arguments)
        except Exception:
            answer = None  # it is run again where people are told what goes wrong
        connection.send(answer)
