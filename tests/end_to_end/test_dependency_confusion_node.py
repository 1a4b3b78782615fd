"""A package that a package.json says is local, from git or of a scope's registry is never taken of strangers."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lambda_builders import esbuild
from rule_example import call_node, function, template
from sandbox import Ran, Sandbox
from strangers_registry import NpmRegistry

__all__ = ["esbuild"]

RULES = ("npm", "esbuild")
HANDLER = "exports.handler = async () => require('NAME');\n"
OURS = {"ours/package.json": '{"name": "mylib", "version": "1.0.0"}', "ours/index.js": "module.exports = 'ours';\n"}


@dataclass(frozen=True)
class Registries:
    public: NpmRegistry
    private: NpmRegistry
    repository: Path
    esbuild: Path


@pytest.fixture(scope="module")
def registries(tmp_path_factory: pytest.TempPathFactory, esbuild: Path) -> Iterator[Registries]:
    """``private`` has one package of ours, ``public`` a stranger's of every name."""
    repository = tmp_path_factory.mktemp("repository")
    Sandbox(repository).write({name.removeprefix("ours/"): text for name, text in OURS.items()})
    git = ["git", "-C", str(repository), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    with NpmRegistry("stranger") as public, NpmRegistry("ours", "1.0.0", ("@ours/mylib",)) as private:
        yield Registries(public, private, repository, esbuild)


def build(project: Sandbox, registries: Registries, manager: str, name: str, wanted: str) -> Ran:
    manifest = {"name": "app", "version": "1.0.0", "dependencies": {name: wanted}}
    settings = f"registry={registries.public.url}\n@ours:registry={registries.private.url}\n"
    metadata = "    Metadata: {BuildMethod: esbuild, BuildProperties: {EntryPoints: [index.js]}}\n"
    more = {"metadata": metadata} if manager == "esbuild" else {}
    project.write({
        "template.yaml": template(function(runtime="nodejs20.x", handler="index.handler", **more)),
        "src/package.json": json.dumps(manifest), "src/.npmrc": settings,
        "src/index.js": HANDLER.replace("NAME", name), **OURS,
    })  # fmt: skip
    return project.run("build", env={"PATH": f"{registries.esbuild}{os.pathsep}{os.environ['PATH']}"})


TOLD = {
    "a file": ("mylib", "file:../ours"),
    "git": ("mylib", "git+file://REPOSITORY"),
    "a scope's registry": ("@ours/mylib", "^1.0.0"),
}


@pytest.mark.parametrize("manager", RULES)
@pytest.mark.parametrize("told", TOLD)
def test_what_is_ours_is_not_taken_of_strangers(
    told: str, manager: str, project: Sandbox, registries: Registries
) -> None:
    name, wanted = TOLD[told]
    ran = build(project, registries, manager, name, wanted.replace("REPOSITORY", str(registries.repository)))

    assert ran.code == 0, ran.said
    assert call_node(project, {}) == "ours"


@pytest.mark.parametrize("manager", RULES)
@pytest.mark.parametrize(
    ("name", "wanted"), [("mylib", "file:../gone"), ("mylib", "workspace:*"), ("@ours/gone", "*"), ("mylib", "git+file:///gone/gone")]
)  # fmt: skip
def test_what_is_ours_and_not_there_is_named(
    name: str, wanted: str, manager: str, project: Sandbox, registries: Registries
) -> None:
    ran = build(project, registries, manager, name, wanted)

    assert ran.code != 0
    assert "Traceback" not in ran.said
    assert "gone" in ran.said or "mylib" in ran.said


MANAGERS = {
    "pnpm": ("pnpm", "pnpm/bin/pnpm.cjs", ["install", "--lockfile-only"]),
    "yarn1": ("yarn", "yarn1/bin/yarn.js", ["install", "--ignore-scripts", "--no-bin-links"]),
    "yarn4": ("yarn", "yarn4/bin/yarn.js", ["install", "--mode=update-lockfile"]),
}
"""The program, where npm installs it, and how a lock file is made."""
PROGRAMS = ("pnpm@10.34.8", "yarn1@npm:yarn@1.22.22", "yarn4@npm:@yarnpkg/cli-dist@4.18.1")
YARNRC = """\
nodeLinker: node-modules
npmRegistryServer: PUBLIC
unsafeHttpWhitelist: [127.0.0.1]
npmScopes:
  ours: {npmRegistryServer: PRIVATE}
"""
NPMRC = "registry=PUBLIC\n@ours:registry=PRIVATE\n"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For each manager a folder for PATH: registries of strangers have no package managers."""
    folder = tmp_path_factory.mktemp("programs")
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-bin-links", "--prefix", str(folder), *PROGRAMS]
    subprocess.run(command, check=True, capture_output=True)
    for manager, (program, script, _) in MANAGERS.items():
        (folder / manager).mkdir()
        (folder / manager / program).symlink_to(folder / "node_modules" / script)
        (folder / "node_modules" / script).chmod(0o755)
    return {manager: f"{folder / manager}:{os.environ['PATH']}" for manager in MANAGERS}


@pytest.mark.slow
@pytest.mark.parametrize("manager", MANAGERS)
def test_pnpm_and_yarn_take_what_is_ours_of_us_with_a_lock_file_and_without(
    manager: str, project: Sandbox, registries: Registries, programs: dict[str, str], tmp_path: Path
) -> None:
    """The settings of Yarn are those of the folders above the template's, too."""
    program, _, lock = MANAGERS[manager]
    app, package = Sandbox(project.path("infra")), "services/pay/package.json"
    wanted = {"mylib": "file:../ours", "fromgit": f"git+file://{registries.repository}", "@ours/mylib": "^1.0.0"}
    if manager == "yarn4":
        del wanted["fromgit"]  # it knows no file:// of git
    settings = {"yarn4": ".yarnrc.yml", "yarn1": ".npmrc", "pnpm": "services/pay/.npmrc"}[manager]
    says = (YARNRC if manager == "yarn4" else NPMRC).replace("PUBLIC", registries.public.url)
    names = [f"require({json.dumps(name)})" for name in (*wanted, "strange")]

    def packages(**changed: str) -> dict[str, str]:
        dependencies = {**wanted, "strange": "*", **changed}
        return {package: json.dumps({"name": "pay", "version": "1.0.0", "dependencies": dependencies})}

    project.write({
        ".git/HEAD": "", settings: says.replace("PRIVATE", registries.private.url),
        "infra/template.yaml": template(function("../services/pay", "nodejs22.x", "index.handler")),
        "infra/lambdabuild.toml": f"[functions.Example]\nrule = 'nodejs_{program}'\n", **packages(),
        "services/pay/index.js": f"exports.handler = async () => [{', '.join(names)}];\n",
        **{f"services/{name}": text for name, text in OURS.items()},
    })  # fmt: skip
    environment = {"PATH": programs[manager], "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path / "home")}
    app.build(env=environment)
    assert call_node(app, {}) == ["ours"] * len(wanted) + ["stranger"]
    assert app.build(env=environment).steps == []

    if manager == "yarn4":
        project.write({"services/pay/yarn.lock": ""})
    made = subprocess.run([program, *lock], cwd=project.path("services/pay"), env=os.environ | environment)
    assert made.returncode == 0
    project.append("services/pay/index.js", "// edited\n")
    app.build(env=environment)
    assert call_node(app, {}) == ["ours"] * len(wanted) + ["stranger"]

    for file in project.path("services/pay").glob("*lock*"):
        file.unlink()
    for changed in ({"mylib": "file:../gone"}, {"@ours/gone": "*"}):
        ran = project.write(packages(**changed)) and app.run("build", env=environment)
        assert ran.code != 0
        assert "gone" in ran.said
        assert "Traceback" not in ran.said
