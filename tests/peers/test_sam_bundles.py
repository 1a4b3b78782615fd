"""`sam build` of functions with esbuild and with parent packages: the same files, Handlers and NODE_OPTIONS."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from lambda_builders import esbuild
from sam_cli import sam
from sandbox import Sandbox, python_of

__all__ = ["esbuild", "sam"]
pytestmark = pytest.mark.slow

PYTHON_MODES = {
    "Explicit": ("a.b.api.handler", "svc/x", "{ParentPackageMode: explicit, ParentPackages: a.b}"),
    "Auto": ("app.orders.main.handler", "app/", "{ParentPackageMode: auto}"),
    "AutoDeep": ("app.orders.main.handler", "./app/orders", "{ParentPackageMode: auto}"),
    "AutoHas": ("x.api.handler", "svc", "{ParentPackageMode: auto}"),
    "AutoFlat": ("api.handler", "svc/x", "{ParentPackageMode: auto}"),
}
BUNDLES = {
    "Flat": ("orders.handler", "{EntryPoints: [src/handlers/orders.ts], Sourcemap: true}", ""),
    "Long": ("src/handlers/orders.handler", "{EntryPoints: [src/handlers/orders.ts]}", "--enable-source-maps"),
    "Silent": ("src/handlers/orders.handler", "{Minify: true}", "--max-http-header-size=9000"),
    "Inline": ("b/app.handler", "{EntryPoints: [functions/a/app.ts, functions/b/app.ts], Sourcemap: inline}", ""),
    "Module": ("src/handlers/orders.handler", "{Format: esm, OutExtension: [.js=.mjs], Sourcemap: false}", "--x"),
}
"""(Handler, BuildProperties, NODE_OPTIONS): what `sam build` makes of each, we make too."""


def test_bundles_handlers_and_parent_packages_are_the_peers(sam: Path, esbuild: Path, tmp_path: Path) -> None:
    text = "Transform: AWS::Serverless-2016-10-31\nResources:\n"
    for name, (handler, code, properties) in PYTHON_MODES.items():
        text += f"  {name}:\n    Type: AWS::Serverless::Function\n    Metadata: {{BuildProperties: {properties}}}\n"
        text += f"    Properties: {{Runtime: python3.11, Handler: {handler}, CodeUri: {code}}}\n"
    for name, (handler, properties, options) in BUNDLES.items():
        environment = f", Environment: {{Variables: {{NODE_OPTIONS: {options}}}}}" if options else ""
        text += f"  {name}:\n    Type: AWS::Serverless::Function\n"
        text += f"    Metadata: {{BuildMethod: esbuild, BuildProperties: {properties}}}\n"
        text += f"    Properties: {{Runtime: nodejs22.x, Handler: {handler}, CodeUri: web{environment}}}\n"
    code = "export const handler = async () => 1;\n"
    place = Sandbox(tmp_path / "p").write({
        "template.yaml": text, "svc/x/api.py": "", "app/util.py": "", "app/orders/main.py": "",
        "web/package.json": '{"name": "web", "version": "1.0.0"}', "web/src/handlers/orders.ts": code,
        "web/functions/a/app.ts": code, "web/functions/b/app.ts": code,
    })  # fmt: skip
    pythons = tmp_path / "pythons"
    pythons.mkdir()
    (pythons / "python3.11").write_text(f'#!/bin/sh\nexec "{python_with_pip()}" "$@"\n')
    (pythons / "python3.11").chmod(0o755)
    path = os.pathsep.join([str(pythons), str(esbuild), os.environ["PATH"]])
    env = {"PATH": path, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-west-1"}
    ran = place.command([str(sam), "build"], env=env)
    assert ran.code == 0, ran.said
    place.build("check_handler=true", env=env)

    theirs = place.path(".aws-sam/build")
    mine, peers = (functions(file) for file in (place.path("build/built-template.yaml"), theirs / "template.yaml"))
    for name in (*PYTHON_MODES, *BUNDLES):
        assert files(place.path(f"build/{name}").resolve()) == files(theirs / name), name
        assert mine[name] == peers[name]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def python_with_pip() -> str:
    """An interpreter of the functions' version; the virtual environment's own has pip, Debian's has not."""
    return sys.executable if sys.version.startswith("3.11.") else python_of("3.11")


def functions(template: Path) -> dict[str, tuple[str, list[str]]]:
    """Each function's Handler and NODE_OPTIONS."""
    from lambdabuild.frontends.intrinsics import to_data
    from lambdabuild.frontends.yaml_text import parse

    found = to_data(parse("template.yaml", template.read_text())[0])["Resources"]
    said = {name: one["Properties"] for name, one in found.items()}
    options = {
        name: one.get("Environment", {}).get("Variables", {}).get("NODE_OPTIONS", "") for name, one in said.items()
    }
    return {name: (one["Handler"], options[name].split()) for name, one in said.items()}
