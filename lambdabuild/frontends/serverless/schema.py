"""A configuration against a JSON Schema: what is wrong, and each value as the type the schema asks for.

No library does the second: the Serverless Framework's validator rewrites what it checks (``"512"`` becomes 512 where a
number is wanted, a scalar a list where a list is), so a template is only equal to the Serverless Framework's when the
same is done here. The schema is an ordinary one, which editors can use; ``KEYWORDS`` says which words of draft 7 it
may use. https://json-schema.org/draft-07/json-schema-validation
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from lambdabuild.config.settings import nearest
from lambdabuild.core.records import Struct, replace
from lambdabuild.core.spans import Node, Scalar, Span, to_data

Schema = Mapping[str, Any]

KEYWORDS = frozenset({
    "type", "enum", "const", "pattern", "minLength", "maxLength", "minimum", "maximum", "items", "minItems", "maxItems",
    "uniqueItems", "properties", "patternProperties", "additionalProperties", "required", "minProperties",
    "maxProperties", "anyOf", "oneOf", "allOf", "$ref", "passThrough",
})  # fmt: skip
"""``passThrough`` is our own: what stands there (or its ``content`` alone) is copied into the template as it is."""
MOST_HINTS = 500
LONGEST_MATCH = 4096
"""Characters; what is longer is none of the names and addresses that patterns are for, and some take long to say so."""
MADE_OF = {"string": str, "boolean": bool, "object": dict, "array": list, "null": type(None)}
A_OR_AN = {"object": "a mapping", "array": "a list", "string": "a text", "boolean": "true or false",
           "number": "a number", "integer": "a whole number", "null": "nothing"}  # fmt: skip


class Mistake(Struct, frozen=True):
    """One thing that is wrong. ``unknown`` is the key that is not known, when that is what is wrong.

    ``is_structural``: no template can be made of it, because it is not what is taken apart at this place (a text for a
    mapping, a list for a text, nothing for what is needed). The rest is for CloudFormation or Lambda to take or refuse.
    """

    path: tuple[str, ...]
    message: str
    where: Span
    help: str = ""
    unknown: str = ""
    is_structural: bool = False


def check(node: Node, schema: Schema) -> tuple[Node, tuple[Mistake, ...]]:
    """Return the node with its values in the types that the schema wants, and all mistakes in it."""
    checker = _Checker(schema)
    result, mistakes = checker.visit(node, schema, ())
    return result, tuple(mistakes)


class _Checker:
    def __init__(self, root: Schema) -> None:
        self.definitions: Mapping[str, Schema] = root.get("definitions", {})
        self.hints = MOST_HINTS

    def near(self, name: str, known: Iterable[str]) -> str:
        """Return the closest known name, for the first few mistakes only: each search takes a millisecond."""
        self.hints -= 1
        return nearest(name, known) if self.hints >= 0 else ""

    def visit(self, node: Node, schema: Schema, path: tuple[str, ...]) -> tuple[Node, list[Mistake]]:
        node, mistakes = self.value(node, schema, path)
        copied = schema.get("passThrough")
        if mistakes and copied:
            least = len(path) + (1 if copied == "content" else 0)
            mistakes = [replace(m, is_structural=m.is_structural and len(m.path) < least) for m in mistakes]
        return node, mistakes

    def value(self, node: Node, schema: Schema, path: tuple[str, ...]) -> tuple[Node, list[Mistake]]:
        if "$ref" in schema:
            return self.visit(node, self.definitions[schema["$ref"].removeprefix("#/definitions/")], path)
        wanted = schema.get("type")
        if wanted is not None:
            typed, fits = _as_type(node, wanted)
            if not fits:
                is_structural = isinstance(typed.value, dict | list) or not _takes_scalars(wanted)
                return node, [_mistake(path, typed, f"must be {_words(wanted)}", is_structural=is_structural)]
            node = typed
        mistakes = list(_value_mistakes(node, schema, path, self.near))
        if isinstance(node.value, dict):
            node, wrong = self.mapping(node, node.value, schema, path)
            mistakes += wrong
        elif isinstance(node.value, list):
            node, wrong = self.sequence(node, node.value, schema, path)
            mistakes += wrong
        for part in schema.get("allOf", ()):
            node, wrong = self.visit(node, part, path)
            mistakes += wrong
        for word in ("anyOf", "oneOf"):
            if word in schema:
                node, wrong = self.one_of(node, schema[word], path)
                mistakes += wrong
        return node, mistakes

    def one_of(self, node: Node, branches: list[Schema], path: tuple[str, ...]) -> tuple[Node, list[Mistake]]:
        """Return the first branch that fits. Rewrites by branches that fail remain, as with the Serverless Framework.

        Once a branch that wants a scalar was offered a list of one, the branches after it see the item alone. The list
        itself stays, unless one of them makes another value of a scalar: ``[!Ref Table]`` is a list when it fits
        ``!Ref``, and ``[arn:aws:s3:::a]`` a text when it fits a text.
        """
        failed: list[tuple[int, int, list[Mistake]]] = []
        seen = node
        for position, branch in enumerate(branches):
            checked, mistakes = self.visit(seen, branch, path)
            node = _put_back(node, seen, checked)
            if not mistakes:
                return node, []
            item = _only_item(checked)
            seen = item if item is not None and self.offers_item(branch) else checked
            deepest = max(len(mistake.path) for mistake in mistakes)
            failed.append((-deepest, position, mistakes))
        fits_none = all(any(mistake.is_structural for mistake in wrong) for _, _, wrong in failed)
        return node, [
            replace(mistake, is_structural=fits_none) for mistake in self.nearest_branch(node, branches, path, failed)
        ]

    def offers_item(self, schema: Schema) -> bool:
        """Return whether a list of one that does not fit here was taken for its item."""
        if "$ref" in schema:
            return self.offers_item(self.definitions[schema["$ref"].removeprefix("#/definitions/")])
        if "type" in schema:
            return "array" not in _listed(schema["type"]) and _takes_scalars(schema["type"])
        return any(map(self.offers_item, schema.get("anyOf", schema.get("oneOf", ()))))

    def nearest_branch(
        self, node: Node, branches: list[Schema], path: tuple[str, ...], failed: list[tuple[int, int, list[Mistake]]]
    ) -> list[Mistake]:
        """Return the mistakes of the branch that a value fits best, or what the value may be."""
        best = min(failed, key=lambda item: (item[0], len(item[2]), item[1]))
        if -best[0] > len(path) or len(branches) == 1:
            return best[2]
        unknown = [mistake for _, _, wrong in failed for mistake in wrong if mistake.unknown]
        if isinstance(node.value, dict) and unknown and not any(m.help == "" for m in unknown):
            return [unknown[0]]
        choices = [text for branch in branches for text in _told(branch, self.definitions)]
        return [_mistake(path, node, f"must be {' or '.join(dict.fromkeys(choices))}")]

    def sequence(
        self, node: Node, items: list[Node], schema: Schema, path: tuple[str, ...]
    ) -> tuple[Node, list[Mistake]]:
        mistakes: list[Mistake] = []
        least, most = schema.get("minItems", 0), schema.get("maxItems", len(items))
        if not least <= len(items) <= most:
            limit = f"at least {least}" if len(items) < least else f"at most {most}"
            told = f"has {len(items)} items, and must have {limit}"
            mistakes.append(Mistake(path, told, node.span, is_structural=len(items) < least))
        mistakes += _listed_twice(items, path) if schema.get("uniqueItems") else []
        wanted = schema.get("items", {})
        checked = []
        for position, item in enumerate(items):
            schema_of_item = (
                wanted if not isinstance(wanted, list) else wanted[position] if position < len(wanted) else {}
            )
            item, wrong = self.visit(item, schema_of_item, (*path, str(position)))
            checked.append(item)
            mistakes += wrong
        return replace(node, value=checked), mistakes

    def mapping(
        self, node: Node, members: dict[str, Node], schema: Schema, path: tuple[str, ...]
    ) -> tuple[Node, list[Mistake]]:
        mistakes: list[Mistake] = []
        children = dict(members)
        present = {key: child for key, child in members.items() if child.value is not None}
        for key, child in present.items():
            for child_schema in self.schemas_of(key, schema):
                children[key], wrong = self.visit(child, child_schema, (*path, key))
                child = children[key]
                mistakes += wrong
            if schema.get("additionalProperties", True) is False and not _is_named(key, schema):
                mistakes.append(_unknown(path, node, key, schema, self.near))
        mistakes += _missing(path, node, present, schema)
        mistakes += self.without_content(path, node, members, schema)
        count = len(present)
        is_few = count < schema.get("minProperties", 0)
        if is_few or count > schema.get("maxProperties", count):
            wanted = schema.get("maxProperties", schema.get("minProperties"))
            told = f"has {count} keys with a value, and must have {wanted}"
            help = "a key whose value is commented out has no value" if is_few else ""
            mistakes.append(Mistake(path, told, node.span, help, is_structural=is_few))
        return replace(node, value=children), mistakes

    def without_content(
        self, path: tuple[str, ...], node: Node, members: dict[str, Node], schema: Schema
    ) -> Iterator[Mistake]:
        """Yield names without content that are meant to describe something: it may be commented out."""
        empty = [
            key for key, child in members.items() if child.value is None and key not in schema.get("properties", {})
        ]
        for key in empty:
            if any(self.wants_content(child_schema) for child_schema in self.schemas_of(key, schema)):
                place = node.keys.get(key, members[key].span)
                help = "write it, or remove the name"
                yield Mistake((*path, key), "has no content", place, help, is_structural=True)

    def wants_content(self, schema: Schema) -> bool:
        if "$ref" in schema:
            return self.wants_content(self.definitions[schema["$ref"].removeprefix("#/definitions/")])
        branches = schema.get("anyOf", schema.get("oneOf", ()))
        return any(map(self.wants_content, branches)) or (
            "type" in schema and {*_listed(schema["type"])} <= {"object", "array"}
        )

    @staticmethod
    def schemas_of(key: str, schema: Schema) -> Iterator[Schema]:
        if key in schema.get("properties", {}):
            yield schema["properties"][key]
        matching = [
            child_schema
            for pattern, child_schema in schema.get("patternProperties", {}).items()
            if _regex(pattern).search(key)
        ]
        yield from matching
        rest = schema.get("additionalProperties", True)
        if matching or key in schema.get("properties", {}):
            return
        if isinstance(rest, Mapping):
            yield rest
        elif len(schema.get("patternProperties", {})) == 1 and not schema.get("properties"):
            yield from schema["patternProperties"].values()  # an odd name for one more of them


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


def _matches(pattern: str, text: str) -> bool:
    return len(text) <= LONGEST_MATCH and _regex(pattern).search(text) is not None


def _is_named(key: str, schema: Schema) -> bool:
    return key in schema.get("properties", {}) or any(
        _regex(pattern).search(key) for pattern in schema.get("patternProperties", {})
    )


def _as_type(node: Node, wanted: str | list[str]) -> tuple[Node, bool]:
    """Return the node in one of the types wanted, as the Serverless Framework's validator rewrites it."""
    types = _listed(wanted)
    if any(_is(node.value, kind) for kind in types):
        return node, True
    value = node.value
    if isinstance(value, list) and len(value) == 1 and "array" not in types and _takes_scalars(wanted):
        node, value = value[0], value[0].value
        if any(_is(value, kind) for kind in types):
            return node, True
    for kind in types:
        if isinstance(value, dict | list):
            break
        if kind == "array":
            return replace(node, value=[node]), True
        changed = _changed(value, kind)
        if changed is not _NO:
            return replace(node, value=changed), True
    return node, False


def _takes_scalars(wanted: str | list[str]) -> bool:
    return not {*_listed(wanted)} <= {"object", "array", "null"}


def _listed(wanted: str | list[str]) -> list[str]:
    return [wanted] if isinstance(wanted, str) else wanted


def _put_back(node: Node, seen: Node, checked: Node) -> Node:
    """Return a value in which ``seen``, itself or its only item, is replaced by ``checked``."""
    if seen is node or not isinstance(seen.value, dict | list):
        return node if checked is seen else checked
    return (
        replace(node, value=[checked])
        if _only_item(node) is seen and isinstance(checked.value, dict | list)
        else checked
    )


def _only_item(node: Node) -> Node | None:
    return node.value[0] if isinstance(node.value, list) and len(node.value) == 1 else None


def _is(value: Any, wanted: str) -> bool:
    if wanted in ("number", "integer"):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and (wanted == "number" or float(value).is_integer())
    return isinstance(value, MADE_OF[wanted])


_NO: Any = object()


def _changed(value: Scalar, wanted: str) -> Any:
    if wanted == "string":
        return _text(value)
    if wanted in ("number", "integer"):
        return _number(value, wanted)
    if wanted == "boolean":
        if value in ("false", 0, None):
            return False
        return True if value in ("true", 1) else _NO
    return None if wanted == "null" and value in ("", 0, False) else _NO


def _text(value: Scalar) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e21
    return str(int(value)) if is_whole and isinstance(value, float) else str(value)


def _number(value: Scalar, wanted: str) -> Any:
    if value is None or isinstance(value, bool):
        return int(value or 0)
    try:
        number = float(value) if value != "" else _NO
    except ValueError:
        return _NO
    if number is _NO:
        return _NO
    if number.is_integer():
        return int(number)
    return number if wanted == "number" else _NO


Near = Callable[[str, Iterable[str]], str]


def _value_mistakes(node: Node, schema: Schema, path: tuple[str, ...], nearest_of: Near) -> Iterator[Mistake]:
    value, is_structural = node.value, isinstance(node.value, dict | list)
    if "const" in schema and (is_structural or value != schema["const"]):
        yield _mistake(path, node, f"must be {schema['const']!r}", is_structural=True)
    if "enum" in schema and (is_structural or value not in schema["enum"]):
        near = nearest_of("" if is_structural else str(value), [str(choice) for choice in schema["enum"]])
        help, kinds = f"did you mean {near}?" if near else "", {type(choice) for choice in schema["enum"]}
        odd = type(value) not in kinds
        yield _mistake(path, node, f"must be {_one_of(schema['enum'])}", help, is_structural=odd)
    if isinstance(value, str):
        if "pattern" in schema and not _matches(schema["pattern"], value):
            yield _mistake(path, node, f"must be {schema.get('description', 'of the form ' + schema['pattern'])}")
        if len(value) > schema.get("maxLength", len(value)):
            yield _mistake(path, node, f"must not be longer than {schema['maxLength']} characters")
        if len(value) < schema.get("minLength", 0):
            yield _mistake(path, node, f"must have at least {schema['minLength']} characters")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            yield _mistake(path, node, f"must be {schema['minimum']} or more")
        if value > schema.get("maximum", value):
            yield _mistake(path, node, f"must be {schema['maximum']} or less")


def _listed_twice(items: list[Node], path: tuple[str, ...]) -> Iterator[Mistake]:
    known: set[str] = set()
    for position, item in enumerate(items):
        text = json.dumps(to_data(item), sort_keys=True)
        if text in known:
            yield Mistake((*path, str(position)), f"is {to_data(item)!r}, which is listed already", item.span)
        known.add(text)


def _missing(path: tuple[str, ...], node: Node, present: Mapping[str, Node], schema: Schema) -> Iterator[Mistake]:
    for key in schema.get("required", ()):
        if key not in present:
            yield Mistake((*path, key), "is missing", node.span, help=f"add {key}", is_structural=True)


def _unknown(path: tuple[str, ...], node: Node, key: str, schema: Schema, nearest_of: Near) -> Mistake:
    known = list(schema.get("properties", {}))
    near = nearest_of(key, known)
    if near:
        help = f"did you mean {near}?"
    elif known:
        help = f"known here: {', '.join(sorted(known))}"
    else:
        help = f"rename it: {' or '.join(schema.get('patternProperties', ()))}"
    return Mistake((*path, key), "is not known here", node.keys.get(key, node.span), help, unknown=key)


def _mistake(path: tuple[str, ...], node: Node, words: str, help: str = "", *, is_structural: bool = False) -> Mistake:
    return Mistake(path, f"is {_quoted(node)}, and {words}", node.span, help, is_structural=is_structural)


def _quoted(node: Node) -> str:
    if node.style == "secret":
        return "a value that is kept secret"
    if isinstance(node.value, dict):
        return f"a mapping ({', '.join(list(node.value)[:3])})" if node.value else "an empty mapping"
    if isinstance(node.value, list):
        return f"a list of {len(node.value)}"
    text = repr(to_data(node))
    return text if len(text) < 80 else text[:77] + "..."


def _words(wanted: str | list[str]) -> str:
    return " or ".join(A_OR_AN[kind] for kind in _listed(wanted))


def _one_of(values: list[Any]) -> str:
    return " or ".join(map(str, values)) if len(values) < 8 else f"one of {', '.join(map(str, values))}"


def _told(schema: Schema, definitions: Mapping[str, Schema]) -> Iterator[str]:
    """Return what a branch wants, in a few words."""
    if "$ref" in schema:
        yield from _told(definitions[schema["$ref"].removeprefix("#/definitions/")], definitions)
    elif "description" in schema:
        yield schema["description"]
    elif "const" in schema:
        yield repr(schema["const"])
    elif "enum" in schema:
        yield _one_of(schema["enum"])
    elif "required" in schema:
        yield f"a mapping with {', '.join(schema['required'])}"
    elif "anyOf" in schema or "oneOf" in schema:
        for branch in schema.get("anyOf", schema.get("oneOf", ())):
            yield from _told(branch, definitions)
    elif "type" in schema:
        yield _words(schema["type"])
