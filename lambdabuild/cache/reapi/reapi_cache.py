"""A cache that speaks the Remote Execution API v2 over gRPC: ActionCache, CAS and ByteStream.

BuildBarn, BuildBuddy, bazel-remote, NativeLink, BuildGrid and buildbox-casd do. ``grpc://host:port/instance`` has no
TLS, ``grpcs://`` has it. Small blobs go in batches, others as streams, packed by zstd where the server takes that.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from lambdabuild.cache import remote_execution_pb2 as api
from lambdabuild.cache import zstd
from lambdabuild.cache.cache import CHUNK, Digest, Sink
from lambdabuild.cache.reapi.directories import message
from lambdabuild.cache.reapi.server import BATCH_BYTES, Server, is_missing
from lambdabuild.cache.records import STEP
from lambdabuild.cache.remote import Connection
from lambdabuild.core.errors import CacheFailed

LEVEL = 1
"""How hard zstd tries: what is sent once is not worth more."""
OK, NOT_FOUND = 0, 5
"""grpc.io/docs/guides/status-codes"""


class ReapiCache:
    """Asks nothing until it is used."""

    def __init__(self, connection: Connection) -> None:
        self.server = Server(connection)

    @property
    def name(self) -> str:
        return self.server.name

    def record(self, key: str) -> bytes | None:
        request = api.GetActionResultRequest(
            instance_name=self.server.instance,
            action_digest=_action(key),
            inline_output_files=[STEP],
            digest_function=api.SHA256,
        )
        try:
            return self.server.call("ActionCache/GetActionResult", request, api.ActionResult).SerializeToString()
        except CacheFailed as error:
            if is_missing(error):
                return None
            raise

    def put_record(self, key: str, record: bytes) -> None:
        request = api.UpdateActionResultRequest(
            instance_name=self.server.instance,
            action_digest=_action(key),
            digest_function=api.SHA256,
            action_result=api.ActionResult.FromString(record),
        )
        self.server.call("ActionCache/UpdateActionResult", request, api.ActionResult)

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        request = api.FindMissingBlobsRequest(
            instance_name=self.server.instance,
            blob_digests=[message(digest) for digest in digests],
            digest_function=api.SHA256,
        )
        answer = self.server.call("ContentAddressableStorage/FindMissingBlobs", request, api.FindMissingBlobsResponse)
        return {Digest(message.hash, message.size_bytes) for message in answer.missing_blob_digests}

    # blobs

    def fetch(self, digest: Digest, sink: Sink) -> bool:
        if digest.size <= self.server.capabilities.batched_bytes:
            blobs = [blob for _, blob in self._fetched([digest])]
            for blob in blobs:
                sink(blob)
            return bool(blobs)
        try:
            self._fetch_streamed(digest, sink)
        except CacheFailed as error:
            if is_missing(error):
                return False
            raise
        return True

    def put(self, digest: Digest, path: str) -> None:
        self.put_sources([(digest, path)])

    def _put_small(self, blobs: Sequence[tuple[Digest, bytes]]) -> None:
        """As many a message as it takes."""
        for batch in _batches(blobs, min(BATCH_BYTES, self.server.capabilities.batch_bytes or BATCH_BYTES)):
            self._put_batch(batch)

    def put_sources(self, blobs: Iterable[tuple[Digest, str | bytes]]) -> None:
        """Send blobs that are bytes, or lie in files."""
        limit, small = self.server.capabilities.batched_bytes, list[tuple[Digest, bytes]]()
        for digest, source in blobs:
            if isinstance(source, str) and digest.size > limit:
                self._put_streamed(digest, source)
                continue
            small.append((digest, source if isinstance(source, bytes) else _content(source)))
            if sum(digest.size for digest, _ in small) > BATCH_BYTES:
                self._put_small(small)
                small = []
        self._put_small(small)

    def fetch_many(self, digests: Sequence[Digest]) -> Iterator[tuple[Digest, bytes]]:
        """Yield those of the blobs that exist, in no order; all are small."""
        limit = min(BATCH_BYTES, self.server.capabilities.batch_bytes)
        for batch in _batches([(digest, b"") for digest in digests], limit):
            yield from self._fetched([digest for digest, _ in batch])

    def _put_batch(self, batch: Sequence[tuple[Digest, bytes]]) -> None:
        how = api.ZSTD if self.server.capabilities.batches_zstd else api.IDENTITY
        blob = api.BatchUpdateBlobsRequest.Request
        request = api.BatchUpdateBlobsRequest(
            instance_name=self.server.instance,
            digest_function=api.SHA256,
            requests=[blob(digest=message(d), data=_zstd(data) if how else data, compressor=how) for d, data in batch],
        )
        size = sum(digest.size for digest, _ in batch)
        answers = self.server.call(
            "ContentAddressableStorage/BatchUpdateBlobs", request, api.BatchUpdateBlobsResponse, size=size
        )
        for answer in answers.responses:
            if answer.status.code != OK:
                raise self.server.failed(f"a blob was refused: {answer.status.message}")

    def _fetched(self, digests: Sequence[Digest]) -> Iterator[tuple[Digest, bytes]]:
        request = api.BatchReadBlobsRequest(
            instance_name=self.server.instance,
            digests=[message(digest) for digest in digests],
            digest_function=api.SHA256,
            acceptable_compressors=[api.ZSTD] if self.server.capabilities.streams_zstd else [],
        )
        size = sum(digest.size for digest in digests)
        answers = self.server.call(
            "ContentAddressableStorage/BatchReadBlobs", request, api.BatchReadBlobsResponse, size=size
        )
        for answer in answers.responses:
            if answer.status.code not in (OK, NOT_FOUND):
                raise self.server.failed(f"a blob cannot be read: {answer.status.message}")
            if answer.status.code == OK:
                whole = list[bytes]()
                _unpacked([answer.data], whole.append) if answer.compressor == api.ZSTD else whole.append(answer.data)
                yield Digest(answer.digest.hash, answer.digest.size_bytes), b"".join(whole)

    def _fetch_streamed(self, digest: Digest, sink: Sink) -> None:
        server, is_packed = self.server, self.server.capabilities.streams_zstd
        kind = "compressed-blobs/zstd" if is_packed else "blobs"
        request = api.ReadRequest(resource_name=server.resource(kind, f"{digest.sha256}/{digest.size}"))
        patience = server.connection.patience(digest.size)

        def receive() -> None:
            answers = server.channel.listen("/google.bytestream.ByteStream/Read", request, api.ReadResponse, patience)
            chunks = (answer.data for answer in answers)
            if is_packed:
                _unpacked(chunks, sink)
            else:
                for chunk in chunks:
                    sink(chunk)

        server.attempt("ByteStream/Read", receive)

    def _put_streamed(self, digest: Digest, path: str) -> None:
        server, is_packed = self.server, self.server.capabilities.streams_zstd
        kind = f"uploads/{uuid.uuid4()}/" + ("compressed-blobs/zstd" if is_packed else "blobs")
        name = server.resource(kind, f"{digest.sha256}/{digest.size}")
        patience = server.connection.patience(digest.size)

        def send() -> None:
            with open(path, "rb") as stream:
                requests = _requests(name, _packed(stream) if is_packed else _chunks(stream))
                server.channel.tell(
                    "/google.bytestream.ByteStream/Write", requests, api.WriteRequest, api.WriteResponse, patience
                )

        server.attempt("ByteStream/Write", send)


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


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
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


def _packed(stream: BinaryIO) -> Iterator[bytes]:
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
