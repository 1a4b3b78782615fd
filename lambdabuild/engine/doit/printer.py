"""Prints for the reporter: plain lines, JSON lines, or a live view that lines scroll above.

Imported at every start of doit: keep it small. The live view is loaded when the first step runs on a terminal.
"""

from __future__ import annotations

import json
import os
import threading
from typing import Protocol, TextIO

from lambdabuild.core.messages import MESSAGES
from lambdabuild.core.plain import JsonObject
from lambdabuild.engine.doit.progress import Progress


class View(Protocol):
    """Takes the text: a terminal that is redrawn, or plain lines."""

    def line(self, text: str) -> None:
        """Print a text that may have several lines."""

    def close(self) -> None:
        """End the view; what was printed stays."""


class Lines:
    """Plain lines, for pipes and CI."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def line(self, text: str) -> None:
        self.stream.write(text + "\n")
        self.stream.flush()

    def close(self) -> None: ...


class Printer:
    """Prints a run's lines; steps may begin and end in several threads at once, and there is one terminal."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self.out, self.err = out, err
        self.progress = Progress()
        self._view: View | None = None
        self._lock = threading.RLock()

    @property
    def is_terminal(self) -> bool:
        """Return whether the output is a terminal that can be redrawn."""
        return bool(self.out.isatty()) and os.environ.get("TERM") not in ("dumb", None) and not os.environ.get("CI")

    def view(self) -> View:
        """Return the run's only view, opened when it is first needed."""
        with self._lock:
            if self._view is None and self.is_terminal:
                from lambdabuild.engine.doit.live import Live

                self._view = Live(self.out, self.progress)
                MESSAGES.write = self.error
            elif self._view is None:
                self._view = Lines(self.out)
            return self._view

    def error(self, text: str) -> None:
        """Print an error to standard error, or above the live view if both share the terminal."""
        if self._view is not None and self.is_terminal and self.err.isatty():
            self._view.line(text.rstrip("\n"))
        else:
            self.err.write(text.rstrip("\n") + "\n")
            self.err.flush()

    def event(self, data: JsonObject) -> None:
        """Print a JSON object as one line."""
        with self._lock:
            self.out.write(json.dumps(data) + "\n")
            self.out.flush()

    def close(self) -> None:
        """End the view."""
        if self._view is not None:
            MESSAGES.write = MESSAGES.to_stderr
            self._view.close()
            self._view = None

    def last_lines(self, text: str) -> None:
        """Print what stands below the closed view."""
        Lines(self.out).line(text)
