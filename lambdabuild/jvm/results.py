"""Turn what Maven or Gradle made into the parts and notes of a result."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from lambdabuild.rule_api import Folder, Job


def parts(job: Job) -> tuple[Folder, ...]:
    """Return the folders in ``job.out``: classes go to the top of the artifact, jars to ``lib``."""
    return tuple(
        Folder(os.path.join(job.out, name), into="" if name == "classes" else name)
        for name in sorted(os.listdir(job.out))
    )


def that_may_change(packages: Iterable[Mapping[str, str]], unlike: str) -> Iterator[str]:
    """Yield a note for each snapshot: its bytes may change while what asks for it (``unlike``) stays the same."""
    for package in packages:
        if package["version"].endswith("-SNAPSHOT"):
            yield f"{package['name']} {package['version']} may change while {unlike} not"
