"""A cache that speaks the Remote Execution API v2 over gRPC: ActionCache, CAS and ByteStream.

BuildBarn, BuildBuddy, bazel-remote, NativeLink, BuildGrid and buildbox-casd do. ``grpc://host:port/instance`` has no
TLS, ``grpcs://`` has it. Small blobs go in batches, others as streams, packed by zstd where the server takes that.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeVar

from lambdabuild.cache import remote_execution_pb2 as api
from lambdabuild.cache import zstd
from lambdabuild.cache.cache import CHUNK, Digest, Sink
from lambdabuild.cache.reapi.channel import SPEC, Channel, Refused
from lambdabuild.cache.reapi.directories import message
from lambdabuild.cache.records import STEP
from lambdabuild.cache.remote import Connection
from lambdabuild.core.errors import CacheFailed
from lambdabuild.core.records import Struct

T = TypeVar("T")
BATCH_BYTES = 3_000_000
"""gRPC takes 4 MiB a message unless it is told otherwise; what stands around the bytes needs room too."""
BATCHED_BYTES = 1_000_000
"""A larger blob is streamed."""
LEVEL = 1
"""How hard zstd tries: what is sent once is not worth more."""
OK, NOT_FOUND = 0, 5
"""grpc.io/docs/guides/status-codes"""
HELP = {
    "UNAUTHENTICATED": "give the server what it asks for with cache.headers",
    "PERMISSION_DENIED": "ask for the right to it, or set cache.read_only",
}


class Capabilities(Struct, frozen=True):
    """The capabilities of a server that matter here."""

    batch_bytes: int
    streams_zstd: bool
    batches_zstd: bool


class ReapiCache:
    """Asks nothing until it is used."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.channel = Channel(connection)
        self._instance = self.channel.instance

    @property
    def name(self) -> str:
        return self.connection.shown

    def record(self, key: str) -> bytes | None:
        request = api.GetActionResultRequest(
            instance_name=self._instance,
            action_digest=_action(key),
            inline_output_files=[STEP],
            digest_function=api.SHA256,
        )
        found = self._call("ActionCache/GetActionResult", request, api.ActionResult, or_missing=True)
        return None if found is None else found.SerializeToString()

    def put_record(self, key: str, record: bytes) -> None:
        request = api.UpdateActionResultRequest(
            instance_name=self._instance,
            action_digest=_action(key),
            digest_function=api.SHA256,
            action_result=api.ActionResult.FromString(record),
        )
        self._call("ActionCache/UpdateActionResult", request, api.ActionResult)

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        request = api.FindMissingBlobsRequest(
            instance_name=self._instance,
            blob_digests=[message(digest) for digest in digests],
            digest_function=api.SHA256,
        )
        found = self._call("ContentAddressableStorage/FindMissingBlobs", request, api.FindMissingBlobsResponse)
        return {Digest(message.hash, message.size_bytes) for message in found.missing_blob_digests}

    # blobs

    def fetch(self, digest: Digest, sink: Sink) -> bool:
        if digest.size <= self._batched_bytes:
            return self._fetch_batched(digest, sink)
        return self._fetch_streamed(digest, sink)

    def put(self, digest: Digest, path: str) -> None:
        self.put_sources([(digest, path)])

    def _put_small(self, blobs: Sequence[tuple[Digest, bytes]]) -> None:
        """As many a message as it takes."""
        for batch in _batches(blobs, min(BATCH_BYTES, self._can.batch_bytes or BATCH_BYTES)):
            self._put_batch(batch)

    def put_sources(self, blobs: Iterable[tuple[Digest, str | bytes]]) -> None:
        """Send blobs that are bytes, or lie in files."""
        limit, small = self._batched_bytes, list[tuple[Digest, bytes]]()
        for digest, source in blobs:
            if isinstance(source, str) and digest.size > limit:
                self._put_streamed(digest, source)
                continue
            small.append((digest, source if isinstance(source, bytes) else _content(source)))
            if sum(one.size for one, _ in small) > BATCH_BYTES:
                self._put_small(small)
                small = []
        self._put_small(small)

    def fetch_many(self, digests: Sequence[Digest]) -> Iterator[tuple[Digest, bytes]]:
        """Yield those of the blobs that exist, in no order; all are small."""
        limit = min(BATCH_BYTES, self._can.batch_bytes)
        for batch in _batches([(digest, b"") for digest in digests], limit):
            yield from self._fetched([digest for digest, _ in batch])

    @property
    def _batched_bytes(self) -> int:
        return min(BATCHED_BYTES, self._can.batch_bytes)

    def _put_batch(self, batch: Sequence[tuple[Digest, bytes]]) -> None:
        how = api.ZSTD if self._can.batches_zstd else api.IDENTITY
        one = api.BatchUpdateBlobsRequest.Request
        request = api.BatchUpdateBlobsRequest(
            instance_name=self._instance,
            digest_function=api.SHA256,
            requests=[one(digest=message(d), data=_zstd(data) if how else data, compressor=how) for d, data in batch],
        )
        size = sum(digest.size for digest, _ in batch)
        said = self._call(
            "ContentAddressableStorage/BatchUpdateBlobs", request, api.BatchUpdateBlobsResponse, size=size
        )
        for answer in said.responses:
            if answer.status.code != OK:
                raise self._failed(f"a blob was refused: {answer.status.message}")

    def _fetch_batched(self, digest: Digest, sink: Sink) -> bool:
        found = dict(self._fetched([digest]))
        for data in found.values():
            sink(data)
        return bool(found)

    def _fetched(self, digests: Sequence[Digest]) -> Iterator[tuple[Digest, bytes]]:
        request = api.BatchReadBlobsRequest(
            instance_name=self._instance,
            digests=[message(digest) for digest in digests],
            digest_function=api.SHA256,
            acceptable_compressors=[api.ZSTD] if self._can.streams_zstd else [],
        )
        size = sum(digest.size for digest in digests)
        said = self._call("ContentAddressableStorage/BatchReadBlobs", request, api.BatchReadBlobsResponse, size=size)
        for answer in said.responses:
            if answer.status.code not in (OK, NOT_FOUND):
                raise self._failed(f"a blob cannot be read: {answer.status.message}")
            if answer.status.code == OK:
                whole = list[bytes]()
                _unpacked([answer.data], whole.append) if answer.compressor == api.ZSTD else whole.append(answer.data)
                yield Digest(answer.digest.hash, answer.digest.size_bytes), b"".join(whole)

    def _fetch_streamed(self, digest: Digest, sink: Sink) -> bool:
        kind = "compressed-blobs/zstd" if self._can.streams_zstd else "blobs"
        request = api.ReadRequest(resource_name=self._resource(kind, f"{digest.sha256}/{digest.size}"))
        patience = self.connection.patience(digest.size)

        def receive() -> bool:
            answers = self.channel.listen("/google.bytestream.ByteStream/Read", request, api.ReadResponse, patience)
            chunks = (answer.data for answer in answers)
            if self._can.streams_zstd:
                _unpacked(chunks, sink)
            else:
                for chunk in chunks:
                    sink(chunk)
            return True

        return bool(self._told("ByteStream/Read", receive, or_missing=True))

    def _put_streamed(self, digest: Digest, path: str) -> None:
        kind = f"uploads/{uuid.uuid4()}/" + ("compressed-blobs/zstd" if self._can.streams_zstd else "blobs")
        name = self._resource(kind, f"{digest.sha256}/{digest.size}")
        patience = self.connection.patience(digest.size)

        def send() -> None:
            with open(path, "rb") as stream:
                requests = _requests(name, _packed(stream) if self._can.streams_zstd else _chunks(stream))
                self.channel.tell(
                    "/google.bytestream.ByteStream/Write", requests, api.WriteRequest, api.WriteResponse, patience
                )

        self._told("ByteStream/Write", send)

    def _resource(self, kind: str, name: str) -> str:
        return "/".join(part for part in (self._instance, kind, name) if part)

    # talking

    @cached_property
    def _can(self) -> Capabilities:
        """Asked once. Raises CacheFailed (LB620) for a server without sha256."""
        request = api.GetCapabilitiesRequest(instance_name=self._instance)
        said = self._call("Capabilities/GetCapabilities", request, api.ServerCapabilities).cache_capabilities
        if api.SHA256 not in said.digest_functions:
            raise self._failed("it does not know sha256")
        return Capabilities(
            batch_bytes=said.max_batch_total_size_bytes or BATCH_BYTES,
            streams_zstd=api.ZSTD in said.supported_compressors,
            batches_zstd=api.ZSTD in said.supported_batch_update_compressors,
        )

    def _call(self, method: str, request: Any, answer: Any, *, size: int = 0, or_missing: bool = False) -> Any:
        patience = self.connection.patience(size)
        return self._told(
            method, lambda: self.channel.ask(f"{SPEC}{method}", request, answer, patience), or_missing=or_missing
        )

    def _told(self, what: str, ask: Callable[[], T], *, or_missing: bool = False) -> T | None:
        """Return the answer; None for what is missing. What moved away for a moment is asked once more."""
        for is_last in (False, True):
            try:
                return ask()
            except Refused as error:
                if or_missing and error.code == "NOT_FOUND":
                    return None
                if is_last or error.code != "UNAVAILABLE" or what.startswith("ByteStream"):
                    raise self._failed(f"{what}: {error}", HELP.get(error.code, "")) from error
        raise AssertionError  # the last try returned or raised

    def _failed(self, why: str, help: str = "") -> CacheFailed:
        return CacheFailed(
            f"the cache {self.name} is not used any more in this run: {why}",
            help=help or "check its address in cache.remotes, cache.headers and the network",
        )


def _content(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def _action(key: str) -> api.Digest:
    """Servers use the pair as a name; ours are digests of 64 characters' text, whatever was behind it."""
    return api.Digest(hash=key, size_bytes=len(key))


def _batches(blobs: Sequence[tuple[Digest, bytes]], limit: int) -> Iterator[list[tuple[Digest, bytes]]]:
    batch: list[tuple[Digest, bytes]] = []
    for digest, data in blobs:
        if batch and sum(d.size for d, _ in batch) + digest.size > limit:
            yield batch
            batch = []
        batch.append((digest, data))
    if batch:
        yield batch


def _chunks(stream: Any) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        yield chunk


def _requests(name: str, chunks: Iterable[bytes]) -> Iterator[api.WriteRequest]:
    """Yield the stream of a write; an empty last one says that it is all."""
    offset = 0
    for chunk in chunks:
        yield api.WriteRequest(resource_name=name, write_offset=offset, data=chunk)
        offset += len(chunk)
    yield api.WriteRequest(resource_name=name, write_offset=offset, finish_write=True)


def _zstd(data: bytes) -> bytes:
    return zstd.compress(data, LEVEL)


def _packed(stream: Any) -> Iterator[bytes]:
    pack = zstd.ZstdCompressor(LEVEL)
    for chunk in _chunks(stream):
        if packed := pack.compress(chunk):
            yield packed
    yield pack.flush()


def _unpacked(chunks: Iterable[bytes], sink: Sink) -> None:
    """Raises ValueError for what zstd did not pack."""
    unpack = zstd.ZstdDecompressor()
    try:
        for chunk in chunks:
            sink(unpack.decompress(chunk))
    except (zstd.ZstdError, EOFError) as error:
        raise ValueError(str(error)) from error
