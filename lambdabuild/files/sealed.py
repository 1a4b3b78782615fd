"""A file of ours that somebody else may have written: a checksum, a head of plain data, and blobs.

What is read is never more than what the file's length allows: no references, no code, no depth without end. A checksum
finds damage, not malice: whoever may write the state may say what they like in it, but cannot hang or crash who reads.
Imported at every start: JSON is read by its C scanner alone, without what the json package imports.
"""

from __future__ import annotations

import os
from _blake2 import blake2b

from lambdabuild.core import regular

TYPE_CHECKING = False  # as typing has it, without what typing imports at every start
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

WORD = 8
"""Bytes of a length or checksum."""


class Damaged(ValueError):
    """The file is no such file, of another format, or not as it was written."""


def write(file: str, mark: str, head: Any, blobs: Iterable[bytes]) -> bool:
    """Whole or not at all; gives whether it was. ``mark`` says what it is, and in which format."""
    from json import dumps

    from lambdabuild.core.atomic import try_write

    parts = list(blobs)
    text = dumps({"head": head, "lengths": list(map(len, parts))}, separators=(",", ":")).encode()
    content = [len(text).to_bytes(WORD, "big"), text, *parts]
    return try_write(file, mark.encode(), b"\n", checksum(*content), *content)


def read(file: str, mark: str) -> tuple[Any, list[bytes]]:
    """Return the head and the blobs. Raises OSError, Damaged."""
    with open(file, "rb", opener=regular.opener) as stream:
        data = stream.read()
    begin = len(mark.encode()) + 1
    if data[:begin] != mark.encode() + b"\n":
        raise Damaged(f"{os.path.basename(file)} has another format")
    content = memoryview(data)[begin + WORD :]
    if checksum(content) != data[begin : begin + WORD]:
        raise Damaged(f"{os.path.basename(file)} is damaged")
    end = WORD + int.from_bytes(content[:WORD], "big")
    try:
        whole = scanned(str(content[WORD:end], "utf-8"))
        return whole["head"], _cut(content[end:], whole["lengths"])
    except (ValueError, TypeError, KeyError, RecursionError, StopIteration) as error:
        raise Damaged(f"{os.path.basename(file)} does not say what it should") from error


def checksum(*content: bytes | memoryview) -> bytes:
    """Not a CRC: its module takes 1.5 ms to load, and this one is there at every start."""
    digest = blake2b(digest_size=WORD)
    for part in content:
        digest.update(part)
    return bytes(digest.digest())


def _cut(content: memoryview, lengths: list[int]) -> list[bytes]:
    parts, place = [], 0
    for length in lengths:
        parts.append(bytes(content[place : place + length]))
        place += length
    return parts


def table(columns: Iterable[Mapping[str, object]]) -> list[bytes]:
    """Mappings of texts to texts or numbers as blobs, which are read ten times faster than JSON."""
    rows = ([word for pair in column.items() for word in pair] for column in columns)
    return ["\0".join(map(str, words)).encode("utf-8", "surrogateescape") for words in rows]


def column(blob: bytes) -> dict[str, str]:
    words = str(blob, "utf-8", "surrogateescape").split("\0") if blob else []
    return dict(zip(words[::2], words[1::2], strict=True))


class _Plain:
    """The attributes of a decoder that the JSON scanner reads."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int = float, int
    memo: dict[str, str] = {}  # noqa: RUF012  # only the scanner in Python uses it

    @staticmethod
    def parse_constant(name: str) -> float:
        raise ValueError(name)


def scanned(text: str) -> Any:
    """JSON without blanks around it. Raises ValueError, StopIteration, RecursionError."""
    try:
        from _json import make_scanner
    except ImportError:  # another Python than CPython
        from json import loads

        return loads(text)
    context: Any = _Plain
    value, _ = make_scanner(context)(text, 0)
    return value
