"""Write a step's output as a record: an ActionResult that names its blobs, one of which has the rest.

That one is ``step.json``, packed by zstd. It is content-addressed as all blobs are and holds the key that it was stored
under, so that a record which was damaged, or put in another's place, is known as such. A small one also comes inside
the record, which saves a question.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdabuild.cache import action_result, zstd
from lambdabuild.cache.action_result import OutputFile
from lambdabuild.cache.cache import Digest
from lambdabuild.core import regular
from lambdabuild.core.records import Struct, to_json

STEP = "step.json"
LEVEL = 3
INLINE_BYTES = 16_000
UNPACKED_BYTES = 1 << 28
"""A longer ``step.json`` is none of ours; what a broken or hostile one unpacks to must not fill the memory."""


class Record(Struct, frozen=True):
    """The digest of ``step.json``, and its bytes when they came along."""

    step: Digest
    inline: bytes


class Step(Struct, frozen=True):
    """The content of ``step.json``: the step's output, and the digests of its blobs by name."""

    data: Mapping[str, Any]
    blobs: Mapping[str, Digest]


def packed(key: str, data: Mapping[str, Any], blobs: Mapping[str, Digest]) -> bytes:
    """Return the content of ``step.json``."""
    named = {name: [digest.sha256, digest.size] for name, digest in blobs.items()}
    return zstd.compress(to_json({"key": key, "data": data, "blobs": named}, order="sorted"), LEVEL)


def unpacked(key: str, content: bytes) -> Step | None:
    """Return what ``packed`` packed; None if it was stored under another key, or is damaged."""
    unpacker = zstd.ZstdDecompressor()
    try:
        text = unpacker.decompress(content, UNPACKED_BYTES)
        if not unpacker.eof:
            return None  # too long, or cut off
        step = regular.json(text)
        blobs = {name: Digest(sha256, size) for name, (sha256, size) in step["blobs"].items()}
        return Step(step["data"], blobs) if step["key"] == key else None
    except (zstd.ZstdError, ValueError, KeyError, TypeError, AttributeError):
        return None


def to_bytes(step: bytes, blobs: Mapping[str, Digest]) -> bytes:
    """Return a record as an ActionResult; equal content gives equal bytes."""
    inline = step if len(step) <= INLINE_BYTES else b""
    named = (OutputFile(name, blobs[name]) for name in sorted(blobs))
    return action_result.encode([OutputFile(STEP, Digest.of(step), inline), *named])


def from_bytes(data: bytes) -> Record | None:
    """Return the record in an ActionResult; None if it is not one of ours."""
    try:
        files = {file.path: file for file in action_result.decode(data)}
    except ValueError:  # UnicodeDecodeError is one
        return None
    if STEP not in files or not all(_is_digest(file.digest) for file in files.values()):
        return None
    step = files[STEP]
    return Record(step.digest, step.contents)


def _is_digest(digest: Digest) -> bool:
    return len(digest.sha256) == 64 and set(digest.sha256) <= set("0123456789abcdef") and digest.size >= 0
