"""A template's text with the places of its artifacts put in; everything else stays as it was, byte for byte."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from lambdabuild.cloudformation.shared import shortened
from lambdabuild.cloudformation.template_text.looped import Data, Filled, added_mappings, loop_values
from lambdabuild.cloudformation.template_text.written import text_of, written
from lambdabuild.core.errors import CannotCompile
from lambdabuild.core.model import (
    Document,
    FileLocation,
    Form,
    ImageLocation,
    LayersPlace,
    Location,
    ResourcesPlace,
    Rewrite,
    S3Location,
    Text,
)
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span

ANCHOR = re.compile(r"(?:!\S+\s+)?(&[^\s,\[\]{}]+)")


class AddedLayer(Struct, frozen=True):
    """A layer that the template gets; ``functions`` are the names of those that use it."""

    logical_id: str
    runtime: str
    architecture: str
    description: str
    location: Location
    functions: tuple[str, ...]


def splice(
    document: Document,
    locate: Callable[[Rewrite], Location | None],
    out_folder: str,
    layers: Sequence[AddedLayer] = (),
) -> str:
    """The text with each rewrite's place filled in, and with layers added to it and to its functions.

    A place that ``locate`` does not know stays as it is.

    Locations on this machine are told relative to ``out_folder``, where the text is going to lie. Raises CannotCompile
    (LB701) when two resources share one place of the text (an alias, a merge) but not their artifact.
    """
    places: dict[tuple[int, int], list[_Edit]] = {}
    looped: list[Filled] = []
    values: list[tuple[Rewrite, str]] = []
    for rewrite in document.rewrites:
        location = locate(rewrite)
        if rewrite.iteration is not None:
            looped.append(Filled(rewrite, None if location is None else _data(location, rewrite.form, out_folder)))
        elif location is not None:
            values.append((rewrite, _value(location, rewrite.form, document.is_json, out_folder)))
    for rewrite, value in [*values, *loop_values(document, looped)]:
        _add(places.setdefault((rewrite.span.start, rewrite.span.end), []), _edit(document, rewrite, value))
    edits = {place: (_together(group), group[0].rewrite.span) for place, group in places.items()}
    for span, text in [*_additions(document, out_folder, layers), *added_mappings(document, looped)]:
        there, _ = edits.get((span.start, span.end), ("", span))  # a code location may be inserted there too
        edits[span.start, span.end] = (there + text, span)
    return _applied(document.text, {place: text for place, (text, _) in edits.items()})


class _Edit(Struct, frozen=True):
    """Return the text for one place; ``pair`` is the property alone, if it is inserted next to others."""

    rewrite: Rewrite
    text: str
    pair: str


def _edit(document: Document, rewrite: Rewrite, value: str) -> _Edit:
    return _Edit(rewrite, _replacement(document, rewrite, value), rewrite.pair.replace("{}", value, 1))


def _add(there: list[_Edit], edit: _Edit) -> None:
    """Several properties may be inserted at one place, but what is written once cannot be of two artifacts."""
    same = [other for other in there if other.rewrite.pair == edit.rewrite.pair or not (other.pair and edit.pair)]
    if any(other.text != edit.text for other in same):
        raise CannotCompile(
            f"{edit.rewrite.target!r} shares this place in the template with another function, but not its artifact",
            where=edit.rewrite.span,
            help="write the property for each of them, not through an alias",
        )
    if not same:
        there.append(edit)


def _together(edits: Sequence[_Edit]) -> str:
    """All that is put at a place: ``Handler: a.b``, a line's end or a comma, ``CodeUri: build``, the same again."""
    if len(edits) == 1:
        return edits[0].text
    before, _, after = edits[0].text.partition(edits[0].pair)
    between = after if after and after.strip() in ("", ",") else ", "
    return before + between.join(edit.pair for edit in edits) + after


def _applied(text: str, edits: Mapping[tuple[int, int], str]) -> str:
    parts, position = [], 0
    for (start, end), new in sorted(edits.items()):
        parts += [text[position:start], new]
        position = end
    return "".join([*parts, text[position:]])


def _additions(document: Document, out_folder: str, layers: Sequence[AddedLayer]) -> Iterator[tuple[Span, str]]:
    """Yield the insertions: the layers, then their names in the functions."""
    place = document.resources
    if place is None or not layers:
        return
    added = [_resource(document, place, layer, out_folder) for layer in layers]
    yield place.span, "".join(place.indent + text + place.between for text in added)
    for function in document.layers:
        own_layers = [layer.logical_id for layer in layers if function.target in layer.functions]
        if own_layers:
            yield function.span, _references(function, own_layers, document.is_json)


def _references(place: LayersPlace, logical_ids: Sequence[str], is_json: bool) -> str:
    references = (json.dumps({"Ref": name}) if is_json else f"!Ref {name}" for name in logical_ids)
    return place.before + place.between.join(references) + place.after


def _resource(document: Document, place: ResourcesPlace, layer: AddedLayer, out_folder: str) -> str:
    """The layer as the template writes its resources: a block, or in braces."""
    pairs = _layer_properties(document, place, layer, out_folder)
    if place.is_block:
        lines = [f"{layer.logical_id}:", f"  Type: {place.kind}", "  Properties:"]
        lines += [f"    {name}: {text}" for name, text in pairs.items()]
        return (place.between + place.indent).join(lines)
    quote = '"' if document.is_json else ""
    inner = ", ".join(f"{quote}{name}{quote}: {text}" for name, text in pairs.items())
    kind = json.dumps(place.kind) if document.is_json else place.kind
    return f"{quote}{layer.logical_id}{quote}: {{{quote}Type{quote}: {kind}, {quote}Properties{quote}: {{{inner}}}}}"


def _layer_properties(document: Document, place: ResourcesPlace, layer: AddedLayer, out_folder: str) -> dict[str, str]:
    is_sam = place.kind == "AWS::Serverless::LayerVersion"
    content, form = ("ContentUri", "uri") if is_sam else ("Content", "s3")
    return {
        content: _value(layer.location, form, document.is_json, out_folder),  # type: ignore[arg-type]  # two Forms
        "Description": json.dumps(shortened(layer.description)),
        "CompatibleRuntimes": json.dumps([layer.runtime]),
        "CompatibleArchitectures": json.dumps([layer.architecture]),
    } | ({"RetentionPolicy": text_of("Delete", document.is_json)} if is_sam else {})


def _replacement(document: Document, rewrite: Rewrite, value: str) -> str:
    if rewrite.insert:
        return rewrite.insert.replace("{}", value, 1)
    # What other places name by an alias keeps its anchor.
    anchor = None if document.is_json else ANCHOR.match(document.text, rewrite.span.start, rewrite.span.end)
    return f"{anchor[1]} {value}" if anchor else value


def _value(location: Location, form: Form, is_json: bool, out_folder: str) -> str:
    return written(_data(location, form, out_folder), is_json)


def _data(location: Location, form: Form, out_folder: str) -> Data:
    """A location as a property of this form takes it."""
    if isinstance(location, Text):
        return location.text
    if isinstance(location, FileLocation):
        return os.path.relpath(location.path, out_folder).replace(os.sep, "/")
    if isinstance(location, ImageLocation):
        return location.uri if form == "uri" else {"ImageUri": location.uri}
    if form == "uri":
        return f"s3://{location.bucket}/{location.key}"
    if form == "template-url":
        return https_address(location)
    bucket, key = ("S3Bucket", "S3Key") if form == "s3" else ("Bucket", "Key")
    return {bucket: location.bucket, key: location.key}


def https_address(location: S3Location) -> str:
    """The path-style address of an object, as AWS::CloudFormation::Stack takes it.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-stack.html
    """
    if location.endpoint_url:
        return f"{location.endpoint_url.rstrip('/')}/{location.bucket}/{location.key}"
    region = f".{location.region}" if location.region else ""
    suffix = ".cn" if location.region.startswith("cn-") else ""
    return f"https://s3{region}.amazonaws.com{suffix}/{location.bucket}/{location.key}"
