"""A rule.py as a program that speaks JSON-RPC: ``python -m lambdabuild.rulebook.serve FOLDER``."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from lambdabuild.errors import BadRule, LambdaBuildError
from lambdabuild.plan.types import Rule
from lambdabuild.rulebook import in_process, wire
from lambdabuild.rulebook.search import CLAIMS, read_claims


def answer(rule: Rule, request: dict[str, Any]) -> dict[str, Any]:
    """The response to one request."""
    params = request["params"]
    if params["protocol"].partition(".")[0] != wire.PROTOCOL.partition(".")[0]:
        return {"error": {"code": wire.OTHER_PROTOCOL, "message": f"this rule speaks {wire.PROTOCOL}"}}
    try:
        result = in_process.run(rule, wire.job_from_data(request["method"], params))
    except BadRule as error:
        return {"error": {"code": 500, "message": error.message, "data": {"tail": error.tail}}}
    except LambdaBuildError as error:
        where: dict[str, Any] = {}
        if error.where:
            place = error.where[0]
            file = os.path.join(params["target"]["project"], place.file)
            where = {"where": {"file": file, "line": place.line, "column": place.column}}
        words = error.message.removeprefix(f"{params['target']['kind']} {params['target']['name']!r}: ")
        data = {"kind": type(error).__name__, "mend": error.mend, "tail": error.tail, **where}
        return {"error": {"code": wire.MISTAKE, "message": words, "data": data}}
    return {"result": wire.result_to_data(result)}


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
