"""Digests of files and folders, remembered by stat, so that nothing is read twice that did not change.

An entry is trusted when the file's (mtime, ctime, size, inode) are those it had and the file was not touched so shortly
before it was read that a later write could have the same time (git calls such entries racy). A file that was
touched but has its old content is read once more and then remembered with its new stat.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from binascii import crc32
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from marshal import dumps  # to be digested only: nothing that others may have written is read by it
from typing import Any

from lambdabuild.core import regular
from lambdabuild.core.recent import CONTENTS_BYTES, SMALL_BYTES, Recent, RecentContents
from lambdabuild.core.store import sha256_of
from lambdabuild.files import sealed
from lambdabuild.files.watch import DependencyTrace, window

MARK = "lambdabuild stats 6"
PARTS = 64
CHUNK = 1 << 20
Stat = tuple[int, int, int, int]
"""Modification and change time in ns, size in bytes, inode."""


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
        self.recent: RecentContents = Recent(CONTENTS_BYTES)
        """What was read just now, so that whoever packs or copies it need not read it again."""
        self._files: _Files
        self._folders: dict[str, tuple[str, int, str]]
        self._metadata: dict[str, Any]
        self._files, self._folders, self._metadata = _load(file)

    def digest(self, path: str, stat: os.stat_result | None = None) -> str:
        """Return the sha256 of a file's bytes, in hex. Raises OSError."""
        self.record(path)
        return self._digest(path, stat or os.stat(path))

    def digests(self, files: Iterable[tuple[str, os.stat_result]]) -> list[str]:
        """Return the digests of files that somebody has listed, whose folders were recorded (``record_listing``)."""
        digest = self._digest
        return [digest(path, stat) for path, stat in files]

    def _digest(self, path: str, stat: os.stat_result) -> str:
        now = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
        known = self._files.get(path)
        if known and known[0] == now and not self._paranoid and _settled(now, known[1]):
            return known[2]
        read_at = self._clock()
        value = self._read(path, stat.st_size)
        self._files.put(path, (now, read_at, value))  # one operation on a dict, which needs no lock
        self._dirty = True
        return value

    def _read(self, path: str, size: int) -> str:
        """Return the digest of a file's bytes, and keep those of a small one for the steps that follow."""
        if size > SMALL_BYTES:
            return sha256_of(path)
        data = regular.read_listed(path, SMALL_BYTES + 1)
        if len(data) > SMALL_BYTES:  # it has grown
            return sha256_of(path)
        value = hashlib.sha256(data).hexdigest()
        self.recent.keep(value, data, len(data))
        return value

    @contextmanager
    def watched(self) -> Iterator[DependencyTrace]:
        """Trace all that this thread looks at until the block ends."""
        trace = self._watched.trace = DependencyTrace()
        try:
            yield trace
        finally:
            self._watched.trace = None

    def record(self, path: str) -> None:
        """Record that a file was looked at, or looked for."""
        trace: DependencyTrace | None = getattr(self._watched, "trace", None)
        if trace is not None:
            trace.add(path)

    def record_listing(self, folders: tuple[str, ...], files: Iterable[tuple[str, bool]]) -> None:
        """Record that the names in folders were read, and that files were looked at, each with whether it is a link."""
        trace: DependencyTrace | None = getattr(self._watched, "trace", None)
        if trace is not None:
            for folder in folders:
                trace.add_folder(folder)
            trace.add_listed(files)

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

    def metadata(self, key: str, compute: Callable[[], Any]) -> Any:
        """Return what follows from the key alone (it holds a digest or a stat); ``compute`` is called once."""
        if key not in self._metadata:
            value = compute()
            with self._lock:
                self._metadata[key] = value
                self._dirty = True
        return self._metadata[key]

    def learn(self, key: str, value: Any) -> None:
        """Replace the metadata of a key."""
        with self._lock:
            self._dirty |= self._metadata.get(key) != value
            self._metadata[key] = value

    def set_aside(self) -> None:
        """Pack what was learnt of files until somebody asks for all (``learnt``, ``save``): it takes less memory."""
        with self._lock:
            self._files.set_aside()

    def learnt(self) -> dict[str, Any]:
        """Return what this process has learnt of files and folders, for the process that it was forked from."""
        with self._lock:
            return {"files": self._files.new(), "folders": dict(self._folders)}

    def add(self, news: Mapping[str, Any]) -> None:
        """Take over what a fork has ``learnt``."""
        with self._lock:
            self._files.add(news.get("files", {}))
            self._folders.update(news.get("folders", {}))
            self._dirty |= bool(news)

    def save(self) -> None:
        """Save what was learnt; if the disk is full or read-only, this only costs time later."""
        with self._lock:
            if not self._dirty:
                return
            self._dirty = False
            head = {"folders": self._folders, "metadata": self._metadata}
            sealed.write(self._file, MARK, head, self._files.packed())


class _Files:
    """Digests by path, in parts: a run that asks about one folder decodes and encodes the part that this is in.

    A part is text, path and entry by turns with a NUL between; an entry is six words, read when it is asked for. What
    this run has put is encoded when it is saved.
    """

    def __init__(self, packed: list[bytes]) -> None:
        self._packed = packed
        self._parts: dict[int, dict[str, str]] = {}
        self._new: dict[str, tuple[Stat, int, str]] = {}
        self._aside: dict[int, list[bytes]] = defaultdict(list)

    def get(self, path: str) -> tuple[Stat, int, str] | None:
        new = self._new.get(path)
        if new is not None:
            return new
        entry = self.part_of(path).get(path)
        if entry is None:
            return None
        try:
            mtime, ctime, size, inode, read_at, sha256 = entry.split(" ")
            return (int(mtime), int(ctime), int(size), int(inode)), int(read_at), sha256
        except ValueError:
            return None

    def put(self, path: str, entry: tuple[Stat, int, str]) -> None:
        self._new[path] = entry

    def set_aside(self) -> None:
        """Pack what was put. It is not found any more."""
        new, self._new = self._new, {}
        parts: dict[int, list[str]] = defaultdict(list)
        for path, (stat, read_at, sha256) in new.items():
            parts[_part(path)] += (path, f"{stat[0]} {stat[1]} {stat[2]} {stat[3]} {read_at} {sha256}")
        for number, words in parts.items():
            self._aside[number].append(_packed(words))

    def new(self) -> dict[int, bytes]:
        """Return what was put since the last time, packed, by part."""
        self.set_aside()
        aside, self._aside = self._aside, defaultdict(list)
        return {number: b"\0".join(parts) for number, parts in aside.items()}

    def add(self, news: Mapping[int, bytes]) -> None:
        """Take over what another has put; a part of which nothing was known is not unpacked for that."""
        for number, packed in news.items():
            if self._packed[number] or number in self._parts:
                self._part(number).update(_unpacked(packed))
                self._packed[number] = _packed(chain.from_iterable(self._parts[number].items()))
            else:
                self._packed[number] = packed

    def packed(self) -> list[bytes]:
        self.add(self.new())
        return self._packed

    def part_of(self, path: str) -> dict[str, str]:
        """Return the entries of the part that holds this path."""
        return self._part(_part(path))

    def _part(self, number: int) -> dict[str, str]:
        if number not in self._parts:
            self._parts[number] = _unpacked(self._packed[number])
        return self._parts[number]


def _packed(words: Iterable[str]) -> bytes:
    return "\0".join(words).encode("utf-8", "surrogateescape")


def _unpacked(part: bytes) -> dict[str, str]:
    words = part.decode("utf-8", "surrogateescape").split("\0")
    return dict(zip(words[::2], words[1::2], strict=False))


def _part(path: str) -> int:
    return _part_of_folder(path[: path.rfind(os.sep)])


@lru_cache(maxsize=256)
def _part_of_folder(folder: str) -> int:
    return crc32(folder.encode(errors="surrogateescape")) % PARTS


def _settled(stat: Stat, read_at: int) -> bool:
    newest = max(stat[0], stat[1])
    return newest < read_at - window(stat[0])


def _load(file: str) -> tuple[_Files, dict[str, Any], dict[str, Any]]:
    try:
        head, files = sealed.read(file, MARK)
        folders, metadata = head["folders"], head["metadata"]
        fits = isinstance(metadata, dict) and isinstance(folders, dict) and all(map(_is_folder, folders.values()))
        if len(files) == PARTS and fits:
            return _Files(files), folders, metadata
    except (OSError, ValueError, TypeError, KeyError):
        pass
    return _Files([b""] * PARTS), {}, {}


def _is_folder(entry: Any) -> bool:
    return isinstance(entry, list) and [type(value) for value in entry] == [str, int, str]
