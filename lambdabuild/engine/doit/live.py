"""The live view of a terminal: a bar over all steps, and the steps that are running."""

from __future__ import annotations

import time
from typing import Any

SHOWN_AT_ONCE = 8


class Live:
    """Redrawn in place; finished steps scroll by above it."""

    def __init__(self, stream: Any, total: int, completed: int) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

        self.console = Console(file=stream, highlight=False, soft_wrap=True)
        self.progress = Progress(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=self.console)
        self.bar = self.progress.add_task("", total=total, completed=completed)
        self.running: dict[str, float] = {}
        self.live = RichLive(
            get_renderable=self._render, console=self.console, refresh_per_second=8, transient=True,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self.live.start()

    def _render(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        now = time.monotonic()
        running = sorted(self.running.copy().items(), key=lambda item: item[1])  # steps begin in other threads
        lines = [Text(f"  {name}  {now - since:.0f} s", style="dim") for name, since in running[:SHOWN_AT_ONCE]]
        more = len(running) - SHOWN_AT_ONCE
        return Group(*lines, *([Text(f"  and {more} more", style="dim")] if more > 0 else []), self.progress)

    def line(self, text: str) -> None:
        self.console.print(text, markup=False)

    def started(self, task: str) -> None:
        self.running[task] = time.monotonic()

    def finished(self, task: str) -> None:
        self.running.pop(task, None)
        self.progress.advance(self.bar)

    def close(self) -> None:
        self.live.stop()
