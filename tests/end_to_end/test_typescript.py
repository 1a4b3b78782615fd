"""TypeScript handlers of a serverless.yml: bundled by version 4 itself, or by serverless-plugin-typescript."""

from __future__ import annotations

import json
from pathlib import Path

import invoke
import pytest
from sandbox import Sandbox

PACKAGE = json.dumps({"dependencies": {"ms": "2.1.3"}})
HANDLER = "import ms from 'ms';\nimport { text } from './words';\nexport const handler = async (): Promise<string> => text(ms('1s'));\n"
WORDS = "export const text = (value: number): string => `${value}!`;\n"


@pytest.fixture
def project(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "project", checks_handlers=True).write({
        "package.json": PACKAGE, "src/api/orders.ts": HANDLER, "src/api/words.ts": WORDS,
        "plain.js": "exports.handler = async () => 1;\n",
    })  # fmt: skip


def service(head: str) -> str:
    return (
        f"service: shop\n{head}\nprovider:\n  name: aws\n  runtime: nodejs22.x\n  environment: {{NODE_OPTIONS: --no-deprecation}}\n"
        "functions:\n  orders: {handler: src/api/orders.handler}\n  plain: {handler: plain.handler}\n"
    )


def deployed(project: Sandbox) -> dict[str, dict]:
    """The functions' properties in the template."""
    found = json.loads(project.path("build/packaged-template.json").read_text())["Resources"]
    return {name: one["Properties"] for name, one in found.items() if one["Type"] == "AWS::Lambda::Function"}


def test_version_4_bundles_typescript_that_nobody_said_anything_about(project: Sandbox, tmp_path: Path) -> None:
    project.write({"serverless.yml": service("frameworkVersion: '4'")}).build()
    assert project.names("orders") == ["src/api/orders.js", "src/api/orders.js.map"]
    assert "plain.js" in project.names("plain")
    assert invoke.node(project.unzip("orders", tmp_path / "orders"), {}, "src/api/orders.js") == "1000!"
    functions = deployed(project)
    assert functions["OrdersLambdaFunction"]["Handler"] == "src/api/orders.handler"
    variables = functions["OrdersLambdaFunction"]["Environment"]["Variables"]
    assert variables["NODE_OPTIONS"] == "--no-deprecation --enable-source-maps"
    assert functions["PlainLambdaFunction"]["Environment"]["Variables"]["NODE_OPTIONS"] == "--no-deprecation"
    assert project.build().steps == []


def test_serverless_plugin_typescript_has_bundles_where_it_had_files(project: Sandbox, tmp_path: Path) -> None:
    project.write({"serverless.yml": service("frameworkVersion: '3'\nplugins: [serverless-plugin-typescript]")}).build()
    assert project.names("orders") == ["src/api/orders.js"]
    assert invoke.node(project.unzip("orders", tmp_path / "orders"), {}, "src/api/orders.js") == "1000!"
    assert {"plain.js", "node_modules/ms/index.js"} <= set(project.names("plain"))


def test_typescript_that_nothing_compiles_is_an_error_and_no_deployment(project: Sandbox) -> None:
    ran = project.write({"serverless.yml": service("frameworkVersion: '3'")}).run("build")
    assert "LB409" in ran.err
    assert "src/api/orders.ts is there" in ran.err


def test_a_file_of_variables_may_be_typescript_of_any_kind(project: Sandbox) -> None:
    """With what the project has: esbuild here."""
    project.write({
        "package.json": '{"devDependencies": {"esbuild": "0.25.12"}}',
        "serverless.yml": "service: shop\nprovider: {name: aws, runtime: python3.12}\nfunctions:\n  one:\n    handler: a.b\n    environment:\n"
        '      A: "${file(x.ts):a}"\n      B: "${file(y.mts):b}"\n      C: "${file(z.cts):c}"\n      D: "${file(f.ts):d}"\n',
        "x.ts": "import { b } from './lib/dep'; interface X { a: string }; const x: X = { a: b as string }; export default x;\n",
        "lib/dep.ts": "export const b: string = 'dep';\n",
        "y.mts": "export const b: string = 'mts';\n",
        "z.cts": "enum E { A = 'cts' }; module.exports = { c: E.A as string };\n",
        "f.ts": "export const d = async ({ options }: { options: { stage: string } }) => options.stage + '!';\n",
    })  # fmt: skip
    project.command(["npm", "install", "--no-audit", "--no-fund"])
    ran = project.run("compile", "--stage", "dev")
    assert ran.code == 0, ran.said
    function = json.loads(ran.out)["Resources"]["OneLambdaFunction"]
    assert function["Properties"]["Environment"]["Variables"] == {"A": "dep", "B": "mts", "C": "cts", "D": "dev!"}
