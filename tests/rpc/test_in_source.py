"""build_in_source: npm and make work in the source folder when a caller asks for it; nothing of the caller's is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from caller_project import Project

NPM = ("nodejs/npm", "package.json", "nodejs22.x")
MAKE = ("provided", "Makefile", "provided")
NEAR = {"near/package.json": '{"name": "near", "version": "1.0.0"}', "near/index.js": "", "src/index.js": ""}


def package(**dependencies: str) -> str:
    return json.dumps({"name": "fn", "version": "1.0.0", "dependencies": dependencies})


@pytest.fixture
def made(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize("folder", ["", "below"])
def test_make_runs_in_the_source_or_in_the_working_directory_there(folder: str, made: Project) -> None:
    made.write({"src/Makefile": "build-Fn:\n\tcp app.py $(ARTIFACTS_DIR)\n\ttouch made\n", f"src/{folder}/app.py": "1"})
    options = {"build_logical_id": "Fn"} | ({"working_directory": str(made.source / folder)} if folder else {})

    assert made.build(*MAKE, options=options, build_in_source=True) == {"app.py"}
    assert made.source.joinpath(folder, "made").exists()


def test_without_it_make_leaves_the_source_alone(made: Project) -> None:
    made.write({"src/Makefile": "build-Fn:\n\ttouch made $(ARTIFACTS_DIR)/x\n"})
    for choice in (False, None):
        assert made.build(*MAKE, options={"build_logical_id": "Fn"}, build_in_source=choice) == {"x"}
        assert made.names(made.source) == {"Makefile"}


def test_npm_installs_beside_the_source_and_the_artifact_links_to_that(made: Project) -> None:
    made.write({**NEAR, "src/package.json": package(near="file:../near"), "src/mine.txt": "mine"})
    modules = made.source / "node_modules"

    made.build(*NPM, build_in_source=True)
    assert made.artifacts.joinpath("node_modules").readlink() == modules
    assert modules.joinpath("near/index.js").exists() and not modules.joinpath("near").is_symlink()
    assert set(os.listdir(made.artifacts)) == {"index.js", "mine.txt", "node_modules", "package.json"}

    # What the manifest names no more goes, as npm has it; a build in the same folders replaces its own link.
    made.write({"src/package.json": package()})
    made.build(*NPM, build_in_source=True, dependencies_dir=str(made.dependencies), combine_dependencies=False)
    assert not modules.joinpath("near").exists()
    assert made.dependencies.joinpath("node_modules").readlink() == modules
    assert not os.path.lexists(made.artifacts / "node_modules")

    # Nothing is downloaded: the link is taken from dependencies_dir.
    made.build(*NPM, build_in_source=True, dependencies_dir=str(made.dependencies), download_dependencies=False)
    assert made.artifacts.joinpath("node_modules").readlink() == modules
    assert made.source.joinpath("mine.txt").read_text() == "mine"


def test_a_lock_file_has_its_say_and_stays_as_it_is(made: Project) -> None:
    lock = json.dumps({
        "name": "fn", "version": "1.0.0", "lockfileVersion": 3, "requires": True,
        "packages": {"": {"name": "fn", "version": "1.0.0", "dependencies": {"near": "file:../near"}},
                     "../near": {"version": "1.0.0"}, "node_modules/near": {"resolved": "../near", "link": True}},
    })  # fmt: skip
    made.write({**NEAR, "src/package.json": package(near="file:../near"), "src/package-lock.json": lock})

    made.build(*NPM, build_in_source=True)
    assert made.source.joinpath("package-lock.json").read_text() == lock
    assert not made.source.joinpath("node_modules/near").is_symlink()


def test_a_manifest_elsewhere_installs_there_and_the_source_links_to_it(made: Project) -> None:
    made.write({**NEAR, "deps/package.json": package(near="file:../near")})
    made.dependencies = made.folder / "kept"

    made.build("nodejs/npm", "../deps/package.json", "nodejs22.x", build_in_source=True)
    assert made.source.joinpath("node_modules").readlink() == made.folder / "deps/node_modules"
    assert made.artifacts.joinpath("node_modules/near/index.js").exists()


def test_what_is_where_a_link_goes_is_the_callers(made: Project) -> None:
    made.write({**NEAR, "deps/package.json": package(), "src/node_modules/mine/index.js": "mine"})
    text = made.failure("nodejs/npm", "../deps/package.json", "nodejs22.x", build_in_source=True)
    assert "LB507" in text and str(made.source / "node_modules") in text
    assert made.source.joinpath("node_modules/mine/index.js").read_text() == "mine"
    assert not made.folder.joinpath("deps/node_modules").exists()

    # As it is, it is what the artifact links to when nothing is downloaded.
    made.write({"src/package.json": package()})
    made.build(*NPM, build_in_source=True, download_dependencies=False)
    assert made.artifacts.joinpath("node_modules").readlink() == made.source / "node_modules"


def test_a_caller_s_own_link_or_folder_in_dependencies_dir_is_not_removed(made: Project) -> None:
    made.write({**NEAR, "src/package.json": package()})
    made.dependencies.mkdir()
    made.dependencies.joinpath("node_modules").symlink_to(made.folder / "near")
    text = made.failure(*NPM, build_in_source=True, dependencies_dir=str(made.dependencies))
    assert "LB507" in text
    assert made.dependencies.joinpath("node_modules").readlink() == made.folder / "near"


def test_a_member_of_a_workspace_links_to_its_own_packages_only(made: Project) -> None:
    made.source = made.folder / "fns/a"
    made.write({
        "package.json": json.dumps({"name": "root", "version": "1.0.0", "workspaces": ["fns/*", "shared"]}),
        "fns/a/package.json": json.dumps({"name": "a", "version": "1.0.0", "dependencies": {"@us/shared": "*"}}),
        "fns/a/index.js": "exports.word = require('@us/shared')\n",
        "fns/b/package.json": json.dumps({"name": "b", "version": "1.0.0", "dependencies": {"near": "file:../../near"}}),
        "shared/package.json": '{"name": "@us/shared", "version": "1.0.0"}', "shared/index.js": "module.exports = 1\n",
        **NEAR,
    })  # fmt: skip

    made.build(*NPM, build_in_source=True)
    assert os.listdir(made.artifacts / "node_modules") == ["@us"]
    assert made.artifacts.joinpath("node_modules/@us/shared").readlink() == made.folder / "shared"
    assert not made.source.joinpath("node_modules").exists()
