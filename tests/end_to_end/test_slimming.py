"""What can be left out on request: what the runtime has, what nobody runs, symbols of native files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from made_wheels import make_wheel
from sandbox import Sandbox, python_of

from lambdabuild.artifacts import elf

pytestmark = pytest.mark.slow

PYTHON = f"3.{sys.version_info.minor}"
LAYERS = f"""\
    [layers.whole]
    manifest = "requirements.txt"
    runtimes = ["python{PYTHON}"]

    [layers.small]
    manifest = "requirements.txt"
    runtimes = ["python{PYTHON}"]
    slim = true
    strip = true
    exclude_provided = true
    exclude_dependencies = ["!/kept/tests/"]

    [layers.arm]
    manifest = "native.txt"
    runtimes = ["python{PYTHON}"]
    architectures = ["arm64"]
    strip = true
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    project = Sandbox(tmp_path_factory.mktemp("slim") / "project")
    wheels = project.folder / "wheels"
    make_wheel(wheels, "boto3", "0.0.0.dev1", files={"boto3/__init__.py": ""})
    make_wheel(
        wheels, "boto3_stubs", "0.0.0.dev1", files={"boto3-stubs/__init__.pyi": "", "boto3_stubs/__init__.py": ""}
    )
    kept = ("__init__.py", "docs/__init__.py", "tests/helper.py", "hints.pyi", "test/client.py")
    make_wheel(wheels, "kept", "1.0.dev1", files={f"kept/{name}": "" for name in kept})
    packages = "--find-links wheels\nnumpy\nkept==1.0.dev1\nboto3==0.0.0.dev1\nboto3_stubs==0.0.0.dev1\n"
    project.write({"lambdabuild.toml": LAYERS, "requirements.txt": packages, "native.txt": "markupsafe==3.0.2\n"})
    project.build()
    return project


def test_by_default_packages_are_whole(built: Sandbox) -> None:
    names = built.names("whole")

    assert {"python/boto3/__init__.py", "python/kept/hints.pyi", "python/kept/tests/helper.py"} <= set(names)
    assert any("/numpy/" in name and "/tests/" in name for name in names)


def test_what_the_runtime_has_goes_by_package_and_not_by_the_beginning_of_a_name(built: Sandbox) -> None:
    tops = {name.split("/")[1] for name in built.names("small")}

    assert not {"boto3", "boto3-0.0.0.dev1.dist-info"} & tops
    assert {"boto3_stubs", "boto3_stubs-0.0.0.dev1.dist-info"} <= tops


def test_slim_leaves_out_tests_and_hints_and_a_pattern_of_ones_own_brings_back(built: Sandbox) -> None:
    names = built.names("small")

    assert [name for name in names if name.startswith("python/kept/")] == [
        f"python/kept/{name}" for name in ("__init__.py", "docs/__init__.py", "test/client.py", "tests/helper.py")
    ]
    assert not [name for name in names if "/numpy/" in name and ("/tests/" in name or name.endswith(".pyi"))]
    plan = built.run("plan").out
    assert "leaves out of dependencies: tests/ " in plan
    assert "/boto3-*.dist-info/" in plan
    assert "strips the native files of dependencies" in plan


def test_stripped_libraries_are_smaller_load_and_compute(built: Sandbox, tmp_path: Path) -> None:
    """numpy's OpenBLAS was laid out by patchelf, which careless tools break."""
    whole, small = (
        {name: len(built.content(layer, name)) for name in natives(built, layer)} for layer in ("whole", "small")
    )
    assert whole.keys() >= small.keys() and len(small) > 10
    assert sum(small.values()) < sum(whole[name] for name in small)
    code = "import numpy; print(round(float(numpy.linalg.inv(numpy.eye(300) * 2).sum())))"
    path = {
        "PYTHONPATH": str(built.unzip("small", tmp_path / "small") / "python"),
        "PATH": "/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    ran = subprocess.run([python_of(PYTHON), "-c", code], env=path, capture_output=True, text=True, check=False)
    assert ran.stdout == "150\n", ran.stderr

    [arm] = natives(built, "arm")
    assert elf.can_be_stripped(built.content("arm", arm))


def natives(built: Sandbox, layer: str) -> list[str]:
    return [name for name in built.names(layer) if ".so" in name]


def test_nothing_changed_nothing_runs_and_a_lost_file_of_the_store_is_made_again(built: Sandbox) -> None:
    assert built.run().out.startswith("nothing to do")
    listed = built.path("build/.lambdabuild/out/copy/small.json").read_text()
    store = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lambdabuild"
    lost = store / re.findall(r"\{store\}/(stripped/[^\"]+)", listed)[0]
    before = built.zips()
    lost.unlink()
    built.build()

    assert built.zips() == before
    assert lost.exists()


def test_a_file_is_only_taken_when_the_loader_sees_the_same(tmp_path: Path) -> None:
    source, made, bare = tmp_path / "one.c", tmp_path / "one.so", tmp_path / "bare.so"
    source.write_text("int answer(void) { return 42; }\n")
    subprocess.run(["gcc", "-g", "-shared", "-fPIC", "-o", made, source], check=True)
    subprocess.run(["llvm-strip", "--strip-unneeded", "-o", bare, made], check=True)
    before, after = made.read_bytes(), bare.read_bytes()
    assert len(after) < len(before)
    assert elf.can_be_stripped(before)
    assert elf.loads_the_same(before, after)

    code = after.index(b"\xb8\x2a\x00\x00\x00" if before[18] == 62 else b"\x40\x05\x80\x52")  # return 42
    assert not elf.loads_the_same(before, after[:code] + b"\x90" + after[code + 1 :])
    assert not elf.loads_the_same(before, after[: len(after) // 2])
    assert not elf.can_be_stripped(before + b"PK an archive that a program carries with it"), "strip would lose it"
    for other in (b"", b"\x7fELF", b"\x7fELF\x01\x01" + bytes(60), b"MZ" + bytes(100)):
        assert not elf.can_be_stripped(other)
        assert not elf.loads_the_same(before, other)


def test_without_the_tool_it_is_said_and_how_to_get_it(built: Sandbox, tmp_path: Path) -> None:
    other = Sandbox(tmp_path / "other").write({"lambdabuild.toml": LAYERS, "native.txt": "markupsafe==3.0.2\n"})
    other.write({"requirements.txt": ""})
    ran = other.run("build", "arm", env={"PATH": ""})

    assert ran.code == 1, ran.said
    assert "LB501]: layer 'arm' needs 'llvm-strip' to strip native files, which is not on PATH" in ran.err
