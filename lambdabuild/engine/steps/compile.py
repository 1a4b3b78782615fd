"""``compile``: what a rule makes of the source."""

from __future__ import annotations

import json

from lambdabuild.engine.base.receipts import StepOutput
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import StepKind
from lambdabuild.engine.freshness import inputs, intact
from lambdabuild.engine.freshness.versions import tool_version, variable
from lambdabuild.engine.remote import eligibility, workers
from lambdabuild.engine.step_cache import lookup
from lambdabuild.engine.steps import left_behind, read_before
from lambdabuild.engine.steps.rule_jobs import jobs
from lambdabuild.plan import steps as planned
from lambdabuild.plan.types import StepClaims


def inputs_of(run: Run, name: str) -> dict[str, str]:
    build = run.index.builds[name]
    rule = run.index.rules[build.key.rule]
    claims = rule.compile or StepClaims()
    is_away = workers.goes(run, "compile", name)
    components = inputs.claims(
        run, rule, claims, build.key.options, build.key.container, is_away
    ) | inputs.dependencies(run, build)
    components |= {"runtime": build.key.runtime, "architecture": build.key.architecture}
    components |= {"kind": build.key.kind, "name": build.key.name}
    command = build.key.command
    if command.run:
        components |= {"command": json.dumps([command.run, command.adds])}
        components |= {f"environment:{name}": variable(run, name) for name in command.environment}
        own_tools = () if build.key.container.mode == "true" else command.tools
        components |= {f"tool:{name}": tool_version(run.stats, name) for name in own_tools}
    if "manifest" in claims.reads:
        components |= inputs.manifest(run, rule, build.key.manifest, build.key.workspace)
    if build.package:
        components |= inputs.package_step(run, build)
    if command.run or ("source" in claims.reads and not build.package):
        components |= inputs.source(run, build)
    return components


def run_step(run: Run, name: str) -> StepOutput:
    build = run.index.builds[name]
    rule = run.index.rules[build.key.rule]
    return jobs.run_rule(
        run, rule, rule.compile or StepClaims(), "compile", name, build, jobs.results_before(run.project, build)
    )


def may_reveal(run: Run, name: str) -> bool:
    key = run.index.builds[name].key
    claims = run.index.rules[key.rule].compile
    return not key.is_source_replaced and claims is not None and not claims.reads_are_complete


KIND = StepKind(
    title="compile {}",
    usual_ms=5000,
    planned=planned.compile,
    inputs=inputs_of,
    run=run_step,
    state=left_behind.folder_of("compile"),
    forget=left_behind.containers,
    is_intact=intact.parts_of("compile"),
    reveals=may_reveal,
    bytes_of=read_before.by_compile,
    has_bytes=True,
    restore=lookup.without_bytes("compile"),
    can_be_remote=eligibility.may_be_compiled,
)
