"""Artifacts of what an Fn::ForEach makes: one place of the text for all, and a mapping that says whose is where.

A place becomes ``!FindInMap [LambdabuildNameFunction, !Sub "${Name}Function", CodeUri]``: the loop fills in the name of
each function. The key is the logical id: whatever the loop goes through, it has no characters that a key may not have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from lambdabuild.cloudformation.template_text.written import flow, text_of, written
from lambdabuild.core.errors import CannotCompile
from lambdabuild.core.model import Document, Iteration, MappingsPlace, Rewrite
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span

Data: TypeAlias = "str | Mapping[str, str]"
"""A location as a property takes it: a text, or a mapping of texts such as ``{S3Bucket, S3Key}``."""

BUCKETS = ("S3Bucket", "Bucket")
"""The part of a location that is the same for all artifacts."""


class Filled(Struct, frozen=True):
    """The value of one iteration of a loop at a place; ``data`` is None if no artifact goes there."""

    rewrite: Rewrite
    data: Data | None

    @property
    def iteration(self) -> Iteration:
        assert self.rewrite.iteration is not None
        return self.rewrite.iteration

    @property
    def value(self) -> Data | None:
        return self.iteration.otherwise if self.data is None else self.data


def loop_values(document: Document, filled: Sequence[Filled]) -> Iterator[tuple[Rewrite, str]]:
    """Return the text for each place: the value if all share it, otherwise its look-up."""
    names = _mapping_names(document, filled)
    for group in _places(filled):
        _refuse_mixed(group)
        first = group[0]
        if _is_one(group):
            yield first.rewrite, written(_value(first), document.is_json)
            continue
        look_up = partial(_look_up, names[first.iteration.key], first.iteration.key, is_json=document.is_json)
        value = _value(first)
        if isinstance(value, str):
            yield first.rewrite, look_up(_attribute(first))
            continue
        pairs = {key: json.dumps(text, ensure_ascii=document.is_json) for key, text in value.items()}
        yield (
            first.rewrite,
            flow(pairs | {key: look_up(_attribute(first, key)) for key in _varying(group)}, document.is_json),
        )


def _varying(group: Sequence[Filled]) -> list[str]:
    """The keys of a mapping whose values are looked up."""
    rows = [value for place in group if not isinstance(value := _value(place), str)]
    return [key for key in rows[0] if key not in BUCKETS or len({row.get(key) for row in rows}) > 1]


def added_mappings(document: Document, filled: Sequence[Filled]) -> Iterator[tuple[Span, str]]:
    """The mappings, and where they are put."""
    tables = _tables(document, filled)
    place = document.mappings
    if not tables:
        return
    if place is None:
        raise CannotCompile(
            "the artifacts of a loop need a mapping, and to the template's Mappings none can be added",
            where=filled[0].rewrite.span,
            help="write Mappings: as a mapping of its own, without an alias, or leave the section out",
        )
    yield place.span, (_block if place.is_block else _in_braces)(place, tables, document.is_json)


Tables: TypeAlias = "Mapping[str, Mapping[str, Mapping[str, str]]]"
"""``{mapping: {logical id: {attribute: text}}}``"""


def _tables(document: Document, filled: Sequence[Filled]) -> Tables:
    names, tables = _mapping_names(document, filled), dict[str, dict[str, dict[str, str]]]()
    for group in _places(filled):
        if _is_one(group):
            continue
        for place in group:
            row = tables.setdefault(names[place.iteration.key], {}).setdefault(place.iteration.logical_id, {})
            value = _value(place)
            if isinstance(value, str):
                row[_attribute(place)] = value
            else:
                row |= {_attribute(place, key): value[key] for key in _varying(group)}
    return tables


def _places(filled: Sequence[Filled]) -> list[list[Filled]]:
    """Return the iterations by place; places without artifacts stay as they are."""
    by_place: dict[tuple[int, int, str], list[Filled]] = {}
    for place in filled:
        span = place.rewrite.span
        by_place.setdefault((span.start, span.end, place.iteration.property), []).append(place)
    return [group for group in by_place.values() if any(place.data is not None for place in group)]


def _is_one(group: Sequence[Filled]) -> bool:
    """Return whether all have one artifact, and would have it whatever the loop goes through."""
    return all(place.iteration.is_same and place.data is not None and place.data == group[0].data for place in group)


def _refuse_mixed(group: Sequence[Filled]) -> None:
    kinds = {"text" if isinstance(place.value, str) else tuple(place.value or ()) for place in group}
    if len(kinds) > 1 or () in kinds:
        odd = next((place for place in group if place.data is None), group[0])
        raise CannotCompile(
            f"{odd.rewrite.target!r} has no artifact, and shares this place of the loop with what has one",
            where=odd.rewrite.span,
            help="write it next to the loop",
        )


def _value(place: Filled) -> Data:
    assert place.value is not None
    return place.value


def _attribute(place: Filled, key: str = "") -> str:
    """A mapping's names are letters and digits."""
    return re.sub(r"[^A-Za-z0-9]", "", place.iteration.property) + key


def _mapping_names(document: Document, filled: Sequence[Filled]) -> Mapping[str, str]:
    """A mapping for each logical id that loops write, called so as no other is."""
    taken = set(document.mappings.names) if document.mappings is not None else set()
    names: dict[str, str] = {}
    for key in dict.fromkeys(place.iteration.key for place in filled):
        plain = "Lambdabuild" + re.sub(r"[^A-Za-z0-9]", "", key)
        numbered = (f"{plain}{number or ''}" for number in (0, *range(2, len(taken) + 3)))
        names[key] = next(name for name in numbered if name not in taken)
        taken.add(names[key])
    return names


def _look_up(mapping: str, key: str, attribute: str, is_json: bool) -> str:
    if is_json:
        return json.dumps({"Fn::FindInMap": [mapping, {"Fn::Sub": key}, attribute]})
    return f"!FindInMap [{mapping}, !Sub {json.dumps(key)}, {attribute}]"


def _block(place: MappingsPlace, tables: Tables, is_json: bool) -> str:
    indent = place.indent if place.has_section else "  "
    lines = [] if place.has_section else ["Mappings:"]
    for name, rows in tables.items():
        lines.append(f"{indent}{name}:")
        lines += [f"{indent}  {text_of(key, is_json)}: {_row(row, is_json)}" for key, row in rows.items()]
    return "".join(line + place.between for line in lines)


def _in_braces(place: MappingsPlace, tables: Tables, is_json: bool) -> str:
    whole = {
        name: flow({key: _row(row, is_json) for key, row in rows.items()}, is_json) for name, rows in tables.items()
    }
    if place.has_section:
        return "".join(f"{text_of(name, is_json)}: {text}{place.between}" for name, text in whole.items())
    return f"{text_of('Mappings', is_json)}: {flow(whole, is_json)}{place.between}"


def _row(row: Mapping[str, str], is_json: bool) -> str:
    return flow({name: json.dumps(text, ensure_ascii=is_json) for name, text in row.items()}, is_json)
