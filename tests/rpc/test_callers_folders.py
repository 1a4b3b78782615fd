"""What a request names is the caller's: nothing in it is replaced or removed that we did not put there."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import jail
import made_wheels
import pytest

NODE = {
    "src/package.json": json.dumps({"name": "a", "version": "1.0.0", "dependencies": {"mine": "file:../lib/mine"}}),
    "src/index.js": "exports.handler = async () => require('mine')\n",
    "lib/mine/package.json": '{"name": "mine", "version": "1.0.0"}', "lib/mine/index.js": "module.exports = 1\n",
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def ask(place: Path, capability: str = "nodejs/npm", manifest: str = "package.json", runtime: str = "nodejs22.x",
        **more: Any) -> tuple[int, str]:  # fmt: skip
    """The code of the answer, 0 for a result, and what it says."""
    language, manager = capability.split("/")
    params = {
        "__protocol_version": "0.3",
        "capability": {"language": language, "dependency_manager": manager, "application_framework": None},
        "source_dir": "src", "artifacts_dir": "artifacts", "scratch_dir": "scratch", "manifest_path": f"src/{manifest}",
        "runtime": runtime, "optimizations": None, "options": None, **more,
    }  # fmt: skip
    request = {"jsonrpc": "2.0", "id": 1, "method": "LambdaBuilder.build", "params": params}
    ran = jail.lambdabuild(place, "rpc", stdin=json.dumps(request).encode())
    assert "Traceback" not in ran.said, ran.said
    response = json.loads(ran.out)
    error = response.get("error", {"code": 0, "message": ran.err})
    return error["code"], error["message"]


def refused(place: Path, *names: str, **more: Any) -> None:
    before = jail.content(place)
    code, message = ask(place, **more)
    after = jail.content(place)
    assert code == 400 and "LB507" in message, message
    for name in names:
        assert name in message
    assert jail.lost(before, after) == []


@pytest.mark.parametrize("name", ["keep.txt", "sub/keep.txt", ".git/HEAD", "node_modules/theirs/index.js"])
def test_a_dependencies_dir_that_holds_a_callers_file_is_left_alone(name: str, place: Path) -> None:
    write(place, {**NODE, f"deps/{name}": "kept"})

    refused(place, name, dependencies_dir="deps")
    assert not (place / "artifacts").exists()


def test_an_empty_folder_or_a_link_in_a_dependencies_dir_is_the_callers_too(place: Path) -> None:
    write(place, NODE)
    (place / "deps/theirs").mkdir(parents=True)
    refused(place, "theirs", dependencies_dir="deps")
    (place / "deps/theirs").rmdir()
    (place / "deps/link").symlink_to(place / "src")
    refused(place, "link", dependencies_dir="deps")


@pytest.mark.parametrize("name", ["/", "/usr", "/home", "/proc", "~", ".", "src", "..", "lib", "scratch/..", "/etc"])
def test_no_folder_of_the_machine_the_caller_or_the_build_is_emptied(name: str, place: Path) -> None:
    write(place, NODE)
    before, began = jail.content(place), time.monotonic()
    code, message = ask(place, dependencies_dir=name.replace("~", str(place / "home")))

    assert time.monotonic() - began < 60, "it need not be read in whole to know that it is not ours"
    # What cannot even be listed is not emptied either.
    assert code in (400, 500), message
    assert jail.lost(before, jail.content(place)) == []


def test_what_contains_the_source_is_never_emptied_though_we_made_all_that_is_in_it(place: Path) -> None:
    write(place, NODE)
    assert ask(place, dependencies_dir="deps")[0] == 0
    there = "deps/node_modules/mine"

    refused(place, "the source", dependencies_dir="deps", source_dir=there, manifest_path=f"{there}/package.json")
    refused(place, "the artifacts", dependencies_dir="deps", artifacts_dir="deps/node_modules")
    refused(place, "the scratch folder", dependencies_dir="deps", scratch_dir="deps/node_modules")
    refused(place, "the manifest", dependencies_dir="deps", manifest_path=f"{there}/package.json")


def test_what_an_earlier_build_put_into_a_dependencies_dir_is_replaced(place: Path) -> None:
    write(place, NODE)
    assert ask(place, dependencies_dir="kept/deps")[0] == 0
    first = jail.content(place / "kept")
    write(place, {"lib/mine/index.js": "module.exports = 2\n", "kept/deps/__pycache__/x.cpython-311.pyc": "of a run"})

    code, message = ask(place, dependencies_dir="kept/deps", artifacts_dir="other")
    second = jail.content(place / "kept")

    assert code == 0, message
    assert first.keys() == second.keys() and first != second


def test_the_same_for_python_where_another_version_has_other_files(place: Path) -> None:
    how = {"capability": "python/pip", "manifest": "requirements.txt", "runtime": "python3.11"}
    for version in ("1.0", "2.0"):
        wheel = made_wheels.make_wheel(place / "lib", "mine", version)
        write(place, {"src/app.py": "import mine\n", "src/requirements.txt": f"./../lib/{wheel.name}\n"})
        code, message = ask(place, dependencies_dir="deps", **how)
        assert code == 0, message
    assert {path.name for path in (place / "deps").iterdir()} == {"mine.py", "mine-2.0.dist-info"}


def test_a_dependencies_dir_that_somebody_changed_since_is_left_alone(place: Path) -> None:
    write(place, NODE)
    assert ask(place, dependencies_dir="deps")[0] == 0
    write(place, {"deps/node_modules/mine/index.js": "module.exports = 'patched'\n"})

    refused(place, "node_modules/mine/index.js", dependencies_dir="deps")
    assert ask(place, dependencies_dir="deps", download_dependencies=False)[0] == 0


@pytest.mark.parametrize("kind", ["file", "folder", "link", "a link above", "a file above"])
def test_what_stands_where_the_artifact_goes_is_named_before_anything_is_written(kind: str, place: Path) -> None:
    write(place, {**NODE, "src/lib/a.js": "1\n", "src/lib/b.js": "2\n", "theirs/lib/a.js": "mine"})
    artifacts = place / "artifacts"
    artifacts.mkdir()
    if kind == "file":
        write(artifacts, {"lib/a.js": "kept", "other.txt": "kept"})
    elif kind == "folder":
        write(artifacts, {"lib/a.js/x": "kept"})
    elif kind == "link":
        write(artifacts, {"lib/c.js": "kept"})
        (artifacts / "lib/a.js").symlink_to(place / "theirs/lib/a.js")
    elif kind == "a link above":
        (artifacts / "lib").symlink_to(place / "theirs/lib")
    else:
        (artifacts / "lib").write_text("kept")

    refused(place, "lib")
    assert not (artifacts / "index.js").exists()


def test_an_artifacts_dir_keeps_what_else_is_in_it_and_what_is_equal(place: Path) -> None:
    write(place, {**NODE, "artifacts/other.txt": "kept", "artifacts/index.js": NODE["src/index.js"]})
    (place / "artifacts").chmod(0o700)
    before = jail.content(place / "artifacts")

    assert ask(place)[0] == 0
    assert jail.lost(before, jail.content(place / "artifacts")) == []
    assert (place / "artifacts").stat().st_mode & 0o777 == 0o700


def test_an_artifact_of_ours_is_replaced_when_the_source_changed(place: Path) -> None:
    write(place, NODE)
    assert ask(place)[0] == 0
    write(place, {"src/index.js": "exports.handler = 2\n"})

    assert ask(place)[0] == 0
    assert (place / "artifacts/index.js").read_text() == "exports.handler = 2\n"


def test_a_folder_of_the_callers_called_as_ours_is_no_cache_of_tools(place: Path) -> None:
    write(place, {**NODE, "scratch/lambdabuild-cache/nodejs_npm/x": "kept"})
    before = jail.content(place / "scratch")

    assert ask(place)[0] == 0
    assert jail.content(place / "scratch") == before


def test_the_jail_holds(tmp_path: Path) -> None:
    """Nothing outside of its folder can be written, whoever runs the tests."""
    outside = tmp_path / "outside"
    outside.mkdir()
    inside = tmp_path / "inside"
    inside.mkdir()
    script = f"touch {inside}/a; touch {outside}/b; touch /etc/b; rm -rf {outside}; id -u"
    ran = jail.jailed(inside, ["sh", "-c", script], cwd=inside)

    assert ran.out == f"{jail.NOBODY}\n"
    assert os.listdir(outside) == [] and (inside / "a").exists() and not Path("/etc/b").exists()


TOO_LONG = {"one name": "x" * 300, "many folders": "y/" * 1500 + "y", "a path": "z/" * 3000 + "z"}


@pytest.mark.parametrize("name", TOO_LONG.values(), ids=TOO_LONG)
@pytest.mark.parametrize("parameter", ["artifacts_dir", "scratch_dir", "source_dir", "dependencies_dir"])
def test_a_folder_whose_name_no_file_system_takes_is_the_callers_mistake(
    place: Path, parameter: str, name: str
) -> None:
    write(place, {"src/requirements.txt": "", "src/app.py": ""})
    before = jail.content(place)
    code, message = ask(place, "python/pip", "requirements.txt", "python3.12", **{parameter: name})
    assert code == 400, message
    assert jail.lost(before, jail.content(place)) == []
