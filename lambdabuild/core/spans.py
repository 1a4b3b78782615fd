"""Places in text files, and parsed values that know theirs."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from lambdabuild.core.records import Struct, field

Scalar: TypeAlias = "str | int | float | bool | None"
Style: TypeAlias = Literal["plain", "quoted", "block", "flow", "tagged", "secret"]
"""``secret`` is a value that came from outside (a parameter store, a stack): no message may quote it."""


class Span(Struct, frozen=True, order=True):
    """A place in a text file: lines and columns count from 1, ``start`` and ``end`` are character offsets from 0."""

    file: str
    line: int = 1
    column: int = 1
    start: int = 0
    end: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Node(Struct, frozen=True):
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
        """Return the value of a key, or None if this is not a mapping or has no such key."""
        return self.value.get(key) if isinstance(self.value, dict) else None


def to_data(node: Node) -> Any:
    """Return the value without its places: dicts, lists and scalars, in the order written."""
    value = node.value
    if isinstance(value, dict):
        return {key: to_data(child) for key, child in value.items()}
    if isinstance(value, list):
        return [to_data(child) for child in value]
    return value


def from_data(data: Any, span: Span, style: Style = "plain") -> Node:
    """Return plain data as nodes that all have the same place. Raise TypeError for a value that JSON cannot hold."""
    if isinstance(data, dict):
        return Node({str(key): from_data(value, span, style) for key, value in data.items()}, span, style)
    if isinstance(data, list | tuple):
        return Node([from_data(value, span, style) for value in data], span, style)
    if data is None or isinstance(data, str | int | float | bool):
        return Node(data, span, style)
    raise TypeError(f"{type(data).__name__} cannot be a value of a configuration")


def secret_texts(node: Node) -> set[str]:
    """Return the texts below a node that no message may quote."""
    if isinstance(node.value, str):
        return {node.value} if node.style == "secret" else set()
    if isinstance(node.value, dict | list):
        children = node.value.values() if isinstance(node.value, dict) else node.value
        return set().union(*map(secret_texts, children))
    return set()
