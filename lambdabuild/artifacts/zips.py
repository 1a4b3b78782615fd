"""Entries to a zip whose bytes depend on nothing but the entries and the version of lambdabuild.

Sorted names, 1980-01-01, 0644 or 0755, no extra fields, sizes before data. What an archive already holds keeps its
deflate stream; a file on disk is packed by libdeflate, or in a stream by miniz_oxide when it is too large to be held
in memory. Both compressors come pinned with lambdabuild and give the same bytes on every processor; zlib does not
(its output differs between zlib, zlib-ng and versions of both).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice, starmap
from typing import IO, Any, BinaryIO

from lambdabuild.artifacts.entries import Entry, FileOnDisk, InArchive
from lambdabuild.artifacts.zip_writer import CHUNK, Packed, Row, ZipWriter
from lambdabuild.core import regular
from lambdabuild.core.atomic import write_bytes, writing
from lambdabuild.core.errors import CannotRead
from lambdabuild.core.recent import NOTHING, RecentContents
from lambdabuild.core.records import Struct, to_json
from lambdabuild.core.spans import Span

LEVEL = 6
"""libdeflate's: smaller than zlib -9 at several times its speed; its own 9 wins 0.4 % for twice the time."""
LARGE_BYTES = 32 << 20
"""A larger file is streamed, never held whole: at a quarter of the speed, and while a chunk is packed nothing else is,
for the compressor that can (cramjam 2.14) keeps Python's lock."""
IN_FLIGHT_BYTES = 32 << 20
BATCH_BYTES = 256 << 10
"""Small files are packed by so many at a time."""
INLINE_BYTES = 1 << 20
"""A zip of no more bytes is packed by the thread that writes it: handing them to others takes longer than packing."""


class ZipSummary(Struct, frozen=True):
    """The record of a zip: its digest, its size in bytes, and the offset of each entry."""

    sha256: str
    size: int
    unzipped: int
    path: str
    stat: tuple[int, ...]
    rows: Sequence[Row]
    end: int
    """Offset of the end of the last entry, in bytes."""
    archives: Sequence[str] = ()
    """The archives that streams were copied from."""

    def write(self, file: str) -> None:
        write_bytes(file, to_json(self), flush=False)  # one that is torn is as good as none

    @classmethod
    def read(cls, file: str, zip_path: str) -> ZipSummary | None:
        """Return the summary of a zip that is still as it was written, else None."""
        try:
            with open(file, encoding="utf-8", opener=regular.opener) as stream:
                data = regular.json(stream.read())
            if tuple(data["stat"]) != stat_of(zip_path):
                return None
            rows = list(starmap(Row, data["rows"]))
            return cls(**data | {"path": zip_path, "stat": tuple(data["stat"]), "rows": rows})
        except (OSError, ValueError, KeyError, TypeError):
            return None


class _Run(Struct, frozen=True):
    """Entries that follow one another in an earlier zip as they do in this one, and are copied in one go."""

    zip: ZipSummary
    first: int
    after: int

    @property
    def rows(self) -> Sequence[Row]:
        return self.zip.rows[self.first : self.after]

    @property
    def end(self) -> int:
        return self.zip.rows[self.after].start if self.after < len(self.zip.rows) else self.zip.end


def write_zip(
    target: str,
    entries: Sequence[Entry],
    *,
    previous: Iterable[ZipSummary] = (),
    threads: int | None = None,
    recent: RecentContents = NOTHING,
) -> ZipSummary:
    """Write a zip aside and rename it; gives its summary.

    What is among the ``recent`` contents is not read again.
    What is in one of the ``previous`` zips, which may be of others, is not packed again. Neither they nor the number of
    threads change a byte. A previous zip that is replaced meanwhile is still read as it was. Raises CannotRead (LB505)
    when a file is not what its entry says or such a zip was edited in place, TooLarge (LB602) from 4 GiB on.
    """
    ordered = sorted(entries, key=lambda entry: entry.path.encode())
    with writing(target) as stream, _Sources() as sources:
        earlier = [summary for summary in previous if sources.is_still(summary)]
        writer = ZipWriter(stream)
        pieces = _pieces(ordered, earlier)
        if threads is None and sum(entry.size for entry in ordered) <= INLINE_BYTES:
            packed_pieces = _packed_here(pieces, earlier, sources, target, recent)
        else:
            workers = threads or min(4, os.cpu_count() or 1)
            packed_pieces = _packed_in_order(pieces, earlier, sources, target, recent, workers)
        for piece, packed in packed_pieces:
            if packed is None:
                writer.add_run(piece.rows, piece.zip.archives, sources.get(piece.zip.path), piece.end)
            else:
                writer.add(piece, packed)
        end = writer.finish()
        sources.refuse_edited(earlier)
    return ZipSummary(
        sha256=writer.digest.hexdigest(),
        size=writer.position,
        unzipped=sum(entry.size for entry in ordered),
        path=target,
        stat=stat_of(target),
        rows=writer.rows,
        end=end,
        archives=list(writer.archives),
    )


def _pieces(entries: Sequence[Entry], previous: Sequence[ZipSummary]) -> Iterator[Entry | _Run]:
    """Yield the entries in order, those that can be copied together as one run."""
    if not previous:
        yield from entries
        return
    known = [(summary, {row.path: at for at, row in enumerate(summary.rows)}) for summary in previous]
    here = 0
    while here < len(entries):
        run = next(filter(None, (_run(entries, here, summary, places) for summary, places in known)), None)
        yield run or entries[here]
        here += run.after - run.first if run else 1


def _run(entries: Sequence[Entry], here: int, zip_: ZipSummary, places: Mapping[str, int]) -> _Run | None:
    """Return the longest run from this entry on."""
    first = after = places.get(entries[here].path, -1)
    if first < 0:
        return None
    for entry in islice(entries, here, None):
        if after == len(zip_.rows) or not _is_same(entry, zip_.rows[after], zip_.archives):
            break
        after += 1
    return _Run(zip_, first, after) if after > first else None


def _is_same(entry: Entry, row: Row, archives: Sequence[str]) -> bool:
    """Return whether it would be packed to the same bytes."""
    if row.path != entry.path or row.sha256 != entry.sha256 or row.executable != entry.executable:
        return False
    location = entry.location
    if isinstance(location, FileOnDisk):
        return row.archive is None
    return row.archive is not None and archives[row.archive] == location.archive and row.offset_there == location.offset


def stat_of(path: str | int) -> tuple[int, ...]:
    """By which a zip is known to be as it was written."""
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


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

    def is_still(self, summary: ZipSummary) -> bool:
        """Return whether a zip is as it was written. It stays open from here on, so the file may be replaced."""
        try:
            return stat_of(self.get(summary.path).fileno()) == summary.stat
        except OSError:
            return False

    def refuse_edited(self, previous: Iterable[ZipSummary]) -> None:
        for summary in previous:
            # size and mtime; ctime and the name say when it was replaced
            if stat_of(self.get(summary.path).fileno())[:2] != summary.stat[:2]:
                raise CannotRead(
                    "an earlier zip changed while it was being copied",
                    where=Span(summary.path),
                    help="run the build again",
                )


def _packed_here(
    pieces: Iterable[Entry | _Run],
    previous: Sequence[ZipSummary],
    sources: _Sources,
    target: str,
    recent: RecentContents,
) -> Iterator[tuple[Any, Packed | None]]:
    """Yield each entry with its stream and each run as it is, in order."""
    known, folder = _streams(previous), os.path.dirname(target)
    for piece in pieces:
        if isinstance(piece, _Run):
            yield piece, None
        else:
            yield piece, _copied(piece, known, sources) or _pack(piece, folder, recent)


def _streams(previous: Sequence[ZipSummary]) -> dict[str, tuple[str, Row]]:
    """Return where earlier zips have what was packed for them, by its digest."""
    return {row.sha256: (summary.path, row) for summary in previous for row in summary.rows if row.archive is None}


def _packed_in_order(
    pieces: Iterable[Entry | _Run],
    previous: Sequence[ZipSummary],
    sources: _Sources,
    target: str,
    recent: RecentContents,
    threads: int,
) -> Iterator[tuple[Any, Packed | None]]:
    """Yield the same. Packing runs ahead on threads, as far as memory is meant to go."""
    known = _streams(previous)
    waiting: deque[_Batch] = deque()
    ahead, folder = 0, os.path.dirname(target)
    with ThreadPoolExecutor(threads) as pool:
        try:
            for batch, ready in _batches(pieces, lambda entry: _copied(entry, known, sources)):
                size = 0 if ready else sum(min(entry.size, LARGE_BYTES) for entry in batch)
                waiting.append((batch, ready or pool.submit(_pack_all, batch, folder, recent), size))
                ahead += size
                while ahead > IN_FLIGHT_BYTES or len(waiting) > 1000:
                    ahead -= yield from _next(waiting)
            while waiting:
                yield from _next(waiting)
        finally:
            pool.shutdown(cancel_futures=True)


_Batch = tuple[Sequence[Any], Future[list[Packed]] | Sequence[Packed | None], int]
"""Pieces that follow one another, how each is packed, and the bytes held for them."""


def _batches(
    pieces: Iterable[Entry | _Run], copied: Callable[[Entry], Packed | None]
) -> Iterator[tuple[list[Any], list[Packed | None]]]:
    """Yield runs and what can be copied one by one, and entries to be packed in batches, because handing over a small
    one takes as long as packing it."""
    batch: list[Any] = []
    size = 0
    for piece in pieces:
        packed = None if isinstance(piece, _Run) else copied(piece)
        is_small = not isinstance(piece, _Run) and packed is None and size + piece.size <= BATCH_BYTES
        if batch and not is_small:
            yield batch, []
            batch, size = [], 0
        if isinstance(piece, _Run) or packed:
            yield [piece], [packed]
        else:
            batch.append(piece)
            size += piece.size
    if batch:
        yield batch, []


def _next(waiting: deque[_Batch]) -> Generator[tuple[Any, Packed | None], None, int]:
    """Give those that wait first; returns how many bytes they held."""
    pieces, packed, size = waiting.popleft()
    yield from zip(pieces, packed.result() if isinstance(packed, Future) else packed, strict=True)
    return size


def _pack_all(entries: Sequence[Entry], folder: str, recent: RecentContents) -> list[Packed]:
    return [_pack(entry, folder, recent) for entry in entries]


def _copied(entry: Entry, known: Mapping[str, tuple[str, Row]], sources: _Sources) -> Packed | None:
    location = entry.location
    if isinstance(location, InArchive):
        return Packed(
            location.method,
            location.crc,
            location.compressed_size,
            source=sources.get(location.archive),
            offset=location.offset,
            packed_crc=location.packed_crc,
        )
    if entry.sha256 not in known:
        return None
    path, row = known[entry.sha256]
    return Packed(row.method, row.crc, row.packed_size, source=sources.get(path), offset=row.offset)


def _pack(entry: Entry, folder: str, recent: RecentContents) -> Packed:
    assert isinstance(entry.location, FileOnDisk)
    if entry.size > LARGE_BYTES:
        with open(entry.location.path, "rb") as stream:
            return _pack_large(entry, stream, folder)
    data = recent.get(entry.sha256)
    is_read = data is None
    data = regular.read_listed(entry.location.path, entry.size + 1) if data is None else data
    if len(data) != entry.size or (is_read and hashlib.sha256(data).hexdigest() != entry.sha256):
        raise _changed(entry)
    packed = _deflate(data)
    crc = zlib.crc32(data)
    return Packed(8, crc, len(packed), packed) if len(packed) < len(data) else Packed(0, crc, len(data), data)


def _deflate(data: bytes) -> bytes | bytearray:
    import deflate

    packed: bytearray = deflate.deflate_compress(data, LEVEL)
    return packed


def _pack_large(entry: Entry, stream: IO[bytes], folder: str) -> Packed:
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
        return Packed(8, crc, written, source=temporary, only_here=True)
    temporary.close()
    assert isinstance(entry.location, FileOnDisk)
    return Packed(0, crc, read, source=open(entry.location.path, "rb"), only_here=True)


def _changed(entry: Entry) -> CannotRead:
    assert isinstance(entry.location, FileOnDisk)
    return CannotRead(
        f"{entry.path} changed while it was being packed", where=Span(entry.location.path), help="run the build again"
    )
