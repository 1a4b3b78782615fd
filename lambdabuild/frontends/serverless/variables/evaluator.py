"""A text with variables in it -> its value: the first source of each variable that answers, and what it brings in."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from lambdabuild.core.errors import BadVariable, LambdaBuildError, MissingVariable, SourceFailed, UnknownSource
from lambdabuild.core.records import Struct, replace
from lambdabuild.core.spans import Node, Span, from_data, to_data
from lambdabuild.frontends.serverless.variables.grammar import Literal, Parts, Source, Variable, parse

DEEPEST = 10
"""How often a resolved value may turn out to be a variable again (the Serverless Framework's limit too)."""
MOST_VALUES, MOST_TEXT = 250_000, 50_000_000
"""How many values variables may bring in, all together, and how many characters of text they may make."""


class Document(Protocol):
    """The file that variables may refer to."""

    def at(self, path: tuple[str, ...]) -> Node | None:
        """Return the resolved value at a path; None when there is none."""
        ...


class Call(Struct, frozen=True):
    """What a source is asked: its params and address with their own variables resolved, and who asks from where."""

    document: Document
    evaluator: Evaluator
    params: tuple[Any, ...] | None
    address: str
    span: Span
    variable: str


class VariableSource(Struct, frozen=True):
    """One kind of source. ``ask`` gives a node, plain data, or None when there is no value (the next is tried)."""

    ask: Callable[[Call], Any]
    remote: bool = False
    """It asks the network, so only when the value is needed."""
    secret: bool = False
    """What it answers is not quoted in messages."""


class TooMuch(BadVariable):
    """Variables multiply one another: there is no use in looking for more mistakes."""


class Remote(Exception):
    """A value that nobody needs would have to be fetched."""


class Budget:
    """How much variables brought in so far, all together."""

    def __init__(self) -> None:
        self.values = self.characters = 0

    def spend(self, node: Node, values: int = 1, characters: int = 0) -> None:
        """Count what a variable added. Raises TooMuch (LB201)."""
        self.values += values
        self.characters += characters
        if self.values > MOST_VALUES or self.characters > MOST_TEXT:
            raise TooMuch(
                f"variables bring in more than {MOST_VALUES} values, or {MOST_TEXT // 1_000_000} MB of text",
                where=node.span,
                help="repeat less with variables",
            )


class Evaluator:
    """The variables of one document. ``kinds`` are the sources by name."""

    def __init__(self, document: Document, kinds: Mapping[str, VariableSource]) -> None:
        self.document, self.kinds, self.budget = document, kinds, Budget()
        self.may_ask_the_network = True

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

    def again(self, value: Node, depth: int) -> Node:
        """Resolve a value that came from elsewhere, because it may contain variables, too."""
        if not isinstance(value.value, str) or "${" not in value.value:
            return value
        return self.text(value, depth + 1)

    def joined(self, parts: Parts, node: Node, depth: int = 0) -> Node:
        """Return a text of literals and variables as one text."""
        words, style = list[str](), node.style
        for part in parts:
            if isinstance(part, Variable):
                value = self.again(self.variable(part, node.span), depth)
                words.append(_word(part, value))
                style = "secret" if value.style == "secret" else style
            else:
                words.append(str(part))
            self.budget.spend(node, 0, len(words[-1]))
        return replace(node, value="".join(words), style=style)

    def variable(self, variable: Variable, span: Span) -> Node:
        """Return the first of a variable's choices that has a value. Raises MissingVariable (LB202)."""
        for choice in variable.choices:
            if isinstance(choice, Literal):
                return Node(choice.value, span)
            node = self.source(choice, variable, span)
            if node is not None and node.value is not None:
                return node
        asked = [choice.kind for choice in variable.choices if isinstance(choice, Source)]
        raise MissingVariable(
            f"{variable.text} has no value" + (f"; asked: {', '.join(asked)}" if len(asked) > 1 else ""),
            help=f"give it one, or a fallback: {variable.text[:-1]}, 'value'}}",
        )

    def source(self, source: Source, variable: Variable, span: Span) -> Node | None:
        """Return what one source says; None when it has no value. Raises UnknownSource, SourceFailed."""
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
            answer = kind.ask(Call(self.document, self, params, as_text(address), span, variable.text))
        except SourceFailed as error:
            raise _told(error, variable) from error
        if answer is None:
            return None
        node = answer if isinstance(answer, Node) else from_data(answer, span)
        return _secret(node) if kind.secret else node

    def argument(self, parts: Parts, span: Span) -> Any:
        """Return a param or an address; a variable that is all of it keeps its type."""
        if len(parts) == 1 and isinstance(parts[0], Literal):
            return parts[0].value
        if not any(isinstance(part, Variable) for part in parts):
            return "".join(map(str, parts))
        if len(parts) == 1 and isinstance(parts[0], Variable):
            return to_data(self.complete(self.again(self.variable(parts[0], span), 0)))
        return to_data(self.joined(parts, Node("", span)))

    def complete(self, node: Node) -> Node:
        """Return a value that is not part of the document, resolved completely."""
        if isinstance(node.value, str):
            return self.text(node) if "${" in node.value else node
        self.budget.spend(node)
        if isinstance(node.value, dict):
            return replace(node, value={key: self.complete(child) for key, child in node.value.items()})
        if isinstance(node.value, list):
            return replace(node, value=[self.complete(child) for child in node.value])
        return node

    def inside(self, text: str, span: Span) -> Any:
        """Return plain data for a text with variables in it, as a JavaScript file or an address may ask."""
        return to_data(self.complete(Node(text, span)))


def child(node: Node, key: str) -> Node | None:
    """Return a mapping's value, or a list's item; None when there is none."""
    if isinstance(node.value, dict):
        return node.value.get(key)
    if isinstance(node.value, list) and key.isdecimal() and int(key) < len(node.value):
        return node.value[int(key)]
    return None


def _word(part: Variable, value: Node) -> str:
    """Return a value as part of a text."""
    if isinstance(value.value, dict | list) or value.value is None:
        raise BadVariable(
            f"{part.text} is a {type(to_data(value)).__name__}, which cannot be used inside text",
            help="let the variable be the whole value, or address a text in it",
        )
    return as_text(value.value)


def as_text(value: object) -> str:
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


def _told(error: SourceFailed, variable: Variable) -> LambdaBuildError:
    return type(error)(f"{variable.text}: {error.message}", where=error.where, help=error.help, tail=error.tail)


def _known(kind: str, kinds: Mapping[str, VariableSource]) -> str:
    near = difflib.get_close_matches(kind, list(kinds), 1, 0.6)
    return f"did you mean {near[0]}:?" if near else f"there are: {', '.join(sorted(kinds))}; for plain text write \\${{"
