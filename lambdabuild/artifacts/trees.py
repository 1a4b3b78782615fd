"""Entries to a folder, for ``sam local`` and tools that want one: the content of the zip, brought up to date in place.

What is there and right is left alone; what differs is written aside and renamed. What is there and nobody here made is
neither replaced nor removed, but an error. Modes are 0644, 0755 and 0755 for
folders, whatever the umask. Only the stat of each file is kept, so a file edited by hand is seen and put right.

What packages brought is one file on disk, with a hard link in each tree of the build folder that has it. Nothing here
writes in place; when somebody else does, every tree that has the file is found to differ and is repaired.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from lambdabuild.artifacts.entries import Entry, FileOnDisk, InArchive, broken_archive
from lambdabuild.artifacts.owned import LEFTOVER, some
from lambdabuild.core import regular
from lambdabuild.core.atomic import TEMPORARY, remove, replacing, write_bytes, write_text, writing
from lambdabuild.core.errors import CannotRead, InTheWay
from lambdabuild.core.recent import NOTHING, RecentContents
from lambdabuild.core.records import Struct, field, to_json
from lambdabuild.core.spans import Span

CHUNK = 1 << 20
INLINE_BYTES = 1 << 20
"""A larger file is written by a thread of its own, if there are several."""

Row = tuple[str, int, int, int]
"""sha256 with a mark for executables, mtime in ns, size in bytes, inode."""


class TreeRecord(Struct, frozen=True):
    """The record of what was written: ``{path: row}``."""

    rows: Mapping[str, Row] = field(default_factory=dict)

    def write(self, file: str) -> None:
        write_bytes(file, to_json(self.rows, order="sorted"), flush=False)  # one that is torn is as none

    @classmethod
    def read(cls, file: str) -> TreeRecord | None:
        try:
            rows = regular.read_json(file)
            return cls({path: (str(a), int(b), int(c), int(d)) for path, (a, b, c, d) in rows.items()})
        except (OSError, ValueError, TypeError, AttributeError):
            return None


class KnownTree(Struct, frozen=True):
    """A tree, and the file that has its record. Beside that is, until it is written, what is about to enter the tree.

    So a run that is killed leaves no file of which the next does not know that it is ours.
    """

    target: str
    file: str

    @property
    def record(self) -> TreeRecord | None:
        return TreeRecord.read(self.file)

    def update(
        self, entries: Sequence[Entry], hardlinks: HardlinkPool | None = None, recent: RecentContents = NOTHING
    ) -> TreeRecord:
        """Make the folder hold exactly the entries. Raises InTheWay (LB507) for what is there and is not ours.

        What is among the ``recent`` contents is not read again.
        """
        recorded = self.record
        known = recorded.rows if recorded else {}
        announced = self._announced()
        new = [entry.path for entry in entries if entry.path not in known and entry.path not in announced]
        there = dict(_walk(self.target)) if _is_folder(self.target) else {}
        self._refuse(_strangers(self.target, there, {*known, *announced}, {entry.path: entry for entry in entries}))
        is_announced = bool(announced or (new and _is_folder(self.target)))
        if new and is_announced:
            write_text(self._announcement, json.dumps([*announced, *new]), flush=False)
        keep = partial(TreeRecord.write, file=self.file)
        record = write_tree(self.target, entries, recorded=recorded, hardlinks=hardlinks, recent=recent, keep=keep)
        if is_announced:
            remove(self._announcement)
        return record

    def strangers(self) -> list[str]:
        """Return what is in the folder that we did not make: everything, if our record is broken."""
        if not _is_folder(self.target):
            return []
        record, announced = self.record, self._announced()
        if record is None and not announced and os.path.exists(self.file):
            return []  # files that are as they are wanted are left alone, others are errors
        return _strangers(self.target, dict(_walk(self.target)), {*(record.rows if record else ()), *announced})

    def remove(self) -> list[str]:
        """Remove what we made; return what stays because we did not make it."""
        there, record = dict(_walk(self.target)) if _is_folder(self.target) else {}, self.record
        strangers = _strangers(self.target, there, {*(record.rows if record else ()), *self._announced()})
        for path in there.keys() - {*strangers}:
            _remove_with_parents(self.target, path)
        if not strangers and _is_folder(self.target):
            os.rmdir(self.target)
        remove(self.file)
        remove(self._announcement)
        return strangers

    @property
    def _announcement(self) -> str:
        return self.file + ".new"

    def _announced(self) -> list[str]:
        try:
            return [path for path in regular.read_json(self._announcement) if isinstance(path, str)]
        except (OSError, ValueError, TypeError):
            return []

    def _refuse(self, strangers: Sequence[str]) -> None:
        if strangers:
            raise InTheWay(
                f"{self.target} holds what lambdabuild did not make: {some(strangers)}",
                where=Span(self.target),
                help="move it away, or name another build_dir",
            )


class HardlinkPool:
    """Files of other trees, of which one more link can be made."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[str, Row]] = {}
        self.trees: set[str] = set()
        self.packages: set[str] = set()
        """Names of resolutions all of whose files are known."""

    def add(self, target: str, record: TreeRecord, paths: Iterable[str]) -> None:
        """Some of what was written to a tree: packages' files, not those that people edit."""
        self.trees.add(target)
        for path in paths:
            if row := record.rows.get(path):
                self._files.setdefault(row[0], (os.path.join(target, path), row))

    def link(self, entry: Entry, target: str, *, is_there: bool) -> Row | None:
        """Make the entry a link in its tree to a file with this content and mode; None when there is none."""
        twin, row = self._files.get(_mark(entry), ("", None))
        if row is None:
            return None
        try:
            if not _same(row, os.lstat(twin)):
                return None
            path = os.path.join(target, entry.path)
            if is_there:
                os.unlink(path)
            os.link(twin, path)
        except OSError:
            return None  # gone, or it has as many links as its file system allows
        return row


def write_tree(
    target: str,
    entries: Sequence[Entry],
    *,
    recorded: TreeRecord | None = None,
    hardlinks: HardlinkPool | None = None,
    threads: int | None = None,
    recent: RecentContents = NOTHING,
    keep: Callable[[TreeRecord], None] = lambda record: None,
) -> TreeRecord:
    """Make a folder of ours hold exactly the entries, whatever is in it (see ``KnownTree``); gives the next record.

    A new folder is written aside and renamed once, after ``keep`` has saved its record. In one that exists files are
    renamed, and then ``keep`` is called, so a killed run leaves a folder that the next one puts right: files are whole
    or not there.
    """
    if not _is_folder(target):
        if os.path.lexists(target):
            os.unlink(target)
        with replacing(target, os.rename) as aside:
            _make_folder(aside)
            record = _write_new(aside, entries, hardlinks, threads, recent)
            keep(record)
        return record
    _make_folder(target)
    wanted = {entry.path: entry for entry in entries}
    there = dict(_walk(target))
    _remove_surplus(target, wanted, there)
    known = recorded.rows if recorded else {}
    todo = [entry for entry in entries if not _is_right(entry, known.get(entry.path), there.get(entry.path))]
    make_folders(target, {os.path.dirname(entry.path) for entry in todo})
    rows = (
        {entry.path: hardlinks.link(entry, target, is_there=entry.path in there) for entry in todo} if hardlinks else {}
    )
    to_write = [entry for entry in todo if not rows.get(entry.path)]
    _each(lambda entry: write_entry(os.path.join(target, entry.path), entry, recent), to_write, threads)
    written = {entry.path for entry in to_write}

    def row(path: str, entry: Entry) -> Row:
        return rows.get(path) or _row(entry, os.lstat(os.path.join(target, path)) if path in written else there[path])

    record = TreeRecord({path: row(path, entry) for path, entry in wanted.items()})
    keep(record)
    return record


def _write_new(
    target: str,
    entries: Sequence[Entry],
    hardlinks: HardlinkPool | None,
    threads: int | None,
    recent: RecentContents,
) -> TreeRecord:
    """Write the entries into an empty folder of which nobody else knows so far."""
    make_folders(target, {os.path.dirname(entry.path) for entry in entries})
    wanted = {entry.path: entry for entry in entries}
    rows: dict[str, Row] = {}
    for path, entry in wanted.items():
        if hardlinks and (row := hardlinks.link(entry, target, is_there=False)):
            rows[path] = row

    def write(entry: Entry) -> None:
        rows[entry.path] = _write_file(f"{target}/{entry.path}", entry, recent)

    _each(write, [entry for path, entry in wanted.items() if path not in rows], threads)
    return TreeRecord({path: rows[path] for path in wanted})


def _write_file(path: str, entry: Entry, recent: RecentContents) -> Row:
    """Write a file that does not exist yet, in a folder that is renamed when all are written."""
    mode = 0o755 if entry.executable else 0o644
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        size = 0
        for chunk in content(entry, recent):
            size += len(chunk)
            while chunk:
                chunk = chunk[os.write(file, chunk) :]
        status = os.fstat(file)
        if stat.S_IMODE(status.st_mode) != mode:  # the umask has its say in what open makes
            os.fchmod(file, mode)
    finally:
        os.close(file)
    _refuse_changed(path, entry, size)
    return _row(entry, status)


def _each(write: Callable[[Entry], None], entries: Sequence[Entry], threads: int | None) -> None:
    """Write entries: small ones here, because handing one over takes longer than writing it, large ones on threads."""
    large = [entry for entry in entries if entry.size > INLINE_BYTES]
    if len(large) < 2:
        list(map(write, entries))
        return
    with ThreadPoolExecutor(threads or min(4, os.cpu_count() or 1)) as pool:
        written = pool.map(write, large)
        for entry in entries:
            if entry.size <= INLINE_BYTES:
                write(entry)
        list(written)


def is_intact(target: str, record: TreeRecord, digest: Callable[[str], str]) -> bool:
    """Return whether the folder holds exactly what was written.

    Names and stats are usually enough; ``digest`` (of a file, in hex) is called for files whose stat differs from the
    recorded one, because a folder that was touched, moved or restored from a cache has the same content.
    """
    if not os.path.isdir(target) or os.path.islink(target):
        return False
    there = dict(_walk(target))
    if there.keys() != record.rows.keys():
        return False
    return all(
        _same(row, there[path]) or _equal(row, there[path], os.path.join(target, path), digest)
        for path, row in record.rows.items()
    )


def _equal(row: Row, status: os.stat_result, path: str, digest: Callable[[str], str]) -> bool:
    sha256, _, is_executable = row[0].partition("+")
    mode = 0o755 if is_executable else 0o644
    if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) != mode or status.st_size != row[2]:
        return False
    return digest(path) == sha256


def _mark(entry: Entry) -> str:
    return entry.sha256 + ("+x" if entry.executable else "")


def _row(entry: Entry, status: os.stat_result) -> Row:
    return _mark(entry), status.st_mtime_ns, status.st_size, status.st_ino


def _same(row: Row, status: os.stat_result) -> bool:
    mode = 0o755 if row[0].endswith("+x") else 0o644
    return (
        row[1:] == (status.st_mtime_ns, status.st_size, status.st_ino)
        and stat.S_ISREG(status.st_mode)
        and stat.S_IMODE(status.st_mode) == mode
    )


def _is_right(entry: Entry, row: Row | None, status: os.stat_result | None) -> bool:
    return row is not None and status is not None and row[0] == _mark(entry) and _same(row, status)


def _walk(folder: str, inside: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Every file with its stat; empty folders are given too, as what should not be there."""
    with os.scandir(folder) as scanned:
        entries = list(scanned)
    if inside and not entries:
        yield inside, os.lstat(folder)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, inside + entry.name + "/")
        else:
            yield inside + entry.name, entry.stat(follow_symlinks=False)


def _remove_surplus(target: str, wanted: Mapping[str, Entry], there: Mapping[str, os.stat_result]) -> None:
    for path in there.keys() - wanted.keys():
        _remove_with_parents(target, path)


def _remove_with_parents(target: str, path: str) -> None:
    """Remove a file, or an empty folder, and the folders that are empty without it."""
    full = os.path.join(target, path)
    if path.endswith("/"):
        os.rmdir(full)
    else:
        os.unlink(full)
    parent = os.path.dirname(path.rstrip("/"))
    while parent:
        try:
            os.rmdir(os.path.join(target, parent))
        except OSError:
            break
        parent = os.path.dirname(parent)


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _strangers(
    target: str, there: Mapping[str, os.stat_result], ours: Collection[str], wanted: Mapping[str, Entry] | None = None
) -> list[str]:
    """Return what is in a folder that is not ours. A file that is already as ``wanted`` counts as ours."""

    def is_ours(path: str) -> bool:
        if path.endswith("/"):
            return any(owned.startswith(path) for owned in ours)
        return path in ours or (bool(TEMPORARY.search(path)) and TEMPORARY.sub("", path) in ours)

    def is_as_wanted(path: str) -> bool:
        entry = wanted.get(path) if wanted else None
        return entry is not None and _is_equal(entry, there[path], os.path.join(target, path))

    return [path for path in there if not (is_ours(path) or LEFTOVER.search(path) or is_as_wanted(path))]


def _is_equal(entry: Entry, status: os.stat_result, path: str) -> bool:
    if not stat.S_ISREG(status.st_mode) or status.st_size != entry.size:
        return False
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == entry.sha256


def make_folders(target: str, folders: Iterable[str], *, are_ours: bool = True) -> None:
    """Make folders, relative to the target, and their parents. One that exists gets our mode only if it is ours."""
    wanted: set[str] = set()
    for folder in folders:
        while folder and folder not in wanted:
            wanted.add(folder)
            folder = os.path.dirname(folder)
    for folder in sorted(wanted):
        _make_folder(os.path.join(target, folder), is_ours=are_ours)


def _make_folder(path: str, *, is_ours: bool = True) -> None:
    try:
        os.mkdir(path)
    except FileExistsError:
        if not os.path.isdir(path) or os.path.islink(path):
            raise
        if not is_ours:
            return
    if stat.S_IMODE(os.stat(path).st_mode) != 0o755:
        os.chmod(path, 0o755)


def write_entry(path: str, entry: Entry, recent: RecentContents = NOTHING) -> None:
    with writing(path, 0o755 if entry.executable else 0o644, flush=False) as stream:
        size = 0
        for chunk in content(entry, recent):
            size += len(chunk)
            stream.write(chunk)
    _refuse_changed(path, entry, size)


def _refuse_changed(path: str, entry: Entry, size: int) -> None:
    if size != entry.size:
        raise CannotRead(
            f"{entry.path} changed while it was being copied", where=Span(path), help="run the build again"
        )


def content(entry: Entry, recent: RecentContents = NOTHING) -> Iterator[bytes]:
    """Yield the bytes of an entry, a chunk at a time."""
    location, known = entry.location, recent.get(entry.sha256)
    if known is not None:
        yield known
        return
    if isinstance(location, FileOnDisk) and entry.size <= INLINE_BYTES:
        yield regular.read_listed(location.path, entry.size + 1)
        return
    if isinstance(location, FileOnDisk):
        with open(location.path, "rb", opener=regular.opener) as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
        return
    of_packed = location.packed_crc is not None  # of fewer bytes than the other, and says as much
    crc, unpack = 0, zlib.decompressobj(-15)
    try:
        for packed in _packed(location):
            crc = zlib.crc32(packed, crc) if of_packed else crc
            data = packed if location.method == 0 else unpack.decompress(packed, CHUNK)
            while data:
                crc = crc if of_packed else zlib.crc32(data, crc)
                yield data
                data = b"" if location.method == 0 else unpack.decompress(unpack.unconsumed_tail, CHUNK)
    except zlib.error as error:
        raise broken_archive(entry) from error
    if crc != (location.packed_crc if of_packed else location.crc):
        raise broken_archive(entry)


def _packed(location: InArchive) -> Iterator[bytes]:
    """Yield the stream as it is stored in the archive."""
    with open(location.archive, "rb", opener=regular.opener) as stream:
        stream.seek(location.offset)
        left = location.compressed_size
        while left and (packed := stream.read(min(CHUNK, left))):
            left -= len(packed)
            yield packed
