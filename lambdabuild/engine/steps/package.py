"""``package``: build and install a distribution, once for all builds that have it."""

from __future__ import annotations

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
    package = run.index.packages[name]
    rule = run.index.rules[package.key.rule]
    components = inputs.claims(run, rule, rule.compile or StepClaims(), package.key.options, package.key.container)
    return components | inputs.source(run, package)


def run_step(run: Run, name: str) -> StepOutput:
    """Build and install a distribution, once for all builds that have it."""
    package = run.index.packages[name]
    rule = run.index.rules[package.key.rule]
    digests = fingerprint.files(source_files.listing(run, package.key, f"source {name!r}"), run.stats)
    done = jobs.run_rule(run, rule, rule.compile or StepClaims(), "package", name, package, {})
    return replace(done, folders={package.key.source: digests})


def may_reveal(run: Run, name: str) -> bool:
    claims = run.index.rules[run.index.packages[name].key.rule].compile
    return claims is not None and not claims.reads_are_complete


KIND = StepKind(
    title="build and install the distribution of {}",
    usual_ms=3000,
    planned=planned.package,
    inputs=inputs_of,
    run=run_step,
    state=left_behind.folder_of("package"),
    is_intact=intact.parts_of("package"),
    reveals=may_reveal,
    has_bytes=True,
    restore=lookup.without_bytes("package"),
)
