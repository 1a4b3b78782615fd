"""Templates as people's editors and tools leave them: marks, keys written twice, names of files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from test_sam import Memory, function, load, sam
from test_splice import code, spliced, to_s3

from lambdabuild.errors import BrokenYaml, CannotReadTemplate, DuplicateKey
from lambdabuild.reading import ProjectFiles
from lambdabuild.spans import to_data
from lambdabuild.template.sam import load as read
from lambdabuild.template.yaml_text import parse

MARK = "\ufeff"

BLOCK = sam(function("CodeUri: src   # keep me\nLayers: [!Ref L]") + "L: {Type: AWS::Serverless::LayerVersion}")
FLOW = (
    "Transform: AWS::Serverless-2016-10-31\nResources: {F: {Type: AWS::Serverless::Function, Properties:\n"
    "  {CodeUri: 'src', Runtime: python3.12, Handler: é.b}}}\n"
)
ONE_LINE = (
    "{Transform: AWS::Serverless-2016-10-31, Resources: {F: {Type: AWS::Serverless::Function, Properties: "
    "{Runtime: python3.12, Handler: a.b, CodeUri: src}}}}"
)
GLOBALS = sam(
    "F: {Type: AWS::Serverless::Function}",
    "Globals:\n  Function:\n    Runtime: python3.12\n    Handler: a.b\n    CodeUri: src\n",
)
FOLDED = "---\n# comment\n" + sam(function("CodeUri: >-\n  src\nTimeout: 3"))


@pytest.mark.parametrize(
    "text", [BLOCK, FLOW, ONE_LINE, GLOBALS, FOLDED], ids=["block", "flow", "line", "globals", "folded"]
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("locate", [None, to_s3], ids=["tree", "s3"])
def test_a_byte_order_mark_moves_nothing(text: str, newline: str, locate: object) -> None:
    text = text.replace("\n", newline)
    more = {"locate": locate} if locate else {}

    assert spliced(MARK + text, **more) == MARK + spliced(text, **more)
    assert code(spliced(text, **more)) in ("F", "s3://bucket/F.zip")


@pytest.mark.parametrize("name", ["template.json", "app.template"])
def test_a_byte_order_mark_moves_nothing_in_json(name: str) -> None:
    text = json.dumps(yaml.safe_load(ONE_LINE), indent=2)

    assert spliced(MARK + text, name=name) == MARK + spliced(text, name=name)


@pytest.mark.parametrize(
    ("text", "place"), [("a: *x\n", "1:4"), ("a: b: c\n", "1:5"), ("a:\n  - [1\n", "3:1"), ("a: {b: 1\nc: 2}", "2:2")]
)
def test_a_mistake_after_a_byte_order_mark_has_its_place(text: str, place: str) -> None:
    for lead in ("", MARK):
        with pytest.raises(BrokenYaml) as raised:
            parse("t.yaml", lead + text)
        assert str(raised.value.where[0]) == f"t.yaml:{place}", lead


def test_the_mark_of_a_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_bytes(MARK.encode() + BLOCK.replace("\n", "\r\n").encode())

    assert ProjectFiles(str(tmp_path)).read("template.yaml") == BLOCK.replace("\n", "\r\n")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be-sig", "utf-32"])
def test_a_template_in_another_encoding_is_told_and_not_taken_for_something_else(tmp_path: Path, encoding: str) -> None:
    data = b"\xfe\xff" + BLOCK.encode("utf-16-be") if encoding == "utf-16-be-sig" else BLOCK.encode(encoding)
    (tmp_path / "template.yaml").write_bytes(data)
    with pytest.raises(CannotReadTemplate, match="not UTF-8") as raised:
        read("template.yaml", ProjectFiles(str(tmp_path)))

    assert "UTF-8" in raised.value.mend


# keys that are written twice


def test_the_last_of_two_keys_counts_and_the_place_of_both_is_told() -> None:
    service = load(sam(function("CodeUri: old\nTags: {a: 1}\nCodeUri: src\nTags: {b: 2}")))

    assert [f.source for f in service.functions] == ["src"]
    assert len(service.warnings) == 2
    assert "'CodeUri' is written twice" in service.warnings[0]
    assert "template.yaml:8:7" in service.warnings[0]
    assert "template.yaml:10:7" in service.warnings[0]


def test_what_is_written_is_the_last_one_s_value() -> None:
    result = spliced(sam(function("CodeUri: old\nTimeout: 1\nCodeUri: src")))

    assert yaml.safe_load(result)["Resources"]["F"]["Properties"]["CodeUri"] == "F"


@pytest.mark.parametrize(
    "text",
    [
        "a: {x: 1, y: 2, x: 3}",
        "a:\n  x: 1\n  y: 2\n  'x': 3\n",
        "k: &k {x: 1}\na: {<<: *k, x: 2, x: 3}",
        "k: &k {x: 1, y: 1}\nl: &l {x: 2}\na: {<<: [*k, *l]}",
        "k: &k {x: 1, x: 2}\nb: *k\n",
        '{"a": {"x": 1, "x": {"x": 1, "y": 2, "x": 3}}}',
        "a: 1\nb: 2\na:\n- a: 1\n  a: 2\n",
    ],
)
def test_keys_written_twice_mean_what_yaml_s_own_loader_takes_them_for(text: str) -> None:
    root, _ = parse("t.yaml", text, tell_duplicate=lambda error: None)

    assert to_data(root) == yaml.safe_load(text)


def test_two_resources_of_one_name_are_the_last_one() -> None:
    service = load(sam(function("CodeUri: a", "F") + function("CodeUri: b", "G") + "F: {Type: AWS::SNS::Topic}"))

    assert [f.name for f in service.functions] == ["G"]
    (warning,) = service.warnings
    assert "'F'" in warning


def test_a_nested_stack_s_keys_are_told_too() -> None:
    child = sam(function("CodeUri: src\nCodeUri: src"))
    parent = "Resources: {C: {Type: AWS::Serverless::Application, Properties: {Location: c/t.yaml}}}"
    (warning,) = load(parent, {"c/t.yaml": child, "c/src/a.py": ""}).warnings

    assert "c/t.yaml:8:7" in warning


def test_a_serverless_yml_s_keys_may_not_be_written_twice_for_the_framework_refuses_it() -> None:
    with pytest.raises(DuplicateKey):
        parse("serverless.yml", "service: a\nservice: b\n", core_schema=True)


def test_a_template_without_a_mistake_has_no_warning() -> None:
    assert read("t.yaml", Memory({"t.yaml": BLOCK})).warnings == ()
