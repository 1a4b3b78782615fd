"""Which steps may be run by an engine on other machines; what its workers have is another question (``workers``)."""

from __future__ import annotations

import os
import re

from lambdabuild.core import messages
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.engine.base.site import Site
from lambdabuild.engine.base.step_kind import kind_of
from lambdabuild.plan.types import Build, StepClaims
from lambdabuild.rule_api import portable

SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|_AUTH|ACCESS_KEY|://[^/\s@]+@", re.IGNORECASE)
"""Names and values of variables that no other machine is told; what an engine is sent others may read."""


def may_go(site: Site, kind: str, name: str) -> bool:
    """Return whether the rule of a step can be run elsewhere, and nothing of the step is for this machine alone."""
    settings = site.settings.executor
    if kind not in settings.steps or not is_wanted(site) or site.shared.executor_lost:
        return False
    if f"{kind}:{name}" in site.shared.stay:
        return False
    build = site.build(name)
    if settings.only and build.key.rule not in settings.only:
        return False
    can_be_remote = kind_of(site, kind).can_be_remote
    return can_be_remote is not None and can_be_remote(site, name)


def may_be_compiled(site: Site, name: str) -> bool:
    """Return whether a rule's compile step may be run elsewhere, and has no secret of this machine."""
    build = site.build(name)
    claims = site.rules[build.key.rule].compile
    if claims is None or not claims.remote or build.key.container.mode or build.key.command.run:
        return False
    return _is_in_checkout(site, build) and not _has_secrets(claims, build)


def is_wanted(site: Site) -> bool:
    return bool(site.settings.executor.address) and not site.settings.offline


def _is_in_checkout(site: Site, build: Build) -> bool:
    paths = [site.project, site.path(build.key.source), site.path(build.key.manifest)]
    return all(portable(path, {"checkout": site.boundary}) != path for path in paths)


def _has_secrets(claims: StepClaims, build: Build) -> bool:
    said = ((name, os.environ.get(name)) for name in claims.environment_with(build.key.options))
    return any(value is not None and SECRET.search(f"{name} {value}") for name, value in said)


def lose(site: Site, error: LambdaBuildError) -> None:
    """Tell once that the engine cannot be used; from now on all is run here."""
    with site.shared.lock:
        is_first, site.shared.executor_lost = not site.shared.executor_lost, True
    if is_first:
        messages.warn(error)
