"""Read the caller's source: which files are shipped, and what has to be known before a build is planned."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from lambdabuild.api import caller_plan
from lambdabuild.api.caller_plan import CallerPlan, Wanted
from lambdabuild.api.caller_tools import CallerTools
from lambdabuild.api.workflows import Workflow
from lambdabuild.core import regular
from lambdabuild.core.errors import ToolFailed, ToolMissing
from lambdabuild.files.listing import Found, Patterns, ignore_lines, scan
from lambdabuild.plan.types import Rule
from lambdabuild.project_files import disk_around
from lambdabuild.rule_api import Job, Target


def read_plan(flow: Workflow, rule: Rule, rules: Mapping[str, Rule], wanted: Wanted) -> CallerPlan:
    """Plan a build with what the disk says now."""
    disk = disk_around(os.path.dirname(wanted.manifest) or wanted.source)
    has_kept = bool(wanted.dependencies) and os.path.isdir(wanted.dependencies)
    kept = frozenset(os.listdir(wanted.dependencies)) if has_kept else None
    leaves_out = caller_plan.leaves_packages_out(flow, rule, wanted)
    packages = _packages(wanted.manifest) if leaves_out and wanted.manifest else ()
    return caller_plan.plan(flow, rule, rules, wanted, disk, kept, packages)


def _packages(manifest: str) -> tuple[str, ...]:
    """Return the packages that a package.json names; none when it is broken, which the rule tells."""
    try:
        with open(manifest, encoding="utf-8-sig", opener=regular.opener) as stream:
            return tuple(regular.json(stream.read()).get("dependencies") or ())
    except (ValueError, AttributeError):
        return ()


def source_files(plan: CallerPlan, tools: CallerTools) -> tuple[Found, ...]:
    """Return the source files without those excluded by Lambda Builders, the rule or .lambdabuildignore."""
    wanted = plan.wanted
    lines = [*plan.flow.leave_out, *ignore_lines(wanted.source), *plan.left_out]
    packed = _packed_by_npm(plan, tools)
    if packed is None:
        lines += [line for name in plan.rule.ignore_files for line in ignore_lines(wanted.source, name)]
    listing = scan(wanted.source, Patterns(lines), boundary=os.sep, skip=wanted.filled)
    return tuple(file for file in listing.files if packed is None or file.path in packed)


def files_beside_manifest(plan: CallerPlan) -> tuple[Found, ...]:
    """Return the files that the manifest's scripts may read; none when it has no scripts."""
    if not plan.reads_beside_manifest:
        return ()
    folder = os.path.dirname(plan.wanted.manifest)
    return scan(folder, Patterns((".git/", "node_modules/")), boundary=os.sep, skip=plan.wanted.filled).files


def _packed_by_npm(plan: CallerPlan, tools: CallerTools) -> frozenset[str] | None:
    """Return what ``npm pack`` would pack (by ``files``, .npmignore, .gitignore), as Lambda Builders does.

    None when the manifest is in another folder, or when npm cannot pack because package.json has no name and
    version. https://docs.npmjs.com/cli/v10/commands/npm-pack
    """
    wanted = plan.wanted
    if not plan.flow.packed_by_npm or os.path.dirname(wanted.manifest) != wanted.source:
        return None
    target = Target("", "function", "", wanted.architecture, wanted.source, "", "")
    job = Job("copy", target, "", "", "", environment=tuple(wanted.environment), runner=tools)
    try:
        command = [job.tool("npm"), "pack", "--dry-run", "--json", "--ignore-scripts", "--loglevel=error"]
        said = json.loads(job.run(command, cwd=wanted.source).stdout)
        return frozenset(file["path"] for file in said[0]["files"]) | set(plan.flow.ships)
    except (ToolFailed, ToolMissing, ValueError, LookupError, TypeError):
        return None
