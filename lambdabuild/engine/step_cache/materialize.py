"""The bytes of steps that were not run: where they are, and how they get here when a step needs them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from lambdabuild.engine.base import receipts, store_files
from lambdabuild.engine.base.session import saved
from lambdabuild.engine.base.site import Site
from lambdabuild.engine.base.step_kind import Step, kind_of
from lambdabuild.engine.step_cache import caches

OUT, ZIP = "out.tar.zst", "artifact.zip"
IN_STORE = re.compile(r"\{store\}/(wheels/([0-9a-f]{64})/[^/]+)")
"""A file of the machine's store whose path says its content."""


def provide(site: Site, steps: Iterable[Step], run_again: Callable[[str, str], str]) -> bool:
    """Bring the bytes of some steps here, which another is about to read. Return whether one has a new output.

    ``run_again`` runs a step and returns its output: the way out when no cache has its bytes any more.
    """
    has_changed = False
    for kind, name in steps:
        with site.shared.lock_of(f"{kind}:{name}"):
            if has_changed or not _are_here(site, kind, name):
                was = saved(f"{kind}:{name}").get("output")
                has_changed |= run_again(kind, name) != was
    return has_changed


def _are_here(site: Site, kind: str, name: str) -> bool:
    """Return whether what a step left can be read, now that it was brought here if it was away."""
    if kind_of(site, kind).has_bytes and is_away(site, kind, name):
        return fetch(site, kind, name)
    return store_files.are_whole(site, kind, name)


def are_away(site: Site, steps: Iterable[Step]) -> bool:
    """Return whether bytes of some steps are not on this machine's disk."""
    return any(kind_of(site, kind).has_bytes and is_away(site, kind, name) for kind, name in steps)


def is_away(site: Site, kind: str, name: str) -> bool:
    if not saved(f"{kind}:{name}").get("away"):
        return False
    blobs = blobs_of(site, kind, name)
    no_folder = OUT in blobs and not os.path.isdir(site.out(kind, name))
    return no_folder or not all(store_files.is_whole(site, path) for _, path in files_in_store(site, blobs))


def is_known(site: Site, kind: str, name: str) -> bool:
    return bool(saved(f"{kind}:{name}").get("output"))


def blobs_of(site: Site, kind: str, name: str) -> dict[str, list[Any]]:
    receipt = receipts.read(site.receipt(kind, name))
    found = receipt.result.get("blobs", {}) if receipt is not None else {}
    return dict(found)


def files_in_store(site: Site, blobs: Mapping[str, list[Any]]) -> Iterator[tuple[list[Any], str]]:
    """Files of the machine's store among the blobs, and where they belong; no other path is believed."""
    for name, blob in blobs.items():
        match = IN_STORE.fullmatch("{store}/" + name)
        if match and match[2] == blob[0]:
            yield blob, os.path.join(site.cache_dir, name)


def fetch(site: Site, kind: str, name: str) -> bool:
    """Return whether the bytes that a step left are here now."""
    cache, blobs = caches.caches(site), blobs_of(site, kind, name)
    if cache is None:
        return False
    with site.shared.lock_of(f"bytes of {kind}:{name}"):
        return _fetched_files(site, cache, blobs) and _fetched_folder(site, cache, blobs, site.out(kind, name))


def _fetched_files(site: Site, cache: Any, blobs: Mapping[str, list[Any]]) -> bool:
    from lambdabuild.cache.cache import Digest

    absent = [(blob, path) for blob, path in files_in_store(site, blobs) if not store_files.is_whole(site, path)]
    return all(cache.fetch(Digest(*blob), path, 0o444, keep=False) for blob, path in absent)


def _fetched_folder(site: Site, cache: Any, blobs: Mapping[str, list[Any]], out: str) -> bool:
    from lambdabuild.cache.cache import Digest

    return OUT not in blobs or os.path.isdir(out) or _unpacked(site, cache, Digest(*blobs[OUT]), out)


def _unpacked(site: Site, cache: Any, digest: Any, out: str) -> bool:
    from lambdabuild.cache import packs

    with site.scratch() as scratch:
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
