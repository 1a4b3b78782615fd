"""Which steps may be run by an engine on other machines; what its workers have is another question (``workers``)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lambdabuild.core import messages
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.records import Struct, field
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Once, Run
from lambdabuild.engine.base.step_kind import kind_of
from lambdabuild.plan.types import Build, StepClaims
from lambdabuild.rule_api import portable

SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|_AUTH|ACCESS_KEY|://[^/\s@]+@", re.IGNORECASE)
"""Names and values of variables that no other machine is told; what an engine is sent others may read."""


class Remote(Struct):
    """The state of the engine that runs some of a run's steps on other machines."""

    is_lost: bool = False
    """True once it could not be used; all steps are run here from then on."""
    stay: set[str] = field(default_factory=set)
    """Steps that it could not run, so that they are run here."""
    asked: set[str] = field(default_factory=set)
    """The questions that its workers were asked in this run."""
    executor: Once = field(default_factory=Once)
    checkout: Once = field(default_factory=Once)
    """The files that go along with steps that may read any of the checkout."""
    turns: Once = field(default_factory=Once)
    """A semaphore: as many turns as steps may work on this machine at once, while others wait for the engine."""


def remote(run: Run) -> Remote:
    """Return the run's state of remote execution."""
    return run.remote.get(Remote)


def may_go(run: Run, kind: str, name: str) -> bool:
    """Return whether the rule of a step can be run elsewhere, and nothing of the step is for this machine alone."""
    settings = run.project.settings.executor
    if kind not in settings.steps or not is_wanted(run.project) or remote(run).is_lost:
        return False
    if f"{kind}:{name}" in remote(run).stay:
        return False
    build = run.index.builds[name]
    if settings.only and build.key.rule not in settings.only:
        return False
    can_be_remote = kind_of(run.index, kind).can_be_remote
    return can_be_remote is not None and can_be_remote(run, name)


def may_be_compiled(run: Run, name: str) -> bool:
    """Return whether a rule's compile step may be run elsewhere, and has no secret of this machine."""
    build = run.index.builds[name]
    claims = run.index.rules[build.key.rule].compile
    if claims is None or not claims.remote or build.key.container.mode or build.key.command.run:
        return False
    return _is_in_checkout(run.project, build) and not _has_secrets(run.opened_with.environment, claims, build)


def is_wanted(project: Project) -> bool:
    return bool(project.settings.executor.address) and not project.settings.offline


def _is_in_checkout(project: Project, build: Build) -> bool:
    paths = [project.folder, project.path(build.key.source), project.path(build.key.manifest)]
    return all(portable(path, {"checkout": project.boundary}) != path for path in paths)


def _has_secrets(environment: Mapping[str, str], claims: StepClaims, build: Build) -> bool:
    names = (name for name in claims.environment_with(build.key.options) if name in environment)
    return any(SECRET.search(f"{name} {environment[name]}") for name in names)


def lose(run: Run, error: LambdaBuildError) -> None:
    """Tell once that the engine cannot be used; from now on all is run here."""
    state = remote(run)
    with run.locks.of("executor is lost"):
        is_first, state.is_lost = not state.is_lost, True
    if is_first:
        messages.warn(error)
