"""The zip format (APPNOTE 6.3) without anything that could differ: every field has one possible value.

In: entries with their packed streams, in order. Out: bytes, their sha256, and the location of each entry.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Sequence
from typing import IO, BinaryIO, NamedTuple

from lambdabuild.artifacts.entries import Entry, InArchive, broken_archive
from lambdabuild.core.errors import CannotRead, TooLarge
from lambdabuild.core.records import Struct

CHUNK = 1 << 20
DOS_TIME, DOS_DATE = 0, (1 << 5) | 1
"""1980-01-01 00:00, the oldest date a zip can hold; integers, so that no time zone has a say."""
UTF8_FLAG = 0x800
MAX_32, MAX_16 = 0xFFFFFFFF, 0xFFFF
LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s4B4HL2L5H2L")
END = struct.Struct("<4s4H2LH")
END_64 = struct.Struct("<4sQ2H2L4Q")
END_64_LOCATOR = struct.Struct("<4sLQL")
VERSION_NEEDED, UNIX = 20, 3


class Packed(Struct, frozen=True):
    """An entry ready to be written: its stream is ``data``, or ``size`` bytes of ``source`` from ``offset`` on."""

    method: int
    crc: int
    size: int
    data: bytes | bytearray = b""
    source: IO[bytes] | None = None
    offset: int = 0
    only_here: bool = False
    """The source is this entry's alone, so it is closed after it was written."""
    packed_crc: int | None = None
    """The CRC that the stream must have, when that is known."""


class Row(NamedTuple):
    """One entry as it is stored in a zip. Places and sizes are bytes."""

    path: str
    executable: bool
    size: int
    sha256: str
    archive: int | None
    """Which of the zip's archives its stream was copied from, at ``offset_there``; None when it was packed."""
    offset_there: int
    start: int
    """Offset of the header in bytes; ``offset`` is that of the stream."""
    offset: int
    packed_size: int
    method: int
    crc: int


class ZipWriter:
    """Writes one zip to a stream."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.position = 0
        self.digest = hashlib.sha256()
        self.rows: list[Row] = []
        self.archives: dict[str, int] = {}

    def add(self, entry: Entry, packed: Packed) -> None:
        if max(self.position, packed.size, entry.size) >= MAX_32:
            raise TooLarge(f"{entry.path} makes the zip larger than 4 GiB", help="leave it out with exclude")
        location, header = entry.location, _local_header(entry, packed)
        archive = self._archive(location.archive) if isinstance(location, InArchive) else None
        there = location.offset if isinstance(location, InArchive) else 0
        here, offset = self.position, self.position + len(header)
        what = (entry.path, entry.executable, entry.size, entry.sha256)
        self.rows.append(Row(*what, archive, there, here, offset, packed.size, packed.method, packed.crc))
        if packed.source is None:
            self._write(header + packed.data)
        else:
            self._write(header)
            self._write_stream(entry, packed, packed.source)

    def add_run(self, rows: Sequence[Row], archives: Sequence[str], source: BinaryIO, end: int) -> None:
        """Entries that follow one another in another zip, up to ``end`` there."""
        begin, moved = rows[0].start, self.position - rows[0].start
        if self.position + end - begin >= MAX_32:
            raise TooLarge(f"{rows[-1].path} makes the zip larger than 4 GiB", help="leave it out with exclude")
        numbers = [self._archive(archive) for archive in archives]
        for row in rows:
            archive = None if row.archive is None else numbers[row.archive]
            self.rows.append(row._replace(archive=archive, start=row.start + moved, offset=row.offset + moved))
        self._copy(source, begin, end)

    def finish(self) -> int:
        """Write the directory; gives where the last entry ends."""
        start = self.position
        self._write(b"".join(map(_central_header, self.rows)))
        count, size = len(self.rows), self.position - start
        if count >= MAX_16 or start >= MAX_32:
            here = self.position
            self._write(END_64.pack(b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start))
            self._write(END_64_LOCATOR.pack(b"PK\6\7", 0, here, 1))
        short = min(count, MAX_16)
        self._write(END.pack(b"PK\5\6", 0, 0, short, short, size, min(start, MAX_32), 0))
        return start

    def _archive(self, path: str) -> int:
        return self.archives.setdefault(path, len(self.archives))

    def _write(self, data: bytes | bytearray | memoryview) -> None:
        self.stream.write(data)
        self.digest.update(data)
        self.position += len(data)

    def _write_stream(self, entry: Entry, packed: Packed, source: IO[bytes]) -> None:
        left, crc = packed.size, 0
        source.seek(packed.offset)
        while left:
            chunk = source.read(min(CHUNK, left))
            if not chunk:
                raise CannotRead(f"{entry.path}: the archive that holds it ends too soon", help="run the build again")
            crc = crc if packed.packed_crc is None else zlib.crc32(chunk, crc)
            self._write(chunk)
            left -= len(chunk)
        if packed.packed_crc not in (None, crc):
            raise broken_archive(entry)
        if packed.only_here:
            source.close()

    def _copy(self, source: BinaryIO, begin: int, end: int) -> None:
        """Bytes that the system can copy by itself, so they are read only for the digest."""
        self.stream.flush()
        buffer, here = memoryview(bytearray(CHUNK)), begin
        while here < end:
            count = os.preadv(source.fileno(), [buffer[: end - here]], here)
            if not count:
                raise CannotRead("an earlier zip ends too soon", help="run the build again")
            self.digest.update(buffer[:count])
            copied = _copy_range(source.fileno(), self.stream.fileno(), here, count)
            self.stream.write(buffer[copied:count])
            self.stream.flush()
            here += count
        self.position += end - begin


def _copy_range(source: int, target: int, offset: int, size: int) -> int:
    """How many bytes the system copied; 0 where it cannot (between file systems)."""
    copied = 0
    try:
        while copied < size and (count := os.copy_file_range(source, target, size - copied, offset + copied)):
            copied += count
    except (OSError, AttributeError):
        pass
    return copied


def _local_header(entry: Entry, packed: Packed) -> bytes:
    name = entry.path.encode()
    flags = 0 if name.isascii() else UTF8_FLAG
    sizes = (packed.crc, packed.size, entry.size, len(name), 0)
    return LOCAL.pack(b"PK\3\4", VERSION_NEEDED, flags, packed.method, DOS_TIME, DOS_DATE, *sizes) + name


def _central_header(row: Row) -> bytes:
    name = row.path.encode()
    flags = 0 if name.isascii() else UTF8_FLAG
    made = (VERSION_NEEDED, UNIX, VERSION_NEEDED, 0, flags, row.method, DOS_TIME, DOS_DATE)
    sizes = (row.crc, row.packed_size, row.size, len(name), 0, 0, 0, 0)
    attributes = (0o100755 if row.executable else 0o100644) << 16
    return CENTRAL.pack(b"PK\1\2", *made, *sizes, attributes, row.start) + name
