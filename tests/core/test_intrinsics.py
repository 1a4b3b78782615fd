"""What of a template is known before deployment."""

from __future__ import annotations

from typing import Any

import pytest

from lambdabuild.core.errors import BadTemplate, CircularReference, Several, UnknownName
from lambdabuild.frontends.intrinsics import Unresolved, resolve
from lambdabuild.frontends.scopes import scope
from lambdabuild.frontends.yaml_text import parse

TEMPLATE = """
Parameters:
  Stage: {Type: String, Default: dev, AllowedValues: [dev, prod]}
  Size: {Type: Number, Default: 3}
  Names: {Type: CommaDelimitedList, Default: "a, b"}
  Open: {Type: String}
  Looked: {Type: "AWS::SSM::Parameter::Value<String>", Default: /a/b}
Mappings:
  Sizes: {dev: {memory: 128, name: small}, prod: {memory: 512, name: large}}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  IsDev: !Not [!Condition IsProd]
  IsOpen: !Equals [!Ref Open, x]
  Either: !Or [!Condition IsOpen, !Condition IsDev]
  Both: !And [!Condition IsOpen, !Condition IsProd]
  Unknown: !And [!Condition IsOpen, !Condition IsDev]
Resources:
  Layer: {Type: AWS::Lambda::LayerVersion}
Value: %s
"""


def value(text: str, region: str = "eu-west-1", **parameters: str) -> Any:
    root, _ = parse("t.yaml", TEMPLATE % text)
    found = root.get("Value")
    assert found is not None
    return resolve(found, scope("t.yaml", root, parameters, region=region))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("!Ref Stage", "dev"), ("!Ref Size", "3"), ("!Ref Names", ["a", "b"]),
        ("!Ref AWS::Region", "eu-west-1"), ("!Ref AWS::Partition", "aws"),
        ("!Sub 'src/${Stage}/${AWS::Region}/${!Literal}'", "src/dev/eu-west-1/${Literal}"),
        ("!Sub ['${a}-${Stage}', {a: !Ref Size}]", "3-dev"),
        ("!Join ['/', [src, !Ref Stage]]", "src/dev"), ("!Sub ['${Stage}.zip']", "dev.zip"), ("!Select [1, !Ref Names]", "b"),
        ("!Split ['-', !Sub 'a-${Stage}']", ["a", "dev"]), ("!FindInMap [Sizes, !Ref Stage, name]", "small"),
        ("!FindInMap [Sizes, x, y, {DefaultValue: z}]", "z"), ("!If [IsProd, 1, 2]", 2), ("!If [IsDev, 1, 2]", 1),
        ("{a: !If [IsProd, 1, !Ref AWS::NoValue], b: 2}", {"b": 2}),
        ("[1, !If [IsProd, 1, !Ref AWS::NoValue]]", [1]), ("!If [Either, 1, 2]", 1), ("!If [Both, 1, 2]", 2),
        ("!Base64 hi", "aGk="), ("!Length [1, 2]", 2), ("!ToJsonString {a: [1, !Ref Stage]}", '{"a":[1,"dev"]}'),
        ("{Fn::Sub: '${Stage}'}", "dev"), ("{Condition: {StringEquals: {a: b}}}", {"Condition": {"StringEquals": {"a": "b"}}}),
    ],
)  # fmt: skip
def test_what_can_be_known_is(text: str, expected: object) -> None:
    assert value(text) == expected


def test_what_is_given_wins_over_the_default() -> None:
    assert value("!If [IsProd, !Ref Stage, no]", Stage="prod") == "prod"
    assert value("!FindInMap [Sizes, !Ref Stage, memory]", Stage="prod") == 512


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("!Ref Open", "the parameter Open"), ("!Ref Looked", "looked up"), ("!Ref Layer", "Layer"), ("!GetAtt Layer.Arn", "GetAtt"),
        ("!ImportValue x", "Fn::ImportValue"), ("!Sub 'a/${Layer.Arn}'", "Layer.Arn"), ("!If [Unknown, 1, 2]", "Unknown"),
        ("!Join ['', [a, !Ref Open]]", "the parameter Open"), ("!Ref AWS::AccountId", "AccountId"), ("!Ref Typo", "Typo"),
        ("!Cidr [a, 1, 2]", "Fn::Cidr"),
    ],
)  # fmt: skip
def test_what_only_a_deployment_knows_says_why(text: str, why: str) -> None:
    found = value(text)

    assert isinstance(found, Unresolved)
    assert why in found.reason
    assert found.where.line == 19


def test_a_text_is_known_as_far_as_it_goes_and_a_reference_by_its_name() -> None:
    assert value("!Sub 's3://${Open}/${Stage}'").text == "s3://${Open}/dev"
    assert value("!Ref Layer").resource == "Layer"
    assert value("!Ref Typo").help


def test_the_region_is_not_guessed() -> None:
    assert "set region" in value("!Ref AWS::Region", region="").remedy
    assert value("!Ref AWS::Partition", region="cn-north-1") == "aws-cn"


@pytest.mark.parametrize(
    "text",
    ["!If [Nope, 1, 2]", "!FindInMap [Sizes, x, y]", "!Select [9, [a]]", "!Join [a]", "!If [IsProd]", "!Sub [1, 2, 3]", "!Split ['', a]"],
)  # fmt: skip
def test_what_is_wrong_is_told(text: str) -> None:
    with pytest.raises(BadTemplate) as raised:
        value(text)

    assert raised.value.where[0].line == 19


def test_wrong_parameters_are_told_together() -> None:
    with pytest.raises(Several) as raised:
        value("1", Stgae="x", Stage="test", Size="large")

    kinds = [type(error) for error in raised.value.errors]
    assert kinds == [UnknownName, BadTemplate, BadTemplate]
    assert "did you mean 'Stage'" in str(raised.value)


def test_a_secret_parameter_is_not_told() -> None:
    root, _ = parse("t.yaml", "Parameters: {Key: {Type: String, NoEcho: true, AllowedValues: [a, b]}}\n")
    with pytest.raises(BadTemplate) as raised:
        scope("t.yaml", root, {"Key": "hunter2"})

    assert "hunter2" not in str(raised.value)


def test_conditions_that_need_one_another_are_a_circle() -> None:
    root, _ = parse("t.yaml", "Conditions:\n  A: !Not [!Condition B]\n  B: !Not [!Condition A]\nValue: !If [A, 1, 2]\n")
    names = scope("t.yaml", root, {})
    with pytest.raises(CircularReference) as raised:
        resolve(root.value["Value"], names)  # type: ignore[index,call-overload]

    assert [span.line for span in raised.value.where] == [2, 3]
