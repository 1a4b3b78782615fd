"""Yarn 1 believes whatever is in its cache, so what changed there since Yarn wrote it is discarded before it runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from lambdabuild.core import store
from lambdabuild.rule_api import Job

PACKAGE = re.compile(r'^"?(?:[^\n]*@npm:)?(@?[^@"\n]+)@[^\n]*:\n  version "([^"]+)"', re.MULTILINE)
"""A package of a lock file: its name (behind an alias its own) and its version."""


def discard_damaged(job: Job, cache: str, lock: str) -> None:
    """Discard the packages of a lock file that are not as they were recorded; Yarn fetches them again."""
    for entry in _entries(cache, lock):
        record = _record(cache, entry)
        if record.is_file() and record.read_text(errors="replace") != _digest(entry):
            job.discard(str(entry))
            record.unlink(missing_ok=True)


def record(cache: str, lock: str) -> None:
    """Remember what Yarn has put there for a lock file."""
    for entry in _entries(cache, lock):
        record = _record(cache, entry)
        if not record.exists():
            record.parent.mkdir(exist_ok=True)
            record.write_text(_digest(entry))


def _entries(cache: str, lock: str) -> Iterator[Path]:
    """Yield the folders of a lock file's packages, ``npm-<name>-<version>-<sha1>-integrity``."""
    wanted = {f"npm-{name.replace('/', '-')}-{version}" for name, version in PACKAGE.findall(lock)}
    for entry in Path(cache).glob("v*/npm-*"):
        if re.sub(r"-[0-9a-f]{40}(-integrity)?$", "", entry.name) in wanted:
            yield entry


def _record(cache: str, entry: Path) -> Path:
    return Path(f"{cache}.sums", entry.name)


def _digest(entry: Path) -> str:
    try:
        return store.tree_digest(os.fspath(entry))
    except OSError:
        return ""  # another run discards it
