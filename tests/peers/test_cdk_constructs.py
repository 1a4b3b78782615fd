"""The constructs for the AWS CDK, in Python and in TypeScript: one run builds an app, and assets are what was built."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from cdk import CONTEXT, cdk_modules, cdk_python
from sandbox import ROOT, Ran, Sandbox

__all__ = ["cdk_modules", "cdk_python"]

PYTHON_APP = """
import aws_cdk as cdk
from aws_cdk import aws_lambda as l
from lambdabuild.cdk import Function, Layer

PYTHON = dict(runtime=l.Runtime.PYTHON_3_11, handler="app.handler")

class Child(cdk.NestedStack):
    def __init__(self, scope, id):
        super().__init__(scope, id)
        Function(self, "Refunds", path="refunds", memory_size=256, **PYTHON)

class Shop(cdk.Stack):
    def __init__(self, scope, id):
        super().__init__(scope, id)
        tools = Layer(self, "Tools", path="tools", compatible_runtimes=[PYTHON["runtime"]])
        orders = Function(self, "Orders", path="orders", layers=[tools], settings={"exclude": ["*.md"]}, **PYTHON)
        orders.current_version
        Child(self, "Child")

class Prod(cdk.Stage):
    def __init__(self, scope, id):
        super().__init__(scope, id)
        Shop(self, "Inner")

app = cdk.App()
Shop(app, "Shop")
Prod(app, "Prod")
app.synth()
"""
TYPESCRIPT_APP = """
import * as cdk from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { LambdabuildFunction, LambdabuildLayer, setCommand } from 'lambdabuild-cdk';

const runtime = lambda.Runtime.PYTHON_3_11, handler = 'app.handler';

class Child extends cdk.NestedStack {
  constructor(scope: Construct, id: string) {
    super(scope, id);
    new LambdabuildFunction(this, 'Refunds', { path: 'refunds', runtime, handler, memorySize: 256 });
  }
}

class Shop extends cdk.Stack {
  constructor(scope: Construct, id: string) {
    super(scope, id);
    const tools = new LambdabuildLayer(this, 'Tools', { path: 'tools', compatibleRuntimes: [runtime] });
    const settings = { exclude: ['*.md'] };
    const orders = new LambdabuildFunction(this, 'Orders', { path: 'orders', runtime, handler, layers: [tools], settings });
    orders.currentVersion;
    new Child(this, 'Child');
  }
}

class Prod extends cdk.Stage {
  constructor(scope: Construct, id: string) {
    super(scope, id);
    new Shop(this, 'Inner');
  }
}

const app = new cdk.App();
setCommand(app, [process.env.PYTHON!, '-m', 'lambdabuild']);
new Shop(app, 'Shop');
new Prod(app, 'Prod');
app.synth();
"""
HANDLER = "def handler(event, context):\n    return 1\n"
FILES = {
    "orders/app.py": HANDLER, "orders/requirements.txt": "idna==3.10\n", "orders/README.md": "x\n",
    "refunds/app.py": HANDLER + "# refunds\n", "tools/python/tool.py": "X = 1\n",
}  # fmt: skip


@dataclass(frozen=True)
class App:
    """An app of the CDK in a folder, and what runs it."""

    project: Sandbox
    command: list[str]
    env: Mapping[str, str]

    def synth(self, *, stacks: str = '["**"]') -> Ran:
        context = json.loads(CONTEXT) | {"aws:cdk:bundling-stacks": json.loads(stacks)}
        env = {**self.env, "CDK_OUTDIR": str(self.project.path("cdk.out")), "CDK_CONTEXT_JSON": json.dumps(context),
               "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1"}  # fmt: skip
        return self.project.command(self.command, env=env)

    def must(self, **more: str) -> Ran:
        ran = self.synth(**more)
        assert ran.code == 0, ran.said
        return ran

    def keys(self) -> dict[str, str]:
        """The key of each function and layer, by stack and logical id."""
        keys = {}
        for path in sorted(self.project.path("cdk.out").rglob("*.template.json")):
            for name, one in json.loads(path.read_text())["Resources"].items():
                code = one.get("Properties", {}).get("Code") or one.get("Properties", {}).get("Content")
                if isinstance(code, dict) and "S3Key" in code:
                    keys[f"{path.name.partition('.')[0]}/{name[:-8]}"] = code["S3Key"]
        return keys


def app_in(language: str, folder: Path, request: pytest.FixtureRequest) -> App:
    project = Sandbox(folder).write(FILES)
    if language == "Python":
        project.write({"app.py": PYTHON_APP})
        # The constructs run lambdabuild by their own interpreter; here it is that of the tests.
        site = next(path for path in sys.path if path.endswith("site-packages"))
        path = os.pathsep.join([str(ROOT), site])
        return App(project, [str(request.getfixturevalue("cdk_python")), "app.py"], {"PYTHONPATH": path})
    project.write({"app.ts": TYPESCRIPT_APP})
    modules = project.path("node_modules")
    modules.mkdir()
    for module in request.getfixturevalue("cdk_modules").iterdir():
        (modules / module.name).symlink_to(module)
    shutil.copytree(ROOT / "lambdabuild/cdk/npm", modules / "lambdabuild-cdk")
    compiled = subprocess.run(
        ["node", "node_modules/typescript/bin/tsc", "--strict", "--skipLibCheck", "--target", "es2022", "--module",
         "node16", "--types", "node", "--preserveSymlinks", "app.ts"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert compiled.returncode == 0, compiled.stdout
    command = ["node", "--preserve-symlinks", "--preserve-symlinks-main", "app.js"]
    return App(project, command, {"PYTHON": sys.executable})


@pytest.fixture(params=["Python", "TypeScript"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> App:
    return app_in(request.param, tmp_path / "app", request)


def test_one_run_builds_all_functions_and_each_key_is_the_digest_of_its_zip(app: App) -> None:
    ran = app.must()
    assert ran.said.count("built 4 functions and 2 layers") == 1
    assert ran.said.count("steps run") == 1
    keys = app.keys()
    assert {name.split("/")[1] for name in keys} == {"Orders", "Refunds", "Tools"}
    for key in keys.values():
        content = app.project.path(f"cdk.out/asset.{key}").read_bytes()
        assert key == hashlib.sha256(content).hexdigest() + ".zip"
    assert len(set(keys.values())) == 3
    assert len(keys) == 6


def test_assets_are_published_as_files_from_every_stack_that_has_them(app: App) -> None:
    app.must()
    for path in sorted(app.project.path("cdk.out").rglob("*.assets.json")):
        files = json.loads(path.read_text())["files"]
        zips = {name: one for name, one in files.items() if one["source"]["path"].endswith(".zip")}
        assert len(zips) == 3
        for name, one in zips.items():
            assert one["source"]["packaging"] == "file"
            assert (path.parent / one["source"]["path"]).name == f"asset.{name}.zip"
            assert (path.parent / one["source"]["path"]).exists()


def test_a_second_synth_runs_no_step_and_an_edit_those_of_one_folder(app: App) -> None:
    app.must()
    before = app.keys()
    assert "steps run" not in app.must().said
    assert app.keys() == before
    app.project.append("refunds/app.py", "# edited\n")
    ran = app.must()
    assert "copy:" in ran.said
    assert "Orders" not in "".join(line for line in ran.said.splitlines() if line.startswith("copy:"))
    now = app.keys()
    assert {name.split("/")[1] for name in now if now[name] != before[name]} == {"Refunds"}


def test_nothing_is_built_for_what_deploys_nothing(app: App) -> None:
    """`cdk ls` and `cdk destroy` bundle no stacks."""
    ran = app.must(stacks="[]")
    assert "steps run" not in ran.said
    assert not app.project.path("build").exists()
    assert set(app.keys().values()) == {"lambdabuild-has-not-built-it.zip"}


def test_a_build_that_fails_fails_the_synth_in_our_words(app: App) -> None:
    shutil.rmtree(app.project.path("refunds"))
    ran = app.synth()
    assert ran.code != 0
    assert "error[LB302]" in ran.said
    assert "lambdabuild failed with exit code 3" in ran.said


def test_both_languages_give_the_zips_that_settings_give(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    apps = [app_in(language, tmp_path / language, request) for language in ("Python", "TypeScript")]
    for app in apps:
        app.must()
    assert apps[0].keys() == apps[1].keys()
    settings = Sandbox(tmp_path / "settings").write(FILES)
    common = ["runtime=python3.11", "handler=app.handler", "exclude=*.md"]
    settings.build(*(f"functions.Orders.{one}" for one in ("path=orders", *common)))
    digest = settings.manifest["functions"]["Orders"]["sha256"]
    assert apps[0].keys()["Shop/Orders"] == f"{digest}.zip"


def test_the_package_can_be_packed_for_the_registry(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "lambdabuild/cdk/npm", tmp_path / "package")
    said = subprocess.run(
        ["npm", "pack", "--json", "--silent"], cwd=tmp_path / "package", capture_output=True, text=True, check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    names = {file["path"] for file in json.loads(said.stdout)[0]["files"]}
    assert names == {"README.md", "index.d.ts", "index.js", "package.json"}
