"""The bytes of small files that were just digested, so that whoever packs or copies them need not read them again."""

from __future__ import annotations

import threading
from collections import deque

SMALL_BYTES = 64 << 10
"""A larger file is read again: that costs little beside packing it."""
KEPT_BYTES = 8 << 20


class RecentContents:
    """Contents by their sha256 in hex: what is found is what was asked for, whatever became of the file since.

    The oldest go when there are more than ``KEPT_BYTES``. Safe to use from threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._contents: dict[str, bytes] = {}
        self._order: deque[str] = deque()
        self._bytes = 0

    def keep(self, sha256: str, content: bytes) -> None:
        """Keep a content of at most ``SMALL_BYTES``."""
        with self._lock:
            if sha256 in self._contents:
                return
            self._contents[sha256] = content
            self._order.append(sha256)
            self._bytes += len(content)
            while self._bytes > KEPT_BYTES:
                self._bytes -= len(self._contents.pop(self._order.popleft()))

    def get(self, sha256: str) -> bytes | None:
        """Return a content, None when it was not digested or has gone since."""
        return self._contents.get(sha256)


NOTHING = RecentContents()
"""For those who have digested nothing."""
