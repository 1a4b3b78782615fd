"""Targets, requirements files and addresses: what the Python rules decide without a network."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from packaging.tags import Tag

from lambdabuild.artifacts.archives import archive_entries
from lambdabuild.core.errors import BadManifest, HashMismatch
from lambdabuild.python.requirements import read
from lambdabuild.python.targets import platform_of
from lambdabuild.python.wheels.fetch import shown


@pytest.mark.parametrize(
    ("runtime", "architecture", "newest", "uv"),
    [
        ("python3.9", "x86_64", "manylinux_2_26_x86_64", ("x86_64-manylinux_2_17", "x86_64-manylinux_2_28")),
        ("python3.11", "arm64", "manylinux_2_26_aarch64", ("aarch64-manylinux_2_17", "aarch64-manylinux_2_28")),
        ("python3.12", "x86_64", "manylinux_2_34_x86_64", ("x86_64-manylinux_2_34",)),
        ("python3.20", "arm64", "manylinux_2_34_aarch64", ("aarch64-manylinux_2_34",)),
    ],
)
def test_a_runtime_is_a_python_a_processor_and_a_glibc(
    runtime: str, architecture: str, newest: str, uv: tuple[str, ...]
) -> None:
    platform = platform_of(runtime, architecture, "x")

    assert platform.tag == newest
    assert next(iter(platform.platforms())) == newest
    assert platform.uv_platforms == uv


def test_tags_go_from_the_best_to_any_and_never_to_plain_linux() -> None:
    platform = platform_of("python3.12", "x86_64", "x")
    tags = platform.tags()

    assert tags[0] == Tag("cp312", "cp312", "manylinux_2_34_x86_64")
    assert {Tag("cp312", "abi3", "manylinux_2_17_x86_64"), Tag("cp39", "abi3", "manylinux2014_x86_64"),
            Tag("py3", "none", "any"), Tag("cp312", "none", "any"), Tag("cp312", "cp312", "manylinux1_x86_64")} <= set(tags)  # fmt: skip
    assert not [tag for tag in tags if tag.platform.startswith("linux") or "musl" in tag.platform]
    assert Tag("cp312", "cp312", "manylinux_2_35_x86_64") not in tags
    assert "manylinux2010_aarch64" not in set(platform_of("python3.12", "arm64", "x").platforms())


@pytest.mark.parametrize("runtime", ["nodejs22.x", "python2.7", "", "python3"])
def test_what_is_no_python_of_lambda_is_told(runtime: str) -> None:
    with pytest.raises(BadManifest):
        platform_of(runtime, "x86_64", "function 'F'")


def requirements(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    return folder / "main.txt"


def test_lines_are_joined_comments_dropped_and_includes_followed(tmp_path: Path) -> None:
    main = requirements(
        tmp_path, main="# head\nA_b.c==1 \\\n   --hash=sha256:AA \\\n   --hash=sha256:bb # why\n-r base.txt\n--constraint=con.txt\n",
        base="requests[socks] >= 2 ; python_version < '4'\n-r main.txt\n", con="idna<4\n",
    )  # fmt: skip
    found = read(str(main), "src/main.txt")

    assert [line.name for line in found.lines if line.name] == ["a-b-c", "requests", "idna"]
    assert found.pinned["a-b-c"][0] == {"sha256:aa", "sha256:bb"}
    assert str(found.place_of("A.B_C")) == "src/main.txt:2:1"
    assert str(found.place_of("requests")) == "src/base.txt:1:1"
    assert [Path(file).name for file in found.files] == ["main.txt", "base.txt", "con.txt"]
    assert found.needs_hashes


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("./lib", "lib"), ("../lib", "../lib"), ("-e ./lib", "lib"), ("--editable=lib", "lib"), ("lib/sub", "lib/sub"),
        ("./lib[extra]", "lib"), ("mod @ file:./lib", "lib"), ("mod @ file:///a%20b/lib", "/a b/lib"), ("mod-1.0-py3-none-any.whl", "mod-1.0-py3-none-any.whl"),
        ("./lib ; python_version > '3'", "lib"), ("--find-links ./wheels", "wheels"), ("-f wheels", "wheels"),
        ("mod", None), ("mod @ https://x/mod.whl", None), ("git+https://x/y", None), ("-e git+https://x/y#egg=z", None), ("--find-links https://x", None),
        ("mod==1.0", None), ("-i https://x/y", None),
    ],
)  # fmt: skip
def test_paths_are_told_from_names_and_addresses(line: str, path: str | None, tmp_path: Path) -> None:
    found = list(read(str(requirements(tmp_path, main=line + "\n"))).local_paths())
    expected = [] if path is None else [str((tmp_path / path).resolve())]

    assert found == expected


def test_an_include_that_is_not_there_is_told_where_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadManifest) as raised:
        read(str(requirements(tmp_path, main="six\n-r none.txt\n")), "main.txt")

    assert str(raised.value.where[0]) == "main.txt:2:1"


def test_addresses_are_shown_without_what_may_be_secret() -> None:
    assert shown("https://user:secret@host:8/a/b.whl?token=x#y") == "https://host:8/a/b.whl"


@pytest.mark.parametrize(("name", "inside"), [("a//b/./c.py", "a/b/c.py"), ("./x.py", "x.py"), ("p/./q//r", "p/q/r")])
def test_an_entrys_name_is_what_every_unpacker_makes_of_it(name: str, inside: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        archive.writestr(name, "1")
    assert [entry.path for entry in archive_entries(str(tmp_path / "x.whl"))] == [inside]


@pytest.mark.parametrize(
    "names",
    [["a/../../b"], ["/a"], ["a\\b"], ["C:/a"], ["."], ["a//b", "a/b"], ["x", "./x"], ["a/./b", "a/b"]],
    ids=str,
)
def test_an_entry_that_leads_out_or_comes_twice_is_refused(names: list[str], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        for name in names:
            archive.writestr(name, "1")
    with pytest.raises(HashMismatch):
        archive_entries(str(tmp_path / "x.whl"))
