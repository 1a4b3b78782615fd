"""Digests of what a step reads: files, folders, and named components joined to one fingerprint."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

from lambdabuild.files.listing import Listing, Patterns, scan, stats
from lambdabuild.files.stat_cache import StatCache

ABSENT = "absent"


def of(components: Mapping[str, str]) -> str:
    """One digest of named components; their order does not matter."""
    lines = [f"{name}\0{components[name]}\n" for name in sorted(components)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def of_file(path: str, cache: StatCache) -> str:
    """Return the digest of a file, or of all below a folder, or "absent"."""
    if os.path.isdir(path):
        return of_listing(path, scan(path, Patterns(()), boundary="/"), cache)
    try:
        return cache.digest(path)
    except FileNotFoundError:
        return ABSENT


def of_listing(key: str, listing: Listing, cache: StatCache) -> str:
    """Return the digest of a listed folder: each file's path, whether it may be run, and its content."""
    cache.record_listing(listing.folders, ((file.real, file.is_link) for file in listing.files))
    rows = stats(listing.files)
    newest = max((max(row[2], row[3]) for row in rows), default=0)
    return cache.folder(key, rows, newest, lambda: of(files(listing, cache)))


def files(listing: Listing, cache: StatCache) -> dict[str, str]:
    """``{path: digest}``, with a mark on what may be run; what ``why`` compares file by file."""
    digests = cache.digests((file.real, file.stat) for file in listing.files)
    return {
        file.path: digest + ("+x" if file.executable else "")
        for file, digest in zip(listing.files, digests, strict=True)
    }
