"""The compiler of a serverless.yml: what it gives for plain values. Whole templates are held against the Serverless Framework's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdabuild.cloudformation import compiler
from lambdabuild.cloudformation.context import Artifact
from lambdabuild.cloudformation.events import COMPILERS
from lambdabuild.cloudformation.template_text.write import as_text
from lambdabuild.core.model import Definition
from lambdabuild.core.spans import Span, from_data
from lambdabuild.frontends.serverless.reader import schema

CODE = Artifact("serverless/shop/dev/code-artifacts/one.zip", "c2hh")


def compiled(functions: dict[str, Any], code: Artifact = CODE, **more: Any) -> dict[str, Any]:
    data = {"service": "shop", "provider": {"name": "aws", "runtime": "python3.13"}, "functions": functions, **more}
    kinds = [("function", key) for key in functions] + [("layer", key) for key in more.get("layers", {})]
    names = {f"{kind}:{key}": key for kind, key in kinds}
    definition = Definition("serverless.yml", from_data(data, Span("serverless.yml")), "dev", "us-east-1", names)
    return compiler.compile(definition, dict.fromkeys(names, code))


def version(template: dict[str, Any]) -> str:
    (found,) = (key for key, one in template["Resources"].items() if one["Type"] == "AWS::Lambda::Version")
    return found


ONE = {"handler": "app.one"}


@pytest.mark.parametrize(
    "change",
    [
        {"memorySize": 512}, {"environment": {"A": "b"}}, {"timeout": 7}, {"handler": "app.two"}, {"snapStart": True},
        {"logs": {"logFormat": "JSON"}}, {"layers": [{"Ref": "LibLambdaLayer"}]}, {"description": "x"}, {"runtime": "python3.12"},
    ],
)  # fmt: skip
def test_another_configuration_is_another_version(change: dict[str, Any]) -> None:
    layers = {"layers": {"lib": {"path": "lib"}}}
    assert version(compiled({"one": ONE}, **layers)) != version(compiled({"one": ONE | change}, **layers))


@pytest.mark.parametrize(
    "change", [{"tags": {"a": "b"}}, {"reservedConcurrency": 3}, {"events": [{"schedule": "rate(1 day)"}]}, {"logRetentionInDays": 3}]
)  # fmt: skip
def test_what_is_no_part_of_a_version_does_not_make_another(change: dict[str, Any]) -> None:
    assert version(compiled({"one": ONE})) == version(compiled({"one": ONE | change}))


def test_other_code_is_another_version_and_another_place_of_it_is_not() -> None:
    before = version(compiled({"one": ONE}))
    assert version(compiled({"one": ONE}, Artifact("elsewhere.zip", CODE.code_sha256, "bucket"))) == before
    assert version(compiled({"one": ONE}, Artifact(CODE.key, "b3RoZXI="))) != before


def test_a_layers_content_makes_another_version_of_its_functions() -> None:
    function = {"one": ONE | {"layers": [{"Ref": "LibLambdaLayer"}]}}
    first = compiled(function, layers={"lib": {"path": "lib"}})
    second = compiled(function, layers={"lib": {"path": "lib", "description": "new"}})
    assert version(first) != version(second)
    assert first["Outputs"]["LibLambdaLayerHash"] != second["Outputs"]["LibLambdaLayerHash"]


def test_every_event_of_the_schema_has_a_compiler_and_the_other_way_round() -> None:
    assert set(COMPILERS) == set(schema()["definitions"]["event"]["properties"])


def test_each_target_group_of_a_function_may_call_it() -> None:
    start = "arn:aws:elasticloadbalancing:us-east-1:1:listener/app/a"
    events = [{"alb": {"listenerArn": f"{start}/{n}/x", "priority": n, "conditions": {"path": ["/"]}}} for n in (1, 2)]
    found = compiled({"one": ONE | {"events": events}})["Resources"]
    sources = {
        one["Properties"].get("SourceArn", {}).get("Ref") for one in found.values() if "Permission" in one["Type"]
    }
    assert sources == {"OneAlbTargetGroup1", "OneAlbTargetGroup2", None}
    assert found["OneLambdaPermissionAlb"]["Properties"]["SourceArn"] == {"Ref": "OneAlbTargetGroup2"}


EVENTS = st.sampled_from(
    [{"sqs": "arn:aws:sqs:a:1:q"}, {"sns": "topic"}, {"schedule": "rate(1 day)"}, {"s3": "bucket"}, {"iot": {"sql": "x"}},
     {"eventBridge": {"schedule": "rate(1 day)", "name": "x"}}, {"alexaSkill": "x"}, {"cloudwatchLog": "/a"}]
)  # fmt: skip


@given(st.permutations(["a", "b-c", "Z_1", "d"]), st.dictionaries(st.sampled_from("ab"), EVENTS))
def test_the_order_of_functions_changes_nothing(order: list[str], events: dict[str, Any]) -> None:
    functions = {
        key: {**ONE, "tracing": True, "events": [events[key]] if key in events else []} for key in sorted(order)
    }
    shuffled = {key: functions[key] for key in order}
    assert as_text(compiled(functions)) == as_text(compiled(shuffled))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@given(JSON)
def test_the_text_is_json_as_the_library_writes_it(value: Any) -> None:
    assert as_text(value) == json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_a_whole_number_is_written_as_javascript_writes_it() -> None:
    assert as_text([1.0, 1.5, 10.0]) == "[\n  1,\n  1.5,\n  10\n]\n"
