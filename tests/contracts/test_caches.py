"""What every cache does, whatever it is behind; and what is a server's own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cache_servers import Reapi, casd, nginx
from s3_server import S3Server

from lambdabuild.aws.s3_cache import S3Cache
from lambdabuild.cache import records
from lambdabuild.cache.cache import Cache, Digest, MemoryCache
from lambdabuild.cache.folder import FolderCache
from lambdabuild.cache.http_cache import HttpCache
from lambdabuild.cache.reapi.reapi_cache import ReapiCache
from lambdabuild.cache.remote import Connection
from lambdabuild.core.errors import CacheFailed

MEBI = 1 << 20


@pytest.fixture(scope="module", params=["memory", "folder", "s3", "nginx", "casd", "zstd"])
def cache(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    folder = tmp_path_factory.mktemp("cache")
    if request.param == "memory":
        yield MemoryCache()
    elif request.param == "folder":
        yield FolderCache(str(folder))
    elif request.param == "s3":
        with S3Server() as server, pytest.MonkeyPatch.context() as patch:
            server.bucket("team")
            for name, value in server.environment.items():
                patch.setenv(name, value)
            yield S3Cache("team", "some/prefix", region="eu-west-1", endpoint_url=server.url)
    elif request.param == "nginx":
        with nginx(folder / "nginx") as address:
            yield HttpCache(Connection(address + "/team/"))
    elif request.param == "casd":
        with casd(folder / "casd") as address:
            yield ReapiCache(Connection(address))
    else:
        with Reapi(instance="main/team") as server:
            yield ReapiCache(Connection(f"grpc://127.0.0.1:{server.port}/main/team"))
            assert server.zstd_bytes


def blob(tmp_path: Path, content: bytes) -> tuple[Digest, str]:
    path = tmp_path / "blob"
    path.write_bytes(content)
    return Digest.of(content), str(path)


def fetched(cache: Cache, digest: Digest) -> bytes | None:
    found = bytearray()
    return bytes(found) if cache.fetch(digest, found.extend) else None


def a_key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("size", [1, 1000, 5 * MEBI])
def test_bytes_that_were_put_come_back(cache: Cache, tmp_path: Path, size: int) -> None:
    digest, path = blob(tmp_path, os.urandom(size))

    assert fetched(cache, digest) is None
    assert cache.missing([digest]) == {digest}
    cache.put(digest, path)
    assert cache.missing([digest]) == set()
    assert fetched(cache, digest) == Path(path).read_bytes()


def test_bytes_that_pack_well_come_back_too(cache: Cache, tmp_path: Path) -> None:
    for content in (b"", b"ab" * 1000, bytes(3 * MEBI)):
        digest, path = blob(tmp_path, content)
        cache.put(digest, path)
        cache.put(digest, path)

        assert fetched(cache, digest) == content


def test_a_record_comes_back_and_is_replaced(cache: Cache, tmp_path: Path) -> None:
    key = a_key("record")
    assert cache.record(key) is None
    for number in (1, 2):
        step = records.packed(key, {"number": number}, {})
        digest, path = blob(tmp_path, step)
        cache.put(digest, path)
        cache.put_record(key, records.to_bytes(step, {}))
        found = records.from_bytes(cache.record(key) or b"")

        assert found is not None
        assert found.step == digest
        assert fetched(cache, found.step) == step


def test_a_record_that_is_too_long_to_bring_its_step_names_it(cache: Cache, tmp_path: Path) -> None:
    key = a_key("long")
    step = records.packed(key, {"noise": os.urandom(50_000).hex()}, {})
    other, path = blob(tmp_path, os.urandom(100))
    cache.put(other, path)
    digest, path = blob(tmp_path, step)
    cache.put(digest, path)
    cache.put_record(key, records.to_bytes(step, {"artifact.zip": other}))
    found = records.from_bytes(cache.record(key) or b"")

    assert found == records.Record(digest, b"")


# trouble


def test_a_server_that_is_not_there_is_told_soon(tmp_path: Path) -> None:
    digest, path = blob(tmp_path, b"x")
    for there in (
        HttpCache(Connection("http://user:secret@127.0.0.1:9/cache")),
        ReapiCache(Connection("grpc://127.0.0.1:9")),
        S3Cache("team", region="eu-west-1", endpoint_url="http://127.0.0.1:9", timeout_seconds=1),
    ):
        for ask in (lambda: there.record(a_key("x")), lambda: there.put(digest, path), lambda: there.missing([digest])):  # noqa: B023
            began = time.monotonic()
            with pytest.raises(CacheFailed, match="LB620") as raised:
                ask()
            assert "secret" not in str(raised.value)
            assert time.monotonic() - began < 5


def test_a_server_that_does_not_answer_is_given_up() -> None:
    with Reapi() as server:
        server.seconds = 3
        began = time.monotonic()
        with pytest.raises(CacheFailed, match="DEADLINE_EXCEEDED"):
            ReapiCache(Connection(f"grpc://127.0.0.1:{server.port}", timeout_seconds=1)).record(a_key("x"))
        assert time.monotonic() - began < 2.5


def test_headers_are_what_a_server_asks_for(tmp_path: Path) -> None:
    with Reapi() as server:
        server.needs = {"x-api-key": "swordfish"}
        address = f"grpc://127.0.0.1:{server.port}"
        digest, path = blob(tmp_path, b"x" * 2 * MEBI)
        with pytest.raises(CacheFailed, match=r"cache\.headers"):
            ReapiCache(Connection(address)).record(a_key("x"))
        known = ReapiCache(Connection(address, headers={"X-Api-Key": "swordfish"}))
        known.put(digest, path)

        assert fetched(known, digest) is not None
        assert "swordfish" not in repr(known.server.connection)


def test_tls_is_checked_against_the_authority_that_was_named(tmp_path: Path) -> None:
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "ca.pem", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]  # fmt: skip
    subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
    tls = ((tmp_path / "key.pem").read_bytes(), (tmp_path / "ca.pem").read_bytes())
    digest, path = blob(tmp_path, b"x")
    with Reapi(tls=tls) as server:
        address = f"grpcs://localhost:{server.port}"
        trusting = ReapiCache(Connection(address, ca_file=str(tmp_path / "ca.pem")))
        trusting.put(digest, path)

        assert fetched(trusting, digest) == b"x"
        with pytest.raises(CacheFailed):
            ReapiCache(Connection(address, timeout_seconds=3)).record(a_key("x"))
        with pytest.raises(CacheFailed, match="cannot read"):
            ReapiCache(Connection(address, ca_file="nowhere.pem")).record(a_key("x"))


def test_a_bucket_without_the_right_to_it_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with S3Server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(CacheFailed, match="create the bucket"):
            S3Cache("nowhere", region="eu-west-1", endpoint_url=server.url).record(a_key("x"))


@pytest.mark.parametrize("answer", ["a page", "a redirection to a page", "nothing"])
def test_a_server_that_keeps_nothing_is_not_taken_for_a_cache(tmp_path: Path, answer: str) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:  # the name is http.server's
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            is_moved = answer.startswith("a redirection") and self.path != "/login"
            body = b"" if is_moved or answer == "nothing" else b"<html>log in</html>"
            self.send_response(302 if is_moved else 200)
            if is_moved:
                self.send_header("Location", "/login")
            self.send_header("Content-Type", "text/html" if answer != "nothing" else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cache = HttpCache(Connection(f"http://127.0.0.1:{server.server_port}/"))
    with pytest.raises(CacheFailed):
        cache.put(*blob(tmp_path, b"some bytes"))
    server.shutdown()
    server.server_close()
