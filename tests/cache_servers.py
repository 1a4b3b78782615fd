"""Cache servers on loopback: nginx with DAV, buildbox-casd, and a small one of the Remote Execution API.

The first two are other people's. The third is for what buildbox-casd has not: zstd, TLS, headers, trouble on demand.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from lambdabuild.cache import remote_execution_pb2 as api
from lambdabuild.cache import zstd

BUILDBOX = Path(sysconfig.get_path("platlib"), "buildstream/subprojects/buildbox")
NGINX = """\
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  client_max_body_size 0;
  server {{ listen 127.0.0.1:{port}; root {folder}/root; location / {{ dav_methods PUT; create_full_put_path on; }} }}
}}
"""


@contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """Its address. The files lie in ``root/ac`` and ``root/cas`` of the folder."""
    (folder / "root").mkdir(parents=True)
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    with running([program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", "nginx.conf"], folder, port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def casd(folder: Path) -> Iterator[str]:
    """Its address. The blobs lie in ``cas/objects`` of the folder."""
    folder.mkdir(parents=True)
    port = free_port()
    with running([str(BUILDBOX / "buildbox-casd"), "--bind", f"127.0.0.1:{port}", str(folder)], folder, port):
        yield f"grpc://127.0.0.1:{port}"


@contextmanager
def running(command: list[str], folder: Path, port: int) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(port, process, folder / "log")
        yield
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.05)


class Reapi:
    """A server of the Remote Execution API that holds all in memory and believes nothing."""

    def __init__(self, *, instance: str = "", zstd: bool = True, tls: tuple[bytes, bytes] | None = None) -> None:
        self.instance, self.zstd = instance, zstd
        self.records: dict[str, Any] = {}
        self.blobs: dict[str, bytes] = {}
        self.needs: dict[str, str] = {}
        """Metadata without which nothing is answered."""
        self.seconds = 0.0
        """How long every answer takes."""
        self.asked: list[str] = []
        self.zstd_bytes = 0
        self._server = grpc.server(ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers((self,))
        if tls:
            self.port = self._server.add_secure_port("localhost:0", grpc.ssl_server_credentials([tls]))
        else:
            self.port = self._server.add_insecure_port("127.0.0.1:0")

    def __enter__(self) -> Reapi:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()

    def service(self, details: Any) -> Any:
        """gRPC's question: who handles this method?"""
        service, _, method = details.method.removeprefix("/").rpartition("/")
        self.asked.append(method)
        known = {
            "GetCapabilities": api.GetCapabilitiesRequest, "GetActionResult": api.GetActionResultRequest,
            "UpdateActionResult": api.UpdateActionResultRequest, "FindMissingBlobs": api.FindMissingBlobsRequest,
            "BatchUpdateBlobs": api.BatchUpdateBlobsRequest, "BatchReadBlobs": api.BatchReadBlobsRequest,
        }  # fmt: skip
        given = dict(details.invocation_metadata)
        if any(given.get(name) != value for name, value in self.needs.items()):
            return grpc.unary_unary_rpc_method_handler(
                lambda _, c: c.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
            )
        if method in known:
            assert service.startswith("build.bazel.remote.execution.v2.")
            return grpc.unary_unary_rpc_method_handler(
                lambda request, context: self._answer(method, request, context),
                known[method].FromString,
                lambda message: message.SerializeToString(),
            )
        if method == "Read":
            return grpc.unary_stream_rpc_method_handler(
                self._read, api.ReadRequest.FromString, api.ReadResponse.SerializeToString
            )
        return grpc.stream_unary_rpc_method_handler(
            self._write, api.WriteRequest.FromString, api.WriteResponse.SerializeToString
        )

    def _answer(self, method: str, request: Any, context: Any) -> Any:
        time.sleep(self.seconds)
        if request.instance_name != self.instance:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no instance {request.instance_name!r}")
        return getattr(self, method)(request, context)

    def GetCapabilities(self, request: Any, context: Any) -> Any:  # noqa: N802  # the specification's names
        how = [api.ZSTD] if self.zstd else []
        can = api.CacheCapabilities(
            digest_functions=[api.SHA256], supported_compressors=how, supported_batch_update_compressors=how
        )
        return api.ServerCapabilities(cache_capabilities=can)

    def GetActionResult(self, request: Any, context: Any) -> Any:  # noqa: N802
        found = self.records.get(request.action_digest.hash)
        if found is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "")
        return found

    def UpdateActionResult(self, request: Any, context: Any) -> Any:  # noqa: N802
        for file in request.action_result.output_files:
            if file.digest.hash not in self.blobs:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{file.path} is not in the CAS")
        self.records[request.action_digest.hash] = request.action_result
        return request.action_result

    def FindMissingBlobs(self, request: Any, context: Any) -> Any:  # noqa: N802
        missing = [digest for digest in request.blob_digests if digest.hash not in self.blobs]
        return api.FindMissingBlobsResponse(missing_blob_digests=missing)

    def BatchUpdateBlobs(self, request: Any, context: Any) -> Any:  # noqa: N802
        return api.BatchUpdateBlobsResponse(
            responses=[
                api.BatchUpdateBlobsResponse.Response(
                    digest=one.digest, status=self._store(one.digest.hash, self._plain(one))
                )
                for one in request.requests
            ]
        )

    def BatchReadBlobs(self, request: Any, context: Any) -> Any:  # noqa: N802
        found = []
        for digest in request.digests:
            blob, how = self.blobs.get(digest.hash), api.IDENTITY
            if blob is not None and api.ZSTD in request.acceptable_compressors:
                blob, how = zstd.compress(blob), api.ZSTD
            status = api.Status(code=0 if blob is not None else 5)
            one = api.BatchReadBlobsResponse.Response(digest=digest, data=blob, status=status, compressor=how)
            found.append(one)
        return api.BatchReadBlobsResponse(responses=found)

    def _plain(self, one: Any) -> bytes:
        if one.compressor == api.ZSTD:
            self.zstd_bytes += len(one.data)
            return zstd.ZstdDecompressor().decompress(one.data)
        return one.data

    def _store(self, sha256: str, data: bytes) -> Any:
        if hashlib.sha256(data).hexdigest() != sha256:
            return api.Status(code=3, message="another digest")
        self.blobs[sha256] = data
        return api.Status()

    def _read(self, request: Any, context: Any) -> Iterator[Any]:
        time.sleep(self.seconds)
        kind, sha256, size = self._place(request.resource_name)
        if sha256 not in self.blobs:
            context.abort(grpc.StatusCode.NOT_FOUND, "")
        data = self.blobs[sha256]
        assert len(data) == int(size)
        data = zstd.compress(data) if kind == "zstd" else data
        self.zstd_bytes += len(data) if kind == "zstd" else 0
        for start in range(0, len(data), 1 << 16):
            yield api.ReadResponse(data=data[start : start + (1 << 16)])

    def _write(self, requests: Iterator[Any], context: Any) -> Any:
        name, data, is_finished = "", b"", False
        for request in requests:
            name = name or request.resource_name
            assert request.write_offset == len(data)
            data, is_finished = data + request.data, request.finish_write
        kind, sha256, size = self._place(name)
        plain = zstd.ZstdDecompressor().decompress(data) if kind == "zstd" else data
        self.zstd_bytes += len(data) if kind == "zstd" else 0
        if not is_finished or len(plain) != int(size) or self._store(sha256, plain).code:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not what was announced")
        return api.WriteResponse(committed_size=len(data))

    def _place(self, name: str) -> list[str]:
        parts = name.split("/")
        assert not self.instance or name.startswith(self.instance + "/"), name
        return parts[-3:]


def corrupted(file: Path, how: str) -> None:
    """Damage a file: flip a byte in the middle of it, cut it, or delete it."""
    if how == "delete":
        file.unlink()
        return
    content = bytearray(file.read_bytes())
    if how == "flip" and content:
        content[len(content) // 2] ^= 0x10
    os.chmod(file, 0o644)
    file.write_bytes(content if how == "flip" else content[: len(content) // 2])
