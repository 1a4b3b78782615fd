"""What a template looks like with the places of its artifacts in it: the rest of the text stays, byte for byte."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from test_sam import CHILD, Memory, function, sam

from lambdabuild.cloudformation.template_text.splice import splice
from lambdabuild.core.errors import CannotCompile
from lambdabuild.core.model import FileLocation, Location, Rewrite, S3Location
from lambdabuild.frontends.intrinsics import to_data
from lambdabuild.frontends.sam.reader import load as read
from lambdabuild.frontends.yaml_text import parse


def to_tree(rewrite: Rewrite) -> Location:
    return FileLocation(f"/p/{rewrite.target}" if rewrite.kind == "path" else f"/p/build/{rewrite.target}")


def to_s3(rewrite: Rewrite) -> Location:
    return S3Location("bucket", f"{rewrite.target}.zip", "eu-west-1")


def spliced(
    text: str, locate: Any = to_tree, name: str = "template.yaml", files: Mapping[str, str] | None = None
) -> str:
    service = read(name, Memory({name: text, "x.zip": "", **(files or {})}))
    return splice(service.documents[0], locate, "/p/build")


def data(text: str, name: str = "t.yaml") -> Any:
    return to_data(parse(name, text)[0])


def code(text: str, name: str = "F", key: str = "CodeUri", file: str = "t.yaml") -> Any:
    return data(text, file)["Resources"][name]["Properties"][key]


def test_only_the_value_changes() -> None:
    text = sam(function("CodeUri: src   # keep me")) + "\n# the end, without a newline"

    assert spliced(text) == text.replace("CodeUri: src ", "CodeUri: F ")


@pytest.mark.parametrize(
    "value",
    ["src", "'src'", '"src"', "!Sub src", "!Sub 'src'", ">-\n      src", "\n      Fn::Sub: src", "\n      Fn::Join:\n        - ''\n        - [s, rc]",
     "&code src", "!Join ['', [s, rc]]", "{Fn::Sub: src}"],
)  # fmt: skip
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_way_to_write_a_code_folder_is_replaced(value: str, newline: str) -> None:
    text = sam(function(f"CodeUri: {value}\nTimeout: 3")).replace("\n      ", "\n      ").replace("\n", newline)
    result = spliced(text)

    assert code(result) == "F"
    assert code(spliced(text, to_s3)) == "s3://bucket/F.zip"
    assert code(result, key="Timeout") == 3
    assert result.count("\n") - result.count("\r\n") in ((0,) if newline == "\r\n" else (result.count("\n"),))


def test_an_anchor_stays_for_those_who_name_it() -> None:
    text = sam(function("CodeUri: &src src", "A") + function("CodeUri: *src", "B")) + "Metadata: {where: src}\n"
    result = spliced(text)

    assert "CodeUri: &src A\n" in result
    assert "CodeUri: B\n" in result
    assert data(result)["Metadata"] == {"where": "src"}


@pytest.mark.parametrize(
    "resource",
    [
        "F:\n  Type: AWS::Serverless::Function\n  Properties:\n    Runtime: python3.12\n    Handler: a.b\n",
        "F:\n  Type: AWS::Serverless::Function\n  Properties: {Runtime: python3.12, Handler: a.b}\n",
        "F: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.12, Handler: a.b}}\n",
        "F: {Type: AWS::Serverless::Function}\n", "F:\n  Type: AWS::Serverless::Function\n",
        "F:\n  Type: AWS::Serverless::Function\n  Properties: {}\n", "F:\n  Type: AWS::Serverless::Function\n  Properties:\n",
        "F:\n  Type: AWS::Serverless::Function\n  Properties: null\n", "F:\n  Type: AWS::Serverless::Function\n  Properties: {  }\n",
        "F:\n  Type: AWS::Serverless::Function\n  Properties:\n    <<: &x {Timeout: 3}\n",
        "F:\n  Type: AWS::Serverless::Function\n  Properties: &p\n    Timeout: 3\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_code_folder_that_globals_give_is_written_into_the_function(resource: str, newline: str) -> None:
    head = "Globals:\n  Function:\n    Runtime: python3.12\n    Handler: a.b\n    CodeUri: src # all\n"
    text = sam(resource, head).replace("\n", newline)
    result = spliced(text)

    assert code(result) == "F"
    assert data(result)["Globals"]["Function"]["CodeUri"] == "../src"
    before, after = data(text), data(result)
    del after["Resources"]["F"]["Properties"]["CodeUri"]
    assert (after["Resources"]["F"]["Properties"] or {}) == (before["Resources"]["F"].get("Properties") or {})


def test_properties_that_are_an_alias_get_their_own_code() -> None:
    text = sam(
        "A:\n  Type: AWS::Serverless::Function\n  Properties: &p\n    Runtime: python3.12\n    Handler: a.b\n    CodeUri: src\n"
        "B:\n  Type: AWS::Serverless::Function\n  Properties: *p\n"
    )
    result = spliced(text)

    assert (code(result, "A"), code(result, "B")) == ("A", "B")
    assert code(result, "B", "Handler") == "a.b"


def test_two_that_share_a_place_must_share_the_artifact() -> None:
    shared = "B: *a\n"
    text = sam(
        "A: &a\n  Type: AWS::Serverless::Function\n  Properties: {Runtime: python3.12, Handler: a.b, CodeUri: src}\n"
        + shared
    )

    assert code(spliced(text, lambda rewrite: FileLocation("/p/build/A")), "B") == "A"
    with pytest.raises(CannotCompile, match="shares this place"):
        spliced(text)


def test_places_in_s3_have_the_form_of_their_property() -> None:
    text = (
        "Transform: AWS::Serverless-2016-10-31\nResources:\n"
        "  F: {Type: AWS::Lambda::Function, Properties: {Runtime: python3.12, Handler: a.b, Code: src}}\n"
        "  M: {Type: AWS::StepFunctions::StateMachine, Properties: {DefinitionS3Location: x.zip}}\n"
        "  C:\n    Type: AWS::CloudFormation::Stack\n    Properties:\n      TemplateURL: c.yaml\n      Parameters: {Name: x}\n"
    )
    result = spliced(text, to_s3, files={"c.yaml": CHILD})

    assert code(result, key="Code") == {"S3Bucket": "bucket", "S3Key": "F.zip"}
    assert code(result, "M", "DefinitionS3Location") == {"Bucket": "bucket", "Key": "M-DefinitionS3Location.zip"}
    assert code(result, "C", "TemplateURL") == "https://s3.eu-west-1.amazonaws.com/bucket/C.zip"


def test_json_stays_json() -> None:
    text = json.dumps(
        {"Transform": "AWS::Serverless-2016-10-31", "Globals": {"Function": {"Runtime": "python3.12", "Handler": "a.b"}},
         "Resources": {"F": {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": {"Fn::Sub": "src"}}},
                       "G": {"Type": "AWS::Serverless::Function", "Properties": {"Timeout": 3}},
                       "H": {"Type": "AWS::Serverless::Function"},
                       "L": {"Type": "AWS::Lambda::LayerVersion", "Properties": {"Content": "é"}}}},
        indent="\t",
    )  # fmt: skip
    for locate, expected in ((to_tree, "F"), (to_s3, "s3://bucket/F.zip")):
        result = spliced(text, locate, "t.json")
        assert json.loads(result)["Resources"]["F"]["Properties"]["CodeUri"] == expected
        assert {"CodeUri", "Timeout"} == json.loads(result)["Resources"]["G"]["Properties"].keys()
        assert json.loads(result)["Resources"]["H"]["Properties"].keys() == {"CodeUri"}


def test_a_place_that_is_not_known_stays_as_it_is() -> None:
    text = sam(function("CodeUri: src"))

    assert spliced(text, lambda rewrite: None) == text


@pytest.mark.parametrize(
    "path", ["/p/build/yes", "/p/build/1", "/p/build/a b", "/p/build/#x", "/p/build/é", "/p/build/null", "/p/a: b"]
)
def test_any_path_can_be_written(path: str) -> None:
    result = spliced(sam(function("CodeUri: src")), lambda rewrite: FileLocation(path))

    assert code(result) == posixpath.relpath(path, "/p/build")


KEYS = st.sampled_from(["Timeout", "Tags", "Environment", "Description"])
VALUES = st.recursive(
    st.text("abc: #'\"{}[]&*!|>%@`,-\n", max_size=10) | st.integers() | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
FUNCTIONS = st.dictionaries(
    st.text("FGH", min_size=1, max_size=4),
    st.tuples(st.sampled_from(["src", "../a b", None, ".", "a/b/"]), st.dictionaries(KEYS, VALUES, max_size=3)),
    min_size=1,
    max_size=5,
)


@given(FUNCTIONS, st.sampled_from(["block", "flow", "json", "json lines"]), st.booleans())
def test_whatever_a_template_holds_only_its_places_change(functions: Any, style: str, crlf: bool) -> None:
    original: dict[str, Any] = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Globals": {"Function": {"Runtime": "python3.12", "Handler": "a.b"}},
        "Resources": {
            name: {"Type": "AWS::Serverless::Function", "Properties": {**more, **({"CodeUri": uri} if uri else {})}}
            for name, (uri, more) in functions.items()
        },
    }
    name = "t.json" if "json" in style else "t.yaml"
    if "json" in style:
        text = json.dumps(original, indent=2 if style == "json lines" else None)
    else:
        text = yaml.safe_dump(original, default_flow_style=style == "flow", sort_keys=False)
    text = text.replace("\n", "\r\n") if crlf and "json" in style else text
    expected = json.loads(json.dumps(original))
    for function_name, resource in expected["Resources"].items():
        resource["Properties"]["CodeUri"] = function_name

    assert data(spliced(text, to_tree, name), name) == expected
