"""Manifests and lock files above the code folder, as rule.toml declares them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lambdabuild.config.settings import Settings
from lambdabuild.core.model import Document, Function, Layer, Service
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Span
from lambdabuild.plan.planner import folders_above, plan
from lambdabuild.plan.types import BuildPlan, Rule, StepClaims, Workspace
from lambdabuild.plan.workspaces import Disk, above, root_of
from lambdabuild.rulebook.search import find_rules

HERE = Span("template.yaml", 3, 3)
READS = StepClaims(reads=("manifest",))
NPM = Rule("npm", "/r", "nodejs", "npm", runtimes=("nodejs*",), manifests=("package.json",), lock_files=("package-lock.json",),
           manifest_search="template", resolve=READS,
           workspace=Workspace(("package.json",), members=("workspaces", "workspaces.packages"), locks=("dependencies",)))  # fmt: skip
PNPM = Rule("pnpm", "/r", "nodejs", "pnpm", runtimes=("nodejs*",), manifests=("package.json",), lock_files=("pnpm-lock.yaml",),
            manifest_search="template", resolve=READS,
            workspace=Workspace(("pnpm-workspace.yaml",), members=("packages",), locks=("dependencies",)))  # fmt: skip
UV = Rule("uv", "/r", "python", "uv", runtimes=("python*",), manifests=("pyproject.toml",), lock_files=("uv.lock",), resolve=READS,
          workspace=Workspace(("pyproject.toml",), "tool.uv.workspace", ("tool.uv.workspace.members",),
                              ("tool.uv.workspace.exclude",)))  # fmt: skip
GO = Rule("go", "/r", "go", "modules", runtimes=("provided*",), manifests=("go.mod",), lock_files=("go.sum",),
          companions=("go.work.sum",), manifest_search="checkout", workspace=Workspace(("go.work",)),
          compile=StepClaims(reads=("manifest", "source")))  # fmt: skip
RULES = (GO, NPM, PNPM, UV)


def disk(files: dict[str, str], top: str = ".") -> Disk:
    names: dict[str, set[str]] = {}
    for path in files:
        folder, _, name = path.rpartition("/")
        names.setdefault(folder or ".", set()).add(name)
    return Disk({folder: frozenset(found) for folder, found in names.items()}, files.__getitem__, top)


def planned(source: str, runtime: str, files: dict[str, str], top: str = ".") -> BuildPlan:
    items: list[Function] = [Function("F", runtime, "x86_64", "a.b", source, HERE)]
    service = Service((Document("", "template.yaml", "", False, ()),), tuple(items), tuple[Layer, ...]())
    found = disk({f"{source}/app": ""} | files, top)
    return plan(service, RULES, found, lambda choice: choice.manifest, Settings())


def chosen(*args: Any, **more: Any) -> tuple[str, str, str]:
    key = planned(*args, **more).builds[0].key
    return key.rule, key.manifest, key.workspace


def npm_root(workspaces: Any) -> dict[str, str]:
    return {"package.json": json.dumps({"workspaces": workspaces}), "package-lock.json": ""}


@pytest.mark.parametrize(
    ("workspaces", "belongs"),
    [
        (["functions/*"], True), (["./functions/*/"], True), (["functions/a"], True), (["**"], True),
        (["{functions,packages}/*"], True), ({"packages": ["functions/**"]}, True), (["functions/*", "!functions/a"], False),
        (["packages/*"], False), (["*"], False), ([], False),
    ],
)  # fmt: skip
def test_globs_of_the_root_say_who_belongs(workspaces: Any, belongs: bool) -> None:
    files = {"functions/a/package.json": "{}"} | npm_root(workspaces)

    assert chosen("functions/a", "nodejs22.x", files) == ("npm", "functions/a/package.json", "." if belongs else "")


def test_a_lock_file_at_the_root_chooses_the_rule_and_one_beside_the_manifest_goes_first() -> None:
    root = {"pnpm-workspace.yaml": "packages: ['f/*']\n", "pnpm-lock.yaml": "", "f/a/package.json": "{}"}

    assert chosen("f/a", "nodejs22.x", root) == ("pnpm", "f/a/package.json", ".")
    assert chosen("f/a", "nodejs22.x", root | {"f/a/package-lock.json": ""}) == ("npm", "f/a/package.json", "")


def test_an_excluded_folder_does_not_belong() -> None:
    root = '[tool.uv.workspace]\nmembers = ["f/*"]\nexclude = ["f/b"]\n'
    files = {"pyproject.toml": root, "uv.lock": "", "f/a/pyproject.toml": "", "f/b/pyproject.toml": ""}

    assert chosen("f/a", "python3.13", files) == ("uv", "f/a/pyproject.toml", ".")
    assert chosen("f/b", "python3.13", files) == ("uv", "f/b/pyproject.toml", "")


def test_the_nearest_root_that_a_folder_belongs_to_counts_as_far_as_the_project_root() -> None:
    files = {"../../go.work": "use ./x", "../go.mod": "", "go.mod": "", "cmd/one/main.go": ""}

    assert chosen("cmd/one", "provided.al2023", files, top="../..") == ("go", "go.mod", "../..")
    assert chosen("cmd/one", "provided.al2023", files, top="..") == ("go", "go.mod", "")
    assert chosen("cmd/one", "provided.al2023", files | {"go.work": ""}, top="..") == ("go", "go.mod", ".")


def test_a_manifest_is_looked_for_above_the_code_folder_as_far_as_its_rule_says() -> None:
    files = {"f/a/package.json": "{}", "f/go.mod": ""}

    assert chosen("f/a/src", "nodejs22.x", files)[1] == "f/a/package.json"
    assert chosen("f/a/cmd/one", "provided.al2023", files)[1] == "f/go.mod"
    assert chosen("../lib/a/src", "nodejs22.x", {"../lib/a/package.json": "{}"}, top="..")[1] == "../lib/a/package.json"
    assert chosen("f/a", "provided.al2023", {"../go.mod": ""}, top="..")[1] == "../go.mod"


SHIPPED = find_rules([str(Path(__file__).parents[2] / "rules")])
PNPM_ROOT = {"pnpm-workspace.yaml": "packages:\n  - svc/*\n", "pnpm-lock.yaml": "", "package.json": "{}"}
YARN_ROOT = {"package.json": '{"workspaces": {"packages": ["svc/**"], "nohoist": []}}', "yarn.lock": ""}
UV_ROOT = {"pyproject.toml": '[tool.uv.workspace]\nmembers = ["svc/[ab]"]', "uv.lock": ""}


@pytest.mark.parametrize(
    ("runtime", "files", "expected"),
    [
        ("python3.13", {"svc/a/Pipfile": "", "svc/a/Pipfile.lock": ""}, ("python_pipenv", "svc/a/Pipfile", "")),
        ("python3.13", {"svc/a/pyproject.toml": "", "svc/a/poetry.lock": ""}, ("python_poetry", "svc/a/poetry.lock", "")),
        ("python3.13", {"svc/a/pyproject.toml": "", **UV_ROOT}, ("python_uv", "svc/a/pyproject.toml", ".")),
        ("python3.13", {"svc/a/pyproject.toml": "", "svc/a/uv.lock": "", **UV_ROOT}, ("python_uv", "svc/a/pyproject.toml", ".")),
        ("python3.13", {"svc/a/requirements.txt": ""}, ("python_pip", "", "")),
        ("nodejs22.x", {"svc/a/package.json": "{}", **PNPM_ROOT}, ("nodejs_pnpm", "svc/a/package.json", ".")),
        ("nodejs22.x", {"svc/a/package.json": "{}", **YARN_ROOT}, ("nodejs_yarn", "svc/a/package.json", ".")),
        ("nodejs22.x", {"svc/a/package.json": "{}", "svc/a/yarn.lock": "", **PNPM_ROOT}, ("nodejs_yarn", "svc/a/package.json", "")),
        ("nodejs22.x", {"svc/a/src/package.json": "{}", **npm_root(["svc/a"])}, ("nodejs_npm", "svc/a/src/package.json", "")),
    ],
)  # fmt: skip
def test_shipped_rules_look_where_their_package_managers_do(runtime: str, files: dict[str, str], expected: Any) -> None:
    service = Service(
        (Document("", "template.yaml", "", False, ()),),
        (Function("F", runtime, "x86_64", "a.b", "svc/a/src", HERE),),
        (),
    )
    found = disk({"svc/a/src/app": ""} | files)
    key = plan(service, SHIPPED, found, lambda choice: choice.manifest, Settings()).builds[0].key

    assert (key.rule, key.manifest, key.workspace) == expected


def test_a_lock_file_that_is_not_about_a_manifest_is_told_where_there_is_something_to_lock() -> None:
    root = npm_root(["functions/*"])
    folder, needs, needs_none = "other/a", '{"dependencies": {"ms": "1"}}', '{"type": "module"}'

    noted = planned(folder, "nodejs22.x", root | {f"{folder}/package.json": needs}).notes
    assert noted == (
        "package-lock.json does not cover other/a/package.json, which no workspace there names: the newest version is used",
    )
    assert planned(folder, "nodejs22.x", root | {f"{folder}/package.json": needs_none}).notes == ()
    assert (
        planned(folder, "nodejs22.x", root | {f"{folder}/package.json": needs, f"{folder}/pnpm-lock.yaml": ""}).notes
        == ()
    )
    assert planned("functions/a", "nodejs22.x", root | {"functions/a/package.json": needs}).notes == ()


def test_a_manifest_with_scripts_shares_nothing_with_another_folders() -> None:
    rule = replace(NPM, resolve=StepClaims(reads=("manifest",), source_keys=("scripts.install",)))
    functions = tuple(Function(name, "nodejs22.x", "x86_64", "a.b", name, HERE) for name in "ab")
    service = Service((Document("", "template.yaml", "", False, ()),), functions, ())
    for text, sources in (('{"scripts": {"install": "x"}}', ["a", "b"]), ('{"scripts": {"test": "x"}}', [""])):
        found = disk({"a/package.json": text, "b/package.json": text})
        built = plan(service, (rule,), found, lambda choice: "equal", Settings())
        assert [resolution.key.source for resolution in built.resolutions] == sources


def test_a_root_that_cannot_be_read_is_none() -> None:
    files = {"f/a/package.json": "{}", "package.json": "{", "package-lock.json": ""}

    assert root_of(NPM, "f/a", disk(files)) == ""


@pytest.mark.parametrize(
    ("folder", "top", "expected"),
    [
        ("f/a", ".", ["f", "."]), (".", "..", [".."]), ("../lib/a", "..", ["../lib", ".."]), ("../lib", ".", []),
        ("../../x", "..", []), ("/abs", "..", []), (".", ".", []), ("a", "../..", [".", "..", "../.."]),
    ],
)  # fmt: skip
def test_folders_above(folder: str, top: str, expected: list[str]) -> None:
    assert list(above(folder, top)) == expected


def test_names_in_all_folders_above_count() -> None:
    service = Service((), (Function("F", "nodejs22.x", "x86_64", "a.b", "f/a", HERE),), ())

    assert folders_above(service, Settings(), "..") == {"f", ".", ".."}
