"""A name that a manifest says is local, from git or from a named index is never taken from an index of strangers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from made_wheels import make_wheel
from private_index import PrivateIndex
from rule_example import function, template
from sandbox import Ran, Sandbox

OURS, THEIRS = "OURS = True\n", "raise SystemExit('a stranger ran')\n"
APP = "import mylib\nhandler = lambda event, context: mylib.OURS\n"
BACKEND = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
POETRY = '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'
PROJECT = '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["mylib"]\n'


@dataclass
class Indexes:
    """``public`` has what strangers published as mylib, other and wants; ``private`` has ours."""

    public: PrivateIndex
    private: PrivateIndex
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Indexes]:
    folder = tmp_path_factory.mktemp("indexes")
    for name in ("mylib", "other"):
        make_wheel(folder / "public", name, "99.0", files={f"{name}.py": THEIRS})
    make_wheel(folder / "public", "wants", "1.0", requires=("mylib",))
    backends = ["pip", "download", "-q", "--no-deps", "-d", str(folder / "public"), "setuptools", "poetry-core"]
    subprocess.run([sys.executable, "-m", *backends], check=True)
    make_wheel(folder / "private", "mylib", "1.0", files={"mylib.py": OURS})
    make_wheel(folder / "private", "elsewhere", "1.0")
    repository(folder / "repository")
    with PrivateIndex(folder / "public") as public, PrivateIndex(folder / "private") as private:
        chosen = {"UV_DEFAULT_INDEX": public.url(), "PIP_INDEX_URL": public.url()}
        yield Indexes(public, private, folder, chosen)


def repository(folder: Path) -> None:
    """mylib as a git repository."""
    Sandbox(folder).write(library("."))
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)


def library(folder: str, name: str = "mylib", more: str = "", dependencies: str = "[]") -> dict[str, str]:
    about = f'[project]\nname = "{name}"\nversion = "0.1"\ndependencies = {dependencies}\n'
    packages = f'[tool.setuptools]\npy-modules = ["{name}"]\n'
    return {f"{folder}/pyproject.toml": about + BACKEND + packages + more, f"{folder}/{name}.py": OURS}


def build(project: Sandbox, indexes: Indexes, **files: str) -> Ran:
    """Build the function Example from the files of src/, or from those that have a folder in their name."""
    written = {name if "/" in name else f"src/{name}": text for name, text in files.items()}
    written = {name: text.replace("PRIVATE", indexes.private.url()) for name, text in written.items()}
    written = {name: text.replace("GIT", f"file://{indexes.folder}/repository") for name, text in written.items()}
    project.write({"template.yaml": template(function()), "src/app.py": APP, **written})
    return project.run("build", env=indexes.environment)


def is_ours(project: Sandbox) -> bool:
    content = project.content("Example", "mylib.py").decode()
    assert content in (OURS, THEIRS)
    return content == OURS


INDEX = '[[tool.poetry.source]]\nname = "private"\nurl = "PRIVATE"\n'
UV_INDEX = '[[tool.uv.index]]\nname = "private"\nurl = "PRIVATE"\n'
PIPFILE = '[[source]]\nname = "pypi"\nurl = "https://pypi.org/simple"\n[[source]]\nname = "private"\nurl = "PRIVATE"\n'
TOLD = {
    "poetry: a path": {"pyproject.toml": PROJECT + '[tool.poetry.dependencies]\nmylib = { path = "lib" }\n'},
    "poetry: a path for this Python": {
        "pyproject.toml": PROJECT + '[tool.poetry.dependencies]\nmylib = [{ path = "lib", python = ">=3.11" },'
        ' { version = "*", python = "<3.11" }]\n'
    },
    "poetry: git": {"pyproject.toml": PROJECT + '[tool.poetry.dependencies]\nMyLib = { git = "GIT" }\n'},
    "poetry: git of a branch": {
        "pyproject.toml": PROJECT + '[tool.poetry.dependencies]\nmylib = { git = "GIT", branch = "main" }\n'
    },
    "poetry: a named source": {
        "pyproject.toml": PROJECT + '[tool.poetry.dependencies]\nmylib = { source = "private" }\n'
        + INDEX + 'priority = "explicit"\n'
    },
    "poetry: the only source": {"pyproject.toml": PROJECT + "[tool.poetry]\n" + INDEX},
    "poetry: in an extra": {
        "lambdabuild.toml/": "[functions.Example.options]\nextras = ['x']\n",
        "pyproject.toml": PROJECT.replace('["mylib"]', "[]") + '[project.optional-dependencies]\nx = ["mylib"]\n'
        '[tool.poetry.dependencies]\nmylib = { path = "lib" }\n',
    },
    "poetry: what another needs": {
        "pyproject.toml": PROJECT.replace("mylib", "wants") + '[tool.poetry.dependencies]\nmylib = { path = "lib" }\n'
    },
    "poetry: before version 2": {
        "lambdabuild.toml/": "[functions.Example]\nrule = 'python_poetry'\n",
        "pyproject.toml": "[tool.poetry.dependencies]\nmylib = { version = '*', source = 'private' }\n"
        + INDEX + "priority = 'supplemental'\n",
    },
    "uv: a path": {"pyproject.toml": PROJECT + '[tool.uv.sources]\nmylib = { path = "lib" }\n'},
    "uv: git": {"pyproject.toml": PROJECT + '[tool.uv.sources]\nmylib = { git = "GIT" }\n'},
    "uv: an index": {"pyproject.toml": PROJECT + '[tool.uv.sources]\nmylib = { index = "private" }\n' + UV_INDEX},
    "uv: an explicit index": {
        "pyproject.toml": PROJECT + '[tool.uv.sources]\nmylib = { index = "private" }\n' + UV_INDEX + "explicit = true\n"
    },
    "uv: a workspace of its own": {
        "pyproject.toml": PROJECT + '[tool.uv.sources]\nmylib = { workspace = true }\n[tool.uv.workspace]\nmembers = ["lib"]\n'
    },
    "pip: editable": {"requirements.txt": "-e ./lib\n"},
    "pip: a name and a file": {"requirements.txt": "mylib @ file:lib\n"},
    "pip: git": {"requirements.txt": "mylib @ git+GIT\n"},
    "pip: one index": {"requirements.txt": "--index-url PRIVATE\nmylib\n"},
    "pip: one more index": {"requirements.txt": "--extra-index-url PRIVATE\nmylib\n"},
    "pip: a library and what it needs": {"requirements.txt": "wants\n./lib\n"},
    "pipenv: a path": {"Pipfile": '[packages]\nmylib = { path = "./lib" }\n'},
    "pipenv: git": {"Pipfile": '[packages]\nmylib = { git = "GIT", ref = "main" }\n'},
    "pipenv: an index": {"Pipfile": PIPFILE + '[packages]\nmylib = { version = "*", index = "private" }\n'},
}  # fmt: skip


@pytest.mark.parametrize("told", TOLD)
def test_what_is_told_to_be_ours_is_ours(told: str, project: Sandbox, indexes: Indexes) -> None:
    files = {name.removesuffix("/") if "/" not in name[:-1] else name: text for name, text in TOLD[told].items()}
    settings = files.pop("lambdabuild.toml", "")
    project.write({"lambdabuild.toml": settings})
    ran = build(project, indexes, **{**library("src/lib"), **files})

    assert ran.code == 0, ran.said
    assert is_ours(project)


NOT_THERE = {
    "poetry: a path": ({"pyproject.toml": PROJECT + '[tool.poetry.dependencies]\nmylib = { path = "gone" }\n'}, "src/gone"),
    "poetry: a source": (
        {"pyproject.toml": PROJECT + '[tool.poetry.dependencies]\nmylib = { source = "private" }\n' + INDEX.replace("private", "prvate")},
        "'private'",
    ),
    "poetry: before version 2": (
        {"lambdabuild.toml/": "[functions.Example]\nrule = 'python_poetry'\n",
         "pyproject.toml": "[tool.poetry.dependencies]\nmylib = { path = 'gone' }\n"}, "src/gone",
    ),
    "poetry: not in its source": (
        {"pyproject.toml": PROJECT.replace("mylib", "other") + '[tool.poetry.dependencies]\nother = { source = "private" }\n' + INDEX}, "other",
    ),
    "uv: a path": ({"pyproject.toml": PROJECT + '[tool.uv.sources]\nmylib = { path = "gone" }\n'}, "gone"),
    "uv: not in its index": (
        {"pyproject.toml": PROJECT.replace("mylib", "other") + '[tool.uv.sources]\nother = { index = "private" }\n' + UV_INDEX}, "other",
    ),
    "uv: no member": ({"pyproject.toml": PROJECT + "[tool.uv.sources]\nmylib = { workspace = true }\n"}, "mylib"),
    "pip: editable": ({"requirements.txt": "-e ./gone\n"}, "gone"),
    "pip: a name and a file": ({"requirements.txt": "mylib @ file:gone\n"}, "gone"),
    "pip: not in its index": ({"requirements.txt": "--index-url PRIVATE\nother\n"}, "other"),
    "pipenv: a path": ({"Pipfile": '[packages]\nmylib = { path = "./gone" }\n'}, "gone"),
    "pipenv: an index": ({"Pipfile": PIPFILE + '[packages]\nmylib = { version = "*", index = "prvate" }\n'}, "'prvate'"),
    "pipenv: not in its index": ({"Pipfile": PIPFILE + '[packages]\nother = { version = "*", index = "private" }\n'}, "other"),
}  # fmt: skip


@pytest.mark.parametrize("told", NOT_THERE)
def test_what_is_ours_and_not_there_is_named_and_nobody_elses_is_taken(
    told: str, project: Sandbox, indexes: Indexes
) -> None:
    files, named = NOT_THERE[told]
    project.write({"lambdabuild.toml": files.get("lambdabuild.toml/", "")})
    ran = build(project, indexes, **{name: text for name, text in files.items() if not name.endswith("/")})

    assert ran.code != 0
    assert named in ran.said
    assert "LB4" in ran.said
    assert "Traceback" not in ran.said


POETRY_TWO = '[project]\nname = "middle"\nversion = "0.1"\ndependencies = ["mylib"]\n'
MIDDLES = {
    "poetry's path": POETRY_TWO + POETRY + "[tool.poetry]\npackages = [{ include = 'middle.py' }]\n"
    "[tool.poetry.dependencies]\nmylib = { path = '../lib' }\n",
    "poetry's path, dynamic": POETRY_TWO.replace("version = ", "dynamic = ['version']\n#") + POETRY
    + "[tool.poetry]\nversion = '0.1'\npackages = [{ include = 'middle.py' }]\n[tool.poetry.dependencies]\nmylib = { path = '../lib' }\n",
    "poetry's source": "[tool.poetry]\nname = 'middle'\nversion = '0.1'\ndescription = ''\nauthors = []\npackages = [{ include = 'middle.py' }]\n"
    "[tool.poetry.dependencies]\nmylib = { version = '*', source = 'private' }\n" + INDEX + POETRY,
    "uv's path": POETRY_TWO + BACKEND + "[tool.setuptools]\npy-modules = ['middle']\n[tool.uv.sources]\nmylib = { path = '../lib' }\n",
    "uv's path, dynamic": POETRY_TWO.replace("version = ", "dynamic = ['version']\n#") + BACKEND
    + "[tool.setuptools]\npy-modules = ['middle']\n[tool.uv.sources]\nmylib = { path = '../lib' }\n",
}  # fmt: skip
LEADS_TO = {
    "requirements.txt": "-e ../middle\n",
    "pyproject.toml": PROJECT.replace("mylib", "middle") + "[tool.uv.sources]\nmiddle = { path = '../middle' }\n",
    "Pipfile": "[packages]\nmiddle = { path = '../middle' }\n",
}


@pytest.mark.parametrize("manifest", LEADS_TO)
@pytest.mark.parametrize("middle", MIDDLES)
def test_what_a_local_project_says_of_its_own_packages_holds_too(
    middle: str, manifest: str, project: Sandbox, indexes: Indexes
) -> None:
    files = {"middle/pyproject.toml": MIDDLES[middle], "middle/middle.py": "", manifest: LEADS_TO[manifest]}
    ran = build(project, indexes, **{**library("lib"), **files})

    assert ran.code == 0, ran.said
    assert is_ours(project)


@pytest.mark.parametrize("middle", ["poetry's source", "uv's path", "uv's path, dynamic"])
def test_pip_is_not_asked_for_what_it_cannot_be_told_to_be_ours(
    middle: str, project: Sandbox, indexes: Indexes
) -> None:
    """The paths that Poetry names it can be told; what uv alone reads, and an index for one package, it cannot."""
    project.write({"lambdabuild.toml": "resolver = 'pip'\n"})
    files = {"middle/pyproject.toml": MIDDLES[middle], "middle/middle.py": "", "requirements.txt": "-e ../middle\n"}
    ran = build(project, indexes, **{**library("lib"), **files})

    assert "LB402" in ran.said
    assert "mylib" in ran.said
    assert "leave the setting resolver out" in ran.said
