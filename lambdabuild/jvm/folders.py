"""Where Maven and Gradle look for what a project belongs to."""

from __future__ import annotations

import os
from collections.abc import Iterator

from lambdabuild.rule_api import Job


def above(job: Job, folder: str) -> list[str]:
    """A folder and those above it, as far as its git checkout goes; without one, as far as the project."""
    found: list[str] = []
    for one in _ancestors(folder):
        found.append(one)
        if os.path.exists(os.path.join(one, ".git")):
            return found
    top = os.path.commonpath([folder, job.target.project])
    return [one for one in found if one == top or one.startswith(top.rstrip(os.sep) + os.sep)]


def _ancestors(folder: str) -> Iterator[str]:
    yield folder
    while (parent := os.path.dirname(folder)) != folder:
        yield (folder := parent)
