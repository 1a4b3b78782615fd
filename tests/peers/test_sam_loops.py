"""`sam build --language-extensions` of a template with loops: the same functions, and the same code for each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from sam_cli import sam
from sandbox import Sandbox

from lambdabuild.cloudformation.template_text.splice import splice
from lambdabuild.core.model import S3Location
from lambdabuild.frontends.sam.reader import load

__all__ = ["sam"]
pytestmark = pytest.mark.slow

TEMPLATE = """\
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Parameters:
  Envs: {Type: CommaDelimitedList, Default: 'dev, prod'}
Globals:
  Function: {Runtime: python3.11, Handler: app.handler, CodeUri: common}
Mappings:
  Services: {Names: {List: [users, orders]}}
Conditions:
  Fn::ForEach::Is: [E, !Ref Envs, {'Is${E}': !Equals [a, a]}]
Resources:
  Fn::ForEach::Envs2:
    - Env
    - !Ref Envs
    - Fn::ForEach::Services:
        - Service
        - !FindInMap [Services, Names, List]
        - ${Env}${Service}:
            Type: AWS::Serverless::Function
            Condition: Is${Env}
            Properties:
              CodeUri: !Sub src/${Env}/${Service}
              Layers: [!Ref {'Fn::Sub': 'Layer${Env}'}]
      Layer${Env}:
        Type: AWS::Serverless::LayerVersion
        Properties: {ContentUri: !FindInMap [LayerOf, !Ref Env, Dir, DefaultValue: 'layers/${Env}']}
  Fn::ForEach::Paths:
    - Path
    - [api-v1, api-v2]
    - Api&{Path}:
        Type: AWS::Lambda::Function
        Properties: {Runtime: python3.11, Handler: app.handler, Role: r, Code: 'src/${Path}'}
  Fn::ForEach::Common:
    - N
    - [X, Y]
    - Common${N}: {Type: AWS::Serverless::Function, Properties: {Description: !Sub 'Common ${N}'}}
  Fn::ForEach::Rest:
    - M
    - [A, B]
    - Machine${M}: {Type: AWS::StepFunctions::StateMachine, Properties: {DefinitionS3Location: 'defs/${M}.json'}}
      Stack${M}: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: 'nested/${M}.yaml'}}
Outputs:
  Fn::ForEach::Out: [O, !Ref Envs, {'${O}users': {Value: !GetAtt [!Sub '${O}users', Arn]}}]
"""
NESTED = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  F: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.11, Handler: app.handler, CodeUri: %s}}
"""
CODE = ["dev/users", "dev/orders", "prod/users", "prod/orders", "api-v1", "api-v2"]

EXPANDED = """\
import json, sys
from samcli.lib.cfn_language_extensions.sam_integration import expand_language_extensions
from samcli.yamlhelper import yaml_parse
found = expand_language_extensions(yaml_parse(open(sys.argv[1]).read()), {}, enabled=True).expanded_template
print(json.dumps(found["Resources"]))
"""
"""SAM CLI's own reading of a template: what CloudFormation is going to make of its loops."""


@pytest.fixture(scope="module")
def projects(sam: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Sandbox, Sandbox]:
    place = tmp_path_factory.mktemp("loops")
    ours, theirs = Sandbox(place / "ours"), Sandbox(place / "theirs")
    files = {f"src/{path}/app.py": f"def handler(event, context):\n    return {path!r}\n" for path in CODE}
    files |= {f"nested/{name}/app.py": f"def handler(event, context):\n    return {name!r}\n" for name in "AB"}
    files |= {f"nested/{name}.yaml": NESTED % name for name in "AB"}
    files |= {f"defs/{name}.json": json.dumps({"StartAt": name}) for name in "AB"}
    files |= {f"layers/{name}/python/{name}.py": "" for name in ("dev", "prod")}
    files |= {"common/app.py": "def handler(event, context): pass\n", "template.yaml": TEMPLATE}
    for project in (ours, theirs):
        project.write(files)
    ours.build("region=eu-west-1")
    built = theirs.command([str(sam), "build", "--language-extensions"], env={"AWS_DEFAULT_REGION": "eu-west-1"})
    assert built.code == 0, built.said
    return ours, theirs


def expanded(sam: Path, template: Path) -> dict[str, dict]:
    ran = subprocess.run(
        [str(sam.parent / "python"), "-c", EXPANDED, str(template)], capture_output=True, text=True, check=True
    )
    found: dict[str, dict] = json.loads(ran.stdout)
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    found = folder.rglob("*") if folder.is_dir() else []
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.is_file()}


LOCATIONS = ("CodeUri", "ContentUri", "Code", "DefinitionS3Location", "TemplateURL")


def location(resource: dict) -> str:
    return next(str(resource["Properties"][key]) for key in LOCATIONS if key in resource["Properties"])


def test_each_function_of_a_loop_has_the_code_that_the_peer_builds_for_it(
    sam: Path, projects: tuple[Sandbox, Sandbox]
) -> None:
    ours, theirs = projects
    mine, peers = (
        expanded(sam, ours.path("build/built-template.yaml")),
        expanded(sam, theirs.path(".aws-sam/build/template.yaml")),
    )

    assert mine.keys() == peers.keys()
    functions = [name for name, resource in mine.items() if resource["Type"].endswith("::Function")]
    assert len(functions) == 8
    for name in functions:
        # By name: SAM CLI builds all, but leaves the path of the source where a loop goes through Fn::FindInMap.
        there = files_of(theirs.path(f".aws-sam/build/{name}"))
        assert files_of(ours.path("build") / location(mine[name])) == there != {}, name


def test_what_the_peer_copies_only_is_found_too(sam: Path, projects: tuple[Sandbox, Sandbox]) -> None:
    ours, _ = projects
    mine = expanded(sam, ours.path("build/built-template.yaml"))

    for name in ("dev", "prod"):
        assert [*files_of(ours.path("build") / location(mine[f"Layer{name}"]))] == [f"python/{name}.py"]
    for name in "AB":
        assert json.loads((ours.path("build") / location(mine[f"Machine{name}"])).read_text()) == {"StartAt": name}


def test_the_packaged_template_names_the_zip_of_each(sam: Path, projects: tuple[Sandbox, Sandbox]) -> None:
    ours, _ = projects
    functions = ours.manifest["functions"] | ours.manifest["layers"]
    packaged = expanded(sam, ours.path("build/packaged-template.yaml"))

    named = {name: location(resource) for name, resource in packaged.items() if name in functions}
    assert named == {name: functions[name]["location"] for name in named}
    assert len(named) == 10


def test_a_nested_stack_of_a_loop_has_its_own_function(projects: tuple[Sandbox, Sandbox]) -> None:
    ours, theirs = projects
    for name in "AB":
        peer = files_of(theirs.path(f".aws-sam/build/Stack{name}/F"))
        assert files_of(ours.path(f"build/Stack{name}/F")) == peer != {}


LOOP_OF_PATHS = """\
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::LanguageExtensions
Resources:
  Fn::ForEach::Paths:
    - Path
    - [api-v1, api-v2]
    - Api&{Path}:
        Type: AWS::Lambda::Function
        Properties:
          Runtime: python3.13
          Handler: app.handler
          Role: arn:aws:iam::123456789012:role/api
          Code: src/${Path}
"""


def test_cfn_lint_finds_each_ones_entry_in_the_mapping(tmp_path: Path) -> None:
    class Disk:
        def read(self, path: str) -> str:
            return LOOP_OF_PATHS

        def real(self, path: str) -> str:
            return path

        def kind(self, path: str) -> Literal["file", "folder", ""]:
            return "folder"

    (document,) = load("template.yaml", Disk()).documents
    text = splice(document, lambda rewrite: S3Location("bucket", f"{rewrite.target}.zip"), "/")
    (tmp_path / "template.yaml").write_text(text)
    lint = [str(Path(sys.executable).parent / "cfn-lint"), "-r", "eu-west-1", "--"]
    ran = subprocess.run([*lint, str(tmp_path / "template.yaml")], capture_output=True, text=True, check=False)

    assert "Apiapiv2: {CodeS3Key" in text
    assert (ran.returncode, ran.stdout) == (0, "")
