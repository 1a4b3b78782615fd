"""How much the machine's folder holds, and what goes when it is too much: first what was not used for longest."""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from lambdabuild.cache.folder import BLOBS, RECORDS, TEMPORARY, UNFINISHED, FolderCache, cannot_write, discard
from lambdabuild.core.errors import InTheWay
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span

NAME = re.compile(r"[0-9a-f]{64}")
"""How records and blobs are called; whatever else lies in their folders is not ours."""
ROOM = 0.8
"""How full a folder is left that was too full, so that not every run has to make room."""


class Entry(Struct, frozen=True):
    """A file of the folder; ``used`` is when it last was, in seconds."""

    path: str
    size: int
    used: float


def entries(folder: str, kind: str) -> Iterator[Entry]:
    """Yield all records ("ac") or blobs ("cas"), in no order; what goes meanwhile is passed over."""
    for part in _listed(os.path.join(folder, kind)):
        for file in _listed(part.path):
            try:
                status = file.stat(follow_symlinks=False)
            except OSError:
                continue
            if NAME.fullmatch(file.name) and file.name[:2] == part.name and stat.S_ISREG(status.st_mode):
                yield Entry(file.path, status.st_size, status.st_mtime)


def size(folder: str) -> int:
    """Return how many bytes records and blobs have together."""
    return sum(entry.size for entry in _all(folder))


def trim(cache: FolderCache, max_bytes: int) -> int:
    """Account for what was put; make room when it became too much. Return how many bytes were freed.

    One process at a time does it; the others go on. The lock is the kernel's, so a killed one leaves none.
    """
    put, cache.put_bytes = cache.put_bytes, 0
    with size_file(cache.folder) as file:
        if file is None:
            cache.put_bytes += put
            return 0
        written = os.pread(file, 20, 0)
        total = int(written) + put if written.isdigit() else size(cache.folder)
        freed = 0
        if max_bytes and total > max_bytes:
            freed, total = _evict(cache.folder, max_bytes)
        _write_down(file, total)
        return freed


def collect(folder: str, max_bytes: int, older_than: float) -> int:
    """Remove what was not used since a time (in seconds), then the rest that is too much; return the bytes freed."""
    with size_file(folder, wait=True) as file:
        assert file is not None
        old = [entry for entry in _all(folder) if entry.used < older_than]
        for entry in old:
            discard(entry.path)
        freed, total = _evict(folder, max_bytes) if max_bytes else (0, size(folder))
        _write_down(file, total)
        return freed + sum(entry.size for entry in old)


def sweep(folder: str) -> None:
    """Remove what killed processes were writing: those that are gone, here and wherever else the folder is used."""
    for file in _listed(os.path.join(folder, UNFINISHED)):
        name = TEMPORARY.fullmatch(file.name)
        if name and not _is_running(int(name[1])) and _is_unlocked(file.path):
            discard(file.path)


@contextmanager
def size_file(folder: str, *, wait: bool = False) -> Iterator[int | None]:
    """Give the file in which the folder's size is written, locked; None when another process has it."""
    try:
        os.makedirs(folder, exist_ok=True)
        file = os.open(os.path.join(folder, "size"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        _refuse_others(folder, os.pread(file, 20, 0))
        yield file
    except BlockingIOError:
        yield None
    finally:
        os.close(file)


def _refuse_others(folder: str, content: bytes) -> None:
    """Raise InTheWay (LB507) unless the file called size is the one in which the folder's is written."""
    if content and not content.isdigit():
        path = os.path.join(folder, "size")
        raise InTheWay(
            f"lambdabuild did not make {path}, where the cache's size is to be written",
            where=Span(path),
            help="move it away, or name another folder with cache.dir",
        )


def _write_down(file: int, total: int) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, str(total).encode(), 0)


def _evict(folder: str, max_bytes: int) -> tuple[int, int]:
    """Remove what was used least lately; return how many bytes were freed, and how many are left."""
    by_use = sorted(_all(folder), key=lambda entry: entry.used)
    total = left = sum(entry.size for entry in by_use)
    if total <= max_bytes:
        return 0, total
    for entry in by_use:
        if left <= max_bytes * ROOM:
            break
        discard(entry.path)
        left -= entry.size
    return total - left, left


def _all(folder: str) -> Iterator[Entry]:
    for kind in (RECORDS, BLOBS):
        yield from entries(folder, kind)


def _is_unlocked(path: str) -> bool:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(file)
    return True


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _listed(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as files:
            return list(files)
    except OSError:
        return []
