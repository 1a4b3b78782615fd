"""The stores that artifacts are published to.

Most keys hold the content's sha256, so what is there is right (``put``). The keys of published versions do not: they
belong to whoever is first, and then stay as they are (``put_once``).
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from typing import BinaryIO, Protocol

from lambdabuild.core import regular
from lambdabuild.core.atomic import claiming, writing
from lambdabuild.core.errors import CannotRead, InTheWay, VersionTaken
from lambdabuild.core.records import Struct, field
from lambdabuild.core.spans import Span
from lambdabuild.core.store import sha256_of


class Labels(Struct, frozen=True):
    """Properties of an object besides its content, for stores that have them (S3)."""

    tags: Mapping[str, str] = field(default_factory=dict)
    """Beside those of the store itself."""
    metadata: Mapping[str, str] = field(default_factory=dict)


NO_LABELS = Labels()


class Store(Protocol):
    """Keys are like ``<sha256>.zip``. All methods may be called from several threads."""

    @property
    def region(self) -> str:
        """The store's region, for addresses; "" when that has no meaning."""
        ...

    def location(self, key: str) -> str:
        """Return the address of a key: ``s3://bucket/prefix/key`` or an absolute path."""
        ...

    def has(self, key: str) -> bool: ...

    def put(self, key: str, path: str, sha256: str, size: int) -> bool:
        """Send a file unless the key is there; gives whether it was sent. Raises StoreFailed (LB601)."""
        ...

    def digest(self, key: str) -> str | None:
        """Return the sha256 of what is under a key, None when nothing is. Raises StoreFailed (LB601)."""
        ...

    def put_once(
        self, key: str, path: str, sha256: str, size: int, labels: Labels = NO_LABELS, *, replace: bool = False
    ) -> bool:
        """Send a file to a key that nobody has, or that has just this content; gives whether it was sent.

        Of several that try at the same time, one wins. The others are told, as whoever comes later with other content
        (VersionTaken, LB606), unless that may be ``replace``d. Raises StoreFailed (LB601) too.
        """
        ...


def taken(location: str, there: str, ours: str) -> VersionTaken:
    """Return the error for an upload of different content under the same version."""
    return VersionTaken(
        f"{location} is already published with different content: its sha256 is {there}, that of this build is {ours}",
        help="raise the version; when the source is the same, pin what the build requires ([build-system] requires)."
        " A development version (0.1.2.dev1) is replaced with overwrite = true",
    )


class MemoryStore:
    """Objects in a dict: for tests, and to show what a store is."""

    region = ""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def location(self, key: str) -> str:
        return f"memory:{key}"

    def has(self, key: str) -> bool:
        return key in self.objects

    def put(self, key: str, path: str, sha256: str, size: int) -> bool:
        if key in self.objects:
            return False
        with open(path, "rb", opener=regular.opener) as stream:
            self.objects[key] = stream.read()
        return True

    def digest(self, key: str) -> str | None:
        return hashlib.sha256(self.objects[key]).hexdigest() if key in self.objects else None

    def put_once(
        self, key: str, path: str, sha256: str, size: int, labels: Labels = NO_LABELS, *, replace: bool = False
    ) -> bool:
        with self._lock:
            there = self.digest(key)
            if there is not None and there != sha256 and not replace:
                raise taken(self.location(key), there, sha256)
            with open(path, "rb", opener=regular.opener) as stream:
                self.objects[key] = stream.read()
            return there != sha256


class FolderStore:
    """Objects as files of a folder; an object is whole or not there. It has no place for labels.

    ``digest_of`` gives the sha256 of a file, and may remember those of files that did not change.
    """

    region = ""

    def __init__(self, folder: str, *, is_ours: bool = False, digest_of: Callable[[str], str] = sha256_of) -> None:
        """``is_ours``: all that is in the folder was put there through this class, so it may be put right."""
        self.folder, self.is_ours = folder, is_ours
        self._digest_of = digest_of

    def location(self, key: str) -> str:
        return os.path.join(self.folder, key)

    def has(self, key: str) -> bool:
        return os.path.isfile(self.location(key))

    def put(self, key: str, path: str, sha256: str, size: int) -> bool:
        target = self.location(key)
        if self.digest(key) == sha256:
            return False
        if os.path.lexists(target) and not self.is_ours:
            if self.digest(key) == sha256:
                return False  # another thread or process was faster
            raise InTheWay(
                f"{target} is not what its name says, and may be somebody else's",
                where=Span(target),
                help="move it away, and run the build again",
            )
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(path, "rb", opener=regular.opener) as source, writing(target) as stream:
            _copy(source, stream, path, sha256)
        return True

    def digest(self, key: str) -> str | None:
        try:
            return self._digest_of(self.location(key))
        except FileNotFoundError:
            return None

    def put_once(
        self, key: str, path: str, sha256: str, size: int, labels: Labels = NO_LABELS, *, replace: bool = False
    ) -> bool:
        target, there = self.location(key), self.digest(key)
        if there == sha256:
            return False
        if there is not None and not replace:
            raise taken(target, there, sha256)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        put = writing if there is not None else claiming
        try:
            with open(path, "rb", opener=regular.opener) as source, put(target) as stream:
                _copy(source, stream, path, sha256)
        except FileExistsError:
            return self.put_once(key, path, sha256, size, labels, replace=replace)
        return True


def _copy(source: BinaryIO, target: BinaryIO, path: str, sha256: str) -> None:
    """Raise CannotRead (LB505) for a file that is no longer what was built."""
    digest = hashlib.sha256()
    while chunk := source.read(1 << 20):
        digest.update(chunk)
        target.write(chunk)
    if digest.hexdigest() != sha256:
        raise CannotRead(f"{path} changed before it was published", where=Span(path), help="run the build again")
