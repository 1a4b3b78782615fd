"""The schema of a serverless.yml: it is a JSON Schema, and values come out in the types that it wants."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from lambdabuild.core.spans import Span, from_data, to_data
from lambdabuild.frontends.serverless.reader import schema
from lambdabuild.frontends.serverless.schema import KEYWORDS, check


def checked(data: Any, wanted: dict[str, Any]) -> tuple[Any, list[str]]:
    node, mistakes = check(from_data(data, Span("f")), wanted)
    return to_data(node), [f"{'.'.join(m.path)} {m.message}; {m.help}" for m in mistakes]


@pytest.mark.parametrize(
    ("data", "wanted", "expected"),
    [
        ("512", {"type": "integer"}, 512),
        (1.0, {"type": "integer"}, 1.0),
        ("1.5", {"type": "number"}, 1.5),
        (True, {"type": "integer"}, 1),
        ("true", {"type": "boolean"}, True),
        (0, {"type": "boolean"}, False),
        (1.0, {"type": "string"}, "1"),
        (1.5, {"type": "string"}, "1.5"),
        (False, {"type": "string"}, "false"),
        ("a", {"type": "array", "items": {"type": "string"}}, ["a"]),
        (7, {"type": "array", "items": {"type": "string"}}, ["7"]),
        (["a"], {"type": "string"}, "a"),
        ([3], {"type": "string"}, "3"),
        ("", {"type": "null"}, None),
        ({"a": None, "b": 1}, {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}, {"a": None, "b": "1"}),
        ("3", {"anyOf": [{"type": "integer"}, {"type": "string"}]}, 3),
        (["x"], {"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "array"}]}, ["x"]),
    ],
)  # fmt: skip
def test_a_value_becomes_the_type_that_is_wanted(data: Any, wanted: dict[str, Any], expected: Any) -> None:
    assert checked(data, wanted) == (expected, [])


ARN = {"anyOf": [{"type": "string", "pattern": "^arn:"}, {"type": "object", "required": ["Ref"]}]}
ARNS = {"anyOf": [{"const": "*"}, ARN, {"type": "array", "items": ARN}]}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([{"Ref": "A"}], [{"Ref": "A"}]),
        ({"Ref": "A"}, {"Ref": "A"}),
        (["arn:a"], "arn:a"),
        (["arn:a", {"Ref": "A"}], ["arn:a", {"Ref": "A"}]),
        (["a-b"], ["a-b"]),
        ("a-b", ["a-b"]),
        ([["arn:a", "arn:b"]], [["arn:a", "arn:b"]]),
        ([{"Else": "A"}], [{"Else": "A"}]),
    ],
)
def test_a_list_of_one_becomes_a_text_and_never_a_mapping(data: Any, expected: Any) -> None:
    assert checked(data, ARNS)[0] == expected


@pytest.mark.parametrize(
    ("data", "wanted", "words"),
    [
        ("text", {"type": "integer"}, "is 'text', and must be a whole number"),
        ({"handlr": 1}, {"type": "object", "properties": {"handler": {}}, "additionalProperties": False}, "handlr is not known here; did you mean handler?"),
        ({}, {"type": "object", "required": ["a"]}, "a is missing; add a"),
        (5, {"type": "integer", "maximum": 3}, "is 5, and must be 3 or less"),
        ("arm", {"enum": ["arm64", "x86_64"]}, "must be arm64 or x86_64; did you mean arm64?"),
        ([], {"type": "array", "minItems": 1}, "has 0 items, and must have at least 1"),
        (["a", "b", "a"], {"type": "array", "uniqueItems": True}, "2 is 'a', which is listed already"),
        ({"a": {"b": 1}}, {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"a": {"type": "object", "properties": {"c": {}}, "additionalProperties": False}}}]}, "a.b is not known here"),
    ],
)  # fmt: skip
def test_a_mistake_says_what_is_there_and_what_may_be(data: Any, wanted: dict[str, Any], words: str) -> None:
    _, mistakes = checked(data, wanted)
    assert len(mistakes) == 1
    assert words in mistakes[0]


def parts(one: Any) -> Iterator[dict[str, Any]]:
    """Every schema inside a schema."""
    if isinstance(one, dict):
        yield one
        for key in ("properties", "patternProperties", "definitions"):
            for inner in one.get(key, {}).values():
                yield from parts(inner)
        for key in ("anyOf", "oneOf", "allOf"):
            for inner in one.get(key, ()):
                yield from parts(inner)
        for key in ("items", "additionalProperties"):
            inner = one.get(key)
            for each in inner if isinstance(inner, list) else [inner]:
                yield from parts(each)


def test_the_schema_is_a_json_schema_and_says_nothing_that_is_not_checked() -> None:
    from jsonschema import Draft7Validator

    whole = schema()
    Draft7Validator.check_schema(whole)
    told = {"description", "definitions", "title", "$schema"}
    for one in parts(whole):
        assert set(one) <= KEYWORDS | told
        if "$ref" in one:
            assert one["$ref"].removeprefix("#/definitions/") in whole["definitions"]


def test_an_editor_and_lambdabuild_agree_on_a_service_without_coercions() -> None:
    from jsonschema import Draft7Validator

    service = {
        "service": "shop",
        "provider": {
            "name": "aws",
            "runtime": "python3.13",
            "vpc": {"securityGroupIds": ["a"], "subnetIds": [{"Ref": "b"}]},
        },
        "functions": {"a": {"handler": "a.b", "memorySize": 512, "environment": {"A": {"Fn::GetAtt": ["x", "Arn"]}}}},
    }
    assert list(Draft7Validator(schema()).iter_errors(service)) == []
    assert checked(service, schema()) == (service, [])
    service["functions"]["a"]["memorySize"] = 1  # type: ignore[index]
    assert len(list(Draft7Validator(schema()).iter_errors(service))) == len(checked(service, schema())[1]) == 1


def test_no_name_is_in_the_schema_twice() -> None:
    """The second would win without a word, and what is checked by the first would be coerced by other rules."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), [key for key, _ in pairs]
        return dict(pairs)

    text = files("lambdabuild.frontends.serverless").joinpath("schema.json").read_text(encoding="utf-8")
    assert json.loads(text, object_pairs_hook=once)["definitions"]
