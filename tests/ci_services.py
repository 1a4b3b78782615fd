"""What a CI service does around the commands of a recipe: fresh clones on fresh machines, caches and artifacts kept."""

from __future__ import annotations

import fnmatch
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from sandbox import ROOT, Ran, Sandbox

WORDS = (ROOT / "docs/guides/ci.md").read_text()
RECIPES = dict(re.findall(r"```yaml\n# ([^\n]+)\n(.*?)```", WORDS, re.DOTALL))


def recipe(name: str) -> dict[str, Any]:
    """A recipe of docs/guides/ci.md, by its first line. BaseLoader, for YAML 1.1 takes the word ``on`` for true."""
    loaded: dict[str, Any] = yaml.load(RECIPES[name], Loader=yaml.BaseLoader)
    return loaded


@dataclass
class Machine:
    """A fresh clone at a path of its own, and an empty home."""

    project: Sandbox
    home: Path
    env: dict[str, str]

    def sh(self, lines: Sequence[str], env: Mapping[str, str]) -> Ran:
        script = "\n".join(["set -eo pipefail", *lines])
        return self.project.command(["bash", "-c", script], env={**self.env, **env}, timeout=600)

    def place(self, path: str) -> Path:
        """A path of a cache, as these have it: in the project, or in the home."""
        folder = path.split("/**")[0].rstrip("/")
        for home in ("~/", "/root/"):
            if folder.startswith(home):
                return self.home / folder.removeprefix(home)
        return self.project.folder / folder


@dataclass
class Service:
    """Keeps what jobs leave. ``origin`` is the repository that they clone."""

    origin: Path
    folder: Path
    caches: dict[str, dict[str, Path]] = field(default_factory=dict)
    """Keys, the newest last, and for each of its paths an archive."""
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def machine(self, revision: str = "main", *, shallow: bool = False) -> Machine:
        number = next(self.numbers)
        work, home = self.folder / f"runner {number}" / f"work-{number}", self.folder / f"home-{number}"
        home.mkdir(parents=True)
        depth = ["--depth", "1"] if shallow else []
        git("clone", "-q", *depth, "--branch", revision, f"file://{self.origin}", str(work), cwd=self.folder)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        env = {
            "HOME": str(home),
            "PATH": path,
            "CI": "true",
            "XDG_CACHE_HOME": "",
            "LAMBDABUILD_CACHE__ENABLED": "true",
        }
        return Machine(Sandbox(work), home, env)

    def save(self, key: str, machine: Machine, paths: Iterable[str]) -> None:
        """As CI does, nothing under a key that is there."""
        if key in self.caches:
            return
        found: dict[str, Path] = {}
        for number, path in enumerate(paths):
            place = machine.place(path)
            if place.exists():
                found[path] = self.folder / f"cache-{len(self.caches)}-{number}.tar"
                subprocess.run(["tar", "-cf", found[path], "-C", place.parent, place.name], check=True)
        self.caches[key] = found

    def restore(self, key: str, prefixes: Iterable[str], machine: Machine) -> str:
        """The key of what was restored, with all times new; "" when there was nothing."""
        newest = list(reversed(self.caches))
        fallback = (one for prefix in prefixes for one in newest if one.startswith(prefix))
        chosen = key if key in self.caches else next(fallback, "")
        for path, archive in self.caches.get(chosen, {}).items():
            parent = machine.place(path).parent
            parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["tar", "-xmf", archive, "-C", parent], check=True)
        return chosen


def git(*arguments: str, cwd: Path) -> str:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", *who, *arguments], cwd=cwd, check=True, capture_output=True, text=True).stdout


@dataclass
class GitHub:
    """Runs the jobs of a workflow; ``values`` are those of its expressions."""

    service: Service
    event: str = "push"
    values: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)

    def job(self, job: Mapping[str, Any], revision: str = "main", **matrix: str) -> tuple[Machine, Ran]:
        """The machine and what the last command said."""
        checkout = next(step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@"))
        machine = self.service.machine(revision, shallow=checkout.get("with", {}).get("fetch-depth") != "0")
        values = self.values | {f"matrix.{name}": value for name, value in matrix.items()}
        values |= {"github.sha": git("rev-parse", "HEAD", cwd=machine.project.folder).strip(), "runner.os": "Linux"}
        said = Ran(0, "", "")
        for step in job["steps"]:
            given = _filled(step.get("with", {}), values)
            if step.get("if", "github.event_name == 'push'") != f"github.event_name == '{self.event}'" and "if" in step:
                continue
            if "run" in step:
                env = {**_filled(job.get("env", {}), values), **_filled(step.get("env", {}), values)}
                output = machine.home / "output"
                said = machine.sh([step["run"]], env | {"GITHUB_OUTPUT": str(output)})
                assert said.code == 0, said.said
                for line in output.read_text().splitlines() if output.exists() else ():
                    name, _, value = line.partition("=")
                    self.values[f"steps.{step.get('id')}.outputs.{name}"] = value
            else:
                self._uses(step["uses"].partition("@")[0], given, machine)
        return machine, said

    def _uses(self, action: str, given: Mapping[str, str], machine: Machine) -> None:
        if action == "actions/cache/restore":
            self.service.restore(given["key"], given["restore-keys"].split(), machine)
        elif action == "actions/cache/save":
            self.service.save(given["key"], machine, given["path"].split())
        elif action == "actions/upload-artifact":
            kept = self.service.folder / "artifacts" / given["name"]
            kept.mkdir(parents=True)
            shutil.copy(machine.project.path(given["path"]), kept)
            self.artifacts[given["name"]] = kept
        elif action == "actions/download-artifact":
            assert given["merge-multiple"] == "true"
            for name in fnmatch.filter(self.artifacts, given["pattern"]):
                shutil.copytree(self.artifacts[name], machine.project.folder, dirs_exist_ok=True)
        else:
            assert action in ("actions/checkout", "actions/setup-python"), action


def _filled(given: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    def value(found: re.Match[str]) -> str:
        return values[found[1]]

    return {name: re.sub(r"\$\{\{ ([^}]+) \}\}", value, text) for name, text in given.items()}


@dataclass
class GitLab:
    """Runs the jobs of a pipeline, with the variables that GitLab sets."""

    service: Service
    pipeline: Mapping[str, Any]
    variables: dict[str, str]
    artifacts: dict[str, Path] = field(default_factory=dict)

    def job(self, name: str, revision: str = "main", **more: str) -> tuple[Machine, Ran]:
        job = self.pipeline[name]
        depth = self.pipeline.get("variables", {}).get("GIT_DEPTH", "20")
        machine = self.service.machine(revision, shallow=depth != "0")
        known = self.variables | more | {"CI_PROJECT_DIR": str(machine.project.folder)}
        env = known | {key: _expanded(text, known) for key, text in self.pipeline.get("variables", {}).items()}
        self._restore(job.get("cache"), machine, env)
        for needed in job.get("needs", ()):
            for file in (self.service.folder / "artifacts" / needed).iterdir():
                shutil.copy(file, machine.project.folder)
        before = self.pipeline.get("default", {}).get("before_script", [])
        ran = machine.sh([*before, *job["script"]], env)
        assert ran.code == 0, ran.said
        kept = self.service.folder / "artifacts" / name
        for pattern in job.get("artifacts", {}).get("paths", ()):
            kept.mkdir(parents=True, exist_ok=True)
            for file in machine.project.folder.glob(pattern):
                shutil.copy(file, kept)
        cache = job.get("cache")
        if cache and cache.get("policy", "pull-push") == "pull-push":
            self.service.caches.pop(_expanded(cache["key"], env), None)
            self.service.save(_expanded(cache["key"], env), machine, cache["paths"])
        return machine, ran

    def _restore(self, cache: Any, machine: Machine, env: Mapping[str, str]) -> None:
        keys = [_expanded(key, env) for key in (cache["key"], *cache["fallback_keys"])] if cache else []
        there = next((key for key in keys if key in self.service.caches), "")
        if there:
            self.service.restore(there, (), machine)


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda found: variables[found[1]], text)


def code_build(service: Service, spec: Mapping[str, Any], env: Mapping[str, str]) -> tuple[Machine, Ran]:
    """One build of CodeBuild: all phases in one shell, after and before its cache."""
    machine = service.machine()
    commit = git("rev-parse", "HEAD", cwd=machine.project.folder).strip()
    variables = {**spec.get("env", {}).get("variables", {}), **env, "CODEBUILD_RESOLVED_SOURCE_VERSION": commit}
    cache = spec.get("cache")
    if cache:
        service.restore(_expanded(cache["key"], variables), cache["fallback-keys"], machine)
    commands = [command for phase in spec["phases"].values() for command in phase["commands"]]
    ran = machine.sh(commands, variables)
    assert ran.code == 0, ran.said
    if cache:
        service.save(_expanded(cache["key"], variables), machine, cache["paths"])
    return machine, ran
