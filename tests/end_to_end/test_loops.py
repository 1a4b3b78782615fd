"""Functions that an Fn::ForEach makes are built by their own names."""

from __future__ import annotations

import json

import pytest
from rule_example import call_python
from sandbox import Ran, Sandbox

TEMPLATE = """\
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Parameters:
  Names: {Type: CommaDelimitedList%s}
Resources:
  Fn::ForEach::Functions:
    - Name
    - !Ref Names
    - ${Name}Function:
        Type: AWS::Serverless::Function
        Properties:
          Runtime: python3.11
          Handler: app.handler
          CodeUri: src/${Name}
"""


@pytest.fixture
def shop(project: Sandbox) -> Sandbox:
    code = {
        f"src/{name}/app.py": f"def handler(event, context):\n    return {name!r}\n"
        for name in ("Alpha", "Beta", "Gamma")
    }
    return project.write({"template.yaml": TEMPLATE % ", Default: 'Alpha,Beta'", **code})


def test_each_is_built_and_can_be_asked_for(shop: Sandbox) -> None:
    assert shop.build("BetaFunction").summary["built"] == ["build:BetaFunction"]
    assert not shop.path("build/AlphaFunction.zip").exists()
    assert sorted(shop.build().summary["built"]) == ["build:AlphaFunction"]
    assert [call_python(shop, None, name) for name in ("AlphaFunction", "BetaFunction")] == ["Alpha", "Beta"]

    manifest, text = shop.manifest["functions"], shop.path("build/packaged-template.yaml").read_text()
    for name in ("AlphaFunction", "BetaFunction"):
        assert f'    {name}: {{CodeUri: "{manifest[name]["location"]}"}}\n' in text
    assert shop.run("build").out == "nothing to do: 2 functions up to date\n"


def test_the_parameter_decides_and_one_without_a_value_is_an_error(shop: Sandbox) -> None:
    assert shop.build("param.Names=Gamma").summary["built"] == ["build:GammaFunction"]
    ran = shop.write({"template.yaml": TEMPLATE % ""}).run("build")

    assert ran.code == 3
    assert "LB106]: what Fn::ForEach::Functions goes through is not known: the parameter Names has no value" in ran.err
    assert "--> template.yaml:7:7" in ran.err
    assert "param.Names=..." in ran.err


SERVICE = """\
service: shop
provider: {name: aws, runtime: python3.11, region: eu-west-1}
functions: {orders: {handler: app.handler}}
resources:
  Transform: AWS::LanguageExtensions
  Parameters: {Names: {Type: CommaDelimitedList}}
  Conditions:
    Fn::ForEach::Is: [N, !Ref Names, {'Is${N}': !Equals [!Length [a, b], 2]}]
  Resources:
    Fn::ForEach::Tables:
      - Name
      - [Alpha, Beta]
      - ${Name}Table:
          Type: AWS::DynamoDB::Table
          DeletionPolicy: !If [IsKept, Retain, Delete]
          Properties: {TableName: !Sub '${Name}-${AWS::Region}', Tags: !FindInMap [M, a, b, DefaultValue: []]}
    Topic:
      Type: AWS::SNS::Topic
      DeletionPolicy: !If [IsKept, Retain, Delete]
      Properties: {DisplayName: !ToJsonString {a: !Ref {'Fn::Sub': '${AWS::Region}'}}}
  Outputs:
    Fn::ForEach::Arns: [N, [Alpha], {'${N}Arn': {Value: !GetAtt [!Sub '${N}Table', Arn]}}]
"""


def compiled(project: Sandbox, text: str) -> Ran:
    return project.write({"serverless.yml": text, "app.py": "def handler(event, context): pass\n"}).run("compile")


def test_loops_of_a_services_own_resources_stay_loops(project: Sandbox) -> None:
    ran = compiled(project, SERVICE)
    assert ran.code == 0, ran.said
    template = json.loads(ran.out)

    assert template["Transform"] == ["AWS::LanguageExtensions"]
    identifier, values, body = template["Resources"]["Fn::ForEach::Tables"]
    assert (identifier, values, list(body)) == ("Name", ["Alpha", "Beta"], ["${Name}Table"])
    assert body["${Name}Table"]["Properties"]["TableName"] == {"Fn::Sub": "${Name}-${AWS::Region}"}
    assert template["Resources"]["Topic"]["Properties"]["DisplayName"] == {
        "Fn::ToJsonString": {"a": {"Ref": {"Fn::Sub": "${AWS::Region}"}}}
    }
    assert template["Conditions"]["Fn::ForEach::Is"][1] == {"Ref": "Names"}
    assert list(template["Outputs"]["Fn::ForEach::Arns"][2]) == ["${N}Arn"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  Transform: AWS::LanguageExtensions\n", "", "LB104]: Fn::ForEach needs the transform"),
        ("[Alpha, Beta]", "[Alpha, Alpha]", "LB103]: a loop makes 'AlphaTable', which already exists"),
        ("[Alpha, Beta]", "[a-b]", "LB104]: the loop makes 'a-bTable', which is not a logical id"),
        ("      - Name\n", "", "LB109"),
    ],
)
def test_a_loop_that_no_deployment_would_take_is_an_error(project: Sandbox, old: str, new: str, words: str) -> None:
    ran = compiled(project, SERVICE.replace(old, new))

    assert ran.code == 3
    assert words in ran.err
    assert "--> serverless.yml:" in ran.err
