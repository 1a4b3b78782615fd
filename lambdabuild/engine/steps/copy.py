"""``copy``: settle which files go into an artifact."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Iterable, Iterator
from typing import Any

from lambdabuild.engine.base import lists
from lambdabuild.engine.base.plan_index import STRIP
from lambdabuild.engine.base.receipts import StepOutput
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import StepKind
from lambdabuild.engine.freshness import inputs, intact, source_files
from lambdabuild.engine.freshness.versions import tool_version
from lambdabuild.engine.step_cache import lookup
from lambdabuild.engine.steps import read_before
from lambdabuild.engine.steps.auto_layers import shared_layers
from lambdabuild.engine.steps.contents import assemble
from lambdabuild.engine.steps.rule_jobs import jobs
from lambdabuild.files import fingerprint
from lambdabuild.plan import steps as planned
from lambdabuild.plan.types import Build
from lambdabuild.rule_api import Result
from lambdabuild.rulebook import runner


def inputs_of(run: Run, name: str) -> dict[str, str]:
    build = run.index.builds[name]
    rule = run.index.rules[build.key.rule]
    components = inputs.claims(run, rule, rule.copy, build.key.options, build.key.container) | inputs.dependencies(
        run, build
    )
    components["left out of dependencies"] = json.dumps(build.key.leave_out_dependencies)
    if rule.globs_reach_dependencies and build.key.globs.lines:
        components["package patterns"] = inputs.short(json.dumps([*build.key.globs.lines, build.key.globs.prefix]))
    components["architecture"] = build.key.architecture
    components |= {f"tool:{STRIP}": tool_version(run.stats, STRIP)} if build.key.strip else {}
    if name in run.index.candidates:
        components["packages in layers"] = str(run.saved("share:plan").get("shares", {}).get(name, "not built"))
    if build.compiles:
        components[f"step:compile:{name}"] = inputs.output(run, f"compile:{name}")
    if build.package:
        components |= inputs.package_step(run, build)
        components["left out"] = json.dumps(build.key.leave_out_package)
    if rule.ships_source and not build.key.is_source_replaced:
        components |= inputs.source(run, build)
    manifest = build.key.manifest
    if manifest and "manifest" in rule.copy.reads:
        components |= inputs.manifest(run, rule, manifest, build.key.workspace)
    elif manifest and rule.ships_manifest and (posixpath.dirname(manifest) or ".") != build.key.source:
        # It goes in from outside of the code folder, but what is locked beside it does not.
        components[f"file:{manifest}"] = fingerprint.of_file(run.project.path(manifest), run.stats)
    if build.key.zips_dependencies:
        components["dependencies are zipped"] = assemble.helper_digest()
    return components | _beside(run, build)


def _beside(run: Run, build: Build) -> dict[str, str]:
    """Return what is added to the source. The order decides which file wins."""
    who, components = f"{build.key.kind} {build.name!r}", dict[str, str]()
    if build.key.include:
        components["include"] = " ".join(build.key.include)
    for path in build.key.include:
        kind = "folder" if os.path.isdir(run.project.path(path)) else "file"
        listing = source_files.listing_beside(run, build.key, path, who)
        components[f"{kind}:{path}"] = fingerprint.of_listing(
            f"{path} {inputs.short(json.dumps(build.key.leave_out))}", listing, run.stats
        )
    for key in source_files.extras_keys(build.key):
        chosen = inputs.short(json.dumps([*key.leave_out, *key.globs.lines]))
        listing = source_files.listing(run, key, who)
        components[f"extras:{key.source}"] = fingerprint.of_listing(f"{key.source} {chosen}", listing, run.stats)
    return components


def run_step(run: Run, name: str) -> StepOutput:
    build = run.index.builds[name]
    rule = run.index.rules[build.key.rule]
    earlier = jobs.results_before(run.project, build)
    if build.compiles:
        earlier["compile"] = jobs.result_of(run.project, "compile", name)
    with run.project.scratch() as scratch:
        request = jobs.request_of(run, rule, rule.copy, "copy", name, build, scratch, scratch, earlier)
        job = jobs.in_container(run, build.key.container, runner.prepare(request))
        own = Result() if build.key.is_source_replaced else runner.run_job(rule, job)
    resolved = [
        (run.index.resolutions[one].key.runtime, jobs.result_of(run.project, "resolve", one))
        for one in build.resolutions
    ]
    settled = assemble.settle(run, build, rule, {**earlier, "copy": own}, resolved, _in_layers(run, name))
    lists.write_list(run, name, settled.entries)
    return StepOutput(
        output=settled.digest,
        values={
            "files": len(settled.entries),
            "unzipped": settled.unzipped,
            "notes": [*own.notes, *settled.notes],
            "warnings": list(settled.warnings),
            "parts": [
                *(assemble.made(run.project, settled.entries) if build.key.strip else ()),
                *(run.project.portable(path) for path in settled.made),
            ],
        },
        result={
            "tree_digest": settled.digest,
            "unzipped": settled.unzipped,
            "files": len(settled.entries),
            "left_out": list(settled.left_out),
            "packages": _packages(result for _, result in resolved),
        },
        images=jobs.used_image(run, build.key.container, job),
        folders=settled.files,
    )


def _packages(results: Iterable[Result]) -> list[Any]:
    """Yield the resolutions, each once even if several runtimes have it."""
    packages = [package for result in results for package in result.facts.get("packages", ())]
    return [package for position, package in enumerate(packages) if package not in packages[:position]]


def _in_layers(run: Run, name: str) -> list[assemble.InLayer]:
    """Which of the resolved packages lie in shared layers."""
    share = shared_layers.decided(run).shares.get(name)
    return [assemble.InLayer(positions, frozenset(places)) for positions, places in share.units] if share else []


def files_in_state(run: Run, name: str) -> Iterator[str]:
    yield run.project.record("copy", name)
    yield run.project.out("zipped", name)


def has_own_files_only(run: Run, name: str) -> bool:
    """Return whether nothing but files of the project goes into a function."""
    build = run.index.builds[name]
    is_made = build.compiles or build.package or build.resolutions or build.key.container.mode
    return build.key.kind == "function" and not is_made and name not in run.index.candidates


KIND = StepKind(
    title="settle which files go into {}",
    usual_ms=200,
    planned=planned.copy,
    inputs=inputs_of,
    run=run_step,
    state=files_in_state,
    is_intact=intact.parts_of("copy"),
    bytes_of=read_before.by_copy,
    restore=lookup.restore_list,
    is_self_contained=has_own_files_only,
)
