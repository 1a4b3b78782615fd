"""A cache under a prefix of an S3 bucket: ``ac/<key>`` and ``cas/<sha256>``, as the other caches have them."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any, BinaryIO

from lambdabuild.aws import session
from lambdabuild.cache.cache import CHUNK, Digest, Sink
from lambdabuild.cache.remote import patience
from lambdabuild.core.errors import CacheFailed, StoreFailed

MISSING = ("NoSuchKey", "404")
HELP = {
    "AccessDenied": "give the credentials s3:ListBucket on the bucket, s3:GetObject and s3:PutObject on the prefix",
    "403": "give the credentials s3:ListBucket on the bucket, s3:GetObject and s3:PutObject on the prefix",
    "NoSuchBucket": "create the bucket, or correct cache.remotes",
    "ExpiredToken": "renew the credentials",
}


class S3Cache:
    """Objects bear S3's own sha256, so that what arrives is what was sent."""

    def __init__(
        self, bucket: str, prefix: str = "", *, region: str = "", profile: str = "", endpoint_url: str = "",
        timeout_seconds: float = 10,
    ) -> None:  # fmt: skip
        self.bucket = bucket
        self.prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self._connection: dict[str, Any] = {"region": region, "profile": profile, "endpoint_url": endpoint_url}
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._made: Any = None

    @property
    def name(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def record(self, key: str) -> bytes | None:
        content = bytearray()
        return bytes(content) if self._get(f"ac/{key}", content.extend) else None

    def put_record(self, key: str, record: bytes) -> None:
        self._put(f"ac/{key}", record, hashlib.sha256(record).digest())

    def fetch(self, digest: Digest, sink: Sink) -> bool:
        return self._get(f"cas/{digest.sha256}", sink)

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        return {digest for digest in digests if not self._has(digest)}

    def put(self, digest: Digest, path: str) -> None:
        with open(path, "rb") as stream:
            self._put(f"cas/{digest.sha256}", stream, bytes.fromhex(digest.sha256))

    def _get(self, key: str, sink: Sink) -> bool:
        with self._telling(f"read {key}") as answer:
            blob = self._client.get_object(Bucket=self.bucket, Key=self.prefix + key)
            until = time.monotonic() + patience(self._timeout_seconds, blob["ContentLength"])
            with closing(blob["Body"]) as body:
                for chunk in body.iter_chunks(CHUNK):
                    sink(chunk)
                    if time.monotonic() > until:
                        raise self._failed(f"read {key}", TimeoutError("it takes too long"))
            answer.append(True)
        return bool(answer)

    def _has(self, digest: Digest) -> bool:
        with self._telling(f"look for cas/{digest.sha256}") as answer:
            head = self._client.head_object(Bucket=self.bucket, Key=f"{self.prefix}cas/{digest.sha256}")
            answer.append(head["ContentLength"] == digest.size)
        return answer == [True]

    def _put(self, key: str, body: bytes | BinaryIO, sha256: bytes) -> None:
        checksum = base64.b64encode(sha256).decode()
        with self._telling(f"write {key}"):
            answer = self._client.put_object(
                Bucket=self.bucket, Key=self.prefix + key, Body=body, ContentType="application/octet-stream",
                ChecksumSHA256=checksum,
            )  # fmt: skip
            if answer.get("ChecksumSHA256", checksum) != checksum or not answer.get("ETag"):
                raise self._failed(f"write {key}", ValueError("the answer is not from S3"))

    @contextmanager
    def _telling(self, what: str) -> Iterator[list[bool]]:
        """A list that stays empty when the object is not there; whatever else AWS refuses is CacheFailed (LB620)."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield []
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code not in MISSING:
                raise self._failed(what, error, HELP.get(code, "")) from error
        except (BotoCoreError, StoreFailed, OSError) as error:
            raise self._failed(what, error) from error

    def _failed(self, what: str, error: Exception, help: str = "") -> CacheFailed:
        return CacheFailed(
            f"the cache {self.name} is not used any more in this run: cannot {what}: {error}",
            help=help or "check cache.remotes, the credentials and the network",
        )

    @property
    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = session.client("s3", timeout_seconds=self._timeout_seconds, **self._connection)
            return self._made
