"""The places in a template's text where a function names its layers, and where added ones go."""

from __future__ import annotations

import re

from lambdabuild.core.model import LayersPlace, MappingsPlace, ResourcesPlace
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Node, Span
from lambdabuild.frontends.sam.places import is_own, line_end, property_place

REST_OF_LINE = re.compile(r"[ \t]*(?:#[^\r\n]*)?(?=\r?\n|\Z)")


def layers_place(text: str, is_json: bool, target: str, resource: Node) -> LayersPlace | str:
    """Return where more layers of a function can be named, or why they cannot without changing another function's.

    The text of the resource and of its Properties and Layers must be its own, and Layers a list that is written out.
    """
    properties = resource.get("Properties")
    if (
        properties is None
        or "Properties" in resource.inherited
        or not properties.keys
        or not is_own(text, resource)
        or not is_own(text, properties)
    ):
        return "its Properties are not written out, or shared by an anchor"
    if "Layers" in properties.inherited:
        return "its Layers come by a merge (<<)"
    layers = properties.get("Layers")
    if layers is None:
        span, insert = property_place(text, is_json, resource, "Layers")
        before, _, after = insert.partition("{}")
        return LayersPlace(target, span, before + "[", ", ", "]" + after)
    if not isinstance(layers.value, list) or not is_own(text, layers):
        return "its Layers are not a list that is written out"
    if layers.style == "flow":
        return _into_flow(target, layers)
    return _into_block(text, target, layers)


def _into_flow(target: str, layers: Node) -> LayersPlace:
    assert isinstance(layers.value, list)
    if layers.value:
        end = layers.value[-1].span.end
        return LayersPlace(target, replace(layers.span, start=end, end=end), ", ", ", ", "")
    start = layers.span.start + 1
    return LayersPlace(target, replace(layers.span, start=start, end=start), "", ", ", "")


def _into_block(text: str, target: str, layers: Node) -> LayersPlace | str:
    assert isinstance(layers.value, list)
    last = layers.value[-1].span.end
    rest = REST_OF_LINE.match(text, last)
    indent = text[text.rfind("\n", 0, layers.span.start) + 1 : layers.span.start]
    if rest is None or indent.strip() or any(item.value is None for item in layers.value):
        return "its Layers are written in a way that cannot be added to"
    dash = f"{line_end(text)}{indent}- "
    return LayersPlace(target, replace(layers.span, start=rest.end(), end=rest.end()), dash, dash, "")


def mappings_place(text: str, root: Node) -> MappingsPlace | None:
    """Return where mappings are added: before all others, otherwise in a new section before Resources."""
    mappings = root.get("Mappings")
    if mappings is not None:
        place = resources_place(text, root, "", "Mappings")
        names = frozenset(mappings.keys)
        return MappingsPlace(place.span, place.is_block, place.indent, place.between, True, names) if place else None
    key = root.keys.get("Resources")
    if key is None:
        return None
    layout = text[text.rfind("\n", 0, key.start) + 1 : key.start]
    if root.style != "flow":
        is_free = not layout.strip("\ufeff")
        return MappingsPlace(_at(key, key.start), True, "", line_end(text), False, frozenset()) if is_free else None
    between = f",{line_end(text)}{layout}" if not layout.strip() else ", "
    return MappingsPlace(_at(key, key.start), False, "", between, False, frozenset())


def resources_place(text: str, root: Node, kind: str, section: str = "Resources") -> ResourcesPlace | None:
    """Return where layers are added: before all other resources. None when Resources is not a mapping of its own."""
    resources, key = root.get(section), root.keys.get(section)
    if resources is None or key is None or not resources.keys or text.startswith("*", resources.span.start):
        return None
    first = min(resources.keys.values(), key=lambda span: span.start)
    line = text.rfind("\n", 0, first.start) + 1
    layout = text[line : first.start]
    if resources.style == "flow":
        between = f",{line_end(text)}{layout}" if not layout.strip() else ", "
        return ResourcesPlace(kind, _at(first, first.start), False, "", between)
    start = text.find("\n", key.end) + 1
    if layout.strip() or not 0 < start <= line:
        return None
    return ResourcesPlace(kind, _at(first, start), True, layout, line_end(text))


def _at(span: Span, place: int) -> Span:
    return replace(span, start=place, end=place)
