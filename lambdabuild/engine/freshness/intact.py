"""Is what a step made still what it made? One question for each kind of step, asked with what doit kept of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from lambdabuild.artifacts import trees
from lambdabuild.artifacts.trees import TreeRecord
from lambdabuild.core import regular
from lambdabuild.engine.base.site import Site
from lambdabuild.files import fingerprint

Values = Mapping[str, Any]

KEY = re.compile(r"[0-9a-f]{64}")
"""How the keys begin that hold the digest of an object."""


def zip_(site: Site, name: str, values: Values) -> bool:
    try:
        return bool(site.stats.digest(site.zip(name)) == values["output"])
    except OSError:
        return False


def tree(site: Site, name: str, values: Values) -> bool:
    return _is_tree_intact(site, name)


def parts_of(kind: str) -> Callable[[Site, str, Values], bool]:
    """Return the question for steps whose result names files and folders."""

    def are_parts_there(site: Site, name: str, values: Values) -> bool:
        if values.get("away"):  # a cache has the bytes; the receipt says which, for whoever needs them
            return _is_there(site, site.receipt(kind, name))
        return all(_is_there(site, site.expand(path)) for path in values.get("parts", ()))

    return are_parts_there


def uploaded(site: Site, name: str, values: Values) -> bool:
    return name in site.images or _is_published(site, values.get("location", ""))


def published_versions(site: Site, name: str, values: Values) -> bool:
    site.stats.saw(published_file(site))
    return [version["arn"] for version in published(site).get(name, ())] == values.get("versions")


def automatic_layers(site: Site, name: str, values: Values) -> bool:
    if name == "upload":
        return all(_is_published(site, place) for place in values["locations"])
    if name == "tree":
        return all(_is_tree_intact(site, layer) for layer in values["layers"])
    try:
        layers = values.get("layers", {}).items()
        return all(site.stats.digest(site.zip(layer)) == one["sha256"] for layer, one in layers)
    except OSError:
        return False


def written(site: Site, name: str, values: Values) -> bool:
    files = values.get("written", {})
    return all(fingerprint.of_file(site.expand(path), site.stats) == files[path] for path in files)


def published(site: Site) -> dict[str, Any]:
    """Return what layers.json says: for each layer its versions; nothing when it is missing or broken."""
    try:
        with open(published_file(site), encoding="utf-8", opener=regular.opener) as stream:
            return dict(regular.json(stream.read()))
    except (OSError, ValueError, TypeError):
        return {}


def published_file(site: Site) -> str:
    return os.path.join(site.build_dir, "layers.json")


def _is_tree_intact(site: Site, name: str) -> bool:
    record = TreeRecord.read(site.record("tree", name))
    return record is not None and trees.is_intact(site.tree(name), record, site.stats.digest)


def _is_published(site: Site, location: str) -> bool:
    """Return whether an object is as its key promises. Objects in S3 are asked for when a template is written."""
    if location.startswith("s3://"):
        return True
    path = site.expand(location)
    promise = KEY.match(os.path.basename(path))
    if promise is None:  # a published version, whose key holds no digest
        return bool(location) and _is_there(site, path)
    return fingerprint.of_file(path, site.stats) == promise[0]


def _is_there(site: Site, path: str) -> bool:
    site.stats.saw(path)
    return os.path.exists(path)
