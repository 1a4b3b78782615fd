"""A remote cache that may fail without doing harm: told once, asked no more, and the build goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

from lambdabuild.cache.cache import Cache, Digest, Sink
from lambdabuild.core.errors import CacheFailed, LambdaBuildError

T = TypeVar("T")
Warn = Callable[[LambdaBuildError], None]


class Guarded:
    """A circuit breaker: after the first failure, which the cache's own client has tried to get over, all is a miss."""

    def __init__(self, cache: Cache, warn: Warn) -> None:
        self._cache = cache
        self._warn = warn
        self._lock = threading.Lock()
        self.is_open = True

    @property
    def name(self) -> str:
        return self._cache.name

    def record(self, key: str) -> bytes | None:
        return self._asked(lambda: self._cache.record(key), None)

    def put_record(self, key: str, record: bytes) -> None:
        self._asked(lambda: self._cache.put_record(key, record), None)

    def fetch(self, digest: Digest, sink: Sink) -> bool:
        return self._asked(lambda: self._cache.fetch(digest, sink), False)

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        return self._asked(lambda: self._cache.missing(digests), set())

    def put(self, digest: Digest, path: str) -> None:
        self._asked(lambda: self._cache.put(digest, path), None)

    def _asked(self, ask: Callable[[], T], otherwise: T) -> T:
        if not self.is_open:
            return otherwise
        try:
            return ask()
        except CacheFailed as error:
            with self._lock:
                is_first, self.is_open = self.is_open, False
            if is_first:
                self._warn(error)
            return otherwise
