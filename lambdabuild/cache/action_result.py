"""The ActionResult of the Remote Execution API, as far as our records need it: files with their digests and contents.

Every cache keeps records in this form. A folder, S3 and HTTP must work without the packages of gRPC.
The bytes are those that protobuf writes: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from lambdabuild.cache.cache import Digest
from lambdabuild.core.records import Struct

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""
FIXED_BYTES = {FIXED64: 8, FIXED32: 4}
OUTPUT_FILES = 2
PATH, DIGEST, CONTENTS = 1, 2, 5
HASH, SIZE_BYTES = 1, 2
LONGEST_VARINT = 10

Fields = Mapping[int, Sequence["int | bytes"]]
"""The values of a message by field number, in their order."""


class OutputFile(Struct, frozen=True):
    """A file that an action left; its bytes may come with it."""

    path: str
    digest: Digest
    contents: bytes = b""


def encode(files: Iterable[OutputFile]) -> bytes:
    """Return an ActionResult with these files; equal files give equal bytes."""
    return b"".join(_bytes(OUTPUT_FILES, _file(file)) for file in files)


def decode(data: bytes) -> list[OutputFile]:
    """Return the files of an ActionResult. Raises ValueError if it is not one."""
    return [_to_file(_fields(file)) for file in _messages(_fields(data), OUTPUT_FILES)]


def _file(file: OutputFile) -> bytes:
    size = _tag(SIZE_BYTES, VARINT) + _varint(file.digest.size) if file.digest.size else b""
    digest = _bytes(DIGEST, (_bytes(HASH, file.digest.sha256.encode()) if file.digest.sha256 else b"") + size)
    path = _bytes(PATH, file.path.encode()) if file.path else b""
    return path + digest + (_bytes(CONTENTS, file.contents) if file.contents else b"")


def _to_file(fields: Fields) -> OutputFile:
    digest = _fields(b"".join(_messages(fields, DIGEST)))  # a message that comes twice is merged
    sizes = [size for size in digest.get(SIZE_BYTES, ()) if isinstance(size, int)]
    return OutputFile(
        path=_last(fields, PATH).decode(),
        digest=Digest(_last(digest, HASH).decode(), _signed(sizes[-1]) if sizes else 0),
        contents=_last(fields, CONTENTS),
    )


def _messages(fields: Fields, number: int) -> list[bytes]:
    return [value for value in fields.get(number, ()) if isinstance(value, bytes)]


def _last(fields: Fields, number: int) -> bytes:
    return _messages(fields, number)[-1] if _messages(fields, number) else b""


def _fields(data: bytes) -> Fields:
    """Return the fields of a message. Raises ValueError if it is not whole."""
    fields: dict[int, list[int | bytes]] = defaultdict(list)
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise ValueError(f"field {number}")
        if wire_type == VARINT:
            value, position = _read_varint(data, position)
            fields[number].append(value)
            continue
        length = FIXED_BYTES.get(wire_type, 0)
        if wire_type == BYTES:
            length, position = _read_varint(data, position)
        elif not length:
            raise ValueError(f"wire type {wire_type}")
        if position + length > len(data):
            raise ValueError("a field is cut off")
        if wire_type == BYTES:
            fields[number].append(data[position : position + length])
        position += length
    return fields


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return a number and the position behind it. Raises ValueError if it is cut off or too long."""
    number = 0
    for place, byte in enumerate(data[position : position + LONGEST_VARINT]):
        number |= (byte & 127) << 7 * place
        if byte < 128:
            return number & (1 << 64) - 1, position + place + 1
    raise ValueError("a number is cut off")


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def _tag(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _bytes(number: int, value: bytes) -> bytes:
    return _tag(number, BYTES) + _varint(len(value)) + value
