"""Functions that are members of a uv workspace: the lock file and the siblings are above their code folders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rule_example import call_python, function, packages, template
from sandbox import Sandbox

ROOT = """\
[project]
name = "shop"
version = "0"
requires-python = ">=3.11"
[tool.uv]
constraint-dependencies = ["idna==3.4"]
[tool.uv.workspace]
members = ["services/*", "libs/*"]
exclude = ["services/old"]
[tool.uv.sources]
money = { workspace = true }
"""
"""The constraint stands for an older lock: what is newest is not what is locked."""
LIB = """\
[project]
name = "money"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["toolz==0.12.0"]
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[tool.setuptools]
py-modules = ["money"]
"""


def member(name: str, *dependencies: str, more: str = "") -> str:
    return f"[project]\nname = '{name}'\nversion = '0'\nrequires-python = '>=3.11'\ndependencies = {list(dependencies)}\n{more}"


def lock(project: Sandbox) -> None:
    uv = [sys.executable, "-m", "uv", "lock", "--quiet", "--python", sys.executable]
    subprocess.run(uv, cwd=project.folder, check=True)


@pytest.fixture
def shop(project: Sandbox) -> Sandbox:
    project.write({
        "template.yaml": template(function("services/pay/src"), function("services/ship").replace("Example", "Ship")),
        "pyproject.toml": ROOT, "libs/money/pyproject.toml": LIB, "libs/money/money.py": "UNIT = 'cent'\n",
        "services/pay/pyproject.toml": member("pay", "idna", "money", more="[dependency-groups]\ndev = ['iniconfig']\n"
                                              "[project.optional-dependencies]\nfast = ['six']\n"),
        "services/pay/src/app.py": "import money\nhandler = lambda e, c: money.UNIT\n",
        "services/ship/pyproject.toml": member("ship", "idna"), "services/ship/app.py": "handler = lambda e, c: 1\n",
    })  # fmt: skip
    lock(project)
    return project


def test_members_have_what_the_root_has_locked_and_their_siblings_as_packages(shop: Sandbox) -> None:
    before = sorted(path for path in shop.folder.rglob("*"))
    shop.build()

    assert packages(shop) == {"idna": "3.4", "money": "", "toolz": "0.12.0"}
    assert packages(shop, "Ship") == {"idna": "3.4"}
    assert call_python(shop, {}) == "cent"
    assert {"money.py", "app.py"} <= set(shop.names("Example"))
    assert [path for path in shop.folder.rglob("*") if "build" not in path.parts and path not in before] == []


def test_an_edited_sibling_rebuilds_who_has_it_and_an_edited_root_lock_who_is_touched(shop: Sandbox) -> None:
    shop.build()
    assert shop.build().steps == []

    shop.write({"libs/money/money.py": "UNIT = 'euro'\n"})
    assert "libs/money" in shop.run("why", "Example").out
    assert {step for step in shop.build().steps if step.startswith(("zip:", "resolve:"))} == {
        "resolve:Example",
        "zip:Example",
    }
    assert call_python(shop, {}) == "euro"

    shop.write({"services/ship/pyproject.toml": member("ship", "idna", "six==1.16.0")})
    lock(shop)
    steps = shop.build().steps
    assert "zip:Ship" in steps and "zip:Example" not in steps
    assert packages(shop, "Ship") == {"idna": "3.4", "six": "1.16.0"}


def test_groups_and_extras_are_the_members(shop: Sandbox) -> None:
    options = "[functions.Example.options]\nextras = ['fast']\ngroups = ['dev']\n"
    shop.write({"lambdabuild.toml": options}).build()

    assert set(packages(shop)) == {"idna", "money", "toolz", "six", "iniconfig"}


@pytest.mark.parametrize("stale", ["services/pay", "libs/money"])
def test_a_root_lock_that_does_not_fit_a_member_or_its_sibling_is_an_error(shop: Sandbox, stale: str) -> None:
    file = shop.path(f"{stale}/pyproject.toml")
    file.write_text(
        file.read_text()
        .replace("dependencies = [", 'dependencies = ["tomli", ', 1)
        .replace('"tomli", \'', "'tomli', '")
    )
    ran = shop.run("build", "Example")

    assert ran.code == 1
    assert "LB402" in ran.said and "uv lock" in ran.said and f"{stale}/pyproject.toml" in ran.said


def test_a_member_that_the_lock_does_not_know_is_an_error(shop: Sandbox) -> None:
    shop.write({"services/ship/pyproject.toml": member("shipping", "idna")})
    lock_file = shop.path("uv.lock")
    lock_file.write_text(lock_file.read_text().replace('"services/ship"', '"services/gone"'))

    assert "uv.lock does not know services/ship/pyproject.toml" in shop.run("build", "Ship").said


def test_an_excluded_folder_stands_alone_and_is_told_that_the_lock_is_not_about_it(shop: Sandbox) -> None:
    shop.write({
        "template.yaml": template(function("services/old")),
        "services/old/pyproject.toml": member("old", "six==1.16.0"), "services/old/app.py": "handler = lambda e, c: 1\n",
    })  # fmt: skip
    ran = shop.run("build")

    assert ran.code == 0, ran.said
    assert packages(shop) == {"six": "1.16.0"}
    assert "uv.lock does not cover services/old/pyproject.toml" in ran.said


def test_a_workspace_above_the_projects_folder_counts_inside_one_checkout(shop: Sandbox, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=shop.folder, check=True)
    inner = Sandbox(shop.path("services/ship")).write({"template.yaml": template(function("."))})
    inner.build()

    assert packages(inner) == {"idna": "3.4"}


def test_without_a_lock_the_workspaces_constraints_and_members_count(shop: Sandbox) -> None:
    shop.path("uv.lock").unlink()
    shop.build()

    assert packages(shop) == {"idna": "3.4", "money": "", "toolz": "0.12.0"}
