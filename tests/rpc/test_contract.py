"""Every rule, in process and over JSON-RPC, is held to one behaviour: that of Lambda Builders."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import invoke
import pytest
from caller_project import Project, tree

from lambdabuild import LambdaBuilder
from lambdabuild.api.lambda_builders import (
    LambdaBuilderError,
    SharedProjectNotSupportedError,
    UnsupportedManifestError,
    WorkflowNotFoundError,
)
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.plan.types import Rule
from lambdabuild.rulebook.search import find_rules

ROOT = Path(__file__).parents[2]
RULES = [
    rule
    for rule in find_rules([str(ROOT / "rules")])
    # No registry has the .NET SDK; where it is installed, its rule is held to this too.
    if rule.name != "dotnet_cli" or shutil.which("dotnet")
]
THEIR_NAMES = {"dotnet_cli": "cli-package", "custom_make": None}
RUNTIMES = {
    "python": "python3.11", "nodejs": "nodejs22.x", "ruby": "ruby3.4", "java": "java17", "dotnet": "dotnet8",
}  # fmt: skip
OPTIONS = {
    "nodejs_npm_esbuild": {"entry_points": ["app.ts"]},
    "go_modules": {"artifact_executable_name": "bootstrap"},
}


# The watchdog over tools (lambdabuild.core.tools) lives as long as this process, and is waited for by nobody.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def manifest_of(rule: Rule, source: Path) -> Path:
    """The rule's manifest in a folder; of two the one that people name."""
    names = [path.name for path in sorted(source.iterdir())]
    found = [name for pattern in rule.manifests for name in names if fnmatchcase(name, pattern)]
    return source / ([name for name in found if name not in rule.lock_files] or found or ["none"])[0]


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))}


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_builds_the_same_in_process_and_over_rpc(
    rule: Rule, tmp_path: Path, ask: Callable[..., Any], request_of: Callable[..., Any]
) -> None:
    source, artifacts = tmp_path / "src", tmp_path / "new/artifacts"
    shutil.copytree(Path(rule.folder) / "example", source)
    capability = [
        rule.language,
        THEIR_NAMES.get(rule.name, rule.dependency_manager),
        rule.application_framework or None,
    ]
    params: dict[str, Any] = {
        "source_dir": str(source),
        "artifacts_dir": str(artifacts),
        "scratch_dir": str(tmp_path / "new/scratch"),
        "manifest_path": str(manifest_of(rule, source)),
        "runtime": RUNTIMES.get(rule.language, "provided.al2023"),
        "options": {"build_logical_id": "Example", **OPTIONS.get(rule.name, {})},
    }
    over_rpc = params | {
        "__protocol_version": "0.3", "optimizations": None,
        "capability": dict(zip(("language", "dependency_manager", "application_framework"), capability, strict=True)),
    }  # fmt: skip
    before = state(source)

    answer = ask(request_of(over_rpc))
    assert answer.response.get("result") == {"artifacts_dir": str(artifacts)}, answer.response
    first = tree(artifacts)
    assert first

    # A second build, in process and of an equal source elsewhere, in the place of the first: what is missing is made
    # again, what else is there stays.
    elsewhere = shutil.copytree(source, tmp_path / "some where/else/src")
    for name in [*first][1::2]:
        artifacts.joinpath(name).unlink()
    artifacts.joinpath("keep.txt").write_text("kept")
    there = {"source_dir": str(elsewhere), "manifest_path": str(manifest_of(rule, elsewhere))}
    assert LambdaBuilder(*capability).build(**params | there) is None
    assert tree(artifacts) == first | {"keep.txt": (b"kept", False)}
    assert state(source) == before
    assert Path(params["scratch_dir"]).is_dir()

    if rule.manifests and (rule.resolve or not rule.ships_source):
        manifest_of(rule, source).write_text("{{{ ((( no such thing\n")
        code, text = ask(request_of(over_rpc)).error
        name, _, reason = text.partition(" - ")
        assert code == 400 and name.count(":") == 1 and reason


# what callers count on, beside the rules


@pytest.fixture
def made(tmp_path: Path) -> Project:
    return Project(tmp_path)


NODE = {
    "src/package.json": json.dumps({"name": "a", "version": "1.0.0", "dependencies": {"mine": "file:../lib/mine"}}),
    "src/index.js": "exports.handler = async () => require('mine')\n",
    "src/node_modules/old/index.js": "",
    "lib/mine/package.json": '{"name": "mine", "version": "1.0.0"}',
    "lib/mine/index.js": "module.exports = 'one'\n",
}
NODE_OWN = {"index.js", "package.json"}
NODE_MODULES = {"node_modules/mine/index.js", "node_modules/mine/package.json"}
NPM = ("nodejs/npm", "package.json", "nodejs22.x")


def test_dependencies_of_node_lie_apart_when_asked_and_are_taken_from_there_again(made: Project) -> None:
    made.write(NODE)
    deps = str(made.dependencies)

    assert made.build(*NPM) == NODE_OWN | NODE_MODULES
    assert made.build(*NPM, dependencies_dir=deps) == NODE_OWN | NODE_MODULES
    assert made.names(made.dependencies) == NODE_MODULES
    assert made.build(*NPM, dependencies_dir=deps, combine_dependencies=False) == NODE_OWN
    assert made.names(made.dependencies) == NODE_MODULES

    made.write(
        {"lib/mine/index.js": "module.exports = 'two'\n", "deps/node_modules/mine/index.js": "module.exports = 3\n"}
    )
    assert made.build(*NPM, dependencies_dir=deps, download_dependencies=False) == NODE_OWN | NODE_MODULES
    assert invoke.node(made.artifacts, {}) == 3
    assert made.build(*NPM, dependencies_dir=deps, download_dependencies=False, combine_dependencies=False) == NODE_OWN
    assert made.build(*NPM, download_dependencies=False) == NODE_OWN
    assert made.names(made.dependencies) == NODE_MODULES


def test_what_npm_packs_is_what_ships_and_npmrc_never_does(made: Project) -> None:
    package = {"name": "a", "version": "1.0.0", "files": ["lib/"], "main": "lib/index.js"}
    made.write({
        "src/package.json": json.dumps(package), "src/lib/index.js": "", "src/test/index.js": "", "src/.npmrc": "",
        "src/README.md": "", "src/package-lock.json": json.dumps({"lockfileVersion": 3, "packages": {}}),
    })  # fmt: skip
    assert made.build(*NPM) == {"package.json", "lib/index.js", "README.md", "package-lock.json"}

    made.write({"src/package.json": '{"no": "version"}', "src/.npmignore": "test\n"})
    assert made.build(*NPM) == {"package.json", "lib/index.js", "README.md", "package-lock.json"}


def test_a_manifest_elsewhere_ships_beside_the_source(made: Project) -> None:
    made.write(NODE)
    made.write({"src/app/index.js": "exports.handler = async () => require('mine')\n"})
    made.source = made.source / "app"
    assert made.build("nodejs/npm", "../package.json", "nodejs22.x") == NODE_OWN | NODE_MODULES


PIP = ("python/pip", "requirements.txt", "python3.11")


def test_dependencies_of_python_lie_apart_when_asked_and_the_source_goes_before_them(made: Project) -> None:
    made.write({
        "src/requirements.txt": "./../lib/mine\n", "src/app.py": "import mine\ndef handler(e, c): return mine.WORD\n",
        "lib/mine/pyproject.toml": '[project]\nname = "mine"\nversion = "1.0"\n', "lib/mine/mine/__init__.py": "WORD = 1\n",
        "src/env/x.py": "", "src/a.pyc": "", "src/lib.so": "", "src/.env": "", "src/sub/__pycache__/x.py": "",
    })  # fmt: skip
    deps = str(made.dependencies)

    assert {"app.py", "requirements.txt", "mine/__init__.py"} <= made.build(*PIP, dependencies_dir=deps)
    there = made.names(made.dependencies)
    assert "mine/__init__.py" in there and "app.py" not in there
    assert made.build(*PIP, dependencies_dir=deps, combine_dependencies=False) == {"app.py", "requirements.txt"}

    made.write({"src/requirements.txt": "no-such-package==9\n", "deps/mine/__init__.py": "WORD = 2\n"})
    assert made.build(*PIP, dependencies_dir=deps, download_dependencies=False) == there | {
        "app.py",
        "requirements.txt",
    }
    assert invoke.python(made.artifacts, {}) == 2
    made.write({"src/mine/__init__.py": "WORD = 3\n"})
    made.build(*PIP, dependencies_dir=deps, download_dependencies=False)
    assert invoke.python(made.artifacts, {}) == 3
    assert made.build(*PIP, download_dependencies=False) == {"app.py", "requirements.txt", "mine/__init__.py"}


@pytest.mark.parametrize(
    ("capability", "manifest", "runtime"),
    [PIP, ("python/uv", "pyproject.toml", "python3.11"), NPM, ("ruby/bundler", "Gemfile", "ruby3.4")],
)
def test_without_a_manifest_the_source_alone_ships(capability: str, manifest: str, runtime: str, made: Project) -> None:
    made.write({"src/app": "", "src/sub/data.txt": "", "src/.git/HEAD": "", "src/.aws-sam/build/x": ""})
    options = {"build_logical_id": "Orders", "unknown": 1}
    kept = {"dependencies_dir": str(made.dependencies), "options": options}
    assert made.build(capability, manifest, runtime, **kept) == {"app", "sub/data.txt"}


@pytest.mark.parametrize(
    ("capability", "name"),
    [("java/maven", "JavaMavenWorkflow"), ("go/modules", "GoModulesBuilder"), ("provided", "CustomMakeBuilder")],
)
def test_what_cannot_do_without_a_manifest_says_so(capability: str, name: str, made: Project) -> None:
    made.write({"src/app": ""})
    text = made.failure(capability, "no-such-file", "provided.al2", options={"build_logical_id": "Orders"})
    assert text.startswith(f"{name}:") and text.endswith(f"{made.source}/no-such-file")


def test_uv_reads_requirements_too_and_looks_for_a_manifest_itself(made: Project) -> None:
    made.write({"src/requirements.txt": "", "src/app.py": "", "src/uv.lock": ""})
    assert made.build("python/uv", "pyproject.toml", "python3.11") == {"app.py", "requirements.txt", "uv.lock"}

    with pytest.raises(UnsupportedManifestError, match=r"PythonUvBuilder:ResolveDependencies - .*uv\.lock"):
        made.build("python/uv", "uv.lock", "python3.11")


def test_python_sources_move_into_their_parent_packages(made: Project) -> None:
    made.write({"src/app.py": "", "src/sub/x.py": ""})
    options = {"parent_python_packages": "shop.orders"}
    assert made.build(*PIP, options=options) == {"shop/orders/app.py", "shop/orders/sub/x.py"}
    made.write({"src/shop/orders/y.py": ""})
    assert made.build(*PIP, options=options) == {"app.py", "sub/x.py", "shop/orders/y.py"}


def test_unknown_capabilities_runtimes_and_architectures_have_the_peers_texts(made: Project) -> None:
    with pytest.raises(WorkflowNotFoundError) as raised:
        LambdaBuilder("Cobol", "pip", None)
    assert str(raised.value) == "Unable to find a workflow matching given capability: Cobol, pip, None"
    assert isinstance(raised.value, LambdaBuilderError) and isinstance(raised.value, LambdaBuildError)
    with pytest.raises(WorkflowNotFoundError):
        LambdaBuilder("python", "pip", None, supported_workflows=[])
    assert (
        LambdaBuilder("Python", "PIP", "", supported_workflows=["aws_lambda_builders.workflows"]).rule.name
        == "python_pip"
    )

    made.write({"src/app.py": ""})
    for runtime in ("python2.7", "python3.7", "fake", None):
        text = made.failure("python/pip", "requirements.txt", runtime)  # type: ignore[arg-type]
        assert text == f"PythonPipBuilder:Validation - Runtime {runtime} is not supported"
    expected = "PythonPipBuilder:Validation - Architecture mips is not supported for runtime python3.11"
    assert made.failure(*PIP, architecture="mips") == expected
    with pytest.raises(SharedProjectNotSupportedError):
        LambdaBuilder("nodejs", "npm", None).prepare_shared_project(str(made.folder))


def test_make_needs_the_name_of_its_target(made: Project) -> None:
    made.write({"src/Makefile": "build-Orders:\n\techo $$WORD > $(ARTIFACTS_DIR)/word\n"})
    make = ("provided", "Makefile", "provided")

    assert made.failure(*make) == "CustomMakeBuilder:None - Build target None is not found!"
    assert made.failure(*make, options={"build_logical_id": "Refunds"}).startswith("CustomMakeBuilder:MakeBuild - ")
    assert made.build(*make, options={"build_logical_id": "Orders"}, build_in_source=True) == {"word"}


def test_a_tool_gets_the_callers_environment_and_is_looked_for_on_the_search_paths_first(
    made: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.write(
        {"src/Makefile": "build-Orders:\n\tword > $(ARTIFACTS_DIR)/word\n", "bin/word": '#!/bin/sh\necho "$WORD"\n'}
    )
    made.write({"bin/make": '#!/bin/sh\necho "$2" > made; WORD="$WORD twice"; export WORD; exec /usr/bin/make "$@"\n'})
    for name in ("word", "make"):
        made.folder.joinpath("bin", name).chmod(0o755)
    monkeypatch.setenv("WORD", "said")
    path = os.environ["PATH"]
    make = ("provided", "Makefile", "provided")
    options = {"build_logical_id": "Orders"}

    made.build(*make, options=options, executable_search_paths=[str(made.folder / "bin")])
    assert made.artifacts.joinpath("word").read_text() == "said twice\n"
    assert os.environ["PATH"] == path
    assert "make" in made.failure(*make, options=options)


def test_builds_side_by_side_have_search_paths_of_their_own(tmp_path: Path) -> None:
    def build(name: str) -> str:
        made = Project(tmp_path / name)
        made.write(
            {"src/Makefile": "build-Orders:\n\tword > $(ARTIFACTS_DIR)/word\n", "bin/word": f"#!/bin/sh\necho {name}\n"}
        )
        made.folder.joinpath("bin/word").chmod(0o755)
        paths = [str(made.folder / "bin")]
        made.build(
            "provided", "Makefile", "provided", options={"build_logical_id": "Orders"}, executable_search_paths=paths
        )
        return made.artifacts.joinpath("word").read_text().strip()

    names = [f"word{number}" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(build, names)) == names


def test_bundles_leave_out_what_lies_in_dependencies_dir(made: Project) -> None:
    shutil.copytree(ROOT / "rules/nodejs_npm_esbuild/example", made.source)
    app = made.source.joinpath("app.ts").read_text().replace("./words", "../../words")
    made.write({"src/nested/deep/app.ts": app})
    esbuild = ("nodejs/npm-esbuild", "package.json", "nodejs22.x")
    options = {"entry_points": ["nested/deep/app.ts"], "minify": False}
    apart = {"options": options, "dependencies_dir": str(made.dependencies)}

    assert made.build(*esbuild, **apart, combine_dependencies=False) == {"app.js"}
    assert 'require("ms")' in made.artifacts.joinpath("app.js").read_text()
    assert "node_modules/ms/index.js" in made.names(made.dependencies)
    assert made.build(*esbuild, **apart, download_dependencies=False) == {"app.js"}
    assert 'require("ms")' not in made.artifacts.joinpath("app.js").read_text()
    assert invoke.node(made.artifacts, {"text": "2 days"}, "app.js") == "172800000!"
    text = made.failure(*esbuild, options=options, download_dependencies=False)
    assert text.startswith("Esbuild Failed: ")
