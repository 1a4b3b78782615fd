"""Nodes -> plain values, as far as they can be known before deployment. Pure.

What only a deployment knows (another resource's ARN, an export, a parameter without a value) becomes ``Unresolved``,
which says why; a value that holds one somewhere is still a value.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from lambdabuild.config import settings
from lambdabuild.core.errors import BadTemplate
from lambdabuild.core.records import Struct, field, replace
from lambdabuild.core.spans import Node, Span
from lambdabuild.frontends.conditions import Order

Value = Any
"""JSON data that may hold ``Unresolved`` and ``NO_VALUE`` at any depth."""


class Unresolved(Struct, frozen=True):
    """A value that is not known, and why. ``text`` is the part of a text that is, with ``${...}`` where it is not."""

    reason: str
    where: Span
    resource: str = ""
    """The resource that a plain Ref names, led by its stacks."""
    text: str = ""
    help: str = ""
    """Not empty when a deployment would not know the value either."""
    give: str = ""
    """How somebody can say the value now; "" when only a deployment knows it."""

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return self.help or self.give or "write the value into the template: only a deployment knows it"


class _NoValue:
    def __repr__(self) -> str:
        return "AWS::NoValue"


NO_VALUE = _NoValue()
"""A property with this value is as if it were not written."""

ITEM = 20
"""So many characters an item of a list counts as."""
PLACEHOLDER = re.compile(r"\$\{(!?)([^${}]*)\}")
MOST_MADE = 50_000_000
"""How much text and how many items functions may make in one template, which itself may have 1 MB: nested ones
multiply it at each level. https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""


class Scope(Struct, dict=True):
    """The names of one template and their values. ``cache`` holds the conditions that are decided."""

    file: str
    stack: str = ""
    """Leads the names of resources: ``Child/``."""
    parameters: Mapping[str, Value] = field(default_factory=dict)
    mappings: Mapping[str, Node] = field(default_factory=dict)
    conditions: Mapping[str, Node] = field(default_factory=dict)
    places: Mapping[str, Span] = field(default_factory=dict)
    """The place of each condition's definition."""
    resources: frozenset[str] = frozenset()
    pseudo: Mapping[str, Value] = field(default_factory=dict)
    cache: dict[str, Value] = field(default_factory=dict)
    made: int = 0
    """Characters and items that functions have made so far."""

    @cached_property
    def all(self) -> tuple[str, ...]:
        """Return the names that a Ref may have."""
        return (*self.parameters, *self.resources)

    @cached_property
    def order(self) -> Order:
        return Order(self.conditions, self.places)

    def condition(self, name: str, where: Span) -> Value:
        """True, False or Unresolved. Raises CircularReference (LB105), BadTemplate (LB104) for an unknown name."""
        if name not in self.conditions:
            raise BadTemplate(
                f"there is no condition {name!r}", where=where, help=nearest(name, self.conditions, "conditions")
            )
        if name not in self.cache:
            for other in self.order.before(name, self.cache):
                self.cache[other] = resolve(self.conditions[other], self)
        return self.cache[name]

    def makes(self, amount: int, node: Node) -> None:
        """Count what a function is about to make. Raises BadTemplate (LB104) when all together make too much."""
        self.made += amount
        if self.made > MOST_MADE:
            raise BadTemplate(
                f"the template's functions make more than {MOST_MADE // 1_000_000} MB of text",
                where=node.span,
                help="a template may have 1 MB; nest functions less, and repeat less text with them",
            )


# values


def resolve(node: Node, names: Scope) -> Value:
    """The value of a node, with every intrinsic function worked out that can be."""
    value = node.value
    if isinstance(value, list):
        items = (resolve(item, names) for item in value)
        return [item for item in items if item is not NO_VALUE]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, argument),) = value.items()
        if name in FUNCTIONS:
            return FUNCTIONS[name](node, argument, names)
        if name.startswith("Fn::") and not name.startswith("Fn::ForEach"):
            return Unresolved(f"{name} is worked out at deployment only", node.span)
    resolved = {key: resolve(item, names) for key, item in value.items()}
    return {key: item for key, item in resolved.items() if item is not NO_VALUE}


def to_data(node: Node | None) -> Value:
    """A node as JSON data, intrinsics as they are written."""
    if node is None:
        return None
    if isinstance(node.value, dict):
        return {key: to_data(item) for key, item in node.value.items()}
    return [to_data(item) for item in node.value] if isinstance(node.value, list) else node.value


def first_unresolved(value: Value) -> Unresolved | None:
    """The first part of a value that is not known, or None when all is."""
    return next(_unresolved(value), None)


def _unresolved(value: Value) -> Iterator[Unresolved]:
    if isinstance(value, Unresolved):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _unresolved(item)
    elif isinstance(value, list):
        for item in value:
            yield from _unresolved(item)


def text_of(value: Value) -> str:
    """A scalar as CloudFormation turns it into text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _ref(node: Node, argument: Node, names: Scope) -> Value:
    if isinstance(argument.value, dict):  # AWS::LanguageExtensions
        named = resolve(argument, names)
        if isinstance(named, Unresolved):
            return _because_of(named, node)
        argument = replace(argument, value=named)
    name = str(argument.value)
    if name in names.parameters:
        value = names.parameters[name]
        return replace(value, where=node.span) if isinstance(value, Unresolved) else value
    if name in names.pseudo:
        value = names.pseudo[name]
        return replace(value, where=node.span) if isinstance(value, Unresolved) else value
    if name in names.resources:
        return Unresolved(
            f"it refers to {name}, which is known at deployment only", node.span, resource=names.stack + name
        )
    near = nearest(name, names.all, "names")
    return Unresolved(f"nothing in the template is called {name!r}", node.span, help=near)


def _get_att(node: Node, argument: Node, names: Scope) -> Value:
    return Unresolved("what Fn::GetAtt gives is known at deployment only", node.span)


def _sub(node: Node, argument: Node, names: Scope) -> Value:
    text, own = argument, dict[str, Value]()
    if isinstance(argument.value, list) and len(argument.value) in (1, 2):
        text, *more = argument.value
        own = resolve(more[0], names) if more else {}
    if not isinstance(text.value, str) or not isinstance(own, dict):
        raise BadTemplate(
            "Fn::Sub takes a text, or a list of a text and a mapping", where=node.span, help="write !Sub 'text'"
        )
    missing: list[Unresolved] = []

    def value(match: re.Match[str]) -> str:
        if match[1]:
            return "${" + match[2] + "}"  # ${!x} is the text ${x}
        name = match[2].strip()
        filled = own[name] if name in own else _named(name, node, names)
        if isinstance(filled, Unresolved | list | dict):
            missing.append(filled if isinstance(filled, Unresolved) else Unresolved(f"{name} is not text", node.span))
            return match[0]
        filling = "" if filled is NO_VALUE else text_of(filled)
        names.makes(len(filling), node)
        return filling

    filled = PLACEHOLDER.sub(value, text.value)
    return replace(missing[0], where=node.span, resource="", text=filled) if missing else filled


def _named(name: str, node: Node, names: Scope) -> Value:
    if "." in name:
        return Unresolved(f"{name} is known at deployment only", node.span)
    return _ref(node, replace(node, value=name), names)


def _join(node: Node, argument: Node, names: Scope) -> Value:
    sign, parts = _arguments(node, argument, names, 2)
    if isinstance(sign, Unresolved) or isinstance(parts, Unresolved):
        return first_unresolved([sign, parts])
    if not isinstance(parts, list):
        raise _wrong(node, "a delimiter and a list")
    missing = first_unresolved(parts)
    texts = [part.text or "${...}" if isinstance(part, Unresolved) else text_of(part) for part in parts]
    names.makes(sum(map(len, texts)) + (len(text_of(sign)) + 1) * len(texts), node)
    joined = text_of(sign).join(texts)
    return replace(missing, where=node.span, text=joined) if missing else joined


def _select(node: Node, argument: Node, names: Scope) -> Value:
    index, parts = _arguments(node, argument, names, 2)
    if isinstance(index, Unresolved) or isinstance(parts, Unresolved):
        return _because_of(next(item for item in (index, parts) if isinstance(item, Unresolved)), node)
    if not isinstance(parts, list) or not re.fullmatch(r"\d{1,9}", text_of(index)) or int(index) >= len(parts):
        raise _wrong(node, "an index and a list that has it")
    return parts[int(index)]


def _split(node: Node, argument: Node, names: Scope) -> Value:
    sign, text = _arguments(node, argument, names, 2)
    missing = first_unresolved([sign, text])
    if missing:
        return _because_of(missing, node)
    if not isinstance(text, str) or not isinstance(sign, str) or not sign:
        raise _wrong(node, "a delimiter and a text")
    names.makes(len(text) + ITEM * text.count(sign), node)
    return text.split(sign)


def _find_in_map(node: Node, argument: Node, names: Scope) -> Value:
    if not isinstance(argument.value, list) or len(argument.value) not in (3, 4):
        raise _wrong(node, "a map's name and two keys")
    keys = [resolve(item, names) for item in argument.value[:3]]
    missing = first_unresolved(keys)
    if missing:
        return _because_of(missing, node)
    entry = names.mappings.get(text_of(keys[0]))
    for key in keys[1:]:
        entry = entry.get(text_of(key)) if entry else None
    if entry is not None:
        return _mapped(entry)
    default = argument.value[3].get("DefaultValue") if len(argument.value) == 4 else None
    if default is not None:
        return resolve(default, names)
    raise BadTemplate(
        f"the mappings have no {' / '.join(map(text_of, keys))}", where=node.span, help="add it, or correct the keys"
    )


def _mapped(node: Node) -> Value:
    """A mapping's value: a text, a number or a list, never a function, which could lead back to the mapping."""
    if isinstance(node.value, dict):
        raise BadTemplate(
            "a mapping's value is a mapping or a function", where=node.span, help="write a text, or a list of texts"
        )
    return to_data(node)


def _if(node: Node, argument: Node, names: Scope) -> Value:
    if not isinstance(argument.value, list) or len(argument.value) != 3:
        raise _wrong(node, "a condition and two values")
    name, when, otherwise = argument.value
    decided = names.condition(str(name.value), name.span)
    if isinstance(decided, Unresolved):
        return Unresolved(f"the condition {name.value} is not known: {decided.reason}", node.span, give=decided.give)
    return resolve(when if decided else otherwise, names)


def _condition(node: Node, argument: Node, names: Scope) -> Value:
    if not isinstance(argument.value, str):
        return {"Condition": resolve(argument, names)}  # an IAM statement's, not a reference
    return (
        names.condition(argument.value, argument.span)
        if argument.value in names.conditions
        else {"Condition": argument.value}
    )


def _equals(node: Node, argument: Node, names: Scope) -> Value:
    left, right = _arguments(node, argument, names, 2)
    missing = first_unresolved([left, right])
    if missing:
        return missing
    return left == right if isinstance(left, list | dict) else text_of(left) == text_of(right)


def _all(node: Node, argument: Node, names: Scope) -> Value:
    return _combined(_arguments(node, argument, names), False)


def _any(node: Node, argument: Node, names: Scope) -> Value:
    return _combined(_arguments(node, argument, names), True)


def _combined(values: list[Value], decisive: bool) -> Value:
    """``decisive`` alone settles the answer, whatever the others are."""
    if any(value is decisive for value in values):
        return decisive
    return first_unresolved(values) or (not decisive)


def _not(node: Node, argument: Node, names: Scope) -> Value:
    (value,) = _arguments(node, argument, names, 1)
    return value if isinstance(value, Unresolved) else not value


def _base64(node: Node, argument: Node, names: Scope) -> Value:
    value = resolve(argument, names)
    if isinstance(value, Unresolved):
        return value
    text = text_of(value)
    names.makes(2 * len(text), node)
    return base64.b64encode(text.encode()).decode()


def _length(node: Node, argument: Node, names: Scope) -> Value:
    value = resolve(argument, names)
    if isinstance(value, Unresolved):
        return _because_of(value, node)
    if not isinstance(value, list):
        raise _wrong(node, "a list")
    return len(value)


def _to_json(node: Node, argument: Node, names: Scope) -> Value:
    value = resolve(argument, names)
    missing = first_unresolved(value)
    if missing is not None:
        return _because_of(missing, node)
    if not isinstance(value, dict | list):
        raise _wrong(node, "a mapping or a list")
    text = json.dumps(value, separators=(",", ":"))
    names.makes(len(text), node)
    return text


FUNCTIONS: Mapping[str, Callable[[Node, Node, Scope], Value]] = {
    "Ref": _ref,
    "Condition": _condition,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::FindInMap": _find_in_map,
    "Fn::If": _if,
    "Fn::Equals": _equals,
    "Fn::And": _all,
    "Fn::Or": _any,
    "Fn::Not": _not,
    "Fn::Base64": _base64,
    "Fn::Length": _length,
    "Fn::ToJsonString": _to_json,
}
"""Functions that are evaluated here; any other ``Fn::`` waits for the deployment."""


def _arguments(node: Node, argument: Node, names: Scope, count: int | None = None) -> list[Value]:
    """Each item's value; one that is AWS::NoValue keeps its place, for the others' sake."""
    if not isinstance(argument.value, list) or (count is not None and len(argument.value) != count):
        raise _wrong(node, f"a list of {count}" if count else "a list")
    return [resolve(item, names) for item in argument.value]


def _because_of(missing: Unresolved, node: Node) -> Unresolved:
    """Of a function whose argument is not known: nothing of its value is."""
    return replace(missing, where=node.span, resource="", text="")


def _wrong(node: Node, expected: str) -> BadTemplate:
    name = next(iter(node.value)) if isinstance(node.value, dict) else "it"
    return BadTemplate(f"{name} takes {expected}", where=node.span, help="see the function's page in AWS's reference")


def nearest(name: str, known: Any, what: str) -> str:
    """What to say of a name that is not known: which one is, or all that are."""
    near = settings.nearest(name, known)
    if near or len(known) > settings.MOST_NAMES:
        return f"did you mean {near!r}?" if near else f"it is not among the {len(known)} {what}"
    listed = ", ".join(sorted(map(str, known))[:20])
    return f"known {what}: {listed}" if listed else f"there are no {what}"
