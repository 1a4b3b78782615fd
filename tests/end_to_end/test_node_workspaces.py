"""Functions that are members of an npm, Yarn or pnpm workspace: one lock file at the root, siblings as real files."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest
from rule_example import call_node, function, packages, template
from sandbox import Sandbox

PINS = {
    "npm": "",
    "yarn1": "yarn@1.22.22",
    "yarn4": "yarn@4.18.1",
    "pnpm10.14": "pnpm@10.14.0",
    "pnpm10.34": "pnpm@10.34.8",
}
PROGRAMS = {"yarn@4.18.1": "@yarnpkg/cli-dist@4.18.1"}
LOCKING = {
    "npm": ["install", "--package-lock-only", "--no-audit", "--no-fund"],
    "yarn1": ["install", "--ignore-scripts", "--ignore-platform", "--no-bin-links"],
    "yarn4": ["install", "--mode=update-lockfile"],
    "pnpm10.14": ["install", "--lockfile-only"],
    "pnpm10.34": ["install", "--lockfile-only"],
}
ASKED = "require('ms/package.json').version, require('@shop/money').says, require('debug/package.json').version"
HANDLER = f"exports.handler = async () => [{ASKED}]\n"


def package(name: str, dependencies: dict[str, str], **more: Any) -> str:
    return json.dumps({"name": name, "version": "1.0.0", "dependencies": dependencies, **more})


def shop(project: Sandbox, manager: str, *resources: str, **root: Any) -> Sandbox:
    """pay and money need another ms each, debug a third one, ship something else; once is for development."""
    own = "workspace:*" if manager.startswith("pnpm") else "1.0.0"
    more = {"packageManager": PINS[manager]} if PINS[manager] else {}
    workspaces = ["services/*", "libs/**", "!libs/old"]
    project.write({
        "template.yaml": template(*resources),
        "package.json": json.dumps({"name": "root", "private": True, "workspaces": workspaces,
                                    "devDependencies": {"wrappy": "1.0.2"}, **more, **root}),
        "services/pay/package.json": package("pay", {"@shop/money": own, "ms": "2.0.0", "debug": "4.3.4"},
                                             devDependencies={"once": "1.4.0"}),
        "services/pay/index.js": HANDLER,
        "services/ship/package.json": package("ship", {"escape-html": "1.0.3"}),
        "services/ship/index.js": "exports.handler = async () => require('escape-html')('<')\n",
        "libs/deep/money/package.json": package("@shop/money", {"ms": "2.1.1", "@shop/base": own}),
        "libs/deep/money/index.js": "exports.says = [require('ms/package.json').version, require('@shop/base')]\n",
        "libs/base/.env": "KEY=1", "libs/base/.npmrc": "//x/:_authToken=1",
        "libs/base/package.json": package("@shop/base", {}), "libs/base/index.js": "module.exports = 'one'\n",
        **({"pnpm-workspace.yaml": "packages: ['services/*', 'libs/**', '!libs/old']\n"} if manager.startswith("pnpm") else {}),
        **({".yarnrc.yml": "nodeLinker: node-modules\n"} if manager == "yarn4" else {}),
    })  # fmt: skip
    locked(project, manager)
    return project


def locked(project: Sandbox, manager: str) -> None:
    pin, own = PINS[manager], project.folder.parent
    command = (
        ["npm", "exec", "--yes", f"--package={PROGRAMS.get(pin, pin)}", "--", pin.partition("@")[0]] if pin else ["npm"]
    )
    cache = {"npm_config_cache": str(own / "npm"), "YARN_CACHE_FOLDER": str(own / "yarn")} if pin else {}
    project.path("yarn.lock").write_text("") if manager.startswith("yarn") and not project.path(
        "yarn.lock"
    ).exists() else None
    ran = subprocess.run(
        [*command, *LOCKING[manager]], cwd=project.folder, env=os.environ | cache, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


PAY = function("services/pay", "nodejs22.x", "index.handler")
SHIP = function("services/ship", "nodejs22.x", "index.handler").replace("Example", "Ship")
ALL = function(".", "nodejs22.x", "services/pay/index.handler").replace("Example", "All")
ANSWER = ["2.0.0", ["2.1.1", "one"], "4.3.4"]


@pytest.mark.parametrize("manager", PINS)
def test_members_have_what_the_root_has_locked_and_their_siblings_as_real_files(project: Sandbox, manager: str) -> None:
    shop(project, manager, PAY, SHIP, ALL)
    before = {path for path in project.folder.rglob("*") if "build" not in path.parts}
    project.build()

    assert call_node(project, {}) == ANSWER
    assert call_node(project, {}, "All", "services/pay/index.js") == ANSWER
    assert call_node(project, {}, "Ship") == "&lt;"
    assert set(packages(project)) == {"ms", "debug", "@shop/money", "@shop/base"}
    assert set(packages(project, "Ship")) == {"escape-html"}
    names = project.names("Example") + project.names("Ship") + project.names("All")
    assert not [name for name in names if "/once/" in name or "/wrappy/" in name]
    assert not [name for name in project.names("Example") + project.names("Ship") if name.endswith((".env", ".npmrc"))]
    assert {path for path in project.folder.rglob("*") if "build" not in path.parts} == before
    assert project.build().steps == []

    project.write({"libs/base/index.js": "module.exports = 'two'\n"})
    assert "libs/base" in project.run("why", "Example").out
    steps = project.build().steps
    assert "zip:Example" in steps and not [step for step in steps if "Ship" in step]
    assert call_node(project, {}) == ["2.0.0", ["2.1.1", "two"], "4.3.4"]


@pytest.mark.parametrize("manager", ["npm", "yarn4", "pnpm10.14"])
def test_a_root_lock_that_does_not_know_what_a_member_needs_is_an_error(project: Sandbox, manager: str) -> None:
    shop(project, manager, PAY, SHIP)
    project.write({"services/ship/package.json": package("ship", {"escape-html": "1.0.3", "is-odd": "3.0.1"})})
    ran = project.run("build", "Ship")

    assert ran.code == 1
    assert "LB402" in ran.said and "services/ship/package.json" in ran.said
    if manager != "yarn4":  # Yarn holds the whole lock against the whole workspace
        assert project.run("build", "Example").code == 0


def test_npms_overrides_at_the_root_and_what_packages_bundle_count_for_members(project: Sandbox) -> None:
    """npm-bundled is what a package was published with; it stays inside it."""
    shop(project, "npm", PAY, overrides={"ms": "2.1.2"})
    deps = {"@shop/money": "1.0.0", "debug": "4.3.4"}
    project.write({
        "services/pay/package.json": package("pay", deps),
        "libs/deep/money/package.json": package("@shop/money", {"@shop/base": "1.0.0", "debug": "4.3.4"}),
        "services/pay/index.js": "exports.handler = async () => require(require.resolve('ms/package.json', {paths: "
                                 "[require.resolve('debug')]})).version\n",
    })  # fmt: skip
    project.path("package-lock.json").unlink()
    locked(project, "npm")
    project.build()

    assert call_node(project, {}) == "2.1.2"


def test_an_object_of_workspaces_and_a_code_folder_inside_a_member(project: Sandbox) -> None:
    files = function("services/pay/src", "nodejs22.x", "index.handler")
    shop(project, "npm", files, workspaces={"packages": ["services/*", "libs/*", "libs/deep/*"]})
    project.write({"services/pay/src/index.js": HANDLER}).build()

    assert call_node(project, {}) == ANSWER


def test_without_a_lock_siblings_are_found_all_the_same(project: Sandbox) -> None:
    shop(project, "npm", PAY)
    project.path("package-lock.json").unlink()
    project.build()

    assert call_node(project, {}) == ANSWER


@pytest.mark.parametrize("pattern", ["libs/*", "!services/ship"])
def test_a_folder_that_no_workspace_names_stands_alone_and_a_note_says_so(project: Sandbox, pattern: str) -> None:
    shop(project, "npm", SHIP)
    project.write({"package.json": json.dumps({"private": True, "workspaces": ["services/pay", "libs/**", pattern]})})
    ran = project.run("build")

    assert ran.code == 0, ran.said
    assert "package-lock.json does not cover services/ship/package.json" in ran.said


@pytest.mark.parametrize("manager", ["npm", "yarn1", "yarn4", "pnpm10.34"])
def test_esbuild_bundles_siblings_and_may_be_the_roots(project: Sandbox, manager: str) -> None:
    pay = function("services/pay", "nodejs22.x", "index.handler", metadata="    Metadata: {BuildMethod: esbuild}\n")
    project.write(
        {"services/pay/index.ts": "import {says} from '@shop/money'\nexport const handler = async () => says\n"}
    )
    shop(project, manager, pay, devDependencies={"esbuild": "0.25.0"})
    project.path("services/pay/index.js").unlink()
    project.build()
    assert call_node(project, {}) == ["2.1.1", "one"]

    project.write({"libs/base/index.js": "module.exports = 'two'\n"}).build()
    assert call_node(project, {}) == ["2.1.1", "two"]


def test_a_template_beside_the_code_folders_finds_the_root_without_a_checkout(project: Sandbox) -> None:
    shop(project, "npm", PAY)
    infra = Sandbox(project.path("infra"))
    infra.write({"template.yaml": template(function("../services/pay", "nodejs22.x", "index.handler"))}).build()

    assert call_node(infra, {}) == ANSWER
