"""What every artifact store does, and what is S3's own."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from s3_server import S3Server

from lambdabuild.artifacts.store import FolderStore, Labels, MemoryStore, Store
from lambdabuild.aws.s3_store import S3Store, console_url
from lambdabuild.core.errors import CannotRead, StoreFailed, VersionTaken
from lambdabuild.core.store import sha256_of

MEBI = 1 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server() as running:
        yield running


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, server: S3Server) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=["memory", "folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, server: S3Server) -> Store:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "folder":
        return FolderStore(str(tmp_path / "store"))
    return s3(server, request.node.name.partition("[")[0].replace("_", "-")[:60].strip("-"))


def s3(server: S3Server, bucket: str, **more: object) -> S3Store:
    server.bucket(bucket)
    return S3Store(bucket, region="eu-west-1", endpoint_url=server.url, **more)  # type: ignore[arg-type]


def file(tmp_path: Path, content: bytes = b"artifact") -> tuple[str, str, int]:
    path = tmp_path / "artifact.zip"
    path.write_bytes(content)
    return str(path), hashlib.sha256(content).hexdigest(), len(content)


def test_what_was_put_is_there_and_is_not_sent_again(store: Store, tmp_path: Path) -> None:
    path, sha256, size = file(tmp_path)
    key = f"Orders/{sha256}.zip"

    assert not store.has(key)
    assert store.put(key, path, sha256, size)
    assert store.has(key)
    assert not store.put(key, path, sha256, size)
    assert key in store.location(key)


def test_many_threads_may_put_the_same_key(store: Store, tmp_path: Path) -> None:
    path, sha256, size = file(tmp_path)
    sent: list[bool] = []
    threads = [threading.Thread(target=lambda: sent.append(store.put("k", path, sha256, size))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(sent) == 8
    assert any(sent)
    assert store.has("k")


def test_who_comes_while_another_puts_the_same_finds_it_there(tmp_path: Path) -> None:
    path, sha256, size = file(tmp_path)
    folder = str(tmp_path / "theirs")
    first = iter([True])

    def digest_of(target: str) -> str:
        if next(first, False):
            FolderStore(folder).put("k", path, sha256, size)
            raise FileNotFoundError  # it was looked for before that
        return sha256_of(target)

    assert not FolderStore(folder, digest_of=digest_of).put("k", path, sha256, size)


def test_a_key_that_is_given_once_keeps_what_it_was_given_first(store: Store, tmp_path: Path) -> None:
    path, sha256, size = file(tmp_path)
    assert store.digest("1.0/a.zip") is None
    assert store.put_once("1.0/a.zip", path, sha256, size)
    assert store.digest("1.0/a.zip") == sha256
    assert not store.put_once("1.0/a.zip", path, sha256, size)

    path, other, size = file(tmp_path, b"other")
    with pytest.raises(VersionTaken) as raised:
        store.put_once("1.0/a.zip", path, other, size)
    assert (sha256 in str(raised.value), other in str(raised.value), "raise the version" in raised.value.help) == (
        True,
    ) * 3
    assert store.digest("1.0/a.zip") == sha256
    assert store.put_once("1.0/a.zip", path, other, size, replace=True)
    assert store.digest("1.0/a.zip") == other


def test_of_many_that_want_one_key_at_once_one_gets_it_and_all_others_are_told(store: Store, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.zip" for number in range(8)]
    for path in paths:
        path.write_bytes(path.name.encode() * 1000)
    for turn in range(5):
        won: list[str] = []
        lost: list[VersionTaken] = []
        barrier = threading.Barrier(len(paths))

        threads = [
            threading.Thread(target=contend, args=(store, f"{turn}/a.zip", path, barrier, won, lost)) for path in paths
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert (len(won), len(lost)) == (1, 7)
        assert store.digest(f"{turn}/a.zip") == won[0]
        assert all(won[0] in str(error) for error in lost)


def contend(
    store: Store, key: str, path: Path, barrier: threading.Barrier, won: list[str], lost: list[VersionTaken]
) -> None:
    sha256, size = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size
    barrier.wait()
    try:
        store.put_once(key, str(path), sha256, size)
        won.append(sha256)
    except VersionTaken as error:
        lost.append(error)


def test_s3_gives_a_large_object_once_too(server: S3Server, tmp_path: Path) -> None:
    path, sha256, size = file(tmp_path, b"x" * (6 * MEBI))
    store = s3(server, "large-once", multipart_bytes=MEBI, part_bytes=5 * MEBI)
    assert store.put_once("k", path, sha256, size, Labels({"a": "b"}, {"commit": "c0ffee"}))
    assert store.digest("k") == sha256
    found = server.client().head_object(Bucket="large-once", Key="k")
    assert found["Metadata"] == {"sha256": sha256, "commit": "c0ffee"}
    path, other, size = file(tmp_path, b"y" * (6 * MEBI))
    with pytest.raises(VersionTaken):
        store.put_once("k", path, other, size)
    assert not store.put_once("k", path, sha256, size)


def test_s3_knows_the_digest_of_what_others_put_with_no_or_wrong_metadata(server: S3Server, tmp_path: Path) -> None:
    store, client = s3(server, "others"), server.client()
    client.put_object(Bucket="others", Key="bare", Body=b"theirs")
    client.put_object(
        Bucket="others", Key="md5", Body=b"theirs", Metadata={"sha256": "d41d8cd98f00b204e9800998ecf8427e"}
    )

    assert store.digest("bare") == store.digest("md5") == hashlib.sha256(b"theirs").hexdigest()


def test_the_console_of_each_partition_has_an_address_of_its_own() -> None:
    assert console_url("b", "lambda/source/0.1.1+x y/source.zip", "eu-west-1") == (
        "https://console.aws.amazon.com/s3/object/b?region=eu-west-1&prefix=lambda/source/0.1.1%2Bx%20y/source.zip"
    )
    assert console_url("b", "k", "cn-north-1").startswith("https://console.amazonaws.cn/s3/object/b?region=cn-north-1&")
    assert console_url("b", "k", "us-gov-west-1").startswith("https://console.amazonaws-us-gov.com/")
    assert console_url("b", "k") == "https://console.aws.amazon.com/s3/object/b?prefix=k"


def test_s3_objects_bear_type_digest_tags_and_key(server: S3Server, tmp_path: Path) -> None:
    path, sha256, size = file(tmp_path)
    store = s3(server, "about", prefix="/shop/", kms_key_id="alias/shop", tags={"team": "a b", "env": "x"})
    store.put("Orders/a.zip", path, sha256, size)
    client = server.client()
    found = client.head_object(Bucket="about", Key="shop/Orders/a.zip")

    assert store.location("Orders/a.zip") == "s3://about/shop/Orders/a.zip"
    assert found["Metadata"] == {"sha256": sha256}
    assert found["ContentType"] == "application/zip"
    assert server.checksums["/about/shop/Orders/a.zip"] == base64.b64encode(bytes.fromhex(sha256)).decode()
    assert found["SSEKMSKeyId"] == "alias/shop"
    tags = client.get_object_tagging(Bucket="about", Key="shop/Orders/a.zip")["TagSet"]
    assert sorted((tag["Key"], tag["Value"]) for tag in tags) == [("env", "x"), ("team", "a b")]


def test_s3_asks_once_for_all_keys_however_many_pages_there_are(server: S3Server, tmp_path: Path) -> None:
    client = server.bucket("pages")
    for number in range(1005):
        client.put_object(Bucket="pages", Key=f"k{number}", Body=b"")
    server.requests.clear()
    store = S3Store("pages", region="eu-west-1", endpoint_url=server.url)

    assert all(store.has(f"k{number}") for number in range(1005))
    assert not store.has("other")
    assert server.requests == {"GET": 2}


def test_s3_sends_a_large_object_in_parts_that_each_bear_a_checksum(server: S3Server, tmp_path: Path) -> None:
    content = bytes(range(256)) * (12 * MEBI // 256) + b"end"
    path, sha256, size = file(tmp_path, content)
    store = s3(server, "parts", multipart_bytes=8 * MEBI, part_bytes=5 * MEBI)
    server.without_checksum.clear()

    assert store.put("large.zip", path, sha256, size)
    answer = server.client().get_object(Bucket="parts", Key="large.zip")
    assert answer["Body"].read() == content
    assert answer["Metadata"] == {"sha256": sha256}
    assert server.requests["PUT"] == 3
    assert not server.without_checksum


def test_s3_leaves_no_half_upload_behind(server: S3Server, tmp_path: Path) -> None:
    path, sha256, size = file(tmp_path, b"x" * (6 * MEBI))
    store = s3(server, "aborted", multipart_bytes=MEBI, part_bytes=5 * MEBI)
    server.client().put_object(Bucket="aborted", Key="late", Body=b"theirs")
    store._there[""] = set()  # as if they had put it after we asked

    assert not store.put("late", path, sha256, size)
    assert "Uploads" not in server.client().list_multipart_uploads(Bucket="aborted")
    assert server.client().get_object(Bucket="aborted", Key="late")["Body"].read() == b"theirs"


def test_s3_does_not_overwrite_what_somebody_put_meanwhile(server: S3Server, tmp_path: Path) -> None:
    path, sha256, size = file(tmp_path)
    store = s3(server, "meanwhile")
    assert not store.has("k")
    server.client().put_object(Bucket="meanwhile", Key="k", Body=b"theirs")

    assert not store.put("k", path, sha256, size)
    assert server.client().get_object(Bucket="meanwhile", Key="k")["Body"].read() == b"theirs"


def test_a_body_that_is_not_what_its_digest_says_is_refused(server: S3Server, tmp_path: Path) -> None:
    path, _, size = file(tmp_path)
    store = s3(server, "wrong")
    with pytest.raises(StoreFailed, match="BadDigest"):
        store.put("k", path, "0" * 64, size)

    assert server.bad_checksums


def test_s3_tries_again_when_it_is_told_to_slow_down(server: S3Server, tmp_path: Path) -> None:
    path, sha256, size = file(tmp_path)
    store = s3(server, "slow")
    server.fail_next = 2

    assert store.put("k", path, sha256, size)


def test_a_bucket_that_does_not_exist_is_told_with_the_way_out(server: S3Server, tmp_path: Path) -> None:
    path, sha256, size = file(tmp_path)
    with pytest.raises(StoreFailed) as raised:
        S3Store("nowhere", region="eu-west-1", endpoint_url=server.url).put("k", path, sha256, size)

    assert "NoSuchBucket" in str(raised.value)
    assert "create the bucket" in raised.value.help


def test_an_unknown_profile_and_missing_credentials_are_told(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, sha256, size = file(tmp_path)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(StoreFailed, match="nobody"):
        S3Store("b", profile="nobody", endpoint_url=server.url).put("k", path, sha256, size)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreFailed, match="no AWS credentials"):
        S3Store("b", region="eu-west-1", endpoint_url=server.url).put("k", path, sha256, size)


# something on the way answers in place of S3

PAGE = b"<html><body>Please log in to the guest network</body></html>"


@pytest.fixture(scope="module", params=["page", "empty", "xml"])
def portal(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that answers whatever it is asked with 200: a web page, nothing, or XML of its own."""
    body = {"page": PAGE, "empty": b"", "xml": b"<?xml version='1.0'?><welcome/>"}[request.param]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name is http.server's
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("size", [100, 6 * MEBI])
def test_an_answer_that_is_not_from_s3_counts_as_nothing_sent(
    portal: str, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    path, sha256, _ = file(tmp_path, b"x" * size)
    store = S3Store("any", region="eu-west-1", endpoint_url=portal, multipart_bytes=MEBI, part_bytes=5 * MEBI)
    store._there[""] = set()  # as if the bucket was listed while the network was still ours

    with pytest.raises(StoreFailed):
        store.put("a.zip", path, sha256, size)
    assert not store.has("a.zip")


def test_what_changed_before_it_was_published_is_not_published(tmp_path: Path) -> None:
    path, _, size = file(tmp_path)
    store = FolderStore(str(tmp_path / "store"))

    with pytest.raises(CannotRead):
        store.put("a.zip", path, "0" * 64, size)
    with pytest.raises(CannotRead):
        store.put_once("1.0/a.zip", path, "0" * 64, size)
    assert not store.has("a.zip")
    assert not store.has("1.0/a.zip")
