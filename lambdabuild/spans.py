"""Span (file, line, column) and the values that remember theirs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Scalar: TypeAlias = "str | int | float | bool | None"
Style: TypeAlias = Literal["plain", "quoted", "block", "flow", "tagged"]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a text file: lines and columns count from 1, ``start`` and ``end`` are character offsets from 0."""

    file: str
    line: int = 1
    column: int = 1
    start: int = 0
    end: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Node:
    """A parsed value and its place.

    ``value`` is a scalar, a dict of nodes in the order written, or a list of nodes. A short-form tag such as ``!Sub x``
    is kept as the mapping ``{"Fn::Sub": x}`` with style "tagged". ``keys`` holds the place of each key of a mapping;
    ``inherited`` names the keys that came in by a YAML merge (``<<``) and are not written in this mapping itself.
    """

    value: Scalar | dict[str, Node] | list[Node]
    span: Span
    style: Style = "plain"
    keys: dict[str, Span] = field(default_factory=dict)
    inherited: frozenset[str] = frozenset()

    def get(self, key: str) -> Node | None:
        """The value under a key, or None when this is no mapping or has no such key."""
        return self.value.get(key) if isinstance(self.value, dict) else None
