"""The JSON Schema of manifest.json, generated from its types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from lambdabuild.config.schema import describe
from lambdabuild.core.plain import Json
from lambdabuild.core.records import Struct
from lambdabuild.engine.steps.delivery import manifest_items
from lambdabuild.engine.steps.delivery.manifest_items import Manifest

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "lambdabuild: build/manifest.json"


def schema_text() -> str:
    """Return the JSON Schema of the manifest, as text. What is not in it may be added later."""
    return json.dumps(schema(), indent=2) + "\n"


def schema() -> Json:
    """Return the JSON Schema of the manifest."""
    schema = msgspec.json.schema(Manifest)
    for kind in _kinds():
        if kind.__name__ in schema["$defs"]:
            _describe(kind, schema["$defs"][kind.__name__])
    return {"$schema": DIALECT, "title": TITLE, **schema}


def _kinds() -> Iterator[type[Struct]]:
    """Yield the classes that the manifest is made of."""
    yield from (kind for kind in vars(manifest_items).values() if isinstance(kind, type) and issubclass(kind, Struct))


def _describe(kind: type[Struct], definition: Json) -> None:
    """Add the text below each field, except to the tag, which is no field."""
    properties: dict[str, Any] = definition["properties"]
    for name in kind.__struct_fields__:
        properties[name]["description"] = describe(kind, name)
