"""Templates as people's editors and tools leave them: marks, keys written twice, names of files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from test_sam import Memory, function, load, sam
from test_splice import code, spliced, to_s3

from lambdabuild.config.settings import Settings
from lambdabuild.core.errors import BrokenYaml, CannotReadTemplate, DuplicateKey, NoRule
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.model import Function
from lambdabuild.core.spans import Span, to_data
from lambdabuild.frontends.kinds import is_serverless
from lambdabuild.frontends.sam.reader import load as read
from lambdabuild.frontends.yaml_text import parse
from lambdabuild.plan.rule_choice import candidates
from lambdabuild.project_files import ProjectFiles
from lambdabuild.project_loader import load_service
from lambdabuild.rulebook.search import find_rules

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

    assert "UTF-8" in raised.value.help


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


# files that a template names

GRAPHQL = """\
Transform: AWS::Serverless-2016-10-31
Metadata:
  AWS::ServerlessRepo::Application: {Name: x, LicenseUrl: LICENSE.txt, ReadmeUrl: docs/README.md, HomePageUrl: https://x}
Resources:
  Api:
    Type: AWS::Serverless::GraphQLApi
    Properties:
      SchemaUri: schema.graphql
      Functions:
        get: {CodeUri: code/get.js, Runtime: {Name: APPSYNC_JS, Version: 1.0.0}}
        put: {InlineCode: "x"}
        del: {CodeUri: "s3://b/k"}
      Resolvers:
        Query:
          one: {CodeUri: code/one.js, Pipeline: [get]}
          two: {Pipeline: [get]}
        Mutation:
          three: {CodeUri: !Sub "code/${AWS::Partition}.js"}
"""


def test_a_graphql_api_s_code_and_a_repository_s_texts_are_sent() -> None:
    service = read("template.yaml", Memory({"template.yaml": GRAPHQL}))
    result = yaml.safe_load(spliced(GRAPHQL, to_s3))

    assert [asset.source for asset in service.assets] == [
        "schema.graphql", "code/one.js", "code/aws.js", "code/get.js", "LICENSE.txt", "docs/README.md",
    ]  # fmt: skip
    api = result["Resources"]["Api"]["Properties"]
    assert api["SchemaUri"] == "s3://bucket/Api-SchemaUri.zip"
    assert api["Functions"]["get"]["CodeUri"] == "s3://bucket/Api-Functions-get-CodeUri.zip"
    assert api["Functions"]["del"]["CodeUri"] == "s3://b/k"
    assert api["Resolvers"]["Query"]["one"]["CodeUri"] == "s3://bucket/Api-Resolvers-Query-one-CodeUri.zip"
    assert api["Resolvers"]["Mutation"]["three"]["CodeUri"] == "s3://bucket/Api-Resolvers-Mutation-three-CodeUri.zip"
    about = result["Metadata"]["AWS::ServerlessRepo::Application"]
    assert about["LicenseUrl"] == "s3://bucket/Metadata-LicenseUrl.zip"
    assert (about["Name"], about["HomePageUrl"]) == ("x", "https://x")


@pytest.mark.parametrize("name", ["src/app.py", "app.js", "run.sh"])
def test_code_that_is_a_single_file_is_sent_as_it_is(name: str) -> None:
    service = load(sam(function(f"CodeUri: {name}")), {name: "x"})

    assert service.functions == ()
    assert [(s.name, s.reason) for s in service.skipped] == [
        ("F", "its code is a single file, which is packed as it is")
    ]
    assert [(a.source, a.is_code) for a in service.assets] == [(name, True)]


def linked(tmp_path: Path, text: str) -> ProjectFiles:
    """A project whose nested stack is a link to a template that lies elsewhere, beside its code."""
    (tmp_path / "stacks/orders/src").mkdir(parents=True)
    (tmp_path / "stacks/orders/template.yaml").write_text(text)
    (tmp_path / "stacks/orders/src/app.py").write_text("")
    (tmp_path / "links").mkdir()
    (tmp_path / "links/orders.yaml").symlink_to("../stacks/orders/template.yaml")
    (tmp_path / "template.yaml").write_text(
        "Resources: {Orders: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: links/orders.yaml}}}\n"
    )
    return ProjectFiles(str(tmp_path))


@pytest.mark.parametrize(
    ("written", "source"),
    [("src", "stacks/orders/src"), ("../orders/src", "stacks/orders/src"), (".", "stacks/orders")],
)
def test_a_linked_stack_s_paths_start_from_the_real_file(tmp_path: Path, written: str, source: str) -> None:
    files = linked(tmp_path, sam(function(f"CodeUri: {written}")))

    assert [f.source for f in read("template.yaml", files).functions] == [source]


def test_a_linked_stack_s_other_files_start_there_too(tmp_path: Path) -> None:
    files = linked(tmp_path, sam("A: {Type: AWS::Serverless::Api, Properties: {DefinitionUri: api.yaml}}"))

    assert [a.source for a in read("template.yaml", files).assets] == ["stacks/orders/api.yaml"]


def test_a_template_that_is_a_link_itself_starts_there(tmp_path: Path) -> None:
    linked(tmp_path, sam(function("CodeUri: src")))
    files = ProjectFiles(str(tmp_path))

    assert [f.source for f in read("links/orders.yaml", files).functions] == ["stacks/orders/src"]


def test_a_stack_may_be_named_by_a_file_address(tmp_path: Path) -> None:
    child = sam(function("CodeUri: src"))
    parent = sam("C: {Type: AWS::Serverless::Application, Properties: {Location: 'file://a%20b/t.yaml'}}")

    assert [f.source for f in load(parent, {"a b/t.yaml": child}).functions] == ["a b/src"]


# what a file is

SERVICE = "service: shop\nprovider: {name: aws, runtime: python3.12}\nfunctions: {}\n"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("serverless.legacy.yml", SERVICE, True),
        ("legacy.yaml", SERVICE, True),
        ("template.yaml", SERVICE, True),
        ("template.yaml", "# SAM\n" + BLOCK, False),
        ("serverless.yml", BLOCK, False),
        ("serverless.template.yaml", FLOW, False),
        ("infra.yml", SERVICE + "resources:\n  Resources: {A: {Type: AWS::SNS::Topic}}\n", True),
        ("app.json", json.dumps({"service": "a", "resources": {"Resources": {}}}), True),
        ("serverless.json", json.dumps({"Resources": {"A": {"Type": "AWS::SNS::Topic"}}}, indent=1), False),
        ("cdk.template.json", json.dumps({"Resources": {"service": {"Type": "AWS::SNS::Topic"}}}), False),
        ("stack.yaml", "AWSTemplateFormatVersion: 2010-09-09\nDescription: nothing yet\n", False),
        ("config.ts", "export default {}", True),
        ("serverless.yml", "", True),
        ("template.yaml", "", False),
        ("missing.yaml", None, False),
        ("serverless.yml", "'service': a\n", True),
        ("template.yml", MARK + SERVICE.replace("\n", "\r\n"), True),
    ],
)  # fmt: skip
def test_the_content_of_a_file_says_what_it_is(tmp_path: Path, name: str, text: str | None, expected: bool) -> None:
    if text is not None:
        (tmp_path / name).write_bytes(text.encode())

    assert is_serverless(ProjectFiles(str(tmp_path)), name) is expected


def test_a_service_under_another_name_is_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "serverless.legacy.yml").write_text(SERVICE)

    assert (
        load_service(str(tmp_path), Settings(template="serverless.legacy.yml"), environment={}).definition is not None
    )


# runtimes

RULES = find_rules((str(Path(__file__).parents[2] / "rules"),))


def claiming(runtime: str, method: str = "") -> list[str]:
    function = Function("F", runtime, "x86_64", "a.b", "src", Span("template.yaml"), method)
    return [rule.name for rule in candidates(function, FunctionSettings(), RULES)]


@pytest.mark.parametrize(
    ("runtime", "near"),
    [
        ("provided.al2023023", "provided.al2023"), ("provided.al22", "provided.al2"), ("provided-al2023", "provided.al2023"),
        ("python3.122", "python3.12"), ("python3.x", "python3."), ("python312", "python3.12"), ("nodejs22", "nodejs22.x"),
        ("nodejs220.x", "nodejs2"), ("node20.x", "nodejs20.x"), ("java211", "java21"), ("ruby3.33", "ruby3.3"),
        ("dotnet888", "dotnet88"), ("Python3.12", "python3.12"), ("go1.21", "go1.x"), ("java17.al2", "java8.al2"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["", "makefile"])
def test_a_runtime_that_is_none_is_told_with_the_nearest_name(runtime: str, near: str, method: str) -> None:
    with pytest.raises(NoRule) as raised:
        claiming(runtime, method)

    assert runtime in raised.value.message
    assert f"did you mean '{near}" in raised.value.help


@pytest.mark.parametrize(
    "runtime",
    ["python3.8", "python3.14", "python3.15", "python3.27", "nodejs18.x", "nodejs24.x", "nodejs30.x", "java8", "java8.al2",
     "java25", "java29", "ruby3.4", "ruby4.0", "dotnet6", "dotnet8", "dotnet10", "dotnetcore3.1", "go1.x", "provided",
     "provided.al2", "provided.al2023", "provided.al2027"],
)  # fmt: skip
def test_runtimes_of_today_and_of_tomorrow_are_taken(runtime: str) -> None:
    assert claiming(runtime)


@pytest.mark.parametrize("key", ["ProjectRootDirectory", "ContextPath", "WorkingDirectory"])
@pytest.mark.parametrize("runtime", ["provided", "provided.al2", "provided.al2023"])
def test_a_custom_runtime_that_says_how_make_is_run_is_made(key: str, runtime: str) -> None:
    text = sam(function("CodeUri: src").replace("python3.12", runtime) + f"  Metadata: {{{key}: make}}\n")
    (found,) = load(text, {"src/a": "", "make/Makefile": ""}).functions

    assert found.build_method == "makefile"
    assert found.source == ("make" if key == "ProjectRootDirectory" else "src")


def test_other_metadata_and_other_runtimes_make_nothing() -> None:
    other = sam(function("CodeUri: src").replace("python3.12", "provided.al2") + "  Metadata: {Owner: me}\n")
    python = sam(function("CodeUri: src") + "  Metadata: {WorkingDirectory: .}\n")
    own = sam(
        function("CodeUri: src").replace("python3.12", "provided")
        + "  Metadata: {BuildMethod: rust-cargolambda, ContextPath: .}\n"
    )

    assert [load(text, {"src/a": ""}).functions[0].build_method for text in (other, python, own)] == [
        "", "", "rust-cargolambda",
    ]  # fmt: skip


CDK = {
    "Resources": {
        "Fn1": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Code": {"S3Bucket": {"Fn::Sub": "cdk-assets-${AWS::AccountId}"}, "S3Key": "ab12.zip"},
                "Runtime": "python3.12", "Handler": "app.handler",
            },
            "Metadata": {"aws:asset:path": "asset.ab12", "aws:asset:is-bundled": False, "aws:asset:property": "Code"},
        }
    }
}  # fmt: skip


def test_the_folder_that_the_cdk_made_an_asset_of_is_built_and_the_property_rewritten() -> None:
    text = json.dumps(CDK, indent=1)
    service = read("Stack.template.json", Memory({"Stack.template.json": text}))
    (found,) = service.functions

    assert (found.source, service.skipped) == ("asset.ab12", ())
    result = json.loads(spliced(text, to_s3, name="Stack.template.json"))
    assert result["Resources"]["Fn1"]["Properties"]["Code"] == {"S3Bucket": "bucket", "S3Key": "Fn1.zip"}
    assert result["Resources"]["Fn1"]["Metadata"] == {
        "aws:asset:path": "s3://bucket/Fn1.zip", "SamNormalized": True, "aws:asset:is-bundled": False,
        "aws:asset:property": "Code",
    }  # fmt: skip


def test_what_the_cdk_bundled_itself_is_sent_as_it_is() -> None:
    text = json.dumps(CDK, indent=1).replace("false", "true")
    service = read("Stack.template.json", Memory({"Stack.template.json": text, "asset.ab12/app.py": ""}))

    assert service.functions == ()
    assert [(asset.source, asset.is_folder) for asset in service.assets] == [("asset.ab12", True)]
