"""The bytes of steps that were not run: where they are, and how they get here when a step needs them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lambdabuild.cache.cache import Digest
from lambdabuild.engine.base import receipts, store_files
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import Step, kind_of
from lambdabuild.engine.step_cache import caches

if TYPE_CHECKING:
    from lambdabuild.cache.shared import SharedCache

OUT, ZIP = "out.tar.zst", "artifact.zip"
IN_STORE = re.compile(r"\{store\}/(wheels/([0-9a-f]{64})/[^/]+)")
"""A file of the machine's store whose path says its content."""


def provide(run: Run, steps: Iterable[Step], run_again: Callable[[str, str], str]) -> bool:
    """Bring the bytes of some steps here, which another is about to read. Return whether one has a new output.

    ``run_again`` runs a step and returns its output: the way out when no cache has its bytes any more.
    """
    has_changed = False
    for kind, name in steps:
        with run.locks.of(f"{kind}:{name}"):
            if has_changed or not _are_here(run, kind, name):
                was = run.saved(f"{kind}:{name}").get("output")
                has_changed |= run_again(kind, name) != was
    return has_changed


def _are_here(run: Run, kind: str, name: str) -> bool:
    """Return whether what a step left can be read, now that it was brought here if it was away."""
    if kind_of(run.index, kind).has_bytes and is_away(run, kind, name):
        return fetch(run, kind, name)
    return store_files.are_whole(run, kind, name)


def are_away(run: Run, steps: Iterable[Step]) -> bool:
    """Return whether bytes of some steps are not on this machine's disk."""
    return any(kind_of(run.index, kind).has_bytes and is_away(run, kind, name) for kind, name in steps)


def is_away(run: Run, kind: str, name: str) -> bool:
    if not run.saved(f"{kind}:{name}").get("away"):
        return False
    blobs = blobs_of(run.project, kind, name)
    no_folder = OUT in blobs and not os.path.isdir(run.project.out(kind, name))
    return no_folder or not all(store_files.is_whole(run, path) for _, path in files_in_store(run.project, blobs))


def is_known(run: Run, kind: str, name: str) -> bool:
    return bool(run.saved(f"{kind}:{name}").get("output"))


def blobs_of(project: Project, kind: str, name: str) -> dict[str, list[Any]]:
    receipt = receipts.read(project.receipt(kind, name))
    blobs = receipt.result.get("blobs", {}) if receipt is not None else {}
    return dict(blobs)


def files_in_store(project: Project, blobs: Mapping[str, list[Any]]) -> Iterator[tuple[list[Any], str]]:
    """Files of the machine's store among the blobs, and where they belong; no other path is believed."""
    for name, blob in blobs.items():
        match = IN_STORE.fullmatch("{store}/" + name)
        if match and match[2] == blob[0]:
            yield blob, os.path.join(project.cache_dir, name)


def fetch(run: Run, kind: str, name: str) -> bool:
    """Return whether the bytes that a step left are here now."""
    cache, blobs = caches.caches(run), blobs_of(run.project, kind, name)
    if cache is None:
        return False
    with run.locks.of(f"bytes of {kind}:{name}"):
        return _fetched_files(run, cache, blobs) and _fetched_folder(
            run.project, cache, blobs, run.project.out(kind, name)
        )


def _fetched_files(run: Run, cache: SharedCache, blobs: Mapping[str, list[Any]]) -> bool:
    absent = [(blob, path) for blob, path in files_in_store(run.project, blobs) if not store_files.is_whole(run, path)]
    return all(cache.fetch(Digest(*blob), path, 0o444, keep=False) for blob, path in absent)


def _fetched_folder(project: Project, cache: SharedCache, blobs: Mapping[str, list[Any]], out: str) -> bool:
    return OUT not in blobs or os.path.isdir(out) or _unpacked(project, cache, Digest(*blobs[OUT]), out)


def _unpacked(project: Project, cache: SharedCache, digest: Digest, out: str) -> bool:
    from lambdabuild.cache import packs

    with project.scratch() as scratch:
        pack, fresh = os.path.join(scratch, "pack"), os.path.join(scratch, "out")
        if not cache.fetch(digest, pack):
            return False
        os.makedirs(fresh)
        try:
            packs.unpack(pack, fresh)
        except (ValueError, OSError):
            return False
        os.makedirs(os.path.dirname(out), exist_ok=True)
        os.replace(fresh, out)
    return True
