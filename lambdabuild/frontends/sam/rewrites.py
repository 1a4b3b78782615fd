"""What is noted of a function or layer of a template: that it is left out, or where its code's location is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lambdabuild.core.errors import BadTemplate
from lambdabuild.core.model import Rewrite, Skipped
from lambdabuild.core.spans import Span
from lambdabuild.frontends.sam import cdk
from lambdabuild.frontends.sam.places import line_end, pair_of, property_place

if TYPE_CHECKING:
    from lambdabuild.core.spans import Node
    from lambdabuild.frontends.sam.code_resource import CodeResource, Template


def skip(resource: CodeResource, reason: str) -> None:
    """Leave a resource out; in a loop its code's location stays in the template as it is written."""
    if resource.name in resource.template.loops.keys and resource.property(resource.shape.code) is not None:
        add(resource, "kept")
    leave_out(resource, reason)


def leave_out(resource: CodeResource, reason: str) -> None:
    name = resource.template.full(resource.name)
    resource.reading.skipped.append(Skipped(name, reason, resource.where, resource.shape.kind))


def add(resource: CodeResource, kind: Literal["artifact", "asset", "image", "kept"], key: str = "") -> None:
    """Record the place of its code's location, or of another property."""
    key = key or resource.shape.code
    _refuse_looped(resource, key)
    template = resource.template
    span, insert = property_place(template.text, template.is_json, resource.node, key)
    iteration = template.iteration(resource.name, key, resource.property(key))
    name, form = template.full(resource.name), resource.shape.form
    pair = pair_of(template.is_json, key) if insert else ""
    rewrites = resource.reading.rewrites
    rewrites.append(Rewrite(name, kind, form, span, insert, pair, iteration=iteration))
    names = (resource.shape.code, cdk.IMAGE) if key == resource.shape.code else ()
    asset = next(filter(None, (cdk.asset(resource.node, name) for name in names)), None)
    written = resource.metadata.keys.get("aws:asset:path")
    if asset is not None and written is not None:  # else sam deploy would take the asset again
        rewrites.append(Rewrite(name, kind, "uri", asset.span, normalized(template, resource.metadata, written)))


def normalized(template: Template, metadata: Node, key: Span) -> str:
    """Return the value next to this key, and the mark with which SAM records that it copied it to its property."""
    if template.is_json:
        return '{}, "SamNormalized": true'
    separator = ", " if metadata.style == "flow" else line_end(template.text) + " " * (key.column - 1)
    return "{}" + separator + "SamNormalized: true"


def _refuse_looped(resource: CodeResource, key: str) -> None:
    """Raise an error for a property that a loop creates, because it cannot be written for one function alone."""
    properties = resource.node.get("Properties")
    where = properties.keys.get(key) if properties is not None else None
    if where is not None and resource.template.text[where.start : where.end].strip("'\"") not in (key, ""):
        raise BadTemplate(
            f"the {key} of {resource.label} is made by an Fn::ForEach among its properties",
            where=where,
            help="write it out, next to the loop",
        )
