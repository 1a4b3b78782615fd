"""A command of the user's: what it leaves in ARTIFACTS_DIR is the artifact, or is added to what the rule makes."""

from __future__ import annotations

import os

from lambdabuild.core.errors import BadSource
from lambdabuild.core.records import replace
from lambdabuild.plan.keys import rule_compiles
from lambdabuild.plan.types import BuildKey, Rule
from lambdabuild.rule_api import Folder, Job, Result
from lambdabuild.rulebook import runner


def run(rule: Rule, key: BuildKey, job: Job) -> Result:
    """The compile step: the rule's own unless a command takes its place, and the command's when there is one."""
    if not key.command.run:
        return runner.run_job(rule, job)
    own, made = (os.path.join(job.out, name) for name in ("rule", "command"))
    os.makedirs(own)
    os.makedirs(made)
    result = Result()
    if key.command.adds and rule_compiles(rule, key):
        files = () if key.package else job.files  # the command's alone
        result = runner.run_job(rule, replace(job, out=own, files=files))
    _run(key, job, made)
    if not os.listdir(made) and not key.command.adds:
        raise BadSource(
            f"{job.who}: its command left nothing in ARTIFACTS_DIR",
            tail=f"command: {key.command.run}",
            help='copy the result there: cp handler.py "$ARTIFACTS_DIR"',
        )
    return replace(result, parts=(Folder(made), *result.parts))


def _run(key: BuildKey, job: Job, made: str) -> None:
    """In a copy of the source, so that nothing of the user's is written to."""
    source = job.copied_source()
    variables = {
        "SOURCE_DIR": source,
        "ARTIFACTS_DIR": made,
        "SCRATCH_DIR": job.scratch,
        "RUNTIME": job.target.runtime,
        "ARCHITECTURE": job.target.architecture,
    }
    resolved = job.earlier["resolve"].parts if "resolve" in job.earlier else ()
    folders = [part.path for part in resolved if isinstance(part, Folder)]
    variables |= {"DEPENDENCIES_DIR": folders[0]} if folders else {}
    whole = replace(job, environment=(*job.environment, *key.command.environment))
    whole.run(["sh", "-c", key.command.run], cwd=source, extra_environment=variables)
