"""Lambda Builders' interface in process: one folder of source in, one folder with the artifact out, by our rules.

``LambdaBuilder("python", "pip", None).build(source_dir, artifacts_dir, scratch_dir, manifest_path, runtime=...)`` does
what Lambda Builders' does, with its parameters and its errors' names and texts, for callers written for it. Lambda
Builders' design: https://github.com/aws/aws-lambda-builders/blob/develop/DESIGN.md. Nothing is remembered between two
builds, so nothing is hashed: the caller decides when to build. docs/reference/rpc.md lists the differences.
"""

from __future__ import annotations

import fnmatch
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lambdabuild.api.caller_build import CallerBuild
from lambdabuild.api.caller_errors import (
    LambdaBuilderError,
    SharedProjectNotSupportedError,
    UnsupportedManifestError,
    WorkflowFailedError,
    WorkflowNotFoundError,
    WorkflowUnknownError,
    failed,
    in_lambda_builders_words,
)
from lambdabuild.api.caller_listing import read_plan
from lambdabuild.api.caller_plan import Wanted
from lambdabuild.api.workflows import ACTIONS, OUR_NAMES, WORKFLOWS, is_supported, module_of, unlisted
from lambdabuild.artifacts import caller_folders
from lambdabuild.plan.types import Rule
from lambdabuild.rulebook.search import find_rules, search_path

__all__ = [
    "LambdaBuilder", "LambdaBuilderError", "SharedProjectNotSupportedError", "UnsupportedManifestError",
    "WorkflowFailedError", "WorkflowNotFoundError", "WorkflowUnknownError",
]  # fmt: skip
LOG = logging.getLogger(__name__)


class LambdaBuilder:
    """Build functions of one (language, dependency_manager, application_framework).

    Raises WorkflowNotFoundError when no rule has it. ``supported_workflows`` are names of Lambda Builders' modules.
    Here they select among its workflows by their last part (``aws_lambda_builders.workflows.python_pip``).
    """

    def __init__(
        self,
        language: str,
        dependency_manager: str | None,
        application_framework: str | None,
        supported_workflows: Sequence[str] | None = None,
    ) -> None:
        given = (language, dependency_manager, application_framework)
        capability = (
            (language or "").lower(),
            (dependency_manager or "").lower(),
            (application_framework or "").lower(),
        )
        rules = find_rules(search_path(os.getcwd(), os.environ))
        self.rules = {rule.name: rule for rule in rules}
        wanted = OUR_NAMES.get(capability, capability)
        found = [rule for rule in rules if _capability(rule) == wanted and _is_loaded(rule, supported_workflows)]
        if not found:
            raise WorkflowNotFoundError(
                "Unable to find a workflow matching given capability: " + ", ".join(str(part) for part in given),
                help="known: " + "; ".join(sorted(", ".join(filter(None, _capability(rule))) for rule in rules)),
            )
        self.rule = found[0]
        self.workflow = WORKFLOWS.get(capability) or unlisted(self.rule)

    def build(
        self,
        source_dir: str,
        artifacts_dir: str,
        scratch_dir: str,
        manifest_path: str | None,
        runtime: str | None = None,
        unpatched_runtime: str | None = None,
        optimizations: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        executable_search_paths: Sequence[str] | None = None,
        mode: str | None = None,
        download_dependencies: bool = True,
        dependencies_dir: str | None = None,
        combine_dependencies: bool = True,
        architecture: str = "x86_64",
        is_building_layer: bool = False,
        experimental_flags: str | Sequence[str] | None = None,
        build_in_source: bool | None = None,
    ) -> None:
        """Write the artifact into ``artifacts_dir``, which is created but never emptied.

        The source is written to with ``build_in_source`` only, by npm and make themselves.

        Raises WorkflowFailedError or WorkflowUnknownError, with Lambda Builders' text ``<Workflow>:<Action> -
        <reason>``.
        """
        caller_folders.make(scratch_dir)
        self._check(runtime, architecture, options, build_in_source)
        source = os.path.realpath(source_dir)
        wanted = Wanted(
            source=source,
            artifacts=os.path.abspath(artifacts_dir),
            scratch=os.path.abspath(scratch_dir),
            manifest=self._manifest(source, manifest_path),
            runtime=unpatched_runtime or runtime or "",
            architecture="arm64" if architecture == "arm64" else "x86_64",
            is_layer=is_building_layer,
            options={**(options or {}), **({"mode": mode} if mode else {})},
            search_paths=tuple(os.path.abspath(path) for path in executable_search_paths or ()),
            downloads=download_dependencies,
            dependencies=os.path.abspath(dependencies_dir) if dependencies_dir else "",
            combines=combine_dependencies,
            in_source=bool(build_in_source) and self.workflow.can_choose,
            folder=os.getcwd(),
            environment={**os.environ},
        )
        self._build(wanted)

    def _build(self, wanted: Wanted) -> None:
        """Decide what is done, then do it in a new folder of the caller's scratch folder."""
        if not os.path.isdir(wanted.source):
            raise failed(self.workflow, "copy", f"the source folder {wanted.source} does not exist")
        with in_lambda_builders_words(self.workflow, "resolve"):
            plan = read_plan(self.workflow, self._rule_for(wanted.manifest), self.rules, wanted)
        with tempfile.TemporaryDirectory(prefix="lambdabuild-", dir=wanted.scratch, ignore_cleanup_errors=True) as work:
            CallerBuild(plan, os.path.realpath(work)).run()

    def prepare_shared_project(self, project_root: str, experimental_flags: Sequence[str] | None = None) -> None:
        """Raise SharedProjectNotSupportedError, after which callers build each function on its own.

        Lambda Builders installs an npm workspace once for all its functions.
        """
        raise SharedProjectNotSupportedError(
            f"Workflow for capability '{_capability(self.rule)}' does not support preparing a project root shared by "
            "several functions"
        )

    def _check(
        self, runtime: str | None, architecture: str, options: Mapping[str, Any] | None, build_in_source: bool | None
    ) -> None:
        flow = self.workflow
        if flow.needs_runtime and not is_supported(runtime):
            raise WorkflowFailedError(f"{flow.name}:Validation - Runtime {runtime} is not supported")
        if flow.needs_logical_id and not (options or {}).get("build_logical_id"):
            raise WorkflowFailedError(f"{flow.name}:None - Build target None is not found!")
        if flow.needs_entry_points:
            self._check_entry_points(options or {})
        if architecture not in ("x86_64", "arm64"):
            raise WorkflowFailedError(
                f"{flow.name}:Validation - Architecture {architecture} is not supported for runtime {runtime}"
            )
        if build_in_source is not None and build_in_source not in flow.in_source:
            LOG.warning(
                'Workflow %s does not support value "%s" for building in source. Using default value "%s".',
                flow.name,
                build_in_source,
                flow.in_source[0],
            )

    def _check_entry_points(self, options: Mapping[str, Any]) -> None:
        """Raise WorkflowFailedError unless esbuild has entry points: a list, as in Lambda Builders, or a text with
        commas.
        """
        given = options.get("entry_points")
        if "entry_points" not in options:
            wrong = "not set"
        elif not isinstance(given, str | list | tuple):
            wrong = "must be a list"
        elif not given:
            wrong = "must not be empty"
        else:
            return
        raise failed(self.workflow, "compile", f"entry_points {wrong} ({dict(options)})")

    def _manifest(self, source: str, given: str | None) -> str:
        """Return the manifest's real path; "" when there is none and the workflow can do without."""
        flow = self.workflow
        found = self._named(given) or self._looked_for(source)
        name = os.path.basename(found)
        if found and flow.reads and not any(fnmatch.fnmatchcase(name, pattern) for pattern in flow.reads):
            raise UnsupportedManifestError(f"{flow.name}:{ACTIONS['resolve']} - {flow.unsupported.format(name)}")
        if not found and flow.without_manifest == "fail":
            raise failed(flow, "resolve" if self.rule.resolve else "compile", flow.missing.format(given))
        if not found:
            LOG.warning(flow.missing)
        return os.path.join(os.path.realpath(os.path.dirname(found)), name) if found else ""

    def _named(self, given: str | None) -> str:
        """Return the manifest the caller names; a tool that needs another name gets the one next to it."""
        if not given or not os.path.isfile(given):
            return ""
        folder, name = os.path.split(given)
        beside = () if self.workflow.takes_any_name else self.rule.manifests
        paths = (os.path.join(folder, other) for other in beside)
        return given if name in beside else next(filter(os.path.isfile, paths), given)

    def _looked_for(self, source: str) -> str:
        """Return the manifest that the tool finds by itself."""
        names = self.workflow.looks_for or self.rule.manifests
        folders = {"": [], "source": [source], "above": [source, *_above(source)]}[self.workflow.looks_in]
        found = (
            os.path.join(folder, name)
            for folder in folders
            if os.path.isdir(folder)
            for pattern in names
            for name in sorted(fnmatch.filter(os.listdir(folder), pattern))
        )
        return next(filter(os.path.isfile, found), "")

    def _rule_for(self, manifest: str) -> Rule:
        """Return the rule that builds: for uv with a requirements file it is python_pip."""
        others = self.workflow.other_rules.items()
        name = next((name for pattern, name in others if fnmatch.fnmatchcase(manifest, pattern)), "")
        return self.rules.get(name, self.rule)


def _above(folder: str) -> Iterator[str]:
    while (parent := os.path.dirname(folder)) != folder:
        yield parent
        folder = parent


def _capability(rule: Rule) -> tuple[str, str, str]:
    return rule.language, rule.dependency_manager, rule.application_framework


def _is_loaded(rule: Rule, modules: Sequence[str] | None) -> bool:
    """Return whether a rule's workflow is among Lambda Builders' modules."""
    return modules is None or bool({module.rpartition(".")[2] for module in modules} & {"workflows", module_of(rule)})
