"""The JSON Schema of the settings: it allows the keys that the loader accepts, and no others."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator
from sandbox import ROOT

from lambdabuild.config import schema
from lambdabuild.config.loader import CHOICES, load
from lambdabuild.config.settings import Settings, annotation_of, keys_of
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.project_loader import schema_text

SCHEMA = schema.settings_schema()
VALIDATOR = Draft7Validator(SCHEMA)
PLACES = {
    "": Settings,
    "functions.A": schema.CLASSES["function"],
    "functions.A.container": schema.CLASSES["container"],
    "layers.A": schema.CLASSES["layer"],
    "commands.A": schema.CLASSES["command"],
    "sources.A": schema.CLASSES["source"],
    "container": schema.CLASSES["container"],
    "cache": schema.CLASSES["cache"],
    "executor": schema.CLASSES["executor"],
}
"""Every table of the settings, and the class of its keys."""
SAMPLES = {"str": '"x"', "bool": "true", "int": "1", "tuple[str, ...]": '["x"]', "Mapping[str, str]": '{ A = "x" }'}
ODD_SAMPLES = {
    "max_size": '"1 GB"',
    "remotes": '["https://cache.example.org"]',
    "address": '"grpc://engine:1"',
    "steps": '["zip"]',
}
KEYS = sorted({key for kind in PLACES.values() for key in keys_of(kind)} | {"where", "native", "typo"})
RULE_PAGES = ("rules.md", "writing-a-rule.md")


def is_valid(text: str) -> bool:
    return VALIDATOR.is_valid(tomllib.loads(text))


def is_loaded(text: str) -> bool:
    try:
        load("lambdabuild.toml", text, {}, {})
    except LambdaBuildError:
        return False
    return True


def sample(kind: type, key: str) -> str:
    """A value that suits a key of a table, as TOML."""
    annotation = annotation_of(kind, key) if key in keys_of(kind) else "str"
    if key in CHOICES:
        return json.dumps(CHOICES[key][-1])
    return ODD_SAMPLES.get(key) or SAMPLES.get(annotation.removesuffix(" | None"), "{}")


def examples() -> Iterator[tuple[str, str]]:
    """The settings that the docs and the sample app show."""
    yield "sample-app", (ROOT / "sample-app/lambdabuild.toml").read_text()
    for page in sorted((ROOT / "docs").glob("*.md")):
        if page.name not in RULE_PAGES:
            for number, text in enumerate(re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL), 1):
                yield f"{page.name} {number}", text


def settings_in(text: str) -> dict[str, Any]:
    """What a text has of settings: all of it, or the table of a pyproject.toml."""
    data = tomllib.loads(text)
    return data["tool"]["lambdabuild"] if "tool" in data else data


def test_the_schema_is_a_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"


@pytest.mark.parametrize("place", PLACES)
def test_the_schema_allows_the_keys_that_the_loader_accepts_and_no_others(place: str) -> None:
    kind = PLACES[place]
    for key in KEYS:
        text = f"{place}.{key} = {sample(kind, key)}".lstrip(".")
        assert (is_valid(text), is_loaded(text)) == ((True, True) if is_key(kind, key) else (False, False)), text


def is_key(kind: type, key: str) -> bool:
    return key in keys_of(kind)


@pytest.mark.parametrize("place", PLACES)
def test_every_setting_has_a_description_that_is_a_sentence(place: str) -> None:
    for key in keys_of(PLACES[place]):
        assert re.fullmatch(r"[A-Z].+\.", schema.describe(PLACES[place], key)), key


@pytest.mark.parametrize(("name", "text"), [*examples()], ids=lambda value: value if len(value) < 30 else "")
def test_what_the_docs_show_is_valid_and_is_loaded(name: str, text: str) -> None:
    VALIDATOR.validate(settings_in(text))
    load("pyproject.toml", text, {}, {}, table=("tool", "lambdabuild") if "[tool." in text else ())


@pytest.mark.parametrize(
    "text",
    [
        "bukket = 'b'",
        "native = true",
        "offline = 'perhaps'",
        "jobs = -1",
        "format = 'xml'",
        "use_container = 'maybe'",
        "[cache]\nremotes = ['ftp://x']",
        "[cache]\nmax_size = 'much'",
        "[executor]\nsteps = ['hash']",
        "[functions.A]\ncontainer = { nets = 'x' }",
        "[layers.A]\nkeep = 'all'",
        "[sources]\na = 1",
    ],
)
def test_a_mistake_that_the_loader_refuses_is_not_valid(text: str) -> None:
    assert (is_valid(text), is_loaded(text)) == (False, False)


@pytest.mark.parametrize(
    "text",
    [
        "executor = 'grpc://e:1'",
        "[commands]\nA = 'make'",
        "[layers.A]",
        "use_container = true",
        "use_container = 'auto'",
    ],
)
def test_short_forms_are_valid(text: str) -> None:
    assert (is_valid(text), is_loaded(text)) == (True, True)


def test_the_command_prints_the_schema_of_the_settings() -> None:
    assert json.loads(schema_text(["settings"]) or "") == SCHEMA
    assert schema_text(["setings"]) is None
