"""Run a step of a rule that is a program in any language: a JSON-RPC request in, a response out, and it ends."""

from __future__ import annotations

import json
import os
from typing import Any

from lambdabuild import rule_api
from lambdabuild.core import errors
from lambdabuild.core.errors import BadRule, LambdaBuildError, ToolFailed, ToolTimeout
from lambdabuild.core.spans import Span
from lambdabuild.plan.types import Rule, StepClaims
from lambdabuild.rule_api import Job, Result
from lambdabuild.rulebook import contract, wire

KINDS = {name: getattr(errors, name) for name in (*rule_api.__all__, "ToolTimeout") if hasattr(errors, name)}
"""The errors that a rule may tell."""


def run(rule: Rule, job: Job) -> Result:
    """Run one step. Whatever the program does wrong is LB401; the mistakes it tells of are what it says they are."""
    if job.step == "copy" and rule.copy == StepClaims(reads=("source",)):
        return contract.default(rule, job)
    before = _state(job)
    response = _response(rule, job, _ask(rule, job))
    _refuse_changes(rule, job, before)
    if "error" in response:
        if response["error"].get("code") == wire.NO_SUCH_STEP:
            return contract.default(rule, job)
        raise error_of(rule, job, response["error"])
    try:
        result = wire.result_from_data(response["result"])
    except ValueError as error:
        raise _broken(rule, job, f"gave a bad answer: {error}") from error
    contract.check(rule, job, result)
    return result


def _ask(rule: Rule, job: Job) -> str:
    program, *arguments = tuple(rule.entry)
    request = {"jsonrpc": "2.0", "id": 1, "method": job.step, "params": wire.job_to_data(job)}
    beside = [os.path.join(rule.folder, argument) for argument in arguments]
    command = [job.tool(program)] + [
        path if os.path.isfile(path) else argument for path, argument in zip(beside, arguments, strict=True)
    ]
    try:
        return job.run(command, stdin=json.dumps(request) + "\n").stdout
    except ToolTimeout as error:
        raise _broken(rule, job, f"did not answer within {job.timeout_seconds:g} s", error.tail) from error
    except ToolFailed as error:
        how = error.message.rpartition(": ")[2]
        raise _broken(rule, job, "broke down", f"{how}\n{error.tail}") from error


def _response(rule: Rule, job: Job, said: str) -> dict[str, Any]:
    try:
        response = json.loads(said)
    except ValueError as error:
        shown = said.strip()[-2000:]
        raise _broken(rule, job, "printed what is not one JSON document", shown) from error
    if not isinstance(response, dict) or response.get("id") != 1 or not ({"result", "error"} & set(response)):
        raise _broken(rule, job, "answered with no response of JSON-RPC 2.0", said.strip()[-2000:])
    if "error" in response and not isinstance(response["error"], dict):
        raise _broken(rule, job, "answered with an error that is no object", said.strip()[-2000:])
    return response


def error_of(rule: Rule, job: Job, told: dict[str, Any]) -> LambdaBuildError:
    """``{code, message, data: {kind: "BadManifest", help, tail, where: {file, line, column}}}`` as the error it is."""
    message, data = str(told.get("message", "")), told.get("data")
    data = data if isinstance(data, dict) else {}
    if told.get("code") == wire.OTHER_PROTOCOL:
        return BadRule(
            f"{job.who}: rule {rule.name!r} speaks another protocol than {wire.PROTOCOL}: {message}",
            where=contract.place(rule),
            help="bring lambdabuild, or the rule, up to date",
        )
    if told.get("code") != wire.MISTAKE:
        return _broken(rule, job, f"broke down: {message}", str(data.get("tail", "")))
    kind: type[LambdaBuildError] = KINDS.get(str(data.get("kind", "")), ToolFailed)
    whole = message if message.startswith(job.who) else f"{job.who}: {message}"
    return kind(
        whole,
        where=_where(job, data.get("where")),
        tail=str(data.get("tail", "")),
        help=str(data.get("help", "")),
    )


def _where(job: Job, given: Any) -> Span | None:
    if not isinstance(given, dict) or not isinstance(given.get("file"), str):
        return None
    line, column = given.get("line", 1), given.get("column", 1)
    return job.place(given["file"], *(number if isinstance(number, int) else 1 for number in (line, column)))


def _broken(rule: Rule, job: Job, what: str, tail: str = "") -> BadRule:
    return BadRule(
        f"{job.who}: rule {rule.name!r} {what} in {job.step}",
        where=contract.place(rule),
        tail=tail,
        help="this is a mistake in the rule, not in your project",
    )


def _state(job: Job) -> dict[str, tuple[int, int]]:
    """Size and time of every file beside those that the step may read, to see that the user's stay as they are."""
    source = job.target.source
    folders = {os.path.dirname(os.path.join(source, name)) for name in job.files}
    folders |= {os.path.dirname(job.target.manifest)} if job.target.manifest else set()
    found: dict[str, tuple[int, int]] = {}
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.is_dir():
                    stat = entry.stat(follow_symlinks=False)
                    found[os.path.relpath(entry.path, source)] = (stat.st_size, stat.st_mtime_ns)
    return found


def _refuse_changes(rule: Rule, job: Job, before: dict[str, tuple[int, int]]) -> None:
    after = _state(job)
    changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    if changed:
        raise BadRule(
            f"{job.who}: {changed[0]} changed in the source while rule {rule.name!r} ran {job.step}",
            where=contract.place(rule),
            help="a rule writes into out and scratch only; when it was you who edited, run again",
        )
