"""Our rules as callers of Lambda Builders know them: names of workflows and actions, what each leaves out and ships.

Lambda Builders' tables: the folders ``aws_lambda_builders/workflows/*`` of https://github.com/aws/aws-lambda-builders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from lambdabuild.core.records import Struct, field
from lambdabuild.plan.types import Rule

PYTHON = (
    ".aws-sam", ".chalice", ".git", ".gitignore", "*.pyc", "__pycache__", "*.so", ".Python", "*.egg-info", "*.egg",
    "pip-log.txt", "pip-delete-this-directory.txt", "htmlcov", ".tox", ".nox", ".coverage", ".cache", ".pytest_cache",
    ".python-version", ".mypy_cache", ".dmypy.json", ".pyre", ".env", ".venv", "venv", "venv.bak", "env.bak", "ENV",
    "env", ".vscode", ".idea",
)  # fmt: skip
OTHERS = (".aws-sam", ".git")


class Workflow(Struct, frozen=True):
    """A rule as callers of Lambda Builders know it.

    Lambda Builders' tables: its folders ``aws_lambda_builders/workflows/*``.
    """

    name: str
    """The beginning of messages: ``PythonPipBuilder``."""
    actions: Mapping[str, str] = field(default_factory=dict)
    """Lambda Builders' names for our steps; a step that is not here has its name in ``ACTIONS``."""
    leave_out: tuple[str, ...] = OTHERS
    """gitignore patterns of files that are left out of the artifact, anywhere in the source."""
    ships: tuple[str, ...] = ()
    """Files that Lambda Builders packs although the rule leaves them out."""
    rewritten: tuple[str, ...] = ()
    """Files that the rule leaves out because the dependencies bring them, written again."""
    failed: str = ""
    """Lambda Builders' prefix for the output of a tool that failed: ``Make Failed: ``."""
    without_manifest: Literal["copy", "build", "fail"] = "copy"
    missing: str = "there is no manifest {}"
    """Lambda Builders' text for a missing manifest, whose path is {}: an error, or the warning of a build without one.
    """
    looks_in: Literal["", "source", "above"] = ""
    """Where the tool finds a manifest when the one the caller names does not exist: in the source, or above it too."""
    dependencies: Literal["resolved", "lib", "none"] = "resolved"
    """The content of ``dependencies_dir``: the resolved dependencies, or the artifact's folder ``lib/``."""
    always_combines: bool = False
    in_source: tuple[bool, ...] = (False,)
    """Values of ``build_in_source`` that Lambda Builders supports, its default first."""
    knows_layers: bool = False
    needs_runtime: bool = True
    """The caller names a runtime that Lambda Builders builds for."""
    needs_logical_id: bool = False
    """The option ``build_logical_id`` names what is built."""
    needs_entry_points: bool = False
    takes_any_name: bool = False
    """A manifest of any name is taken; otherwise the one next to it with a name that the rule knows."""
    looks_for: tuple[str, ...] = ()
    """Names or patterns of manifests to look for, in this order, instead of the rule's own."""
    reads: tuple[str, ...] = ()
    """Names or patterns of the only manifests that are supported; () when all are that were found."""
    unsupported: str = ""
    """Lambda Builders' text for another one, whose name is {}."""
    other_rules: Mapping[str, str] = field(default_factory=dict)
    """Names of rules that build instead, by the pattern of the manifest."""
    installs_in_source: bool = False
    """With ``build_in_source`` npm installs the packages next to the source."""
    packed_by_npm: bool = False
    """What ``npm pack`` would pack of the source is what is shipped of it."""
    tested_with: str = ""
    """A variable of the caller's environment that asks for ``npm test`` when it is ``true``; "" for no tests."""
    leaves_packages_out: bool = False
    """Without ``combine_dependencies`` the bundle imports the packages that package.json names, and includes none."""
    without_packages: str = ""
    """Lambda Builders' error when the packages are neither downloaded nor in a folder; "" when the build goes on."""

    @property
    def can_choose(self) -> bool:
        """Return whether a caller decides if the tool works in the source. No other rule of ours ever does."""
        return len(self.in_source) > 1

    @property
    def reuses(self) -> bool:
        """Return whether ``download_dependencies=False`` uses what is in ``dependencies_dir``."""
        return self.dependencies == "resolved"


NO_MANIFEST = "{} not found. Continuing the build without dependencies."
ACTIONS = {"resolve": "ResolveDependencies", "compile": "Build", "copy": "CopySource"}

MAKE = Workflow(
    "CustomMakeBuilder", {"compile": "MakeBuild"}, failed="Make Failed: ", without_manifest="fail",
    missing="Makefile not found at {}", dependencies="none", in_source=(False, True),
    needs_runtime=False, needs_logical_id=True, takes_any_name=True,
)  # fmt: skip
WORKFLOWS: Mapping[tuple[str, str, str], Workflow] = {
    ("python", "pip", ""): Workflow(
        "PythonPipBuilder", leave_out=PYTHON, ships=("requirements.txt",),
        missing=NO_MANIFEST.format("requirements.txt file"), takes_any_name=True,
    ),
    ("python", "uv", ""): Workflow(
        "PythonUvBuilder", leave_out=(*PYTHON, ".uv-cache", "uv.lock.bak"),
        ships=("requirements.txt", "pyproject.toml", "uv.lock"), looks_in="source",
        missing="No UV-compatible manifest file found (pyproject.toml, requirements.txt). Continuing the build without "
        "dependencies.", takes_any_name=True, reads=("*.txt", "pyproject.toml"), other_rules={"*.txt": "python_pip"},
        looks_for=("requirements.txt", "requirements-dev.txt", "requirements-test.txt", "requirements-prod.txt",
                   "pyproject.toml"),
        unsupported="Unsupported manifest file: {}. Name a requirements.txt or a pyproject.toml",
    ),
    ("nodejs", "npm", ""): Workflow(
        "NodejsNpmBuilder", {"resolve": "NpmInstall"}, ships=("package-lock.json", "npm-shrinkwrap.json"),
        failed="NPM Failed: ", missing=NO_MANIFEST.format("package.json file"), in_source=(False, True),
        installs_in_source=True, packed_by_npm=True, tested_with="SAM_NPM_RUN_TEST_WITH_BUILD",
    ),
    ("nodejs", "npm-esbuild", ""): Workflow(
        "NodejsNpmEsbuildBuilder", {"resolve": "NpmInstall", "compile": "EsbuildBundle"}, failed="Esbuild Failed: ",
        without_manifest="build", leave_out=(*OTHERS, "node_modules"), in_source=(False, True),
        missing="package.json file not found. Bundling source without installing dependencies.",
        installs_in_source=True, needs_entry_points=True, leaves_packages_out=True,
        without_packages="Esbuild Failed: Lambda Builders was unable to find the location of the dependencies since a "
        "dependencies directory was not provided and downloading dependencies is disabled.",
    ),
    ("java", "gradle", ""): Workflow(
        "JavaGradleWorkflow", {"resolve": "GradleBuild", "compile": "GradleBuild", "copy": "JavaGradleCopyArtifacts"},
        failed="Gradle Failed: ", without_manifest="fail", missing="Gradle Failed: Gradle build file not found: {}",
        dependencies="lib", in_source=(True,), knows_layers=True,
    ),
    ("java", "maven", ""): Workflow(
        "JavaMavenWorkflow",
        {"resolve": "MavenBuild", "compile": "MavenBuild", "copy": "MavenCopyArtifacts"},
        failed="Maven Failed: ", without_manifest="fail", missing="Maven Failed: there is no manifest {}",
        looks_in="source", dependencies="lib", knows_layers=True,
    ),
    ("go", "modules", ""): Workflow(
        "GoModulesBuilder", failed="Builder Failed: ", without_manifest="fail",
        missing="Builder Failed: there is no manifest {}", looks_in="above", dependencies="none", in_source=(True,),
    ),
    ("ruby", "bundler", ""): Workflow(
        "RubyBundlerBuilder", {"resolve": "RubyBundle"}, failed="Bundler Failed: ",
        missing=NO_MANIFEST.format("Gemfile"), looks_in="source",
        rewritten=("Gemfile", "Gemfile.lock"), always_combines=True,
    ),
    ("rust", "cargo", ""): Workflow(
        "RustCargoLambdaBuilder", {"compile": "CargoLambdaBuild", "copy": "RustCopyAndRename"},
        failed="Cargo Lambda failed: ", without_manifest="fail",
        missing="Cargo Lambda failed: there is no manifest {}", looks_in="above", dependencies="none",
        in_source=(True,),
    ),
    ("dotnet", "cli-package", ""): Workflow(
        "DotnetCliPackageBuilder", {"resolve": "RunPackageAction", "compile": "RunPackageAction"},
        failed="Dotnet CLI Failed: ", without_manifest="fail", missing="Dotnet CLI Failed: there is no manifest {}",
        looks_in="source", dependencies="none", in_source=(True,),
    ),
    ("provided", "", ""): MAKE,
}  # fmt: skip
"""Workflows by (language, dependency_manager, application_framework). A rule that Lambda Builders does not know gets
``unlisted``.
"""

OUR_NAMES = {("dotnet", "cli-package", ""): ("dotnet", "cli", ""), ("provided", "", ""): ("provided", "make", "")}
"""Capabilities that our rules claim under a different name."""

MODULES = {"dotnet_cli": "dotnet_clipackage"}
"""Lambda Builders' names for the modules of workflows, where they are not our rules' names."""

OLDEST = {"python": (3, 8), "nodejs": (16,), "ruby": (3, 2), "java": (8,), "dotnet": (6,), "go": (1,)}
"""The oldest runtimes Lambda Builders builds for; newer ones than it knows are built too."""
RUNTIME = re.compile(r"([a-z]+)(\d+(?:\.\d+)?)(?:\.x)?")


def unlisted(rule: Rule) -> Workflow:
    """Return a workflow for a rule that Lambda Builders lacks: ``python_poetry`` becomes PythonPoetryBuilder."""
    name = "".join(part.capitalize() for part in re.split(r"[_\W]+", rule.name)) + "Builder"
    is_python = rule.language == "python"
    leave_out = PYTHON if is_python else OTHERS
    if rule.ships_source:
        missing = NO_MANIFEST.format(" or ".join(rule.manifests))
        return Workflow(name, leave_out=leave_out, missing=missing, takes_any_name=is_python)
    return Workflow(name, leave_out=leave_out, without_manifest="fail", dependencies="none", takes_any_name=is_python)


def action_of(flow: Workflow, step: str) -> str:
    """Return Lambda Builders' name for one of our steps."""
    return flow.actions.get(step) or ACTIONS.get(step, step)


def module_of(rule: Rule) -> str:
    """Return the last part of the name of Lambda Builders' module for a rule."""
    return MODULES.get(rule.name, rule.name)


def is_supported(runtime: str | None) -> bool:
    """Return whether Lambda Builders, or a newer version of it, would build for the runtime."""
    if runtime is None:
        return False
    if runtime == "provided" or runtime.startswith("provided."):
        return True
    found = RUNTIME.fullmatch(runtime)
    oldest = OLDEST.get(found[1]) if found else None
    return bool(found and oldest and tuple(int(part) for part in found[2].split(".")) >= oldest)
