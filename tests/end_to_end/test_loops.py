"""Functions that an Fn::ForEach makes are built by their own names."""

from __future__ import annotations

import pytest
from rule_example import call_python
from sandbox import Sandbox

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
    assert "LB106: what Fn::ForEach::Functions goes through is not known: the parameter Names has no value" in ran.err
    assert "at template.yaml:7:7" in ran.err
    assert "param.Names=..." in ran.err
