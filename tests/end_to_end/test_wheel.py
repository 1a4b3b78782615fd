"""The wheel, installed into a bare virtual environment elsewhere, builds the sample app: rules and all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sandbox import ROOT, sample_app

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a virtual environment that has nothing but the wheel and what it depends on."""
    place = tmp_path_factory.mktemp("wheel")
    uv = [sys.executable, "-m", "uv"]
    build = [
        *uv,
        "build",
        "--wheel",
        "--quiet",
        "--python",
        sys.executable,
        "--out-dir",
        str(place / "dist"),
        str(ROOT),
    ]
    subprocess.run(build, check=True, cwd=place)
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(place / "venv")], check=True)
    python = place / "venv/bin/python"
    (wheel,) = (place / "dist").glob("doit_lambdabuild-*.whl")
    subprocess.run([*uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(python), str(wheel)], check=True)
    return python


def test_the_installed_command_builds_the_sample_app(python: Path, tmp_path: Path) -> None:
    app = sample_app(tmp_path / "app", in_all_languages=False)
    command = str(python.with_name("lambdabuild"))
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    built = app.command([command, "build"], env=env)
    again = app.command([command], env=env)

    assert built.code == 0, built.said
    assert "built 8 functions and 2 layers" in built.out
    assert "nothing to do" in again.out
    assert len(app.zips()) == 10  # eight functions and two layers


def test_doit_of_that_environment_builds_it_too(python: Path, tmp_path: Path) -> None:
    app = sample_app(tmp_path / "app", in_all_languages=False)
    assert app.command([str(python), "-m", "lambdabuild", "init"]).code == 0
    ran = app.command([str(python.with_name("doit")), "build:TermsOfSale"])

    assert ran.code == 0, ran.said
    assert app.path("build/TermsOfSale.zip").exists()
    assert "template" not in ran.out


def test_the_rules_are_those_of_the_wheel(python: Path, tmp_path: Path) -> None:
    script = "from lambdabuild.rulebook.search import *; print([r.folder for r in find_rules(search_path('/', {}))])"
    said = subprocess.run([str(python), "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)

    assert "site-packages/lambdabuild/rules/python_pip" in said.stdout
    assert str(ROOT) not in said.stdout


def test_without_the_extra_an_address_that_needs_grpc_says_how_to_install_it(python: Path, tmp_path: Path) -> None:
    app = sample_app(tmp_path / "app", in_all_languages=False)
    ran = app.command([str(python.with_name("lambdabuild")), "plan", "executor=grpc://engine:1"])

    assert ran.code == 3, ran.said
    assert "LB642" in ran.err
    assert "pip install 'doit-lambdabuild[remote]'" in ran.err
