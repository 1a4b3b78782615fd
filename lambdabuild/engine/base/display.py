"""Settings of a run's summary, made while doit loads its tasks and read when the run ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lambdabuild.core.plain import JsonObject
    from lambdabuild.engine.base.run import Run


class Display:
    """The part of the summary that does not come from the steps.

    ``mode`` is "text", "quiet" (errors only) or "json" (one object a line). Each run of everything prints ``notes``;
    those that have something to do print ``news`` too. ``left_out`` is what they do not build, as ``{reason, names}``.
    ``next_command`` deploys the template that a run writes. ``settled`` is what was asked for and is known to be up to
    date, as ``Reporter.owners``; its ``settled_steps`` are no tasks of this run.
    """

    def __init__(self) -> None:
        self.mode = "text"
        self.notes: tuple[str, ...] = ()
        self.news: tuple[str, ...] = ()
        self.left_out: tuple[JsonObject, ...] = ()
        self.next_command = ""
        self.settled: dict[str, str] = {}
        self.settled_steps = 0
        self.run: Run | None = None
        """The run that the reporter belongs to: it takes the run's lock, and ends its caches."""

    def configure(
        self, mode: str, notes: Iterable[str] = (), left_out: Iterable[JsonObject] = (), news: Iterable[str] = ()
    ) -> None:
        self.mode, self.notes, self.left_out, self.news = mode, tuple(notes), tuple(left_out), tuple(news)

    def settle(self, owners: Mapping[str, str], steps: int) -> None:
        self.settled, self.settled_steps = dict(owners), steps


DISPLAY = Display()
"""doit makes the reporter itself, and gives it nothing of ours."""
