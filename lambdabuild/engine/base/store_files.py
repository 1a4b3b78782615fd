"""Checks files of the machine's store against what their paths promise, before their bytes go anywhere."""

from __future__ import annotations

import os
from collections.abc import Iterator

from lambdabuild import rule_api
from lambdabuild.core import messages, store
from lambdabuild.engine.base.run import Run


def discard(run: Run, path: str) -> None:
    """Remove what is broken in the store; whoever needs it has it fetched or made again. One warning for each.

    It is looked at once more, for another step may have seen the same, and put it right meanwhile.
    """
    with run.locks.of("the store's broken files"):
        if os.path.lexists(path) and not store.keeps(run.project.cache_dir, path):
            store.remove_broken(path)
            messages.warn(rule_api.broken(path))


def is_whole(run: Run, path: str) -> bool:
    """Return whether a file is there, and as the store promises it. What was looked at before costs a stat."""
    sha256 = store.promised(run.project.cache_dir, path)
    if not sha256:
        return os.path.exists(path)
    try:
        actual = run.stats.digest(path)
    except OSError:
        return False
    if actual != sha256:
        discard(run, path)
    return actual == sha256


def are_whole(run: Run, kind: str, name: str) -> bool:
    """Return whether all is whole that a step left in the store."""
    return all(is_whole(run, path) for path in _files(run, kind, name))


def _files(run: Run, kind: str, name: str) -> Iterator[str]:
    paths = (run.project.expand(path) for path in run.saved(f"{kind}:{name}").get("parts", ()))
    return (path for path in paths if path.startswith(run.project.cache_dir + os.sep))
