"""Is a step up to date? When its components are as they were, and what it made is still there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from inspect import Parameter, Signature
from typing import Any

from lambdabuild.artifacts import trees
from lambdabuild.artifacts.trees import TreeRecord
from lambdabuild.core import regular
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.engine.base.site import Site
from lambdabuild.engine.freshness import inputs
from lambdabuild.engine.freshness.inputs import TEMPLATE, Saved
from lambdabuild.files import fingerprint

KEY = re.compile(r"[0-9a-f]{64}")
"""How the keys begin that hold the digest of an object."""


def _must_ask_engine(values: Mapping[str, Any]) -> bool:
    """Whether no file tells that an image is another, so that no snapshot can answer for the step."""
    if not values.get("images"):
        return False
    from lambdabuild.engine.containers import pool

    return pool.must_ask(values["images"])


class Freshness:
    """doit's ``uptodate`` question for one step."""

    __signature__ = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("task", "values")])
    """doit looks at each question's, and it takes longer to find than most questions do to be answered."""

    def __init__(self, site: Site, kind: str, name: str, saved: Saved) -> None:
        self.site, self.kind, self.name, self.saved = site, kind, name, saved

    def __call__(self, task: Any, values: Mapping[str, Any]) -> bool:
        """The signature is doit's: it hands over the task and what it saved of its last run."""
        if not values.get("inputs"):
            return False
        try:
            with self.site.stats.watched() as seen:
                fresh = self._is_fresh(values)
        except (LambdaBuildError, OSError):
            return False  # the step itself will meet the mistake, and tell it as its own
        if fresh and not _must_ask_engine(values):
            self.site.shared.seen[self.kind, self.name] = seen
        return fresh

    def _is_fresh(self, values: Mapping[str, Any]) -> bool:
        if asks_always(self.site, self.kind, self.name):
            return False
        now = inputs.components(self.site, self.kind, self.name, self.saved) | inputs.known_reads(self.site, values)
        return values["inputs"] == fingerprint.of(now) and is_intact(self.site, self.kind, self.name, values)

    def __repr__(self) -> str:
        return f"the inputs of {self.kind}:{self.name} are as they were (see doit why:{self.name})"


def asks_always(site: Site, kind: str, name: str) -> str:
    """Why a step must ask others at every run, though nothing here changed; "" for those that need not."""
    image = site.images.get(name)
    if image is None or site.settings.offline:
        return ""
    if kind == "upload" and image.key.kind == "tagged":
        return f"what {image.key.place} stands for is asked at every run"
    is_built = kind == "image" and image.key.kind == "recipe"
    return (
        "base images are asked for at every run"
        if is_built and site.settings.container_of(name).pull == "always"
        else ""
    )


def is_intact(site: Site, kind: str, name: str, values: Mapping[str, Any]) -> bool:
    """Whether what the step made is still what it made, not deleted or edited by hand."""
    if kind == "zip":
        try:
            return bool(site.stats.digest(site.zip(name)) == values["output"])
        except OSError:
            return False
    if kind == "tree":
        return _is_tree_intact(site, name)
    if kind in ("resolve", "package", "compile", "copy"):
        if values.get("away"):  # a cache has the bytes; the receipt says which, for whoever needs them
            return _is_there(site, site.receipt(kind, name))
        return all(_is_there(site, site.expand(path)) for path in values.get("parts", ()))
    if kind == "upload" and name not in site.images:
        return _is_published(site, values.get("location", ""))
    if kind == "publish":
        site.stats.saw(published_file(site))
        return [version["arn"] for version in published(site).get(name, ())] == values.get("versions")
    if kind == "share":
        return _are_layers_intact(site, name, values)
    if kind == TEMPLATE:
        written = values.get("written", {})
        return all(fingerprint.of_file(site.expand(path), site.stats) == written[path] for path in written)
    return True


def published(site: Site) -> dict[str, Any]:
    """What layers.json says: for each layer its versions; nothing when it is not there or broken."""
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


def _are_layers_intact(site: Site, step: str, values: Mapping[str, Any]) -> bool:
    if step == "upload":
        return all(_is_published(site, place) for place in values["locations"])
    if step == "tree":
        return all(_is_tree_intact(site, name) for name in values["layers"])
    try:
        return all(site.stats.digest(site.zip(name)) == one["sha256"] for name, one in values.get("layers", {}).items())
    except OSError:
        return False


def _is_published(site: Site, location: str) -> bool:
    """Whether an object is as its key promises. What became of one in S3 is asked when a template is written."""
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
