"""A zip archive as entries: what is inside, where each stream is stored, and the digest of its content.

The archive is read through once, which also checks every CRC; what was found is kept in a small index next to it. An
index is believed when it is whole and the archive has the very stat that it had then: who can write into the folder
where both are (CI brings it back from a job that is trusted less) cannot choose an inode and a change time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any, BinaryIO

from lambdabuild.artifacts.entries import Entry, InArchive
from lambdabuild.core import regular
from lambdabuild.core.atomic import write_text
from lambdabuild.core.errors import HashMismatch
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Span
from lambdabuild.files.watch import window

FORMAT = 2
LOCAL_HEADER = struct.Struct("<4s5H3L2H")
STORED, DEFLATED = 0, 8
DRIVE = re.compile(r"[A-Za-z]:")


def archive_entries(path: str, index: str | None = None) -> tuple[Entry, ...]:
    """Every file of a zip, in the archive's order. ``index`` is the file that remembers them.

    Raises HashMismatch (LB404) for an archive that is broken, encrypted, or packed in a way Lambda cannot read.
    """
    known, read_at = _stat(path), time.time_ns()
    rows = _read_index(index, known) if index else None
    if rows is None:
        rows = _read_archive(path)
        if index:
            _write_index(index, {"format": FORMAT, "stat": known, "read_at": read_at, "entries": rows})
    return tuple(
        Entry(name, bool(executable), length, sha256, InArchive(path, *place))
        for name, executable, length, sha256, *place in rows
    )


def lying_in(path: str, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return the same entries, with their bytes in a zip that was made of them."""
    with zipfile.ZipFile(path) as archive, open(path, "rb", opener=regular.opener) as stream:
        places = {
            info.filename: InArchive(path, _offset(stream, info), info.compress_size, info.compress_type, info.CRC)
            for info in archive.infolist()
        }
    return tuple(replace(entry, location=places[entry.path]) for entry in entries)


def _offset(stream: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Return the offset of an entry's stream, in bytes."""
    stream.seek(info.header_offset)
    header = LOCAL_HEADER.unpack(stream.read(LOCAL_HEADER.size))
    return info.header_offset + LOCAL_HEADER.size + int(header[9]) + int(header[10])


def _stat(path: str) -> list[int]:
    status = os.stat(path)
    return [status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino]


def _write_index(index: str, data: dict[str, Any]) -> None:
    text = json.dumps(data)
    write_text(index, f"{_checksum(text)}\n{text}", flush=False)  # one that is torn is as good as none


def _read_index(index: str, known: list[int]) -> list[Any] | None:
    try:
        with open(index, encoding="utf-8", opener=regular.opener) as stream:
            checksum, _, text = stream.read().partition("\n")
        if checksum != _checksum(text):
            return None
        data = regular.json(text)
        fits = data["format"] == FORMAT and data["stat"] == known
        is_settled = max(known[:2]) < data["read_at"] - window(known[0])
        return list(data["entries"]) if fits and is_settled else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read_archive(path: str) -> list[Any]:
    try:
        with zipfile.ZipFile(path) as archive, open(path, "rb", opener=regular.opener) as stream:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            names = [_inside(path, info.filename) for info in infos]
            twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
            if twice:
                raise _broken(path, f"it holds {sorted(twice)[0]!r} twice")
            return [_row(path, archive, info, name, stream) for info, name in zip(infos, names, strict=True)]
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error) as error:
        raise _broken(path, str(error)) from error


def _inside(path: str, name: str) -> str:
    """Return an entry's name as every unpacker reads it: ``a//b/./c`` is ``a/b/c``.

    Raises HashMismatch if it leads out.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or "\\" in name or ".." in parts or DRIVE.match(name) or not parts or not _is_text(name):
        raise _broken(path, f"the name {name!a} leads out of it, or is none")
    return "/".join(parts)


def _is_text(name: str) -> bool:
    try:
        return b"\0" not in name.encode()
    except UnicodeEncodeError:
        return False


def _row(path: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, stream: Any) -> list[Any]:
    if info.flag_bits & 1:
        raise _broken(path, f"{name!r} is encrypted")
    if info.compress_type not in (STORED, DEFLATED):
        raise _broken(path, f"{name!r} is packed by method {info.compress_type}, which Lambda cannot unpack")
    digest = hashlib.sha256()
    with archive.open(info) as member:
        while chunk := member.read(1 << 18):
            digest.update(chunk)
    offset = _offset(stream, info)
    unix = info.create_system == 3
    executable = unix and bool((info.external_attr >> 16) & stat.S_IXUSR)
    about = [name, int(executable), info.file_size, digest.hexdigest()]
    packed_crc = _packed_crc(stream, offset, info.compress_size)
    return [*about, offset, info.compress_size, info.compress_type, info.CRC, packed_crc]


def _packed_crc(stream: BinaryIO, offset: int, size: int) -> int:
    stream.seek(offset)
    crc = 0
    while size and (chunk := stream.read(min(size, 1 << 18))):
        crc, size = zlib.crc32(chunk, crc), size - len(chunk)
    return crc


def _broken(path: str, why: str) -> HashMismatch:
    return HashMismatch(
        f"the archive {os.path.basename(path)} cannot be used: {why}",
        where=Span(path),
        help="remove the file, so that it is fetched again; if it stays so, the package itself is broken",
    )
