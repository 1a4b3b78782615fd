"""Is what a step made still what it made? One question for each kind of step, asked with what doit kept of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from lambdabuild.artifacts import trees
from lambdabuild.artifacts.trees import TreeRecord
from lambdabuild.engine.base.run import Run
from lambdabuild.files import fingerprint

Values = Mapping[str, Any]

KEY = re.compile(r"[0-9a-f]{64}")
"""How the keys begin that hold the digest of an object."""


def parts_of(kind: str) -> Callable[[Run, str, Values], bool]:
    """Return the question for steps whose result names files and folders."""

    def are_parts_there(run: Run, name: str, values: Values) -> bool:
        if values.get("away"):  # a cache has the bytes; the receipt says which, for whoever needs them
            return is_there(run, run.project.receipt(kind, name))
        return all(is_there(run, run.project.expand(path)) for path in values.get("parts", ()))

    return are_parts_there


def is_tree_intact(run: Run, name: str) -> bool:
    record = TreeRecord.read(run.project.record("tree", name))
    return record is not None and trees.is_intact(run.project.tree(name), record, run.stats.digest)


def is_published(run: Run, location: str) -> bool:
    """Return whether an object is as its key promises. Objects in S3 are asked for when a template is written."""
    if location.startswith("s3://"):
        return True
    path = run.project.expand(location)
    promise = KEY.match(os.path.basename(path))
    if promise is None:  # a published version, whose key holds no digest
        return bool(location) and is_there(run, path)
    return fingerprint.of_file(path, run.stats) == promise[0]


def is_there(run: Run, path: str) -> bool:
    run.stats.record(path)
    return os.path.exists(path)
