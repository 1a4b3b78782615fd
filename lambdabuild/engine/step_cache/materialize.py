"""The bytes of steps that were not run: where they are, and how they get here when a step needs them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lambdabuild.engine.base import receipts, store_files
from lambdabuild.engine.base.session import saved
from lambdabuild.engine.base.site import Site
from lambdabuild.engine.step_cache import caches

OUT, ZIP = "out.tar.zst", "artifact.zip"
IN_STORE = re.compile(r"\{store\}/(wheels/([0-9a-f]{64})/[^/]+)")
"""A file of the machine's store whose path says its content."""
WITH_BYTES = frozenset({"resolve", "package", "compile"})


def provide(site: Site, kind: str, name: str, run_again: Callable[[str, str], str]) -> bool:
    """Have the bytes that a step is about to read. Gives whether a step before it now has another output.

    ``run_again`` runs a step and gives its output: the way out when no cache has its bytes any more.
    """
    changed = False
    for before, one in steps_before(site, kind, name):
        with site.shared.lock_of(f"{before}:{one}"):
            if changed or not _are_here(site, before, one):
                was = saved(f"{before}:{one}").get("output")
                changed |= run_again(before, one) != was
    return changed


def _are_here(site: Site, kind: str, name: str) -> bool:
    """Return whether what a step left can be read, now that it was brought here if it was away."""
    if kind in WITH_BYTES and is_away(site, kind, name):
        return fetch(site, kind, name)
    return store_files.are_whole(site, kind, name)


def steps_before(site: Site, kind: str, name: str) -> Iterator[tuple[str, str]]:
    """The steps whose bytes a step reads."""
    if kind == "tree":
        yield from ((before, one) for before, one in steps_before(site, "zip", name) if not is_away(site, before, one))
    if kind == "share":
        yield from dict.fromkeys(("resolve", sharer.resolution) for sharer in site.sharers.values())
    if kind not in ("compile", "copy", "zip"):
        return
    build = site.build(name)
    yield from (("resolve", resolution) for resolution in build.resolutions)
    if build.package:
        yield "package", build.package
    if build.compiles and kind != "compile":
        yield "compile", name
    if kind == "zip":
        yield "copy", name


def are_away(site: Site, name: str) -> bool:
    """Whether bytes of a build's entries are not on this machine's disk."""
    return any(is_away(site, kind, one) for kind, one in steps_before(site, "zip", name) if kind in WITH_BYTES)


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
    """Whether the bytes that a step left are here now."""
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
