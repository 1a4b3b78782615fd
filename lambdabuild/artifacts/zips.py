"""Entries to a zip whose bytes depend on nothing but the entries and the version of lambdabuild.

Sorted names, 1980-01-01, 0644 or 0755, no extra fields, sizes before data. What lies in an archive already keeps its
deflate stream; what lies on disk is packed by libdeflate, or in a stream by miniz_oxide when it is too large to be held
in memory. Both compressors come pinned with lambdabuild and give the same bytes on every processor; zlib does not
(its output differs between zlib, zlib-ng and versions of both).
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
import zlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO, Any, BinaryIO

from lambdabuild.artifacts.atomic import write_text, writing
from lambdabuild.artifacts.entries import Entry, InArchive, OnDisk
from lambdabuild.errors import CannotRead, TooLarge
from lambdabuild.spans import Span

LEVEL = 6
"""libdeflate's: smaller than zlib -9 at several times its speed; its own 9 wins 0.4 % for twice the time."""
LARGE_BYTES = 16 << 20
"""A larger file is streamed, never held whole."""
IN_FLIGHT_BYTES = 32 << 20
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


Known = Mapping[str, tuple[str, tuple[int, int, int, int]]]
"""``{sha256 of the content: (zip, (offset, packed size, method, crc))}``"""


@dataclass(frozen=True)
class ZipSummary:
    """What was written: digest and size of the zip in bytes, and where each packed file's stream lies in it."""

    sha256: str
    size: int
    unzipped: int
    path: str
    stat: tuple[int, ...] = ()
    streams: Mapping[str, tuple[int, int, int, int]] = field(default_factory=dict)
    """``{sha256 of the content: (offset, packed size, method, crc)}`` for files that were packed here."""

    def write(self, file: str) -> None:
        data = {"sha256": self.sha256, "size": self.size, "unzipped": self.unzipped, "stat": self.stat}
        write_text(file, json.dumps(data | {"streams": self.streams}))

    @classmethod
    def read(cls, file: str, zip_path: str) -> ZipSummary | None:
        """The summary of a zip that is still as it was written, else None."""
        try:
            with open(file, encoding="utf-8") as stream:
                data = json.load(stream)
            if tuple(data["stat"]) != _stat(zip_path):
                return None
            streams = {sha256: tuple(place) for sha256, place in data["streams"].items()}
            return cls(data["sha256"], data["size"], data["unzipped"], zip_path, tuple(data["stat"]), streams)
        except (OSError, ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True)
class _Packed:
    """An entry ready to be written: its stream is ``data``, or ``size`` bytes of ``source`` from ``offset`` on."""

    method: int
    crc: int
    size: int
    data: bytes | bytearray = b""
    source: IO[bytes] | None = None
    offset: int = 0
    only_here: bool = False
    """The source is this entry's alone, so it is closed after it was written."""


def write_zip(
    target: str, entries: Sequence[Entry], *, previous: Iterable[ZipSummary] = (), threads: int | None = None
) -> ZipSummary:
    """Write a zip aside and rename it; gives its summary.

    What is in one of the ``previous`` zips, which may be of others, is not packed again. Neither they nor the number of
    threads change a byte. Raises CannotRead (LB505) when a file is not what its entry says (it was
    edited meanwhile), TooLarge (LB602) from 4 GiB on.
    """
    ordered = sorted(entries, key=lambda entry: entry.path.encode())
    known = {sha256: (one.path, place) for one in previous for sha256, place in one.streams.items()}
    with writing(target) as stream, _Sources() as sources:
        writer = _Writer(stream)
        workers = threads or min(4, os.cpu_count() or 1)
        for entry, packed in _packed_in_order(ordered, known, sources, os.path.dirname(target), workers):
            writer.add(entry, packed)
        writer.finish()
    return ZipSummary(
        sha256=writer.digest.hexdigest(),
        size=writer.position,
        unzipped=sum(entry.size for entry in ordered),
        path=target,
        stat=_stat(target),
        streams=writer.streams,
    )


def _stat(path: str) -> tuple[int, ...]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


class _Sources:
    """Archives that streams are copied from, each opened once."""

    def __init__(self) -> None:
        self.open: dict[str, BinaryIO] = {}

    def __enter__(self) -> _Sources:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self.open.values():
            stream.close()

    def get(self, path: str) -> BinaryIO:
        if path not in self.open:
            self.open[path] = open(path, "rb")  # noqa: SIM115  # closed by __exit__
        return self.open[path]


def _packed_in_order(
    entries: Sequence[Entry], known: Known, sources: _Sources, folder: str, threads: int
) -> Iterator[tuple[Entry, _Packed]]:
    """Each entry with its stream, in order; packing runs ahead on threads, as far as memory is meant to go."""
    waiting: deque[tuple[Entry, Future[_Packed] | _Packed]] = deque()
    ahead = 0
    with ThreadPoolExecutor(threads) as pool:
        try:
            for entry in entries:
                copied = _copied(entry, known, sources)
                if copied is None:
                    ahead += min(entry.size, LARGE_BYTES)
                waiting.append((entry, copied or pool.submit(_pack, entry, folder)))
                while ahead > IN_FLIGHT_BYTES or len(waiting) > 1000:
                    ahead -= yield from _next(waiting)
            while waiting:
                yield from _next(waiting)
        finally:
            pool.shutdown(cancel_futures=True)


def _next(waiting: deque[tuple[Entry, Any]]) -> Generator[tuple[Entry, _Packed], None, int]:
    """Give the first that waits; returns how many bytes it held."""
    entry, packed = waiting.popleft()
    is_future = isinstance(packed, Future)
    yield entry, packed.result() if is_future else packed
    return min(entry.size, LARGE_BYTES) if is_future else 0


def _copied(entry: Entry, known: Known, sources: _Sources) -> _Packed | None:
    lies = entry.lies
    if isinstance(lies, InArchive):
        return _Packed(
            lies.method, lies.crc, lies.compressed_size, source=sources.get(lies.archive), offset=lies.offset
        )
    if entry.sha256 not in known:
        return None
    path, (offset, size, method, crc) = known[entry.sha256]
    return _Packed(method, crc, size, source=sources.get(path), offset=offset)


def _pack(entry: Entry, folder: str) -> _Packed:
    assert isinstance(entry.lies, OnDisk)
    with open(entry.lies.path, "rb") as stream:
        if entry.size > LARGE_BYTES:
            return _pack_large(entry, stream, folder)
        data = stream.read(entry.size + 1)
    if len(data) != entry.size or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise _changed(entry)
    packed = _deflate(data)
    crc = zlib.crc32(data)
    return _Packed(8, crc, len(packed), packed) if len(packed) < len(data) else _Packed(0, crc, len(data), data)


def _deflate(data: bytes) -> bytes | bytearray:
    import deflate

    packed: bytearray = deflate.deflate_compress(data, LEVEL)
    return packed


def _pack_large(entry: Entry, stream: IO[bytes], folder: str) -> _Packed:
    """Pack a chunk at a time into a temporary file; stored as it is when packing does not make it smaller."""
    import cramjam

    packer, digest, crc, read, written = cramjam.deflate.Compressor(LEVEL), hashlib.sha256(), 0, 0, 0
    temporary = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed when it was written
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
        crc = zlib.crc32(chunk, crc)
        read += len(chunk)
        packer.compress(chunk)
        written += temporary.write(bytes(packer.flush()))
    written += temporary.write(bytes(packer.finish()))
    if read != entry.size or digest.hexdigest() != entry.sha256:
        raise _changed(entry)
    if written < read:
        return _Packed(8, crc, written, source=temporary, only_here=True)
    temporary.close()
    assert isinstance(entry.lies, OnDisk)
    return _Packed(0, crc, read, source=open(entry.lies.path, "rb"), only_here=True)


def _changed(entry: Entry) -> CannotRead:
    assert isinstance(entry.lies, OnDisk)
    return CannotRead(
        f"{entry.path} changed while it was being packed", where=Span(entry.lies.path), mend="run the build again"
    )


class _Writer:
    """The zip format (APPNOTE 6.3) without anything that could differ: every field has one possible value."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.position = 0
        self.digest = hashlib.sha256()
        self.central: list[bytes] = []
        self.streams: dict[str, tuple[int, int, int, int]] = {}

    def add(self, entry: Entry, packed: _Packed) -> None:
        name = entry.path.encode()
        flags = 0 if name.isascii() else UTF8_FLAG
        start = self.position
        if max(start, packed.size, entry.size) >= MAX_32:
            raise TooLarge(f"{entry.path} makes the zip larger than 4 GiB", mend="leave it out with exclude")
        sizes = (packed.crc, packed.size, entry.size, len(name))
        self._write(LOCAL.pack(b"PK\3\4", VERSION_NEEDED, flags, packed.method, DOS_TIME, DOS_DATE, *sizes, 0) + name)
        if isinstance(entry.lies, OnDisk):
            self.streams[entry.sha256] = (self.position, packed.size, packed.method, packed.crc)
        self._write_stream(entry, packed)
        attributes = (0o100755 if entry.executable else 0o100644) << 16
        self.central.append(
            CENTRAL.pack(
                b"PK\1\2", VERSION_NEEDED, UNIX, VERSION_NEEDED, 0, flags, packed.method, DOS_TIME, DOS_DATE,
                *sizes[:3], len(name), 0, 0, 0, 0, attributes, start,
            ) + name
        )  # fmt: skip

    def finish(self) -> None:
        start = self.position
        self._write(b"".join(self.central))
        count, size = len(self.central), self.position - start
        if count >= MAX_16 or start >= MAX_32:
            here = self.position
            self._write(END_64.pack(b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start))
            self._write(END_64_LOCATOR.pack(b"PK\6\7", 0, here, 1))
        short = min(count, MAX_16)
        self._write(END.pack(b"PK\5\6", 0, 0, short, short, size, min(start, MAX_32), 0))

    def _write(self, data: bytes | bytearray) -> None:
        self.stream.write(data)
        self.digest.update(data)
        self.position += len(data)

    def _write_stream(self, entry: Entry, packed: _Packed) -> None:
        if packed.source is None:
            self._write(packed.data)
            return
        left = packed.size
        packed.source.seek(packed.offset)
        while left:
            chunk = packed.source.read(min(CHUNK, left))
            if not chunk:
                raise CannotRead(f"{entry.path}: the archive it lies in ends too soon", mend="run the build again")
            self._write(chunk)
            left -= len(chunk)
        if packed.only_here:
            packed.source.close()
