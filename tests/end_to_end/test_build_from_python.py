"""lambdabuild.build(): what a Python program gets, and a program of Pulumi that takes it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from filelock import FileLock
from lambda_builders import CACHE
from sandbox import ROOT, Sandbox

import lambdabuild
from lambdabuild.core.errors import BadSettings, NoSource, ToolFailed

PULUMI = "pulumi==3.272.0"
SETTINGS = """
    [functions."*"]
    runtime = "python3.11"
    handler = "app.handler"
    [functions.Orders]
    path = "src/orders"
    layers = ["tools"]
    [functions.Refunds]
    path = "src/refunds"
    architecture = "arm64"
    [layers.tools]
    path = "tools"
"""
FILES = {
    "src/orders/app.py": "def handler(event, context): return 1\n",
    "src/refunds/app.py": "def handler(event, context): return 2\n",
    "tools/python/tool.py": "X = 1\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("LAMBDABUILD_CACHE__ENABLED", "false")
    return Sandbox(tmp_path / "shop").write({**FILES, "lambdabuild.toml": SETTINGS})


def test_everything_is_built_by_default(project: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    built = lambdabuild.build(project.folder)
    assert sorted(built) == ["Orders", "Refunds", "tools"]
    orders = built["Orders"]
    bytes_of_zip = Path(orders.zip).read_bytes()
    assert orders.zip == str(project.path("build/Orders.zip"))
    assert orders.sha256 == hashlib.sha256(bytes_of_zip).hexdigest()
    assert orders.code_sha256 == base64.b64encode(hashlib.sha256(bytes_of_zip).digest()).decode()
    assert orders.zip_bytes == len(bytes_of_zip)
    assert (orders.runtime, orders.architecture, orders.handler) == ("python3.11", "x86_64", "app.handler")
    assert orders.layers == (built["tools"],)
    assert built["Refunds"].architecture == "arm64"
    assert (orders.s3_bucket, orders.s3_key, orders.image) == ("", "", "")
    assert "built 2 functions and 1 layer" in capfd.readouterr().err

    assert lambdabuild.build(project.folder) == built
    assert capfd.readouterr() == ("", "")


def test_a_name_builds_that_alone(project: Sandbox) -> None:
    assert list(lambdabuild.build(str(project.folder), ["Refunds"])) == ["Refunds"]
    assert not project.path("build/Orders.zip").exists()
    assert sorted(lambdabuild.build(project.folder, ["Refunds", "tools"])) == ["Refunds", "tools"]


def test_settings_need_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Sandbox(tmp_path).write(
        {**FILES, "src/orders/secret.txt": "x", "json.py": "raise SystemExit('not ours')\n"}
    )
    monkeypatch.chdir(project.folder)
    orders = {"path": Path("src/orders"), "runtime": "python3.11", "exclude": ["secret.txt"], "check_handler": False}
    built = lambdabuild.build(functions={"Orders": orders}, settings={"build_dir": "out"}, paranoid=True)
    assert list(built) == ["Orders"]
    assert built["Orders"].zip == str(project.path("out/Orders.zip"))
    assert project.names("Orders", "out") == ["app.py"]


def test_no_template_is_read_if_there_is_to_be_none(project: Sandbox) -> None:
    project.write(
        {"template.yaml": "Resources: {Other: {Type: AWS::Serverless::Function, Properties: {CodeUri: nope}}}"}
    )
    assert project.run("build").code == 3
    assert project.run("build", "template=none").code == 0
    assert sorted(lambdabuild.build(project.folder, template="none")) == ["Orders", "Refunds", "tools"]


def test_output_of_everything_is_an_object_by_name_and_takes_no_names(project: Sandbox) -> None:
    for _ in range(2):
        ran = project.run("output", "--all", "--for", "cdk")
        assert ran.code == 0, ran.said
        assert sorted(json.loads(ran.out)) == ["Orders", "Refunds", "tools"]
    assert project.run("output", "--all", "Orders").code == 2
    assert project.run("output", "--all", "--for", "terraform").code == 2


def test_a_layer_that_is_named_besides_its_function_is_built_once(project: Sandbox) -> None:
    for _ in range(2):
        ran = project.run("output", "Orders", "tools")
        assert ran.code == 0, ran.said


def test_a_build_that_fails_raises_with_lambdabuilds_own_words(project: Sandbox, tmp_path: Path) -> None:
    built = lambdabuild.build(project.folder)
    before = Path(built["Orders"].zip).read_bytes()
    project.write({"src/orders/requirements.txt": "idna==999.0\n"})
    with pytest.raises(ToolFailed) as failed:
        lambdabuild.build(project.folder, ["Orders"])
    assert "LB408" in failed.value.tail
    assert "idna==999.0" in str(failed.value)
    assert Path(built["Orders"].zip).read_bytes() == before
    with pytest.raises(ToolFailed, match="did you mean 'Refunds'"):
        lambdabuild.build(project.folder, ["Refunsd"])
    with pytest.raises(BadSettings, match="exclude cannot be"):
        lambdabuild.build(project.folder, functions={"F": {"exclude": ["a,b"]}})
    with pytest.raises(NoSource, match="nowhere is not a folder"):
        lambdabuild.build(tmp_path / "nowhere")


@pytest.fixture(scope="session")
def pulumi_python() -> Path:
    """An interpreter that can import pulumi."""
    folder = CACHE / PULUMI
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "pulumi.lock"):
        if not (folder / "done").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(folder / "bin/python")]
            subprocess.run([*uv, "--compile-bytecode", PULUMI], check=True)
            (folder / "done").touch()
    return folder / "bin/python"


PROGRAM = """
import json, os
import pulumi

class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        code = args.inputs["code"]
        assert isinstance(code, pulumi.FileArchive), code
        seen[args.name] = {**args.inputs, "code": code.path}
        return args.name, args.inputs

    def call(self, args):
        return {}

seen = {}
pulumi.runtime.set_mocks(Mocks(), preview=False)

class Function(pulumi.CustomResource):
    # What pulumi_aws sends to the engine, without its 100 MB.
    def __init__(self, name, **inputs):
        super().__init__("aws:lambda/function:Function", name, inputs)

def program():
EXAMPLE

pulumi.runtime.test(program)()
json.dump(seen, open("seen.json", "w"))
"""


@pytest.mark.parametrize("example", [0, 1])
def test_the_examples_of_the_guide_give_pulumi_our_zips(example: int, project: Sandbox, pulumi_python: Path) -> None:
    guide = (ROOT / "docs/guides/pulumi.md").read_text()
    text = guide.split("```python\n")[1 + example].partition("```")[0]
    text = text.replace("import pulumi_aws as aws\n", "").replace("aws.lambda_.Function", "Function")
    text = text.replace("role.arn", '"arn:aws:iam::123456789012:role/shop"')
    project.write({"__main__.py": PROGRAM.replace("EXAMPLE", "".join(f"    {line}\n" for line in text.splitlines()))})
    project.write(
        {
            "lambdabuild.toml": SETTINGS.replace('[layers.tools]\n    path = "tools"', "").replace(
                'layers = ["tools"]', ""
            )
        }
    )
    project.build()
    on = {"PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])}
    ran = project.command([str(pulumi_python), "__main__.py"], env=on)
    assert ran.code == 0, ran.said
    seen = json.loads(project.path("seen.json").read_text())
    zips = {name: project.path(one["code"]).read_bytes() for name, one in seen.items()}
    built = {name: project.path(f"build/{name}.zip").read_bytes() for name in ("Orders", "Refunds")}
    assert zips == ({"orders": built["Orders"]} if example == 0 else built)
