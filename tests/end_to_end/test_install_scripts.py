"""A package.json's own install scripts have what lies beside it, as in the folder itself; nothing is written there."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from rule_example import call_node, function, template
from sandbox import Sandbox

NODE = function(runtime="nodejs22.x", handler="index.handler")
GENERATE = """\
const fs = require('fs')
fs.mkdirSync('generated', { recursive: true })
fs.writeFileSync('generated/client.js', 'module.exports = ' + JSON.stringify(fs.readFileSync('schema.txt', 'utf8').trim()))
fs.writeFileSync('version.json', '{"version": 2}')
fs.appendFileSync('node_modules/ms/index.js', '\\nmodule.exports.patched = true\\n')
"""
HANDLER = "exports.handler = async () => [require('./generated/client'), require('./version').version, require('ms').patched]\n"
FILES = {
    "src/tools/generate.js": GENERATE, "src/schema.txt": "one\n", "src/version.json": '{"version": 1}',
    "src/index.js": HANDLER,
}  # fmt: skip
PINS = {"npm": {}, "yarn1": {"packageManager": "yarn@1.22.22"}, "yarn4": {"packageManager": "yarn@4.18.1"},
        "pnpm": {"packageManager": "pnpm@10.34.8"}}  # fmt: skip
RULES = {"npm": "nodejs_npm", "yarn1": "nodejs_yarn", "yarn4": "nodejs_yarn", "pnpm": "nodejs_pnpm"}


def about(script: str = "postinstall", command: str = "node tools/generate.js", **more: Any) -> str:
    return json.dumps(
        {"name": "a", "version": "1.0.0", "dependencies": {"ms": "2.1.3"}, "scripts": {script: command}, **more}
    )


def written(project: Sandbox) -> set[str]:
    return {str(p.relative_to(project.folder)) for p in project.folder.rglob("*") if "build" not in p.parts}


@pytest.mark.parametrize("manager", PINS)
def test_a_script_finds_what_lies_beside_it_and_what_it_writes_ships(project: Sandbox, manager: str) -> None:
    project.write({**FILES, "template.yaml": template(NODE), "src/package.json": about(**PINS[manager]),
                   "lambdabuild.toml": f'[functions.Example]\nrule = "{RULES[manager]}"\n'})  # fmt: skip
    before = written(project)
    project.build()

    assert call_node(project, {}) == ["one", 2, True]
    assert written(project) == before
    assert project.path("src/version.json").read_text() == '{"version": 1}'
    assert project.build().steps == []


@pytest.mark.parametrize("script", ["preinstall", "install", "prepare"])
def test_each_script_of_an_installation_is_run(project: Sandbox, script: str) -> None:
    generate = "require('fs').writeFileSync('made.js', require('fs').readFileSync('index.js'))"
    files = {"src/tools/generate.js": generate, "src/index.js": "exports.handler = async () => 1\n"}
    project.write({**files, "template.yaml": template(NODE), "src/package.json": about(script)}).build()

    assert "made.js" in project.names("Example")


def test_an_edited_input_of_a_script_runs_it_again_and_functions_elsewhere_have_their_own(project: Sandbox) -> None:
    other = function("other", "nodejs22.x", "index.handler").replace("Example", "Other")
    project.write(
        {**FILES, "template.yaml": template(NODE, other), "src/package.json": about(), "other/package.json": about()}
    )
    project.write(
        {name.replace("src/", "other/"): text for name, text in FILES.items()} | {"other/schema.txt": "two\n"}
    )
    project.build()
    assert call_node(project, {}) == ["one", 2, True]
    assert call_node(project, {}, "Other") == ["two", 2, True]

    project.write({"src/schema.txt": "three\n"})
    steps = project.build().steps
    assert "resolve:Example" in steps and not [step for step in steps if "Other" in step]
    assert call_node(project, {}) == ["three", 2, True]


def test_scripts_that_are_not_to_be_run_make_the_source_no_input(project: Sandbox) -> None:
    project.write({**FILES, "template.yaml": template(NODE), "src/package.json": about(),
                   "lambdabuild.toml": "[functions.Example.options]\nignore_scripts = true\n"}).build()  # fmt: skip
    assert "generated/client.js" not in project.names("Example")

    project.write({"src/schema.txt": "two\n"})
    assert "resolve:Example" not in project.build().steps


def test_what_a_script_generates_is_bundled_and_ignored_files_stay_out(project: Sandbox) -> None:
    metadata = "    Metadata: {BuildMethod: esbuild}\n"
    project.write({
        **FILES, "template.yaml": template(function(runtime="nodejs22.x", handler="index.handler", metadata=metadata)),
        "src/package.json": about(devDependencies={"esbuild": "0.25.0"}),
    }).build()  # fmt: skip
    assert call_node(project, {}) == ["one", 2, True]

    project.write(
        {
            "template.yaml": template(NODE),
            "src/.lambdabuildignore": "generated/\n",
            "src/index.js": "exports.handler = 1",
        }
    )
    project.write({"lambdabuild.toml": "[functions.Example]\nexclude = ['generated/']\n"}).build()
    names = project.names("Example")
    assert "version.json" in names and not [name for name in names if name.startswith("generated/")]


def test_a_member_of_a_workspace_has_its_scripts_and_the_roots_are_told(project: Sandbox) -> None:
    root = {"private": True, "workspaces": ["src"], "scripts": {"postinstall": "exit 1"}}
    project.write(
        {**FILES, "template.yaml": template(NODE), "src/package.json": about(), "package.json": json.dumps(root)}
    )
    project.path("src/tools/generate.js").write_text(
        GENERATE.replace("'node_modules/ms/index.js'", "require.resolve('ms')")
    )
    lock = ["npm", "install", "--package-lock-only", "--ignore-scripts", "--no-audit"]
    subprocess.run(lock, cwd=project.folder, check=True, capture_output=True)
    ran = project.run("build")

    assert ran.code == 0, ran.said
    assert "the scripts of package.json are not run: postinstall" in ran.said
    assert call_node(project, {}) == ["one", 2, True]


@pytest.mark.parametrize(
    ("script", "command", "told"),
    [
        ("postinstall", "node tools/gone.js", "tools/gone.js"),
        ("prepare", "husky-that-is-not-there", "ignore_scripts = true"),
    ],
)
def test_a_script_that_fails_is_told(project: Sandbox, script: str, command: str, told: str) -> None:
    files = {"template.yaml": template(NODE), "src/package.json": about(script, command), "src/index.js": ""}
    ran = project.write(files).run("build")

    assert ran.code == 1
    assert told in ran.said
