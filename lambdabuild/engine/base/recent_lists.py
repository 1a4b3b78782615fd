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
        self._own: dict[str, int] = {}

    def keep(self, name: str, written: tuple[int, ...], entries: Sequence[Entry]) -> None:
        """Keep a list; the oldest ones go when there are too many entries."""
        with self._lock:
            self._drop(name)
            self._lists[name] = (written, tuple(entries))
            self._own[name] = sum(isinstance(entry.location, FileOnDisk) for entry in entries)
            while len(self._lists) > 1 and self._are_many():
                self._drop(next(iter(self._lists)))

    def get(self, name: str) -> tuple[tuple[int, ...], tuple[Entry, ...]]:
        """Return the stat of a list's file and its entries; two empty tuples when it is not kept."""
        return self._lists.get(name, ((), ()))

    def _are_many(self) -> bool:
        own, every = sum(self._own.values()), sum(len(entries) for _, entries in self._lists.values())
        return own > OWN_AT_MOST or every > ALL_AT_MOST

    def _drop(self, name: str) -> None:
        self._lists.pop(name, None)
        self._own.pop(name, None)
