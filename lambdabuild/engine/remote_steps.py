"""A rule's step as an action of the Remote Execution API: its input tree, its command, what it left.

The whole step goes: the rule's own code with as much of lambdabuild as rules may import, and a request as rules in
other languages get it (``rulebook.away``). In both directions paths are told from folders that both sides name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lambdabuild.cache.nodes import File, Link, Node
from lambdabuild.engine import executing, freshness, reporters, workers
from lambdabuild.engine.site import NOT_RULE_CODE, Site
from lambdabuild.errors import (
    CannotResolve,
    DownloadFailed,
    ExecutorFailed,
    LambdaBuildError,
    NoExecutor,
    Offline,
    ToolMissing,
)
from lambdabuild.files.listing import Patterns, patterns, scan
from lambdabuild.plan.types import Build, Rule, StepClaims
from lambdabuild.rule_api import Folder, Job, Result, portable, result_from_data
from lambdabuild.rulebook import away, over_rpc, steps, wire
from lambdabuild.settings import DEFAULT_EXCLUDE

if TYPE_CHECKING:
    from lambdabuild.cache.executor import Executor

ONLY_HERE = (ToolMissing, CannotResolve, DownloadFailed, Offline)
"""What a worker lacks and this machine may have: a tool, the network."""


def run(site: Site, rule: Rule, claims: StepClaims, build: Build, job: Job) -> tuple[Result, str]:
    """Run a step there; what it left is put into ``job.out``. Gives its result and the engine's name.

    Raises StaysHere when it has to be run here, else as the rule itself would.
    """
    try:
        executor = workers.executor(site)
        return _run(site, executor, rule, claims, build, job), executor.name
    except NoExecutor as error:
        executing.lose(site, error)
    except ExecutorFailed as error:
        if site.shared.executor[1].is_closed:
            raise
        site.shared.stay.add(build.name)
        reporters.warn(ExecutorFailed(f"{job.who} is compiled here: {error.message}", mend=error.mend, tail=error.tail))
    raise workers.StaysHere


def _run(site: Site, executor: Executor, rule: Rule, claims: StepClaims, build: Build, job: Job) -> Result:
    fetched = _fetched(rule, job)
    if fetched is not None:
        job = replace(job, earlier={**job.earlier, "fetch": fetched})
    here = folders_here(site, job)
    request = _request(site, build, job, here)
    inputs = dict(_inputs(site, rule, claims, build, job, here))
    inputs[away.REQUEST] = File.of(json.dumps(request, sort_keys=True).encode())
    command = workers.command(workers.environment(site, claims, build), site.settings.tool_timeout_seconds or None)
    ran = executor.run(command, inputs, workers.is_broken)
    answer = workers.answer_of(ran)
    if "error" in answer:
        raise _error(rule, job, answer["error"], here)
    made = {path.partition("/")[2]: node for path, node in ran.files.items() if path.startswith(away.OUT + "/")}
    executor.write(made, job.out)
    return _result(answer["result"], job, here)


def _fetched(rule: Rule, job: Job) -> Result | None:
    """What the rule fetches for a step that will have no network."""
    if rule.fetch is None:
        return None
    folder = os.path.join(job.scratch, "fetched")
    os.makedirs(folder)
    names = rule.fetch.environment
    return steps.run(rule, replace(job, step="fetch", out=folder, environment=(*job.environment, *names)))


# where things lie, here and there


def folders_here(site: Site, job: Job) -> dict[str, str]:
    """The folders that paths are told from; the first that fits counts, so the inner ones come first."""
    return {
        "out": job.out, "scratch": job.scratch, "state": site.state_dir, "store": site.cache_dir,
        "project": site.project, "checkout": site.boundary,
    }  # fmt: skip


def folders_there(site: Site) -> dict[str, str]:
    """The same folders in the input tree."""
    project = os.path.normpath(os.path.join("checkout", os.path.relpath(site.project, site.boundary)))
    return {
        "out": away.OUT, "scratch": away.SCRATCH, "state": "state", "store": "store",
        "project": project, "checkout": "checkout",
    }  # fmt: skip


def _request(site: Site, build: Build, job: Job, here: Mapping[str, str]) -> dict[str, Any]:
    names = workers.tools_of(site, build.name)
    return {
        "method": job.step,
        "params": wire.job_to_data(replace(job, cache=""), here),
        "folders": folders_there(site),
        "tools": {name: workers.tool_version(site, names, name) for name in names},
    }


# the input tree


def _inputs(
    site: Site, rule: Rule, claims: StepClaims, build: Build, job: Job, here: Mapping[str, str]
) -> Iterator[tuple[str, Node]]:
    yield from workers.code(site, rule.libraries)
    for found in scan(rule.folder, Patterns(NOT_RULE_CODE)).files:
        yield f"{away.RULE}/{found.path}", workers.file_of(site, found.real)
    there = folders_there(site)

    def place(path: str) -> str:
        name, _, rest = portable(path, here)[1:].partition("}")
        return os.path.normpath(there[name] + rest)

    if not claims.closed:
        listing = scan(site.boundary, patterns(DEFAULT_EXCLUDE), boundary=site.boundary, skip=site.not_source)
        for found in listing.files:
            yield f"checkout/{found.path}", workers.file_of(site, found.real)
    for found in freshness.source_listing(site, build.key).files:
        yield place(os.path.join(job.target.source, found.path)), workers.file_of(site, found.real)
    for path in freshness.manifest_files(rule, build.key.manifest):
        if os.path.isfile(site.path(path)):
            yield place(site.path(path)), workers.file_of(site, site.path(path))
    for result in job.earlier.values():
        for part in result.parts:
            for path, node in _below(site, part.path) if isinstance(part, Folder) else [(part.path, None)]:
                yield place(path), node or workers.file_of(site, path)


def _below(site: Site, folder: str) -> Iterator[tuple[str, Node | None]]:
    """The files of a folder as a step left it; links stay links where they lead to something in it."""
    for top, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(top, name)
            if os.path.islink(path):
                target = os.readlink(path)
                if os.path.isabs(target):
                    raise ExecutorFailed(
                        f"{path} is a link to {target}", mend="run it here: leave it out of executor.only"
                    )
                yield path, Link(target)
            elif name in names:
                yield path, None


# what came back


def _result(data: Mapping[str, Any], job: Job, here: Mapping[str, str]) -> Result:
    try:
        result = result_from_data(data, here)
    except (KeyError, TypeError, ValueError) as error:
        raise ExecutorFailed(f"a worker answered with no result: {error!r}", mend="run the build again") from error
    homes = (job.out, job.target.source)
    lost = [
        part.path
        for part in result.parts
        if not (part.path + os.sep).startswith(tuple(home + os.sep for home in homes))
    ]
    if lost or not all(os.path.exists(part.path) for part in result.parts):
        raise ExecutorFailed(
            f"a worker left something elsewhere than in out: {lost}", mend="leave the rule out of executor.only"
        )
    return result


def _error(rule: Rule, job: Job, told: dict[str, Any], here: Mapping[str, str]) -> LambdaBuildError:
    """The rule's own error; what only a worker lacks is the engine's failure."""
    data = told.get("data", {})
    if told.get("code") == wire.OTHER_TOOLS:
        other = ", ".join(f"{name} is {version}" for name, version in data["tools"].items())
        return ExecutorFailed(
            f"a worker has other tools than the one before: {other}",
            mend="give all workers the same, or tell them apart with executor.platform",
        )
    data = {**data, "tail": _as_here(str(data.get("tail", "")), here)}
    if data.get("where"):
        data["where"] = {**data["where"], "file": _as_here(str(data["where"]["file"]), here)}
    error = over_rpc.error_of(rule, job, {**told, "data": data})
    if isinstance(error, ONLY_HERE):
        return ExecutorFailed(error.message, mend=error.mend, tail=error.tail)
    return error


def _as_here(text: str, here: Mapping[str, str]) -> str:
    for name, folder in here.items():
        text = text.replace("{" + name + "}", folder)
    return text
