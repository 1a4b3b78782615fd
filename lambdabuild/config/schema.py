"""The JSON Schema of lambdabuild.toml and of ``[tool.lambdabuild]``.

It is generated from the settings' classes: types and defaults from the fields, descriptions from the texts below
them. Draft-07, because that is what editors for TOML (taplo, tombi) and SchemaStore understand.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Any

from lambdabuild.config.loader import CACHES, CHOICES, EXECUTED, EXECUTORS, TABLES
from lambdabuild.config.settings import CacheSettings, Container, ExecutorSettings, Settings, annotation_of, keys_of
from lambdabuild.config.tables import Command, FunctionTable, LayerSettings, SourceSettings
from lambdabuild.core.records import Struct

Schema = dict[str, Any]
"""A JSON Schema, or part of one: JSON as Python has it."""

DRAFT = "http://json-schema.org/draft-07/schema#"
TITLE = "lambdabuild settings: lambdabuild.toml, or [tool.lambdabuild] of pyproject.toml"
CLASSES: Mapping[str, type[Struct]] = {
    "function": FunctionTable,
    "layer": LayerSettings,
    "command": Command,
    "source": SourceSettings,
    "container": Container,
    "cache": CacheSettings,
    "executor": ExecutorSettings,
}
"""Names in ``definitions``, and the classes they are generated from."""
DEFINITIONS = {kind: name for name, kind in CLASSES.items()}

TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "array", "items": TEXT}
FLAG: Schema = {"type": "boolean"}
NAMED_TEXTS: Schema = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
TYPES: Mapping[str, Schema] = {
    "str": TEXT,
    "str | None": TEXT,
    "bool": FLAG,
    "bool | None": FLAG,
    "int": {"type": "integer", "minimum": 0},
    "tuple[str, ...]": TEXTS,
    "Mapping[str, str]": NAMED_TEXTS,
    "Mapping[str, Any]": {"type": "object"},
}
"""Types that a field's annotation allows."""

FLAGS: Mapping[str, bool | str] = {"true": True, "false": False}
"""How a word among CHOICES is written in TOML, when it is not a text."""

SPECIAL: Mapping[tuple[type[Struct], str], Schema] = {
    (FunctionTable, "container"): {"$ref": "#/definitions/container"},
    (LayerSettings, "container"): {"$ref": "#/definitions/container"},
    (Settings, "container"): {"$ref": "#/definitions/container"},
    (Settings, "cache"): {"$ref": "#/definitions/cache"},
    (Settings, "executor"): {"anyOf": [{"$ref": "#/definitions/executor"}, TEXT]},
    (Settings, "parameters"): {
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "boolean", "array"]},
    },
    (CacheSettings, "max_size"): {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*([KMGTkmgt]?[Bb]?)\s*$"},
    (CacheSettings, "remotes"): {"type": "array", "items": {"type": "string", "pattern": f"^({'|'.join(CACHES)})"}},
    (ExecutorSettings, "address"): {"type": "string", "pattern": f"^({'|'.join(EXECUTORS)}|$)"},
    (ExecutorSettings, "steps"): {"type": "array", "items": {"enum": sorted(EXECUTED)}},
}
"""Fields that allow less, or more, than their annotations say."""


def schema_text() -> str:
    """Return the JSON Schema of the settings, as text."""
    return json.dumps(settings_schema(), indent=2) + "\n"


def settings_schema() -> Schema:
    """Return the JSON Schema of the settings."""
    definitions = {name: _object(kind) for name, kind in CLASSES.items()}
    return {"$schema": DRAFT, "title": TITLE, **_object(Settings), "definitions": definitions}


def _object(kind: type[Struct]) -> Schema:
    """Return the schema of a table; a key that is not a field is an error, as it is for the loader."""
    properties = {name: _property(kind, name) for name in keys_of(kind)}
    return {
        "description": _markdown(inspect.getdoc(kind) or ""),
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _property(kind: type[Struct], name: str) -> Schema:
    described: Schema = {"description": describe(kind, name)}
    allowed = _allowed(kind, name)
    if "$ref" in allowed:  # draft-07 ignores what stands next to a $ref
        return {**described, "allOf": [allowed]}
    default = default_of(kind, name)
    return {**described, **allowed, **({} if default in ("", [], None) else {"default": default})}


def _allowed(kind: type[Struct], name: str) -> Schema:
    """Return what a field may be: the special case, named items, one of several words, or its annotation's type."""
    if (kind, name) in SPECIAL:
        return SPECIAL[kind, name]
    if kind is Settings and name in TABLES:
        table = TABLES[name]
        whole: Schema = {"$ref": f"#/definitions/{DEFINITIONS[table.item]}"}
        return {"type": "object", "additionalProperties": {"anyOf": [TEXT, whole]} if table.short else whole}
    if name in CHOICES:
        return {"enum": [FLAGS.get(word, word) for word in CHOICES[name]]}
    return TYPES[annotation_of(kind, name)]


def default_of(kind: type[Struct], name: str) -> bool | int | str | list[str] | None:
    """Return the default of a field as JSON has it; None for a table."""
    value: object = getattr(kind(), name)
    if name in CHOICES:
        return FLAGS.get(str(value), str(value))
    if isinstance(value, tuple):
        return [*value]
    return value if isinstance(value, bool | int | str) else None


def describe(kind: type[Struct], name: str) -> str:
    """Return the text below a field of a class, as Markdown on one line; KeyError when there is none."""
    own = next(base for base in kind.__mro__ if name in _texts(base))
    return _markdown(_texts(own)[name])


@cache
def _texts(kind: type) -> Mapping[str, str]:
    """Return the texts below the fields of a class. Python keeps none of them, so the source is read."""
    if kind in (Struct, object):
        return {}
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    return {
        ast.unparse(above.target): str(ast.literal_eval(text.value))
        for above, text in pairwise(definition.body)
        if isinstance(above, ast.AnnAssign) and isinstance(text, ast.Expr)
    }


def _markdown(text: str) -> str:
    return " ".join(text.replace("``", "`").split())
