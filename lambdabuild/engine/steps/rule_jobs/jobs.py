"""The steps that are a rule's: resolve, package, compile; and copy, which settles what is in the artifact."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import partial
from typing import Literal

from lambdabuild.core.atomic import replace_folder
from lambdabuild.core.errors import CannotRead
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Span
from lambdabuild.engine.base import receipts, store_files
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.receipts import StepOutput
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.containers import pool
from lambdabuild.engine.containers.tool_runner import InContainer
from lambdabuild.engine.freshness import source_files
from lambdabuild.engine.remote import workers
from lambdabuild.engine.steps.rule_jobs import commands, remote_action
from lambdabuild.files import fingerprint
from lambdabuild.plan.types import Build, ContainerKey, Rule, StepClaims
from lambdabuild.rule_api import Job, Result, Target, result_from_data, result_to_data
from lambdabuild.rulebook import runner
from lambdabuild.rulebook.runner import Folders, StepRequest

RuleStep = Literal["resolve", "package", "compile", "copy"]


def run_rule(
    run: Run, rule: Rule, claims: StepClaims, step: RuleStep, name: str, build: Build, earlier: Mapping[str, Result]
) -> StepOutput:
    """Run a rule's step into a new folder that takes the old one's place only when all went well."""
    out = run.project.out(step, name)
    key = run.index.resolutions[name].key.container if step == "resolve" else build.key.container
    with run.project.scratch() as scratch:
        fresh, work = os.path.join(scratch, "out"), os.path.join(scratch, "work")
        request = request_of(run, rule, claims, step, name, build, fresh, work, earlier)
        job = in_container(run, key, runner.prepare(request))
        result, where = _result(run, rule, claims, step, build, job)
        replace_folder(fresh, out)
    result = _moved(result, fresh, out)
    data = result_to_data(result, run.project.roots)
    parts = [
        part | {"content": _part_digest(run, part_path.path)}
        for part, part_path in zip(data["parts"], result.parts, strict=True)
    ]
    return StepOutput(
        output=hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest(),
        values={
            "notes": data["notes"],
            "parts": [part["path"] for part in data["parts"]],
            **({"executor": where} if where else {}),
        },
        result=data,
        reads=tuple(data["reads"]),
        images=used_image(run, key, job),
    )


def _result(run: Run, rule: Rule, claims: StepClaims, step: str, build: Build, job: Job) -> tuple[Result, str]:
    """Return the result, and the name of the executor that ran the step; "" if it ran here."""
    if workers.goes(run, step, build.name):
        return remote_action.run(run, rule, claims, build, job)
    return (commands.run(rule, build.key, job) if step == "compile" else runner.run_job(rule, job)), ""


def in_container(run: Run, key: ContainerKey, job: Job) -> Job:
    """Return the job with the container that its function asks for."""
    if not key.mode:
        return job
    container = InContainer(run, key, job.target.name)
    own_tools = container if key.mode == "true" else job.runner
    container.job = replace(job, use_container=key.mode, container=container, runner=own_tools)
    return container.job


def used_image(run: Run, key: ContainerKey, job: Job) -> dict[str, str]:
    """Return the image that the job's tools ran in, as records name it; {} if none did."""
    if job.container is None:
        return {}
    is_used = isinstance(job.container, InContainer) and job.container.is_used
    return pool.used(run, key) if is_used else {}


def request_of(
    run: Run, rule: Rule, claims: StepClaims, step: RuleStep, name: str, build: Build, out: str, scratch: str,
    earlier: Mapping[str, Result],
) -> StepRequest:  # fmt: skip
    return StepRequest(
        rule=rule,
        step="compile" if step == "package" else step,
        target=target_of(run.project, build),
        folders=Folders(out, scratch, run.project.cache_dir, run.project.cache(step, name)),
        offline=run.project.settings.offline,
        environment=claims.environment_with(build.key.options),
        timeout_seconds=run.project.settings.tool_timeout_seconds or None,
        earlier=earlier,
        files=_files(run, step, name, build),
        digest=run.stats.digest,
        discard=partial(store_files.discard, run),
    )


def _files(run: Run, step: str, name: str, build: Build) -> tuple[str, ...]:
    """Return the source files that may enter the artifact; none if a distribution does and no command wants them.

    For resolve what lies beside the manifest, when its scripts are run.
    """
    if step == "resolve":
        resolution = run.index.resolutions[name]
        files = (
            source_files.listing_of_manifest(run.project, resolution.manifest).files if resolution.key.source else ()
        )
        return tuple(file.path for file in files)
    if build.package and not build.key.command.run:
        return ()
    return tuple(file.path for file in source_files.listing(run, build.key).files)


def target_of(project: Project, build: Build) -> Target:
    return Target(
        name=build.name,
        kind=build.key.kind,
        runtime=build.key.runtime,
        architecture="arm64" if build.key.architecture == "arm64" else "x86_64",
        source=project.path(build.key.source),
        manifest=project.path(build.key.manifest) if build.key.manifest else "",
        project=project.folder,
        options={name: json.loads(value) for name, value in build.key.options},
        workspace=project.path(build.key.workspace) if build.key.workspace else "",
        checkout=project.boundary,
    )


def _moved(result: Result, old: str, new: str) -> Result:
    """The same result after its folder was given its final name."""
    data = result_to_data(result, {"out": old})
    return result_from_data(data, {"out": new})


def _part_digest(run: Run, path: str) -> str:
    """An archive's path holds its sha256 already; a folder's content is hashed."""
    return fingerprint.of_file(path, run.stats) if os.path.isdir(path) else ""


def results_before(project: Project, build: Build) -> dict[str, Result]:
    results = {"resolve": result_of(project, "resolve", build.resolution)} if build.resolution else {}
    return results | ({"package": result_of(project, "package", build.package)} if build.package else {})


def result_of(project: Project, kind: str, name: str) -> Result:
    receipt = receipts.read(project.receipt(kind, name))
    if receipt is None:
        raise CannotRead(
            f"what {kind}:{name} made is gone",
            where=Span(project.receipt(kind, name)),
            help=f"doit forget {kind}:{name}",
        )
    return result_from_data(receipt.result, project.roots)
