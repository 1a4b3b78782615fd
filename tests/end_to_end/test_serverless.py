"""A serverless.yml built, packaged, published and changed, as its users would."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from s3_server import S3Server
from sandbox import Sandbox, sample_app

HEAD = "service: shop\nprovider: {name: aws, runtime: python3.11}\n"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server() as running:
        yield running


def template(project: Sandbox) -> dict[str, Any]:
    return json.loads(project.path("build/packaged-template.json").read_text())


def of_type(project: Sandbox, kind: str) -> dict[str, Any]:
    return {key: one for key, one in template(project)["Resources"].items() if one["Type"] == kind}


# the sample app, told twice


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    app = sample_app(tmp_path_factory.mktemp("serverless") / "app")
    app.build("template=serverless.yml", "build_dir=build")
    return app


def test_both_tellings_of_the_sample_app_give_the_same_zips(sample: Sandbox, tmp_path: Path) -> None:
    sam = sample_app(tmp_path / "app")
    sam.build()
    of_sam = {name.rpartition("/")[2]: content for name, content in sam.zips().items()}

    assert len(of_sam) == 16
    assert sample.zips() == of_sam


def test_a_second_run_does_nothing(sample: Sandbox) -> None:
    assert sample.build("template=serverless.yml").steps == []


def test_more_memory_for_one_function_is_another_template_and_version_and_no_upload(sample: Sandbox) -> None:
    before = template(sample)["Resources"]
    text = sample.path("serverless.yml").read_text()
    sample.write({"serverless.yml": text.replace("handler: app.get", "handler: app.get\n    memorySize: 512")})
    ran = sample.build("template=serverless.yml")
    after = template(sample)["Resources"]

    assert ran.steps == ["template"]
    assert {key for key in before if before[key] != after.get(key)} == {
        "GetOrderLambdaFunction",
        next(key for key in before if key.startswith("GetOrderLambdaVersion")),
    }
    assert len(set(after) - set(before)) == 1


def test_the_stage_and_params_are_given_on_the_command_line(sample: Sandbox) -> None:
    ran = sample.run("compile", "template=serverless.yml", "stage=prod", "region=us-west-2", "param.market=us")
    found = json.loads(ran.out)["Resources"]["CreateOrderLambdaFunction"]["Properties"]

    assert found["FunctionName"] == "orders-prod-CreateOrder"
    assert found["Environment"]["Variables"]["CURRENCY"] == "USD"
    assert found["Environment"]["Variables"]["STAGE"] == "prod"


def test_trees_are_made_when_they_are_asked_for(sample: Sandbox) -> None:
    assert not sample.path("build/RefundOrder").exists()
    ran = sample.run("template=serverless.yml", "tree:RefundOrder")
    assert ran.code == 0, ran.said
    assert sample.path("build/RefundOrder/app.py").exists()


# packaging


def test_functions_share_one_zip_unless_they_are_packaged_individually(project: Sandbox) -> None:
    project.write({
        "serverless.yml": HEAD
        + "functions:\n  one: {handler: a.one}\n  two: {handler: a.two}\n  own: {handler: a.own, package: {individually: true,"
        " patterns: ['!b.py', '!docs/**', 'docs/kept.md']}}\n",
        "a.py": "", "b.py": "", "docs/kept.md": "", "docs/other.md": "",
    }).build()  # fmt: skip
    codes = {k: one["Properties"]["Code"]["S3Key"] for k, one in of_type(project, "AWS::Lambda::Function").items()}

    assert codes["OneLambdaFunction"] == codes["TwoLambdaFunction"] != codes["OwnLambdaFunction"]
    assert project.names("one") == ["a.py", "b.py", "docs/kept.md", "docs/other.md"]
    assert project.names("own") == ["a.py", "docs/kept.md"]


@pytest.mark.parametrize(
    ("package", "kept"),
    [
        ("patterns: ['!**', 'src/**']", ["src/a.py", "src/deep/b.py"]),
        ("patterns: ['!src/deep/**']", ["src/a.py", "x.txt"]),
        ("patterns: ['!src/**', 'src/deep/**']", ["src/deep/b.py", "x.txt"]),
        ("patterns: ['!./src/*.py']", ["src/deep/b.py", "x.txt"]),
        ("patterns: ['!{src,x}*/**', '!x.*']", []),
        ("patterns: ['!**/*.+(py|txt)', 'x.txt']", ["x.txt"]),
        ("patterns: ['.hidden/**']", [".hidden/a", "src/a.py", "src/deep/b.py", "x.txt"]),
        ("patterns: ['.venv/keep']", [".venv/keep", "src/a.py", "src/deep/b.py", "x.txt"]),
        ("exclude: [src/**]\n  include: [src/a.py]", ["src/a.py", "x.txt"]),
        ("exclude: ['**', '!x.txt']", ["x.txt"]),
    ],
)
def test_the_last_pattern_that_matches_decides(project: Sandbox, package: str, kept: list[str]) -> None:
    hidden = {".hidden/a": ""} if ".hidden" in package else {}
    project.write({
        "serverless.yml": HEAD + f"package:\n  {package}\nfunctions: {{one: {{handler: a.one}}}}\n",
        "src/a.py": "", "src/deep/b.py": "", "x.txt": "", ".venv/keep": "", ".venv/other": "", **hidden,
    })  # fmt: skip
    ran = project.run("build")
    if kept:
        assert ran.code == 0, ran.said
        assert project.names("one") == sorted(kept, key=str.encode)
    else:
        assert "LB405" in ran.said


def test_node_modules_are_installed_and_patterns_reach_them(project: Sandbox) -> None:
    project.write({
        "serverless.yml": "service: shop\nprovider: {name: aws, runtime: nodejs22.x}\npackage: {individually: true}\nfunctions:\n"
        "  all: {handler: a.h}\n  some: {handler: a.h, package: {patterns: ['!node_modules/isarray/**', 'node_modules/isarray/index.js']}}\n"
        "  none: {handler: a.h, package: {patterns: ['!node_modules/**']}}\n",
        "package.json": '{"dependencies": {"isarray": "2.0.5"}, "devDependencies": {"is-number": "7.0.0"}}',
        "a.js": "exports.h = async () => 1;\n",
    }).build()  # fmt: skip

    assert "node_modules/isarray/package.json" in project.names("all")
    assert not any("is-number" in name for name in project.names("all"))
    assert [n for n in project.names("some") if "isarray" in n] == ["node_modules/isarray/index.js"]
    assert [n for n in project.names("none") if "node_modules" in n] == []


def test_a_ready_artifact_is_sent_as_it_is_and_once(project: Sandbox) -> None:
    project.write({
        "serverless.yml": HEAD + "package: {artifact: dist/all.zip}\nfunctions: {one: {handler: a.one}, two: {handler: a.two}}\n",
        "dist/all.zip": "not really a zip",
    })  # fmt: skip
    assert project.build().steps == ["template", "upload:one"]
    keys = {one["Properties"]["Code"]["S3Key"] for one in of_type(project, "AWS::Lambda::Function").values()}
    assert len(keys) == 1
    sha256 = hashlib.sha256(b"not really a zip").hexdigest()
    assert keys == {f"serverless/shop/dev/code-artifacts/{sha256}.zip"}
    assert project.build().steps == []


def test_code_that_is_in_s3_already_stays_there(project: Sandbox) -> None:
    project.write(
        {"serverless.yml": HEAD + "functions: {one: {handler: a.b, package: {artifact: 's3://bucket/a/b.zip'}}}\n"}
    )
    project.build()
    (function,) = of_type(project, "AWS::Lambda::Function").values()
    assert function["Properties"]["Code"] == {"S3Bucket": "bucket", "S3Key": "a/b.zip"}


def test_a_runtime_that_no_rule_builds_is_packed_as_it_is(project: Sandbox) -> None:
    project.write({
        "serverless.yml": "service: shop\nprovider: {name: aws, runtime: provided.al2023}\nfunctions: {one: {handler: bootstrap}}\n",
        "bootstrap": "#!/bin/sh\n",
    }).build()  # fmt: skip
    assert project.names("one") == ["bootstrap"]


def test_the_order_of_functions_is_that_of_lists_and_changes_nothing_else(project: Sandbox) -> None:
    one, two = (
        "  one: {handler: a.a, name: x, tracing: true}\n",
        "  two: {handler: a.b, name: w, kmsKeyArn: 'arn:aws:kms:a:1:key/k'}\n",
    )
    first = project.write({"serverless.yml": HEAD + "functions:\n" + one + two}).run("compile").out
    second = project.write({"serverless.yml": HEAD + "functions:\n" + two + one}).run("compile").out
    assert first != second  # a role's statements, as in stacks that the framework deployed
    assert unordered(json.loads(first)) == unordered(json.loads(second))


def unordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: unordered(one) for key, one in value.items()}
    return sorted(map(unordered, value), key=json.dumps) if isinstance(value, list) else value


# what scripts that deploy read


def test_the_peers_files_are_left_on_request_without_paths_and_secrets(project: Sandbox) -> None:
    project.write({
        "serverless.yml": HEAD + "custom: {secret: '${env:SECRET}'}\nfunctions: {one: {handler: a.one, environment: {S: '${self:custom.secret}'}}}\n"
        "layers: {lib: {path: lib}}\n",
        "a.py": "", "lib/x": "1",
    }).build("serverless_dir=.serverless", env={"SECRET": "s3cr3t"})  # fmt: skip
    folder = project.path(".serverless")
    state = json.loads((folder / "serverless-state.json").read_text())
    update = json.loads((folder / "cloudformation-template-update-stack.json").read_text())
    create = json.loads((folder / "cloudformation-template-create-stack.json").read_text())

    assert sorted(create["Resources"]) == ["ServerlessDeploymentBucket", "ServerlessDeploymentBucketPolicy"]
    artifact = state["service"]["functions"]["one"]["package"]["artifact"]
    code = update["Resources"]["OneLambdaFunction"]["Properties"]["Code"]
    assert f".serverless/{code['S3Key'].rpartition('/')[2]}" == artifact
    assert code["S3Key"].rpartition("/")[0] == state["package"]["artifactDirectoryName"]
    assert zipfile.is_zipfile(project.path(artifact))
    assert zipfile.is_zipfile(project.path(state["service"]["layers"]["lib"]["package"]["artifact"]))
    assert "s3cr3t" not in json.dumps(state)
    assert str(project.folder) not in json.dumps(state)
    assert project.build("serverless_dir=.serverless", env={"SECRET": "s3cr3t"}).steps == []


def test_how_the_stack_is_deployed_is_a_file_of_ours_and_the_last_line_of_a_run(project: Sandbox) -> None:
    settings = "stackTags: {team: '${env:TEAM}'}, deploymentRole: x, notificationArns: ['arn:aws:sns:us-east-1:1:t'], deploymentBucket: {name: there}"
    project.write(
        {
            "serverless.yml": HEAD.replace("name: aws", f"name: aws, {settings}")
            + "functions: {one: {handler: a.one}}\n",
            "a.py": "",
        }
    )
    ran = project.run("build", "store=out", "serverless_dir=.serverless", env={"TEAM": "of-the-north"})
    assert ran.code == 0, ran.said
    deploy = project.path("build/deploy.json")

    assert json.loads(deploy.read_text())["Tags"] == [
        {"Key": "STAGE", "Value": "dev"},
        {"Key": "team", "Value": "of-the-north"},
    ]
    last = ran.out.splitlines()[-1]
    assert last.startswith(
        "deploy: first name a bucket (bucket=NAME) that the zips are sent to, then aws cloudformation deploy "
    )
    assert 'team="${team:?is a secret, see deploy.json}"' in last
    assert "of-the-north" not in ran.said + project.path(".serverless/serverless-state.json").read_text()
    assert "note: serverless-state.json is without stackTags, for values in them are secret" in ran.out

    quiet = project.build("store=out", "serverless_dir=.serverless", env={"TEAM": "of-the-north"})
    assert quiet.steps == []
    assert "deploy_command" not in quiet.summary
    deploy.write_text("{}")
    again = project.build("store=out", "serverless_dir=.serverless", env={"TEAM": "of-the-north"})
    assert again.steps == ["template"]
    assert again.summary["deploy_command"].startswith("aws cloudformation deploy ")
    assert json.loads(deploy.read_text())["StackName"] == "shop-dev"


# AWS


def test_variables_ask_aws_once_each_and_their_values_are_told_nobody(project: Sandbox, server: S3Server) -> None:
    import boto3

    def client(name: str, region: str) -> Any:
        return boto3.client(name, endpoint_url=server.url, region_name=region, aws_access_key_id="testing", aws_secret_access_key="testing")  # fmt: skip

    ssm = client("ssm", "us-east-1")
    ssm.put_parameter(Name="/plain", Value="plain value", Type="String")
    ssm.put_parameter(Name="/list", Value="a,b", Type="StringList")
    ssm.put_parameter(Name="/secret", Value="hush-hush", Type="SecureString")
    ssm.put_parameter(Name="/json", Value='{"a": {"b": "hush-json"}}', Type="SecureString")
    client("ssm", "eu-west-1").put_parameter(Name="/plain", Value="elsewhere", Type="String")
    outputs = {"Resources": {"T": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"Name": {"Value": "from the stack"}}}
    client("cloudformation", "us-east-1").create_stack(StackName="other", TemplateBody=json.dumps(outputs))
    s3 = client("s3", "us-east-1")
    s3.create_bucket(Bucket="texts")
    s3.put_object(Bucket="texts", Key="a/b.txt", Body=b"from the bucket")
    project.write({
        "serverless.yml": HEAD + "custom:\n  json: ${ssm:/json}\n  unused: ${ssm:/is/not/there}\nfunctions:\n  one:\n    handler: a.one\n    environment:\n"
        "      PLAIN: ${ssm:/plain}\n      AGAIN: x${ssm:/plain}\n      THERE: ${ssm(eu-west-1):/plain}\n      LIST: ${ssm:/list.1, 'none'}\n"
        "      RAW: ${ssm(raw):/list}\n      SECRET: ${ssm:/secret}\n      JSON: ${self:custom.json.a.b}\n      CF: ${cf:other.Name}\n"
        "      NOCF: \"${cf:other.Nothing, cf:nothing.X, 'none'}\"\n      S3: ${s3:texts/a/b.txt}\n      ACCOUNT: ${aws:accountId}\n"
        "      PARTITION: ${aws:partition}\n",
        "a.py": "",
    })  # fmt: skip
    server.requests.clear()
    ran = project.build(f"endpoint_url={server.url}", env=server.environment | {"AWS_DEFAULT_REGION": "us-east-1"})
    (function,) = of_type(project, "AWS::Lambda::Function").values()

    assert function["Properties"]["Environment"]["Variables"] == {
        "PLAIN": "plain value", "AGAIN": "xplain value", "THERE": "elsewhere", "LIST": "none", "RAW": "a,b", "SECRET": "hush-hush",
        "JSON": "hush-json", "CF": "from the stack", "NOCF": "none", "S3": "from the bucket", "ACCOUNT": "123456789012",
        "PARTITION": "aws",
    }  # fmt: skip
    assert server.requests.total() == 10, "each is asked once, and what nobody needs is not"
    told = ran.said + project.run("plan", "--format", "json", f"endpoint_url={server.url}", env=server.environment).said
    kept = [
        path for path in project.path("build").rglob("*") if path.is_file() and path.name != "packaged-template.json"
    ]
    assert "hush" not in told + "".join(path.read_bytes().decode("latin-1") for path in kept)


def test_a_secret_is_not_quoted_in_a_mistake(project: Sandbox, server: S3Server) -> None:
    import boto3

    ssm = boto3.client("ssm", endpoint_url=server.url, region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")  # fmt: skip
    ssm.put_parameter(Name="/hush", Value="hush-hush", Type="SecureString")
    service = HEAD + "functions: {one: {handler: a.one, memorySize: '${ssm:/hush}'}}\n"
    for mode, words in (("error", "LB109"), ("warn", "warning: serverless.yml")):
        project.write({"serverless.yml": f"configValidationMode: {mode}\n{service}"})
        ran = project.run("build", f"endpoint_url={server.url}", env=server.environment)
        assert words in ran.said
        assert "hush-hush" not in ran.said


def test_variables_of_aws_say_so_when_the_run_is_offline(project: Sandbox) -> None:
    project.write({"serverless.yml": HEAD + "functions: {one: {handler: '${ssm:/a}'}}\n"})
    ran = project.run("build", "--offline")
    assert "LB603" in ran.said
    assert "functions.one.handler" in ran.said


def test_a_layer_that_did_not_change_keeps_the_key_it_was_deployed_with(tmp_path: Path, server: S3Server) -> None:
    import boto3

    client = server.bucket("layers")
    cloudformation = boto3.client("cloudformation", endpoint_url=server.url, region_name="eu-west-1", aws_access_key_id="testing", aws_secret_access_key="testing")  # fmt: skip
    files = {
        "serverless.yml": "service: shop\nprovider: {name: aws, runtime: python3.11, region: eu-west-1, deploymentBucket: layers}\n"
        "layers: {my-lib: {path: lib}}\nfunctions: {one: {handler: a.one, layers: [!Ref MyDashlibLambdaLayer]}}\n",
        "lib/x.txt": "1", "a.py": "",
    }  # fmt: skip
    given = [f"endpoint_url={server.url}"]

    def clone(name: str) -> Sandbox:
        return Sandbox(tmp_path / name).write(files)

    first = clone("first")
    first.build(*given, env=server.environment)
    deployed = template(first)
    key = deployed["Resources"]["MyDashlibLambdaLayer"]["Properties"]["Content"]["S3Key"]
    # As another program put it there, under a key of its own.
    old = "serverless/shop/dev/1700000000000-old/my-lib.zip"
    client.copy_object(Bucket="layers", Key=old, CopySource={"Bucket": "layers", "Key": key})
    text = json.dumps(deployed).replace(key, old)
    cloudformation.create_stack(StackName="shop-dev", TemplateBody=text, Capabilities=["CAPABILITY_NAMED_IAM"])

    server.requests.clear()
    second = clone("second")
    second.build(*given, env=server.environment | {"XDG_CACHE_HOME": str(tmp_path / "empty")})
    assert server.requests["PUT"] == 0
    assert template(second)["Resources"]["MyDashlibLambdaLayer"]["Properties"]["Content"]["S3Key"] == old
    assert template(second)["Outputs"]["MyDashlibLambdaLayerS3Key"]["Value"] == old

    third = clone("third").write({"lib/x.txt": "2"})
    third.build(*given, env=server.environment)
    new = template(third)["Resources"]["MyDashlibLambdaLayer"]["Properties"]["Content"]["S3Key"]
    assert new not in (old, key)
    assert client.head_object(Bucket="layers", Key=new)


def test_layers_of_equal_content_keep_each_its_own_deployed_key(tmp_path: Path, server: S3Server) -> None:
    import boto3

    client = server.bucket("twins")
    cloudformation = boto3.client("cloudformation", endpoint_url=server.url, region_name="eu-west-1", aws_access_key_id="testing", aws_secret_access_key="testing")  # fmt: skip
    head = "service: pair\nprovider: {name: aws, runtime: python3.11, region: eu-west-1, deploymentBucket: twins}\n"
    both = head + "layers: {aa: {path: lib}, bb: {path: lib}}\n"
    given = [f"endpoint_url={server.url}"]
    app = Sandbox(tmp_path / "app").write({"serverless.yml": both, "lib/x.txt": "1"})
    app.build(*given, env=server.environment)
    key = template(app)["Resources"]["AaLambdaLayer"]["Properties"]["Content"]["S3Key"]
    text = json.loads(json.dumps(template(app)))
    for name in ("Aa", "Bb"):
        text["Outputs"][f"{name}LambdaLayerS3Key"]["Value"] = f"serverless/pair/dev/code-artifacts/{name}-old.zip"
    client.copy_object(Bucket="twins", Key="serverless/pair/dev/code-artifacts/Aa-old.zip", CopySource={"Bucket": "twins", "Key": key})  # fmt: skip
    cloudformation.create_stack(StackName="pair-dev", TemplateBody=json.dumps(text))

    def keys(layers: str) -> dict[str, str]:
        app.write({"serverless.yml": head + layers}).build("-a", *given, env=server.environment)
        found = of_type(app, "AWS::Lambda::LayerVersion")
        assert app.manifest["layers"].keys() == {name[:2].lower() for name in found}
        return {name[:2]: one["Properties"]["Content"]["S3Key"].rpartition("/")[2] for name, one in found.items()}

    assert keys("layers: {aa: {path: lib}, bb: {path: lib}}\n") == {"Aa": "Aa-old.zip", "Bb": "Bb-old.zip"}
    assert client.head_object(Bucket="twins", Key="serverless/pair/dev/code-artifacts/Bb-old.zip")  # which had gone
    assert keys("layers: {bb: {path: lib}}\n") == {"Bb": "Bb-old.zip"}
    assert keys("layers: {bb: {path: lib}, cc: {path: lib}}\n") == {"Bb": "Bb-old.zip", "Cc": key.rpartition("/")[2]}


# serverless-esbuild


def test_functions_are_bundled_as_serverless_esbuild_does(tmp_path: Path) -> None:
    project = Sandbox(tmp_path / "p").write({
        "serverless.yml": """
            service: shop
            provider: {name: aws, runtime: nodejs22.x}
            plugins: [serverless-esbuild]
            custom: {esbuild: {exclude: [left-out], external: [once], banner: {js: // mine}, watch: {ignore: [x]}}}
            functions:
              one: {handler: src/one.handler}
              two: {handler: src/two.handler}
            """,
        "package.json": '{"dependencies": {"ms": "2.1.3", "once": "1.4.0"}, "devDependencies": {"esbuild": "0.25.12"}}',
        "src/one.ts": 'import ms from "ms";\nexport const handler = async (): Promise<number> => ms("1s");\n',
        "src/two.ts": 'import once from "once";\nimport "left-out";\nexport const handler = once(async () => 2);\n',
    })  # fmt: skip
    project.build()

    assert project.names("one") == ["src/one.js"]
    assert "node_modules/wrappy/wrappy.js" in project.names("two")
    with zipfile.ZipFile(project.path("build/one.zip")) as archive:
        text = archive.read("src/one.js").decode()
    assert text.startswith("// mine\n")
    assert "// node_modules/ms/index.js" in text, "not minified unless asked for"
    assert of_type(project, "AWS::Lambda::Function")["OneLambdaFunction"]["Properties"]["Handler"] == "src/one.handler"
    assert project.build().steps == []
