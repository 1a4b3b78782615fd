"""What a run does not build is said by that run, as text and as JSON, and counted by those that have nothing to do."""

from __future__ import annotations

import pytest
from sandbox import Sandbox

from lambdabuild.cli.basics import DODO

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {Runtime: python3.11, Handler: app.handler}}
Resources:
  Orders: {Type: AWS::Serverless::Function, Properties: {CodeUri: src}}
  Old: {Type: AWS::Serverless::Function, Properties: {CodeUri: s3://bucket/old.zip}}
  Older: {Type: AWS::Serverless::Function, Properties: {CodeUri: {Bucket: bucket, Key: older.zip}}}
  Health: {Type: AWS::Serverless::Function, Properties: {InlineCode: pass}}
  Ready: {Type: AWS::Serverless::Function, Properties: {CodeUri: ready.zip}}
  Network: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: https://s3.amazonaws.com/b/network.yaml}}
"""

SAID = [
    "left out: Ready (its artifact is ready)",
    "left out: Old, Older (its code is in S3 already)",
    "left out: Health (its code is inline)",
    "left out: Network (its template is not on this machine)",
]


@pytest.fixture
def shop(project: Sandbox) -> Sandbox:
    code = "def handler(event, context):\n    return 1\n"
    return project.write({"template.yaml": TEMPLATE, "src/app.py": code, "ready.zip": b"PK"})


def test_it_is_told_once_per_reason_and_counted_afterwards(shop: Sandbox) -> None:
    first = shop.run("build", env={"CI": "true"})
    assert first.code == 0, first.said
    assert [line.removeprefix("note: ") for line in first.out.splitlines() if "left out:" in line] == SAID
    assert "built 1 function; 5 left out; " in first.out

    again = shop.run("build", env={"CI": "true"}).out
    assert again == "nothing to do: 1 function up to date; 5 left out (lambdabuild plan says why)\n"
    assert shop.write({"dodo.py": DODO}).run().out == again
    assert shop.run("build", "Orders").out == "nothing to do: 1 function up to date\n"

    shop.append("src/app.py", "# edited\n")
    assert "left out" not in shop.run("build", "Orders").out
    shop.append("src/app.py", "# again\n")
    summary = shop.build().summary
    assert summary["left_out"][1] == {"reason": "its code is in S3 already", "names": ["Old", "Older"]}
    assert summary["notes"] == SAID
    assert shop.build().summary["left_out"] == summary["left_out"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["build", "Old"], "function 'Old' is not built: its code is in S3 already"),
        (["build:Health"], "function 'Health' is not built: its code is inline"),
        (["zip:Ready"], "function 'Ready' is not built: its artifact is ready"),
        (["why", "Network"], "stack 'Network' is not built: its template is not on this machine"),
    ],
)
def test_asked_for_by_name_it_is_an_error(shop: Sandbox, words: list[str], why: str) -> None:
    ran = shop.run(*words)

    assert ran.code == 3
    assert f"LB305]: {why}\n  --> template.yaml:" in ran.err
    assert not shop.path("build/Orders.zip").exists()


def test_what_is_sent_as_it_is_can_be_sent_alone(shop: Sandbox) -> None:
    assert shop.run("upload:Ready").code == 0


def test_a_project_with_nothing_to_build_says_so(project: Sandbox) -> None:
    only = (
        TEMPLATE.replace("  Orders:", "  Gone:")
        .replace("CodeUri: src", "InlineCode: pass")
        .replace("ready.zip", "s3://b/k")
    )
    ran = project.write({"template.yaml": only}).run()

    assert ran.code == 0
    assert "note: left out: Old, Older, Ready (its code is in S3 already)" in ran.out
    assert "6 left out; 1 step run" in ran.out


def test_a_serverless_service_says_it_too(project: Sandbox) -> None:
    project.write({
        "serverless.yml": """\
            service: shop
            provider: {name: aws, runtime: python3.11}
            functions:
              orders: {handler: app.handler}
              ready: {handler: app.handler, package: {artifact: ready.zip}}
              there: {handler: app.handler, package: {artifact: 's3://bucket/there.zip'}}
            """,
        "app.py": "def handler(event, context): pass\n", "ready.zip": b"PK",
    })  # fmt: skip
    ran = project.run()

    assert ran.code == 0, ran.said
    assert (
        "note: left out: ready (its artifact is ready)\nnote: left out: there (its code is in S3 already)\n" in ran.out
    )
    assert "function 'there' is not built" in project.run("build", "there").err
