"""The nodes of a Remote Execution API tree, before they become messages."""

from __future__ import annotations

from typing import TypeAlias

from lambdabuild.cache.cache import Digest
from lambdabuild.core.records import Struct


class File(Struct, frozen=True):
    """A file of a tree. ``source`` is where its bytes are: a path, or they themselves."""

    digest: Digest
    executable: bool
    source: str | bytes = b""

    @classmethod
    def of(cls, content: bytes) -> File:
        return cls(Digest.of(content), False, content)


class Link(Struct, frozen=True):
    """A symbolic link, with what it says."""

    target: str


Node: TypeAlias = File | Link
