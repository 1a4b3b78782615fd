"""`lambda-builders` itself and `lambdabuild rpc`: one request, the same artifact, but for differences that have a name."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import invoke
import pytest
from lambda_builders import esbuild, installed, peer, tools

from lambdabuild.api.workflows import WORKFLOWS

pytestmark = pytest.mark.slow

__all__ = ["esbuild", "peer", "tools"]

ROOT = Path(__file__).parents[2]
SAM_CLI = "aws-sam-cli==1.164.0"

RECORD = "it lists what an installer wrote; what is left out would make it wrong"
JARS = r"lib/((org\.apache\.commons|com\.amazonaws)\.)?(commons-text|commons-lang3|aws-lambda-java-core)-[\d.]+\.jar"
DIFFERENCES: Mapping[str, Mapping[str, str]] = {
    "python_pip": {r".*\.dist-info/RECORD": RECORD},
    "python_uv": {
        r".*\.dist-info/(RECORD|INSTALLER|REQUESTED)": RECORD,
        r"\.lock": "uv's own lock on the folder that it installs into",
        r"uv\.lock": "Lambda Builders writes it into the source, and ships it from there",
    },
    "nodejs_npm_esbuild": {
        r"node_modules/(esbuild|@esbuild)/.*": "dependencies_dir keeps what is for development, as esbuild itself is, so "
        "that a build from it needs no esbuild on PATH",
        r"node_modules/\.package-lock\.json": "npm's own notes",
    },
    "ruby_bundler": {
        "vendor/bundle/.*": "a gem with a path is installed like any other; Lambda Builders leaves it where it lies in the source",
        r"Gemfile(\.lock)?": "they tell where those gems are now, so dependencies_dir has them too",
    },
    "java_gradle": {
        JARS: "jars are called by their group too, as Lambda Builders' Maven workflow does it, so that two cannot be one",
        "META-INF/MANIFEST.MF": "Lambda Builders unpacks the project's jar; nothing reads its manifest in Lambda",
    },
}
"""Every known difference in the names of files, by rule, with its reason."""


def ruby(code: Path) -> Any:
    """Lambda Builders leaves the example's gem in its folder."""
    gems = "vendor/bundle/ruby/3.4.0"
    return invoke.ruby(code, {"name": "Ada"}, gems, RUBYLIB=str(code / "greeting/lib"))


def java(code: Path) -> Any:
    return invoke.java(code, {"name": "ada"}, "example.Greeter::handleRequest")


@dataclass(frozen=True)
class Case:
    """A rule's example, as callers ask for it."""

    rule: str
    capability: tuple[str, str | None]
    manifest: str
    runtime: str
    answer: Any
    call: Callable[[Path], Any]
    options: Mapping[str, Any] = field(default_factory=dict)


CASES = [
    Case("python_pip", ("python", "pip"), "requirements.txt", "python3.11", "&lt;",
         lambda code: invoke.python(code, {"text": "<"})),
    Case("python_uv", ("python", "uv"), "pyproject.toml", "python3.11", "&lt;",
         lambda code: invoke.python(code, {"text": "<"})),
    Case("nodejs_npm", ("nodejs", "npm"), "package.json", "nodejs22.x", 172800000,
         lambda code: invoke.node(code, {"text": "2 days"})),
    Case("nodejs_npm_esbuild", ("nodejs", "npm-esbuild"), "package.json", "nodejs22.x", "1000!",
         lambda code: invoke.node(code, {"text": "1s"}, "app.js"), options={"entry_points": ["app.ts"]}),
    Case("custom_make", ("provided", None), "Makefile", "provided", "made", lambda code: invoke.python(code, {}),
         options={"build_logical_id": "Example"}),
    Case("go_modules", ("go", "modules"), "go.mod", "provided", {"greeting": "Hello Ada"},
         lambda code: invoke.bootstrap(code, {"name": "Ada"}), options={"artifact_executable_name": "bootstrap"}),
    Case("ruby_bundler", ("ruby", "bundler"), "Gemfile", "ruby3.4", None, ruby),
    Case("java_maven", ("java", "maven"), "pom.xml", "java17", "Hello Ada", java),
    Case("java_gradle", ("java", "gradle"), "build.gradle", "java17", "Hello Ada", java),
    Case("rust_cargo", ("rust", "cargo"), "Cargo.toml", "provided", "Hello Ada",
         lambda code: invoke.bootstrap(code, {"name": "Ada"})),
]  # fmt: skip
"""All that Lambda Builders has but .NET, whose SDK no registry has."""


@dataclass(frozen=True)
class Built:
    artifacts: Path
    dependencies: Path
    response: dict[str, Any]
    logs: str


Build = Callable[..., tuple[Built, Built]]


@pytest.fixture
def build(peer: Path, tools: str, tmp_path: Path) -> Build:
    """One request to both, each with files of its own: (ours, Lambda Builders')."""

    def one(command: list[str], name: str, source: Path | Mapping[str, str], capability: tuple[str, str | None], manifest: str,
            runtime: str, **more: Any) -> Built:  # fmt: skip
        place = tmp_path / name
        shutil.rmtree(place, ignore_errors=True)
        if isinstance(source, Path):
            shutil.copytree(source, place / "src")
            source = {}
        for path, text in source.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_text(text)
        folders = {key: str(place / key.removesuffix("_dir")) for key in ("artifacts_dir", "scratch_dir")}
        if more.pop("apart", False):
            more["dependencies_dir"] = str(place / "dependencies")
        language, manager = capability
        params = {
            "__protocol_version": "0.3",
            "capability": {"language": language, "dependency_manager": manager, "application_framework": None},
            "source_dir": str(place / "src"), **folders, "manifest_path": str(place / "src" / manifest),
            "runtime": runtime, "optimizations": None, "options": None, **more,
        }  # fmt: skip
        request = {"jsonschema": "2.0", "id": 1, "method": "LambdaBuilder.build", "params": params}
        done = subprocess.run(
            [*command, json.dumps(request)], capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False,
            env={**os.environ, "PATH": tools, "GRADLE_OPTS": "-Dorg.gradle.daemon=false"},
        )  # fmt: skip
        return Built(place / "artifacts", place / "dependencies", json.loads(done.stdout), done.stderr)

    def both(*arguments: Any, **more: Any) -> tuple[Built, Built]:
        ours = one([sys.executable, "-m", "lambdabuild", "rpc"], "ours", *arguments, **more)
        return ours, one([str(peer)], "theirs", *arguments, **more)

    return both


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def differing(rule: str, ours: Path, theirs: Path) -> set[str]:
    """Files that one has and the other has not, but for the known differences."""
    known = DIFFERENCES.get(rule, {})
    return {name for name in names(ours) ^ names(theirs) if not any(re.fullmatch(known_, name) for known_ in known)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_a_rule_leaves_the_same_files_as_the_peer_and_they_answer_alike(case: Case, build: Build) -> None:
    source = ROOT / "rules" / case.rule / "example"
    ours, theirs = build(source, case.capability, case.manifest, case.runtime, options=dict(case.options), apart=True)
    assert "result" in theirs.response, theirs.response
    assert "result" in ours.response, ours.response

    assert differing(case.rule, ours.artifacts, theirs.artifacts) == set()
    assert differing(case.rule, ours.dependencies, theirs.dependencies) == set()
    found = names(ours.artifacts) ^ names(theirs.artifacts) | names(ours.dependencies) ^ names(theirs.dependencies)
    for pattern, reason in DIFFERENCES.get(case.rule, {}).items():
        assert any(re.fullmatch(pattern, name) for name in found), f"no difference any more: {reason}"
    answer = case.call(ours.artifacts)
    assert answer == case.call(theirs.artifacts)
    assert answer == case.answer or case.answer is None


def test_a_layer_of_java_is_jars_which_move_away_when_they_are_not_to_be_combined(build: Build) -> None:
    source, what = ROOT / "rules/java_maven/example", (("java", "maven"), "pom.xml", "java17")
    ours, theirs = build(source, *what, is_building_layer=True, apart=True, combine_dependencies=False)

    assert names(ours.dependencies) == names(theirs.dependencies)
    assert {Path(name).suffix for name in names(ours.dependencies)} == {".jar"}
    assert names(ours.artifacts) == names(theirs.artifacts) == set()


def test_the_peers_rules_are_all_here_but_dotnet() -> None:
    assert {(*case.capability, "")[:2] for case in CASES} == {
        (language, manager or None) for language, manager, _ in WORKFLOWS if language != "dotnet"
    }


PIP = (("python", "pip"), "requirements.txt", "python3.11")
NPM = (("nodejs", "npm"), "package.json", "nodejs22.x")
RUBY = (("ruby", "bundler"), "Gemfile", "ruby3.4")
PACKAGE = '{"name": "a", "version": "1.0.0"%s}'
KEPT = {"dependencies/mine/__init__.py": "", "dependencies/node_modules/mine/index.js": "", "dependencies/vendor/x": ""}
ODD = {
    f"src/{name}": ""
    for name in ("app.py", "tests/test_app.py", "README.md", "env/x.py", "lib.so", "a.pyc", "sub/.venv/x", "sub/__pycache__/y",
                 ".gitignore", ".hidden", "x.egg-info/PKG", ".git/HEAD", ".aws-sam/x", "node_modules/m/index.js", ".npmrc",
                 ".vscode/x", "package-lock.jsonx", "sub/.git/HEAD")
}  # fmt: skip
REUSED = {"apart": True, "download_dependencies": False}
ALIKE: Mapping[str, tuple[Mapping[str, str], Any, Mapping[str, Any]]] = {
    "python without a manifest": (ODD, PIP, {}),
    "node without a manifest": (ODD, NPM, {}),
    "ruby without a manifest": (ODD, RUBY, {"download_dependencies": False}),
    "python with a manifest": (ODD | {"src/requirements.txt": ""}, PIP, {"apart": True}),
    "python's dependencies as they were": (ODD | KEPT | {"src/requirements.txt": "none==0"}, PIP, REUSED),
    "python's dependencies left out": (KEPT | {"src/requirements.txt": ""}, PIP, REUSED | {"combine_dependencies": False}),
    "python without dependencies": ({"src/requirements.txt": "none==0"}, PIP, {"download_dependencies": False}),
    "python in packages": (
        {"src/app.py": "", "src/sub/x.py": "", "src/requirements.txt": ""}, PIP, {"options": {"parent_python_packages": "a.b"}},
    ),
    "python in a package that is there": (
        {"src/a/b/x.py": "", "src/y.py": ""}, PIP, {"options": {"parent_python_packages": "a.b"}},
    ),
    "node with a manifest": (ODD | {"src/package.json": PACKAGE % ""}, NPM, {"apart": True}),
    "node with .gitignore": ({"src/package.json": PACKAGE % "", "src/.gitignore": "dist\n", "src/dist/x": "", "src/y": ""}, NPM, {}),
    "node with .npmignore": ({"src/package.json": PACKAGE % "", "src/.npmignore": "test\n", "src/test/x": "", "src/y": ""}, NPM, {}),
    "node with files": (
        {"src/package.json": PACKAGE % ', "files": ["lib"]', "src/lib/x.js": "", "src/index.js": "", "src/LICENSE": ""}, NPM, {},
    ),
    "node's dependencies as they were": (KEPT | {"src/package.json": PACKAGE % "", "src/x.js": ""}, NPM, REUSED),
    "node's dependencies left out": (
        KEPT | {"src/package.json": PACKAGE % "", "src/x.js": ""}, NPM, REUSED | {"combine_dependencies": False},
    ),
    "ruby's dependencies as they were": (KEPT | {"src/Gemfile": "", "src/app.rb": ""}, RUBY, REUSED),
}  # fmt: skip


@pytest.mark.parametrize("name", ALIKE)
def test_what_callers_count_on_is_the_same(name: str, build: Build) -> None:
    files, what, more = ALIKE[name]
    ours, theirs = build(files, *what, **more)
    assert "result" in theirs.response, theirs.response

    assert names(ours.artifacts) == names(theirs.artifacts)
    assert names(ours.dependencies) == names(theirs.dependencies)


MAKE = (("provided", None), "Makefile", "provided")
REFUSED: Mapping[str, tuple[Mapping[str, str], Any, Mapping[str, Any]]] = {
    "capability": ({}, (("cobol", "pip"), "x", "python3.11"), {}),
    "no modules": ({}, PIP, {"supported_workflows": []}),
    "runtime": ({"src/x": ""}, (("nodejs", "npm"), "package.json", "nodejs14.x"), {}),
    "no runtime": ({"src/x": ""}, (("ruby", "bundler"), "Gemfile", None), {}),
    "architecture": ({"src/x": ""}, NPM, {"architecture": "mips"}),
    "target": ({"src/Makefile": ""}, MAKE, {}),
    "version": ({}, PIP, {"__protocol_version": "0.4"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_has_the_peers_words(name: str, build: Build) -> None:
    files, what, more = REFUSED[name]
    ours, theirs = build({"src/.keep": "", **files}, *what, **more)

    assert ours.response == theirs.response


FAILS: Mapping[str, tuple[Mapping[str, str], Any, Mapping[str, Any]]] = {
    "PythonPipBuilder:ResolveDependencies": ({"src/requirements.txt": "no-such-package-is-here==99\n"}, PIP, {}),
    "CustomMakeBuilder:MakeBuild": ({"src/Makefile": "build-A:\n\tfalse\n"}, MAKE, {"options": {"build_logical_id": "A"}}),
    "GoModulesBuilder:Build": (
        {"src/go.mod": "module a\ngo 1.20\n", "src/main.go": "package main\nfunc main( {}\n"},
        (("go", "modules"), "go.mod", "provided"), {"options": {"artifact_executable_name": "bootstrap"}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("action", FAILS)
def test_a_failure_names_the_workflow_and_the_action_that_the_peer_names(action: str, build: Build) -> None:
    files, what, more = FAILS[action]
    for built in build(files, *what, **more):
        assert built.response["error"]["code"] == 400
        assert built.response["error"]["message"].startswith(f"{action} - ")


TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Py:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.11, Handler: app.handler, CodeUri: py}
  Js:
    Type: AWS::Serverless::Function
    Properties: {Runtime: nodejs22.x, Handler: index.handler, CodeUri: js}
  Example:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: makefile}
    Properties: {Runtime: provided.al2023, Handler: x, CodeUri: make}
  Layer:
    Type: AWS::Serverless::LayerVersion
    Metadata: {BuildMethod: python3.11}
    Properties: {ContentUri: py, CompatibleRuntimes: [python3.11]}
"""


def test_sam_build_uses_lambdabuild_in_the_peers_place(tmp_path: Path, tools: str) -> None:
    sam = installed(SAM_CLI, "sam")
    lines = re.findall(r"```python\n(import sys\n.*?)```", (ROOT / "docs/reference/rpc.md").read_text(), re.DOTALL)
    (tmp_path / "shim").mkdir()
    own = f"import sys\nsys.path += {[str(ROOT), sysconfig.get_path('purelib')]!r}\n"
    (tmp_path / "shim/sitecustomize.py").write_text(own + lines[0])
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    for folder, rule in (("py", "python_pip"), ("js", "nodejs_npm"), ("make", "custom_make")):
        shutil.copytree(ROOT / "rules" / rule / "example", tmp_path / folder)

    def build(place: str, *more: str, **env: str) -> str:
        settings = {"PATH": tools, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-west-1", **env}
        done = subprocess.run([str(sam), "build", "--build-dir", place, *more], cwd=tmp_path, env={**os.environ, **settings},
                              capture_output=True, text=True, timeout=300, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stderr

    place = {"PYTHONPATH": str(tmp_path / "shim")}
    assert "NpmPack" not in build("ours", **place)
    assert "NpmPack" in build("theirs")
    assert differing("python_pip", tmp_path / "ours", tmp_path / "theirs") == set()
    for name in names(tmp_path / "ours") - {"template.yaml", "Js/package.json"}:
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes(), name
    before = names(tmp_path / "ours")
    build("ours", "--cached", **place)
    assert "Manifest is not changed" in build("ours", "--cached", **place)
    assert names(tmp_path / "ours") == before
