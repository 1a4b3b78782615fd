"""The caches of a run as one: the machine's folder first, then the remote ones, and what each gives is verified.

What a remote one gave is kept in the folder. What is put goes to the folder, and from there to the remote ones, in the
background. A broken entry is a miss with one warning, and is written anew when its step has been run.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO

from lambdabuild.cache import eviction, packs, records
from lambdabuild.cache.background import Background
from lambdabuild.cache.cache import Cache, Digest
from lambdabuild.cache.folder import FolderCache
from lambdabuild.cache.guarded import Guarded
from lambdabuild.cache.records import Record
from lambdabuild.cache.trouble import Trouble
from lambdabuild.core.atomic import unfinished
from lambdabuild.core.errors import CacheFailed, InTheWay
from lambdabuild.core.records import Struct, field

SMALL_BYTES = 1 << 16
"""So small a blob is sent without asking whether it is there."""


class CachedStep(Struct, frozen=True):
    """A step's output, the digests of its blobs by name, and the name of the cache that had it."""

    data: Mapping[str, Any]
    blobs: Mapping[str, Digest]
    where: str


class Counts(Struct):
    """Bytes that came from remote caches, and that went there."""

    fetched_bytes: int = 0
    sent_bytes: int = 0


class File(Struct, frozen=True):
    """A file that may change later: it is copied."""

    path: str
    digest: Digest


class Stays(Struct, frozen=True):
    """A file that stays as it is where it is, such as a wheel of the machine's store."""

    path: str
    digest: Digest


class Folder(Struct, frozen=True):
    """A folder, which becomes a pack."""

    path: str


Source = File | Stays | Folder


class SharedCache(Struct):
    """All methods may be called from several threads, and none raises because of a cache."""

    folder: FolderCache
    remotes: Sequence[Guarded]
    trouble: Trouble
    background: Background
    read_only: bool = False
    max_bytes: int = 0
    """How much the folder may hold; 0 is as much as there is."""
    counts: Counts = field(default_factory=Counts)

    @property
    def layers(self) -> list[Cache]:
        return [self.folder, *self.remotes]

    # coming out

    def find(self, key: str) -> CachedStep | None:
        """Return what was stored under a key. Its blobs may be gone by now."""
        for layer in self.layers:
            raw = layer.record(key)
            if layer is not self.folder:
                self.counts.fetched_bytes += len(raw or b"")
            record = records.from_bytes(raw) if raw is not None else None
            content = self._step(layer, record) if record is not None else None
            step = records.unpacked(key, content) if content is not None else None
            if raw is not None and (record is None or (step is None and (content is not None or record.inline))):
                self._is_broken(layer, key)
            if content is None or step is None:
                continue
            if layer is not self.folder:
                self._quietly(partial(self._put_record, key, content, step.blobs))
            return CachedStep(step.data, step.blobs, layer.name)
        return None

    def _step(self, layer: Cache, record: Record) -> bytes | None:
        """Return the verified content of a record's ``step.json``; None when it is gone, or broken."""
        if record.inline:
            return record.inline if Digest.of(record.inline) == record.step else None
        with tempfile.TemporaryFile() as stream:
            if not self._received(layer, record.step, stream):
                return None
            stream.seek(0)
            return stream.read()

    def fetch(self, digest: Digest, target: str, mode: int = 0o644, *, keep: bool = True) -> bool:
        """Make a file of a blob, whole or not at all; False when no cache has it.

        What a remote one gave is kept in the folder too, unless it stays where it is now.
        """
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if self._fetched(self.folder, digest, target, mode):
            return True
        for remote in self.remotes:
            if self._fetched(remote, digest, target, mode):
                if keep:
                    self._quietly(lambda: self.folder.put(digest, target))
                return True
        return False

    def has_here(self, digest: Digest) -> bool:
        """Return whether the machine's folder has a blob, so that fetching it only costs a copy."""
        return self.folder.has(digest)

    def was_broken(self, digest: Digest) -> bool:
        """Return whether a cache returned the wrong bytes for a digest in this run."""
        return self.trouble.is_broken(digest.sha256)

    def _fetched(self, layer: Cache, digest: Digest, target: str, mode: int) -> bool:
        temporary = f"{target}.{os.getpid()}.{id(digest):x}.tmp"
        with unfinished(temporary):
            with open(temporary, "xb") as stream:
                is_right = self._received(layer, digest, stream)
                os.fchmod(stream.fileno(), mode)
            if is_right:
                os.replace(temporary, target)
            return is_right

    def _received(self, layer: Cache, digest: Digest, stream: BinaryIO) -> bool:
        """Return whether the layer returned the bytes that the digest promises."""
        sha256, size = hashlib.sha256(), 0

        def sink(chunk: bytes) -> None:
            nonlocal size
            size += len(chunk)
            if size > digest.size:
                raise ValueError("more than was announced")
            sha256.update(chunk)
            stream.write(chunk)

        try:
            is_there = layer.fetch(digest, sink)
        except ValueError:
            is_there = True
        if layer is not self.folder:
            self.counts.fetched_bytes += size
        is_right = is_there and (sha256.hexdigest(), size) == (digest.sha256, digest.size)
        if is_there and not is_right:
            self._is_broken(layer, digest.sha256)
        return is_right

    def _is_broken(self, layer: Cache, name: str) -> None:
        if layer is self.folder and not self.read_only:
            self.folder.discard(name)
        self.trouble.report_broken(layer.name, name)

    # going in

    def put(self, key: str, data: Mapping[str, Any], sources: Mapping[str, Source]) -> None:
        """Store what a step left, with its blobs by name: here, then elsewhere, both in the background."""
        if not self.read_only:
            self.background.do(lambda: self._quietly(lambda: self._put(key, data, sources)))

    def _put(self, key: str, data: Mapping[str, Any], sources: Mapping[str, Source]) -> None:
        kept = {name: _put_blob(self.folder, source) for name, source in sources.items()}
        blobs = {name: digest for name, (digest, _) in kept.items()}
        content = records.packed(key, data, blobs)
        self._put_record(key, content, blobs)
        step = Digest.of(content)
        uploads = [(step, self.folder.path(step)), *kept.values()]
        for remote in self.remotes:
            self.background.do(partial(self._send, remote, key, records.to_bytes(content, blobs), uploads))

    def _put_record(self, key: str, content: bytes, blobs: Mapping[str, Digest]) -> None:
        """Store a record in the folder. A small step goes inside it; remote caches want it separately too."""
        if self.remotes or len(content) > records.INLINE_BYTES:
            _put_bytes(self.folder, content)
        self.folder.put_record(key, records.to_bytes(content, blobs))

    def _send(self, remote: Guarded, key: str, record: bytes, uploads: Sequence[tuple[Digest, str]]) -> None:
        """The blobs first, for a record promises them. One that had something broken is sent what it says to have."""
        large = {digest for digest, _ in uploads if digest.size > SMALL_BYTES}
        is_trusted = not self.trouble.has_broken(remote.name)
        there = large - remote.missing(large) if large and is_trusted else set()
        for digest, path in uploads:
            if digest not in there:
                remote.put(digest, path)
                self.counts.sent_bytes += digest.size
        remote.put_record(key, record)

    def _quietly(self, write: Callable[[], object]) -> None:
        """Write to the folder; when that fails, it is told once."""
        if self.read_only:
            return
        try:
            write()
        except (CacheFailed, InTheWay) as error:
            self.trouble.report(self.folder.name, error)
        except OSError:
            pass  # what was to be stored has gone meanwhile: it is not stored

    def finish(self, seconds: float) -> None:
        """Wait for what goes on in the background, and make room in the folder when there is too much."""
        if not self.background.finish(seconds):
            self.trouble.warn(
                CacheFailed(
                    f"after {seconds:.0f} s not everything is in the cache yet; the rest is left out",
                    help="give it more time with cache.upload_seconds",
                )
            )
        eviction.sweep(self.folder.folder)
        if self.folder.put_bytes:
            self._quietly(lambda: eviction.trim(self.folder, self.max_bytes))


def _put_blob(folder: FolderCache, source: Source) -> tuple[Digest, str]:
    """Return a blob's digest, and the file that has its bytes from now on."""
    if isinstance(source, Stays):
        return source.digest, source.path
    if isinstance(source, File):
        if not folder.has(source.digest):
            folder.put(source.digest, source.path)
        return source.digest, folder.path(source.digest)
    with folder.unfinished() as temporary:
        packs.pack(source.path, temporary)
        digest = Digest.of_file(temporary)
        folder.adopt(digest, temporary)
    return digest, folder.path(digest)


def _put_bytes(folder: FolderCache, content: bytes) -> None:
    with folder.unfinished() as temporary:
        with open(temporary, "wb") as stream:
            stream.write(content)
        folder.adopt(Digest.of(content), temporary)
