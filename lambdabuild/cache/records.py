"""What a step left, as a record: an ActionResult that names its blobs, one of which says the rest.

That one is ``step.json``, packed by zstd. It is content-addressed as all blobs are and holds the key that it was stored
under, so that a record which was damaged, or put in another's place, is known as such. A small one also comes inside
the record, which saves a question.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lambdabuild.cache.cache import Digest
from lambdabuild.core import regular
from lambdabuild.core.records import Struct

STEP = "step.json"
INLINE_BYTES = 16_000
UNPACKED_BYTES = 1 << 28
"""A longer ``step.json`` is none of ours; what a broken or hostile one unpacks to must not fill the memory."""


class Record(Struct, frozen=True):
    """The digest of ``step.json``, and its bytes when they came along."""

    step: Digest
    inline: bytes


class Step(Struct, frozen=True):
    """What ``step.json`` says: what the step left, and the digests of its blobs by name."""

    data: Mapping[str, Any]
    blobs: Mapping[str, Digest]


def packed(key: str, data: Mapping[str, Any], blobs: Mapping[str, Digest]) -> bytes:
    """The content of ``step.json``."""
    import zstandard

    named = {name: [digest.sha256, digest.size] for name, digest in blobs.items()}
    text = json.dumps({"key": key, "data": data, "blobs": named}, sort_keys=True, separators=(",", ":"))
    return zstandard.compress(text.encode(), 3)


def unpacked(key: str, content: bytes) -> Step | None:
    """The inverse; None for what was not stored under this key, or is no such thing."""
    import zstandard

    try:
        text = zstandard.ZstdDecompressor().decompress(content, max_output_size=UNPACKED_BYTES)
        found = regular.json(text)
        blobs = {name: Digest(sha256, size) for name, (sha256, size) in found["blobs"].items()}
        return Step(found["data"], blobs) if found["key"] == key else None
    except (zstandard.ZstdError, ValueError, KeyError, TypeError, AttributeError):
        return None


def to_bytes(step: bytes, blobs: Mapping[str, Digest]) -> bytes:
    """An ActionResult, serialized; equal content gives equal bytes."""
    from lambdabuild.cache import remote_execution_pb2 as api

    inline = step if len(step) <= INLINE_BYTES else b""
    files = [_file(STEP, Digest.of(step), inline), *(_file(name, blobs[name]) for name in sorted(blobs))]
    return api.ActionResult(output_files=files).SerializeToString(deterministic=True)


def _file(path: str, digest: Digest, contents: bytes = b"") -> Any:
    from lambdabuild.cache import remote_execution_pb2 as api

    named = api.Digest(hash=digest.sha256, size_bytes=digest.size)
    return api.OutputFile(path=path, digest=named, contents=contents)


def from_bytes(data: bytes) -> Record | None:
    """The way to what a record says; None for what is no record of ours."""
    from google.protobuf.message import DecodeError

    from lambdabuild.cache import remote_execution_pb2 as api

    try:
        files = {file.path: file for file in api.ActionResult.FromString(data).output_files}
    except (DecodeError, UnicodeDecodeError):
        return None
    if STEP not in files or not all(_is_digest(file.digest) for file in files.values()):
        return None
    step = files[STEP]
    return Record(_digest(step.digest), step.contents)


def _digest(message: Any) -> Digest:
    return Digest(message.hash, message.size_bytes)


def _is_digest(message: Any) -> bool:
    return len(message.hash) == 64 and set(message.hash) <= set("0123456789abcdef") and message.size_bytes >= 0
