"""A gRPC channel to one server: the only place that knows grpc. Methods are named as the specification names them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from google.protobuf.message import Message

from lambdabuild.cache.remote import Connection
from lambdabuild.core.errors import CacheFailed

if TYPE_CHECKING:
    import grpc

Answer = TypeVar("Answer", bound=Message)
KEEPALIVE_SECONDS = 300
"""How often a server that says nothing is asked whether it lives; the least that servers take unless told otherwise."""
SPEC = "/build.bazel.remote.execution.v2."


class Refused(Exception):
    """The server said no, or nothing. ``code`` is a name of grpc.io/docs/guides/status-codes."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(f"{code}, {details}")
        self.code, self.details = code, details


class Channel:
    """Opened when it is first used; gRPC shares it between threads."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        parts = urlsplit(connection.address)
        self._is_secret, self._target, self.instance = parts.scheme == "grpcs", parts.netloc, parts.path.strip("/")
        self._lock = threading.Lock()
        self._made: grpc.Channel | None = None

    def ask(self, method: str, request: Message, answer: type[Answer], seconds: float) -> Answer:
        """One question, one answer. All three raise Refused."""
        import grpc

        call = self._channel.unary_unary(
            method, request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString
        )
        try:
            response: Answer = call(request, timeout=seconds, metadata=self._metadata)
            return response
        except grpc.RpcError as error:
            raise _refused(error) from error

    def listen(
        self,
        method: str,
        request: Message,
        answer: type[Answer],
        seconds: float | None,
        calls: set[grpc.Call] | None = None,
    ) -> Iterator[Answer]:
        """One question, many answers. The call is added to ``calls`` while it goes on, for whoever may cancel it."""
        import grpc

        ask = self._channel.unary_stream(
            method, request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString
        )
        call = ask(request, timeout=seconds, metadata=self._metadata)
        if calls is not None:
            calls.add(call)
        try:
            yield from call
        except grpc.RpcError as error:
            raise _refused(error) from error
        finally:
            call.cancel()
            if calls is not None:
                calls.discard(call)

    def tell(
        self, method: str, requests: Iterable[Message], kind: type[Message], answer: type[Answer], seconds: float
    ) -> Answer:
        """Call a method that takes a stream of messages and gives one answer."""
        import grpc

        call = self._channel.stream_unary(
            method, request_serializer=kind.SerializeToString, response_deserializer=answer.FromString
        )
        try:
            response: Answer = call(requests, timeout=seconds, metadata=self._metadata)
            return response
        except grpc.RpcError as error:
            raise _refused(error) from error

    @property
    def _metadata(self) -> list[tuple[str, str]]:
        return [(name.lower(), value) for name, value in self.connection.headers.items()]

    @property
    def _channel(self) -> grpc.Channel:
        with self._lock:
            if self._made is None:
                self._made = self._open()
            return self._made

    def _open(self) -> grpc.Channel:
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what it has to say comes as an error
        import grpc

        options = [("grpc.max_receive_message_length", 16 << 20), ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000)]
        if not self._is_secret:
            insecure: grpc.Channel = grpc.insecure_channel(self._target, options)
            return insecure
        authority, certificate, key = (
            _content(file)
            for file in (self.connection.ca_file, self.connection.client_certificate, self.connection.client_key)
        )
        credentials = grpc.ssl_channel_credentials(authority, key, certificate)
        secure: grpc.Channel = grpc.secure_channel(self._target, credentials, options)
        return secure


def _refused(error: Any) -> Refused:  # what is raised is a grpc.Call too
    return Refused(error.code().name, (error.details() or "").partition("\n")[0])


def _content(file: str) -> bytes | None:
    if not file:
        return None
    try:
        with open(file, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise CacheFailed(f"cannot read {file}: {error.strerror}", help="correct the path in [cache]") from error
