"""A rule's step on another machine: ``python3 -m lambdabuild.rulebook.away``, in the root of its input tree.

There ``request.json`` says what to do: name the tools of this machine (``{"ask": ["go version"]}``), or run a step of
the rule in ``rule/``, whose folders lie where ``folders`` says. The answer goes to standard output as JSON; files are
left in ``out/``. The status is 0 when the step is done, else 1, so that no engine keeps what a mistake left.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

from lambdabuild import tools
from lambdabuild.rulebook import serve, wire
from lambdabuild.rulebook.search import CLAIMS, read_claims

REQUEST, RULE, OUT, SCRATCH = "request.json", "rule", "out", "tmp"
"""Names in the input tree; SCRATCH is made there."""


def respond(request: Mapping[str, Any], here: str) -> dict[str, Any]:
    """The answer to a request; ``here`` is the root of the input tree."""
    if "ask" in request:
        return {"tools": {name: tools.version(name) for name in request["ask"]}, "machine": tools.machine()}
    folders = {name: os.path.join(here, path) for name, path in request["folders"].items()}
    for name in ("out", "scratch"):
        os.makedirs(folders[name], exist_ok=True)
    other = {name: found for name in request["tools"] if (found := tools.version(name)) != request["tools"][name]}
    if other:
        return {"error": {"code": wire.OTHER_TOOLS, "message": "", "data": {"tools": other}}}
    said = serve.answer(read_claims(os.path.join(here, RULE, CLAIMS)), dict(request), folders)
    return _told_elsewhere(said, folders)


def _told_elsewhere(said: dict[str, Any], folders: Mapping[str, str]) -> dict[str, Any]:
    """What tools said, with the folders' names for where they lie here."""
    if "error" not in said:
        return said
    data = said["error"].get("data", {})
    tail = str(data.get("tail", ""))
    for name, folder in folders.items():
        tail = re.sub(rf"(?<![\w./-]){re.escape(folder)}(?=/)", "{" + name + "}", tail)
    return {"error": said["error"] | {"data": data | {"tail": tail}}}


def main() -> None:
    here = os.getcwd()
    home = os.path.join(here, SCRATCH, "home")
    os.makedirs(home, exist_ok=True)
    os.environ.update(HOME=home, TMPDIR=home)
    stdout = os.dup(1)
    os.dup2(2, 1)  # what a rule prints is no answer
    with open(os.path.join(here, REQUEST), encoding="utf-8") as stream:
        answer = respond(json.load(stream), here)
    with open(stdout, "w", encoding="utf-8") as stream:
        json.dump(answer, stream)
    sys.exit("error" in answer)


if __name__ == "__main__":
    main()
