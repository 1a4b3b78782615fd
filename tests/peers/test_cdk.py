"""A cloud assembly that the AWS CDK synthesised: built, and written again with our zips, as the CDK's own tools read it."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
from cdk import cdk_python, cdk_tools, synth
from sam_cli import python_with_pip, sam
from sandbox import Sandbox

__all__ = ["cdk_python", "cdk_tools", "sam"]

APP = """
import aws_cdk as cdk
from aws_cdk import aws_lambda as l, aws_s3_assets as assets

PYTHON = dict(runtime=l.Runtime.PYTHON_3_11, handler="app.handler")

class Shop(cdk.Stack):
    def __init__(self, scope, id, **more):
        super().__init__(scope, id, **more)
        tools = l.LayerVersion(self, "Tools", code=l.Code.from_asset("tools"))
        l.Function(self, "Orders", code=l.Code.from_asset("orders"), layers=[tools],
                   architecture=l.Architecture.ARM_64, **PYTHON)
        l.Function(self, "Inline", code=l.Code.from_inline("def handler(e, c): pass"), runtime=PYTHON["runtime"],
                   handler="index.handler")
        l.DockerImageFunction(self, "Image", code=l.DockerImageCode.from_image_asset("image"))
        Child(self, "Child")

class Child(cdk.NestedStack):
    def __init__(self, scope, id):
        super().__init__(scope, id)
        l.Function(self, "Refunds", code=l.Code.from_asset("refunds"), **PYTHON)

class Other(cdk.Stack):
    def __init__(self, scope, id, **more):
        super().__init__(scope, id, **more)
        l.Function(self, "Same", code=l.Code.from_asset("orders"), **PYTHON)
        assets.Asset(self, "Data", path="tools")

class Prod(cdk.Stage):
    def __init__(self, scope, id):
        super().__init__(scope, id)
        Other(self, "Inner")

app = cdk.App()
Shop(app, "Shop")
Other(app, "Other", env=cdk.Environment(account="123456789012", region="eu-west-1"))
Prod(app, "Prod")
app.synth()
"""
HANDLER = "def handler(event, context):\n    return 1\n"
FILES = {
    "app.py": APP, "orders/app.py": HANDLER, "orders/requirements.txt": "idna==3.10\n",
    "refunds/app.py": HANDLER + "# refunds\n", "tools/python/tool.py": "X = 1\n",
    "image/Dockerfile": "FROM scratch\nCOPY a /a\n", "image/a": "a\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def synthesised(cdk_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after `cdk synth`."""
    project = Sandbox(tmp_path_factory.mktemp("cdk") / "synthesised").write(FILES)
    synth(project, cdk_python)
    return project.folder


@pytest.fixture
def project(synthesised: Path, tmp_path: Path) -> Sandbox:
    shutil.copytree(synthesised, tmp_path / "project")
    return Sandbox(tmp_path / "project")


@pytest.fixture(scope="module")
def built(synthesised: Path, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The same after a build."""
    project = Sandbox(shutil.copytree(synthesised, tmp_path_factory.mktemp("built") / "project"))
    project.build()
    return project


def read(project: Sandbox, path: str) -> dict:
    return json.loads(project.path(path).read_text())


def assemblies(project: Sandbox) -> list[Path]:
    return [path.parent for path in sorted(project.path("build/cdk.out").rglob("manifest.json"))]


def test_every_stack_is_built_and_what_is_not_is_told(built: Sandbox) -> None:
    stacks = sorted((name.split("/")[0], name.split("/")[-1][:-8]) for name in built.manifest["functions"])
    assert stacks == [("Other", "Same"), ("ProdInner6AE3BBF4", "Same"), ("Shop", "Orders"), ("Shop", "Refunds")]
    assert [re.sub(r"[0-9A-F]{8}$", "", name) for name in built.manifest["layers"]] == ["Shop/Tools"]
    told = {re.sub(r"[0-9A-F]{8}$", "", name): why for name, why in built.manifest["left_alone"].items()}
    assert told["Shop/Image"] == "its image is built by cdk deploy"
    assert "Shop/Inline" in told
    assert "nothing to do" in built.run().out


@pytest.mark.parametrize("schema", ["assets", "cloud-assembly"])
def test_manifests_are_as_the_cdk_says(built: Sandbox, cdk_tools: Path, schema: str) -> None:
    of_cdk = json.loads((cdk_tools / f"@aws-cdk/cloud-assembly-schema/schema/{schema}.schema.json").read_text())
    pattern = "*.assets.json" if schema == "assets" else "manifest.json"
    files = sorted(built.path("build/cdk.out").rglob(pattern))
    assert len(files) == {"assets": 3, "cloud-assembly": 2}[schema]
    for file in files:
        jsonschema.validate(json.loads(file.read_text()), of_cdk)


def test_every_asset_is_there_under_a_key_of_its_content(built: Sandbox) -> None:
    names = set()
    for file in sorted(built.path("build/cdk.out").rglob("*.assets.json")):
        for name, entry in json.loads(file.read_text())["files"].items():
            source = file.parent / entry["source"]["path"]
            if entry["source"]["packaging"] == "file":
                assert hashlib.sha256(source.read_bytes()).hexdigest() == name
                keys = {destination["objectKey"] for destination in entry["destinations"].values()}
                assert keys == {f"{name}.{source.name.rpartition('.')[2]}"}
                names.add(source.name.partition(".")[0])
            else:
                assert source.is_dir()
    assert names == {"asset", "Shop", "ShopChildD68744B3", "Other", "ProdInner6AE3BBF4"}


def test_templates_name_these_keys_and_say_nothing_else_anew(built: Sandbox) -> None:
    changed = 0
    for file in sorted(built.path("build/cdk.out").rglob("*.template.json")):
        inside = file.relative_to(built.path("build/cdk.out"))
        before, now = read(built, f"cdk.out/{inside}"), json.loads(file.read_text())
        for name, resource in before["Resources"].items():
            other = now["Resources"][name]
            for property in ("Code", "Content"):
                code = other["Properties"].get(property, {})
                if "S3Key" in code and code != resource["Properties"][property]:
                    zip = file.parent / other["Metadata"]["aws:asset:path"]
                    assert code["S3Key"] == hashlib.sha256(zip.read_bytes()).hexdigest() + ".zip"
                    code["S3Key"] = resource["Properties"][property]["S3Key"]
                    other["Metadata"]["aws:asset:path"] = resource["Metadata"]["aws:asset:path"]
                    changed += 1
            if "TemplateURL" in other["Properties"]:
                old = resource["Properties"]["TemplateURL"]
                nested = file.parent / resource["Metadata"]["aws:asset:path"]
                key = hashlib.sha256(nested.read_bytes()).hexdigest() + ".json"
                assert key in json.dumps(other["Properties"]["TemplateURL"])
                other["Properties"]["TemplateURL"] = old
        assert now == before
    assert changed == 5


def test_stacks_are_deployed_from_the_new_templates(built: Sandbox) -> None:
    for folder in assemblies(built):
        for artifact in json.loads((folder / "manifest.json").read_text())["artifacts"].values():
            if artifact["type"] == "aws:cloudformation:stack":
                template = folder / artifact["properties"]["templateFile"]
                digest = hashlib.sha256(template.read_bytes()).hexdigest()
                assert artifact["properties"]["stackTemplateAssetObjectUrl"].endswith(f"/{digest}.json")


def test_the_cdks_command_line_takes_it(built: Sandbox, cdk_tools: Path) -> None:
    """`cdk deploy --app DIR` reads the same way; it needs an account."""
    app = ["--app", "build/cdk.out", "--no-notices", "--no-version-reporting"]
    environment = {"CDK_DISABLE_CLI_TELEMETRY": "1", "HOME": str(built.folder)}
    said = built.command([str(cdk_tools / ".bin/cdk"), "ls", *app], env=environment)
    assert said.out.split("\n")[:3] == ["Shop", "Other", "Prod/Inner (Prod-Inner)"], said.said
    shown = built.command([str(cdk_tools / ".bin/cdk"), "synth", "Shop", "--json", *app], env=environment)
    assert json.loads(shown.out)["Resources"] == read(built, "build/cdk.out/Shop.template.json")["Resources"]


def test_two_clones_write_the_same_assembly(built: Sandbox, synthesised: Path, tmp_path: Path) -> None:
    other = Sandbox(shutil.copytree(synthesised, tmp_path / "deep/er/clone"))
    other.build(env={"HOME": str(tmp_path / "home")})

    def content(project: Sandbox) -> dict[str, bytes]:
        top = project.path("build/cdk.out")
        return {str(path.relative_to(top)): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}

    assert content(other) == content(built)
    assert not any(".cache" in path for path in content(built))


def test_an_edit_changes_one_key_and_the_templates_above_it(project: Sandbox, cdk_python: Path, tmp_path: Path) -> None:
    project.build()
    before = {path.name for path in project.path("build/cdk.out").glob("asset.*")}
    project.append("refunds/app.py", "# edited\n")
    shutil.rmtree(project.path("cdk.out"))
    synth(project, cdk_python)
    ran = project.build()
    assert {step.split(":")[0] for step in ran.steps} == {"copy", "hash", "template", "tree", "upload", "zip"}
    assert all("Refunds" in step for step in ran.steps if step != "template")
    now = {path.name for path in project.path("build/cdk.out").glob("asset.*")}
    assert len(now - before) == 1
    assert len(before - now) == 1
    assert project.run().out.startswith("nothing to do")


def test_what_others_put_there_stays_and_what_is_damaged_is_made_again(project: Sandbox) -> None:
    project.write({"build/cdk.out/mine.txt": "mine\n"})
    ran = project.run()
    assert ran.code != 0
    assert "error[LB507]" in ran.said
    assert project.path("build/cdk.out/mine.txt").read_text() == "mine\n"
    project.path("build/cdk.out/mine.txt").unlink()
    project.path("build/cdk.out").rmdir()
    project.build()
    template = project.path("build/cdk.out/Shop.template.json")
    text = template.read_text()
    template.write_text("{}")
    assert project.build().steps == ["template"]
    assert template.read_text() == text
    project.write({"build/cdk.out/mine.txt": "mine\n"})
    assert project.run("clean").code == 0
    assert [path.name for path in project.path("build/cdk.out").rglob("*") if path.is_file()] == ["mine.txt"]


def test_a_stacks_template_alone_is_built_as_sam_builds_it(project: Sandbox, sam: Path, tmp_path: Path) -> None:
    path = f"{os.path.dirname(python_with_pip())}:{os.environ['PATH']}"
    subprocess.run(
        [sam, "build", "--template", "cdk.out/Other.template.json", "--build-dir", str(tmp_path / "theirs")],
        cwd=project.folder, env={**os.environ, "PATH": path, "SAM_CLI_TELEMETRY": "0"}, check=True, capture_output=True,
    )  # fmt: skip
    project.build("template=cdk.out/Other.template.json")

    def files(folder: Path) -> set[str]:
        return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.suffix == ".py"}

    (name,) = project.manifest["functions"]
    (folder,) = [path for path in (tmp_path / "theirs").iterdir() if path.is_dir() and path.name.startswith("Same")]
    assert files(project.path(f"build/{name}")) == files(folder)


BAD: dict[str, tuple[str, object, str]] = {
    "no manifest": ("manifest.json", None, "LB101"),
    "a manifest that is no JSON": ("manifest.json", "{", "LB104"),
    "a manifest of something else": ("manifest.json", "{}", "LB104"),
    "a list": ("manifest.json", "[]", "LB104"),
    "context that is missing": ("manifest.json", {"missing": [{"key": "vpc", "provider": "vpc-provider"}]}, "LB104"),
    "no stacks": ("manifest.json", {"artifacts": {}}, "LB104"),
    "no template": ("Shop.template.json", None, "LB101"),
    "a template that is no JSON": ("Shop.template.json", "Resources:", "LB104"),
    "a nested template that is not there": ("ShopChildD68744B3.nested.template.json", None, "LB101"),
    "a Stage that is not there": ("assembly-Prod/manifest.json", None, "LB101"),
    "a stack without a template": (
        "manifest.json", {"artifacts": {"A": {"type": "aws:cloudformation:stack", "properties": {}}}}, "LB104",
    ),
    "a Stage without a folder": (
        "manifest.json", {"artifacts": {"A": {"type": "cdk:cloud-assembly", "properties": {}}}}, "LB104",
    ),
    "code that is not there": ("asset.", None, "LB302"),
}  # fmt: skip


@pytest.mark.parametrize(("file", "change", "code"), BAD.values(), ids=BAD)
def test_a_broken_assembly_has_a_code_and_nothing_built_is_lost(
    project: Sandbox, file: str, change: object, code: str
) -> None:
    project.build()
    before = project.zips()
    path = project.path(f"cdk.out/{file}")
    if file == "asset.":
        template = read(project, "cdk.out/Other.template.json")
        (one,) = [one for one in template["Resources"].values() if one["Type"] == "AWS::Lambda::Function"]
        shutil.rmtree(project.path("cdk.out") / one["Metadata"]["aws:asset:path"])
    elif change is None:
        path.unlink()
    elif isinstance(change, dict):
        path.write_text(json.dumps(copy.deepcopy(read(project, f"cdk.out/{file}")) | change))
    else:
        path.write_text(str(change))
    ran = project.run("template=cdk.out")
    assert ran.code == 3, ran.said
    assert f"error[{code}]" in ran.err
    assert "help:" in ran.err
    assert project.zips() == before
