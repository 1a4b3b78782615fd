"""Where an artifact goes depends on its bytes alone: neighbours come, go and change their names without a trace."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox import Sandbox

CODE = ("src0", "src1", "src2")
FUNCTION = """\
  {0}:
    Type: AWS::Serverless::Function
    Properties: {{Runtime: python3.12, Handler: app.handler, CodeUri: {1}, AutoPublishAlias: live}}
"""
LAYER = """\
  {0}:
    Type: AWS::Serverless::LayerVersion
    Properties: {{ContentUri: {1}, CompatibleRuntimes: [python3.12]}}
"""
HEAD = "Transform: AWS::Serverless-2016-10-31\nResources:\n"
CHILD = """\
  Child:
    Type: AWS::Serverless::Application
    Properties: {Location: child/template.yaml}
"""

NAMES = st.sampled_from(["A", "Aa", "B", "Bb", "Middle", "Y", "Zz"])
SERVICES = st.dictionaries(NAMES, st.sampled_from(CODE), max_size=5)


def files() -> dict[str, str | bytes]:
    return {f"{folder}/app.py": f"def handler(event, context):\n    return '{folder}'\n" for folder in CODE}


def sam(app: Sandbox, functions: Mapping[str, str], layers: Mapping[str, str], child: Mapping[str, str]) -> None:
    text = HEAD + "".join(FUNCTION.format(*pair) for pair in functions.items())
    text += "".join(LAYER.format(f"Layer{name}", folder) for name, folder in layers.items())
    inner = HEAD + "".join(FUNCTION.format(name, f"../{folder}") for name, folder in child.items())
    app.write({"template.yaml": text + CHILD, "child/template.yaml": inner})


def sam_locations(app: Sandbox) -> dict[str, str]:
    """Each function's and layer's place by its name; those of the nested stack behind ``Child/``."""
    app.build()
    found = {}
    for stack, file in (("", "packaged-template.yaml"), ("Child/", "Child/packaged-template.yaml")):
        text, name = app.path("build").joinpath(file).read_text(), ""
        for line in text.splitlines():
            name = line.strip(": ") if re.match(r"  \w+:$", line) else name
            where = re.search(r"(?:CodeUri|ContentUri): ([^,}]+)", line)
            if where:
                found[stack + name] = where[1].removeprefix("../")
    return found


def serverless(app: Sandbox, functions: Mapping[str, str], layers: Mapping[str, str]) -> None:
    about: dict[str, Any] = {
        "service": "shop", "provider": {"name": "aws", "runtime": "python3.12"}, "package": {"individually": True},
        "functions": {name: {"handler": f"{folder}/app.handler", "package": {"patterns": ["!**", f"{folder}/**"]}}
                      for name, folder in functions.items()},
        "layers": {f"Layer{name}": {"path": folder} for name, folder in layers.items()},
    }  # fmt: skip
    app.write({"serverless.yml": json.dumps(about)})


def serverless_locations(app: Sandbox) -> dict[str, str]:
    app.build()
    resources = json.loads(app.path("build/packaged-template.json").read_text())["Resources"]
    content = {"AWS::Lambda::Function": "Code", "AWS::Lambda::LayerVersion": "Content"}
    return {
        name: one["Properties"][content[one["Type"]]]["S3Key"]
        for name, one in resources.items()
        if one["Type"] in content
    }


def unchanged(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The names of what has the same code in both."""
    return [name for name in before if before[name] == after.get(name)]


@settings(max_examples=4, deadline=None)
@given(before=SERVICES, after=SERVICES, layers=st.tuples(SERVICES, SERVICES), code=st.sampled_from(CODE))
def test_neighbours_never_change_a_location_of_a_sam_template(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[str, str],
    after: dict[str, str],
    layers: tuple[dict[str, str], dict[str, str]],
    code: str,
) -> None:
    app = Sandbox(tmp_path_factory.mktemp("sam")).write(files())
    before, after = before | {"Kept": code}, after | {"Kept": code}
    sam(app, before, layers[0], before)
    first = sam_locations(app)
    sam(app, after, layers[1], after)
    second = sam_locations(app)

    names = unchanged(before, after)
    names += [f"Child/{name}" for name in names] + [f"Layer{name}" for name in unchanged(*layers)]
    assert {name: first[name] for name in names} == {name: second[name] for name in names}
    assert first["Kept"] == first["Child/Kept"]
    assert re.fullmatch(r"\.store/[0-9a-f]{64}\.zip", first["Kept"])


@settings(max_examples=4, deadline=None)
@given(before=SERVICES, after=SERVICES, layers=st.tuples(SERVICES, SERVICES), code=st.sampled_from(CODE))
def test_neighbours_never_change_a_location_of_a_serverless_yml(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[str, str],
    after: dict[str, str],
    layers: tuple[dict[str, str], dict[str, str]],
    code: str,
) -> None:
    app = Sandbox(tmp_path_factory.mktemp("serverless")).write(files())
    before, after = before | {"Kept": code}, after | {"Kept": code}
    serverless(app, before, layers[0])
    first = serverless_locations(app)
    serverless(app, after, layers[1])
    second = serverless_locations(app)

    names = [f"{name}LambdaFunction" for name in unchanged(before, after)]
    names += [f"Layer{name}LambdaLayer" for name in unchanged(*layers)]
    assert {name: first[name] for name in names} == {name: second[name] for name in names}
    assert re.fullmatch(r"serverless/shop/dev/code-artifacts/[0-9a-f]{64}\.zip", first["KeptLambdaFunction"])


def test_a_renamed_function_takes_its_code_with_it(tmp_path: Path) -> None:
    app = Sandbox(tmp_path).write(files())
    sam(app, {"Orders": "src0"}, {}, {"One": "src1"})
    first = sam_locations(app)["Orders"]
    sam(app, {"Renamed": "src0"}, {}, {"One": "src1"})

    assert sam_locations(app)["Renamed"] == first


def test_an_asset_and_a_nested_template_lie_under_their_digest_alone(tmp_path: Path) -> None:
    text = """\
  {0}:
    Type: AWS::Serverless::Api
    Properties: {{StageName: dev, DefinitionUri: {1}}}
"""
    app = Sandbox(tmp_path).write({"api.yaml": "openapi: 3.0.1\n", "other.yaml": "openapi: 3.0.2\n"})
    app.write({"template.yaml": HEAD + text.format("Mine", "api.yaml")})
    app.build()
    first = app.manifest["assets"]["Mine-DefinitionUri"]["key"]
    app.write({"template.yaml": HEAD + text.format("Before", "api.yaml") + text.format("Mine", "api.yaml")})
    app.build()

    assert app.manifest["assets"]["Mine-DefinitionUri"]["key"] == first
    assert re.fullmatch(r"[0-9a-f]{64}\.yaml", first)
