"""The sample app published to S3, and the template that deploys it."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from s3_server import S3Server
from sandbox import Sandbox, sample_app

pytestmark = pytest.mark.slow

CFN_LINT = str(Path(sys.executable).with_name("cfn-lint"))


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server() as running:
        running.bucket("artifacts")
        yield running


@pytest.fixture(scope="module")
def settings(server: S3Server) -> list[str]:
    return [f"endpoint_url={server.url}", "bucket=artifacts", "prefix=shop", "region=eu-west-1", "tags.team=shop"]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, server: S3Server, settings: list[str]) -> Sandbox:
    app = sample_app(tmp_path_factory.mktemp("publish") / "app", in_all_languages=False)
    app.build(*settings, env=server.environment)
    return app


def objects(server: S3Server) -> dict[str, bytes]:
    client = server.client()
    listed = client.list_objects_v2(Bucket="artifacts").get("Contents", [])
    return {item["Key"]: client.get_object(Bucket="artifacts", Key=item["Key"])["Body"].read() for item in listed}


def test_every_object_is_named_after_its_content(published: Sandbox, server: S3Server) -> None:
    found = objects(server)

    assert len(found) == 10  # nine artifacts and the nested template
    for key, content in found.items():
        assert hashlib.sha256(content).hexdigest() in key
        assert key.startswith("shop/")


def test_the_packaged_template_names_objects_that_are_there(published: Sandbox, server: S3Server) -> None:
    text = published.path("build/packaged-template.yaml").read_text()
    named = {match.partition("/")[2] for match in re.findall(r"s3://([^\s\"']+)", text)}

    nested = {match.partition("/artifacts/")[2] for match in re.findall(r"https?://\S+/artifacts/[^\s\"']+", text)}

    assert named | nested <= objects(server).keys()
    assert (len(named), len(nested)) == (8, 1)


def test_a_second_run_sends_nothing_not_even_a_question(
    published: Sandbox, server: S3Server, settings: list[str]
) -> None:
    server.requests.clear()
    ran = published.build(*settings, env=server.environment)

    assert ran.steps == []
    assert not server.requests


def test_a_fresh_checkout_finds_the_objects_by_one_listing_and_sends_no_put(
    published: Sandbox, server: S3Server, settings: list[str], tmp_path: Path
) -> None:
    server.requests.clear()
    app = sample_app(tmp_path / "other", in_all_languages=False)
    ran = app.build(*settings, env=server.environment)

    assert ran.summary["uploaded"] == 0
    assert server.requests == {"GET": 1}
    assert app.path("build/packaged-template.yaml").read_bytes() == (
        published.path("build/packaged-template.yaml").read_bytes()
    )


def test_an_edited_handler_sends_one_object(
    published: Sandbox, server: S3Server, settings: list[str], tmp_path: Path
) -> None:
    app = sample_app(tmp_path / "edited", in_all_languages=False)
    app.build(*settings, env=server.environment)
    server.requests.clear()
    handler = app.path("src/refunds/app.py")
    handler.write_text(handler.read_text() + "\n# edited\n")
    ran = app.build(*settings, env=server.environment)

    assert ran.summary["uploaded"] == 1
    assert server.requests == {"GET": 1, "PUT": 1}


TWO = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  One:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.12, Handler: app.handler, CodeUri: one}
  Two:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.12, Handler: app.handler, CodeUri: two}
  Api:
    Type: AWS::Serverless::Api
    Properties: {StageName: dev, DefinitionUri: api.yaml}
"""
SERVERLESS = """\
service: shop
provider: {name: aws, runtime: python3.12, region: eu-west-1}
package: {individually: true}
functions:
  one: {handler: one/app.handler, package: {patterns: ['!**', 'one/**']}}
  two: {handler: two/app.handler, package: {patterns: ['!**', 'two/**']}}
layers: {three: {path: one}}
"""
BOTH = {
    "one/app.py": "def handler(event, context): return 1\n",
    "two/app.py": "def handler(event, context): return 2\n",
}


def template_run(app: Sandbox) -> list[str]:
    app.append("template.yaml", "# edited\n")
    return []


def code_run(app: Sandbox) -> list[str]:
    app.append("two/app.py", "# edited\n")
    return []


def asked_for(app: Sandbox) -> list[str]:
    return ["template", "-a", "-s"]


@pytest.mark.parametrize("prefix", ["", "team/app"])
@pytest.mark.parametrize("begin", [template_run, code_run, asked_for])
def test_an_object_that_was_deleted_is_sent_again_before_a_template_names_it(
    tmp_path: Path, server: S3Server, begin: Any, prefix: str
) -> None:
    name = f"gone-{begin.__name__.replace('_', '-')}-{len(prefix)}"
    client = server.bucket(name)
    app = Sandbox(tmp_path).write({"template.yaml": TWO, "api.yaml": "openapi: 3.0.1\n", **BOTH})
    given = [f"bucket={name}", f"prefix={prefix}", "region=eu-west-1", f"endpoint_url={server.url}"]
    app.build(*given, env=server.environment)
    manifest = app.manifest
    lost = manifest["functions"]["One"]["location"], manifest["assets"]["Api-DefinitionUri"]["location"]
    keys = [place.removeprefix(f"s3://{name}/") for place in lost]
    for key in keys:
        client.delete_object(Bucket=name, Key=key)
    server.requests.clear()
    assert app.build(*given, env=server.environment).steps == []  # a run with nothing to do asks nobody
    assert not server.requests
    command = begin(app)
    ran = app.run(*(command or ["build"]), "--format", "json", *given, env=server.environment)

    assert ran.code == 0, ran.said
    assert server.requests["GET"] == 1
    assert {"upload:One", "upload:Api-DefinitionUri"} <= {note.split(": ")[0] for note in ran.summary["notes"]}
    assert all(client.head_object(Bucket=name, Key=key) for key in keys)


def test_what_a_serverless_yml_names_is_there_too(tmp_path: Path, server: S3Server) -> None:
    client = server.bucket("gone-sls")
    app = Sandbox(tmp_path).write({"serverless.yml": SERVERLESS, **BOTH})
    given = ["bucket=gone-sls", f"endpoint_url={server.url}"]
    app.build(*given, env=server.environment)
    for item in client.list_objects_v2(Bucket="gone-sls")["Contents"]:
        client.delete_object(Bucket="gone-sls", Key=item["Key"])
    app.append("serverless.yml", "resources: {Description: edited}\n")
    app.build(*given, env=server.environment)

    named = set(re.findall(r'"S3Key": "([^"]+)"', app.path("build/packaged-template.json").read_text()))
    assert len(named) == 2 + 1  # the layer's files are not below a folder
    assert named == {item["Key"] for item in client.list_objects_v2(Bucket="gone-sls")["Contents"]}


@pytest.mark.parametrize("how", ["gone", "flipped", "emptied", "another's"])
def test_what_is_wrong_in_the_folder_of_artifacts_is_put_right_by_the_next_run(tmp_path: Path, how: str) -> None:
    app = Sandbox(tmp_path).write({"template.yaml": TWO, "api.yaml": "openapi: 3.0.1\n", **BOTH})
    app.build()
    one, two = (app.path(f"build/{app.manifest['functions'][name]['location']}") for name in ("One", "Two"))
    good = one.read_bytes()
    wrong = {"flipped": bytes([good[0] ^ 1]) + good[1:], "emptied": b"", "another's": two.read_bytes()}
    one.unlink()
    if how in wrong:
        one.write_bytes(wrong[how])
    ran = app.build()

    assert "upload:One" in ran.steps
    assert one.read_bytes() == good


def test_the_packaged_template_passes_cfn_lint(published: Sandbox) -> None:
    for template in ("build/packaged-template.yaml", "build/Notifications/packaged-template.yaml"):
        ran = published.command([CFN_LINT, "--regions", "eu-west-1", "--", template])
        assert ran.code == 0, ran.said


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags, as the translator's callers read it."""


def _long_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    return {name: value.split(".", 1) if name == "Fn::GetAtt" and isinstance(value, str) else value}


Loader.add_multi_constructor("!", _long_form)


def test_the_packaged_template_passes_the_sam_translator(published: Sandbox, server: S3Server) -> None:
    import boto3
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    session = boto3.Session(region_name="eu-west-1", aws_access_key_id="testing", aws_secret_access_key="testing")
    for name in ("", "Notifications/"):
        text = published.path(f"build/{name}packaged-template.yaml").read_text()
        template = yaml.load(text, Loader)
        parameters = {"Stage": "dev", "Market": "eu", "LegalFolder": "legal"}
        translated = Translator({}, Parser(), boto_session=session).translate(template, parameter_values=parameters)
        functions = [r for r in translated["Resources"].values() if r["Type"] == "AWS::Lambda::Function"]
        assert functions
        for function in functions:
            code = function["Properties"]["Code"]
            assert "ZipFile" in code or (code["S3Bucket"] == "artifacts" and code["S3Key"].startswith("shop/"))
        assert json.dumps(translated)


def test_the_built_template_passes_cfn_lint_too(published: Sandbox) -> None:
    ran = published.command([CFN_LINT, "--", "build/built-template.yaml"])

    assert ran.code == 0, ran.said


def test_a_plain_doit_publishes_as_well(server: S3Server, settings: list[str], tmp_path: Path) -> None:
    app = sample_app(tmp_path / "doit", in_all_languages=False)
    assert app.run("init").code == 0
    assert len(app.path("dodo.py").read_text().strip().splitlines()) <= 3
    ran = app.command([sys.executable, "-m", "doit", *settings, "build:RefundOrder"], env=server.environment)

    assert ran.code == 0, ran.said
    assert "upload:RefundOrder" in ran.out
