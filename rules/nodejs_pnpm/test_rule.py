"""nodejs_pnpm: the packages of a pnpm-lock.yaml, alone and in a workspace."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

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
PINNED = {"packageManager": "pnpm@10.34.8"}
AARCH64 = b"\xb7\x00"
"""What an ELF file of that machine says of itself."""


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def locked(project: Sandbox, folder: str = "src") -> None:
    """A fresh lock file. npm's cache is the test's own, for npm exec may not run twice at once."""
    project.write({f"{folder}/pnpm-workspace.yaml": "packages: ['packages/*']\n"})
    command = ["npm", "exec", "--yes", "--package=pnpm@10.34.8", "--", "pnpm", "install", "--lockfile-only"]
    environment = os.environ | {"npm_config_cache": str(project.folder.parent / "npm")}
    subprocess.run(command, cwd=project.path(folder), env=environment, check=True, capture_output=True)


def test_the_example_is_built_and_answers(project: Sandbox, tmp_path: Path) -> None:
    before = contents(example(project, HERE, NODE).path("src"))
    project.build()

    assert call_node(project, {"text": "2 days"}) == 172800000
    assert packages(project) == {"ms": "2.1.3"}
    names = project.names("Example")
    assert {"index.js", "package.json", "node_modules/ms/index.js"} <= set(names)
    assert not [name for name in names if "wrappy" in name or "/." in name or "pnpm" in name]
    assert contents(project.path("src")) == before
    assert project.build().steps == []

    project.append("src/index.js", "// edited\n")
    assert "resolve:Example" not in project.build().steps

    other = example(Sandbox(tmp_path / "elsewhere" / "far"), HERE, NODE)
    other.append("src/index.js", "// edited\n")
    other.build()
    assert other.zips() == project.zips()


def test_a_package_of_a_workspace_has_its_own_packages_and_real_copies_of_its_neighbours(project: Sandbox) -> None:
    project.write({
        "template.yaml": template(function(source="packages/fn", runtime="nodejs22.x", handler="index.handler")),
        "lambdabuild.toml": '[functions.Example]\nrule = "nodejs_pnpm"\n',
        "package.json": json.dumps({"private": True, "dependencies": {"once": "1.4.0"}, **PINNED}),
        "packages/fn/package.json": json.dumps({"name": "@my/fn", "dependencies": {"@my/lib": "workspace:*", "ms": "2.0.0"}}),
        "packages/fn/index.js": "const ms = require('ms')\nexports.handler = async () => [ms('1s'), require('@my/lib')]\n",
        "packages/lib/package.json": json.dumps({"name": "@my/lib", "version": "1.0.0", "dependencies": {"ms": "2.1.3"}}),
        "packages/lib/index.js": "module.exports = ['one', require('ms/package.json').version]\n",
        "packages/other/package.json": json.dumps({"name": "other", "dependencies": {"wrappy": "1.0.2"}}),
    })  # fmt: skip
    locked(project, ".")
    project.build()
    assert call_node(project, {}) == [1000, ["one", "2.1.3"]]
    names = [item["name"] for item in project.manifest["functions"]["Example"]["packages"]]
    assert sorted(names) == ["@my/lib", "ms", "ms"]

    project.write({"packages/lib/index.js": "module.exports = 'two'\n"})
    assert "resolve:Example" in project.build().steps
    assert call_node(project, {}) == [1000, "two"]

    project.path("pnpm-lock.yaml").write_text(project.path("pnpm-lock.yaml").read_text().replace("2.0.0", "2.1.0"))
    assert "pnpm-lock.yaml does not fit package.json" in project.run("build").said


def test_a_layer_for_another_processor_has_its_native_packages_and_local_ones(project: Sandbox) -> None:
    optional = {f"@esbuild/{platform}": "0.25.0" for platform in ("linux-x64", "linux-arm64", "darwin-arm64")}
    optional |= {f"@rollup/rollup-linux-arm64-{libc}": "4.40.0" for libc in ("gnu", "musl")}
    project.write({
        "template.yaml": template(LAYER),
        "src/package.json": json.dumps({"name": "example", "dependencies": {"mine": "file:../lib/mine"},
                                        "optionalDependencies": optional, **PINNED}),
        "lib/mine/package.json": '{"name": "mine", "version": "1.0.0", "dependencies": {"ms": "2.1.3"}}',
        "lib/mine/index.js": "one",
    })  # fmt: skip
    locked(project)
    project.build()
    names = project.names("Example")
    assert {name.split("/")[3] for name in names if "/@" in name} == {"linux-arm64", "rollup-linux-arm64-gnu"}
    esbuild = project.content("Example", "nodejs/node_modules/@esbuild/linux-arm64/bin/esbuild")
    assert esbuild[:4] == b"\x7fELF" and esbuild[18:20] == AARCH64
    assert {"nodejs/node_modules/mine/index.js", "nodejs/node_modules/ms/index.js"} <= set(names)

    project.write({"lib/mine/index.js": "two"})
    assert "resolve:Example" in project.build().steps
    assert project.content("Example", "nodejs/node_modules/mine/index.js") == b"two"


def test_mistakes_are_told(project: Sandbox, tmp_path: Path) -> None:
    manifest = example(project, HERE, NODE).path("src/package.json")
    good = manifest.read_text()
    said = project.run("build", "--offline", env={"XDG_CACHE_HOME": str(tmp_path)}).said
    assert "and the run is offline" in said and "run once without offline" in said

    manifest.write_text(good.replace("2.1.3", "2.1.2"))
    said = project.run("build").said
    assert "pnpm-lock.yaml does not fit package.json" in said and "ERR_PNPM_OUTDATED_LOCKFILE" in said

    manifest.write_text(good.replace("pnpm@10.34.8", "npm@10.0.0"))
    assert "packageManager is 'npm@10.0.0', but the lock file is pnpm-lock.yaml" in project.run("build").said

    manifest.write_text(good.replace("pnpm@10.34.8", "pnpm@10.34.8+sha512." + 128 * "0"))
    assert "pnpm 10.34.8 has the sha512" in project.run("build").said

    manifest.write_text(good.replace('"packageManager": "pnpm@10.34.8",', ""))
    said = project.run("build", env={"PATH": "/nowhere"}).said
    assert "needs 'pnpm', which is not on PATH" in said and "packageManager" in said
