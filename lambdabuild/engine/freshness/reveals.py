"""May a step read files that nobody knows before it has run? Its rule's claims say so."""

from __future__ import annotations

from lambdabuild.engine.base.run import Run
from lambdabuild.plan.types import StepClaims


def resolve(run: Run, name: str) -> bool:
    resolution = run.index.resolutions[name]
    return resolution.key.manifest == resolution.manifest and _reveals(run.index.rules[resolution.key.rule].resolve)


def package(run: Run, name: str) -> bool:
    return _reveals(run.index.rules[run.index.packages[name].key.rule].compile)


def compile(run: Run, name: str) -> bool:
    key = run.index.builds[name].key
    return not key.is_source_replaced and _reveals(run.index.rules[key.rule].compile)


def _reveals(claims: StepClaims | None) -> bool:
    return claims is not None and not claims.reads_are_complete
