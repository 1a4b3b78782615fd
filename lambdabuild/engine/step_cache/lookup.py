"""Need a step be run, or did somebody run it before? A step's key, what it left as an entry, and the way back.

In: what ``inputs`` says a step depends on. Out: what the step would have left. A hit on resolve, package or compile
brings only what the steps after it must know; the bytes come when one of them is really run (``provide``).

Files and images that only a run reveals (``Done.reads``) are not in the first key. Under that lie their names, as runs
found them; with their digests as they are now a second key is made, under which the entry is.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

from lambdabuild._version import __version__
from lambdabuild.artifacts.zips import write_zip
from lambdabuild.cache.cache import Digest
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.plain import JsonObject
from lambdabuild.core.records import Struct
from lambdabuild.engine.base import lists, store_files
from lambdabuild.engine.base.receipts import Receipt
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import kind_of
from lambdabuild.engine.freshness import inputs
from lambdabuild.engine.remote import workers
from lambdabuild.engine.step_cache import caches, materialize
from lambdabuild.files import fingerprint

FORMAT = "2"
"""Raised when what is in an entry changes."""


class Entry(Struct, frozen=True):
    """The result of a step as a cache had it. ``where`` is the cache's name."""

    data: JsonObject
    blobs: JsonObject
    where: str


def key_of(run: Run, kind: str, name: str, components: Mapping[str, str]) -> str:
    """The first key of a step: all that is known to matter before it is run. Only its digest leaves the machine."""
    identity = {
        "format": FORMAT,
        "lambdabuild": __version__,
        "namespace": run.project.settings.cache.namespace,
        "machine": workers.machine(run, kind, name),
        "step": f"{kind}:{name}",
        "components": dict(components),
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def second_key(key: str, reads: Mapping[str, str]) -> str:
    return hashlib.sha256(f"{key} {fingerprint.of(reads)}".encode()).hexdigest()


def find(run: Run, kind: str, name: str, components: Mapping[str, str]) -> Entry | None:
    """Return the result of an earlier run with the same inputs, None if no cache has it."""
    cache = caches.caches(run) if kind_of(run.index, kind).restore is not None else None
    if cache is None:
        return None
    key = key_of(run, kind, name, components)
    first = cache.find(key)
    if first is None:
        return None
    if "candidates" not in first.data:
        return Entry(first.data, first.blobs, first.where)
    for revealed in first.data["candidates"]:
        try:
            reads = inputs.known_reads(run, revealed)
        except LambdaBuildError:
            continue  # the engine whose image counts is not here
        there = cache.find(second_key(key, reads))
        if there is not None and there.data["reads"] == reads:
            return Entry(there.data, there.blobs, there.where)
    return None


def where(run: Run, kind: str, name: str) -> str:
    """The name of the cache that would spare a step, "" when there is none."""
    row = kind_of(run.index, kind)
    if row.restore is None:
        return ""
    entry = find(run, kind, name, row.inputs(run, name))
    return entry.where if entry is not None else ""


def restore(
    run: Run, kind: str, name: str, components: Mapping[str, str], entry: Entry
) -> tuple[Receipt, JsonObject] | None:
    """Write what the step would have written. Return its receipt and the values for doit's state.

    Return None when a cache no longer has what is needed.
    """
    try:
        row = kind_of(run.index, kind)
        if row.restore is None or not row.restore(run, name, entry):
            return None
        data = entry.data
        named = {name: [digest.sha256, digest.size] for name, digest in entry.blobs.items()}
        values = {
            **data["values"],
            "restored": entry.where,
            **({"away": True} if row.has_bytes else {}),
        }
        result = {**data["result"], "blobs": named}
        return Receipt(components, data["output"], data["reads"], data["folders"], result), values
    except (KeyError, TypeError, AttributeError):
        return None  # it was stored by something that only looks like us


def without_bytes(kind: str) -> Callable[[Run, str, Entry], bool]:
    def restore(run: Run, name: str, entry: Entry) -> bool:
        """Remove files of another run: whoever needs the bytes must not take those."""
        shutil.rmtree(run.project.out(kind, name), ignore_errors=True)
        return True

    return restore


def restore_list(run: Run, name: str, entry: Entry) -> bool:

    lists.write_rows(run.project, name, entry.data["list"])
    return True


def restore_zip(run: Run, name: str, entry: Entry) -> bool:
    digest, target = entry.blobs[materialize.ZIP], run.project.zip(name)
    cache = caches.caches(run)
    if cache is None:
        return False
    if not cache.has_here(digest) and _is_cheaper_assembled(run, name, digest.size):
        if _assembled(run, name, digest):
            return True
        if _has_broken_packages(run, name):
            return False  # the step is run, which has the packages resolved again and mends the cache
    return bool(cache.fetch(digest, target))


def _has_broken_packages(run: Run, name: str) -> bool:
    cache = caches.caches(run)
    blobs = materialize.blobs_of(run.project, "resolve", run.index.builds[name].resolution).values()
    return cache is not None and any(cache.was_broken(Digest(*blob)) for blob in blobs)


def _is_cheaper_assembled(run: Run, name: str, size: int) -> bool:
    """Return whether the packages that are not here yet, which others need too, are less to fetch than the zip."""
    build = run.index.builds[name]
    if len(build.resolutions) != 1 or any(
        kind != "resolve" and materialize.is_away(run, kind, one)
        for kind, one in kind_of(run.index, "zip").bytes_of(run, name)
    ):
        return False
    blobs = materialize.blobs_of(run.project, "resolve", build.resolution)
    if materialize.OUT in blobs or not materialize.is_known(run, "resolve", build.resolution):
        return False
    absent = sum(
        blob[1] for blob, path in materialize.files_in_store(run.project, blobs) if not store_files.is_whole(run, path)
    )
    return bool(absent / len(run.index.resolutions[build.resolution].users) < size)


def _assembled(run: Run, name: str, digest: Any) -> bool:
    """The zip made of packages and source; what it must be is known, so there is no doubt about it."""
    if not materialize.fetch(run, "resolve", run.index.builds[name].resolution):
        return False
    os.makedirs(os.path.dirname(run.project.zip(name)), exist_ok=True)
    try:
        return bool(write_zip(run.project.zip(name), lists.read_list(run, name)).sha256 == digest.sha256)
    except (LambdaBuildError, OSError):
        return False
