"""What a package manager's failure means for the user, by the words it says."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lambdabuild.core.records import Struct
from lambdabuild.rule_api import Job, LambdaBuildError, ToolFailed

LINES = 25
EMPTY = ("", "npm error", "npm ERR!")


class Reason(Struct, frozen=True):
    """A tool that says ``words`` (a regular expression) fails for a reason that has a kind of error of its own."""

    words: str
    kind: type[LambdaBuildError]
    message: str
    help: str


def explained(job: Job, error: ToolFailed, reasons: Iterable[Reason], until: str = "") -> LambdaBuildError:
    """The first reason that the tool's words name, as an error with these words; the tool's failure as it is else.

    ``until`` begins what the tool always says, such as how it is used.
    """
    for reason in reasons:
        if re.search(reason.words, error.output):
            return reason.kind(
                f"{job.who}: {reason.message}",
                where=job.place(job.target.manifest),
                help=reason.help,
                tail="\n".join(_lines(error.output, until)[-LINES:]),
            )
    return error


def _lines(output: str, until: str) -> list[str]:
    lines = [line for line in output.splitlines() if line.strip() not in EMPTY]
    stop = next((number for number, line in enumerate(lines) if until and until in line), len(lines))
    return lines[:stop]
