"""python_package: distributions of every kind, built by their own backends, held against what pip installs of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import invoke
import pytest
from rule_example import unzipped
from sandbox import Sandbox

HERE = Path(__file__).parent
PROJECT = '[project]\nname = "{name}"\nversion = "0.3.0"\n'
MODULE = "def handler(event, context):\n    return event\n"


def source(project: Sandbox, files: dict[str, str | bytes], settings: str = "") -> Sandbox:
    project.write({f"app/{name}": content for name, content in files.items()})
    return project.write({"lambdabuild.toml": f"{settings}\n[sources.app]\npath = 'app'\n"})


def backend(name: str, requires: str, module: str, more: str = "") -> dict[str, str | bytes]:
    build = f'[build-system]\nrequires = ["{requires}"]\nbuild-backend = "{module}"\n'
    return {"pyproject.toml": build + PROJECT.format(name=name) + more}


FLIT = backend(
    "flit-app", "flit-core>=3.2", "flit_core.buildapi", 'description = "x"\nscripts = {go = "flit_app:go"}\n'
)
SRC = PROJECT.format(name="src-app") + "[project.entry-points.'my.plugins']\nfirst = 'src_app.core:handler'\n"
SETUP_PY = """\
from setuptools import find_packages, setup
setup(name="old-app", version=open("VERSION").read().strip(), packages=find_packages(), install_requires=["requests"],
      package_data={"old_app": ["data/*.json"]}, scripts=["tool.py"], entry_points={"console_scripts": ["Old=old_app:x"]})
"""
CASES: dict[str, tuple[dict[str, str | bytes], list[str]]] = {
    "setup.py alone": (
        {"setup.py": SETUP_PY, "VERSION": "0.3.0\n", "tool.py": "#!/usr/bin/python\n", "old_app/__init__.py": "x = print\n",
         "old_app/data/a.json": "{}", "old_app/data/b.txt": "no", "setup.cfg": "[metadata]\ndescription = d\n"},
        ["old_app/__init__.py", "old_app/data/a.json"],
    ),
    "src layout with entry points": (
        {"pyproject.toml": SRC, "src/src_app/__init__.py": "", "src/src_app/core.py": MODULE, "src/src_app/py.typed": ""},
        ["src_app/__init__.py", "src_app/core.py", "src_app/py.typed"],
    ),
    "hatchling, a namespace, what .gitignore names": (
        {**backend("acme-orders", "hatchling", "hatchling.build", "[tool.hatch.build.targets.wheel]\npackages = ['acme']\n"),
         ".gitignore": "secret.txt\n", "acme/orders/__init__.py": "", "acme/orders/secret.txt": "x", "acme/orders/t.html": "<p>",
         "acme/bin/run.py": MODULE},
        ["acme/bin/run.py", "acme/orders/__init__.py", "acme/orders/t.html"],
    ),
    "flit": ({**FLIT, "flit_app.py": '"""A module."""\n' + MODULE}, ["flit_app.py"]),
    "poetry-core": (
        {"pyproject.toml": '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'
         '[tool.poetry]\nname = "poet"\nversion = "0.3.0"\ndescription = ""\nauthors = []\n'
         'packages = [{include = "poet", from = "lib"}]\n[tool.poetry.dependencies]\npython = ">=3.9"\nrequests = "*"\n',
         "lib/poet/__init__.py": MODULE},
        ["poet/__init__.py"],
    ),
    "modules at the top and a package called bin": (
        {"pyproject.toml": PROJECT.format(name="tops") + "scripts = {go = 'one:go'}\n[tool.setuptools]\npy-modules = ['one']\n"
         "packages = ['bin']\n", "one.py": MODULE, "bin/__init__.py": "", "bin/two.py": MODULE},
        ["bin/__init__.py", "bin/two.py", "one.py"],
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_what_is_packaged_is_what_pip_installs(case: str, project: Sandbox, tmp_path: Path) -> None:
    files, modules = CASES[case]
    before = source(project, files)
    mine = sorted(path.relative_to(project.folder) for path in before.path("app").rglob("*"))
    project.build()
    names = [name for name in project.names("app") if ".dist-info/" not in name]

    assert names == sorted(modules)
    assert sorted(path.relative_to(project.folder) for path in project.path("app").rglob("*")) == mine
    assert (project.path("build/.store/source/0.3.0/source.zip")).exists()
    if case == "setup.py alone":
        by_uv = project.path("build/app.zip").read_bytes()
        assert "package:app" in project.build("resolver=pip").steps
        assert project.path("build/app.zip").read_bytes() == by_uv
    installed = pip_installs(project.path("app"), tmp_path / "pip")
    left = {name for name in installed if not leaves_machine(name)}
    assert set(project.names("app")) == left
    for name in left:
        assert project.content("app", name) == (tmp_path / "pip" / name).read_bytes()


def pip_installs(folder: Path, target: Path) -> set[str]:
    """What `pip install --no-deps --target` makes of it; in its own folder, which it writes to."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target", str(target)]
    subprocess.run([*command, str(folder)], check=True)
    return {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}


def leaves_machine(name: str) -> bool:
    top, _, rest = name.partition("/")
    marks = ("RECORD", "INSTALLER", "REQUESTED", "WHEEL", "direct_url.json")
    return (top.endswith(".dist-info") and rest in marks) or name in ("bin/go", "bin/Old", "bin/tool.py")


def test_the_example_runs_from_its_zip_with_its_data_and_metadata(project: Sandbox) -> None:
    files = {str(path.relative_to(HERE / "example")): path.read_bytes() for path in (HERE / "example").rglob("*.*")}
    source(project, dict(files)).build()
    folder = unzipped(project, "app")

    assert invoke.python(folder, "Ann", "greeter.app.handler") == "hello Ann from 1.2.0"
    assert "greet = greeter.app:main" in project.content("app", "greeter-1.2.0.dist-info/entry_points.txt").decode()
    assert not (folder / "bin").exists()
    assert project.build().steps == []
    project.append("app/greeter/greeting.txt", "!")
    assert "package:app" in project.run("build", "--format", "json").steps
    assert "LB606" in project.run("build").err


def test_the_version_may_be_a_tag_of_the_checkout(project: Sandbox) -> None:
    files = backend("tagged", "setuptools-scm>=8", "setuptools.build_meta")["pyproject.toml"]
    text = str(files).replace('version = "0.3.0"', 'dynamic = ["version"]').replace('["set', '["setuptools>=64", "set')
    source(
        project,
        {
            "pyproject.toml": text + '[tool.setuptools_scm]\nroot = ".."\n',
            "tagged/__init__.py": "",
            ".python-version": "3.11",
        },
    )
    git(project, "init", "-q", "-b", "main")
    project.write({".gitignore": "build/\n", "notes.md": "not in the distribution\n"})
    commit(project, "one")
    git(project, "tag", "v1.4.0")
    index = project.path(".git/index").read_bytes()

    assert version(project) == "1.4.0"
    assert project.build().steps == []
    assert project.path(".git/index").read_bytes() == index
    assert git(project, "status", "--porcelain") == ""
    project.append("notes.md", "more\n")
    commit(project, "two")
    assert version(project).startswith("1.4.1.dev1+g")
    project.append("app/tagged/__init__.py", "x = 1\n")
    assert ".d19800101" in version(project)


def test_what_git_ignores_stays_out_wherever_that_is_said_and_before_the_first_commit(project: Sandbox) -> None:
    poet = str(CASES["poetry-core"][0]["pyproject.toml"])
    source(
        project,
        {"pyproject.toml": poet, "lib/poet/__init__.py": "", "lib/poet/secret.txt": "", "lib/poet/data.txt": ""},
    )
    git(project, "init", "-q", "-b", "main")
    project.write({".gitignore": "secret.txt\nbuild/\n"}).build()
    assert [name for name in project.names("app") if "/" in name and "dist-info" not in name] == [
        "poet/__init__.py",
        "poet/data.txt",
    ]
    assert project.build().steps == []
    project.write({".gitignore": "secret.txt\nbuild/\ndata.txt\n"})
    assert "package:app" in project.run("build", "--format", "json").steps
    assert "poet/data.txt" not in project.names("app")


def version(project: Sandbox) -> str:
    events = project.build().events
    return next(
        event["location"].split("/")[-2]
        for event in events
        if event.get("task") == "upload:app" and "location" in event
    )


def commit(project: Sandbox, message: str) -> None:
    git(project, "add", "-A")
    git(project, "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-q", "-m", message)


def git(project: Sandbox, *arguments: str) -> str:
    ran = project.command(["git", *arguments])
    assert ran.code == 0, ran.said
    return ran.out


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"pyproject.toml": "[project\n"}, "app/pyproject.toml:1:1"),
        ({"setup.py": "raise RuntimeError('broken on purpose')\n"}, "broken on purpose"),
        ({"setup.py": "from setuptools import setup\nsetup(name='x', py_modules=['m'])\n", "m.py": ""}, "LB607"),
        ({"setup.py": "from setuptools import Extension, setup\n"
          "setup(name='x', version='1', ext_modules=[Extension('m', ['m.c'], optional=True)], py_modules=['a'])\n", "m.c": "", "a.py": ""}, "LB403"),
    ],
    ids=["not TOML", "a failing setup.py", "no version", "native"],
)  # fmt: skip
def test_what_cannot_be_packaged_is_told(files: dict[str, str | bytes], words: str, project: Sandbox) -> None:
    ran = source(project, files).run("build")

    assert ran.code != 0
    assert words in ran.err
    assert "help:" in ran.err
    assert "\nTraceback" not in ran.err
