"""``resolve``: find and fetch the dependencies of a build."""

from __future__ import annotations

import os

from lambdabuild.core.records import replace
from lambdabuild.engine.base.receipts import StepOutput
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import StepKind
from lambdabuild.engine.freshness import inputs, intact, source_files
from lambdabuild.engine.step_cache import lookup
from lambdabuild.engine.steps import left_behind
from lambdabuild.engine.steps.rule_jobs import jobs
from lambdabuild.files import fingerprint
from lambdabuild.plan import steps as planned
from lambdabuild.plan.types import StepClaims


def inputs_of(run: Run, name: str) -> dict[str, str]:
    resolution = run.index.resolutions[name]
    rule = run.index.rules[resolution.key.rule]
    components = inputs.claims(
        run, rule, rule.resolve or StepClaims(), resolution.key.options, resolution.key.container
    )
    components |= {"runtime": resolution.key.runtime, "architecture": resolution.key.architecture}
    if resolution.key.source:
        for user in resolution.users:  # what is too large is told before it is read for the scripts
            source_files.listing(run, run.index.builds[user].key, f"{run.index.builds[user].key.kind} {user!r}")
        listing = source_files.listing_of_manifest(
            run.project, resolution.manifest, f"the scripts of {resolution.manifest}"
        )
        folder = os.path.dirname(resolution.manifest) or "."
        components |= {"code folder": resolution.key.source}
        components |= {f"folder:{folder}": fingerprint.of_listing(f"{folder} for scripts", listing, run.stats)}
    return components | inputs.manifest(run, rule, resolution.manifest, resolution.key.workspace)


def run_step(run: Run, name: str) -> StepOutput:
    resolution = run.index.resolutions[name]
    build = run.index.builds[resolution.users[0]]
    build = replace(build, key=replace(build.key, runtime=resolution.key.runtime))  # a layer may have several
    rule = run.index.rules[resolution.key.rule]
    return jobs.run_rule(run, rule, rule.resolve or StepClaims(), "resolve", name, build, {})


def may_reveal(run: Run, name: str) -> bool:
    resolution = run.index.resolutions[name]
    claims = run.index.rules[resolution.key.rule].resolve
    is_own = resolution.key.manifest == resolution.manifest
    return is_own and claims is not None and not claims.reads_are_complete


KIND = StepKind(
    title="find and fetch the dependencies of {}",
    usual_ms=5000,
    planned=planned.resolve,
    inputs=inputs_of,
    run=run_step,
    state=left_behind.folder_of("resolve"),
    forget=left_behind.containers,
    is_intact=intact.parts_of("resolve"),
    reveals=may_reveal,
    has_bytes=True,
    restore=lookup.without_bytes("resolve"),
)
