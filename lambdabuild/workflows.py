"""Our rules as callers of Lambda Builders know them: names of workflows and actions, what each leaves out and ships.

The peer's tables: the folders ``aws_lambda_builders/workflows/*`` of https://github.com/aws/aws-lambda-builders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lambdabuild.plan.types import Rule

PYTHON = (
    ".aws-sam", ".chalice", ".git", ".gitignore", "*.pyc", "__pycache__", "*.so", ".Python", "*.egg-info", "*.egg",
    "pip-log.txt", "pip-delete-this-directory.txt", "htmlcov", ".tox", ".nox", ".coverage", ".cache", ".pytest_cache",
    ".python-version", ".mypy_cache", ".dmypy.json", ".pyre", ".env", ".venv", "venv", "venv.bak", "env.bak", "ENV",
    "env", ".vscode", ".idea",
)  # fmt: skip
OTHERS = (".aws-sam", ".git")


@dataclass(frozen=True)
class Workflow:
    """A rule as callers of the peer know it. The peer's tables: its folders ``aws_lambda_builders/workflows/*``."""

    name: str
    """What messages begin with: ``PythonPipBuilder``."""
    actions: Mapping[str, str] = field(default_factory=dict)
    """The peer's names for what our steps do; what is not here has ``ACTIONS``' name."""
    leave_out: tuple[str, ...] = OTHERS
    """gitignore patterns of what stays out of the artifact, wherever it lies in the source."""
    ships: tuple[str, ...] = ()
    """Of what the rule leaves out, that which the peer ships."""
    rewritten: tuple[str, ...] = ()
    """Of what the rule leaves out, that which comes with the dependencies instead, made anew."""
    without_manifest: Literal["copy", "build", "fail"] = "copy"
    dependencies: Literal["resolved", "lib", "none"] = "resolved"
    """What goes into ``dependencies_dir``: what was resolved, or the artifact's folder ``lib/``."""
    always_combines: bool = False
    in_source: tuple[bool, ...] = (False,)
    """Values of ``build_in_source`` that the peer takes, its default first."""
    knows_layers: bool = False

    @property
    def reuses(self) -> bool:
        """Whether ``download_dependencies=False`` takes what lies in ``dependencies_dir``."""
        return self.dependencies == "resolved"


ACTIONS = {"resolve": "ResolveDependencies", "compile": "Build", "copy": "CopySource"}

MAKE = Workflow(
    "CustomMakeBuilder", {"compile": "MakeBuild"}, without_manifest="fail", dependencies="none",
    in_source=(False, True),
)  # fmt: skip
WORKFLOWS: Mapping[tuple[str, str, str], Workflow] = {
    ("python", "pip", ""): Workflow("PythonPipBuilder", leave_out=PYTHON, ships=("requirements.txt",)),
    ("python", "uv", ""): Workflow(
        "PythonUvBuilder", leave_out=(*PYTHON, ".uv-cache", "uv.lock.bak"),
        ships=("requirements.txt", "pyproject.toml", "uv.lock"),
    ),
    ("nodejs", "npm", ""): Workflow(
        "NodejsNpmBuilder", {"resolve": "NpmInstall"}, ships=("package-lock.json", "npm-shrinkwrap.json"),
        in_source=(False, True),
    ),
    ("nodejs", "npm-esbuild", ""): Workflow(
        "NodejsNpmEsbuildBuilder", {"resolve": "NpmInstall", "compile": "EsbuildBundle"}, without_manifest="build",
        leave_out=(*OTHERS, "node_modules"), in_source=(False, True),
    ),
    ("java", "gradle", ""): Workflow(
        "JavaGradleWorkflow", {"resolve": "GradleBuild", "compile": "GradleBuild", "copy": "JavaGradleCopyArtifacts"},
        without_manifest="fail", dependencies="lib", in_source=(True,), knows_layers=True,
    ),
    ("java", "maven", ""): Workflow(
        "JavaMavenWorkflow",
        {"resolve": "MavenCopyDependency", "compile": "MavenBuild", "copy": "MavenCopyArtifacts"},
        without_manifest="fail", dependencies="lib", knows_layers=True,
    ),
    ("go", "modules", ""): Workflow(
        "GoModulesBuilder", without_manifest="fail", dependencies="none", in_source=(True,),
    ),
    ("ruby", "bundler", ""): Workflow(
        "RubyBundlerBuilder", {"resolve": "RubyBundle"}, rewritten=("Gemfile", "Gemfile.lock"), always_combines=True,
    ),
    ("rust", "cargo", ""): Workflow(
        "RustCargoLambdaBuilder", {"compile": "CargoLambdaBuild", "copy": "RustCopyAndRename"},
        without_manifest="fail", dependencies="none", in_source=(True,),
    ),
    ("dotnet", "cli-package", ""): Workflow(
        "DotnetCliPackageBuilder", {"resolve": "RunPackageAction", "compile": "RunPackageAction"},
        without_manifest="fail", dependencies="none", in_source=(True,),
    ),
    ("provided", "", ""): MAKE,
}  # fmt: skip
"""By (language, dependency_manager, application_framework). A rule that the peer does not know has ``unlisted``."""

OUR_NAMES = {("dotnet", "cli-package", ""): ("dotnet", "cli", ""), ("provided", "", ""): ("provided", "make", "")}
"""Where the claims of our rules say it otherwise."""

OLDEST = {"python": (3, 8), "nodejs": (16,), "ruby": (3, 2), "java": (8,), "dotnet": (6,), "go": (1,)}
"""The oldest runtimes the peer builds for; newer ones than it knows are built too."""
RUNTIME = re.compile(r"([a-z]+)(\d+(?:\.\d+)?)(?:\.x)?")


def unlisted(rule: Rule) -> Workflow:
    """A workflow for a rule that the peer has not: ``python_poetry`` is PythonPoetryBuilder."""
    name = "".join(part.capitalize() for part in re.split(r"[_\W]+", rule.name)) + "Builder"
    leave_out = PYTHON if rule.language == "python" else OTHERS
    if rule.ships_source:
        return Workflow(name, leave_out=leave_out)
    return Workflow(name, leave_out=leave_out, without_manifest="fail", dependencies="none")


def action_of(flow: Workflow, step: str) -> str:
    """The peer's name for what a step of ours does."""
    return flow.actions.get(step, ACTIONS[step])


def is_supported(runtime: str | None) -> bool:
    """Whether the peer, or a newer one, would build for the runtime."""
    if runtime is None:
        return False
    if runtime == "provided" or runtime.startswith("provided."):
        return True
    found = RUNTIME.fullmatch(runtime)
    oldest = OLDEST.get(found[1]) if found else None
    return bool(found and oldest and tuple(int(part) for part in found[2].split(".")) >= oldest)
