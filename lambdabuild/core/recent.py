"""What was made or read a moment ago, and is about to be asked for again, in as much memory as that is worth."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")

SMALL_BYTES = 64 << 10
"""A larger file is read again: that costs little beside packing it."""
CONTENTS_BYTES = 8 << 20


class Recent(Generic[T]):
    """Values by name, of which the oldest go when all together cost more than the budget; the newest is always there.

    Safe to use from threads.
    """

    def __init__(self, budget: float) -> None:
        self._budget, self._spent = budget, 0.0
        self._lock = threading.Lock()
        # Not a dict: its first key is found by stepping over all that were removed before.
        self._values: OrderedDict[str, T] = OrderedDict()
        self._costs: dict[str, float] = {}

    def keep(self, name: str, value: T, cost: float) -> None:
        """Keep a value, instead of an earlier one of this name."""
        with self._lock:
            self._drop(name)
            self._values[name], self._costs[name] = value, cost
            self._spent += cost
            while self._spent > self._budget and len(self._values) > 1:
                self._drop(next(iter(self._values)))

    def get(self, name: str) -> T | None:
        """Return a value, None when it was not kept or has gone since."""
        return self._values.get(name)

    def _drop(self, name: str) -> None:
        if self._values.pop(name, None) is not None:
            self._spent -= self._costs.pop(name)


RecentContents: TypeAlias = Recent[bytes]
"""The bytes of small files by their sha256: what is found is what was asked for, whatever became of the file since."""

NOTHING: RecentContents = Recent(0)
"""For those who have digested nothing."""
