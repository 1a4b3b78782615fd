"""The cache of a machine: a folder that all projects and checkouts share, laid out as Bazel's ``--disk_cache`` is.

    ac/ab/<key>      records          cas/ab/<sha256>   blobs          tmp/   what is not whole yet

Files are written aside and renamed, so no lock guards them, and a kill leaves at most a file in ``tmp``. What is used
is touched; what was not for the longest time goes first when there is too much (``eviction``).
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from lambdabuild.cache.cache import CHUNK, Digest, Sink
from lambdabuild.core.errors import CacheFailed
from lambdabuild.core.spans import Span

RECORDS, BLOBS, UNFINISHED = "ac", "cas", "tmp"
TEMPORARY = re.compile(r"(\d+)\.[^.]+\.lambdabuild")
"""How files in ``tmp`` are called: by the process that writes them, which holds a lock on them meanwhile."""
FICLONE = 0x40049409
"""Share a file's blocks until one of both is written to (linux/fs.h); btrfs, xfs and others have it."""


class FolderCache:
    """Records and blobs as files. A file is whole or not there, but disks and people may damage it later."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.put_bytes = 0
        """How much was put since the folder's size was last written down (``eviction.trim``)."""
        self.may_reflink = True
        """False once the file system, or another that a file came from, could not."""

    @property
    def name(self) -> str:
        return self.folder

    def record(self, key: str) -> bytes | None:
        path = self._place(RECORDS, key)
        try:
            with open(path, "rb") as stream:
                content = stream.read()
        except OSError:
            return None
        _touch(path)
        return content

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
            self.may_reflink = copy(path, temporary, may_reflink=self.may_reflink)
        self.put_bytes += digest.size

    def adopt(self, digest: Digest, path: str) -> None:
        """Put a file of ``unfinished``, which is moved here."""
        with self._writing(self.path(digest)) as temporary:
            os.replace(path, temporary)
        self.put_bytes += digest.size

    def path(self, digest: Digest) -> str:
        """Return the path where the blob is stored, if it exists."""
        return self._place(BLOBS, digest.sha256)

    def discard(self, name: str) -> None:
        """Remove what is broken: the record or the blob of this name."""
        discard(self._place(RECORDS, name))
        discard(self._place(BLOBS, name))

    @contextmanager
    def unfinished(self) -> Iterator[str]:
        """Give the name of a file for what becomes a blob; it is gone afterwards. Raises CacheFailed (LB620)."""
        folder = os.path.join(self.folder, UNFINISHED)
        try:
            os.makedirs(folder, exist_ok=True)
            number, temporary = tempfile.mkstemp(dir=folder, prefix=f"{os.getpid()}.", suffix=".lambdabuild")
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        try:
            _lock(number)
            yield temporary
        finally:
            discard(temporary)
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
                raise cannot_write(self.folder, error) from error

    def _place(self, kind: str, name: str) -> str:
        return os.path.join(self.folder, kind, name[:2], name)


def discard(path: str) -> None:
    """Remove a file, unless somebody else did."""
    try:
        os.unlink(path)
    except OSError:
        pass


def cannot_write(folder: str, error: OSError) -> CacheFailed:
    """Return LB620 for a folder that nothing can be written to."""
    return CacheFailed(
        f"the cache cannot be written: {error.strerror or error}",
        where=Span(folder),
        help="make room there or fix its permissions (chmod u+w), or name another folder with cache.dir",
    )


def _lock(file: int) -> None:
    """Held until the process ends, however it does; where a file system has no locks, the process's number must do."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pass


def copy(source: str, target: str, *, may_reflink: bool = True) -> bool:
    """Copy the bytes of a file, by reflink where the file systems have it; return whether they had."""
    with open(source, "rb") as old, open(target, "wb") as new:
        if may_reflink:
            try:
                fcntl.ioctl(new.fileno(), FICLONE, old.fileno())
                return True
            except OSError:
                pass
        shutil.copyfileobj(old, new, CHUNK)
    return False


def _touch(path: str) -> None:
    try:
        os.utime(path)
    except OSError:
        pass
