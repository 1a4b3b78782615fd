"""Run what was planned for a caller of Lambda Builders, and fill the folders that the caller named."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from functools import cached_property

from lambdabuild.api import caller_artifact, caller_listing
from lambdabuild.api.caller_errors import WorkflowFailedError, in_lambda_builders_words
from lambdabuild.api.caller_plan import CallerPlan, Dependencies
from lambdabuild.api.caller_source import MODULES, NpmProject
from lambdabuild.api.caller_source import root_of as npm_root_of
from lambdabuild.api.caller_tools import CallerTools
from lambdabuild.api.workflows import action_of
from lambdabuild.artifacts import caller_folders, owned
from lambdabuild.artifacts.owned import NamedFolder
from lambdabuild.config.settings import with_flags
from lambdabuild.core.errors import InTheWay
from lambdabuild.core.records import Struct
from lambdabuild.files.listing import Found
from lambdabuild.plan.types import Rule
from lambdabuild.project import cache_dir
from lambdabuild.rule_api import Folder, Job, Result, Step
from lambdabuild.rulebook import runner
from lambdabuild.rulebook.runner import Folders, StepRequest

LOG = logging.getLogger(__name__)
NOTHING_KEPT = (
    "download_dependencies is False and dependencies_dir is None. Copying the source files into the artifacts "
    "directory. "
)
"""The same default as in Lambda Builders."""


class CallerBuild(Struct, frozen=True, dict=True):
    """One build. ``work`` is a folder that is removed afterwards."""

    plan: CallerPlan
    work: str

    def run(self) -> None:
        plan = self.plan
        with in_lambda_builders_words(plan.flow, "copy"):
            self.refuse_to_empty()
        if self.npm_project:
            with in_lambda_builders_words(plan.flow, self.npm_project.action):
                self.npm_project.refuse()
        resolved = RESOLVED[plan.dependencies](self)
        earlier = {} if resolved is None else {"resolve": resolved}
        compiled = self.step(plan.rule, "compile", earlier) if plan.compiles else Result()
        copied = self.step(plan.rule, "copy", {**earlier, "compile": compiled})
        with in_lambda_builders_words(plan.flow, "copy"):
            self.lay_down(copied, compiled, resolved)
        if plan.runs_tests:
            self.test()

    # the steps of rules

    def step(self, rule: Rule, step: Step, earlier: Mapping[str, Result]) -> Result:
        """Run a step of a rule, and show what it notes."""
        self.tell(step)
        with in_lambda_builders_words(self.plan.flow, step):
            files = caller_listing.files_beside_manifest(self.plan) if step == "resolve" else self.source_files
            result = runner.run(self.request(rule, step, earlier, files))
        for note in result.notes:
            LOG.info("%s", note)
        return result

    def request(self, rule: Rule, step: Step, earlier: Mapping[str, Result], files: tuple[Found, ...]) -> StepRequest:
        wanted = self.plan.wanted
        out, scratch = (os.path.join(self.work, f"{step}-{what}") for what in ("out", "scratch"))
        cache = os.path.join(self.tools_cache, rule.name)
        return StepRequest(
            rule=rule,
            step=step,
            target=self.plan.target,
            folders=Folders(out, scratch, cache_dir(wanted.environment), cache),
            files=tuple(file.path for file in files),
            earlier=earlier,
            # No fingerprint is made here, so a tool may see all that the caller's environment says.
            environment=tuple(wanted.environment),
            tools=self.tools,
            in_source=wanted.in_source,
        )

    def npm_job(self, step: Step) -> Job:
        """Return a Job to run npm with, outside of the rule's own steps."""
        return runner.prepare(self.request(self.plan.rule, step, {}, ()))

    def tell(self, step: str) -> None:
        plan = self.plan
        prefix = f"{plan.wanted.name}:" if "build_logical_id" in plan.wanted.options else ""
        LOG.info("%s Running %s:%s", prefix, plan.flow.name, action_of(plan.flow, step))

    @cached_property
    def tools(self) -> CallerTools:
        return CallerTools(self.plan.wanted.environment, self.plan.wanted.search_paths)

    @cached_property
    def tools_cache(self) -> str:
        """Return the folder for what tools keep for the next build; a throw-away one if the caller has a folder of that
        name.
        """
        folder = os.path.join(self.plan.wanted.scratch, "lambdabuild-cache")
        try:
            owned.take(folder)
        except (InTheWay, OSError):
            return os.path.join(self.work, "cache")
        return folder

    @cached_property
    def source_files(self) -> tuple[Found, ...]:
        return caller_listing.source_files(self.plan, self.tools)

    # npm in the source folder

    @cached_property
    def npm_project(self) -> NpmProject | None:
        """Return the package that npm installs in the source folder, None when that was not asked for."""
        plan, wanted = self.plan, self.plan.wanted
        if not plan.has_npm_project:
            return None
        folder = os.path.dirname(wanted.manifest)
        with in_lambda_builders_words(plan.flow, "resolve"):
            root = npm_root_of(self.npm_job("resolve"), folder)
        return NpmProject(wanted.source, folder, root, with_flags(wanted.options), not plan.rule.ships_dependencies)

    def links(self) -> dict[str, str]:
        """Return links to packages that stay in the source folder, by their path in the artifact."""
        project, wanted = self.npm_project, self.plan.wanted
        if project is None or not self.plan.rule.ships_dependencies:
            return {}
        if wanted.downloads or not wanted.dependencies:
            with in_lambda_builders_words(self.plan.flow, project.action):
                return project.links(self.npm_job("copy"))
        return dict(caller_folders.links(wanted.dependencies))

    def test(self) -> None:
        """Run ``npm test`` where the packages are."""
        self.tell("NpmTest")
        with in_lambda_builders_words(self.plan.flow, "NpmTest"):
            job = self.npm_job("copy")
            folder = self.npm_project.folder if self.npm_project else self.plan.wanted.artifacts
            job.run([job.tool("npm"), "test", "--if-present"], cwd=folder)

    # the caller's folders

    @cached_property
    def dependencies(self) -> NamedFolder:
        return NamedFolder(self.plan.wanted.dependencies, cache_dir(self.plan.wanted.environment))

    def refuse_to_empty(self) -> None:
        """Raise InTheWay (LB507) now when ``dependencies_dir`` could not be emptied in the end."""
        wanted = self.plan.wanted
        if self.plan.fills_dependencies:
            inside = {
                "the source": wanted.source,
                "the manifest": wanted.manifest,
                "the artifacts": wanted.artifacts,
                "the scratch folder": wanted.scratch,
                "the current folder": wanted.folder,
            }
            caller_folders.refuse_to_empty(self.dependencies, "dependencies_dir", inside)

    def lay_down(self, copied: Result, compiled: Result, resolved: Result | None) -> None:
        """Fill both folders, or neither when something of the caller's is in the way."""
        plan, links = self.plan, self.links()
        contents = caller_artifact.contents(plan, self.source_files, links, copied, compiled, resolved)
        artifacts = NamedFolder(plan.wanted.artifacts, cache_dir(plan.wanted.environment))
        caller_folders.refuse_to_overwrite(artifacts, contents.artifact, contents.artifact_links)
        if plan.fills_dependencies:
            self.refuse_to_empty()  # others may have been there meanwhile
            self.dependencies.empty()
            dependencies = caller_artifact.merged(plan, contents.dependencies)
            caller_folders.write(self.dependencies, dependencies, links, only=True)
        caller_folders.write(artifacts, contents.artifact, contents.artifact_links)


# where dependencies come from


def _by_rule(build: CallerBuild) -> Result:
    return build.step(build.plan.resolver, "resolve", {})


def _in_source(build: CallerBuild) -> Result:
    """Install next to the source. A bundle is made from what is there; every other artifact links to it (``links``)."""
    project = build.npm_project
    assert project is not None
    if build.plan.wanted.downloads:
        build.tell(project.action)
        with in_lambda_builders_words(build.plan.flow, project.action):
            project.install(build.npm_job("resolve"))
    holders = [folder for folder in (project.folder, project.root) if os.path.isdir(os.path.join(folder, MODULES))]
    return Result(tuple(map(Folder, holders[:1])) if not build.plan.rule.ships_dependencies else ())


def _kept(build: CallerBuild) -> Result:
    return Result((Folder(build.plan.wanted.dependencies),))


def _missing(build: CallerBuild) -> None:
    raise WorkflowFailedError(build.plan.flow.without_packages)


def _skipped(build: CallerBuild) -> None:
    LOG.info(NOTHING_KEPT)


RESOLVED: Mapping[Dependencies, Callable[[CallerBuild], Result | None]] = {
    "none": lambda build: None,
    "by_rule": _by_rule,
    "in_source": _in_source,
    "kept": _kept,
    "missing": _missing,
    "skipped": _skipped,
}
"""What gives the dependencies, by where they come from."""
