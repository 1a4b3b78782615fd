"""Conditions of plugins, which are JavaScript: those that compare texts and numbers are decided here, without node."""

from __future__ import annotations

import json
import re
from typing import Any

TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\["\\/bfnrt])*"|'[^'\\]*')|(?P<number>\d+(?:\.\d+)?\b)|(?P<word>true|false)\b"""
    r"""|(?P<sign>===|!==|==|!=|<=|>=|&&|\|\||[<>!()]))"""
)
EQUALITY = {"==": True, "===": True, "!=": False, "!==": False}
ORDER = ("<", ">", "<=", ">=")
NESTED = 20


class NotSimple(Exception):
    """More than comparisons of values of one kind: only node can tell."""


def truth(condition: str) -> bool | None:
    """Return whether a condition holds; None unless it only compares texts, numbers and booleans."""
    try:
        tokens = _tokens(condition)
        value, rest = _either(tokens, 0)
    except NotSimple:
        return None
    return bool(value) if not rest else None


Tokens = list[tuple[str, Any]]


def _tokens(condition: str) -> Tokens:
    tokens: Tokens = []
    place, text = 0, condition.rstrip()
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None:
            raise NotSimple
        place, kind = match.end(), str(match.lastgroup)
        tokens.append((kind, _value(kind, match[kind])) if kind != "sign" else ("sign", match["sign"]))
    return tokens


def _value(kind: str, word: str) -> Any:
    if kind == "text" and word.startswith("'"):
        return word[1:-1]
    return float(word) if kind == "number" else json.loads(word)


def _either(tokens: Tokens, depth: int) -> tuple[Any, Tokens]:
    value, rest = _both(tokens, depth)
    while rest and rest[0] == ("sign", "||"):
        other, rest = _both(rest[1:], depth)
        value = value or other
    return value, rest


def _both(tokens: Tokens, depth: int) -> tuple[Any, Tokens]:
    value, rest = _equal(tokens, depth)
    while rest and rest[0] == ("sign", "&&"):
        other, rest = _equal(rest[1:], depth)
        value = value and other
    return value, rest


def _equal(tokens: Tokens, depth: int) -> tuple[Any, Tokens]:
    value, rest = _ordered(tokens, depth)
    while rest and rest[0][0] == "sign" and rest[0][1] in EQUALITY:
        is_equal = EQUALITY[rest[0][1]]
        other, rest = _ordered(rest[1:], depth)
        _same_kind(value, other)
        value = (value == other) is is_equal
    return value, rest


def _ordered(tokens: Tokens, depth: int) -> tuple[Any, Tokens]:
    value, rest = _one(tokens, depth)
    if rest and rest[0][0] == "sign" and rest[0][1] in ORDER:
        sign = rest[0][1]
        other, rest = _one(rest[1:], depth)
        if not isinstance(value, float) or not isinstance(other, float):
            raise NotSimple
        value = {"<": value < other, ">": value > other, "<=": value <= other, ">=": value >= other}[sign]
        if rest and rest[0][0] == "sign" and rest[0][1] in ORDER:
            raise NotSimple
    return value, rest


def _one(tokens: Tokens, depth: int) -> tuple[Any, Tokens]:
    if not tokens or depth > NESTED:
        raise NotSimple
    (kind, value), rest = tokens[0], tokens[1:]
    if kind != "sign":
        return value, rest
    if value == "!":
        result, rest = _one(rest, depth + 1)
        return not result, rest
    if value != "(":
        raise NotSimple
    result, rest = _either(rest, depth + 1)
    if not rest or rest[0] != ("sign", ")"):
        raise NotSimple
    return result, rest[1:]


def _same_kind(value: object, other: object) -> None:
    if type(value) is not type(other):
        raise NotSimple
