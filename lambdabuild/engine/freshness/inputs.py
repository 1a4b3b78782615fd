"""All that a step depends on, by name; everything else compares.

A step's components are ``{name: digest}``: the rule's code, options, environment, tools, files, folders, the outputs of
the steps before it, and the files that its last run revealed it reads. Equal components mean there is nothing to do.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from lambdabuild.config.settings import DEFAULT_EXCLUDE
from lambdabuild.core.model import Options
from lambdabuild.core.plain import JsonObject
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.freshness import source_files
from lambdabuild.engine.freshness.versions import rule_digest, tool_version, variable
from lambdabuild.files import fingerprint
from lambdabuild.files.listing import patterns, scan
from lambdabuild.plan.types import Build, ContainerKey, Rule, StepClaims

CHANGED = "changed while it was read"
"""In place of the digest of a file that a step read and somebody edited meanwhile."""

ZIP_FORMAT = "2"
"""Raised when equal entries give other zip bytes than before."""


def known_reads(run: Run, values: JsonObject) -> dict[str, str]:
    return reads(run, values.get("reads", ())) | _images(run, values)


def _images(run: Run, values: JsonObject) -> dict[str, str]:
    recorded = values.get("images")
    if not recorded:
        return {}
    from lambdabuild.engine.containers import pool

    return pool.now(run, recorded)


def reads(run: Run, paths: Any) -> dict[str, str]:
    """Files that a step found out it reads, by their names in records (``{project}/base.txt``)."""
    return {f"read:{path}": _read(run, run.project.expand(path)) for path in sorted(paths)}


def _read(run: Run, path: str) -> str:
    """The digest of a file, or of what is source in a folder: a local package may contain our own build folder."""
    if not os.path.isdir(path):
        return fingerprint.of_file(path, run.stats)
    listing = scan(path, patterns(DEFAULT_EXCLUDE), boundary="/", skip=run.project.not_source)
    return fingerprint.of_listing(f"read {path}", listing, run.stats)


def package_step(run: Run, build: Build) -> dict[str, str]:
    return {f"step:package:{build.package}": output(run, f"package:{build.package}")}


def claims(
    run: Run, rule: Rule, claims: StepClaims, options: Options, container: ContainerKey, is_away: bool = False
) -> dict[str, str]:
    components = {f"rule:{rule.name}": rule_digest(run, rule)}
    components |= {
        f"option:{name}": value for name, value in options if name in (*claims.options, claims.only_with_option)
    }
    components |= {f"environment:{name}": variable(run, name) for name in claims.environment_with(options)}
    if container.mode:
        image = container.image or container.dockerfile
        components["container"] = " ".join((container.mode, image, container.platform, container.rest))
    chosen = claims.tools_with(options)
    if is_away:
        from lambdabuild.engine.remote import workers

        return components | {f"tool:{name}": workers.tool_version(run, chosen, name) for name in chosen}
    here = [name for name in chosen if container.mode != "true" or name in claims.host_tools]
    return components | {f"tool:{name}": tool_version(run.stats, name) for name in here}


def manifest(run: Run, rule: Rule, manifest: str, workspace: str) -> dict[str, str]:
    files = source_files.manifest_files(rule, manifest, workspace)
    return {f"file:{path}": fingerprint.of_file(run.project.path(path), run.stats) for path in files}


def source(run: Run, build: Build) -> dict[str, str]:
    listing = source_files.listing(run, build.key, f"{build.key.kind} {build.name!r}")
    chosen = [*build.key.leave_out, *build.key.globs.lines, build.key.globs.prefix]
    patterns = short(json.dumps(chosen))
    digest = fingerprint.of_listing(f"{build.key.source} {patterns}", listing, run.stats)
    return {f"folder:{build.key.source}": digest}


def dependencies(run: Run, build: Build) -> dict[str, str]:
    """The first is the build's own; a layer for several runtimes has one more for each."""
    more = {f"dependencies ({name})": name for name in build.other_resolutions}
    named = {"dependencies": build.resolution, **more} if build.resolution else {}
    return {name: output(run, f"resolve:{resolution}") for name, resolution in named.items()}


def output(run: Run, task: str) -> str:
    return str(run.saved(task).get("output", "not built"))


def short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
