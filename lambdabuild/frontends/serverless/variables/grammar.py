"""Text -> its literal parts and its variables, as serverless.yml means them.

What does not look like a variable (``${AWS::Region}``, ``${Name}``) is foreign text, which Fn::Sub reads.
https://www.serverless.com/framework/docs/providers/aws/guide/variables
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Never, TypeAlias

from lambdabuild.core.errors import BadVariable
from lambdabuild.core.records import Struct

Scalar: TypeAlias = str | int | float | bool | None

KIND = re.compile(r"[a-z][a-zA-Z0-9]*")
WORD = re.compile(r"[a-zA-Z0-9.\-]+(?: +[a-zA-Z0-9.\-]+)*")
SPACE = re.compile(r"\s*")
LONGEST_SHOWN = 500
LONGEST_NUMBER = 250
NESTED = 50
"""How deeply variables may stand inside one another."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?)")
HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]+")
WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None}


class Literal(Struct, frozen=True):
    """A fallback that is a value: ``${opt:x, 'dev'}``."""

    value: Scalar


class Source(Struct, frozen=True):
    """One place that is asked: ``file(a.yml):b.c``. Params and address may hold variables themselves."""

    kind: str
    params: tuple[Parts, ...] | None
    address: Parts | None


class Variable(Struct, frozen=True):
    """``text`` is how it is written; ``choices`` are tried in order."""

    text: str
    choices: tuple[Source | Literal, ...]


Part: TypeAlias = "str | Variable"
Parts: TypeAlias = "tuple[Part | Literal, ...]"
"""Texts and variables that follow one another; a single Literal when a param is a number or the like."""


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[Part, ...]:
    """The parts of a value, escapes removed. Raises BadVariable (LB201).

    >>> parse("a-${opt:stage, 'dev'}")[0]
    'a-'
    """
    if "${" not in text:
        return (text,) if text else ()
    return _Parser(text).value()


def has_variables(text: str) -> bool:
    return "${" in text and any(isinstance(part, Variable) for part in parse(text))


class _NotAVariable(Exception):
    """The text that was begun is foreign."""


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text

    def value(self) -> tuple[Part, ...]:
        parts = _Words()
        position = 0
        while (start := self.text.find("${", position)) >= 0:
            dollars = _before(self.text, start, position, "$")
            slashes = _before(self.text, start - dollars, position, "\\")
            parts.add(self.text[position : start - dollars - slashes])
            position = start + 2
            if slashes % 2 and not dollars:
                parts.add("\\" * (slashes // 2) + "${")
                continue
            try:
                variable, end = self.variable(start, 0)
            except _NotAVariable:
                parts.add("\\" * slashes + "$" * dollars + "${")
                continue
            # Dollars before a variable go with it, as with the Serverless Framework, unless a backslash keeps them.
            parts.add("\\" * (slashes if dollars else slashes // 2) + ("$" * dollars if slashes else ""))
            parts.found(variable)
            position = end
        parts.add(self.text[position:])
        return tuple(parts.all())

    def variable(self, start: int, nested: int) -> tuple[Variable, int]:
        """Return the variable that begins at ``${``, and where it ends; ``nested`` is the number of variables around
        it.
        """
        if nested > NESTED:
            self.refuse(f"variables are nested more than {NESTED} deep", start, "name the values in between")
        kind = KIND.match(self.text, start + 2)
        after = kind.end() if kind else start + 2
        sign = self.text[after : after + 1]
        if kind is None or sign not in (":", "(") or self.text.startswith("::", after):
            if nested:
                self.refuse("no source such as self: or opt: begins here", start)
            raise _NotAVariable
        choices: list[Source | Literal] = []
        source, position = self.source(kind[0], after, nested)
        choices.append(source)
        while True:
            position = self.skip(position)
            sign = self.text[position : position + 1]
            if sign == "}":
                return Variable(self.text[start : position + 1], tuple(choices)), position + 1
            if sign != ",":
                self.refuse("the closing } is missing" if not sign else f"{sign!r} was not expected here", position)
            choice, position = self.fallback(self.skip(position + 1), nested)
            choices.append(choice)
            if isinstance(choice, Literal) and self.sign(self.skip(position)) not in ("}", ""):
                self.refuse("a value must be the last fallback", position)

    def source(self, kind: str, position: int, nested: int) -> tuple[Source, int]:
        params: tuple[Parts, ...] | None = None
        if self.text.startswith("(", position):
            params, position = self.params(position + 1, nested)
            position = self.skip(position)
        address: Parts | None = None
        if self.text.startswith(":", position):
            position = self.skip(position + 1)
            if self.text[position : position + 1] not in (",", "}"):
                address, position = self.words(position, ",}", nested)
        return Source(kind, params, address), position

    def params(self, position: int, nested: int) -> tuple[tuple[Parts, ...], int]:
        params: list[Parts] = []
        while True:
            position = self.skip(position)
            sign = self.text[position : position + 1]
            if sign == ")" and not params:
                return (), position + 1
            if sign == ",":
                words: Parts = (Literal(None),)
            else:
                words, position = self.words(position, ",)", nested, literal=_word)
            params.append(words)
            if self.text.startswith(")", position):
                return tuple(params), position + 1
            position += 1

    def fallback(self, position: int, nested: int) -> tuple[Source | Literal, int]:
        sign = self.text[position : position + 1]
        if sign in ("'", '"'):
            value, position = self.quoted(position)
            return Literal(value), position
        word = WORD.match(self.text, position)
        if word is None:
            help = "write the fallback without its own ${}" if self.text.startswith("${", position) else ""
            self.refuse("a source or a value must follow the comma", position, help)
        after = self.skip(word.end())
        if self.text[after : after + 1] in (":", "(") and KIND.fullmatch(word[0].strip()):
            return self.source(word[0].strip(), after, nested)
        return Literal(
            _literal(word[0], lambda: self.refuse(f"{word[0]!r} is not a value", position, "quote it"))
        ), after

    def words(
        self, position: int, ends: str, nested: int, literal: Callable[[str], Scalar] | None = None
    ) -> tuple[Parts, int]:
        """Return a param or an address: quoted, or text up to one of ``ends`` with variables in it."""
        if self.text[position : position + 1] in ("'", '"'):
            value, after = self.quoted(position)
            if self.sign(self.skip(after)) in tuple(ends):
                return ((value,) if value else ()), self.skip(after)
            self.refuse("nothing may follow the quoted text", after)
        parts = _Words()
        begin = position
        while position < len(self.text):
            sign = self.text[position]
            if self.text.startswith("${", position):
                parts.add(self.text[begin:position])
                variable, position = self.variable(position, nested + 1)
                parts.found(variable)
                begin = position
            elif sign in ends:
                parts.add(self.text[begin:position])
                return _trimmed(parts.all(), literal), position
            elif sign == "}":
                self.refuse("the closing ) is missing", position)
            else:
                position += 1
        return self.refuse("the closing } is missing", len(self.text))

    def quoted(self, position: int) -> tuple[str, int]:
        if self.text[position] == "'":
            end = self.text.find("'", position + 1)
            if end < 0:
                self.refuse("the closing ' is missing", position)
            return self.text[position + 1 : end], end + 1
        try:
            value, end = json.JSONDecoder().raw_decode(self.text, position)
        except ValueError:
            self.refuse("the quoted text is not closed, or not valid JSON", position)
        return str(value), int(end)

    def sign(self, position: int) -> str:
        return self.text[position : position + 1]

    def skip(self, position: int) -> int:
        match = SPACE.match(self.text, position)
        return match.end() if match else position

    def refuse(self, why: str, position: int, help: str = "") -> Never:
        at = f" (character {position + 1})"
        shown = self.text if len(self.text) <= LONGEST_SHOWN else self.text[: LONGEST_SHOWN - 3] + "..."
        raise BadVariable(f"{why}{at} in {shown!r}", help=help or "correct it, or write \\${ for a literal ${")


class _Words:
    """Parts as they are found: texts that follow one another are joined once, at the end."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        if text:
            self._texts.append(text)

    def found(self, variable: Variable) -> None:
        self._settle()
        self._parts.append(variable)

    def all(self) -> list[Part]:
        self._settle()
        return self._parts

    def _settle(self) -> None:
        if self._texts:
            self._parts.append("".join(self._texts))
            self._texts = []


def _before(text: str, place: int, least: int, sign: str) -> int:
    """Return how many of a sign are before a place, not further back than ``least``."""
    start = place
    while start > least and text[start - 1] == sign:
        start -= 1
    return place - start


def _literal(word: str, otherwise: Callable[[], Scalar]) -> Scalar:
    if word in WORDS:
        return WORDS[word]
    if HEXADECIMAL.fullmatch(word):
        return int(word, 16) if len(word) <= LONGEST_NUMBER else otherwise()
    if NUMBER.fullmatch(word) and len(word) <= LONGEST_NUMBER:
        number = float(word)
        return int(number) if number.is_integer() else number
    return otherwise()


def _word(word: str) -> Scalar:
    return _literal(word, lambda: word)


def _trimmed(parts: list[Part], literal: Callable[[str], Scalar] | None) -> Parts:
    """Return a text without surrounding spaces; a param without variables may be a number or another scalar."""
    if parts and isinstance(parts[0], str):
        parts[0] = parts[0].lstrip()
    if parts and isinstance(parts[-1], str):
        parts[-1] = parts[-1].rstrip()
    if literal is not None and all(isinstance(part, str) for part in parts):
        value = literal("".join(map(str, parts)))
        return (value,) if isinstance(value, str) else (Literal(value),)
    return tuple(part for part in parts if part != "")
