"""What nothing is built from: said once per reason, and an error where a path was meant or a name was asked for."""

from __future__ import annotations

import pytest
from test_sam import function, load, sam

from lambdabuild.core.errors import LambdaBuildError, NotBuilt, Unresolvable
from lambdabuild.core.model import Asset, Skipped
from lambdabuild.core.spans import Span
from lambdabuild.plan.left_out import left_out, refuse
from lambdabuild.plan.types import BuildPlan

HERE = Span("template.yaml")

HEAD = """\
Parameters:
  Env: {Type: String, AllowedValues: [dev, prod]}
  Dir: {Type: String}
  Looked: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /dir}
Mappings: {Cfg: {dev: {Dir: src/a}, prod: {Dir: src/b}}}
Conditions: {IsProd: !Equals [!Ref Env, prod], Never: !Equals [a, b]}
"""


def skipped(*names: str, reason: str = "why") -> list[Skipped]:
    return [Skipped(name, reason, HERE) for name in names]


def test_each_reason_is_said_once_with_its_names_in_order() -> None:
    found = left_out([*skipped("C", "A"), *skipped("B", reason="another"), *skipped("S/D")])

    assert [str(one) for one in found] == ["left out: B (another)", "left out: A, C, S/D (why)"]
    assert found[1].as_dict() == {"reason": "why", "names": ["A", "C", "S/D"]}


@pytest.mark.parametrize("task", ["A", "build:A", "layer:A", "zip:A"])
def test_who_asks_for_it_by_name_is_told_why(task: str) -> None:
    plan = BuildPlan((), (), skipped=(Skipped("A", "its code is inline", HERE),))
    with pytest.raises(NotBuilt, match="function 'A' is not built: its code is inline"):
        refuse(plan, ["build:Other", task])


def test_what_is_sent_as_it_is_can_still_be_sent() -> None:
    plan = BuildPlan((), (), skipped=tuple(skipped("A")), assets=(Asset("A", "a.zip", False, HERE),))
    refuse(plan, ["upload:A", "upload:B"])
    with pytest.raises(NotBuilt, match="is not built"):
        refuse(plan, ["build:A"])


@pytest.mark.parametrize(
    ("code", "give"),
    [
        ("CodeUri: !FindInMap [Cfg, !Ref Env, Dir]", "param.Env=dev (allowed: dev, prod)"),
        ("CodeUri: !Ref Dir", "param.Dir=..."),
        ("CodeUri: !Sub 'src/${Dir}'", "param.Dir=..."),
        ("CodeUri: !Join ['/', [src, !Ref Env, lib]]", "param.Env=dev"),
        ("CodeUri: !If [IsProd, src/a, src/b]", "param.Env=dev"),
        ("CodeUri: !If [IsProd, s3://b/k, src/b]", "param.Env=dev"),
        ("CodeUri: !Select [0, !Split [',', !Ref Dir]]", "param.Dir=..."),
        ("CodeUri: !Sub 'src/${AWS::Region}'", "set region"),
        ("CodeUri: !Sub 'src/${AWS::AccountId}'", "write the value into the template"),
    ],
)  # fmt: skip
def test_a_path_that_is_not_known_is_an_error_with_the_value_to_give(code: str, give: str) -> None:
    with pytest.raises(Unresolvable) as raised:
        load(sam(function(code), HEAD))

    assert str(raised.value.where[0]) == "template.yaml:14:16"
    assert give in raised.value.help


@pytest.mark.parametrize(
    "resource",
    [
        "L: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: !Ref Dir}}",
        "L: {Type: AWS::Lambda::LayerVersion, Properties: {Content: !Sub 'layers/${Dir}'}}",
        "F: {Type: AWS::Lambda::Function, Properties: {Runtime: python3.12, Handler: a.b, Code: !Ref Dir}}",
        "A: {Type: AWS::Serverless::Api, Properties: {DefinitionUri: !Sub 'api/${Dir}.yaml'}}",
        "M: {Type: AWS::Serverless::StateMachine, Properties: {DefinitionUri: !FindInMap [Cfg, !Ref Env, Dir]}}",
    ],
)  # fmt: skip
def test_so_is_that_of_layers_and_definitions(resource: str) -> None:
    with pytest.raises(Unresolvable, match=r"is not known: the parameter (Dir|Env) has no value"):
        load(sam(resource, HEAD))


def test_in_a_nested_stack_it_is_the_parent_that_gives_it() -> None:
    text = sam("Child: {Type: AWS::Serverless::Application, Properties: {Location: child.yaml}}")
    with pytest.raises(Unresolvable) as raised:
        load(text, {"child.yaml": sam(function("CodeUri: !Ref Dir"), HEAD)})

    assert "in the Parameters of the stack Child, as Dir: ..." in raised.value.help


def test_what_a_parent_could_not_say_is_asked_of_the_parents_own_parameter() -> None:
    parent = (
        "Child: {Type: AWS::Serverless::Application, Properties: {Location: child.yaml, Parameters: {Dir: !Ref Env}}}"
    )
    with pytest.raises(Unresolvable) as raised:
        load(sam(parent, HEAD), {"child.yaml": sam(function("CodeUri: !Ref Dir"), HEAD)})

    assert "param.Env=dev" in raised.value.help


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("CodeUri: !ImportValue x", "its code location is known at deployment only"),
        ("CodeUri: !Ref Looked", "its code location is known at deployment only"),
        ("CodeUri: !GetAtt Bucket.Arn", "its code location is known at deployment only"),
        ("CodeUri: {Bucket: !Ref Dir, Key: k}", "its code is in S3 already"),
        ("CodeUri: !Sub 's3://${Dir}/${Env}'", "its code is in S3 already"),
        ("CodeUri: !If [IsProd, s3://b/k, {Bucket: b, Key: !Ref Dir}]", "its code is in S3 already"),
        ("CodeUri: !Sub 'https://${Dir}/x.zip'", "its code is elsewhere"),
        ("InlineCode: !Ref Dir", "its code is inline"),
    ],
)  # fmt: skip
def test_what_no_path_is_meant_by_is_left_out_with_its_reason(code: str, reason: str) -> None:
    assert [one.reason for one in load(sam(function(code), HEAD)).skipped] == [reason]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("{S3Bucket: b, S3Key: !Ref Dir}", "its code is in S3 already"),
        ("{ZipFile: !Ref Dir}", "its code is inline"),
        ("!If [IsProd, {S3Bucket: b, S3Key: k}, {ZipFile: pass}]", "its code is in S3 already"),
        ("!If [Never, src, {ZipFile: pass}]", "its code is inline"),
    ],
)  # fmt: skip
def test_so_it_is_in_plain_cloudformation(code: str, reason: str) -> None:
    text = f"F: {{Type: AWS::Lambda::Function, Properties: {{Runtime: python3.12, Handler: a.b, Code: {code}}}}}"
    assert [one.reason for one in load(sam(text, HEAD)).skipped] == [reason]


def test_a_false_condition_forgives_what_is_not_known() -> None:
    text = function("CodeUri: !Ref Dir") + "  Condition: Never\n"
    (one,) = load(sam(text, HEAD)).skipped

    assert one.reason == "its condition is false, and not all of it is known"
    with pytest.raises(LambdaBuildError):
        load(sam(text.replace("Never", "IsProd"), HEAD))


def test_skipbuild_forgives_it_too() -> None:
    (one,) = load(sam(function("CodeUri: !Ref Dir") + "  Metadata: {SkipBuild: true}\n", HEAD)).skipped
    assert one.reason == "SkipBuild says so"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("'https://s3.amazonaws.com/b/k'", "its template is not on this machine"),
        ("!Sub 'https://${Dir}.s3.amazonaws.com/x.yaml'", "its template is not on this machine"),
        ("!Join ['', ['https://', !Ref Dir]]", "its template is not on this machine"),
        ("!Sub '${Dir}/x.yaml'", "its template is not known: the parameter Dir has no value; give it with param.Dir=..."),
        ("!ImportValue url", "its template is not known: Fn::ImportValue is worked out at deployment only"),
    ],
)  # fmt: skip
def test_a_stack_that_is_not_here_is_named(url: str, reason: str) -> None:
    (one,) = load(sam(f"D: {{Type: AWS::CloudFormation::Stack, Properties: {{TemplateURL: {url}}}}}", HEAD)).skipped

    assert (one.name, one.kind) == ("D", "stack")
    assert one.reason.startswith(reason)


def test_so_is_a_file_of_plain_cloudformation_that_may_be_in_s3() -> None:
    one, *others = load(
        sam(
            "J: {Type: AWS::Glue::Job, Properties: {Command: {ScriptLocation: !Ref Dir}}}\n"
            "K: {Type: AWS::Glue::Job, Properties: {Command: {ScriptLocation: !Sub 's3://${Dir}/x.py'}}}",
            HEAD,
        )
    ).skipped

    assert (one.name, one.kind, others) == ("J.Command.ScriptLocation", "file", [])
    assert "param.Dir" in one.reason


@pytest.mark.parametrize(
    ("kind", "properties", "key"),
    [
        ("AWS::Serverless::Worker", "{CodeUri: src/a}", "CodeUri"),
        ("AWS::Lambda::WebFunctionRevision", "{Code: ./src/a, FunctionName: f}", "Code"),
        ("AWS::Serverless::Plugin", "{ContentUri: !Sub 'src/${Letter}'}", "ContentUri"),
        ("Custom::Site", "{SiteUri: src/a/app.py}", "SiteUri"),
    ],
)
def test_a_type_that_nobody_here_knows_is_not_silently_left_with_its_code(kind: str, properties: str, key: str) -> None:
    head = "Parameters: {Letter: {Type: String, Default: a}}\n"
    service = load(sam(f"Odd: {{Type: '{kind}', Properties: {properties}}}", head), {"src/a/app.py": ""})

    assert [(one.name, one.reason, one.kind) for one in service.skipped] == [
        ("Odd", f"lambdabuild builds nothing for {kind}; its {key} stays as it is", "resource")
    ]


@pytest.mark.parametrize(
    "properties",
    [
        "{CodeUri: s3://bucket/key}",
        "{Content: 'a text'}",
        "{Code: {S3Bucket: b}}",
        "{RedirectUri: 'https://a/b'}",
        "{}",
    ],
)
def test_what_is_no_path_of_something_there_is_no_code_of_anybody(properties: str) -> None:
    assert not load(sam(f"Odd: {{Type: 'AWS::Some::Type', Properties: {properties}}}")).skipped


@pytest.mark.parametrize(
    ("properties", "runtime"),
    [
        ("{CodeUri: src/a, Runtime: nodejs22.x, EntryPoint: server.js}", "nodejs22.x"),
        ("{CodeUri: src/a, Runtime: python3.13, EntryPoint: !Ref Later}", "python3.13"),
        ("{CodeUri: src/a, Runtime: nodejs20.x, EnvironmentVariables: {A: b}}", "nodejs20.x"),
    ],
)
def test_a_web_function_is_built_as_functions_are(properties: str, runtime: str) -> None:
    text = sam(
        f"Web: {{Type: 'AWS::Serverless::WebFunction', Properties: {properties}}}",
        "Parameters: {Later: {Type: String}}\nGlobals: {Function: {Layers: [a], Architectures: [arm64]}}\n",
    )
    service = load(text, {"src/a/server.js": ""})

    (web,) = service.functions
    assert (web.name, web.source, web.runtime, web.architecture, web.layers) == ("Web", "src/a", runtime, "x86_64", ())
    assert [text[place.span.start : place.span.end] for place in service.documents[0].rewrites] == ["src/a"]
    assert web.fixed_layers == "a web function has no layers"


def test_a_web_function_that_is_ready_inline_or_bundled_is_said_to_be_left_out() -> None:
    service = load(
        sam(
            """
Ready: {Type: 'AWS::Serverless::WebFunction', Properties: {CodeUri: a.zip, Runtime: nodejs22.x}}
Inline: {Type: 'AWS::Serverless::WebFunction', Properties: {InlineCode: x, Runtime: nodejs22.x}}
There: {Type: 'AWS::Serverless::WebFunction', Properties: {CodeUri: 's3://b/k', Runtime: nodejs22.x}}
Bundled: {Type: 'AWS::Serverless::WebFunction', Properties: {CodeUri: src, Runtime: nodejs22.x},
          Metadata: {BuildMethod: esbuild}}
"""
        ),
        {"src/a.ts": "", "a.zip": ""},
    )

    assert not service.functions
    assert {one.name for one in service.skipped} == {"Ready", "Inline", "There", "Bundled"}
