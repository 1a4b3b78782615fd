"""Text -> nodes that know their place, from YAML with CloudFormation's short tags, or from JSON.

YAML is read from the parser's events, for an alias must have a place of its own and a key written twice must be found.
Places count from the text as it is given, a byte order mark included.
"""

from __future__ import annotations

import json
import json.decoder
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import yaml

from lambdabuild.core.errors import BrokenYaml, DuplicateKey, LambdaBuildError, raise_all
from lambdabuild.core.records import Struct, replace
from lambdabuild.core.spans import Node, Scalar, Span, Style
from lambdabuild.frontends import scalars
from lambdabuild.frontends.scalars import STANDARD, NoScalar

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MERGE = "<<"
SHORT_NAMES = {"!Ref": "Ref", "!Condition": "Condition"}
"""Short tags whose long form has no ``Fn::`` in front."""
DEEPEST = 100
"""How many levels a document may have; every later walk over its nodes is recursive."""
MOST_REPEATED = 250_000
"""How many nodes aliases may stand for, all together: nine levels of ten aliases would be a milliard."""
TEXT_OF_A_NODE = 100
"""So many characters of a repeated text count as a node."""
TOO_DEEP = f"it is nested more than {DEEPEST} levels deep"
MARK = "\ufeff"
"""Windows' editors begin a file with it: it says that what follows is Unicode, and is no part of that."""


def parse(
    file: str,
    text: str,
    *,
    core_schema: bool = False,
    tell_duplicate: Callable[[LambdaBuildError], None] | None = None,
) -> tuple[Node, bool]:
    """Return the root mapping of a template, and whether the text is JSON.

    ``core_schema`` reads plain scalars by YAML 1.2 (``yes`` is a text), as a serverless.yml means them; CloudFormation
    means YAML 1.1. The last of two equal keys counts, and ``tell_duplicate`` gets the mistake. Raises BrokenYaml
    (LB102), and without ``tell_duplicate`` DuplicateKey (LB103) for all such keys.
    """
    reader = _Reader(file, text, scalars.core if core_schema else scalars.implicit)
    looks_like_json = text.lstrip(f"{MARK} \t\r\n")[:1] == "{"
    try:
        if looks_like_json and not file.endswith((".yaml", ".yml")):
            root, is_json = _json_or_yaml(reader, must_be_json=file.endswith(".json"))
        else:
            root, is_json = _yaml(reader), False
    except RecursionError as error:
        raise BrokenYaml(TOO_DEEP, where=Span(file), help="a template has a few levels only") from error
    if tell_duplicate is None:
        raise_all(reader.duplicates)
    else:
        for duplicate in reader.duplicates:
            tell_duplicate(duplicate)
    if not isinstance(root.value, dict) or root.style == "tagged":
        raise BrokenYaml(
            "the template is not a mapping of sections", where=root.span, help="begin it with Resources: and the like"
        )
    return root, is_json


def parse_any(file: str, text: str) -> Node | None:
    """Return the content of a YAML or JSON file that a variable names, whatever it is; None when it is empty."""
    if not text.strip():
        return None
    reader = _Reader(file, text, scalars.core)
    try:
        root = _json(reader) if file.endswith((".json", ".tfstate")) else _yaml(reader)
    except RecursionError as error:
        raise BrokenYaml(TOO_DEEP, where=Span(file), help="keep it to a few levels") from error
    raise_all(reader.duplicates)
    return root


def _json_or_yaml(reader: _Reader, *, must_be_json: bool) -> tuple[Node, bool]:
    try:
        return _json(reader), True
    except BrokenYaml:
        if must_be_json:
            raise
        reader.duplicates.clear()
        return _yaml(reader), False


class _Reader:
    """The text, where its lines begin, and the mistakes that need not end the reading."""

    def __init__(self, file: str, text: str, implicit: Callable[[str], Scalar] | None = None) -> None:
        self.file, self.text, self.implicit = file, text, implicit or scalars.implicit
        self.mark = len(MARK) if text.startswith(MARK) else 0
        self.lines = [self.mark, *(match.end() for match in re.finditer(r"\r\n|\n|\r", text))]
        self.duplicates: list[LambdaBuildError] = []

    def span(self, start: int, end: int) -> Span:
        line = bisect_right(self.lines, start) or 1
        return Span(self.file, line, start - self.lines[line - 1] + 1, start, end)

    def broken(self, why: str, place: int, help: str = "") -> BrokenYaml:
        return BrokenYaml(why, where=self.span(place, place), help=help or "correct the text at that place")

    def too_deep(self, place: int) -> BrokenYaml:
        return self.broken(TOO_DEEP, place, "a template has a few levels only")

    def value(self, read: Callable[[str], Scalar], text: str, place: int) -> Scalar:
        """Return a scalar's value. Raises BrokenYaml for text that only looks like a number or another type."""
        try:
            return read(text)
        except NoScalar as error:
            raise self.broken(str(error), place, "correct it, or quote it if it is a text") from error

    def key(self, keys: dict[str, Span], key: str, span: Span) -> None:
        """Record a key's place, and report a key that already exists."""
        if key in keys:
            self.duplicates.append(
                DuplicateKey(
                    f"{key!r} is written twice",
                    where=(keys[key], span),
                    help="rename or remove one of them; where it is a warning, the last one counts",
                )
            )
        keys[key] = span


# YAML


def _yaml(reader: _Reader) -> Node:
    try:
        return _YamlTree(reader).document()
    except yaml.MarkedYAMLError as error:
        raise _yaml_error(reader, error) from error
    except yaml.reader.ReaderError as error:
        character = error.character if isinstance(error.character, str) else chr(error.character)
        raise reader.broken(f"{character!a} is not allowed in YAML", int(error.position), "remove it") from error


def _yaml_error(reader: _Reader, error: yaml.MarkedYAMLError) -> BrokenYaml:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    words = ", ".join(filter(None, (error.context, error.problem))) or "not YAML"
    line = min(max(line - reader.mark, 0), len(reader.lines) - 1)
    place = min(reader.lines[line] + column, len(reader.text))
    if "nesting" in words:  # libyaml 0.2.6 and later stop at a depth of their own, before Python does
        return reader.too_deep(place)
    return reader.broken(f"not YAML: {words}", place)


class _YamlTree:
    """Nodes from the events of one document."""

    def __init__(self, reader: _Reader) -> None:
        self.reader = reader
        # libyaml does not count a byte order mark: an empty line in its place keeps every offset.
        self.loader = Loader("\n" + reader.text[reader.mark :] if reader.mark else reader.text)
        self.anchors: dict[str, _Anchored | None] = {}
        self.depth = self.deepest = 0
        """Of the node that is being read, and of the deepest one so far in what an anchor may name."""
        self.count = self.repeated = 0
        """Nodes so far, aliases with all that they stand for; and of these what aliases stand for."""

    def document(self) -> Node:
        try:
            self.loader.get_event()  # the stream begins
            if self.loader.check_event(yaml.StreamEndEvent):
                raise self.reader.broken("the template is empty", 0, "describe at least one resource")
            self.loader.get_event()  # the document begins
            root = self.node(self.loader.get_event())
            self.loader.get_event()  # the document ends
            if not self.loader.check_event(yaml.StreamEndEvent):
                place = self.loader.peek_event().start_mark.index
                raise self.reader.broken("the file has more than one document", place, "keep one template per file")
            return root
        finally:
            self.loader.dispose()

    def node(self, event: Any) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        if self.depth >= DEEPEST:
            raise self.reader.too_deep(event.start_mark.index)
        if event.anchor:
            return self.anchored(event)
        return self.fresh(event)

    def fresh(self, event: Any) -> Node:
        self.depth += 1
        if self.depth > self.deepest:
            self.deepest = self.depth
        self.count += 1
        node = self.scalar(event) if isinstance(event, yaml.ScalarEvent) else self.collection(event)
        self.depth -= 1
        return node if event.tag is None else self.tagged(event, node)

    def anchored(self, event: Any) -> Node:
        self.anchors[event.anchor] = None  # known, but not whole yet
        before, deepest, self.deepest = self.count, self.deepest, self.depth
        node = self.fresh(event)
        size, height = self.count - before, self.deepest - self.depth
        if isinstance(node.value, str):
            size += len(node.value) // TEXT_OF_A_NODE
        self.anchors[event.anchor] = _Anchored(node, size, height)
        self.deepest = max(deepest, self.deepest)
        return node

    def alias(self, event: Any) -> Node:
        place = event.start_mark.index
        if event.anchor not in self.anchors:
            raise self.reader.broken(f"the alias *{event.anchor} names no anchor before it", place)
        named = self.anchors[event.anchor]
        if named is None:
            raise self.reader.broken(f"the alias *{event.anchor} is used inside its own anchor", place)
        self.count += named.size
        self.repeated += named.size
        self.deepest = max(self.deepest, self.depth + named.height)
        if self.deepest > DEEPEST:
            raise self.reader.too_deep(place)
        if self.repeated > MOST_REPEATED:
            raise self.reader.broken(
                f"aliases repeat more than {MOST_REPEATED} values", place, "write less with aliases, or split the file"
            )
        return replace(named.node, span=self.reader.span(place, event.end_mark.index))

    def collection(self, event: Any) -> Node:
        style: Style = "flow" if event.flow_style else "block"
        start = event.start_mark.index
        return self.sequence(start, style) if isinstance(event, yaml.SequenceStartEvent) else self.mapping(start, style)

    def sequence(self, start: int, style: Style) -> Node:
        items: list[Node] = []
        while not isinstance(event := self.loader.get_event(), yaml.SequenceEndEvent):
            items.append(self.node(event))
        last = items[-1] if items else None
        return Node(items, self.collection_span(start, style, last, event), style)

    def mapping(self, start: int, style: Style) -> Node:
        value: dict[str, Node] = {}
        keys: dict[str, Span] = {}
        merged: dict[str, Node] = {}
        node: Node | None = None
        while not isinstance(event := self.loader.get_event(), yaml.MappingEndEvent):
            key = self.key(event)
            span = self.reader.span(event.start_mark.index, event.end_mark.index)
            node = self.node(self.loader.get_event())
            if key == MERGE and event.implicit[0]:
                keys.setdefault(MERGE, span)
                merged.update({k: v for k, v in self.merged(node).items() if k not in merged})
            else:
                self.reader.key(keys, key, span)
                value[key] = node
        inherited = {key: node for key, node in merged.items() if key not in value}
        place = self.collection_span(start, style, node, event)
        return Node({**inherited, **value}, place, style, keys, frozenset(inherited))

    def key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            if isinstance(event, yaml.AliasEvent):
                node = self.alias(event)
                if isinstance(node.value, str):
                    return node.value
            raise self.reader.broken("a key must be a text", event.start_mark.index, "write a plain name")
        if event.anchor:
            self.anchors[event.anchor] = _Anchored(self.scalar(event), 1, 1)
        return str(event.value)

    def merged(self, node: Node) -> dict[str, Node]:
        """Return what ``<<`` merges: a mapping, or several, of which the first wins."""
        parts = node.value if isinstance(node.value, list) else [node]
        pairs: dict[str, Node] = {}
        for part in reversed(parts):
            if not isinstance(part.value, dict):
                raise self.reader.broken("<< takes a mapping or a list of mappings", node.span.start)
            pairs.update(part.value)
        return pairs

    def collection_span(self, start: int, style: Style, last: Node | None, event: Any) -> Span:
        """Return the span of a collection. It ends with its last item; the event that ends it includes blank lines and
        comments.
        """
        end = event.end_mark.index if style == "flow" or last is None else last.span.end
        return self.reader.span(start, max(start, end))

    def scalar(self, event: Any) -> Node:
        text, start, end = event.value, event.start_mark.index, event.end_mark.index
        if event.style in ("|", ">"):
            end = start + len(self.reader.text[start:end].rstrip())
            return Node(text, self.reader.span(start, end), "block")
        if event.style:
            return Node(text, self.reader.span(start, end), "quoted")
        value = self.reader.value(self.reader.implicit, text, start) if event.implicit[0] else text
        return Node(value, self.reader.span(start, end), "plain")

    def tagged(self, event: Any, node: Node) -> Node:
        tag = event.tag
        if tag == "!":
            return node
        if tag.startswith(STANDARD):
            return self.cast(tag.removeprefix(STANDARD), event, node)
        if not tag.startswith("!"):
            raise self.reader.broken(f"the tag {tag} is not known", event.start_mark.index)
        name = SHORT_NAMES.get(tag, f"Fn::{tag[1:]}")
        if name == "Fn::GetAtt" and isinstance(node.value, str):
            node = replace(node, value=[replace(node, value=part) for part in node.value.split(".", 1)])
        return Node({name: node}, node.span, "tagged", {name: node.span})

    def cast(self, kind: str, event: Any, node: Node) -> Node:
        if not isinstance(event, yaml.ScalarEvent):
            return node
        return replace(node, value=self.reader.value(partial(scalars.tagged, kind), event.value, node.span.start))


class _Anchored(Struct, frozen=True):
    """The node of an anchor, with its number of nodes and levels."""

    node: Node
    size: int
    height: int


# JSON

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
scan_text: Any = json.decoder.scanstring  # type: ignore[attr-defined]  # documented nowhere, there since 2.6
_WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None}


class _JsonTree(Struct):
    reader: _Reader
    position: int = 0
    depth: int = 0

    def skip(self) -> str:
        match = cast("re.Match[str]", _SPACE.match(self.reader.text, self.position))
        self.position = match.end()
        return self.reader.text[self.position : self.position + 1]

    def broken(self, expected: str) -> BrokenYaml:
        character = self.reader.text[self.position : self.position + 1]
        return self.reader.broken(
            f"not JSON: expected {expected}, found {character!r}"
            if character
            else f"not JSON: expected {expected} at the end",
            self.position,
        )

    def node(self) -> Node:
        sign, start = self.skip(), self.position
        if sign == "{":
            return self.mapping(start)
        if sign == "[":
            return self.sequence(start)
        if sign == '"':
            return Node(self.text(), self.reader.span(start, self.position), "quoted")
        return self.word(start)

    def text(self) -> str:
        start = self.position
        try:
            value, self.position = scan_text(self.reader.text, self.position + 1)
        except json.JSONDecodeError as error:
            raise self.reader.broken(f"not JSON: {error.msg}", error.pos) from error
        if not scalars.is_unicode(value):
            raise self.reader.broken(f"{scalars.shown(value)} has half a character", start, "write the whole character")
        return str(value)

    def word(self, start: int) -> Node:
        for word, value in _WORDS.items():
            if self.reader.text.startswith(word, start):
                self.position += len(word)
                return Node(value, self.reader.span(start, self.position))
        number = _NUMBER.match(self.reader.text, start)
        if number is None:
            raise self.broken("a value")
        self.position = number.end()
        is_whole = not (number[1] or number[2])
        value = self.reader.value(partial(scalars.json_number, is_whole=is_whole), number[0], start)
        return Node(value, self.reader.span(start, self.position))

    def mapping(self, start: int) -> Node:
        value: dict[str, Node] = {}
        keys: dict[str, Span] = {}
        for _ in self.items("}"):
            if self.skip() != '"':
                raise self.broken("a key in double quotes")
            begin = self.position
            key = self.text()
            self.reader.key(keys, key, self.reader.span(begin, self.position))
            if self.skip() != ":":
                raise self.broken("':' after the key")
            self.position += 1
            value[key] = self.node()
        return Node(value, self.reader.span(start, self.position), "flow", keys)

    def sequence(self, start: int) -> Node:
        items = [self.node() for _ in self.items("]")]
        return Node(items, self.reader.span(start, self.position), "flow")

    def items(self, end: str) -> Iterator[None]:
        """Yield where each item between brackets begins, and consume the commas."""
        if self.depth >= DEEPEST:
            raise self.reader.too_deep(self.position)
        self.position += 1
        self.depth += 1
        if self.skip() != end:
            while True:
                yield
                sign = self.skip()
                if sign == end:
                    break
                if sign != ",":
                    raise self.broken(f"',' or '{end}'")
                self.position += 1
        self.position += 1
        self.depth -= 1


def _json(reader: _Reader) -> Node:
    tree = _JsonTree(reader, reader.mark)
    root = tree.node()
    if tree.skip():
        raise tree.broken("the end of the text")
    return root
