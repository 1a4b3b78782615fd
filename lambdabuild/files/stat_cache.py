"""Digests of files and folders, remembered by stat, so that nothing is read twice that did not change.

An entry is trusted when the file's (mtime, ctime, size, inode) are those it had and the file was not touched so shortly
before it was read that a later write could bear the same time (git calls such entries racy). A file that was
touched but has its old content is read once more and then remembered with its new stat.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import threading
import time
from binascii import crc32
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lambdabuild import regular
from lambdabuild.files import aside
from lambdabuild.files.watch import Seen, window

FORMAT = 4
PARTS = 64
CHUNK = 1 << 20
Stat = tuple[int, int, int, int]


def signature(stat: os.stat_result) -> Stat:
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino


class StatCache:
    """Digests by path. Loading and saving cost one file; a broken or foreign file is an empty cache.

    Safe to use from threads; ``save`` writes aside and renames. With ``paranoid`` no entry is trusted.
    """

    def __init__(self, file: str, *, paranoid: bool = False, clock: Callable[[], int] = time.time_ns) -> None:
        self._file = file
        self._paranoid = paranoid
        self._clock = clock
        self._lock = threading.Lock()
        self._dirty = False
        self._watched = threading.local()
        self._files: _Files
        self._folders: dict[str, tuple[bytes, int, str]]
        self._facts: dict[str, Any]
        self._files, self._folders, self._facts = _load(file)

    def digest(self, path: str, stat: os.stat_result | None = None) -> str:
        """The sha256 of a file's bytes, in hex. Raises OSError."""
        self.saw(path)
        now = signature(stat or os.stat(path))
        known = self._files.beside(path).get(path)
        if known and known[0] == now and not self._paranoid and _settled(now, known[1]):
            return known[2]
        read_at = self._clock()
        value = sha256_of(path)
        with self._lock:
            self._files.put(path, (now, read_at, value))
            self._dirty = True
        return value

    @contextmanager
    def watched(self) -> Iterator[Seen]:
        """All that this thread looks at meanwhile."""
        seen = self._watched.seen = Seen()
        try:
            yield seen
        finally:
            self._watched.seen = None

    def saw(self, path: str) -> None:
        """That a file was looked at, or looked for."""
        seen: Seen | None = getattr(self._watched, "seen", None)
        if seen is not None:
            seen.add(path)

    def saw_listing(self, folders: tuple[str, ...], files: Iterator[str]) -> None:
        """That names were read in folders, and files were looked at."""
        seen: Seen | None = getattr(self._watched, "seen", None)
        if seen is not None:
            for folder in folders:
                seen.add_folder(folder)
            for file in files:
                seen.add(file)

    def folder(self, key: str, stats: list[tuple[Any, ...]], newest_ns: int, compute: Callable[[], str]) -> str:
        """The digest of a folder whose files have these stats; ``compute`` is asked only when they changed."""
        now = hashlib.blake2b(marshal.dumps(stats, 2), digest_size=16).digest()
        known = self._folders.get(key)
        if known and known[0] == now and not self._paranoid and newest_ns < known[1] - window(newest_ns):
            return known[2]
        read_at = self._clock()
        value = compute()
        with self._lock:
            self._folders[key] = (now, read_at, value)
            self._dirty = True
        return value

    def fact(self, key: str, compute: Callable[[], Any]) -> Any:
        """Something that follows from the key alone (a key holds a digest or a stat), worked out once."""
        if key not in self._facts:
            value = compute()
            with self._lock:
                self._facts[key] = value
                self._dirty = True
        return self._facts[key]

    def learn(self, key: str, value: Any) -> None:
        """A fact that may be another than before."""
        with self._lock:
            self._dirty |= self._facts.get(key) != value
            self._facts[key] = value

    def save(self) -> None:
        """Write what was learnt; a disk that is full or read-only only costs time later."""
        with self._lock:
            if not self._dirty:
                return
            self._dirty = False
            data = marshal.dumps((FORMAT, self._files.packed(), self._folders, self._facts), 2)
        aside.write(self._file, data)


class _Files:
    """Digests by path, in parts: a run that asks about one folder decodes and encodes the part that this is in."""

    def __init__(self, packed: list[bytes]) -> None:
        self._packed = packed
        self._parts: dict[int, dict[str, tuple[Stat, int, str]]] = {}
        self._changed: set[int] = set()

    def beside(self, path: str) -> dict[str, tuple[Stat, int, str]]:
        """What is known of the files of a path's folder, and of others."""
        number = _part(path)
        if number not in self._parts:
            packed = self._packed[number]
            self._parts[number] = marshal.loads(packed) if packed else {}
        return self._parts[number]

    def put(self, path: str, entry: tuple[Stat, int, str]) -> None:
        self.beside(path)[path] = entry
        self._changed.add(_part(path))

    def packed(self) -> list[bytes]:
        for number in self._changed:
            self._packed[number] = marshal.dumps(self._parts[number], 2)
        self._changed.clear()
        return self._packed


def _part(path: str) -> int:
    return crc32(os.path.dirname(path).encode(errors="surrogateescape")) % PARTS


def sha256_of(path: str) -> str:
    """The sha256 of a file's bytes, in hex, in constant memory."""
    with open(path, "rb", opener=regular.opener) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _settled(stat: Stat, read_at: int) -> bool:
    newest = max(stat[0], stat[1])
    return newest < read_at - window(stat[0])


def _load(file: str) -> tuple[_Files, dict[str, Any], dict[str, Any]]:
    try:
        with open(file, "rb", opener=regular.opener) as stream:
            version, files, folders, facts = marshal.loads(stream.read())
        if version == FORMAT:
            return _Files(files), folders, facts
    except (OSError, ValueError, EOFError, TypeError):
        pass
    return _Files([b""] * PARTS), {}, {}
