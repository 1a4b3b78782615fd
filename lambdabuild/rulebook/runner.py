"""The one way to run a step of a rule, for builds, callers of Lambda Builders and source packages.

A frozen request goes in, the step's result comes out. When a step is run, where (a container, another machine) and
what is kept of it is decided around this, never here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from lambdabuild.core import tools
from lambdabuild.core.records import Struct, field
from lambdabuild.core.store import sha256_of
from lambdabuild.plan.types import Rule
from lambdabuild.rule_api import Job, Result, Step, Target, discard
from lambdabuild.rulebook import in_process, over_rpc


class Folders(Struct, frozen=True):
    """The folders of one step: what it leaves goes to ``out``, ``scratch`` is thrown away."""

    out: str
    scratch: str
    store: str
    """The machine's folder for downloads."""
    cache: str = ""
    """What tools save for the next run; "" for nothing."""


class StepRequest(Struct, frozen=True):
    """One step of a rule, whoever asks for it. The options are the target's, under the rule's names for them."""

    rule: Rule
    step: Step
    target: Target
    folders: Folders
    files: tuple[str, ...] = ()
    """The files of the source that the step may read."""
    earlier: Mapping[str, Result] = field(default_factory=dict)
    """Results of the steps before it, by step."""
    environment: tuple[str, ...] = ()
    """Names of the variables that its tools may see."""
    tools: tools.Runner = tools.HERE
    in_source: bool = False
    """Tools work in the source itself and not in a copy of it."""
    offline: bool = False
    timeout_seconds: float | None = None
    digest: Callable[[str], str] = sha256_of
    discard: Callable[[str], object] = discard


def run(request: StepRequest) -> Result:
    """Run a step; what it leaves is where it may be (see ``contract``)."""
    return run_job(request.rule, prepare(request))


def prepare(request: StepRequest) -> Job:
    """Make the folders of a step and return its Job, for those who run it in their own way."""
    os.makedirs(request.folders.out, exist_ok=True)
    os.makedirs(request.folders.scratch, exist_ok=True)
    return Job(
        step=request.step,
        target=request.target,
        out=request.folders.out,
        scratch=request.folders.scratch,
        store=request.folders.store,
        cache=request.folders.cache,
        offline=request.offline,
        environment=request.environment,
        timeout_seconds=request.timeout_seconds,
        earlier=request.earlier,
        files=request.files,
        runner=request.tools,
        in_source=request.in_source,
        digest=request.digest,
        discard=request.discard,
    )


def run_job(rule: Rule, job: Job) -> Result:
    """Run a Job: by a function of rule.py, or by the program that the rule is."""
    if isinstance(rule.entry, tuple):
        return over_rpc.run(rule, job)
    return in_process.run(rule, job)
