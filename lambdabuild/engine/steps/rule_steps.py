"""The steps that are a rule's: resolve, package, compile; and copy, which settles what is in the artifact."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from lambdabuild.core.atomic import replace_folder
from lambdabuild.core.errors import CannotRead
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Span
from lambdabuild.engine.base import lists, receipts, store_files
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.receipts import Done
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.freshness import source_files
from lambdabuild.engine.remote import workers
from lambdabuild.engine.steps import commands
from lambdabuild.files import fingerprint
from lambdabuild.plan.types import Build, ContainerKey, Rule, StepClaims
from lambdabuild.rule_api import Job, Result, Target, result_from_data, result_to_data
from lambdabuild.rulebook import runner

if TYPE_CHECKING:
    from lambdabuild.engine.steps.assemble import InLayer


def resolve(run: Run, name: str) -> Done:
    resolution = run.index.resolutions[name]
    build = run.index.builds[resolution.users[0]]
    build = replace(build, key=replace(build.key, runtime=resolution.key.runtime))  # a layer may have several
    rule = run.index.rules[resolution.key.rule]
    return _rule_step(run, rule, rule.resolve or StepClaims(), "resolve", name, build, {})


def compile(run: Run, name: str) -> Done:
    build = run.index.builds[name]
    rule = run.index.rules[build.key.rule]
    return _rule_step(run, rule, rule.compile or StepClaims(), "compile", name, build, _earlier(run.project, build))


def package(run: Run, name: str) -> Done:
    """Build and install a distribution, once for all builds that have it."""
    package = run.index.packages[name]
    rule = run.index.rules[package.key.rule]
    found = fingerprint.files(source_files.listing(run, package.key, f"source {name!r}"), run.stats)
    done = _rule_step(run, rule, rule.compile or StepClaims(), "package", name, package, {})
    return replace(done, folders={package.key.source: found})


def _rule_step(
    run: Run, rule: Rule, claims: StepClaims, step: Any, name: str, build: Build, earlier: Mapping[str, Result]
) -> Done:
    """Run a rule's step into a new folder that takes the old one's place only when all went well."""
    out = run.project.out(step, name)
    key = run.index.resolutions[name].key.container if step == "resolve" else build.key.container
    with run.project.scratch() as scratch:
        fresh, work = os.path.join(scratch, "out"), os.path.join(scratch, "work")
        os.makedirs(fresh)
        os.makedirs(work)
        job = _in_container(run, key, _job(run, rule, claims, step, name, build, fresh, work, earlier))
        result, where = _result(run, rule, claims, step, build, job)
        replace_folder(fresh, out)
    result = _moved(result, fresh, out)
    data = result_to_data(result, run.project.roots)
    parts = [
        part | {"content": _part_digest(run, part_path.path)}
        for part, part_path in zip(data["parts"], result.parts, strict=True)
    ]
    return Done(
        output=hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest(),
        values={
            "notes": data["notes"],
            "parts": [part["path"] for part in data["parts"]],
            **({"executor": where} if where else {}),
        },
        result=data,
        reads=tuple(data["reads"]),
        images=_images(run, key, job),
    )


def _result(run: Run, rule: Rule, claims: StepClaims, step: str, build: Build, job: Job) -> tuple[Result, str]:
    """Return the result, and the name of the executor that ran the step; "" if it ran here."""
    if workers.goes(run, step, build.name):
        from lambdabuild.engine.steps import remote_action

        return remote_action.run(run, rule, claims, build, job)
    return (commands.run(rule, build.key, job) if step == "compile" else runner.run(rule, job)), ""


def _in_container(run: Run, key: ContainerKey, job: Job) -> Job:
    """The step with the container that its function asks for."""
    if not key.mode:
        return job
    from lambdabuild.engine.containers.tool_runner import InContainer

    container = InContainer(run, key, job.target.name)
    runner = container if key.mode == "true" else job.runner
    container.job = replace(job, use_container=key.mode, container=container, runner=runner)
    return container.job


def _images(run: Run, key: ContainerKey, job: Job) -> dict[str, str]:
    """The image that the step's tools ran in, if they did."""
    if job.container is None:
        return {}
    from lambdabuild.engine.containers import pool, tool_runner

    is_used = isinstance(job.container, tool_runner.InContainer) and job.container.is_used
    return pool.used(run, key) if is_used else {}


def _job(
    run: Run, rule: Rule, claims: StepClaims, step: Any, name: str, build: Build, out: str, scratch: str,
    earlier: Mapping[str, Result],
) -> Job:  # fmt: skip
    return Job(
        step="compile" if step == "package" else step,
        target=target_of(run.project, build),
        out=out,
        scratch=scratch,
        store=run.project.cache_dir,
        cache=run.project.cache(step, name),
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
        return tuple(found.path for found in files)
    if build.package and not build.key.command.run:
        return ()
    return tuple(found.path for found in source_files.listing(run, build.key).files)


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


def _earlier(project: Project, build: Build) -> dict[str, Result]:
    found = {"resolve": result_of(project, "resolve", build.resolution)} if build.resolution else {}
    return found | ({"package": result_of(project, "package", build.package)} if build.package else {})


def result_of(project: Project, kind: str, name: str) -> Result:
    receipt = receipts.read(project.receipt(kind, name))
    if receipt is None:
        raise CannotRead(
            f"what {kind}:{name} made is gone",
            where=Span(project.receipt(kind, name)),
            help=f"doit forget {kind}:{name}",
        )
    return result_from_data(receipt.result, project.roots)


def copy(run: Run, name: str) -> Done:
    from lambdabuild.engine.steps import assemble

    build = run.index.builds[name]
    rule = run.index.rules[build.key.rule]
    earlier = _earlier(run.project, build)
    if build.compiles:
        earlier["compile"] = result_of(run.project, "compile", name)
    with run.project.scratch() as scratch:
        job = _in_container(
            run, build.key.container, _job(run, rule, rule.copy, "copy", name, build, scratch, scratch, earlier)
        )
        own = Result() if build.key.is_source_replaced else runner.run(rule, job)
    resolved = [
        (run.index.resolutions[one].key.runtime, result_of(run.project, "resolve", one)) for one in build.resolutions
    ]
    settled = assemble.settle(run, build, rule, {**earlier, "copy": own}, resolved, _in_layers(run, name))
    lists.write_list(run, name, settled.entries)
    return Done(
        output=settled.digest,
        values={
            "files": len(settled.entries),
            "unzipped": settled.unzipped,
            "notes": [*own.notes, *settled.notes],
            "warnings": list(settled.warnings),
            "parts": [
                *(assemble.made(run.project, settled.entries) if build.key.strip else ()),
                *(run.project.portable(path) for path in settled.made),
            ],
        },
        result={
            "tree_digest": settled.digest,
            "unzipped": settled.unzipped,
            "files": len(settled.entries),
            "left_out": list(settled.left_out),
            "packages": _packages(result for _, result in resolved),
        },
        images=_images(run, build.key.container, job),
        folders=settled.files,
    )


def _packages(results: Iterable[Result]) -> list[Any]:
    """Yield the resolutions, each once even if several runtimes have it."""
    found = [package for result in results for package in result.facts.get("packages", ())]
    return [package for position, package in enumerate(found) if package not in found[:position]]


def _in_layers(run: Run, name: str) -> list[InLayer]:
    """Which of the resolved packages lie in shared layers."""
    from lambdabuild.engine.steps import assemble
    from lambdabuild.engine.steps.auto_layers import shared_layers

    share = shared_layers.decided(run).shares.get(name)
    return [assemble.InLayer(positions, frozenset(places)) for positions, places in share.units] if share else []
