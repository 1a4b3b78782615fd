"""Explain why a package manager failed, from what it printed."""

from __future__ import annotations

from collections.abc import Iterable

from lambdabuild.rule_api import Job, KnownFailure, LambdaBuildError, ToolFailed, explain_output

LINES = 25
EMPTY = ("", "npm error", "npm ERR!")


def explain(job: Job, failed: ToolFailed, known: Iterable[KnownFailure], until: str = "") -> LambdaBuildError:
    """Return the error that the package manager's output stands for, or its failure as it is.

    ``until`` is the start of what the tool prints after every error, such as its usage; the tail ends before it.
    """
    return explain_output(job, failed, known, tail="\n".join(_lines(failed.output, until)[-LINES:]))


def _lines(output: str, until: str) -> list[str]:
    lines = [line for line in output.splitlines() if line.strip() not in EMPTY]
    stop = next((number for number, line in enumerate(lines) if until and until in line), len(lines))
    return lines[:stop]
