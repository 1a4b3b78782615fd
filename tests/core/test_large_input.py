"""Input made to be too much: it is refused with a place, or read in time that grows with its length and no faster."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lambdabuild.config import loader
from lambdabuild.core.errors import BadSettings, BadTemplate, CircularReference, LambdaBuildError, Several
from lambdabuild.core.model import Service
from lambdabuild.core.spans import from_data
from lambdabuild.frontends.intrinsics import resolve
from lambdabuild.frontends.sam import reader
from lambdabuild.frontends.scopes import scope
from lambdabuild.frontends.serverless import schema
from lambdabuild.frontends.yaml_text import parse


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.process_time()
    yield
    assert time.process_time() - began < seconds


class OneFile:
    """A disk with a template and every folder."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read(self, path: str) -> str:
        return self.text

    def real(self, path: str) -> str:
        return path

    def kind(self, path: str) -> Any:
        return "folder"


def load(text: str) -> Service:
    return reader.load("template.yaml", OneFile(text))


def value(text: str, before: str = "") -> Any:
    root, _ = parse("t.yaml", f"{before}Value: {text}\n")
    return resolve(root.value["Value"], scope("t.yaml", root, {}))  # type: ignore[index, call-overload]


def nested(levels: int, one: str) -> str:
    """``one`` with ``_`` for the level within, so many times."""
    text = "x" * 100
    for _ in range(levels):
        text = one.replace("_", text)
    return text


@pytest.mark.parametrize(
    "text",
    [
        nested(9, "!Sub ['${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}', {a: _}]"),
        nested(60, "{Fn::Base64: _}"),
        nested(40, "!ToJsonString [_]"),
        nested(14, "!Join [!Ref Long, [_, '', '', '', '', '', '', '', '', '']]"),
        "[" + ",".join(["!Sub '${Long}.'"] * 2000) + "]",
        "[" + ",".join(["!Split ['x', !Ref Long]"] * 2000) + "]",
    ],
    ids=["Sub", "Base64", "ToJsonString", "Join", "many Sub", "many Split"],
)
def test_functions_that_multiply_their_text_are_refused(text: str) -> None:
    parameter = f"Parameters: {{Long: {{Type: String, Default: {'x' * 100_000}}}}}\n"
    with within(4), pytest.raises(BadTemplate, match="make more than 50 MB"):
        value(text, parameter)


def test_a_mapping_cannot_lead_back_to_itself() -> None:
    with pytest.raises(BadTemplate, match="a mapping or a function"):
        value("!FindInMap [M, a, b]", "Mappings: {M: {a: {b: !FindInMap [M, a, b]}}}\n")


def test_an_index_of_many_digits_is_no_index() -> None:
    with pytest.raises(BadTemplate, match="an index"):
        value(f"!Select ['{'9' * 5000}', [a]]")


def conditions(count: int, last: str) -> str:
    lines = [f"  C{n}: {last.replace('_', f'C{n + 1}')}\n" for n in range(count)]
    return "Conditions:\n" + "".join(lines) + f"  C{count}: !Equals [a, a]\n"


@pytest.mark.parametrize(
    "last", ["!Condition _", "!Not [!Not [!Condition _]]", "!And [!Condition _, !Equals [1, 1]]", "{Condition: _}"]
)
def test_a_chain_of_thousands_of_conditions_is_decided(last: str) -> None:
    with within(4):
        assert value("!If [C0, yes, no]", conditions(3000, last)) is True


def test_a_circle_of_a_thousand_conditions_is_told() -> None:
    text = conditions(1000, "!Condition _").replace("C1000: !Equals [a, a]", "C1000: !Condition C0")
    with within(4), pytest.raises(CircularReference, match="C0 -> C1 ->"):
        value("!If [C0, 1, 2]", text)


FUNCTION = "    Type: AWS::Serverless::Function\n    Properties: {Runtime: python3.11, Handler: a.b, CodeUri: src}\n"


def test_functions_are_read_in_linear_time() -> None:
    def seconds(count: int) -> float:
        text = "Resources:\n" + "".join(f"  F{n}:\n{FUNCTION}" for n in range(count))
        began = time.process_time()
        assert len(load(text).functions) == count
        return time.process_time() - began

    few = min(seconds(500) for _ in range(3))
    assert seconds(4000) < 8 * few * 2 + 0.5


@pytest.mark.parametrize(
    "resource",
    ["  R_: {}\n", "  R_: {Type: 1}\n", "  R_-: {Type: AWS::Lambda::LayerVersion}\n", "  R_: x\n",
     "  R_: {Type: AWS::Serverless::Function, Properties: {Runtime: !Ref Nobody_, Handler: a.b}}\n"],
)  # fmt: skip
def test_as_many_mistakes_as_a_megabyte_holds_are_told_at_once_and_not_all(resource: str) -> None:
    text = "Resources:\n" + "".join(resource.replace("_", str(n)) for n in range(5000))
    with within(5), pytest.raises(Several) as caught:
        load(text)
    assert 100 <= len(caught.value.errors) <= 1000


def test_resources_that_all_refer_to_all_are_a_few_circles() -> None:
    names = [f"R{n}" for n in range(150)]
    text = "Resources:\n" + "".join(
        f"  {name}: {{Type: AWS::SNS::Topic, DependsOn: [{', '.join(names)}]}}\n" for name in names
    )
    with within(4), pytest.raises(LambdaBuildError, match="LB105"):
        load(text)


def test_thousands_of_wrong_settings_are_told_at_once_and_not_all() -> None:
    text = "".join(f"[functions.F{n}]\nexclud = ['x']\n" for n in range(5_000))
    with within(4), pytest.raises(Several) as caught:
        loader.load("lambdabuild.toml", text, {}, {})
    assert isinstance(caught.value.errors[0], BadSettings)
    assert caught.value.errors[0].where[0].line == 2


def test_thousands_of_settings_are_read_in_linear_time() -> None:
    text = "".join(f"[functions.F{n}]\nexclude = ['x']\n" for n in range(3000))
    with within(4):
        settings = loader.load("lambdabuild.toml", text, {}, {})
    assert len(settings.functions) == 3000


def test_a_list_that_must_not_repeat_is_checked_in_linear_time() -> None:
    node = from_data([f"x{n}" for n in range(30_000)] + ["x0"], parse("t.yaml", "a: 1")[0].span)
    with within(4):
        _, mistakes = schema.check(node, {"type": "array", "uniqueItems": True})
    assert [mistake.path for mistake in mistakes] == [("30000",)]
