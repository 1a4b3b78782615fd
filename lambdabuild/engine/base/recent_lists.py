"""Settled lists that are held in memory for the steps that follow."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lambdabuild.artifacts.entries import FileOnDisk

if TYPE_CHECKING:
    from lambdabuild.artifacts.entries import Entry

OWN_AT_MOST = 4_000
"""So many entries of functions' own files: memory that only grows is slower than reading a list again."""
ALL_AT_MOST = 200_000
"""So many entries in all; what packages brought is one entry for all who have it."""


class RecentLists:
    """The lists that were settled last, each with the stat of the file that has it. The newest is always there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lists: dict[str, tuple[tuple[int, ...], tuple[Entry, ...]]] = {}
        self._counts: dict[str, tuple[int, int]] = {}
        self._own = self._all = 0

    def keep(self, name: str, written: tuple[int, ...], entries: Sequence[Entry]) -> None:
        """Keep a list; the oldest ones go when there are too many entries."""
        with self._lock:
            self._drop(name)
            self._lists[name] = (written, tuple(entries))
            own = sum(isinstance(entry.location, FileOnDisk) for entry in entries)
            self._counts[name] = own, len(entries)
            self._own, self._all = self._own + own, self._all + len(entries)
            while len(self._lists) > 1 and (self._own > OWN_AT_MOST or self._all > ALL_AT_MOST):
                self._drop(next(iter(self._lists)))

    def get(self, name: str) -> tuple[tuple[int, ...], tuple[Entry, ...]]:
        """Return the stat of a list's file and its entries; two empty tuples when it is not kept."""
        return self._lists.get(name, ((), ()))

    def _drop(self, name: str) -> None:
        if self._lists.pop(name, None) is not None:
            own, every = self._counts.pop(name)
            self._own, self._all = self._own - own, self._all - every
