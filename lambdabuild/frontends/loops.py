"""``Fn::ForEach``: a template with what its loops make, each node of it standing where the loop's text stands.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-foreach.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from lambdabuild.core.errors import BadTemplate, DuplicateKey, LambdaBuildError, Unresolvable, raise_all
from lambdabuild.core.records import Struct, field, replace
from lambdabuild.core.spans import Node, Span
from lambdabuild.frontends.intrinsics import Scope, Unresolved, resolve, text_of

LOOP = "Fn::ForEach"
TRANSFORM = "AWS::LanguageExtensions"
SECTIONS = ("Conditions", "Resources", "Outputs")
"""Sections that may hold loops."""
NEVER = ("Parameters", "Mappings", "Metadata", "Rules", "Hooks", "Globals")
DEEPEST = 5
"""So many loops may stand in one another."""
MOST_NODES = 250_000
"""So many values all loops may make: nested ones multiply, and a template may have 500 resources."""

MERGE = "<<"
NAME = re.compile(r"[A-Za-z0-9]{1,255}")
DYNAMIC = re.compile(r"\{\{resolve:")
Values = Mapping[str, str]
"""The identifiers of the loops around a node, and what they stand for."""
Entry = tuple[str, Node, Span]
Check = Callable[[str, str, Span], None]
"""Is told of each key that a loop makes, with how it is written and where, and may refuse it."""


class Loops(Struct, frozen=True):
    """A template's loops after they were expanded."""

    keys: Mapping[str, str] = field(default_factory=dict)
    """For each resource that a loop made its logical id as the loop writes it."""
    identifier: re.Pattern[str] = re.compile(r"(?!)")
    """Finds any loop's identifier in a text."""


def expand(root: Node, names: Scope) -> tuple[Node, Loops]:
    """A template with what its loops make instead of them. All mistakes are raised together.

    Raises BadTemplate (LB104), DuplicateKey (LB103), and Unresolvable (LB106) for a collection that is not known.
    """
    expander = _Expander(names, root.get("Parameters"))
    _refuse_misplaced(root)
    sections = {name: expander.section(name, node) for name in SECTIONS if (node := root.get(name)) is not None}
    resources = sections.get("Resources")
    if resources is not None and isinstance(resources.value, dict):
        expander.errors += _named_as_resources(expander.loops, resources.value)
    raise_all({str(error): error for error in expander.errors}.values())
    assert isinstance(root.value, dict)
    identifier = re.compile(rf"\b(?:{'|'.join(sorted(expander.identifiers))})\b")
    return replace(root, value={**root.value, **sections}), Loops(expander.keys, identifier)


def expanded(root: Node, names: Scope, transforms: Iterable[object], also: str = "") -> tuple[Node, Loops]:
    """A template without loops; itself when it has none. Raises BadTemplate (LB104) for loops without the transform.

    ``also`` is a transform that the template has need of besides.
    """
    where = first_loop(root)
    if where is None:
        return root, Loops()
    if TRANSFORM not in transforms:
        needed = f"[{TRANSFORM}{f', {also}' if also else ''}]"
        raise BadTemplate(f"{LOOP} needs the transform {TRANSFORM}", where=where, help=f"write Transform: {needed}")
    return expand(root, names)


def mistakes(root: Node, names: Scope, transforms: Iterable[object]) -> list[LambdaBuildError]:
    """What is wrong with the loops of a template from which nothing is built: a collection need not be known."""
    try:
        expanded(root, names, transforms)
    except LambdaBuildError as error:
        return [mistake for mistake in getattr(error, "errors", (error,)) if not isinstance(mistake, Unresolvable)]
    return []


def _refuse_misplaced(root: Node) -> None:
    misplaced = [
        (key, node.keys[key]) for name in NEVER if (node := root.get(name)) is not None for key in _loops(node)
    ]
    raise_all(
        BadTemplate(f"a loop is not allowed here: {key}", where=where, help=f"loops are for {', '.join(SECTIONS)}")
        for key, where in misplaced
    )


def _loops(node: Node) -> Iterator[str]:
    yield from (key for key in node.keys if key.startswith(LOOP))


def first_loop(root: Node) -> Span | None:
    """Return the place of the first loop of a template."""
    sections = (root.get(name) for name in SECTIONS)
    return next((where for node in sections if node is not None for where in _all_loops(node)), None)


def _all_loops(node: Node) -> Iterator[Span]:
    if isinstance(node.value, list):
        for item in node.value:
            yield from _all_loops(item)
    elif isinstance(node.value, dict):
        for key, item in node.value.items():
            if key.startswith(LOOP):
                yield node.keys.get(key, item.span)
            yield from _all_loops(item)


def _named_as_resources(loops: Mapping[str, Span], resources: Iterable[str]) -> Iterator[LambdaBuildError]:
    for name in loops.keys() & set(resources):
        yield BadTemplate(f"the loop {name!r} is called as a resource is", where=loops[name], help="rename the loop")


class _Loop(Struct, frozen=True):
    """One loop that is written as it must be."""

    key: str
    where: Span
    identifier: str
    collection: Node
    body: Node


class _Expander:
    """One template being expanded."""

    def __init__(self, names: Scope, parameters: Node | None) -> None:
        self.names, self.parameters = names, parameters
        self.errors: list[LambdaBuildError] = []
        self.loops: dict[str, Span] = {}
        self.keys: dict[str, str] = {}
        self.identifiers: set[str] = set()
        self.made = 0

    def section(self, name: str, node: Node) -> Node:
        """A section whose keys are logical ids."""
        if not isinstance(node.value, dict):
            return node
        return self.mapping(node, {}, 0, self._resource if name == "Resources" else self._logical_id)

    def _resource(self, key: str, written: str, where: Span) -> None:
        self._logical_id(key, written, where)
        self.keys[key] = written

    def _logical_id(self, key: str, written: str, where: Span) -> None:
        if not NAME.fullmatch(key):
            raise BadTemplate(
                f"the loop makes {key!r}, which is not a logical id: use letters and digits only",
                where=where,
                help="&{Name} stands for the value without all other characters",
            )

    def copy(self, node: Node, values: Values, depth: int) -> Node:
        """A node with identifiers replaced and loops expanded; itself when there is nothing to replace."""
        if values:
            self.count(node)
        value = node.value
        if isinstance(value, str):
            text = _filled(value, values)
            self.names.makes(len(text) if text != value else 0, node)
            return node if text == value else replace(node, value=text)
        if isinstance(value, list):
            items = [self.copy(item, values, depth) for item in value]
            return node if all(map(_is, items, value)) else replace(node, value=items)
        if not isinstance(value, dict):
            return node
        if len(value) == 1 and "Ref" in value and str(value["Ref"].value) in values:
            return Node(values[str(value["Ref"].value)], node.span, "quoted")
        return self.mapping(node, values, depth, None)

    def count(self, node: Node) -> None:
        self.made += 1
        if self.made > MOST_NODES:
            raise BadTemplate(
                f"the loops make more than {MOST_NODES:,} values",
                where=node.span,
                help="nest them less: a template may have 500 resources",
            )

    def mapping(self, node: Node, values: Values, depth: int, check: Check | None) -> Node:
        """``check`` is for the keys that a loop makes in this mapping."""
        assert isinstance(node.value, dict)
        result, inherited = dict[str, Node](), set[str]()
        keys = {MERGE: node.keys[MERGE]} if MERGE in node.keys else {}
        for key, item in node.value.items():
            where = node.keys.get(key, item.span)
            try:
                for name, child, place in self.entry((key, item, where), values, depth, check):
                    if name in result:
                        raise _twice(name, keys.get(name, place), place)
                    result[name] = child
                    if key in node.inherited:
                        inherited.add(name)
                    else:
                        keys[name] = place
            except LambdaBuildError as error:
                if depth or check is None:
                    raise
                self.errors += getattr(error, "errors", (error,))
        if len(result) == len(node.value) and all(node.value.get(key) is item for key, item in result.items()):
            return node
        return replace(node, value=result, keys=keys, inherited=frozenset(inherited))

    def entry(self, entry: Entry, values: Values, depth: int, check: Check | None) -> Iterator[Entry]:
        """Yield what is under a key, or what a loop makes."""
        key, item, where = entry
        name = _filled(key, values)
        if key.startswith(LOOP):
            yield from self.loop((name, item, where), values, depth, check)
            return
        if depth and check is not None:
            check(name, key, where)
        yield name, self.copy(item, values, depth), where

    def loop(self, entry: Entry, values: Values, depth: int, check: Check | None) -> Iterator[Entry]:
        loop = self.checked(*entry, values, depth)
        for text in self.collection(loop, values):
            inner = {**values, loop.identifier: text}
            body = self.mapping(loop.body, inner, depth + 1, check)
            assert isinstance(body.value, dict)
            yield from ((name, item, body.keys.get(name, item.span)) for name, item in body.value.items())

    def checked(self, key: str, item: Node, where: Span, values: Values, depth: int) -> _Loop:
        """The parts of a loop. Raises BadTemplate (LB104)."""
        name = key.removeprefix(LOOP).removeprefix("::")
        if not NAME.fullmatch(name):
            raise _bad(key, "has no name of letters and digits", where, "write Fn::ForEach::Functions, for example")
        parts = item.value
        if not isinstance(parts, list) or len(parts) != 3 or not isinstance(parts[2].value, dict):
            raise _bad(key, "is not a list of an identifier, a collection and a mapping", item.span, SHAPE)
        identifier = parts[0].value
        if not isinstance(identifier, str) or not NAME.fullmatch(identifier):
            raise _bad(key, "has an identifier that is not made of letters and digits", parts[0].span, SHAPE)
        for what, given in (("name", name), ("identifier", identifier)):
            if given in self.names.parameters:
                raise _bad(key, f"has the {what} of a parameter, {given}", where, "rename one of them")
        if identifier in values:
            raise _bad(key, f"has the identifier of a loop around it, {identifier}", parts[0].span, "rename it")
        if depth >= DEEPEST:
            raise _bad(key, f"stands in more than {DEEPEST} loops", where, "write some of them out")
        self.loops.setdefault(name, where)
        self.identifiers.add(identifier)
        return _Loop(key, where, identifier, parts[1], parts[2])

    def collection(self, loop: _Loop, values: Values) -> list[str]:
        """The texts that a loop goes through. Raises Unresolvable (LB106), BadTemplate (LB104)."""
        node = self.copy(loop.collection, values, 0)
        self._refuse_secret(loop, node)
        items = resolve(node, self.names)
        if isinstance(items, Unresolved):
            raise _unknown(loop, items)
        if not isinstance(items, list):
            raise _bad(loop.key, f"goes through {items!r}, which is not a list", node.span, LISTS)
        return [_item(loop, item, node.span) for item in items]

    def _refuse_secret(self, loop: _Loop, node: Node) -> None:
        named = node.get("Ref")
        parameter = self.parameters.get(str(named.value)) if named is not None and self.parameters else None
        secret = parameter.get("NoEcho") if parameter is not None else None
        if secret is not None and text_of(secret.value) == "true":
            raise _bad(loop.key, "goes through a parameter with NoEcho", node.span, "take another parameter")


SHAPE = "write: [Name, [First, Second], {'${Name}Function': {...}}]"
LISTS = "write a list, or !Ref a parameter of type CommaDelimitedList"


def _filled(text: str, values: Values) -> str:
    if "{" in text:
        for identifier, value in values.items():
            text = text.replace(f"${{{identifier}}}", value)
            text = text.replace(f"&{{{identifier}}}", re.sub(r"[^A-Za-z0-9]", "", value))
    return text


def _item(loop: _Loop, item: object, where: Span) -> str:
    if isinstance(item, Unresolved):
        raise _unknown(loop, item)
    if not isinstance(item, str | int | float) or item == "":
        raise _bad(loop.key, f"goes through {item!r}, which is not text", where, LISTS)
    text = text_of(item)
    if DYNAMIC.search(text):
        raise _unknown(loop, Unresolved(f"{text} is looked up at deployment", where))
    return text


def _unknown(loop: _Loop, value: Unresolved) -> Unresolvable:
    return Unresolvable(
        f"what {loop.key} goes through is not known: {value.reason}", where=value.where, help=value.remedy
    )


def _bad(key: str, wrong: str, where: Span, help: str) -> BadTemplate:
    return BadTemplate(f"{key} {wrong}", where=where, help=help)


def _twice(name: str, first: Span, second: Span) -> DuplicateKey:
    help = "put all identifiers into the key, as in '${Name}Function', and each value into the collection once"
    return DuplicateKey(f"a loop makes {name!r}, which already exists", where=(first, second), help=help)


def _is(value: object, other: object) -> bool:
    return value is other
