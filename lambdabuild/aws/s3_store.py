"""Artifacts in an S3 bucket: one listing says what is there, and what is not is put, unless it came meanwhile."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

from lambdabuild.artifacts.store import NO_LABELS, Labels, taken
from lambdabuild.aws import session
from lambdabuild.aws.s3_upload import Upload, field, send_parts, send_whole
from lambdabuild.core.errors import StoreFailed

MULTIPART_BYTES = 64 << 20
PART_BYTES = 16 << 20
"""S3 takes at least 5 MiB a part: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""
IF_NONE = {"IfNoneMatch": "*"}
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html: 412 when the key is there, 409 when
another request is about to make it so."""
ATTEMPTS = 8
FIRST_WAIT_SECONDS = 0.1
NOT_THERE = ("404", "NoSuchKey", "NotFound")
SHA256 = re.compile(r"[0-9a-f]{64}")

HELP = {
    "NoSuchBucket": "create the bucket, or correct the setting bucket",
    "AccessDenied": "give the credentials s3:ListBucket on the bucket and s3:PutObject on the prefix",
    "403": "give the credentials s3:ListBucket on the bucket and s3:PutObject on the prefix",
    "InvalidAccessKeyId": "check the credentials",
    "SignatureDoesNotMatch": "check the credentials",
    "ExpiredToken": "renew the credentials",
    "PermanentRedirect": "set region to the bucket's",
}


class S3Store:
    """Objects under ``s3://bucket/prefix/``; each bears its sha256 in the metadata and as S3's own checksum."""

    def __init__(
        self,
        bucket: str,
        *,
        prefix: str = "",
        region: str = "",
        profile: str = "",
        endpoint_url: str = "",
        kms_key_id: str = "",
        tags: Mapping[str, str] | None = None,
        multipart_bytes: int = MULTIPART_BYTES,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self.bucket = bucket
        self.prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self._connection: dict[str, Any] = {"region": region, "profile": profile, "endpoint_url": endpoint_url}
        self._kms_key_id = kms_key_id
        self._tags = dict(tags or {})
        self._multipart_bytes = multipart_bytes
        self._part_bytes = part_bytes
        self._lock = threading.Lock()
        self._made: Any = None
        self._there: dict[str, set[str]] = {}

    @property
    def region(self) -> str:
        """As given, else as boto3 finds it in the environment or the profile."""
        return self._connection["region"] or str(self._client.meta.region_name or "")

    def location(self, key: str) -> str:
        return f"s3://{self.bucket}/{self.prefix}{key}"

    def has(self, key: str) -> bool:
        return self.prefix + key in self._keys(key)

    def put(self, key: str, path: str, sha256: str, size: int) -> bool:
        if self.has(key):
            return False
        sent = self._send(key, path, sha256, size, NO_LABELS, IF_NONE)
        self._keys(key).add(self.prefix + key)
        return sent

    def digest(self, key: str) -> str | None:
        """As S3 itself says, else the metadata; of what somebody else put without either, by reading it."""
        from botocore.exceptions import ClientError

        place = {"Bucket": self.bucket, "Key": self.prefix + key}
        with _explaining(f"look at {self.location(key)}"):
            try:
                head = self._client.head_object(ChecksumMode="ENABLED", **place)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in NOT_THERE:
                    return None
                raise
            return _sha256_in(head) or _sha256_of(self._client.get_object(**place)["Body"])

    def put_once(
        self, key: str, path: str, sha256: str, size: int, labels: Labels = NO_LABELS, *, replace: bool = False
    ) -> bool:
        for attempt in range(ATTEMPTS):
            there = self.digest(key)
            if there == sha256:
                return False
            if there is not None and not replace:
                raise taken(self.location(key), there, sha256)
            if self._send(key, path, sha256, size, labels, IF_NONE if there is None else {}):
                return True
            # Somebody was faster, or (409) is about to be: the next look tells with what.
            time.sleep(FIRST_WAIT_SECONDS * attempt)
        raise StoreFailed(
            f"cannot put {self.location(key)}: gave up after losing the race to another writer {ATTEMPTS} times",
            help="run the build again",
        )

    def _send(self, key: str, path: str, sha256: str, size: int, labels: Labels, condition: Mapping[str, str]) -> bool:
        """Return False when the condition did not hold."""
        upload = Upload(path, sha256, self._about(self.prefix + key, sha256, labels), condition)
        with _explaining(f"put {self.location(key)}"):
            if size > self._multipart_bytes:
                return send_parts(self._client, upload, self._part_bytes)
            return send_whole(self._client, upload)

    def read(self, key: str) -> bytes | None:
        """Return the object under a key; None when there is none."""
        if not self.has(key):
            return None
        with _explaining(f"get {self.location(key)}"):
            return bytes(self._client.get_object(Bucket=self.bucket, Key=self.prefix + key)["Body"].read())

    def copy(self, location: str, key: str) -> None:
        """Copy an object (``s3://bucket/key``, up to 5 GB) to a key, inside S3."""
        bucket, _, source = location.removeprefix("s3://").partition("/")
        with _explaining(f"copy {location} to {self.location(key)}"):
            answer = self._client.copy_object(
                Bucket=self.bucket,
                Key=self.prefix + key,
                CopySource={"Bucket": bucket, "Key": source},
                MetadataDirective="COPY",
                TaggingDirective="COPY",
                **self._encryption(),
            )
            field(answer.get("CopyObjectResult", {}), "ETag")
        self._keys(key).add(self.prefix + key)

    def _about(self, key: str, sha256: str, labels: Labels) -> dict[str, str | Mapping[str, str]]:
        metadata = {**labels.metadata, "sha256": sha256}
        about: dict[str, str | Mapping[str, str]] = {"Bucket": self.bucket, "Key": key, "Metadata": metadata}
        about["ContentType"] = _CONTENT_TYPES.get(os.path.splitext(key)[1], "application/octet-stream")
        about |= self._encryption()
        tags = {**self._tags, **labels.tags}
        if tags:
            about["Tagging"] = urlencode(sorted(tags.items()))
        return about

    def _encryption(self) -> dict[str, str]:
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._kms_key_id} if self._kms_key_id else {}

    @property
    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = session.client("s3", **self._connection)
            return self._made

    def _keys(self, key: str) -> set[str]:
        """Return all keys in the folder of a key, asked for once."""
        client, folder = self._client, (self.prefix + key).rpartition("/")[0]
        start = f"{folder}/" if folder else ""
        with self._lock:
            if folder not in self._there:
                with _explaining(f"list s3://{self.bucket}/{start}"):
                    pages = client.get_paginator("list_objects_v2").paginate(
                        Bucket=self.bucket, Prefix=start, Delimiter="/"
                    )
                    self._there[folder] = {item["Key"] for page in pages for item in page.get("Contents", ())}
            return self._there[folder]


@contextmanager
def _explaining(what: str) -> Iterator[None]:
    """Raise whatever AWS refuses as an error with a way out."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except NoCredentialsError as error:
        help = "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or leave bucket out to use a folder"
        raise StoreFailed(f"cannot {what}: there are no AWS credentials", help=help) from error
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        raise StoreFailed(f"cannot {what}: {error}", help=HELP.get(code, "see the code that S3 gave")) from error
    except BotoCoreError as error:
        raise StoreFailed(f"cannot {what}: {error}", help="check endpoint_url, region and the network") from error


def _sha256_in(head: Mapping[str, Any]) -> str | None:
    """Return the sha256 that an object bears: S3's own when it is of the whole object, not of parts, else ours."""
    checksum, is_in_parts = str(head.get("ChecksumSHA256", "")), "-" in str(head.get("ETag", ""))
    if checksum and not is_in_parts and head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
        return base64.b64decode(checksum).hex()
    ours = str(head.get("Metadata", {}).get("sha256", ""))
    return ours if SHA256.fullmatch(ours) else None


def _sha256_of(stream: Any) -> str:
    """Return the sha256 of a body that botocore streams."""
    digest = hashlib.sha256()
    for chunk in stream.iter_chunks(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def console_url(bucket: str, key: str, region: str = "") -> str:
    """Return the address of an object in the AWS console of the region's partition.

    https://docs.aws.amazon.com/general/latest/gr/rande.html
    """
    start = next((prefix for prefix in CONSOLES if region.startswith(prefix)), "")
    query = {**({"region": region} if region else {}), "prefix": key}
    return f"https://{CONSOLES[start]}/s3/object/{quote(bucket)}?{urlencode(query, quote_via=quote, safe='/')}"


CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com", "": "console.aws.amazon.com"}

_CONTENT_TYPES = {
    ".zip": "application/zip",
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
