"""What a plain run does with functions whose tools are not on this machine."""

from __future__ import annotations

import json

import pytest
from rule_example import function, template
from sandbox import Sandbox

RULE = """\
name = "cobol_gnu"
language = "cobol"
dependency_manager = "none"
runtimes = ["cobol*"]
ships_source = false

[compile]
reads = ["source"]
tools = ["cobc-that-is-nowhere"]
"""


@pytest.fixture
def mixed(project: Sandbox) -> Sandbox:
    other = function(runtime="cobol85", source="old").replace("Example", "Old")
    return project.write({
        "template.yaml": template(function(), other),
        "src/app.py": "def handler(event, context):\n    return 1\n",
        "old/main.cob": "",
        "rules/cobol/rule.toml": RULE,
        "rules/cobol/rule.py": "",
        "lambdabuild.toml": 'missing_tools = "skip"\n',
    })  # fmt: skip


def test_it_is_left_out_with_one_line_and_the_rest_is_built(mixed: Sandbox) -> None:
    ran = mixed.run("build", env={"CI": ""})
    assert ran.code == 0, ran.said
    lines = [line for line in ran.said.splitlines() if "Old" in line]
    assert len(lines) == 1
    assert "skipped Old: `cobc-that-is-nowhere` is not on PATH" in lines[0]
    assert mixed.path("build/Example.zip").exists()
    assert "CodeUri: old" in mixed.path("build/packaged-template.yaml").read_text()
    manifest = json.loads(mixed.path("build/manifest.json").read_text())
    assert manifest["left_alone"] == {"Old": "cobc-that-is-nowhere is not on PATH"}
    assert "nothing to do: 1 function up to date" in mixed.run("build", env={"CI": ""}).out


@pytest.mark.parametrize(("arguments", "ci"), [(["Old"], ""), ([], "true")])
def test_it_must_be_built_when_it_is_asked_for_and_in_ci(arguments: list[str], ci: str, mixed: Sandbox) -> None:
    mixed.write({"rules/cobol/rule.py": "def compile(job):\n    job.tool('cobc-that-is-nowhere')\n"})
    mixed.write({"rules/cobol/rule.toml": RULE.replace("ships", 'entry = "rule.py"\nships')})
    ran = mixed.run("build", *arguments, env={"CI": ci})
    assert ran.code != 0
    assert "needs 'cobc-that-is-nowhere', which is not on PATH" in ran.err


def test_without_the_setting_it_is_an_error(mixed: Sandbox) -> None:
    mixed.write(
        {"lambdabuild.toml": "", "rules/cobol/rule.py": "def compile(job):\n    job.tool('cobc-that-is-nowhere')\n"}
    )
    mixed.write({"rules/cobol/rule.toml": RULE.replace("ships", 'entry = "rule.py"\nships')})
    assert "cobc-that-is-nowhere" in mixed.run("build", env={"CI": ""}).err
