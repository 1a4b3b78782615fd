"""Answer many requests of Lambda Builders' JSON-RPC in one process: ``python answer_requests.py ours|theirs < requests``.

Standard input is a JSON list of ``{params, cwd, env, files}``: ``files`` are written (null: removed) before the request
is answered. Standard output is a JSON list of ``{response, logs}``.
"""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any


def ours(text: str) -> dict[str, Any]:
    from lambdabuild.api import json_rpc as rpc

    return rpc.respond(text, rpc.build)


def theirs(text: str) -> dict[str, Any]:
    from aws_lambda_builders.__main__ import main

    sys.argv = ["lambda-builders", text]
    out = io.StringIO()
    with redirect_stdout(out):
        try:
            main()
        except SystemExit:
            pass
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def prepare(cwd: Path, files: dict[str, str | None]) -> None:
    for name, text in files.items():
        path = cwd / name
        if text is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def answered(request: dict[str, Any], answer: Any) -> dict[str, Any]:
    """Answer one request; what it and its tools write to standard error is the log."""
    before = dict(os.environ)
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    prepare(Path(request["cwd"]), request["files"])
    message = {"jsonrpc": "2.0", "id": 1, "method": "LambdaBuilder.build", "params": request["params"]}
    with tempfile.TemporaryFile() as log:
        kept = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            response = answer(json.dumps(message))
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
        log.seek(0)
        logs = log.read().decode(errors="replace")
    os.environ.clear()
    os.environ.update(before)
    return {"response": response, "logs": logs}


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    chosen = {"ours": ours, "theirs": theirs}[sys.argv[1]]
    results = [answered(request, chosen) for request in json.load(sys.stdin)]
    sys.stdout.write(json.dumps(results))
