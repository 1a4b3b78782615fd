"""A template becomes a Service: which functions and layers it has, and what is left alone."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from typing import Any, Literal

import pytest

from lambdabuild.core.errors import (
    BadTemplate,
    CannotReadTemplate,
    CircularReference,
    LambdaBuildError,
    Several,
    Unresolvable,
)
from lambdabuild.core.model import Service
from lambdabuild.frontends.sam.reader import load as read


class Memory:
    """Files in a dict; a name that ends with a slash is a folder."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = dict(files)

    def read(self, path: str) -> str:
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.files[path]

    def real(self, path: str) -> str:
        return path

    def kind(self, path: str) -> Literal["file", "folder", ""]:
        path = posixpath.normpath(path)
        if path in self.files:
            return "file"
        return "folder" if path == "." or any(name.startswith(path + "/") for name in self.files) else ""


def load(text: str, files: Mapping[str, str] | None = None, **more: Any) -> Service:
    return read("template.yaml", Memory({"template.yaml": text, **(files or {})}), **more)


def sam(resources: str, head: str = "") -> str:
    body = "\n".join("  " + line for line in resources.strip("\n").splitlines())
    return f"Transform: AWS::Serverless-2016-10-31\n{head}Resources:\n{body}\n"


def function(more: str = "", name: str = "F") -> str:
    return f"{name}:\n  Type: AWS::Serverless::Function\n  Properties:\n    Runtime: python3.12\n    Handler: a.b\n" + (
        "".join(f"    {line}\n" for line in more.splitlines())
    )


def test_a_function_is_read_with_its_place() -> None:
    (found,) = load(sam(function("CodeUri: src/\nArchitectures: [arm64]"))).functions

    assert (found.name, found.runtime, found.handler, found.source, found.architecture) == (
        "F", "python3.12", "a.b", "src", "arm64",
    )  # fmt: skip
    assert str(found.where) == "template.yaml:3:3"


def test_plain_cloudformation_is_read_too() -> None:
    service = load(
        "Resources:\n  F: {Type: AWS::Lambda::Function, Properties: {Runtime: python3.12, Handler: a.b, Code: src}}\n"
        "  L: {Type: AWS::Lambda::LayerVersion, Properties: {Content: lib}}\n"
    )

    assert [f.source for f in service.functions] == ["src"]
    assert [layer.source for layer in service.layers] == ["lib"]
    assert [r.form for r in service.documents[0].rewrites] == ["s3", "s3"]


def test_json_gives_the_same_service() -> None:
    data = {"Transform": "AWS::Serverless-2016-10-31", "Resources": {"F": {"Type": "AWS::Serverless::Function",
            "Properties": {"Runtime": "python3.12", "Handler": "a.b", "CodeUri": {"Fn::Sub": "src"}}}}}  # fmt: skip
    service = read("t.json", Memory({"t.json": json.dumps(data, indent="\t")}))

    assert service.functions[0].source == "src"
    assert service.documents[0].is_json


def test_globals_are_merged_as_sam_merges_them() -> None:
    head = (
        "Globals:\n  Function: {Runtime: python3.13, Handler: g.h, CodeUri: all, Architectures: [arm64],"
        " Layers: ['arn:1', !Ref L]}\n"
    )
    text = sam(
        "A: {Type: AWS::Serverless::Function}\n"
        "B: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.11, CodeUri: b, Layers: [!Ref M]}}\n"
        "C: {Type: AWS::Serverless::Function, IgnoreGlobals: [Layers, Architectures]}\n"
        "L: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: l}}\n"
        "M: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: m}}\n",
        head,
    )
    a, b, c = load(text).functions

    assert (a.runtime, a.source, a.architecture, a.layers, a.foreign_layers) == (
        "python3.13",
        "all",
        "arm64",
        ("L",),
        1,
    )
    assert (b.runtime, b.source, b.handler, b.layers, b.foreign_layers) == ("python3.11", "b", "g.h", ("L", "M"), 1)
    assert (c.architecture, c.layers, c.foreign_layers) == ("x86_64", (), 0)


def test_globals_are_for_serverless_resources_only_and_need_no_transform() -> None:
    head = "Globals: {Function: {Runtime: python3.12, Handler: a.b}}\nResources:\n"
    assert load(head + "  F: {Type: AWS::Serverless::Function}\n").functions[0].runtime == "python3.12"

    with pytest.raises(BadTemplate, match="Runtime"):
        load(head + "  F: {Type: AWS::Lambda::Function, Properties: {Code: src}}\n")


def test_a_handler_may_be_known_at_deployment_only() -> None:
    assert load(sam(function("CodeUri: s").replace("a.b", "!ImportValue x"))).functions[0].handler == ""


def test_a_code_folder_that_is_not_written_is_the_templates() -> None:
    assert load(sam(function())).functions[0].source == "."


def test_relative_folders_start_at_the_template_or_at_the_root_given() -> None:
    files = {"app/t.yaml": sam(function("CodeUri: ../src"))}

    assert read("app/t.yaml", Memory(files)).functions[0].source == "src"
    assert read("app/t.yaml", Memory(files), root="code").functions[0].source == "src"
    assert read("app/t.yaml", Memory(files), root="code/deep").functions[0].source == "code/src"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("InlineCode: pass", "inline"), ("CodeUri: s3://b/k", "S3"), ("CodeUri: {Bucket: b, Key: k}", "S3"),
        ("CodeUri: !Sub 's3://${AWS::AccountId}/k'", "S3"), ("PackageType: Image\nImageUri: x", "image"),
        ("CodeUri: ready.zip", "ready"), ("CodeUri: !ImportValue x", "deployment"),
        ("CodeUri: https://example.com/a.zip", "elsewhere"),
    ],
)  # fmt: skip
def test_what_sam_skips_is_left_alone(more: str, reason: str) -> None:
    service = load(sam(function(more)), {"ready.zip": "PK"})

    assert service.functions == ()
    assert reason in service.skipped[0].reason


def test_ready_artifacts_and_what_says_skipbuild_are_uploaded_as_they_are() -> None:
    text = sam(function("CodeUri: ready.zip", "A") + function("CodeUri: dist", "B") + "  Metadata: {SkipBuild: true}\n")
    service = load(text, {"ready.zip": "PK", "dist/app.py": ""})

    assert [(a.name, a.source, a.is_folder) for a in service.assets] == [("A", "ready.zip", False), ("B", "dist", True)]
    assert [r.kind for r in service.documents[0].rewrites] == ["asset", "asset"]


def test_metadata_says_how_to_build() -> None:
    text = sam(function("CodeUri: src") + "  Metadata: {BuildMethod: python3.12, BuildProperties: {b: 1, a: [x]}}\n")
    (found,) = load(text).functions

    assert found.build_method == "python3.12"
    assert found.options == (("a", '["x"]'), ("b", "1"))


def test_a_makefile_function_may_be_built_from_another_folder() -> None:
    metadata = (
        "  Metadata: {BuildMethod: makefile, ProjectRootDirectory: root, WorkingDirectory: root/in, ContextPath: m}\n"
    )
    (found,) = load(sam(function("CodeUri: src") + metadata)).functions

    assert found.source == "root"
    assert dict(found.options) == {"ContextPath": '"m"', "WorkingDirectory": '"root/in"'}


def test_layers_have_a_method_or_are_plain_files() -> None:
    service = load(
        sam(
            "L:\n  Type: AWS::Serverless::LayerVersion\n  Metadata: {BuildMethod: python3.12, BuildArchitecture: arm64}\n"
            "  Properties: {ContentUri: l, CompatibleRuntimes: [python3.12, python3.13]}\n"
            "P: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: p}}"
        )
    )

    assert [(x.name, x.build_method, x.architecture, x.runtimes) for x in service.layers] == [
        ("L", "python3.12", "arm64", ("python3.12", "python3.13")), ("P", "", "x86_64", ()),
    ]  # fmt: skip


def test_parameters_reach_code_folders() -> None:
    head = "Parameters: {Team: {Type: String, Default: red}, Stage: {Type: String, Default: dev}}\n"
    text = sam(function("CodeUri: !Sub src/${Team}/${Stage}"), head)

    assert load(text).functions[0].source == "src/red/dev"
    assert load(text, parameters={"Team": "blue"}, stage="prod").functions[0].source == "src/blue/prod"


CHILD = sam(
    function("CodeUri: ../src/${Name}").replace("../src", "!Sub ../src"), "Parameters: {Name: {Type: String}}\n"
)


def test_nested_stacks_are_read_with_the_parameters_they_are_given() -> None:
    child = "{Type: AWS::Serverless::Application, Properties: {Location: child/t.yaml, Parameters: {Name: %s}}}"
    service = load(sam("One: %s\nTwo: %s" % (child % "a", child % "b")), {"child/t.yaml": CHILD})  # noqa: UP031

    assert [(f.name, f.source) for f in service.functions] == [("One/F", "src/a"), ("Two/F", "src/b")]
    assert [d.stack for d in service.documents] == ["", "One", "Two"]
    assert [(r.kind, r.target, r.form) for r in service.documents[0].rewrites] == [
        ("stack", "One", "template-url"), ("stack", "Two", "template-url"),
    ]  # fmt: skip


def test_a_layer_given_to_a_nested_stack_is_the_parents() -> None:
    child = sam(function("CodeUri: src\nLayers: [!Ref Shared]"), "Parameters: {Shared: {Type: String}}\n")
    service = load(
        sam(
            "Shared: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: l}}\n"
            "Child: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: c.yaml, Parameters: {Shared: !Ref Shared}}}"
        ),
        {"c.yaml": child},
    )

    assert service.functions[0].layers == ("Shared",)


def test_remote_stacks_are_left_out() -> None:
    service = load(
        sam(
            "C: {Type: AWS::Serverless::Application, Properties: {Location: {ApplicationId: a, SemanticVersion: 1.0.0}}}\n"
            "D: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: 'https://s3.amazonaws.com/b/k'}}"
        )
    )

    assert [(one.name, one.kind) for one in service.skipped] == [("C", "stack"), ("D", "stack")]
    assert service.documents[0].rewrites == ()


def test_a_template_that_contains_itself_is_refused() -> None:
    one = sam("C: {Type: AWS::Serverless::Application, Properties: {Location: t.yaml}}")
    two = sam("C: {Type: AWS::Serverless::Application, Properties: {Location: template.yaml}}")
    with pytest.raises(CircularReference, match="contains it"):
        load(one, {"t.yaml": two})


def test_a_nested_template_that_is_not_there_is_told_where_it_is_named() -> None:
    with pytest.raises(CannotReadTemplate) as raised:
        load(sam("C: {Type: AWS::Serverless::Application, Properties: {Location: t.yaml}}"))

    assert str(raised.value.where[0]) == "template.yaml:3:66"


def test_files_that_deployment_takes_from_s3_are_assets() -> None:
    service = load(
        sam(
            "Api: {Type: AWS::Serverless::Api, Properties: {DefinitionUri: api.yaml, StageName: x}}\n"
            "Machine: {Type: AWS::StepFunctions::StateMachine, Properties: {DefinitionS3Location: m.json}}\n"
            "Job: {Type: AWS::Glue::Job, Properties: {Command: {ScriptLocation: job.py}}}\n"
            "Remote: {Type: AWS::Serverless::Api, Properties: {DefinitionUri: 's3://b/k'}}\n"
            "Inc: {Type: AWS::ApiGateway::RestApi, Properties: {Body: {Fn::Transform: {Name: AWS::Include,"
            " Parameters: {Location: part.yaml}}}}}\n"
        ),
        {"api.yaml": "", "m.json": "", "job.py": "", "part.yaml": ""},
    )

    assert [a.source for a in service.assets] == ["api.yaml", "m.json", "job.py", "part.yaml"]
    assert [r.form for r in service.documents[0].rewrites] == ["uri", "s3-bucket", "uri", "uri"]


def test_an_asset_that_is_not_there_is_no_mistake_before_it_is_sent() -> None:
    service = load(sam("Api: {Type: AWS::Serverless::Api, Properties: {DefinitionUri: api.yaml}}"))

    assert [(a.source, str(a.where)) for a in service.assets] == [("api.yaml", "template.yaml:3:65")]


@pytest.mark.parametrize(
    "resources",
    [
        # A function's events become resources of their own, which may well refer to the API that refers to it.
        function("CodeUri: s\nEvents: {E: {Type: Api, Properties: {RestApiId: !Ref A, Path: /, Method: get}}}")
        + "A: {Type: AWS::Serverless::Api, Properties: {StageName: x, DefinitionBody: {u: !GetAtt F.Arn}}}\n",
        function("CodeUri: s\nEnvironment: {Variables: {T: !Ref T}}") + "T: {Type: AWS::SNS::Topic}\n",
        "A: {Type: AWS::SNS::Topic, Properties: {N: !If [Never, !Ref B, x]}}\nB: {Type: AWS::SNS::Topic, DependsOn: A}\n",
        "A: {Type: AWS::SNS::Topic, Condition: Never, DependsOn: B}\nB: {Type: AWS::SNS::Topic, DependsOn: A}\n",
        "A: {Type: AWS::SNS::Topic, Properties: {N: !Sub '${!B}'}}\nB: {Type: AWS::SNS::Topic, DependsOn: A}\n",
    ],
)
def test_no_false_alarm_about_circles(resources: str) -> None:
    load(sam(resources, "Conditions: {Never: !Equals [a, b]}\n"))


@pytest.mark.parametrize(
    ("resources", "ring"),
    [
        ("A: {Type: AWS::SNS::Topic, DependsOn: B}\nB: {Type: AWS::SNS::Topic, Properties: {N: !Ref A}}", "A -> B -> A"),
        ("A: {Type: AWS::SNS::Topic, DependsOn: [B]}\nB: {Type: AWS::SNS::Topic, Properties: {N: !Sub '${C.Arn}'}}\n"
         "C: {Type: AWS::SNS::Topic, Properties: {N: [{x: !GetAtt A.Arn}]}}", "A -> B -> C -> A"),
        (function("CodeUri: s\nEnvironment: {Variables: {ME: !Ref F}}"), "F -> F"),
    ],
)  # fmt: skip
def test_circles_are_told(resources: str, ring: str) -> None:
    with pytest.raises(CircularReference, match=ring):
        load(sam(resources))


def test_two_circles_are_two_errors() -> None:
    topics = "A: {Type: AWS::SNS::Topic, DependsOn: B}\nB: {Type: AWS::SNS::Topic, DependsOn: A}\n"
    with pytest.raises(Several) as raised:
        load(
            sam(
                topics
                + topics.replace("A:", "C:").replace("B:", "D:").replace("On: B", "On: D").replace("On: A", "On: C")
            )
        )

    assert len(raised.value.errors) == 2


@pytest.mark.parametrize(
    ("text", "error", "place"),
    [
        (sam("F: {Type: AWS::Serverless::Function, Properties: {Handler: a, CodeUri: s}}"), BadTemplate, "3:3"),
        (sam("F: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.12, CodeUri: s}}"), BadTemplate, "3:3"),
        (sam("F: {Properties: {}}"), BadTemplate, "3:3"),
        (sam("F: x"), BadTemplate, "3:3"),
        (sam(function("CodeUri: s", "../F")), BadTemplate, "3:3"),
        (sam("F: {Type: AWS::SNS::Topic, Properties: [a]}"), BadTemplate, "3:42"),
        (sam(function("CodeUri: [a]")), BadTemplate, "8:16"),
        (sam(function("CodeUri: s\nArchitectures: [arm64, x86_64]")), BadTemplate, "9:22"),
        (sam(function("CodeUri: s").replace("python3.12", "!Ref AWS::AccountId")), Unresolvable, "6:16"),
        ("Resources: {}\n", BadTemplate, "1:12"),
        ("Resources:\n  F: {Type: AWS::Lambda::Function, Properties: {Runtime: python3.12, Handler: a}}\n", BadTemplate, "2:3"),
    ],
)  # fmt: skip
def test_what_a_build_cannot_do_without_is_told(text: str, error: type[LambdaBuildError], place: str) -> None:
    with pytest.raises(error) as raised:
        load(text)

    assert str(raised.value.where[0]) == f"template.yaml:{place}"
    assert raised.value.help
