"""Digests of files and folders, remembered by stat, so that nothing is read twice that did not change.

An entry is trusted when the file's (mtime, ctime, size, inode) are those it had and the file was not touched so shortly
before it was read that a later write could bear the same time (git calls such entries racy). A file that was
touched but has its old content is read once more and then remembered with its new stat.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from binascii import crc32
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from marshal import dumps  # to be digested only: nothing that others may have written is read by it
from typing import Any

from lambdabuild.core import regular
from lambdabuild.files import sealed
from lambdabuild.files.watch import Seen, window

MARK = "lambdabuild stats 5"
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
        self._folders: dict[str, tuple[str, int, str]]
        self._facts: dict[str, Any]
        self._files, self._folders, self._facts = _load(file)

    def digest(self, path: str, stat: os.stat_result | None = None) -> str:
        """Return the sha256 of a file's bytes, in hex. Raises OSError."""
        self.saw(path)
        now = signature(stat or os.stat(path))
        known = self._files.get(path)
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
        """Return the digest of a folder whose files have these stats; ``compute`` is called only when they changed."""
        now = hashlib.blake2b(dumps(stats, 2), digest_size=16).hexdigest()
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
            head = {"folders": self._folders, "facts": self._facts}
            sealed.write(self._file, MARK, head, self._files.packed())


class _Files:
    """Digests by path, in parts: a run that asks about one folder decodes and encodes the part that this is in.

    A part is text, path and entry by turns with a NUL between; an entry is six words, read when it is asked for.
    """

    def __init__(self, packed: list[bytes]) -> None:
        self._packed = packed
        self._parts: dict[int, dict[str, str]] = {}
        self._changed: set[int] = set()

    def get(self, path: str) -> tuple[Stat, int, str] | None:
        entry = self.beside(path).get(path)
        if entry is None:
            return None
        try:
            mtime, ctime, size, inode, read_at, sha256 = entry.split(" ")
            return (int(mtime), int(ctime), int(size), int(inode)), int(read_at), sha256
        except ValueError:
            return None

    def put(self, path: str, entry: tuple[Stat, int, str]) -> None:
        stat, read_at, sha256 = entry
        self.beside(path)[path] = f"{stat[0]} {stat[1]} {stat[2]} {stat[3]} {read_at} {sha256}"
        self._changed.add(_part(path))

    def packed(self) -> list[bytes]:
        for number in self._changed:
            words = chain.from_iterable(self._parts[number].items())
            self._packed[number] = "\0".join(words).encode("utf-8", "surrogateescape")
        self._changed.clear()
        return self._packed

    def beside(self, path: str) -> dict[str, str]:
        """Return what is known of the files in a path's folder, and of others."""
        number = _part(path)
        if number not in self._parts:
            words = self._packed[number].decode("utf-8", "surrogateescape").split("\0")
            self._parts[number] = dict(zip(words[::2], words[1::2], strict=False))
        return self._parts[number]


def _part(path: str) -> int:
    return crc32(os.path.dirname(path).encode(errors="surrogateescape")) % PARTS


def sha256_of(path: str) -> str:
    """Return the sha256 of a file's bytes, in hex, in constant memory."""
    with open(path, "rb", opener=regular.opener) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _settled(stat: Stat, read_at: int) -> bool:
    newest = max(stat[0], stat[1])
    return newest < read_at - window(stat[0])


def _load(file: str) -> tuple[_Files, dict[str, Any], dict[str, Any]]:
    try:
        head, files = sealed.read(file, MARK)
        folders, facts = head["folders"], head["facts"]
        fits = isinstance(facts, dict) and isinstance(folders, dict) and all(map(_is_folder, folders.values()))
        if len(files) == PARTS and fits:
            return _Files(files), folders, facts
    except (OSError, ValueError, TypeError, KeyError):
        pass
    return _Files([b""] * PARTS), {}, {}


def _is_folder(entry: Any) -> bool:
    return isinstance(entry, list) and [type(one) for one in entry] == [str, int, str]
