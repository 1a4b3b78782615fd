"""Is what a step made still what it made? One question for each kind of step, asked with what doit kept of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from lambdabuild.artifacts import trees
from lambdabuild.artifacts.trees import TreeRecord
from lambdabuild.core import regular
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.files import fingerprint

Values = Mapping[str, Any]

KEY = re.compile(r"[0-9a-f]{64}")
"""How the keys begin that hold the digest of an object."""


def zip_(run: Run, name: str, values: Values) -> bool:
    try:
        return bool(run.stats.digest(run.project.zip(name)) == values["output"])
    except OSError:
        return False


def tree(run: Run, name: str, values: Values) -> bool:
    return _is_tree_intact(run, name)


def parts_of(kind: str) -> Callable[[Run, str, Values], bool]:
    """Return the question for steps whose result names files and folders."""

    def are_parts_there(run: Run, name: str, values: Values) -> bool:
        if values.get("away"):  # a cache has the bytes; the receipt says which, for whoever needs them
            return _is_there(run, run.project.receipt(kind, name))
        return all(_is_there(run, run.project.expand(path)) for path in values.get("parts", ()))

    return are_parts_there


def uploaded(run: Run, name: str, values: Values) -> bool:
    return name in run.index.images or _is_published(run, values.get("location", ""))


def published_versions(run: Run, name: str, values: Values) -> bool:
    run.stats.saw(published_file(run.project))
    return [version["arn"] for version in published(run.project).get(name, ())] == values.get("versions")


def automatic_layers(run: Run, name: str, values: Values) -> bool:
    if name == "upload":
        return all(_is_published(run, place) for place in values["locations"])
    if name == "tree":
        return all(_is_tree_intact(run, layer) for layer in values["layers"])
    try:
        layers = values.get("layers", {}).items()
        return all(run.stats.digest(run.project.zip(layer)) == one["sha256"] for layer, one in layers)
    except OSError:
        return False


def written(run: Run, name: str, values: Values) -> bool:
    files = values.get("written", {})
    return all(fingerprint.of_file(run.project.expand(path), run.stats) == files[path] for path in files)


def published(project: Project) -> dict[str, Any]:
    """Return what layers.json says: for each layer its versions; nothing when it is missing or broken."""
    try:
        with open(published_file(project), encoding="utf-8", opener=regular.opener) as stream:
            return dict(regular.json(stream.read()))
    except (OSError, ValueError, TypeError):
        return {}


def published_file(project: Project) -> str:
    return os.path.join(project.build_dir, "layers.json")


def _is_tree_intact(run: Run, name: str) -> bool:
    record = TreeRecord.read(run.project.record("tree", name))
    return record is not None and trees.is_intact(run.project.tree(name), record, run.stats.digest)


def _is_published(run: Run, location: str) -> bool:
    """Return whether an object is as its key promises. Objects in S3 are asked for when a template is written."""
    if location.startswith("s3://"):
        return True
    path = run.project.expand(location)
    promise = KEY.match(os.path.basename(path))
    if promise is None:  # a published version, whose key holds no digest
        return bool(location) and _is_there(run, path)
    return fingerprint.of_file(path, run.stats) == promise[0]


def _is_there(run: Run, path: str) -> bool:
    run.stats.saw(path)
    return os.path.exists(path)
