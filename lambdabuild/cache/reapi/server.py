"""One server of the Remote Execution API: what it can do, and questions with patience, a second try and our errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from google.protobuf.message import Message

from lambdabuild.cache import remote_execution_pb2 as api
from lambdabuild.cache.reapi.channel import SPEC, Channel, Refused
from lambdabuild.cache.remote import Connection
from lambdabuild.core.errors import CacheFailed
from lambdabuild.core.records import Struct

T = TypeVar("T")
Answer = TypeVar("Answer", bound=Message)
BATCH_BYTES = 3_000_000
"""gRPC takes 4 MiB a message unless it is told otherwise; what stands around the bytes needs room too."""
BATCHED_BYTES = 1_000_000
"""A larger blob is streamed."""
HELP = {
    "UNAUTHENTICATED": "give the server what it asks for with cache.headers",
    "PERMISSION_DENIED": "ask for the right to it, or set cache.read_only",
}


class Capabilities(Struct, frozen=True):
    """The capabilities of a server that matter here."""

    batch_bytes: int
    streams_zstd: bool
    batches_zstd: bool

    @property
    def batched_bytes(self) -> int:
        """Return how large a blob may be that goes in a batch."""
        return min(BATCHED_BYTES, self.batch_bytes)


class Server:
    """Asks nothing until it is used. Whatever it answers but what was asked for is a CacheFailed (LB620)."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.channel = Channel(connection)
        self.instance = self.channel.instance

    @property
    def name(self) -> str:
        return self.connection.shown

    @cached_property
    def capabilities(self) -> Capabilities:
        """Asked once. Raises CacheFailed (LB620) for a server without sha256."""
        request = api.GetCapabilitiesRequest(instance_name=self.instance)
        answer = self.call("Capabilities/GetCapabilities", request, api.ServerCapabilities).cache_capabilities
        if api.SHA256 not in answer.digest_functions:
            raise self.failed("it does not know sha256")
        return Capabilities(
            batch_bytes=answer.max_batch_total_size_bytes or BATCH_BYTES,
            streams_zstd=api.ZSTD in answer.supported_compressors,
            batches_zstd=api.ZSTD in answer.supported_batch_update_compressors,
        )

    def call(self, method: str, request: Message, answer: type[Answer], *, size: int = 0) -> Answer:
        """Return the answer to a message in which, or in whose answer, so many bytes travel."""
        patience = self.connection.patience(size)
        return self.attempt(method, lambda: self.channel.ask(f"{SPEC}{method}", request, answer, patience))

    def attempt(self, method: str, ask: Callable[[], T]) -> T:
        """Ask, and once more when the server has moved away for a moment. Raises CacheFailed (LB620)."""
        for is_last in (False, True):
            try:
                return ask()
            except Refused as error:
                if is_last or error.code != "UNAVAILABLE" or method.startswith("ByteStream"):
                    raise self.failed(f"{method}: {error}", HELP.get(error.code, "")) from error
        raise AssertionError  # the last try returned or raised

    def resource(self, kind: str, name: str) -> str:
        """Return the name of a blob as ByteStream wants it."""
        return "/".join(part for part in (self.instance, kind, name) if part)

    def failed(self, why: str, help: str = "") -> CacheFailed:
        return CacheFailed(
            f"the cache {self.name} is not used any more in this run: {why}",
            help=help or "check its address in cache.remotes, cache.headers and the network",
        )


def is_missing(error: CacheFailed) -> bool:
    """Return whether the server only says that it does not have what was asked for."""
    return isinstance(error.__cause__, Refused) and error.__cause__.code == "NOT_FOUND"
