"""nodejs_npm: the packages of a package.json."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rule_example import call_node, example, function, packages
from sandbox import Sandbox

HERE = Path(__file__).parent
NODE = function(runtime="nodejs22.x", handler="index.handler")


def registry() -> str:
    """The registry that npm uses on this machine."""
    said = subprocess.run(["npm", "config", "get", "registry"], cwd="/", capture_output=True, text=True, check=True)
    return said.stdout.strip()


def test_the_example_is_built_and_answers(project: Sandbox) -> None:
    example(project, HERE, NODE).build()

    assert call_node(project, {"text": "2 days"}) == 172800000
    assert packages(project) == {"ms": "2.1.3"}
    names = project.names("Example")
    assert not [name for name in names if "wrappy" in name or ".bin/" in name or name.endswith("package-lock.json")]
    assert {"index.js", "package.json"} <= set(names)


def test_without_a_lock_file_npm_installs(project: Sandbox) -> None:
    example(project, HERE, NODE)
    project.path("src/package-lock.json").unlink()
    project.build()

    assert call_node(project, {"text": "1s"}) == 1000
    assert not project.path("src/package-lock.json").exists()
    assert not project.path("src/node_modules").exists()


def test_a_package_json_without_dependencies_and_a_folder_without_one_ship_their_source(project: Sandbox) -> None:
    files = {"src/package.json": '{"type": "commonjs"}', "src/index.js": "exports.handler = async () => 1\n"}
    project.write(files | {"template.yaml": "Transform: AWS::Serverless-2016-10-31\nResources:\n" + NODE}).build()
    assert project.names("Example") == ["index.js", "package.json"]

    project.path("src/package.json").unlink()
    project.build()
    assert project.names("Example") == ["index.js"]


def test_a_local_package_is_installed_and_counts_as_input(project: Sandbox) -> None:
    example(project, HERE, NODE)
    project.path("src/package-lock.json").unlink()
    project.write({
        "src/package.json": json.dumps({"dependencies": {"mine": "file:../lib/mine"}}),
        "src/index.js": "exports.handler = async () => require('mine')\n",
        "lib/mine/package.json": '{"name": "mine", "version": "1.0.0"}',
        "lib/mine/index.js": "module.exports = 'one'\n",
    })  # fmt: skip
    project.build()
    assert call_node(project, {}) == "one"

    project.write({"lib/mine/index.js": "module.exports = 'two'\n"})
    assert "resolve:Example" in project.build().steps
    assert call_node(project, {}) == "two"


def test_native_packages_are_the_targets(project: Sandbox) -> None:
    example(project, HERE, function(runtime="nodejs22.x", handler="index.handler", Architectures="[arm64]"))
    project.path("src/package-lock.json").unlink()
    optional = {f"@esbuild/linux-{cpu}": "0.25.0" for cpu in ("x64", "arm64")} | {"@esbuild/darwin-arm64": "0.25.0"}
    project.write({"src/package.json": json.dumps({"optionalDependencies": optional})})
    project.build()

    assert packages(project) == {"@esbuild/linux-arm64": "0.25.0"}


def test_a_layer_has_its_modules_below_nodejs(project: Sandbox) -> None:
    layer = "  Example:\n    Type: AWS::Serverless::LayerVersion\n    Metadata: {BuildMethod: nodejs22.x}\n    Properties: {ContentUri: src}\n"
    example(project, HERE, layer).build()

    assert "nodejs/node_modules/ms/index.js" in project.names("Example")


def test_npmrc_may_name_variables_and_stays_out_of_the_artifact(project: Sandbox) -> None:
    example(project, HERE, NODE)
    project.write({"src/.npmrc": "registry=${MY_REGISTRY}\nfetch-retries=0\n"})
    project.path("src/package-lock.json").unlink()
    nowhere = {
        "MY_REGISTRY": "http://127.0.0.1:9/",
        "npm_config_cache": str(project.path("npm")),
        "npm_config_fetch_retries": "0",
    }
    ran = project.run("build", env=nowhere)
    assert "127.0.0.1:9" in ran.said, ran.said

    project.build(env={"MY_REGISTRY": registry()})
    assert ".npmrc" not in project.names("Example")


def test_npmignore_is_respected_and_counts_as_input(project: Sandbox) -> None:
    example(project, HERE, NODE)
    project.write({"src/.npmignore": "tests/*\n", "src/tests/t.js": "", "src/.gitignore": "index.js\n"}).build()
    names = project.names("Example")
    assert "index.js" in names
    assert not {"tests/t.js", ".npmignore", ".gitignore"} & set(names)

    project.path("src/.npmignore").unlink()
    assert "copy:Example" in project.build().steps
    assert "tests/t.js" in project.names("Example")


def test_an_edited_handler_installs_nothing_and_an_edited_lock_does(project: Sandbox) -> None:
    example(project, HERE, NODE).build()
    project.append("src/index.js", "// edited\n")
    assert "resolve:Example" not in project.build().steps

    lock = project.path("src/package-lock.json")
    lock.write_text(lock.read_text() + "\n")
    assert project.build().steps == ["resolve:Example"]


def test_two_functions_with_one_lock_are_compressed_once(project: Sandbox) -> None:
    example(project, HERE, NODE + NODE.replace("Example", "Other").replace("src", "other"))
    shutil.copytree(project.path("src"), project.path("other"))
    project.append("other/index.js", "// another\n")
    counted = (
        "import atexit, sys\nfrom lambdabuild.artifacts import zips\nfrom lambdabuild.cli.main import main\n"
        "pack, packed = zips._pack, []\n"
        "zips._pack = lambda entry, *more: packed.append(entry.path) or pack(entry, *more)\n"
        "main(['build', '-q', '-n', '2'])\nprint(len(packed), len(set(packed)))"
    )
    ran = project.command([sys.executable, "-c", counted])

    assert ran.code == 0, ran.said
    files = set(project.names("Example"))
    assert ran.out == f"{len(files) + 1} {len(files)}\n"
    assert set(project.names("Other")) == files


@pytest.mark.parametrize("folder", ["src", "src/deep/er", "."])
def test_a_package_json_above_the_code_folder_ships_for_node_reads_its_type(folder: str, project: Sandbox) -> None:
    about = '{"name": "a", "version": "1.0.0", "type": "module", "imports": {"#word": "./word.js"}}'
    project.write({
        "template.yaml": "Transform: AWS::Serverless-2016-10-31\nResources:\n" + NODE.replace("src", folder),
        "package.json": about,
        f"{folder}/index.js": "import word from '#word'\nexport const handler = async () => word\n",
        f"{folder}/word.js": "export default 'found'\n",
    })  # fmt: skip
    project.build()
    assert project.content("Example", "package.json").decode() == about
    assert call_node(project, {}) == "found"

    if folder != ".":
        project.write({"package.json": about.replace("1.0.0", "1.0.1")})
        assert "copy:Example" in project.build().steps
        assert b"1.0.1" in project.content("Example", "package.json")
