"""The cache of a machine: a folder that all projects and checkouts share, laid out as Bazel's ``--disk_cache`` is.

    ac/ab/<key>      records          cas/ab/<sha256>   blobs          tmp/   what is not whole yet

Files are written aside and renamed, so no lock guards them, and a kill leaves at most a file in ``tmp``. What is used
is touched; what was not for the longest time goes first when there is too much.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from lambdabuild.cache.cache import CHUNK, Digest, Sink
from lambdabuild.core.errors import CacheFailed, InTheWay
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span

RECORDS, BLOBS, UNFINISHED = "ac", "cas", "tmp"
NAME = re.compile(r"[0-9a-f]{64}")
"""How records and blobs are called; whatever else lies in their folders is not ours."""
TEMPORARY = re.compile(r"(\d+)\.[^.]+\.lambdabuild")
"""How files in ``tmp`` are called: by the process that writes them, which holds a lock on them meanwhile."""
ROOM = 0.8
"""How full a folder is left that was too full, so that not every run has to make room."""
FICLONE = 0x40049409
"""Share a file's blocks until one of both is written to (linux/fs.h); btrfs, xfs and others have it."""


class Entry(Struct, frozen=True):
    """A file of the folder; ``used`` is when it last was, in seconds."""

    path: str
    size: int
    used: float


class FolderCache:
    """Records and blobs as files. A file is whole or not there, but disks and people may damage it later."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.put_bytes = 0

    @property
    def name(self) -> str:
        return self.folder

    def record(self, key: str) -> bytes | None:
        path = self._place(RECORDS, key)
        try:
            with open(path, "rb") as stream:
                found = stream.read()
        except OSError:
            return None
        _touch(path)
        return found

    def put_record(self, key: str, record: bytes) -> None:
        with self._writing(self._place(RECORDS, key)) as temporary, open(temporary, "wb") as stream:
            stream.write(record)
        self.put_bytes += len(record)

    def fetch(self, digest: Digest, sink: Sink) -> bool:
        path = self.path(digest)
        try:
            stream = open(path, "rb")  # noqa: SIM115  # closed below
        except OSError:
            return False
        with stream:
            while chunk := stream.read(CHUNK):
                sink(chunk)
        _touch(path)
        return True

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        return {digest for digest in digests if not self.has(digest)}

    def has(self, digest: Digest) -> bool:
        try:
            return os.path.getsize(self.path(digest)) == digest.size
        except OSError:
            return False

    def put(self, digest: Digest, path: str) -> None:
        with self._writing(self.path(digest)) as temporary:
            copy(path, temporary)
        self.put_bytes += digest.size

    def adopt(self, digest: Digest, path: str) -> None:
        """The same with a file of ``unfinished``, which is moved here."""
        with self._writing(self.path(digest)) as temporary:
            os.replace(path, temporary)
        self.put_bytes += digest.size

    def path(self, digest: Digest) -> str:
        """Return the path where the blob is stored, if it exists."""
        return self._place(BLOBS, digest.sha256)

    def discard(self, path: str) -> None:
        """Take a broken file away, unless somebody else did."""
        try:
            os.unlink(path)
        except OSError:
            pass

    def discard_all(self, name: str) -> None:
        """Take what is broken away: the record or the blob of this name."""
        self.discard(self._place(RECORDS, name))
        self.discard(self._place(BLOBS, name))

    @contextmanager
    def unfinished(self) -> Iterator[str]:
        """The name of a file for what becomes a blob; it is gone afterwards. Raises CacheFailed (LB620)."""
        folder = os.path.join(self.folder, UNFINISHED)
        try:
            os.makedirs(folder, exist_ok=True)
            number, temporary = tempfile.mkstemp(dir=folder, prefix=f"{os.getpid()}.", suffix=".lambdabuild")
        except OSError as error:
            raise self._failed(error) from error
        try:
            _lock(number)
            yield temporary
        finally:
            self.discard(temporary)
            os.close(number)

    @contextmanager
    def _writing(self, target: str) -> Iterator[str]:
        """A temporary name, renamed when the block ends well."""
        with self.unfinished() as temporary:
            try:
                yield temporary
                os.chmod(temporary, 0o644)
                try:
                    os.replace(temporary, target)
                except FileNotFoundError:  # the first of its folder
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    os.replace(temporary, target)
            except OSError as error:
                raise self._failed(error) from error

    def _failed(self, error: OSError) -> CacheFailed:
        return CacheFailed(
            f"the cache cannot be written: {error.strerror or error}",
            where=Span(self.folder),
            help="make room there or give yourself the right to it, or name another folder with cache.dir",
        )

    def _place(self, kind: str, name: str) -> str:
        return os.path.join(self.folder, kind, name[:2], name)

    # how much there is

    def entries(self, kind: str) -> Iterator[Entry]:
        """Yield all records ("ac") or blobs ("cas"), in no order; what goes meanwhile is passed over."""
        for part in _listed(os.path.join(self.folder, kind)):
            for file in _listed(part.path):
                try:
                    found = file.stat(follow_symlinks=False)
                except OSError:
                    continue
                if NAME.fullmatch(file.name) and file.name[:2] == part.name and stat.S_ISREG(found.st_mode):
                    yield Entry(file.path, found.st_size, found.st_mtime)

    def trim(self, max_bytes: int) -> int:
        """Account for what was put; make room when it became too much. Gives how many bytes were freed.

        One process at a time does it; the others go on. The lock is the kernel's, so a killed one leaves none.
        """
        put, self.put_bytes = self.put_bytes, 0
        with self._alone() as ledger:
            if ledger is None:
                self.put_bytes += put
                return 0
            known = os.pread(ledger, 20, 0)
            total = int(known) + put if known.isdigit() else self.size()
            freed = 0
            if max_bytes and total > max_bytes:
                freed, total = self._evict(max_bytes)
            os.ftruncate(ledger, 0)
            os.pwrite(ledger, str(total).encode(), 0)
            return freed

    def size(self) -> int:
        return sum(entry.size for kind in (RECORDS, BLOBS) for entry in self.entries(kind))

    def collect(self, max_bytes: int, older_than: float) -> int:
        """Remove what was not used since a time (in seconds), then the rest that is too much; gives the bytes freed."""
        with self._alone(wait=True) as ledger:
            assert ledger is not None
            old = [entry for kind in (RECORDS, BLOBS) for entry in self.entries(kind) if entry.used < older_than]
            for entry in old:
                self.discard(entry.path)
            freed, total = self._evict(max_bytes) if max_bytes else (0, self.size())
            os.ftruncate(ledger, 0)
            os.pwrite(ledger, str(total).encode(), 0)
            return freed + sum(entry.size for entry in old)

    def _evict(self, max_bytes: int) -> tuple[int, int]:
        """Remove what was used least lately; gives how many bytes were freed, and how many are left."""
        entries = sorted((e for kind in (RECORDS, BLOBS) for e in self.entries(kind)), key=lambda entry: entry.used)
        total = left = sum(entry.size for entry in entries)
        if total <= max_bytes:
            return 0, total
        for entry in entries:
            if left <= max_bytes * ROOM:
                break
            self.discard(entry.path)
            left -= entry.size
        return total - left, left

    def sweep(self) -> None:
        """Remove what killed processes were writing: those that are gone, here and wherever else the folder is used."""
        for file in _listed(os.path.join(self.folder, UNFINISHED)):
            found = TEMPORARY.fullmatch(file.name)
            if found and not _is_running(int(found[1])) and _is_unlocked(file.path):
                self.discard(file.path)

    @contextmanager
    def _alone(self, *, wait: bool = False) -> Iterator[int | None]:
        """The file that tells the folder's size, locked; None when another process has it."""
        try:
            os.makedirs(self.folder, exist_ok=True)
            file = os.open(os.path.join(self.folder, "size"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._failed(error) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            self._refuse_others(os.pread(file, 20, 0))
            yield file
        except BlockingIOError:
            yield None
        finally:
            os.close(file)

    def _refuse_others(self, size: bytes) -> None:
        """Raise InTheWay (LB507) unless the file called size is the one that tells the folder's."""
        if size and not size.isdigit():
            path = os.path.join(self.folder, "size")
            raise InTheWay(
                f"lambdabuild did not make {path}, where the cache's size is to be written",
                where=Span(path),
                help="move it away, or name another folder with cache.dir",
            )


def _lock(file: int) -> None:
    """Held until the process ends, however it does; where a file system has no locks, the process's number must do."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pass


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


def copy(source: str, target: str) -> None:
    """The bytes of a file, by reflink where the file system has it."""
    with open(source, "rb") as old, open(target, "wb") as new:
        try:
            fcntl.ioctl(new.fileno(), FICLONE, old.fileno())
        except OSError:
            shutil.copyfileobj(old, new, CHUNK)


def _touch(path: str) -> None:
    try:
        os.utime(path)
    except OSError:
        pass


def _listed(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []
