"""Look after the machine's folder: how much is in it, is it whole, what may go, and the way to another machine."""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, BinaryIO

from lambdabuild.cache import eviction, records
from lambdabuild.cache.cache import CHUNK, Digest
from lambdabuild.cache.eviction import Entry
from lambdabuild.cache.folder import BLOBS, RECORDS, FolderCache, discard
from lambdabuild.core import store
from lambdabuild.core.atomic import replacing
from lambdabuild.core.errors import BadExport, CannotRead, CannotWrite
from lambdabuild.core.spans import Span
from lambdabuild.core.store import remove_broken

KEY = re.compile(r"[0-9a-f]{64}(?=\.)")

Told = Mapping[str, Any]
"""An answer as plain data."""


def stats(cache: FolderCache) -> Told:
    """How many records and blobs there are, how many bytes, and when the oldest and the newest was used."""
    entries = {kind: list(eviction.entries(cache.folder, kind)) for kind in (RECORDS, BLOBS)}
    used = [entry.used for listed in entries.values() for entry in listed]
    return {
        "folder": cache.folder,
        "records": len(entries[RECORDS]),
        "blobs": len(entries[BLOBS]),
        "bytes": sum(entry.size for listed in entries.values() for entry in listed),
        "oldest": _time(min(used)) if used else "",
        "newest": _time(max(used)) if used else "",
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def verify(cache: FolderCache) -> Told:
    """Read everything; what is broken is taken away, and named."""
    broken = [entry for entry in eviction.entries(cache.folder, BLOBS) if not _is_whole(entry)]
    for entry in broken:
        discard(entry.path)
    checked = incomplete = 0
    for entry in list(eviction.entries(cache.folder, RECORDS)):
        checked += 1
        step = _step(cache, entry)
        if step is None:
            discard(entry.path)
            broken.append(entry)
        elif cache.missing(step.blobs.values()):
            incomplete += 1
    names = sorted(os.path.relpath(entry.path, cache.folder) for entry in broken)
    return {"folder": cache.folder, "records": checked, "incomplete": incomplete, "broken": names}


def verify_store(folder: str) -> list[str]:
    """Read all that promises its content in the machine's store; what is broken is removed, and its path returned."""
    broken = list(store.broken(folder))
    for path in broken:
        remove_broken(path)
    return [os.path.relpath(path, folder) for path in broken]


def verify_artifacts(folder: str) -> list[str]:
    """Check a build folder's artifacts, whose names begin with their sha256; the next run uploads broken ones again."""
    paths = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]
    keys = {path: KEY.match(os.path.basename(path)) for path in paths}
    broken = [path for path, key in keys.items() if key and key[0] != store.sha256_of(path)]
    for path in broken:
        remove_broken(path)
    return broken


def _is_whole(entry: Entry) -> bool:
    try:
        return Digest.of_file(entry.path).sha256 == os.path.basename(entry.path)
    except OSError:
        return True  # it went meanwhile


def _step(cache: FolderCache, entry: Entry) -> records.Step | None:
    try:
        with open(entry.path, "rb") as stream:
            record = records.from_bytes(stream.read())
        if record is None:
            return None
        if record.inline and Digest.of(record.inline) == record.step:
            return records.unpacked(os.path.basename(entry.path), record.inline)
        with open(cache.path(record.step), "rb") as stream:
            return records.unpacked(os.path.basename(entry.path), stream.read())
    except OSError:
        return None


def gc(cache: FolderCache, max_bytes: int, older_than: float) -> Told:
    """Remove what was not used since a time (in seconds), then what was used least lately until the rest fits."""
    return {
        "folder": cache.folder,
        "freed_bytes": eviction.collect(cache.folder, max_bytes, older_than),
        "bytes": eviction.size(cache.folder),
    }


def export(cache: FolderCache, file: str) -> Told:
    """Write everything to a tar file, blobs first. Raises CannotWrite (LB504)."""
    counts = {RECORDS: 0, BLOBS: 0}
    try:
        with replacing(file) as temporary, tarfile.open(temporary, "w") as archive:
            for kind in (BLOBS, RECORDS):
                for entry in sorted(eviction.entries(cache.folder, kind), key=lambda entry: entry.path):
                    counts[kind] += _exported(archive, kind, entry)
    except OSError as error:
        raise CannotWrite(
            f"cannot write {file}: {error.strerror}", where=Span(file), help="name another file"
        ) from error
    return {"file": file, "records": counts[RECORDS], "blobs": counts[BLOBS], "bytes": os.path.getsize(file)}


def _exported(archive: tarfile.TarFile, kind: str, entry: Entry) -> bool:
    try:
        stream = open(entry.path, "rb")  # noqa: SIM115  # closed below
    except OSError:
        return False  # it went meanwhile
    with stream:
        info = tarfile.TarInfo(f"{kind}/{os.path.basename(entry.path)}")
        info.size = os.fstat(stream.fileno()).st_size
        archive.addfile(info, stream)
    return True


def import_(cache: FolderCache, file: str) -> Told:
    """Take in what ``export`` wrote; what is not what its name says is refused, and named.

    Raises CannotRead (LB505), BadExport (LB622).
    """
    counts: dict[str, int] = {RECORDS: 0, BLOBS: 0}
    refused: list[str] = []
    try:
        with tarfile.open(file, "r:") as archive:
            for info in archive:
                kind, _, name = info.name.partition("/")
                stream: Any = archive.extractfile(info) if info.isreg() and kind in counts and len(name) == 64 else None
                if stream is not None and _TAKE[kind](cache, name, stream):
                    counts[kind] += 1
                else:
                    refused.append(info.name)
    except OSError as error:
        raise CannotRead(f"cannot read {file}: {error.strerror}", where=Span(file), help="correct the path") from error
    except tarfile.TarError as error:
        raise BadExport(
            f"{file} is not what lambdabuild cache export writes: {error}", where=Span(file), help="export it again"
        ) from error
    return {"file": file, "records": counts[RECORDS], "blobs": counts[BLOBS], "refused": refused}


def _take_blob(cache: FolderCache, name: str, stream: BinaryIO) -> bool:
    with cache.unfinished() as temporary:
        sha256, size = hashlib.sha256(), 0
        with open(temporary, "wb") as target:
            while chunk := stream.read(CHUNK):
                sha256.update(chunk)
                size += target.write(chunk)
        if sha256.hexdigest() != name:
            return False
        cache.adopt(Digest(name, size), temporary)
    return True


def _take_record(cache: FolderCache, name: str, stream: BinaryIO) -> bool:
    content = stream.read()
    if records.from_bytes(content) is None or not set(name) <= set("0123456789abcdef"):
        return False
    cache.put_record(name, content)
    return True


_TAKE = {RECORDS: _take_record, BLOBS: _take_blob}
