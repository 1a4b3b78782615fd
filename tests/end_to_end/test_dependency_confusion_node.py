"""A package that a package.json says is local, from git or of a scope's registry is never taken of strangers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rule_example import call_node, function, template
from sandbox import Ran, Sandbox
from strangers_registry import NpmRegistry

RULES = ("npm", "esbuild")
"""pnpm and Yarn want a lock file, which says of each package where it is or what its digest is."""
HANDLER = "exports.handler = async () => require('NAME');\n"
OURS = {"ours/package.json": '{"name": "mylib", "version": "1.0.0"}', "ours/index.js": "module.exports = 'ours';\n"}


@dataclass(frozen=True)
class Registries:
    public: NpmRegistry
    private: NpmRegistry
    repository: Path


@pytest.fixture(scope="module")
def registries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registries]:
    """``private`` has one package of ours, ``public`` a stranger's of every name."""
    repository = tmp_path_factory.mktemp("repository")
    Sandbox(repository).write({name.removeprefix("ours/"): text for name, text in OURS.items()})
    git = ["git", "-C", str(repository), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    with NpmRegistry("stranger") as public, NpmRegistry("ours", "1.0.0", ("@ours/mylib",)) as private:
        yield Registries(public, private, repository)


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
    return project.run("build")


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
