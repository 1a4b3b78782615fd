"""nodejs_yarn: the packages of a yarn.lock, alone and in a workspace, with Yarn 1 and with a newer one."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from rule_example import call_node, example, function, packages, template
from sandbox import Sandbox

HERE = Path(__file__).parent
LAYER = """\
  Example:
    Type: AWS::Serverless::LayerVersion
    Metadata: {BuildMethod: nodejs22.x, BuildArchitecture: arm64}
    Properties: {ContentUri: src, CompatibleArchitectures: [arm64]}
"""
NODE = function(runtime="nodejs22.x", handler="index.handler")
CLASSIC, MODERN = "1.22.22", "4.18.1"
PROGRAMS = {CLASSIC: f"yarn@{CLASSIC}", MODERN: f"@yarnpkg/cli-dist@{MODERN}"}
AARCH64 = b"\xb7\x00"
"""What an ELF file of that machine says of itself."""
BOTH = pytest.mark.parametrize("version", [CLASSIC, MODERN])


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def locked(project: Sandbox, version: str, folder: str = "src") -> None:
    """A fresh lock file. The caches are the test's own, for neither npm exec nor Yarn 1 may run twice at once."""
    project.path(f"{folder}/yarn.lock").write_text("")
    own = project.folder.parent
    classic = ["--ignore-platform", "--no-bin-links", f"--cache-folder={own / 'yarn'}"]
    mode = ["--mode=update-lockfile"] if version == MODERN else classic
    command = ["npm", "exec", "--yes", f"--package={PROGRAMS[version]}", "--", "yarn", "install", *mode]
    environment = os.environ | {"npm_config_cache": str(own / "npm")}
    subprocess.run(command, cwd=project.path(folder), env=environment, check=True, capture_output=True)


@BOTH
def test_the_example_is_built_and_answers(project: Sandbox, tmp_path: Path, version: str) -> None:
    source = example(project, HERE, NODE).path("src")
    if version == MODERN:
        manifest = json.loads((source / "package.json").read_text())
        (source / "package.json").write_text(json.dumps(manifest | {"packageManager": f"yarn@{MODERN}"}))
        locked(project, version)
    before = contents(source)
    project.build()

    assert call_node(project, {"text": "2 days"}) == 172800000
    assert packages(project) == {"ms": "2.1.3"}
    names = project.names("Example")
    assert {"index.js", "package.json", "node_modules/ms/index.js"} <= set(names)
    assert not [name for name in names if "wrappy" in name or "/." in name or "yarn" in name]
    assert contents(source) == before
    assert project.build().steps == []

    project.append("src/index.js", "// edited\n")
    assert "resolve:Example" not in project.build().steps

    other = Sandbox(tmp_path / "elsewhere" / "far").write({"template.yaml": template(NODE)})
    other.write(
        {f"src/{name}": (source / name).read_bytes() for name in before}
        | {"src/index.js": (source / "index.js").read_bytes()}
    )
    other.build()
    assert other.zips() == project.zips()


@BOTH
def test_a_package_of_a_workspace_has_its_own_packages_and_real_copies_of_its_neighbours(
    project: Sandbox, version: str
) -> None:
    lib = {"name": "@my/lib", "version": "1.0.0", "dependencies": {"ms": "2.1.3"}}
    project.write({
        "template.yaml": template(function(source="packages/fn", runtime="nodejs22.x", handler="index.handler")),
        "lambdabuild.toml": '[functions.Example]\nrule = "nodejs_yarn"\n',
        "package.json": json.dumps({"private": True, "workspaces": ["packages/*"], "devDependencies": {"once": "1.4.0"},
                                    "packageManager": f"yarn@{version}"}),
        "packages/fn/package.json": json.dumps({"name": "@my/fn", "version": "1.0.0", "dependencies": {"@my/lib": "1.0.0", "ms": "2.0.0"}}),
        "packages/fn/index.js": "const ms = require('ms')\nexports.handler = async () => [ms('1s'), require('@my/lib')]\n",
        "packages/lib/package.json": json.dumps(lib),
        "packages/lib/index.js": "module.exports = ['one', require('ms/package.json').version]\n",
        "packages/other/package.json": json.dumps({"name": "other", "version": "1.0.0", "dependencies": {"wrappy": "1.0.2"}}),
    })  # fmt: skip
    locked(project, version, ".")
    project.build()
    assert call_node(project, {}) == [1000, ["one", "2.1.3"]]
    names = [item["name"] for item in project.manifest["functions"]["Example"]["packages"]]
    assert sorted(names) == ["@my/lib", "ms", "ms"]

    project.write({"packages/lib/index.js": "module.exports = 'two'\n"})
    assert "resolve:Example" in project.build().steps
    assert call_node(project, {}) == [1000, "two"]

    project.write({"packages/lib/package.json": json.dumps(lib | {"dependencies": {"ms": "2.1.2"}})})
    assert "yarn.lock does not fit package.json" in project.run("build").said


@BOTH
def test_a_layer_for_another_processor_has_its_native_packages_and_local_ones(project: Sandbox, version: str) -> None:
    optional = {f"@esbuild/{platform}": "0.25.0" for platform in ("linux-x64", "linux-arm64", "darwin-arm64")}
    optional |= {f"@rollup/rollup-linux-arm64-{libc}": "4.40.0" for libc in ("gnu", "musl")}
    project.write({
        "template.yaml": template(LAYER),
        "src/package.json": json.dumps({"name": "example", "dependencies": {"mine": "file:../lib/mine"},
                                        "optionalDependencies": optional, "packageManager": f"yarn@{version}"}),
        "lib/mine/package.json": '{"name": "mine", "version": "1.0.0", "dependencies": {"ms": "2.1.3"}}',
        "lib/mine/index.js": "one",
    })  # fmt: skip
    locked(project, version)
    project.build()
    names = project.names("Example")
    assert {name.split("/")[3] for name in names if "/@" in name} == {"linux-arm64", "rollup-linux-arm64-gnu"}
    esbuild = project.content("Example", "nodejs/node_modules/@esbuild/linux-arm64/bin/esbuild")
    assert esbuild[:4] == b"\x7fELF" and esbuild[18:20] == AARCH64
    assert {"nodejs/node_modules/mine/index.js", "nodejs/node_modules/ms/index.js"} <= set(names)

    project.write({"lib/mine/index.js": "two"})
    assert "resolve:Example" in project.build().steps
    assert project.content("Example", "nodejs/node_modules/mine/index.js") == b"two"


def test_mistakes_are_told(project: Sandbox) -> None:
    manifest = example(project, HERE, NODE).path("src/package.json")
    good = manifest.read_text()
    manifest.write_text(good.replace("2.1.3", "2.1.2"))
    said = project.run("build").said
    assert "yarn.lock does not fit package.json" in said and "lockfile needs to be updated" in said

    manifest.write_text(good.replace(CLASSIC, MODERN).replace("2.1.3", "2.1.2"))
    assert "yarn.lock does not fit package.json" in project.run("build").said

    manifest.write_text(good.replace("yarn@", "pnpm@"))
    assert "packageManager is 'pnpm@1.22.22', but the lock file is yarn.lock" in project.run("build").said

    manifest.write_text(good.replace("2.1.3", "file:../lib"))
    project.write({"lib/package.json": "{,}", "src/.yarnrc": ""})
    assert "lib/package.json is not JSON" in project.run("build").said


def test_a_failed_download_does_not_spoil_the_next_run(project: Sandbox, tmp_path: Path) -> None:
    example(project, HERE, NODE).build()
    shutil.rmtree(project.path("build"))
    locked(project, CLASSIC)
    warm = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lambdabuild/tools"
    for tool in warm.glob(f"yarn-{CLASSIC}-*"):
        shutil.copytree(tool, tmp_path / "cold/lambdabuild/tools" / tool.name, symlinks=True)
    cold = {"XDG_CACHE_HOME": str(tmp_path / "cold")}
    assert "Yarn's cache has not all packages" in project.run("build", "--offline", env=cold).said

    shutil.copy(HERE / "example/yarn.lock", project.path("src"))
    project.build(env=cold)
    assert packages(project) == {"ms": "2.1.3"}


def test_what_broke_in_the_cache_of_yarn_1_and_in_yarn_itself_is_fetched_again(
    project: Sandbox, tmp_path: Path
) -> None:
    example(project, HERE, NODE)
    home = tmp_path / "home"
    project.build(env={"XDG_CACHE_HOME": str(home)})
    good = project.zips()
    store = home / "lambdabuild"
    (package,) = store.glob("yarn/v6/npm-ms-*/node_modules/ms/index.js")
    (tool,) = store.glob("tools/yarn-*/*/node_modules/yarn/lib/cli.js")
    for path in (package, tool):
        path.write_bytes(b"throw new Error('damaged')\n")
    shutil.rmtree(project.path("build"))
    ran = project.build(env={"XDG_CACHE_HOME": str(home)})

    assert project.zips() == good
    assert len(ran.summary["warnings"]) == 2
