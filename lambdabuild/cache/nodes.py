"""What a tree of the Remote Execution API is made of, before it is messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from lambdabuild.cache.cache import Digest


@dataclass(frozen=True)
class File:
    """A file of a tree. ``source`` is where its bytes are: a path, or they themselves."""

    digest: Digest
    executable: bool
    source: str | bytes = b""

    @classmethod
    def of(cls, content: bytes) -> File:
        return cls(Digest.of(content), False, content)


@dataclass(frozen=True)
class Link:
    """A symbolic link, with what it says."""

    target: str


Node: TypeAlias = File | Link
