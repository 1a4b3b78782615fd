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
