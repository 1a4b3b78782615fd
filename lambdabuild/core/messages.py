"""Messages of a run to people, from any thread; warnings are kept for its summary.

Imported at every start of doit: what prints an error is loaded with the first one.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as typing has it, without what typing imports at every start
if TYPE_CHECKING:
    from collections.abc import Callable

    from lambdabuild.core.diagnostics import Level
    from lambdabuild.core.errors import LambdaBuildError


class Messages:
    """The warnings of this process, and the lines that were already printed.

    ``folder`` is the project's, below which source lines are read. ``write`` prints a text with its line end; a live
    view puts its own in its place, so that no text lands in the middle of what it draws.
    """

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.folder = ""
        self.write: Callable[[str], None] = self.to_stderr
        self._said: set[str] = set()

    def text_of(self, error: LambdaBuildError, level: Level = "error") -> str:
        """Return an error as standard error shows it: with source lines, and with color on a terminal."""
        from lambdabuild.core.diagnostics import render, source_reader, wants_color

        return render(error, source_reader(self.folder), level=level, is_colored=wants_color(sys.stderr, os.environ))

    def report(self, error: LambdaBuildError) -> None:
        """Print an error."""
        self.write(self.text_of(error) + "\n")

    def warn(self, warning: LambdaBuildError | str) -> None:
        """Print what went wrong and did no harm, at once; the summary for machines repeats it."""
        self.warnings.append(str(warning))
        text = f"warning: {warning}" if isinstance(warning, str) else self.text_of(warning, "warning")
        self.write(text + "\n")

    def say_once(self, text: str) -> None:
        """Print what people may want to know while they wait, unless it was already printed."""
        if text not in self._said:
            self._said.add(text)
            self.write(text + "\n")

    @staticmethod
    def to_stderr(text: str) -> None:
        """Print a text to standard error, as ``write`` does unless there is a live view."""
        sys.stderr.write(text)
        sys.stderr.flush()


MESSAGES = Messages()
warn, say_once, report = MESSAGES.warn, MESSAGES.say_once, MESSAGES.report


def size_text(size: float) -> str:
    """Return bytes for people, in units of 1000."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
