"""The live view of a terminal: a bar over all steps, and the steps that are running."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TextIO

from lambdabuild.engine.doit.progress import Progress

if TYPE_CHECKING:
    from rich.console import Group

SHOWN_AT_ONCE = 8
REDRAW_SECONDS = 1 / 8


class Live:
    """Redrawn in place from the progress of the run; what is printed scrolls by above it.

    rich draws the view again below each text that is printed. It asks ``__rich__`` then, so that what the text says has
    ended is not shown as running below it. It also remembers how many lines it drew and does not lock that against its
    own thread of redrawing (rich 15): hence our thread, and one lock around everything that draws.
    """

    def __init__(self, stream: TextIO, progress: Progress) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive
        from rich.progress import BarColumn, MofNCompleteColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self.progress = progress
        self.console = Console(file=stream, highlight=False, soft_wrap=True)
        self.bar = Bar(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=self.console)
        self.bar_task = self.bar.add_task("", total=progress.total)
        self.live = RichLive(
            self,
            console=self.console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.live.start(refresh=True)
        self._thread = threading.Thread(target=self._redraw, name="live view", daemon=True)
        self._thread.start()

    def __rich__(self) -> Group:
        """Draw one moment of the progress: the count and the running steps belong together."""
        from rich.console import Group
        from rich.text import Text

        ended, running = self.progress.now()
        now = time.monotonic()
        lines = [Text(f"  {step.task}  {now - step.since:.0f} s", style="dim") for step in running[:SHOWN_AT_ONCE]]
        more = len(running) - SHOWN_AT_ONCE
        if more > 0:
            lines.append(Text(f"  and {more} more", style="dim"))
        self.bar.update(self.bar_task, completed=ended)
        return Group(*lines, self.bar)

    def _redraw(self) -> None:
        while not self._closed.wait(REDRAW_SECONDS):
            with self._lock:
                self.live.refresh()

    def line(self, text: str) -> None:
        """Print a text above the bar; it may be colored."""
        from rich.text import Text

        with self._lock:
            self.console.print(Text.from_ansi(text) if "\x1b" in text else text, markup=False)

    def close(self) -> None:
        """Remove the bar and give the cursor back."""
        self._closed.set()
        self._thread.join()
        with self._lock:
            self.live.stop()
