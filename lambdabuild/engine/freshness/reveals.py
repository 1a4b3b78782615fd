"""May a step read files that nobody knows before it has run? Its rule's claims say so."""

from __future__ import annotations

from lambdabuild.engine.base.site import Site
from lambdabuild.plan.types import StepClaims


def resolve(site: Site, name: str) -> bool:
    resolution = site.resolution(name)
    return resolution.key.manifest == resolution.manifest and _reveals(site.rules[resolution.key.rule].resolve)


def package(site: Site, name: str) -> bool:
    return _reveals(site.rules[site.package(name).key.rule].compile)


def compile(site: Site, name: str) -> bool:
    key = site.build(name).key
    return not key.is_source_replaced and _reveals(site.rules[key.rule].compile)


def _reveals(claims: StepClaims | None) -> bool:
    return claims is not None and not claims.reads_are_complete
