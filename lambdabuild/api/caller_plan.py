"""What one build for a caller of Lambda Builders does, decided before anything is run or written.

Pure: the files around the manifest and the few facts of the disk that count are read before, and passed in.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

from lambdabuild.api.workflows import Workflow
from lambdabuild.config.settings import with_flags
from lambdabuild.core.records import Struct
from lambdabuild.plan.rule_choice import resolver_of
from lambdabuild.plan.targets import claimed
from lambdabuild.plan.types import Rule
from lambdabuild.plan.workspaces import Disk, reads_source, root_of
from lambdabuild.rule_api import Target


class Wanted(Struct, frozen=True):
    """The arguments of one call of ``build``. Paths are absolute; ``manifest`` is "" when there is none."""

    source: str
    artifacts: str
    scratch: str
    manifest: str
    runtime: str
    architecture: Literal["x86_64", "arm64"]
    is_layer: bool
    options: Mapping[str, Any]
    search_paths: tuple[str, ...]
    downloads: bool
    dependencies: str
    """"" when dependencies are written into the artifact only."""
    combines: bool
    in_source: bool
    """The tool works in the source folder itself."""
    folder: str
    """The caller's working folder."""
    environment: Mapping[str, str]

    @property
    def name(self) -> str:
        return str(self.options.get("build_logical_id") or "Function")

    @property
    def filled(self) -> frozenset[str]:
        """Return the folders that builds fill; they are no part of the source."""
        return frozenset(map(os.path.realpath, filter(None, (self.artifacts, self.scratch, self.dependencies))))

    @property
    def project(self) -> str:
        """Return the caller's working folder if everything is below it."""
        folders = [self.source, *([os.path.dirname(self.manifest)] if self.manifest else [])]
        here = os.path.realpath(self.folder)
        is_here = here != os.sep and os.path.commonpath([here, *folders]) == here
        return here if is_here else os.path.commonpath(folders)


Dependencies = Literal["none", "by_rule", "in_source", "kept", "missing", "skipped"]
"""Where dependencies come from: there are none; the rule resolves them; npm installs next to the source, or has; an
earlier build kept them in ``dependencies_dir``; nobody has them, which is an error, or is only said."""


class CallerPlan(Struct, frozen=True):
    """One build for a caller: which steps are run, of which rules, and which folders are filled."""

    flow: Workflow
    rule: Rule
    resolver: Rule
    """The rule whose resolve step is run; often the same."""
    wanted: Wanted
    target: Target
    dependencies: Dependencies
    compiles: bool
    has_npm_project: bool
    """npm's packages are next to the source, because the caller wants the build there."""
    fills_dependencies: bool
    """``dependencies_dir`` is emptied and filled, instead of read or left alone."""
    reads_beside_manifest: bool
    """The manifest has scripts, which may read any file next to it."""
    runs_tests: bool
    left_out: tuple[str, ...]
    """gitignore patterns of files in the source that are not shipped, whoever packs."""


def plan(
    flow: Workflow,
    rule: Rule,
    rules: Mapping[str, Rule],
    wanted: Wanted,
    disk: Disk,
    kept: Collection[str] | None,
    packages: Iterable[str],
) -> CallerPlan:
    """Return what a build does.

    ``disk`` is seen from the manifest's folder, ``kept`` are the names in ``dependencies_dir`` (None when there is no
    such folder) and ``packages`` are those that the manifest names, for bundles that leave them out.
    """
    resolver = resolver_of(rule, ".", rules, disk) or rule
    has_npm_project = wanted.in_source and bool(wanted.manifest) and flow.installs_in_source
    options = claimed((rule, resolver), dict(sorted(_options(rule, flow, wanted, packages).items())))
    manifest = os.path.basename(wanted.manifest)
    return CallerPlan(
        flow=flow,
        rule=rule,
        resolver=resolver,
        wanted=wanted,
        target=_target(flow, wanted, options, _workspace(resolver, wanted, disk)),
        dependencies=_dependencies(flow, rule, resolver, wanted, has_npm_project, kept is not None),
        compiles=_compiles(rule, wanted),
        has_npm_project=has_npm_project,
        fills_dependencies=_fills_dependencies(flow, rule, resolver, wanted, has_npm_project),
        reads_beside_manifest=bool(manifest) and reads_source(resolver, manifest, options, disk),
        runs_tests=_runs_tests(flow, wanted),
        left_out=tuple(_left_out(flow, rule, wanted, kept)),
    )


def _target(flow: Workflow, wanted: Wanted, options: Mapping[str, Any], workspace: str) -> Target:
    return Target(
        name=wanted.name,
        kind="layer" if wanted.is_layer and flow.knows_layers else "function",
        runtime=wanted.runtime,
        architecture=wanted.architecture,
        source=wanted.source,
        manifest=wanted.manifest,
        project=wanted.project,
        options=options,
        workspace=workspace,
    )


def _workspace(resolver: Rule, wanted: Wanted, disk: Disk) -> str:
    root = root_of(resolver, ".", disk) if wanted.manifest else ""
    return os.path.normpath(os.path.join(os.path.dirname(wanted.manifest), root)) if root else ""


def leaves_packages_out(flow: Workflow, rule: Rule, wanted: Wanted) -> bool:
    """Return whether the bundle imports the packages that the manifest names, and includes none."""
    external = {**rule.defaults, **with_flags(wanted.options)}.get("external") or ()
    return flow.leaves_packages_out and (not wanted.combines or EVERY_PACKAGE in external)


EVERY_PACKAGE = "./node_modules/*"


def _options(rule: Rule, flow: Workflow, wanted: Wanted, packages: Iterable[str]) -> dict[str, Any]:
    """Return the rule's defaults and the caller's options, in the caller's spelling."""
    given = {**rule.defaults, **with_flags(wanted.options)}
    if leaves_packages_out(flow, rule, wanted):
        given["external"] = sorted({*(given.get("external") or ()), *packages} - {EVERY_PACKAGE})
    return given


def _compiles(rule: Rule, wanted: Wanted) -> bool:
    claims = rule.compile
    if claims is None:
        return False
    return not claims.only_with_option or bool(wanted.options.get(claims.only_with_option))


def _dependencies(
    flow: Workflow, rule: Rule, resolver: Rule, wanted: Wanted, has_npm_project: bool, is_kept: bool
) -> Dependencies:
    if not wanted.manifest or resolver.resolve is None:
        return "none"
    if has_npm_project and (wanted.downloads or not (wanted.dependencies and rule.ships_dependencies)):
        return "in_source"
    if wanted.downloads or not flow.reuses:
        return "by_rule"
    if is_kept:
        return "kept"
    return "missing" if flow.without_packages and not wanted.dependencies else "skipped"


def _fills_dependencies(flow: Workflow, rule: Rule, resolver: Rule, wanted: Wanted, has_npm_project: bool) -> bool:
    is_resolved = bool(wanted.manifest) and resolver.resolve is not None and wanted.downloads
    is_resolved = is_resolved and (not has_npm_project or rule.ships_dependencies)
    return bool(wanted.dependencies) and flow.dependencies != "none" and (flow.dependencies == "lib" or is_resolved)


def _runs_tests(flow: Workflow, wanted: Wanted) -> bool:
    """Return whether ``npm test`` is run: when the caller's environment asks for it as SAM CLI has it."""
    is_asked = bool(flow.tested_with) and wanted.environment.get(flow.tested_with) == "true"
    return is_asked and bool(wanted.manifest) and wanted.downloads


def _left_out(flow: Workflow, rule: Rule, wanted: Wanted, kept: Collection[str] | None) -> list[str]:
    """Return the patterns of the rule that stand, where dependencies are put where the source may have its own."""
    is_reused = flow.reuses and not wanted.downloads
    brings = bool(wanted.manifest) and (wanted.downloads or wanted.in_source or not flow.reuses or kept is not None)
    if rule.ships_source and not brings:
        return []

    def ships(name: str) -> bool:
        return is_reused and name not in (kept or ()) if name in flow.rewritten else name in flow.ships

    return [line for line in rule.leave_out if not ships(line.strip("/"))]
