"""`sam build` with lambdabuild in the place of Lambda Builders: the same files for twenty functions, whatever the flags."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import base_image as base
import pytest
from docker_engine import Engine
from lambda_builders import esbuild, installed, peer, tools
from sandbox import Sandbox

pytestmark = pytest.mark.slow

__all__ = ["esbuild", "peer", "tools"]

ROOT = Path(__file__).parents[2]
SAM_CLI = "aws-sam-cli==1.164.0"
FUNCTION = """\
  {name}:
    Type: AWS::Serverless::Function
    Metadata: {metadata}
    Properties: {{Runtime: {runtime}, Handler: app.handler, CodeUri: {name}}}
"""
PACKAGE = '{"name": "fn", "version": "1.0.0"%s}'
NEAR = PACKAGE % ', "dependencies": {"near": "file:../near"}'


IMAGE = "lambdabuild-tests/sam-build"
"""Of ours that is started in a container: its name is what SAM CLI starts, as docs/reference/rpc.md has it."""


@pytest.fixture
def build_image(engine: Engine, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image in which SAM CLI finds lambdabuild where it looks for Lambda Builders, with Debian's Python."""
    context = tmp_path_factory.mktemp("image")
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", base.PYTHON]
    subprocess.run([*install, "--compile-bytecode", "--target", str(context / "site"), str(ROOT)], check=True)
    Sandbox(context).write({
        "Dockerfile": f"FROM {base_image}\nCOPY site /opt/site\nCOPY lambda-builders python3.11 /usr/local/bin/\n"
                      "ENV PYTHONPATH=/opt/site\n",
        "python3.11": f'#!/bin/sh\nexec {base.PYTHON} "$@"\n',
        "lambda-builders": (ROOT / "docs/reference/rpc.md").read_text().split("```sh\n")[1].split("```")[0]
                           .replace("lambdabuild rpc", f"{base.PYTHON} -m lambdabuild rpc"),
    })  # fmt: skip
    for name in ("python3.11", "lambda-builders"):
        (context / name).chmod(0o755)
    with engine.client() as client:
        client.images.build(path=str(context), tag=IMAGE, network_mode="host", rm=True)
    return IMAGE


def functions(package: str) -> tuple[str, dict[str, str]]:
    """Twenty functions of a template, and their files: Python, make, bundles, and Node.js with a package.json."""
    text = "Transform: AWS::Serverless-2016-10-31\nResources:\n"
    files = {"near/package.json": PACKAGE.replace("fn", "near") % "", "near/index.js": "module.exports = 1\n"}
    kinds = (
        ("Py", 7, "python3.11", "{}", {"app.py": "def handler(e, c): return 1\n"}),
        ("Make", 7, "provided.al2023", "{BuildMethod: makefile}", {"bootstrap": "1"}),
        ("Ts", 4, "nodejs22.x", "{BuildMethod: esbuild, BuildProperties: {Minify: 'false', EntryPoints: [app.ts]}}",
         {"app.ts": "export const handler = () => 1\n"}),
        ("Js", 2, "nodejs22.x", "{}", {"app.js": "exports.handler = 1\n", "package.json": package}),
    )  # fmt: skip
    for kind, count, runtime, metadata, own in kinds:
        for name in [f"{kind}{number}" for number in range(count)]:
            text += FUNCTION.format(name=name, runtime=runtime, metadata=metadata)
            files |= {f"{name}/{file}": f"{content}" for file, content in own.items()}
            if kind == "Make":
                files[f"{name}/Makefile"] = f"build-{name}:\n\tcp bootstrap $(ARTIFACTS_DIR)\n\ttouch made\n"
    return text, files


def sam_build(folder: Path, flags: tuple[str, ...], tools: str, env: Mapping[str, str]) -> None:
    settings = {"PATH": tools, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-west-1", **env}
    command = [str(installed(SAM_CLI, "sam")), "build", *flags]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **settings}, capture_output=True, text=True,
                          timeout=500, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr


def content(folder: Path) -> dict[str, bytes]:
    """What is in a build folder, links followed; each file but the template's own."""
    found = {}
    for parent, _, names in os.walk(folder, followlinks=True):
        found |= {
            os.path.relpath(os.path.join(parent, name), folder): Path(parent, name).read_bytes() for name in names
        }
    return {name: data for name, data in found.items() if not name.endswith(".package-lock.json")}


def test_sam_build_gives_the_same_files_over_us_in_containers(
    engine: Engine, build_image: str, tools: str, tmp_path: Path
) -> None:
    text, files = functions(PACKAGE % "")
    few = re.compile(r"  (?:Py[2-9]|Make[2-9]|Ts.|Js1):\n(?:    .*\n)+")
    inside = ("--use-container", "--skip-pull-image", "--build-image", build_image, "--docker-network", "host")
    for side, flags in (("ours", inside), ("theirs", ())):
        Sandbox(tmp_path / side).write({"template.yaml": few.sub("", text), **files})
        sam_build(tmp_path / side, flags, tools, engine.environment)
    here, there = (content(tmp_path / side / ".aws-sam/build") for side in ("ours", "theirs"))
    assert {name.partition("/")[0] for name in here} == {"Py0", "Py1", "Make0", "Make1", "Js0", "template.yaml"}
    assert here == there


@pytest.mark.parametrize(
    ("flags", "package"),
    [(("--parallel", "--cached"), PACKAGE % ""), (("--build-in-source",), NEAR)],
    ids=["cached", "in-source"],
)
def test_sam_build_gives_the_same_files_over_us(
    flags: tuple[str, ...], package: str, tools: str, tmp_path: Path
) -> None:
    lines = re.findall(r"```python\n(import sys\n.*?)```", (ROOT / "docs/reference/rpc.md").read_text(), re.DOTALL)
    own = f"import sys\nsys.path += {[str(ROOT), sysconfig.get_path('purelib')]!r}\n"
    Sandbox(tmp_path).write({"shim/sitecustomize.py": own + lines[0]})
    text, files = functions(package)

    over_us = {"PYTHONPATH": str(tmp_path / "shim")}
    for side, env in (("ours", over_us), ("theirs", {})):
        Sandbox(tmp_path / side).write({"template.yaml": text, **files})
        sam_build(tmp_path / side, flags, tools, env)
    there = content(tmp_path / "theirs/.aws-sam/build")
    here = content(tmp_path / "ours/.aws-sam/build")
    bundles = {name for name in there if name.startswith("Ts")}  # for another target
    assert {name for name in here if here[name] != there.get(name)} <= bundles | {"template.yaml"}
    assert here.keys() == there.keys()
    made = [path.exists() for side in ("ours", "theirs") for path in [tmp_path / side / "Make0/made"]]
    assert made == ["--build-in-source" in flags] * 2
    if "--cached" in flags:
        sam_build(tmp_path / "ours", flags, tools, over_us)
        assert content(tmp_path / "ours/.aws-sam/build") == here
    shutil.rmtree(tmp_path / "theirs")
