"""What a run says to people while it goes on, and again in its summary; from whatever thread."""

from __future__ import annotations

import sys
from typing import Any


class Messages:
    """The warnings of this process, for the summary, and the lines that were said already."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self._said: set[str] = set()

    def warn(self, error: Any) -> None:
        """Say at once what went wrong and did no harm; the summary for machines has it too."""
        self.warnings.append(str(error))
        sys.stderr.write(f"warning: {error}\n")
        sys.stderr.flush()

    def say_once(self, text: str) -> None:
        """Say what people may want to know while they wait, once."""
        if text not in self._said:
            self._said.add(text)
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


MESSAGES = Messages()
warn, say_once = MESSAGES.warn, MESSAGES.say_once


def size_text(size: float) -> str:
    """Return bytes for people, in units of 1000."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
