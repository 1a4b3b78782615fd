"""A rule.py as a program that speaks JSON-RPC: ``python -m lambdabuild.rulebook.serve FOLDER``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from lambdabuild.core.errors import BadRule, LambdaBuildError
from lambdabuild.plan.types import Rule
from lambdabuild.rule_api import Job, portable
from lambdabuild.rulebook import runner, wire
from lambdabuild.rulebook.search import CLAIMS, read_claims


def answer(rule: Rule, request: dict[str, Any], folders: Mapping[str, str] = wire.NONE) -> dict[str, Any]:
    """Answer one request; paths in both are below the named folders, or absolute when none are named."""
    params = request["params"]
    if params["protocol"].partition(".")[0] != wire.PROTOCOL.partition(".")[0]:
        return {"error": {"code": wire.OTHER_PROTOCOL, "message": f"this rule speaks {wire.PROTOCOL}"}}
    job = wire.job_from_data(request["method"], params, folders)
    try:
        return {"result": wire.result_to_data(runner.run_job(rule, job), folders)}
    except BadRule as error:
        return {"error": {"code": 500, "message": error.message, "data": {"tail": error.tail}}}
    except LambdaBuildError as error:
        words = error.message.removeprefix(f"{job.who}: ")
        data = {"kind": type(error).__name__, "help": error.help, "tail": error.tail, **_where(job, error, folders)}
        return {"error": {"code": wire.MISTAKE, "message": words, "data": data}}


def _where(job: Job, error: LambdaBuildError, folders: Mapping[str, str]) -> dict[str, Any]:
    if not error.where:
        return {}
    place = error.where[0]
    file = portable(os.path.normpath(os.path.join(job.target.project, place.file)), folders)
    return {"where": {"file": file, "line": place.line, "column": place.column}}


def main() -> None:
    rule = read_claims(os.path.join(sys.argv[1], CLAIMS))
    request = json.load(sys.stdin)
    stdout = os.dup(1)
    os.dup2(2, 1)  # what a rule prints is no answer
    said = json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer(rule, request)})
    with open(stdout, "w", encoding="utf-8") as stream:
        stream.write(said)


if __name__ == "__main__":
    main()
