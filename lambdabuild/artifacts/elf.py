"""Native files as a loader sees them: which may be stripped, and is a stripped one still the same to it? Pure.

The layout is that of the System V ABI, chapters 4 and 5: https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

MAGIC = b"\x7fELF\x02\x01"
"""64 bits, least byte first: what Lambda's processors have."""
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
PROGRAM, SHARED = 2, 3
LOAD, HAS_NO_BYTES = 1, 8


class _Header(NamedTuple):
    ident: bytes
    kind: int
    machine: int
    version: int
    entry: int
    segments_at: int
    sections_at: int
    flags: int
    size: int
    segment_size: int
    segment_count: int
    section_size: int
    section_count: int
    names: int


class _Segment(NamedTuple):
    kind: int
    flags: int
    offset: int
    address: int
    physical: int
    size: int
    in_memory: int
    alignment: int


def can_be_stripped(data: bytes) -> bool:
    """Return whether this is a program or shared object with nothing appended (some programs carry an archive)."""
    try:
        header = _header(data)
        ends = [header.sections_at + header.section_size * header.section_count]
        ends += [segment.offset + segment.size for segment in _segments(data, header)]
        ends += _section_ends(data, header)
    except (struct.error, ValueError):
        return False
    return header.kind in (PROGRAM, SHARED) and header.sections_at > 0 and len(data) <= max(ends)


def loads_the_same(before: bytes, after: bytes) -> bool:
    """Return whether the loader maps the same bytes to the same addresses, each at an offset that may be mapped.

    A tool may change a file's layout, as patchelf does, and has broken some files that way: what is loaded must be
    equal except for the fields that say where in the file things are.
    """
    try:
        return _loaded(before) == _loaded(after)
    except (struct.error, ValueError):
        return False


def _loaded(data: bytes) -> list[object]:
    header = _header(data)
    segments = list(_segments(data, header))
    table = header.segments_at, header.segments_at + header.segment_size * header.segment_count
    loaded: list[object] = [(header.kind, header.machine, header.entry)]
    loaded += [segment._replace(offset=0) for segment in segments]
    for segment in segments:
        if segment.kind == LOAD:
            if segment.alignment > 1 and (segment.address - segment.offset) % segment.alignment:
                raise ValueError("it cannot be mapped")
            loaded.append(_without_places(data, segment, (0, HEADER.size), table))
    return loaded


def _without_places(data: bytes, segment: _Segment, *tables: tuple[int, int]) -> bytes:
    """Return a segment's bytes but for the file's header and the table of segments, which are compared by meaning."""
    content = bytearray(data[segment.offset : segment.offset + segment.size])
    for start, end in tables:
        first, last = max(start - segment.offset, 0), min(end - segment.offset, len(content))
        if first < last:
            content[first:last] = bytes(last - first)
    return bytes(content)


def _header(data: bytes) -> _Header:
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("no ELF file of 64 bits")
    return _Header(*HEADER.unpack_from(data))


def _segments(data: bytes, header: _Header) -> Iterator[_Segment]:
    for number in range(header.segment_count):
        yield _Segment(*struct.unpack_from("<IIQQQQQQ", data, header.segments_at + number * header.segment_size))


def _section_ends(data: bytes, header: _Header) -> Iterator[int]:
    for number in range(header.section_count):
        at = header.sections_at + number * header.section_size
        _, kind, _, _, offset, size, *_ = struct.unpack_from("<IIQQQQIIQQ", data, at)
        yield offset if kind == HAS_NO_BYTES else offset + size
