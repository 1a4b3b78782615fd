"""Group what a full run leaves unbuilt by its reason, and refuse to build it when it was asked for by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lambdabuild.core.errors import NotBuilt
from lambdabuild.core.model import Skipped
from lambdabuild.core.records import Struct
from lambdabuild.plan.types import BuildPlan

STEPS_OF_FILES = ("upload",)
"""The steps of a file that is uploaded as it is, although nothing is built from it."""


class LeftOut(Struct, frozen=True, order=True):
    """Names that are left out for the same reason."""

    reason: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"left out: {', '.join(self.names)} ({self.reason})"

    def as_dict(self) -> dict[str, Any]:
        return {"reason": self.reason, "names": list(self.names)}


def left_out(skipped: Iterable[Skipped]) -> tuple[LeftOut, ...]:
    """Return one entry per reason, sorted; the order of ``skipped`` does not matter."""
    names: dict[str, list[str]] = defaultdict(list)
    for item in skipped:
        names[item.reason].append(item.name)
    return tuple(sorted(LeftOut(reason, tuple(sorted(skipped_names))) for reason, skipped_names in names.items()))


def refuse(plan: BuildPlan, tasks: Sequence[str]) -> None:
    """Raise NotBuilt (LB305) for a task such as ``build:F``, or a name, if nothing is built for it."""
    skipped: Mapping[str, Skipped] = {item.name: item for item in plan.skipped}
    sent = {asset.name for asset in plan.assets}
    for task in tasks:
        kind, sign, name = task.partition(":")
        item = skipped.get(name if sign else task)
        if item is not None and not (kind in STEPS_OF_FILES and item.name in sent):
            raise NotBuilt(
                f"{item.kind} {item.name!r} is not built: {item.reason}",
                where=item.where,
                help=f"doit upload:{item.name} sends it as it is"
                if item.name in sent
                else "give it a code folder, or build the others",
            )
