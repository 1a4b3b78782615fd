"""A project of socless_integration_packager, as its README has it, is built by deleting nothing but the plugin."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox import Sandbox

SERVERLESS = """\
service: socless-slack

provider: {name: aws, runtime: python3.11}

package:
    individually: true

plugins:
  - socless_integration_packager

custom:
  soclessPackager: # plugin configuration
    buildDir: _build
    requirementsFile: 'requirements.txt'
    globalRequirements:
      - ./requirements.txt
    globalIncludes:
      - ./common_files
    cleanup: true

functions:
  slack_send_dialog:
    name: slack_send_dialog-${opt:stage}
    handler: lambda.handler
    package:
      include:
        - functions/slack_send_dialog
      artifact: ${self:custom.soclessPackager.buildDir}/slack_send_dialog.zip

  slack_send_message:
    name: slack_send_message
    handler: lambda.handler
    package:
      include:
        - functions/slack_send_message
      artifact: ${self:custom.soclessPackager.buildDir}/slack_send_message.zip
"""
"""The README's file with its comments on the options taken away, and ``fucntions/`` spelled ``functions/``."""

LAMBDA = """\
import slack_helpers, common2, slackclient, requests, socless

def handler(event, context):
    return [slack_helpers.WHO, common2.WHO, slackclient.SlackClient.__name__, requests.__version__, socless.WHO]
"""

SOCLESS = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "socless"
version = "1.5.0"
"""
"""Stands in for socless_python, which is on no index: a project beside the service."""


@pytest.fixture(scope="module")
def slack(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The README's tree. slackclient is 1.3.2, for the package in 2.4.0 is called slack; requests one that this Python
    can import."""
    return Sandbox(tmp_path_factory.mktemp("socless") / "socless-slack").write({
        "serverless.yml": SERVERLESS,
        "requirements.txt": "slackclient==1.3.2\n./socless_python\n",
        "common_files/slack_helpers.py": "WHO = 'helpers'\n",
        "common_files/common2.py": "WHO = 'common2'\n",
        "functions/slack_send_dialog/lambda.py": LAMBDA,
        "functions/slack_send_dialog/requirements.txt": "requests==2.32.3\n",
        "functions/slack_send_message/lambda.py": "import common2\n\ndef handler(event, context):\n    return 1\n",
        "functions/slack_send_message/requirements.txt": "",
        "socless_python/pyproject.toml": SOCLESS,
        "socless_python/socless/__init__.py": "WHO = 'socless'\n",
    })  # fmt: skip


SEED = {
    "lambda.py", "requirements.txt", "slack_helpers.py", "common2.py", "slackclient", "slackclient-1.3.2.dist-info",
    "socless", "socless-1.5.0.dist-info", "requests", "requests-2.32.3.dist-info",
}  # fmt: skip
"""The listing of the README, with the versions that are had today."""
NEEDED_BY_THEM = {"certifi", "charset_normalizer", "idna", "six", "urllib3", "websocket_client"}


def tops(project: Sandbox, name: str) -> set[str]:
    return {path.partition("/")[0] for path in project.names(name)}


def test_the_zip_is_what_the_readme_shows(slack: Sandbox, tmp_path: Path) -> None:
    ran = slack.build("stage=dev")
    found = tops(slack, "slack_send_dialog")
    others = {name.partition("-")[0] for name in found - SEED if name.endswith(".dist-info")}

    assert found >= SEED
    assert others == NEEDED_BY_THEM
    assert found - SEED - {"websocket"} == {
        n for n in found if n.partition("-")[0].removesuffix(".py") in NEEDED_BY_THEM
    }
    assert "requests-2.32.3.dist-info/METADATA" in slack.names("slack_send_dialog")
    called = "import importlib; print(importlib.import_module('lambda').handler(None, None))"
    place = slack.unzip("slack_send_dialog", tmp_path / "unzipped")
    command = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, '.'); {called}"]
    said = subprocess.run(command, cwd=place, check=True, capture_output=True, text=True).stdout
    assert said == "['helpers', 'common2', 'SlackClient', '2.32.3', 'socless']\n"

    (moved,) = ran.summary["notes"]
    assert "_build/slack_send_dialog.zip is written as build/slack_send_dialog.zip, _build/slack_send_message" in moved
    assert slack.path("build/slack_send_dialog.zip").is_file() and not slack.path("_build").exists()
    assert not [event for event in ran.events[:-1] if event.get("notes")], "nothing collides"
    resources = json.loads(slack.path("build/packaged-template.json").read_text())["Resources"]
    function = resources["SlackUnderscoresendUnderscoredialogLambdaFunction"]["Properties"]
    assert (function["FunctionName"], function["Handler"]) == ("slack_send_dialog-dev", "lambda.handler")
    assert slack.build("stage=dev").steps == []


def test_a_service_level_edit_reaches_every_function_and_resolves_nothing(slack: Sandbox) -> None:
    slack.build("stage=dev")
    slack.append("common_files/common2.py", "# edited\n")
    steps = slack.build("stage=dev").steps
    assert {"copy:slack_send_dialog", "copy:slack_send_message"} <= set(steps)
    assert not [step for step in steps if step.startswith("resolve:")]


def service(project: Sandbox, custom: str, functions: str, plugins: str = "", **files: str) -> Sandbox:
    head = "service: slack\nprovider: {name: aws, runtime: python3.11}\n"
    return project.write({
        "serverless.yml": f"{head}{plugins}custom:\n  soclessPackager: {custom}\nfunctions:\n{functions}",
        "fun/lambda.py": "def handler(event, context):\n    return 1\n",
        **{name.replace("__", "/").replace("_py", ".py").replace("_txt", ".txt"): text for name, text in files.items()},
    })  # fmt: skip


FUN = "  fun: {handler: lambda.handler, package: {include: [fun], artifact: '_build/fun.zip'}}\n"


def test_options_count_without_the_plugins_line_and_defaults_are_the_plugins(project: Sandbox) -> None:
    service(
        project, "{buildDir: _build}", FUN, common_files__shared_py="", common_files__lambda_py="# not this one\n",
        functions__requirements_txt="idna==3.10\n", requirements_txt="no-such-package\n",
    )  # fmt: skip
    ran = project.build()
    assert {name.partition("/")[0] for name in project.names("fun")} == {
        "idna", "idna-3.10.dist-info", "lambda.py", "shared.py",
    }  # fmt: skip
    assert b"return 1" in project.content("fun", "lambda.py"), "the plugin lets the common file win"
    notes = [note for event in ran.events[:-1] for note in event.get("notes", ())]
    assert set(notes) == {"fun: lambda.py comes from fun and common_files; that of fun is used"}


def test_with_its_folder_as_build_dir_the_zips_are_where_the_plugin_writes_them(project: Sandbox) -> None:
    service(project, "{buildDir: _build}", FUN).write({"_build/fun.zip": "the plugin's"})
    refused = project.run("build", "build_dir=_build")
    assert refused.code != 0 and "LB507" in refused.said and "_build/fun.zip" in refused.said
    assert project.path("_build/fun.zip").read_text() == "the plugin's"

    project.path("_build/fun.zip").unlink()
    ran = project.run("build", "build_dir=_build")
    assert ran.code == 0 and "note:" not in ran.said
    assert project.path("_build/fun.zip").read_bytes().startswith(b"PK")
    assert "note: serverless.yml:4:" in project.run("build").said


def test_includes_may_be_several_files_and_other_names(project: Sandbox) -> None:
    functions = (
        "  fun: {handler: lambda.handler, package: {include: [more, fun/**, one.txt]}}\n"
        "  ready: {handler: a.b, package: {artifact: ready.zip}}\n"
        "  js: {handler: js.handler, runtime: nodejs22.x}\n"
    )
    custom = "{buildDir: _build, requirementsFile: reqs, globalIncludes: [all.txt, missing], useDocker: true}"
    service(project, custom, functions, more__extra_py="", one_txt="1", all_txt="all", fun__reqs="idna==3.10\n")
    project.write({"ready.zip": b"PK\x05\x06" + bytes(18), "js.js": "exports.handler = async () => 1;\n"})
    project.build()
    assert {"lambda.py", "extra.py", "one.txt", "all.txt", "idna/__init__.py", "reqs"} <= set(project.names("fun"))
    assert "js.js" in project.names("js")
    plan = project.run("plan").out
    assert "custom.soclessPackager.globalIncludes: missing does not exist" in plan
    assert "left alone: ready (its artifact is ready)" in plan


@pytest.mark.parametrize(
    ("custom", "functions", "words"),
    [
        ("{}", FUN, "LB114]: custom.soclessPackager.buildDir is missing"),
        ("{buildDir: 1}", FUN, "LB112]: custom.soclessPackager.buildDir is 1, and must be a text"),
        ("[./requirements.txt, ./common_files]", FUN, "LB112]: custom.soclessPackager is not a mapping"),
        (
            "{buildDir: _build}",
            FUN.replace("include: [fun]", "include: [fnu]"),
            "LB415]: fnu, which function 'fun' includes",
        ),
    ],
)
def test_mistakes_in_the_options_are_told_with_their_place(
    project: Sandbox, custom: str, functions: str, words: str
) -> None:
    ran = service(project, custom, functions).run("build")
    assert ran.code != 0
    assert words in ran.said
    assert "--> serverless.yml:" in ran.said


def test_the_readmes_misspelled_folder_is_told_with_the_right_one(slack: Sandbox, project: Sandbox) -> None:
    shutil.copytree(slack.folder, project.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("build"))
    project.write(
        {"serverless.yml": SERVERLESS.replace("- functions/slack_send_dialog", "- fucntions/slack_send_dialog")}
    )
    ran = project.run("build", "stage=dev")
    assert (
        "LB415]: fucntions/slack_send_dialog, which function 'slack_send_dialog' includes, does not exist" in ran.said
    )
    assert "did you mean functions/slack_send_dialog?" in ran.said


def test_a_functions_version_that_does_not_go_with_the_services_is_told_and_not_merged(project: Sandbox) -> None:
    service(
        project, "{buildDir: _build, globalRequirements: [requirements.txt]}", FUN,
        requirements_txt="idna==3.10\n", fun__requirements_txt="idna==3.9\n",
    )  # fmt: skip
    ran = project.run("build")
    assert "LB416]: function 'fun': idna==3.9 and idna==3.10 cannot go together" in ran.said
    assert "--> fun/requirements.txt:1:1" in ran.said and "--> requirements.txt:1:1" in ran.said
