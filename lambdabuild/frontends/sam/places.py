"""The place of a property's value in a template's text, or where it goes if it is missing."""

from __future__ import annotations

from functools import lru_cache

from lambdabuild.core.records import replace
from lambdabuild.core.spans import Node, Span

SHARED = ("&", "*", "!")
"""First characters of a value that has an anchor or a tag."""


def property_place(text: str, is_json: bool, resource: Node, key: str, section: str = "Properties") -> tuple[Span, str]:
    """Return the span of a resource's property and "", or what to replace and the text around the value.

    A property that the resource itself does not have (Globals or a merge gave it) is inserted before the others.
    """
    properties = resource.get(section)
    if properties is None:
        return _before_first(text, is_json, resource, pair_of(is_json, section, "{" + pair_of(is_json, key) + "}"))
    here = text[properties.span.start : properties.span.end]
    if here.startswith("*"):
        return properties.span, "{<<: " + here + ", " + pair_of(is_json, key) + "}"
    own = properties.get(key)
    if own is not None and key not in properties.inherited:
        return own.span, ""
    if not properties.value:
        return _into_nothing(here, is_json, properties.span, key)
    return _before_first(text, is_json, properties, pair_of(is_json, key))


def pair_of(is_json: bool, key: str, value: str = "{}") -> str:
    return f'"{key}": {value}' if is_json else f"{key}: {value}"


def is_own(text: str, node: Node) -> bool:
    """Return whether a node's text is its own and not shared through an anchor."""
    return node.style != "tagged" and not text.startswith(SHARED, node.span.start)


def _into_nothing(here: str, is_json: bool, span: Span, key: str) -> tuple[Span, str]:
    brace = here.find("{")
    if brace < 0:  # null, written or not
        space = "" if here else " "
        return span, space + "{" + pair_of(is_json, key) + "}"
    start = span.start + brace + 1
    return replace(span, start=start, end=start), pair_of(is_json, key)


def _before_first(text: str, is_json: bool, mapping: Node, pair: str) -> tuple[Span, str]:
    first = min(mapping.keys.values(), key=lambda span: span.start)
    place = replace(first, end=first.start)
    blank = _blank_before(text, first.start)
    newline = line_end(text)
    if mapping.style == "flow":
        layout = newline + blank.rpartition("\n")[2] if "\n" in blank else " "
        return place, f"{pair},{layout}"
    indent = text[text.rfind("\n", 0, first.start) + 1 : first.start]
    return place, pair + newline + (indent if not indent.strip() else " " * len(indent))


def _blank_before(text: str, place: int) -> str:
    start = place
    while start and text[start - 1] in " \t\r\n":
        start -= 1
    return text[start:place]


@lru_cache(maxsize=8)
def line_end(text: str) -> str:
    """Return how a text's lines end; remembered, because it is asked for every function."""
    return "\r\n" if "\r\n" in text else "\n"
