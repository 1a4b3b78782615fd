"""A project without a template: `lambdabuild init` describes it, a build makes it, `lambdabuild output` says where."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from s3_server import S3Server
from sandbox import Sandbox

HANDLER = "def handler(event, context):\n    return 1\n"
TWO = {
    "lambdabuild.toml": """
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
    """,
    "src/orders/app.py": HANDLER,
    "src/refunds/app.py": HANDLER + "# refunds\n",
    "tools/python/tool.py": "X = 1\n",
}


@pytest.fixture
def two(project: Sandbox) -> Sandbox:
    return project.write(TWO)


def output(project: Sandbox, *arguments: str, **more: object) -> dict:
    ran = project.run("output", *arguments, **more)
    assert ran.code == 0, ran.said
    return json.loads(ran.out)


# a build


def test_functions_of_the_settings_are_built_and_a_second_run_runs_nothing(two: Sandbox) -> None:
    ran = two.build()
    assert [step for step in ran.steps if "Orders" in step] == [
        "copy:Orders", "hash:Orders", "tree:Orders", "upload:Orders", "zip:Orders",
    ]  # fmt: skip
    assert two.names("Orders") == ["app.py"]
    assert two.path("build/Orders/app.py").read_text() == HANDLER
    assert sorted(two.manifest["functions"]) == ["Orders", "Refunds"]
    assert two.manifest["templates"] == {}
    assert "nothing to do: 2 functions and 1 layer up to date" in two.run().out


def test_it_gives_the_zip_that_a_template_gives(two: Sandbox, tmp_path: Path) -> None:
    template = Sandbox(tmp_path / "template").write(
        {
            "template.yaml": """
                Transform: AWS::Serverless-2016-10-31
                Resources:
                  Orders:
                    Type: AWS::Serverless::Function
                    Properties: {Runtime: python3.11, Handler: app.handler, CodeUri: src/orders}
            """,
            "src/orders/app.py": HANDLER,
        }
    )
    two.build()
    template.build()
    assert two.zips()["Orders.zip"] == template.zips()["Orders.zip"]


def test_a_change_of_the_description_builds_that_function_again(two: Sandbox) -> None:
    two.build()
    text = two.path("lambdabuild.toml").read_text()
    two.path("lambdabuild.toml").write_text(text.replace('path = "src/refunds"', 'path = "src/orders"'))
    ran = two.build()
    assert "copy:Refunds" in ran.steps
    assert "copy:Orders" not in ran.steps
    assert two.zips()["Refunds.zip"] == two.zips()["Orders.zip"]


def test_a_missing_folder_is_an_error_about_the_table(two: Sandbox) -> None:
    shutil.rmtree(two.path("src/refunds"))
    ran = two.run()
    assert ran.code == 3
    assert "error[LB302]" in ran.err
    assert "correct [functions.Refunds] path" in ran.err
    assert "lambdabuild.toml:8:2" in ran.err


# init

INIT = {
    "python": (
        {"src/orders/app.py": HANDLER, "src/orders/requirements.txt": "idna==3.10\n"},
        {"orders": ("python3.13", "app.handler", "src/orders")},
    ),
    "a Python package": (
        {"shop/__init__.py": "", "shop/api.py": "def lambda_handler(event, context): pass\n"},
        {"shop": ("python3.13", "shop.api.lambda_handler", ".")},
    ),
    "the version that is pinned": (
        {"app.py": HANDLER, ".python-version": "3.12.4\n"},
        {"project": ("python3.12", "app.handler", ".")},
    ),
    "Node.js": (
        {"thumbs/index.mjs": "export const handler = async () => 1;\n"},
        {"thumbs": ("nodejs22.x", "index.handler", "thumbs")},
    ),
    "several in one folder": (
        {"package.json": "{}", "src/a.js": "exports.handler = 1;\n", "src/b.js": "exports.handler = 2;\n"},
        {"a": ("nodejs22.x", "src/a.handler", "."), "b": ("nodejs22.x", "src/b.handler", ".")},
    ),
    "Go": (
        {
            "go.mod": "module example.com/x\n\ngo 1.21\n",
            "cmd/track/main.go": "package main\n\nfunc main() { lambda.Start(nil) }\n",
            "cmd/tool/main.go": "package main\n\nfunc main() {}\n",
        },
        {"track": ("provided.al2023", "bootstrap", "cmd/track")},
    ),
    "Ruby": (
        {"mail/app.rb": "def handler(event:, context:)\nend\n"},
        {"mail": ("ruby3.4", "app.handler", "mail")},
    ),
    "Java": (
        {
            "pom.xml": "<project><properties><maven.compiler.release>17</maven.compiler.release></properties></project>",
            "src/main/java/com/acme/App.java": "package com.acme;\npublic class App implements RequestHandler<A, B> {}\n",
        },
        {"acme": ("java17", "com.acme.App::handleRequest", ".")},
    ),
    "tests and packages of others": (
        {"app.py": HANDLER, "tests/test_app.py": HANDLER, "node_modules/x/index.js": "exports.handler = 1;\n"},
        {"project": ("python3.13", "app.handler", ".")},
    ),
}


@pytest.mark.parametrize(("files", "expected"), INIT.values(), ids=INIT)
def test_init_describes_the_functions_that_it_finds(
    project: Sandbox, files: dict[str, str], expected: dict[str, tuple[str, str, str]]
) -> None:
    project.write(files)
    ran = project.run("init")
    assert ran.code == 0, ran.said
    plan = json.loads(project.run("plan", "--format", "json").out)
    described = {
        user: (build["key"]["runtime"], build["key"]["source"]) for build in plan["builds"] for user in build["users"]
    }
    assert described == {name: (runtime, path) for name, (runtime, _, path) in expected.items()}
    written = project.path("lambdabuild.toml").read_text()
    assert all(f'handler = "{handler}"' in written for _, handler, _ in expected.values())


def test_what_init_writes_builds(project: Sandbox) -> None:
    project.write({"src/orders/app.py": HANDLER, "src/orders/requirements.txt": "idna==3.10\n"})
    assert project.run("init").code == 0
    project.build()
    assert "app.py" in project.names("orders")
    assert "idna/core.py" in project.names("orders")


def test_init_writes_no_settings_where_there_is_no_function(project: Sandbox) -> None:
    project.write({"README.md": "nothing here\n"})
    ran = project.run("init")
    assert ran.code == 2
    assert "no function to be found" in ran.err
    assert sorted(path.name for path in project.folder.iterdir()) == ["README.md"]


def test_init_beside_a_description_writes_a_dodo_file_and_changes_nothing(two: Sandbox) -> None:
    before = two.path("lambdabuild.toml").read_text()
    assert two.run("init").out == "wrote dodo.py; now type doit\n"
    assert two.path("lambdabuild.toml").read_text() == before
    assert two.run("init").code == 2


def test_the_terraform_module_is_written_once_and_never_over_other_files(project: Sandbox) -> None:
    assert project.run("init", "--terraform").code == 0
    assert project.run("init", "--terraform").code == 0
    main = project.path("lambdabuild/main.tf")
    main.write_text(main.read_text() + "# mine\n")
    ran = project.run("init", "--terraform")
    assert ran.code == 2
    assert "already exists, with another content" in ran.err
    assert main.read_text().endswith("# mine\n")


# output


def test_output_builds_what_is_asked_for_and_says_where_it_is(two: Sandbox) -> None:
    item = output(two, "Orders")
    content = two.path("build/Orders.zip").read_bytes()
    assert (item["name"], item["kind"], item["zip"], item["tree"]) == (
        "Orders", "zip", "build/Orders.zip", "build/Orders",
    )  # fmt: skip
    assert item["sha256"] == hashlib.sha256(content).hexdigest()
    assert item["code_sha256"] == base64.b64encode(hashlib.sha256(content).digest()).decode()
    assert item["zip_bytes"] == len(content)
    assert two.path(item["location"]).read_bytes() == content
    assert [(layer["name"], layer["zip"]) for layer in item["layers"]] == [("tools", "build/tools.zip")]
    assert two.path("build/tools.zip").exists()
    assert not two.path("build/Refunds.zip").exists()


def test_output_of_what_is_up_to_date_says_the_same_without_a_word_else(two: Sandbox) -> None:
    first = output(two, "Orders")
    two.build()
    again = two.run("output", "Orders")
    assert json.loads(again.out) == first
    assert again.err == ""


def test_output_after_an_edit_is_that_of_the_edit(two: Sandbox) -> None:
    two.build()
    first = output(two, "Orders")
    two.append("src/orders/app.py", "# edited\n")
    assert output(two, "Orders")["sha256"] != first["sha256"]
    two.append("tools/python/tool.py", "# edited\n")
    assert output(two, "Orders")["layers"] != first["layers"]


def test_output_of_several_is_by_name(two: Sandbox) -> None:
    assert sorted(output(two, "Orders", "Refunds", "tools")) == ["Orders", "Refunds", "tools"]


def test_paths_are_as_seen_from_where_the_user_stands(two: Sandbox) -> None:
    item = json.loads(subprocess.run(
        [sys.executable, "-m", "lambdabuild", "output", "Orders"], cwd=two.path("src/orders"), env=two.environment(), capture_output=True,
        check=True,
    ).stdout)  # fmt: skip
    assert item["zip"] == "../../build/Orders.zip"


def test_a_shell_takes_it_as_variables(two: Sandbox) -> None:
    ran = two.run("output", "Orders", "--for", "env")
    shell = subprocess.run(
        ["sh", "-c", f"{ran.out}\necho $ORDERS_ZIP $ORDERS_CODE_SHA256"], capture_output=True, text=True, check=True
    )
    assert shell.stdout.split() == ["build/Orders.zip", output(two, "Orders")["code_sha256"]]


def test_cdk_takes_a_path_and_a_hash(two: Sandbox) -> None:
    item = output(two, "Orders")
    (layer,) = item["layers"]
    assert output(two, "Orders", "--for", "cdk") == {
        "Orders": {
            "path": "build/Orders.zip",
            "assetHash": item["sha256"],
            "layers": [{"name": "tools", "path": "build/tools.zip", "assetHash": layer["sha256"]}],
        }
    }


def test_a_bucket_is_told_with_its_key(two: Sandbox) -> None:
    with S3Server() as s3:
        s3.bucket("artifacts")
        arguments = ("bucket=artifacts", f"endpoint_url={s3.url}", "region=eu-west-1")
        item = output(two, "Orders", *arguments, env=s3.environment)
        flat = output(two, "Orders", "--for", "terraform", *arguments, env=s3.environment)
    assert item["location"] == f"s3://artifacts/{item['key']}"
    assert (flat["filename"], flat["s3_bucket"], flat["s3_key"]) == ("", "artifacts", item["key"])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "name a function, a layer or a source"),
        (["Ordres"], 2, "did you mean 'Orders'?"),
        (["Orders", "--for", "pulumi"], 2, "option --for takes one of"),
        (["Orders", "Refunds", "--for", "terraform"], 2, "takes one name"),
        (["Orders", "functions.Orders.path=nowhere"], 3, "error[LB302]"),
        (["Orders", "functions.Orders.runtime=cobol"], 3, "error[LB301]"),
    ],
)
def test_a_mistake_prints_nothing_on_standard_output(
    two: Sandbox, arguments: list[str], code: int, message: str
) -> None:
    two.build()
    before = two.zips()
    ran = two.run("output", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err
    assert two.zips() == before


@pytest.mark.parametrize("text", ["[]", "{", '{"name": 3}', '"Orders"'])
def test_a_query_that_is_no_object_of_texts_is_refused(two: Sandbox, text: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "lambdabuild", "output", "--for", "terraform"], cwd=two.folder, env=two.environment(), input=text,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "no JSON object of texts" in ran.stderr


# the manifest


def test_the_manifest_is_as_its_schema_says(two: Sandbox) -> None:
    two.build()
    schema = json.loads(two.run("schema", "manifest").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(two.manifest, schema)
    broken = two.manifest
    del broken["functions"]["Orders"]["code_sha256"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)
