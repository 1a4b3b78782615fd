"""Native files for another processor than the function's: seen in the first bytes of each, before Lambda sees them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

from lambdabuild.artifacts.entries import Entry, FileOnDisk

MACHINES = {"x86_64": 62, "arm64": 183}
"""e_machine of the ELF header: EM_X86_64, EM_AARCH64 (System V ABI)."""
MAGIC = b"\x7fELF"
SIXTY_FOUR_BIT = 2
HEADER_BYTES = 20
NATIVE_NAME = re.compile(r"\.(so|node)(\.[\d.]+)?$")


def wrong_machine(entries: Iterable[Entry], architecture: str) -> list[Entry]:
    """Return the ELF files among the entries that the architecture ("x86_64" or "arm64") cannot load.

    Looked at are shared objects, Node.js add-ons and programs without an extension.
    """
    return [entry for entry in entries if _may_be_native(entry) and not _fits(_header(entry), architecture)]


def native(entries: Iterable[Entry]) -> list[Entry]:
    """Return the ELF files among the entries: shared objects, add-ons, programs without an extension."""
    return [entry for entry in entries if _may_be_native(entry) and _header(entry)[:4] == MAGIC]


def _may_be_native(entry: Entry) -> bool:
    if entry.size < HEADER_BYTES:
        return False
    name = entry.path.rpartition("/")[2]
    return NATIVE_NAME.search(name) is not None or (entry.executable and "." not in name)


def _fits(header: bytes, architecture: str) -> bool:
    if header[:4] != MAGIC:
        return True
    machine = int.from_bytes(header[18:20], "big" if header[5] == 2 else "little")
    return header[4] == SIXTY_FOUR_BIT and machine == MACHINES[architecture]


def _header(entry: Entry) -> bytes:
    location = entry.location
    if isinstance(location, FileOnDisk):
        with open(location.path, "rb") as stream:
            return stream.read(HEADER_BYTES)
    with open(location.archive, "rb") as stream:
        stream.seek(location.offset)
        data = stream.read(min(4096, location.compressed_size))
    return data[:HEADER_BYTES] if location.method == 0 else zlib.decompressobj(-15).decompress(data, HEADER_BYTES)
