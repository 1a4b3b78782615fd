"""Layers that a template gets: what they look like in its text, and that the rest of it stays as it was."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from test_sam import Memory
from test_splice import VALUES, data, to_s3, to_tree

from lambdabuild.cloudformation.template_text.splice import AddedLayer, splice
from lambdabuild.core.model import FileLocation, Function, S3Location, Service
from lambdabuild.frontends.sam.reader import load

HEAD = "Transform: AWS::Serverless-2016-10-31\n"
FUNCTION = "Type: AWS::Serverless::Function\nProperties:\n  Runtime: python3.12\n  Handler: a.b\n  CodeUri: src\n"
REF = {"Ref": "SharedA"}


def read(text: str, name: str = "t.yaml") -> Service:
    return load(name, Memory({name: text, "x.zip": ""}))


def layer(functions: Iterable[str] = ("F",), name: str = "SharedA", location: Any = None) -> AddedLayer:
    place = location or FileLocation(f"/p/build/{name}")
    return AddedLayer(name, "python3.12", "arm64", "numpy 2.1, idna", place, tuple(functions))


def with_layers(text: str, *layers: AddedLayer, name: str = "t.yaml", locate: Any = to_tree) -> str:
    return splice(read(text, name).documents[0], locate, "/p/build", layers or [layer()])


def resource(more: str = "", name: str = "F") -> str:
    """A function as a block with this in its Properties."""
    lines = (FUNCTION + "".join(f"  {line}\n" for line in more.splitlines())).splitlines()
    return f"  {name}:\n" + "".join(f"    {line}\n" for line in lines)


def function(text: str, name: str = "F") -> Function:
    return next(one for one in read(text).functions if one.name == name)


def layers_of(text: str, name: str = "F") -> Any:
    return data(text)["Resources"][name]["Properties"].get("Layers")


def test_a_layer_stands_before_the_other_resources_as_they_are_written() -> None:
    text = HEAD + "Resources:  # all\n  # the first\n" + resource()

    assert with_layers(text) == (
        HEAD + "Resources:  # all\n"
        "  SharedA:\n"
        "    Type: AWS::Serverless::LayerVersion\n"
        "    Properties:\n"
        "      ContentUri: SharedA\n"
        '      Description: "numpy 2.1, idna"\n'
        '      CompatibleRuntimes: ["python3.12"]\n'
        '      CompatibleArchitectures: ["arm64"]\n'
        "      RetentionPolicy: Delete\n"
        "  # the first\n"
        "  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      Layers: [!Ref SharedA]\n"
        "      Runtime: python3.12\n      Handler: a.b\n      CodeUri: F\n"
    )


def test_without_sams_transform_it_is_a_layer_of_cloudformation() -> None:
    text = "Resources:\n" + resource().replace("Serverless", "Lambda").replace("CodeUri", "Code")

    found = data(with_layers(text, layer(location=S3Location("b", "k")), locate=to_s3))["Resources"]

    assert found["SharedA"]["Type"] == "AWS::Lambda::LayerVersion"
    assert found["SharedA"]["Properties"]["Content"] == {"S3Bucket": "b", "S3Key": "k"}
    assert "RetentionPolicy" not in found["SharedA"]["Properties"]
    assert found["F"]["Properties"]["Layers"] == [REF]


@pytest.mark.parametrize(
    ("written", "before"),
    [
        ("", []), ("Layers: []", []), ("Layers: [ ]", []), ("Layers: [!Ref Own]", [{"Ref": "Own"}]),
        ("Layers: [!Ref Own, ]", [{"Ref": "Own"}]), ("Layers: ['arn:aws:x:1']  # one", ["arn:aws:x:1"]),
        ("Layers: [\n  !Ref Own,  # mine\n  arn:aws:x:1  # theirs\n]", [{"Ref": "Own"}, "arn:aws:x:1"]),
        ("Layers:\n- !Ref Own", [{"Ref": "Own"}]), ("Layers:\n  - !Ref Own  # last", [{"Ref": "Own"}]),
        ("Layers:\n    # first\n    - Ref: Own\n\n    # end", [{"Ref": "Own"}]),
        ("Layers:\n  - Fn::Sub: 'x:1'\n  - !If [C, !Ref Own, !Ref AWS::NoValue]\nTimeout: 3",
         [{"Fn::Sub": "x:1"}, {"Fn::If": ["C", {"Ref": "Own"}, {"Ref": "AWS::NoValue"}]}]),
        ("Layers:\n  - !Sub >-\n    arn:aws:${AWS::Region}:1\nTimeout: 3", [{"Fn::Sub": "arn:aws:${AWS::Region}:1"}]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "Outputs: {}\n"])
def test_a_functions_list_of_layers_is_added_to_however_it_is_written(
    written: str, before: list[Any], newline: str, end: str
) -> None:
    head = (
        HEAD
        + "Conditions: {C: !Equals [a, a]}\nResources:\n  Own: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: x.zip}}\n"
    )
    text = (head + resource(written) + end).rstrip("\n" if not end else "").replace("\n", newline)

    result = with_layers(text)

    assert layers_of(result) == [*before, REF]
    after, unchanged = data(result), data(text)
    del after["Resources"]["SharedA"], after["Resources"]["F"]["Properties"]["Layers"]
    unchanged["Resources"]["F"]["Properties"].pop("Layers", None)
    unchanged["Resources"]["F"]["Properties"]["CodeUri"] = "F"
    unchanged["Resources"]["Own"]["Properties"]["ContentUri"] = "Own"
    assert after == unchanged
    assert result.count("\n") - result.count("\r\n") in ((0,) if newline == "\r\n" else (result.count("\n"),))


def test_what_globals_give_stays_and_code_and_layers_can_be_written_into_one_place() -> None:
    head = HEAD + "Globals:\n  Function:\n    CodeUri: src\n    Layers: [arn:aws:x:1]\nResources:\n"

    result = with_layers(head + resource().replace("      CodeUri: src\n", ""))

    assert layers_of(result) == [REF]  # SAM puts those of Globals before it
    assert data(result)["Globals"]["Function"]["Layers"] == ["arn:aws:x:1"]
    assert data(result)["Resources"]["F"]["Properties"]["CodeUri"] == "F"


PROPERTIES = "Runtime: python3.12, Handler: a.b, CodeUri: src"


@pytest.mark.parametrize(
    ("resources", "reason"),
    [
        (f"F: {{Type: AWS::Serverless::Function, Properties: {{{PROPERTIES}, Layers: !Split [',', 'a,b']}}}}", "not a list"),
        (f"F: {{Type: AWS::Serverless::Function, Properties: {{{PROPERTIES}, Layers: &l [a]}}}}", "not a list"),
        (f"F: {{Type: AWS::Serverless::Function, Properties: &p {{{PROPERTIES}}}}}", "anchor"),
        (f"F: &f {{Type: AWS::Serverless::Function, Properties: {{{PROPERTIES}}}}}", "anchor"),
        (f"F: {{Type: AWS::Serverless::Function, Properties: {{<<: &m {{Layers: [a]}}, {PROPERTIES}}}}}", "merge"),
        (f"F: {{<<: &b {{Properties: {{{PROPERTIES}}}}}, Type: AWS::Serverless::Function}}", "anchor"),
    ],
)  # fmt: skip
def test_layers_that_others_share_or_that_are_no_list_are_left_alone_with_the_reason(
    resources: str, reason: str
) -> None:
    assert reason in function(f"{HEAD}Resources:\n  {resources}\n").fixed_layers


def test_layers_of_globals_that_sam_would_not_join_are_left_alone_unless_they_are_ignored() -> None:
    text = HEAD + "Globals: {Function: {Layers: !Split [',', 'a,b']}}\nResources:\n" + resource()

    assert "Globals" in function(text).fixed_layers
    assert function(text + "    IgnoreGlobals: [Layers]\n").fixed_layers == ""


def test_a_functions_variables_are_known_by_name_from_globals_too() -> None:
    text = HEAD + "Globals: {Function: {Environment: {Variables: {PYTHONPATH: lib}}}}\nResources:\n"

    assert function(text + resource("Environment: {Variables: {TABLE: !Ref T}}")).environment == ("PYTHONPATH", "TABLE")


FUNCTIONS = st.dictionaries(
    st.text("FGH", min_size=1, max_size=3),
    st.tuples(
        st.sampled_from([None, [], ["arn:aws:x:1"], [{"Ref": "Own"}, "arn:aws:x:1"]]),
        st.dictionaries(st.sampled_from(["Timeout", "Tags", "Description", "Zeta"]), VALUES, max_size=3),
        st.booleans(),
    ),
    min_size=1, max_size=4,
)  # fmt: skip


@given(FUNCTIONS, st.sampled_from(["block", "flow", "json", "json lines"]), st.booleans(), st.booleans())
def test_whatever_a_template_holds_only_layers_are_added(functions: Any, style: str, crlf: bool, twice: bool) -> None:
    original: dict[str, Any] = {
        "Transform": ["AWS::Serverless-2016-10-31"],
        "Globals": {"Function": {"Runtime": "python3.12", "Handler": "a.b"}},
        "Resources": {
            name: {
                "Type": "AWS::Serverless::Function",
                "Properties": {**more, "CodeUri": "src", **({"Layers": layers} if layers is not None else {})},
            }
            for name, (layers, more, _) in functions.items()
        },
    }
    name = "t.json" if "json" in style else "t.yaml"
    if "json" in style:
        text = json.dumps(original, indent=2 if style == "json lines" else None)
    else:
        text = yaml.dump(
            original, default_flow_style=style == "flow", sort_keys=False, Dumper=_WithoutAliases, explicit_start=crlf
        )
    text = text.replace("\n", "\r\n") if crlf and "json" in style else text
    users = [one for one, (_, _, uses) in functions.items() if uses]
    layers = [layer(users), layer(users, "SharedB")][: 2 if twice else 1]
    expected = json.loads(json.dumps(original))["Resources"]
    for one, (own, _, uses) in functions.items():
        expected[one]["Properties"]["CodeUri"] = one
        if uses:
            expected[one]["Properties"]["Layers"] = [*(own or []), *({"Ref": two.logical_id} for two in layers)]

    found = data(with_layers(text, *layers, name=name), name)["Resources"]

    added = [found.pop(two.logical_id)["Properties"] for two in layers]
    assert [one["ContentUri"] for one in added] == [two.logical_id for two in layers]
    assert found == expected


class _WithoutAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True
