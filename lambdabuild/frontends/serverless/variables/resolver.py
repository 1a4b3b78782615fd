"""Nodes with variables -> nodes without. Each value is resolved once, when something first asks for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from lambdabuild.core.errors import (
    BadVariable,
    CircularVariable,
    LambdaBuildError,
    MissingVariable,
    SourceFailed,
    UnknownSource,
    raise_all,
)
from lambdabuild.core.records import Struct, replace
from lambdabuild.core.spans import Node, Span, from_data, to_data
from lambdabuild.frontends.serverless.variables.grammar import Literal, Part, Parts, Source, Variable, parse

Path: TypeAlias = tuple[str, ...]
DEEPEST = 10
"""How often a resolved value may turn out to be a variable again (the Serverless Framework's limit too)."""
LEVELS = 100
"""How many levels a resolved document may have, as one that is written."""
LONGEST_CHAIN = 2000
"""How many values may wait for one another."""
FRAMES = 60_000
"""Of Python's, which such a chain needs: about twenty for each value."""
MOST_VALUES, MOST_TEXT = 250_000, 50_000_000
"""How many values variables may bring in, all together, and how many characters of text they may make."""


class Call(Struct, frozen=True):
    """What a source is asked: its params and address with their own variables resolved, and who asks from where."""

    resolver: Resolver
    params: tuple[Any, ...] | None
    address: str
    span: Span
    variable: str


class Asked(Struct, frozen=True):
    """One kind of source. ``ask`` gives a node, plain data, or None when there is no value (the next is tried)."""

    ask: Callable[[Call], Any]
    remote: bool = False
    """It asks the network, so only when the value is needed."""
    secret: bool = False
    """What it says is not quoted in messages."""


class TooMuch(BadVariable):
    """Variables multiply one another: there is no use in looking for more mistakes."""


class Remote(Exception):
    """A value that nobody needs would have to be fetched."""


@contextmanager
def _many_frames() -> Iterator[None]:
    """Room for long chains of variables: what calls what is Python alone, whose frames lie in no stack of C's."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


class Resolver:
    """One document being resolved. ``kinds`` are the sources by name."""

    def __init__(self, root: Node, kinds: Mapping[str, Asked]) -> None:
        self.root, self.kinds = root, kinds
        self.known: dict[Path, Node] = {}
        self.failed: dict[Path, LambdaBuildError] = {}
        self.active: dict[Path, None] = {}
        self.brought: list[tuple[Span, str]] = []
        """The variables whose value is being walked through, the outermost first."""
        self.may_ask_the_network = True
        self.values = self.characters = 0
        """How much variables brought in so far."""

    def whole(self, unneeded: tuple[str, ...] = ()) -> Node:
        """Return the document with all variables resolved. Raise all mistakes together.

        Sections in ``unneeded`` exist to be referred to: variables in them that need the network stay as they are
        written, unless something else asked for them.
        """
        errors: list[LambdaBuildError] = []
        value = self.root.value if isinstance(self.root.value, dict) else {}
        found: dict[str, Node] = {}
        with _many_frames():
            for key in sorted(value, key=lambda key: key in unneeded):  # what is needed first, so that it is known then
                self.may_ask_the_network = key not in unneeded
                found[key] = self.deep((key,), value[key], errors)
        self.may_ask_the_network = True
        raise_all(dict.fromkeys(errors))
        return replace(self.root, value={key: found[key] for key in value})

    def at(self, path: Path) -> Node | None:
        """Return the resolved value at a path; None when there is none. Raises what is wrong with it."""
        node: Node | None = self.root
        for position, key in enumerate(path):
            if node is None:
                return None
            node = self.child(self.shallow(path[:position], node), key)
        if node is None:
            return None
        errors: list[LambdaBuildError] = []
        found = self.deep(path, node, errors)
        raise_all(dict.fromkeys(errors))
        return found

    def brings(self, node: Node, values: int = 1, characters: int = 0) -> None:
        """Count what a variable added. Raises TooMuch (LB201)."""
        self.values += values
        self.characters += characters
        if self.values > MOST_VALUES or self.characters > MOST_TEXT:
            raise TooMuch(
                f"variables bring in more than {MOST_VALUES} values, or {MOST_TEXT // 1_000_000} MB of text",
                where=node.span,
                help="repeat less with variables",
            )

    @staticmethod
    def child(node: Node, key: str) -> Node | None:
        if isinstance(node.value, dict):
            return node.value.get(key)
        if isinstance(node.value, list) and key.isdecimal() and int(key) < len(node.value):
            return node.value[int(key)]
        return None

    def deep(self, path: Path, node: Node, errors: list[LambdaBuildError]) -> Node:
        written = node
        try:
            node = self.shallow(path, node)
            if node is written:
                return self.inner(path, node, errors)
            with self.walking(written, path):
                return self.inner(path, node, errors)
        except Remote:
            return node
        except TooMuch:
            raise
        except LambdaBuildError as error:
            errors += getattr(error, "errors", (error,))
            return node

    @contextmanager
    def walking(self, variable: Node, path: Path) -> Iterator[None]:
        """Walk what a variable added, in which the same variable must not occur again."""
        mark = (variable.span, str(variable.value))
        if mark in self.brought:
            raise CircularVariable(
                f"{variable.value} brings in what holds it, without end: {'.'.join(path[:9])}",
                where=variable.span,
                help="address a part of the file that does not hold the variable",
            )
        self.brought.append(mark)
        try:
            yield
        finally:
            self.brought.pop()

    def inner(self, path: Path, node: Node, errors: list[LambdaBuildError]) -> Node:
        if self.brought:
            self.brings(node)
        if len(path) > LEVELS:
            raise BadVariable(f"it is more than {LEVELS} levels deep", where=node.span, help="keep it to a few levels")
        if isinstance(node.value, dict):
            children = {key: self.deep((*path, key), child, errors) for key, child in node.value.items()}
            return replace(node, value=children)
        if isinstance(node.value, list):
            items = [self.deep((*path, str(position)), child, errors) for position, child in enumerate(node.value)]
            return replace(node, value=items)
        return node

    def shallow(self, path: Path, node: Node) -> Node:
        """Return the node itself resolved; its children may have variables."""
        if not isinstance(node.value, str) or "${" not in node.value:
            return node
        if path in self.known:
            return self.known[path]
        if path in self.failed:
            raise self.failed[path]
        if path in self.active:
            raise self.circular(path, node.span)
        if len(self.active) > LONGEST_CHAIN:
            raise BadVariable(
                f"more than {LONGEST_CHAIN} variables depend on one another",
                where=node.span,
                help="write some of them out",
            )
        self.active[path] = None
        try:
            self.known[path] = self.text(node)
        except LambdaBuildError as error:
            self.failed[path] = error if error.where else _placed(error, node.span, path)
            raise self.failed[path] from error.__cause__
        finally:
            del self.active[path]
        return self.known[path]

    def circular(self, path: Path, span: Span) -> CircularVariable:
        active = list(self.active)
        chain = [*active[active.index(path) :], path]
        words = " -> ".join(".".join(step) or "the whole file" for step in chain)
        return CircularVariable(f"a variable needs its own value: {words}", where=span, help="break the circle")

    def text(self, node: Node, depth: int = 0) -> Node:
        """Return the value of a text with variables."""
        if depth > DEEPEST:
            raise BadVariable(
                f"{node.value!r} is a variable that gives a variable, more than {DEEPEST} times", help="write it out"
            )
        parts = parse(str(node.value))
        if len(parts) == 1 and isinstance(parts[0], Variable):
            return self.again(self.variable(parts[0], node.span), depth)
        return self.joined(parts, node, depth)

    def again(self, found: Node, depth: int) -> Node:
        """Resolve a value that came from elsewhere, because it may contain variables, too."""
        if not isinstance(found.value, str) or "${" not in found.value:
            return found
        return self.text(found, depth + 1)

    def joined(self, parts: tuple[Part | Literal, ...], node: Node, depth: int = 0) -> Node:
        words, style = list[str](), node.style
        for part in parts:
            found = self.again(self.variable(part, node.span), depth) if isinstance(part, Variable) else None
            words.append(self.word(part, found) if found is not None else str(part))
            self.brings(node, 0, len(words[-1]))
            style = "secret" if found is not None and found.style == "secret" else style
        return replace(node, value="".join(words), style=style)

    @staticmethod
    def word(part: Any, found: Node) -> str:
        if isinstance(found.value, dict | list) or found.value is None:
            raise BadVariable(
                f"{part.text} is a {type(to_data(found)).__name__}, which cannot be used inside text",
                help="let the variable be the whole value, or address a text in it",
            )
        return as_text(found.value)

    def variable(self, variable: Variable, span: Span) -> Node:
        for choice in variable.choices:
            if isinstance(choice, Literal):
                return Node(choice.value, span)
            found = self.source(choice, variable, span)
            if found is not None and found.value is not None:
                return found
        asked = [choice.kind for choice in variable.choices if isinstance(choice, Source)]
        raise MissingVariable(
            f"{variable.text} has no value" + (f"; asked: {', '.join(asked)}" if len(asked) > 1 else ""),
            help=f"give it one, or a fallback: {variable.text[:-1]}, 'value'}}",
        )

    def source(self, source: Source, variable: Variable, span: Span) -> Node | None:
        kind = self.kinds.get(source.kind)
        if kind is None:
            raise UnknownSource(
                f"{variable.text}: there is no source {source.kind!r}", help=_known(source.kind, self.kinds)
            )
        params = None if source.params is None else tuple(self.argument(param, span) for param in source.params)
        address = "" if source.address is None else self.argument(source.address, span)
        if isinstance(address, dict | list) or address is None:
            raise BadVariable(f"the address of {variable.text} is not text", help="address a text")
        if kind.remote and not self.may_ask_the_network:
            raise Remote
        try:
            found = kind.ask(Call(self, params, as_text(address), span, variable.text))
        except SourceFailed as error:
            raise _told(error, variable) from error
        if found is None:
            return None
        node = found if isinstance(found, Node) else from_data(found, span)
        return _secret(node) if kind.secret else node

    def argument(self, parts: Parts, span: Span) -> Any:
        """Return a param or an address; a variable that is all of it keeps its type."""
        if len(parts) == 1 and isinstance(parts[0], Literal):
            return parts[0].value
        if not any(isinstance(part, Variable) for part in parts):
            return "".join(map(str, parts))
        if len(parts) == 1 and isinstance(parts[0], Variable):
            return to_data(self.deep_of(self.again(self.variable(parts[0], span), 0)))
        return to_data(self.joined(parts, Node("", span)))

    def deep_of(self, node: Node) -> Node:
        """Return a value that is not part of the document, resolved completely."""
        if isinstance(node.value, str):
            return self.text(node) if "${" in node.value else node
        self.brings(node)
        if isinstance(node.value, dict):
            return replace(node, value={key: self.deep_of(child) for key, child in node.value.items()})
        if isinstance(node.value, list):
            return replace(node, value=[self.deep_of(child) for child in node.value])
        return node

    def inside(self, text: str, span: Span) -> Any:
        """Return plain data for a text with variables in it, as a JavaScript file or an address may ask."""
        return to_data(self.deep_of(Node(text, span)))


def as_text(value: Any) -> str:
    """Return a scalar as JavaScript writes it inside a text: ``true``, ``1``, ``1.5``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return str(value)


def _secret(node: Node) -> Node:
    value = node.value
    if isinstance(value, dict):
        value = {key: _secret(child) for key, child in value.items()}
    elif isinstance(value, list):
        value = [_secret(child) for child in value]
    return replace(node, value=value, style="secret")


def _placed(error: LambdaBuildError, span: Span, path: Path) -> LambdaBuildError:
    return type(error)(f"{'.'.join(path)}: {error.message}", where=span, help=error.help, tail=error.tail)


def _told(error: SourceFailed, variable: Variable) -> LambdaBuildError:
    return type(error)(f"{variable.text}: {error.message}", where=error.where, help=error.help, tail=error.tail)


def _known(kind: str, kinds: Mapping[str, Asked]) -> str:
    import difflib

    near = difflib.get_close_matches(kind, list(kinds), 1, 0.6)
    return f"did you mean {near[0]}:?" if near else f"there are: {', '.join(sorted(kinds))}; for plain text write \\${{"
