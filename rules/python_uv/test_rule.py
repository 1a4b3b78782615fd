"""python_uv: the packages of a pyproject.toml, as its uv.lock says when there is one."""

import subprocess
import sys
from pathlib import Path

from rule_example import call_python, example, function, packages
from sandbox import Sandbox

HERE = Path(__file__).parent


def lock(project: Sandbox) -> None:
    uv = [sys.executable, "-m", "uv", "lock", "--quiet", "--python", sys.executable]
    subprocess.run(uv, cwd=project.path("src"), check=True)


def test_the_example_is_built_and_answers(project: Sandbox) -> None:
    example(project, HERE, function()).build()

    assert call_python(project, {"text": "<b>"}) == "&lt;b&gt;"
    assert packages(project) == {"markupsafe": "3.0.3"}
    assert not project.path("src/uv.lock").exists()
    assert "pyproject.toml" not in project.names("Example")


def test_the_lock_file_decides(project: Sandbox) -> None:
    example(project, HERE, function())
    pyproject = project.path("src/pyproject.toml")
    pyproject.write_text(pyproject.read_text().replace("markupsafe==3.0.3", "markupsafe==3.0.2"))
    lock(project)
    text = pyproject.read_text().replace("markupsafe==3.0.2", "markupsafe")
    pyproject.write_text(text)
    lock(project)
    project.build()

    assert packages(project) == {"markupsafe": "3.0.2"}
    assert "uv.lock" not in project.names("Example")


def test_a_lock_for_another_platform_gives_the_targets_wheels(project: Sandbox) -> None:
    example(project, HERE, function(runtime="python3.13", Architectures="[arm64]"))
    lock(project)
    project.build()

    assert any("cpython-313-aarch64" in name for name in project.names("Example"))


def test_a_stale_lock_is_told(project: Sandbox) -> None:
    example(project, HERE, function())
    lock(project)
    pyproject = project.path("src/pyproject.toml")
    pyproject.write_text(pyproject.read_text().replace('"markupsafe==3.0.3"', '"markupsafe==3.0.3", "idna"'))
    ran = project.run("build")

    assert ran.code != 0
    assert "LB402" in ran.said
    assert "idna" in ran.said
    assert "uv lock" in ran.said


def test_groups_and_extras_are_chosen_by_options(project: Sandbox) -> None:
    example(project, HERE, function())
    project.write({"lambdabuild.toml": "[functions.Example.options]\nextras = ['more']\ngroups = ['dev']\n"}).build()
    assert set(packages(project)) == {"markupsafe", "six", "iniconfig"}

    lock(project)
    project.build()
    assert set(packages(project)) == {"markupsafe", "six", "iniconfig"}
    project.path("lambdabuild.toml").unlink()
    project.build()
    assert set(packages(project)) == {"markupsafe"}


def test_a_path_dependency_is_built_and_counts_as_input(project: Sandbox) -> None:
    example(project, HERE, function())
    project.write({
        "src/pyproject.toml": "[project]\nname = 'e'\nversion = '1'\nrequires-python = '>=3.11'\ndependencies = ['mod']\n"
        "[tool.uv.sources]\nmod = {path = '../lib'}\n",
        "src/app.py": "import mod\nhandler = lambda e, c: mod.VERSION\n", "lib/mod.py": "VERSION = 'one'\n",
        "lib/pyproject.toml": "[project]\nname = 'mod'\nversion = '1.0'\n[build-system]\nrequires = ['setuptools']\n"
        "build-backend = 'setuptools.build_meta'\n[tool.setuptools]\npy-modules = ['mod']\n",
    })  # fmt: skip
    project.build()
    assert call_python(project, {}) == "one"

    lock(project)
    project.write({"lib/mod.py": "VERSION = 'two'\n"})
    assert "resolve:Example" in project.build().steps
    assert call_python(project, {}) == "two"


def test_a_pyproject_without_dependencies_ships_the_source(project: Sandbox) -> None:
    example(project, HERE, function())
    project.write({"src/pyproject.toml": "[tool.ruff]\n", "src/app.py": "handler = lambda e, c: 1\n"}).build()

    assert project.names("Example") == ["app.py"]


def test_sam_build_method_python_uv_is_known(project: Sandbox) -> None:
    example(project, HERE, function(metadata="    Metadata: {BuildMethod: python-uv}\n")).build()

    assert packages(project) == {"markupsafe": "3.0.3"}


def test_dependencies_that_only_poetry_reads_are_not_forgotten(project: Sandbox) -> None:
    own = '[tool.poetry]\nname = "src"\nversion = "1"\n[tool.poetry.dependencies]\npython = "^3.11"\nmarkupsafe = "3.0.3"\n'
    example(project, HERE, function()).write({"src/pyproject.toml": own})
    ran = project.run("build")

    assert ran.code == 1
    assert "LB408" in ran.err and "run poetry lock" in ran.err
    assert "src/pyproject.toml:1:1" in ran.err
