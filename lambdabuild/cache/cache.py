"""The interface of a cache: records by key (an action cache), and bytes by digest (a CAS).

A record is a serialized ActionResult of the Remote Execution API (``records``), so that servers which look into records
accept ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from lambdabuild.core.records import Struct

CHUNK = 1 << 20

Sink: TypeAlias = Callable[[bytes], object]
"""Takes chunks; raises when there are more than were announced."""


class Digest(Struct, frozen=True, order=True):
    """Which bytes: their sha256 in hex, and how many they are."""

    sha256: str
    size: int

    @classmethod
    def of(cls, data: bytes) -> Digest:
        return cls(hashlib.sha256(data).hexdigest(), len(data))

    @classmethod
    def of_file(cls, path: str) -> Digest:
        with open(path, "rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            return cls(sha256, stream.tell())


class Cache(Protocol):
    """Keys are sha256 in hex. All methods may be called from several threads; any may raise CacheFailed (LB620).

    Nothing that comes out is verified here: ``shared`` does that, for all alike.
    """

    @property
    def name(self) -> str:
        """How people know it: its address, without secrets."""
        ...

    def record(self, key: str) -> bytes | None: ...

    def put_record(self, key: str, record: bytes) -> None:
        """Set the record, or replace it. The blobs that it names were put before."""
        ...

    def fetch(self, digest: Digest, sink: Sink) -> bool:
        """Hand over the bytes in chunks; False when they are not there."""
        ...

    def missing(self, digests: Iterable[Digest]) -> set[Digest]: ...

    def put(self, digest: Digest, path: str) -> None:
        """Send a file, whether or not its bytes are there."""
        ...


class MemoryCache:
    """Everything in two dicts: for tests, and to show what a cache is."""

    name = "memory"

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}

    def record(self, key: str) -> bytes | None:
        return self.records.get(key)

    def put_record(self, key: str, record: bytes) -> None:
        self.records[key] = record

    def fetch(self, digest: Digest, sink: Sink) -> bool:
        blob = self.blobs.get(digest.sha256)
        if blob is not None:
            sink(blob)
        return blob is not None

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        return {digest for digest in digests if digest.sha256 not in self.blobs}

    def put(self, digest: Digest, path: str) -> None:
        with open(path, "rb") as stream:
            self.blobs[digest.sha256] = stream.read()


class File(Struct, frozen=True):
    """A file of a tree. ``source`` is where its bytes are: a path, or they themselves."""

    digest: Digest
    executable: bool
    source: str | bytes = b""

    @classmethod
    def of(cls, content: bytes) -> File:
        return cls(Digest.of(content), False, content)


class Link(Struct, frozen=True):
    """A symbolic link of a tree."""

    target: str


Node: TypeAlias = File | Link
"""The content of a folder in a tree of the Remote Execution API, before it becomes messages."""
