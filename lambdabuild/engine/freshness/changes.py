"""Differences since a step last ran, in words: its inputs then and now, compared by name."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping

from lambdabuild.engine.base import receipts
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.freshness import image_inputs, source_files
from lambdabuild.files import fingerprint
from lambdabuild.plan.types import Build, ImageBuild

CHANGED = "what it depends on changed"


def between(run: Run, kind: str, name: str, receipt: receipts.Receipt, now: Mapping[str, str]) -> Iterator[str]:
    """Yield the differences between what a step was made of and what it would be made of now; at least one."""
    before = {**receipt.components, **receipt.reads}
    build = run.index.packages[name] if kind == "package" else run.index.builds.get(name) or run.index.images.get(name)
    changes = (_change(run, receipt, key, before.get(key), now.get(key), build) for key in sorted({*before, *now}))
    yield from dict.fromkeys(change for change in changes if change) or [CHANGED]


def _change(
    run: Run, receipt: receipts.Receipt, key: str, old: str | None, new: str | None, build: Build | ImageBuild | None
) -> str:
    if old == new:
        return ""
    kind, _, rest = key.partition(":")
    if kind == "folder" and old and new and build:
        return "; ".join(_files_changed(run, receipt, rest, build)) or f"the folder {rest}/ changed"
    if kind in ("file", "read"):
        path = _known_as(run.project, rest)
        word = (
            "is new"
            if old in (None, fingerprint.ABSENT)
            else "is gone"
            if new in (None, fingerprint.ABSENT)
            else "changed"
        )
        return f"the file {path} {word}"
    if kind == "step":
        return f"the result of {rest} changed" if old else f"{rest} is new"
    if kind.startswith("dependencies"):
        return "the packages it depends on changed"
    if kind == "rule":
        return (
            f"the code of rule {rest} changed"
            if old and new
            else f"the rule is now {rest}"
            if new
            else f"it is no longer rule {rest}"
        )
    if kind == "tool":
        return f"the tool {rest} is now {new} (was {old})"
    if kind in ("image", "dockerfile"):
        return f"the {'image' if kind == 'image' else 'Dockerfile'} {rest} changed"
    if kind == "environment":
        return f"the variable {rest} changed"
    if kind == "option":
        return f"the option {rest} is now {new} (was {old})"
    return f"{key} is now {new} (was {old})"


def _known_as(project: Project, path: str) -> str:
    """A path of a record as the user knows it: from the project's folder, when it is in the checkout."""
    full = project.expand(path)
    return os.path.relpath(full, project.folder) if path.startswith(("{project}", "{checkout}")) else full


def _files_now(run: Run, folder: str, build: Build | ImageBuild) -> Mapping[str, str]:
    if isinstance(build, ImageBuild):
        return image_inputs.files(run, build)
    key = build.key
    listing = source_files.listing(run, key) if folder == key.source else source_files.listing_beside(run, key, folder)
    return fingerprint.files(listing, run.stats)


def _files_changed(run: Run, receipt: receipts.Receipt, folder: str, build: Build | ImageBuild) -> list[str]:
    now = _files_now(run, folder, build)
    before = receipt.folders.get(folder, {})
    lines = []
    for path in sorted({*now, *before}):
        if now.get(path) != before.get(path):
            word = "is new" if path not in before else "is gone" if path not in now else "changed"
            lines.append(f"the file {posixpath.normpath(posixpath.join(folder, path))} {word}")
    return lines
