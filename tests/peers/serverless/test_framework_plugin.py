"""The plugin for the Serverless Framework: it deploys as ever, with the zips that lambdabuild built."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from peers.serverless.conftest import installed
from sandbox import ROOT, Ran, Sandbox

PLUGIN = ROOT / "lambdabuild/serverless_plugin"
STEP_FUNCTIONS = "serverless-step-functions@3.31.2"
HANDLER = "def handler(event, context):\n    return 1\n"
SERVICE = """
service: shop
provider: {name: aws, runtime: python3.11, stage: dev}
package: {individually: true}
plugins: [serverless-step-functions, serverless-lambdabuild]
custom:
  lambdabuild: {command: COMMAND, settings: {exclude: "*.md"}}
functions:
  orders: {handler: orders/app.handler, package: {patterns: ["!**", "orders/**"]}}
  refunds: {handler: refunds/app.handler, package: {patterns: ["!**", "refunds/**"]}}
stepFunctions:
  stateMachines:
    hello:
      definition: {StartAt: A, States: {A: {Type: Task, Resource: {"Fn::GetAtt": [orders, Arn]}, End: true}}}
"""
LAYERS = "layers:\n  tools: {path: tools}\n"
FILES = {
    "orders/app.py": HANDLER, "orders/README.md": "shipped, as its pattern says\n", "refunds/app.py": HANDLER + "# refunds\n",
    "tools/python/tool.py": "X = 1\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def modules() -> Path:
    return installed(STEP_FUNCTIONS) / "node_modules"


@pytest.fixture
def service(tmp_path: Path, modules: Path) -> Sandbox:
    project = Sandbox(tmp_path / "service").write(FILES)
    project.path("node_modules").mkdir()
    for module in modules.iterdir():
        project.path(f"node_modules/{module.name}").symlink_to(module)
    shutil.copytree(PLUGIN, project.path("node_modules/serverless-lambdabuild"))
    return described(project)


def described(project: Sandbox, text: str = SERVICE) -> Sandbox:
    command = json.dumps([sys.executable, "-m", "lambdabuild"])
    return project.write({"serverless.yml": text.replace("COMMAND", command)})


def sls(project: Sandbox, program: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Ran:
    """Run a command of the Serverless Framework."""
    words = arguments or ("package",)
    return project.command(
        ["node", str(program), *words],
        env={
            "HOME": str(project.folder.parent), "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
            "SLS_TELEMETRY_DISABLED": "1", "SLS_NOTIFICATIONS_MODE": "off", **(env or {}),
        },
    )  # fmt: skip


def template(project: Sandbox) -> dict:
    return json.loads(project.path(".serverless/cloudformation-template-update-stack.json").read_text())["Resources"]


def zips(project: Sandbox) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in project.path(".serverless").glob("*.zip")}


@pytest.fixture(params=["serverless", "osls"])
def program(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def test_the_framework_packages_our_zips_and_its_plugins_do_their_work(service: Sandbox, program: Path) -> None:
    ran = sls(service, program)
    assert ran.code == 0, ran.said
    resources = template(service)
    assert "AWS::StepFunctions::StateMachine" in {resource["Type"] for resource in resources.values()}
    assert zips(service) == {name: service.path(f"build/{name}.zip").read_bytes() for name in ("orders", "refunds")}
    assert service.names("orders") == ["orders/README.md", "orders/app.py"]
    key = resources["OrdersLambdaFunction"]["Properties"]["Code"]["S3Key"]
    assert key.endswith("/orders.zip")
    digest = base64.b64encode(hashlib.sha256(zips(service)["orders"]).digest()).decode()
    versions = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::Lambda::Version"]
    assert digest in {version.get("CodeSha256") for version in versions}


def test_a_second_package_runs_no_step_and_an_edit_those_of_one_function(service: Sandbox, serverless: Path) -> None:
    assert sls(service, serverless).code == 0
    first, resources = zips(service), template(service)
    again = sls(service, serverless)
    assert "copy:" not in again.said
    assert zips(service) == first
    service.append("refunds/app.py", "# edited\n")
    ran = sls(service, serverless)
    assert "copy:refunds" in ran.said
    assert zips(service)["orders"] == first["orders"]
    assert zips(service)["refunds"] != first["refunds"]
    assert sorted(template(service)) != sorted(resources)  # the version's logical id holds the digest


def test_the_zips_are_those_of_a_service_that_lambdabuild_compiles(service: Sandbox, serverless: Path) -> None:
    assert sls(service, serverless).code == 0
    alone = described(service, SERVICE.partition("stepFunctions:")[0].replace(
        "plugins: [serverless-step-functions, serverless-lambdabuild]", "")
    )  # fmt: skip
    alone.build("build_dir=compiled", "exclude=*.md")
    compiled = {name: alone.path(f"compiled/{name}.zip").read_bytes() for name in ("orders", "refunds")}
    assert compiled == zips(service)


def test_layers_have_our_zips_under_names_of_their_own(service: Sandbox, serverless: Path, cloud: str) -> None:
    described(service, SERVICE.partition("stepFunctions:")[0].replace("refunds:", "tools:", 1) + LAYERS)
    ran = sls(service, serverless, env={"NODE_OPTIONS": f"--require {cloud}"})
    assert ran.code == 0, ran.said
    assert sorted(zips(service)) == ["layer-tools", "orders", "tools"]
    resources = template(service)
    assert resources["ToolsLambdaLayer"]["Properties"]["Content"]["S3Key"].endswith("/layer-tools.zip")
    assert resources["ToolsLambdaFunction"]["Properties"]["Code"]["S3Key"].endswith("/tools.zip")


def test_what_has_an_artifact_is_left_alone(service: Sandbox, serverless: Path) -> None:
    shutil.make_archive(str(service.path("mine")), "zip", service.path("refunds"))
    described(service, SERVICE.replace('package: {patterns: ["!**", "refunds/**"]}', "package: {artifact: mine.zip}"))
    ran = sls(service, serverless)
    assert ran.code == 0, ran.said
    assert sorted(zips(service)) == ["orders"]
    assert template(service)["RefundsLambdaFunction"]["Properties"]["Code"]["S3Key"].endswith("/mine.zip")


def test_a_service_that_is_packed_as_one_has_one_zip_of_ours_for_all(service: Sandbox, serverless: Path) -> None:
    described(service, SERVICE.replace("individually: true", 'patterns: ["!node_modules/**"]'))
    assert sls(service, serverless).code == 0
    keys = {one["Properties"]["Code"]["S3Key"].rpartition("/")[2] for one in template(service).values()
            if one["Type"] == "AWS::Lambda::Function"}  # fmt: skip
    assert keys == {"orders.zip", "refunds.zip"}


BAD = {
    "a handler that is not there": ({}, SERVICE.replace("orders/app.handler", "orders/ap.handler"), "LB409"),
    "a setting of the wrong kind": ({}, SERVICE.replace('exclude: "*.md"', "jobs: many"), "LB107"),
    "a plugin that compiles too": (
        {"node_modules/serverless-webpack/index.js": "module.exports = class {};\n",
         "node_modules/serverless-webpack/package.json": '{"name": "serverless-webpack", "version": "5.0.0"}'},
        SERVICE.replace("plugins: [", "plugins: [serverless-webpack, "), "LB115",
    ),
    "a setting that does not exist": ({}, SERVICE.replace('exclude: "*.md"', "excldue: 1"), "LB107"),
    "a program that does not exist": ({}, SERVICE.replace("COMMAND", "no-such-program"), "is not on PATH"),
}  # fmt: skip


@pytest.mark.parametrize(("files", "text", "message"), BAD.values(), ids=BAD)
def test_a_mistake_fails_the_package_in_our_words_and_nothing_built_is_lost(
    service: Sandbox, serverless: Path, files: dict[str, str], text: str, message: str
) -> None:
    assert sls(service, serverless).code == 0
    before = service.path("build/orders.zip").read_bytes()
    described(service.write(files), text)
    ran = sls(service, serverless, env={"LAMBDABUILD_CHECK_HANDLER": "true"})
    assert ran.code != 0, ran.said
    assert message in ran.said
    assert service.path("build/orders.zip").read_bytes() == before


def test_without_the_plugin_the_way_out_is_named(service: Sandbox) -> None:
    described(service, SERVICE.replace(", serverless-lambdabuild", ""))
    ran = service.run()
    assert ran.code == 3
    assert "error[LB115]" in ran.err
    assert "serverless-step-functions: it adds state machines and their roles" in ran.err
    assert "keep the Serverless Framework with the plugin serverless-lambdabuild" in ran.err
    assert 'plugins_ignored = ["serverless-step-functions"]' in ran.err


def test_it_can_be_packed_for_the_registry(tmp_path: Path) -> None:
    shutil.copytree(PLUGIN, tmp_path / "plugin")
    said = subprocess.run(
        ["npm", "pack", "--json", "--silent"], cwd=tmp_path / "plugin", capture_output=True, text=True, check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert sorted(file["path"] for file in json.loads(said.stdout)[0]["files"]) == [
        "README.md", "index.js", "package.json",
    ]  # fmt: skip
