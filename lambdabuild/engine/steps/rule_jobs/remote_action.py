"""A rule's step as an action of the Remote Execution API: its input tree, its command, what it left.

The whole step goes: the rule's own code with as much of lambdabuild as rules may import, and a request as rules in
other languages get it (``rulebook.away``). In both directions paths are told from folders that both sides name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lambdabuild.cache.cache import File, Link, Node
from lambdabuild.config.settings import DEFAULT_EXCLUDE
from lambdabuild.core import messages
from lambdabuild.core.errors import (
    CannotResolve,
    DownloadFailed,
    ExecutorFailed,
    LambdaBuildError,
    NoExecutor,
    Offline,
    ToolMissing,
)
from lambdabuild.core.plain import Json, JsonObject
from lambdabuild.core.records import replace
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.freshness import source_files
from lambdabuild.engine.freshness.versions import NOT_RULE_CODE
from lambdabuild.engine.remote import eligibility, workers
from lambdabuild.engine.remote.workers import file_of
from lambdabuild.files.listing import Patterns, patterns, scan
from lambdabuild.plan.types import Build, Rule, StepClaims
from lambdabuild.rule_api import Folder, Job, Result, portable, result_from_data
from lambdabuild.rulebook import over_rpc, remote_worker, runner, wire

if TYPE_CHECKING:
    from lambdabuild.cache.reapi.executor import Executor

NOTHING = Patterns(())
ONLY_HERE = (ToolMissing, CannotResolve, DownloadFailed, Offline)
"""Failures of things that a worker lacks and this machine may have: a tool, the network."""


def run(run: Run, rule: Rule, claims: StepClaims, build: Build, job: Job) -> tuple[Result, str]:
    """Run a rule's step there; what it left is put into ``job.out``. Gives its result and the engine's name.

    Raises FallBackToLocal when it has to be run here, else as the rule itself would.
    """
    with staying_when_it_fails(run, job.step, build.name):
        executor = workers.executor(run)
        fetched = _fetched(rule, job)
        if fetched is not None:
            job = replace(job, earlier={**job.earlier, "fetch": fetched})
        here = folders_here(run.project, job)
        inputs = dict(_inputs(run, rule, claims, build, job, here))
        environment = workers.environment(run, claims, build)
        answer = sent(run.project, executor, _request(run, build, job, here), inputs, environment, job.out)
        if "error" in answer:
            raise _error(rule, job, answer["error"], here)
        return _result(answer["result"], job, here), executor.name


@contextmanager
def staying_when_it_fails(run: Run, kind: str, name: str) -> Iterator[None]:
    """When the engine is gone all steps are run here from now on; when it gives up on one, that one is."""
    try:
        yield
        return
    except NoExecutor as error:
        eligibility.lose(run, error)
    except ExecutorFailed as error:
        if workers.executor(run).is_closed:
            raise
        eligibility.remote(run).stay.add(f"{kind}:{name}")
        messages.warn(ExecutorFailed(f"{kind}:{name} is run here: {error.message}", help=error.help, tail=error.tail))
    raise workers.FallBackToLocal


def sent(
    project: Project,
    executor: Executor,
    request: JsonObject,
    inputs: dict[str, Node],
    environment: Mapping[str, str],
    out: str,
) -> Json:
    """Run a request on a tree of files; its answer, with what it left in ``out``."""
    inputs[remote_worker.REQUEST] = File.of(json.dumps(request, sort_keys=True).encode())
    command = workers.command(environment, project.settings.tool_timeout_seconds or None)
    ran = executor.run(command, inputs, workers.is_broken)
    answer = workers.answer_of(ran)
    if "result" in answer:
        made = {
            path.partition("/")[2]: node for path, node in ran.files.items() if path.startswith(remote_worker.OUT + "/")
        }
        executor.write(made, out)
    return answer


def _fetched(rule: Rule, job: Job) -> Result | None:
    """Fetch what a step needs that will have no network."""
    if rule.fetch is None:
        return None
    folder = os.path.join(job.scratch, "fetched")
    os.makedirs(folder)
    names = rule.fetch.environment
    return runner.run_job(rule, replace(job, step="fetch", out=folder, environment=(*job.environment, *names)))


# where things lie, here and there


def folders_here(project: Project, job: Job) -> dict[str, str]:
    """The folders that paths are told from; the first that fits counts, so the inner ones come first."""
    return {
        "out": job.out,
        "scratch": job.scratch,
        "state": project.state_dir,
        "store": project.cache_dir,
        "project": project.folder,
        "checkout": project.boundary,
    }


def folders_there(run: Run) -> dict[str, str]:
    """The same folders in the input tree."""
    project = os.path.normpath(os.path.join("checkout", os.path.relpath(run.project.folder, run.project.boundary)))
    return {
        "out": remote_worker.OUT,
        "scratch": remote_worker.SCRATCH,
        "state": "state",
        "store": "store",
        "project": project,
        "checkout": "checkout",
    }


def _request(run: Run, build: Build, job: Job, here: Mapping[str, str]) -> Json:
    names = workers.tools_of(run.index, job.step, build.name)
    return {
        "method": job.step,
        "params": wire.job_to_data(replace(job, cache=""), here),
        "folders": folders_there(run),
        "tools": {name: workers.tool_version(run, names, name) for name in names},
    }


# the input tree


def _inputs(
    run: Run, rule: Rule, claims: StepClaims, build: Build, job: Job, here: Mapping[str, str]
) -> Iterator[tuple[str, Node]]:
    yield from workers.code(run, rule.libraries)
    for file in scan(rule.folder, Patterns(NOT_RULE_CODE)).files:
        yield f"{remote_worker.RULE}/{file.path}", file_of(run, file.real)
    there = folders_there(run)

    def place(path: str) -> str:
        return place_of(portable(path, here), there)

    if not claims.reads_are_complete:
        yield from _checkout(run).items()
    for file in source_files.listing(run, build.key).files:
        yield place(os.path.join(job.target.source, file.path)), file_of(run, file.real)
    for path in source_files.manifest_files(rule, build.key.manifest, build.key.workspace):
        if os.path.isfile(run.project.path(path)):
            yield place(run.project.path(path)), file_of(run, run.project.path(path))
    for part in (part for result in job.earlier.values() for part in result.parts):
        if not isinstance(part, Folder):
            yield place(part.path), file_of(run, part.path)
            continue
        for path, node in _below(run, part.path, NOTHING):
            if node is None:
                raise ExecutorFailed(
                    f"{path} is a link that leads elsewhere", help="leave the rule out of executor.only"
                )
            yield place(path), node


def place_of(path: str, there: Mapping[str, str]) -> str:
    """Return the place of a path ``{name}/rest`` in the input tree."""
    name, _, rest = path[1:].partition("}")
    if not path.startswith("{") or name not in there:
        raise ExecutorFailed(f"{path} lies outside of the checkout", help="set project_root to a folder that holds it")
    return os.path.normpath(there[name] + rest)


def _checkout(run: Run) -> dict[str, Node]:
    """All source of the checkout, listed once a run, for steps that find out by themselves what they read."""

    def listed() -> dict[str, Node]:
        root = run.project.boundary
        files = _below(run, root, patterns(DEFAULT_EXCLUDE))
        return {f"checkout/{os.path.relpath(path, root)}": node for path, node in files if node is not None}

    return eligibility.remote(run).checkout.get(listed)


def _below(run: Run, folder: str, chosen: Patterns) -> Iterator[tuple[str, Node | None]]:
    """The files of a folder that can be read; links stay links. None is a link that leads out of it."""
    for top, folders, names in os.walk(folder):
        inside = os.path.relpath(top, folder).removeprefix(".")

        def is_kept(name: str, is_folder: bool, top: str = top, inside: str = inside) -> bool:
            left_out = chosen.leaves_out(f"{inside}/{name}".lstrip("/"), name, is_folder)
            return not left_out and os.path.realpath(os.path.join(top, name)) not in run.project.not_source

        folders[:] = sorted(name for name in folders if is_kept(name, True))
        for name in (*folders, *sorted(name for name in names if is_kept(name, False))):
            path = os.path.join(top, name)
            if os.path.islink(path):
                yield path, _link(path, folder)
            elif name not in folders and os.path.isfile(path) and os.access(path, os.R_OK):
                yield path, file_of(run, path)


def _link(path: str, folder: str) -> Link | None:
    target = os.readlink(path)
    there = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return Link(target) if not os.path.isabs(target) and there.startswith(folder + os.sep) else None


# what came back


def _result(data: JsonObject, job: Job, here: Mapping[str, str]) -> Result:
    try:
        result = result_from_data(data, here)
    except (KeyError, TypeError, ValueError) as error:
        raise ExecutorFailed(f"a worker answered with no result: {error!r}", help="run the build again") from error
    homes = (job.out, job.target.source)
    lost = [
        part.path
        for part in result.parts
        if not (part.path + os.sep).startswith(tuple(home + os.sep for home in homes))
    ]
    if lost or not all(os.path.exists(part.path) for part in result.parts):
        raise ExecutorFailed(
            f"a worker left something elsewhere than in out: {lost}", help="leave the rule out of executor.only"
        )
    return result


def _error(rule: Rule, job: Job, told: Json, here: Mapping[str, str]) -> LambdaBuildError:
    """The rule's own error; what only a worker lacks is the engine's failure."""
    data = told.get("data", {})
    if told.get("code") == wire.OTHER_TOOLS:
        other = ", ".join(f"{name} is {version}" for name, version in data["tools"].items())
        return ExecutorFailed(
            f"a worker has other tools than the one before: {other}",
            help="give all workers the same, or tell them apart with executor.platform",
        )
    data = {**data, "tail": _as_here(str(data.get("tail", "")), here)}
    if data.get("where"):
        data["where"] = {**data["where"], "file": _as_here(str(data["where"]["file"]), here)}
    error = over_rpc.error_of(rule, job, {**told, "data": data})
    if isinstance(error, ONLY_HERE):
        return ExecutorFailed(error.message, help=error.help, tail=error.tail)
    return error


def _as_here(text: str, here: Mapping[str, str]) -> str:
    for name, folder in here.items():
        text = text.replace("{" + name + "}", folder)
    return text
