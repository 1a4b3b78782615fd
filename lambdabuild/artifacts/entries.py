"""An artifact before it is files: a sorted list of entries, each a path, a mode, a digest and a location."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from lambdabuild.core.errors import CannotRead
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span


class FileOnDisk(Struct, frozen=True):
    """The bytes are a file of their own."""

    path: str


class InArchive(Struct, frozen=True):
    """The bytes are a stream inside a zip: ``offset`` is where the stream itself begins.

    ``method`` is 0 (stored) or 8 (raw deflate); ``crc`` is of the uncompressed bytes. A stream can be copied into
    another zip as it is; its own CRC is ``packed_crc``, None where nobody asks for it.
    """

    archive: str
    offset: int
    compressed_size: int
    method: int
    crc: int
    packed_crc: int | None = None


class Entry(Struct, frozen=True):
    """One file of an artifact. ``path`` is POSIX, relative, without ``..``; sizes are bytes, digests hex."""

    path: str
    executable: bool
    size: int
    sha256: str
    location: FileOnDisk | InArchive
    origin: str = ""
    """For people: the package or folder it came from."""


def broken_archive(entry: Entry) -> CannotRead:
    """Return the error for an archive whose bytes are not those that were read when its entries were listed."""
    assert isinstance(entry.location, InArchive)
    return CannotRead(
        f"{entry.path} cannot be extracted from {os.path.basename(entry.location.archive)}: the archive is damaged",
        where=Span(entry.location.archive),
        help="remove the archive, so that it is fetched again; if this happens often, check the disk",
    )


def rows_of(entries: Iterable[Entry], portable: Callable[[str], str]) -> list[list[Any]]:
    """Return entries as rows to be saved; ``portable`` names a folder or file in a way that holds on every machine."""

    @cache
    def named(folder: str) -> str:
        return portable(folder)

    rows = []
    for entry in entries:
        location = entry.location
        folder, slash, name = location.path.rpartition("/") if isinstance(location, FileOnDisk) else ("", "", "")
        where = (
            [named(folder) + slash + name]
            if isinstance(location, FileOnDisk)
            else [
                named(location.archive),
                location.offset,
                location.compressed_size,
                location.method,
                location.crc,
                location.packed_crc,
            ]
        )
        rows.append([entry.path, int(entry.executable), entry.size, entry.sha256, entry.origin, where])
    return rows


def entries_of(rows: Iterable[Sequence[Any]], expanded: Callable[[str], str]) -> tuple[Entry, ...]:
    """Return the entries of rows that `rows_of` made; ``expanded`` turns their portable paths into absolute ones."""

    @cache
    def real(folder: str) -> str:
        return expanded(folder)

    def location(path: str, *place: int) -> FileOnDisk | InArchive:
        if place:
            return InArchive(real(path), *place)
        folder, slash, name = path.rpartition("/")
        return FileOnDisk(real(folder) + slash + name)

    return tuple(
        Entry(path, bool(executable), size, sha256, location(*where), origin)
        for path, executable, size, sha256, origin, where in rows
    )


def content_digest(entries: Iterable[Entry]) -> str:
    """Return the identity of an artifact: sha256 over (path, mode, content digest) in order of the paths' UTF-8 bytes.

    It says nothing about compression, so it stays the same when a compressor changes.
    """
    lines = [
        f"{entry.path}\0{'755' if entry.executable else '644'}\0{entry.size}\0{entry.sha256}\n"
        for entry in sorted(entries, key=lambda entry: entry.path.encode())
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
