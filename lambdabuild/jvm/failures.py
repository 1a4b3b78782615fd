"""Explain why Maven or Gradle failed, from what it printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lambdabuild.core.spans import Span
from lambdabuild.rule_api import Job, KnownFailure, LambdaBuildError, ToolFailed, ToolMissing, explain_output

LINES = 25
PLACES = 5


def old_jdk(asker: str) -> KnownFailure:
    """Return the row for a JDK that cannot compile for the release that ``asker`` (the pom, the build) names."""
    return KnownFailure(
        r"(?:error: release version|invalid target release:?|invalid source release:?) (\d+)",
        ToolMissing,
        f"the JDK is too old for the release that {asker} asks for",
        "install JDK {0} or newer, or set JAVA_HOME to one",
    )


def explain(
    job: Job,
    failed: ToolFailed,
    known: Iterable[KnownFailure],
    output: str,
    lines: Sequence[str],
    where: Sequence[Span],
) -> LambdaBuildError:
    """Return the error that the output stands for, or the tool's failure with these lines of output alone."""
    tail = "\n".join(lines[:LINES])
    explained = explain_output(
        job, failed, known, output=output, where=where[:PLACES] or None, tail=tail or failed.tail
    )
    if explained is failed and lines:
        failed.tail = "\n".join([*failed.tail.splitlines()[:1], tail])
    return explained
