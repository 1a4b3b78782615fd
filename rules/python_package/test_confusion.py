"""What a distribution's build needs and its pyproject.toml says is ours is never a stranger's of that name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from made_wheels import make_wheel
from private_index import PrivateIndex
from sandbox import Ran, Sandbox

BACKEND = """\
from flit_core import buildapi
from flit_core.buildapi import *
def build_wheel(*arguments):
    open("app.py", "a").write("MADE_BY = '{}'\\n")
    return buildapi.build_wheel(*arguments)
"""
LIBRARY = '[build-system]\nrequires = ["flit-core"]\nbuild-backend = "flit_core.buildapi"\n'
LIBRARY += '[project]\nname = "ours"\nversion = "0.1"\ndescription = "x"\ndependencies = ["flit-core"]\n'
PROJECT = '[project]\nname = "app"\nversion = "1.0"\ndescription = "x"\n'
WANTS = '[build-system]\nrequires = ["ours>=0"]\nbuild-backend = "ours"\n'
INDEX = 'Ours = { index = "private" }\n[[tool.uv.index]]\nname = "private"\nurl = "PRIVATE"\nexplicit = true\n'
SOURCES = "[tool.uv.sources]\n"


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, PrivateIndex]]:
    """``public`` has a stranger's backend of our name, ``private`` has ours."""
    folder = tmp_path_factory.mktemp("indexes")
    download = ["pip", "download", "-q", "--no-deps", "-d", str(folder / "public"), "flit-core"]
    subprocess.run([sys.executable, "-m", *download], check=True)
    for index, who, version in (("public", "strangers", "99.0"), ("private", "us", "0.1")):
        make_wheel(folder / index, "ours", version, files={"ours.py": BACKEND.format(who)}, requires=("flit-core",))
    with PrivateIndex(folder / "public") as public, PrivateIndex(folder / "private") as private:
        yield {"public": public, "private": private}


def build(project: Sandbox, indexes: dict[str, PrivateIndex], pyproject: str, resolver: str = "uv") -> Ran:
    addresses = {"PRIVATE": indexes["private"].url(), "FOLDER": str(project.path("ours"))}
    for name, address in addresses.items():
        pyproject = pyproject.replace(name, address)
    project.write({
        "lambdabuild.toml": f'resolver = "{resolver}"\n[sources.app]\npath = "app"\n',
        "app/pyproject.toml": pyproject, "app/app.py": '"""Ours."""\n',
        **{f"{place}/{name}": text for place in ("ours", "app/ours")
           for name, text in (("pyproject.toml", LIBRARY), ("ours.py", BACKEND.format("us")))},
    })  # fmt: skip
    public = indexes["public"].url()
    return project.run("build", env={"UV_DEFAULT_INDEX": public, "PIP_INDEX_URL": public})


@pytest.mark.parametrize(
    ("pyproject", "resolver"),
    [
        (WANTS + PROJECT + SOURCES + 'ours = { path = "ours" }\n', "uv"),
        (WANTS + PROJECT + SOURCES + INDEX, "uv"),
        (WANTS.replace("ours>=0", "ours @ file://FOLDER") + PROJECT, "pip"),
    ],
)
def test_what_a_build_needs_and_is_ours_is_not_taken_of_strangers(
    project: Sandbox, indexes: dict[str, PrivateIndex], pyproject: str, resolver: str
) -> None:
    ran = build(project, indexes, pyproject, resolver)

    assert ran.code == 0, ran.said
    assert b"'us'" in project.content("app", "app.py")


def test_pip_is_not_asked_for_what_only_uv_knows_to_be_ours(project: Sandbox, indexes: dict[str, PrivateIndex]) -> None:
    ran = build(project, indexes, WANTS + PROJECT + SOURCES + INDEX, "pip")

    assert ran.code != 0
    assert "LB402]: source 'app': pip does not read [tool.uv.sources], which says where ours>=0 comes from" in ran.err


def test_what_a_build_needs_and_is_not_there_is_named(project: Sandbox, indexes: dict[str, PrivateIndex]) -> None:
    ran = build(project, indexes, WANTS + PROJECT + SOURCES + 'ours = { path = "gone" }\n')

    assert ran.code != 0
    assert "gone" in ran.err
    assert "LB402" in ran.err
