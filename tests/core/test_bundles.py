"""What a template says of a function that esbuild bundled: its Handler where the bundle is, NODE_OPTIONS for source maps."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_sam import Memory

from lambdabuild.cloudformation.template_text.splice import splice
from lambdabuild.core.handlers import shortened
from lambdabuild.core.model import FileLocation, Location, Rewrite, Service, Text
from lambdabuild.frontends.intrinsics import to_data
from lambdabuild.frontends.sam.reader import load
from lambdabuild.frontends.yaml_text import parse


def read(text: str, name: str = "t.yaml") -> Service:
    return load(name, Memory({name: text}))


def written(text: str, handler: str = "app.handler", name: str = "t.yaml") -> Any:
    """The function F in the template that is written, when its bundle is app.js."""

    def locate(rewrite: Rewrite) -> Location | None:
        if rewrite.kind in ("handler", "node_options"):
            return Text(handler if rewrite.kind == "handler" else rewrite.text)
        return FileLocation(f"/p/build/{rewrite.target}")

    result = splice(read(text, name).documents[0], locate, "/p/build")
    return to_data(parse(name, result)[0])["Resources"]["F"]["Properties"]


def template(properties: str, function: str = "") -> str:
    """``properties`` of F and of Globals, as YAML in one line each."""
    common = f"Globals: {{Function: {function}}}\n" if function else ""
    return (
        f"Transform: AWS::Serverless-2016-10-31\n{common}Resources:\n  F:\n    Type: AWS::Serverless::Function\n"
        f"    Metadata: {{BuildMethod: esbuild, BuildProperties: {{Sourcemap: true}}}}\n{properties}"
    )


BLOCK = (
    "    Properties:\n      Runtime: nodejs22.x\n      CodeUri: src\n      Handler: src/app.handler # where it was\n"
)
FLOW = "    Properties: {Runtime: nodejs22.x, CodeUri: src, Handler: src/app.handler}\n"
ALL = "{Runtime: nodejs22.x, CodeUri: src, Handler: src/app.handler}"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (template(BLOCK), "--enable-source-maps"),
        (template(FLOW), "--enable-source-maps"),
        (template("", ALL), "--enable-source-maps"),  # nothing is the function's own
        (template("    Properties: {Timeout: 3}\n", ALL), "--enable-source-maps"),
        (template("    Properties:\n      Timeout: 3\n", ALL), "--enable-source-maps"),
        (template("    Properties: {}\n", ALL), "--enable-source-maps"),
        (template(BLOCK + "      Environment: {Variables: {A: b}}\n"), "--enable-source-maps"),
        (template(BLOCK + "      Environment:\n        Variables:\n          A: b\n"), "--enable-source-maps"),
        (template(BLOCK + "      Environment: {Variables: {NODE_OPTIONS: --a=1}}\n"), "--a=1 --enable-source-maps"),
        (template(BLOCK, "{Environment: {Variables: {NODE_OPTIONS: --b}}}"), "--b --enable-source-maps"),
        (template(BLOCK + "      Environment: {Variables: {NODE_OPTIONS: --enable-source-maps}}\n"), "--enable-source-maps"),
    ],
)  # fmt: skip
def test_handler_and_node_options_are_written_wherever_they_stood(text: str, options: str) -> None:
    for newline in ("\n", "\r\n"):
        properties = written(text.replace("\n", newline))
        assert properties["Handler"] == "app.handler"
        assert properties["CodeUri"] == "F"
        assert properties["Environment"]["Variables"]["NODE_OPTIONS"] == options
    assert properties["Environment"]["Variables"].get("A", "b") == "b"


def test_json_templates_are_written_the_same() -> None:
    own = {"Runtime": "nodejs22.x", "CodeUri": "src", "Handler": "src/app.handler"}
    resource = {"Type": "AWS::Serverless::Function", "Metadata": {"BuildMethod": "esbuild"}, "Properties": own}
    for indent in (None, 2):
        text = json.dumps({"Transform": "AWS::Serverless-2016-10-31", "Resources": {"F": resource}}, indent=indent)
        properties = written(text, name="t.json")
        assert properties["Handler"] == "app.handler"
        assert properties["Environment"] == {"Variables": {"NODE_OPTIONS": "--enable-source-maps"}}


@pytest.mark.parametrize(
    "environment",
    ["{Variables: {NODE_OPTIONS: !Ref Options}}", "{Variables: !If [A, {B: c}, {}]}", "!If [A, {Variables: {}}, {}]",
     "{Variables: {'Fn::If': [A, {B: c}, {}]}}"],
)  # fmt: skip
def test_an_environment_that_cannot_be_added_to_stays_and_is_noted(environment: str) -> None:
    text = template(BLOCK + f"      Environment: {environment}\n") + "Conditions: {A: !Equals [a, b]}\n"
    service = read(text + "Parameters: {Options: {Type: String, Default: --x}}\n")
    assert "--enable-source-maps" in "".join(service.notes)
    assert "node_options" not in {rewrite.kind for rewrite in service.documents[0].rewrites}


def test_source_maps_are_made_when_node_options_asks_for_them_and_nothing_else_is_said() -> None:
    environment = "      Environment: {Variables: {NODE_OPTIONS: --x --enable-source-maps}}\n"
    silent = template(BLOCK + environment).replace("{Sourcemap: true}", "{Minify: false}")
    assert dict(read(silent).functions[0].options)["Sourcemap"] == "true"
    against = silent.replace("{Minify: false}", "{Sourcemap: false}")
    assert dict(read(against).functions[0].options)["Sourcemap"] == "false"


@pytest.mark.parametrize(
    ("handler", "there", "short"),
    [
        ("src/app.handler", {"app.js"}, "app.handler"),
        ("src/app.handler", {"src/app.js", "app.js"}, "src/app.handler"),
        ("functions/a/app.handler", {"a/app.js", "b/app.js"}, "a/app.handler"),
        ("src/app.api.get", {"app.mjs"}, "app.api.get"),
        ("/opt/nodejs/wrap.handler", {"wrap.js"}, "/opt/nodejs/wrap.handler"),
        ("src/other.handler", {"app.js"}, "src/other.handler"),
    ],
)
def test_a_handler_is_shortened_to_where_its_bundle_is(handler: str, there: set[str], short: str) -> None:
    assert shortened(handler, there) == short


@pytest.mark.parametrize(
    ("handler", "properties", "keeps_its_path"),
    [
        ("src/${Name}.handler", "{Minify: true}", True),
        ("${Name}.handler", "{Minify: true}", False),
        ("${Name}.handler", "{EntryPoints: ['src/${Name}.ts']}", False),
        ("src/${Name}.handler", "{EntryPoints: ['src/${Name}.ts']}", True),
        ("${Name}/app.handler", "{EntryPoints: [src/a/app.ts, src/b/app.ts]}", False),
    ],
)  # fmt: skip
def test_a_handler_that_a_loop_writes_once_for_many_is_not_shortened(
    handler: str, properties: str, keeps_its_path: bool
) -> None:
    text = (
        "Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]\nResources:\n  Fn::ForEach::All:\n"
        "    - Name\n    - [a, b]\n    - Do${Name}:\n        Type: AWS::Serverless::Function\n"
        f"        Metadata: {{BuildMethod: esbuild, BuildProperties: {properties}}}\n"
        f"        Properties: {{Runtime: nodejs22.x, CodeUri: src, Handler: !Sub '{handler}'}}\n"
    )
    service = read(text)
    assert sorted(function.name for function in service.functions) == ["Doa", "Dob"]
    assert "handler" not in {rewrite.kind for rewrite in service.documents[0].rewrites}
    for function in service.functions:
        assert (dict(function.options).get("Outbase") == '"."') == keeps_its_path
