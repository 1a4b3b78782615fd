"""What goes wrong with the caches of a run: the first of each cache is reported, all broken entries are known."""

from __future__ import annotations

import threading

from lambdabuild.cache.guarded import Warn
from lambdabuild.core.errors import BrokenEntry, LambdaBuildError


class Trouble:
    """One run's; may be used by several threads."""

    def __init__(self, warn: Warn) -> None:
        self.warn = warn
        self._reported: set[str] = set()
        self._broken: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def report(self, cache: str, error: LambdaBuildError) -> None:
        """Warn, unless the cache was warned about before."""
        with self._lock:
            is_first = cache not in self._reported
            self._reported.add(cache)
        if is_first:
            self.warn(error)

    def report_broken(self, cache: str, entry: str) -> None:
        """Remember a broken record or blob, so that it is written again, and report it."""
        self._broken.add((cache, entry))
        self.report(
            cache,
            BrokenEntry(
                f"an entry of the cache {cache} is broken: {entry}",
                help="nothing to do: the step is run, and the entry is written anew",
            ),
        )

    def is_broken(self, entry: str) -> bool:
        """Return whether any cache had a broken record or blob of this name."""
        return any(broken == entry for _, broken in self._broken)

    def has_broken(self, cache: str) -> bool:
        """Return whether a cache had anything broken."""
        return any(name == cache for name, _ in self._broken)
