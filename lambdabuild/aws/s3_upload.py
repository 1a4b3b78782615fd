"""Send one file to S3, whole or in parts; what S3 says it has is compared with what was sent."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lambdabuild.core.errors import StoreFailed
from lambdabuild.core.records import Struct

PART_THREADS = 4
ALREADY_THERE = ("PreconditionFailed", "ConditionalRequestConflict", "412")


class Upload(Struct, frozen=True):
    """A file on its way to a key."""

    path: str
    sha256: str
    about: Mapping[str, str | Mapping[str, str]]
    """Arguments of every request that makes the object: its bucket, key, metadata, tags and encryption."""
    condition: Mapping[str, str]
    """Arguments of the request after which the object is there."""

    @property
    def object(self) -> dict[str, Any]:
        return {"Bucket": self.about["Bucket"], "Key": self.about["Key"]}


def send_whole(client: Any, upload: Upload) -> bool:
    """Send a file in one request. Return False when the condition did not hold."""
    checksum = base64.b64encode(bytes.fromhex(upload.sha256)).decode()
    with open(upload.path, "rb") as stream:
        answer = _conditionally(
            lambda: client.put_object(Body=stream, ChecksumSHA256=checksum, **upload.condition, **upload.about)
        )
    if answer is not None and answer.get("ChecksumSHA256") != checksum and not _is_etag_of(upload.path, answer):
        _refuse_other(client, upload)
    return answer is not None


def send_parts(client: Any, upload: Upload, part_bytes: int) -> bool:
    """Send a file in parts. Return False when the condition did not hold.

    S3 has no sha256 of a whole multipart object, so each part bears its own and the metadata the whole's.
    """
    started = client.create_multipart_upload(ChecksumAlgorithm="SHA256", **upload.about)
    place = {**upload.object, "UploadId": field(started, "UploadId")}
    try:
        count = -(-os.path.getsize(upload.path) // part_bytes)
        with ThreadPoolExecutor(PART_THREADS) as pool:
            numbers = range(1, count + 1)
            parts = list(pool.map(lambda number: _send_part(client, place, upload.path, number, part_bytes), numbers))
        answer = _conditionally(
            lambda: client.complete_multipart_upload(MultipartUpload={"Parts": parts}, **upload.condition, **place)
        )
        if answer is None:
            client.abort_multipart_upload(**place)
            return False
        if not str(answer.get("ETag", "")).strip('"').endswith(f"-{count}"):
            _refuse_other(client, upload)
        return True
    except BaseException:
        client.abort_multipart_upload(**place)
        raise


def _send_part(client: Any, place: Mapping[str, str], path: str, number: int, part_bytes: int) -> dict[str, str | int]:
    with open(path, "rb") as stream:
        stream.seek((number - 1) * part_bytes)
        data = stream.read(part_bytes)
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    answer = client.upload_part(Body=data, PartNumber=number, ChecksumSHA256=checksum, **place)
    return {"PartNumber": number, "ETag": field(answer, "ETag"), "ChecksumSHA256": checksum}


def _conditionally(send: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the answer; None when somebody else put the object first."""
    from botocore.exceptions import ClientError

    try:
        return dict(send())
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in ALREADY_THERE:
            raise
        return None


def _refuse_other(client: Any, upload: Upload) -> None:
    """Raise StoreFailed unless an object is what was sent: a captive portal answers a PUT with 200 and a page.

    Asked when the answer does not show it, as that of an older S3-compatible store.
    """
    head = client.head_object(**upload.object)
    size = os.path.getsize(upload.path)
    if head.get("Metadata", {}).get("sha256") == upload.sha256 and head.get("ContentLength") == size:
        return
    raise StoreFailed(
        f"s3://{upload.about['Bucket']}/{upload.about['Key']} was sent, but what is there is not what was sent",
        help="check the network: something on the way (a captive portal, a proxy) answers in place of S3",
    )


def _is_etag_of(path: str, answer: Mapping[str, Any]) -> bool:
    """Return whether an ETag is the file's md5, as it is without KMS and in older S3-compatible stores."""
    etag = str(answer.get("ETag", "")).strip('"')
    with open(path, "rb") as stream:
        return (
            bool(etag) and etag == hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        )


def field(answer: Mapping[str, Any], name: str) -> str:
    """Return a field that every answer of S3 has. Raises StoreFailed (LB601) for one that is not S3's."""
    if not answer.get(name):
        raise StoreFailed(
            f"the answer to an upload has no {name}, so it is not from S3",
            help="check endpoint_url and the network: a captive portal or a proxy may answer in place of S3",
        )
    return str(answer[name])
