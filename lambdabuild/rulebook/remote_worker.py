"""A step on another machine: ``python3 -m lambdabuild.rulebook.remote_worker``, in the root of its input tree.

There ``request.json`` says what to do: name the tools of this machine (``{"ask": ["go version"]}``), run a step of the
rule in ``rule/``, or make a zip of a list of entries; ``folders`` says where what is named in paths lies. The answer
goes to standard output as JSON; files are left in ``out/``. The status is 0 when the step is done, else 1, so that no
engine keeps what a mistake left.
"""

from __future__ import annotations

import json
import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from typing import Any

from lambdabuild.core import tools
from lambdabuild.core.records import asdict
from lambdabuild.rule_api import expanded, portable
from lambdabuild.rulebook import serve, wire
from lambdabuild.rulebook.search import CLAIMS, read_claims

REQUEST, RULE, OUT, SCRATCH, ARTIFACT = "request.json", "rule", "out", "tmp", "artifact.zip"
"""Names in the input tree; SCRATCH is made there."""


def respond(request: Mapping[str, Any], here: str) -> dict[str, Any]:
    """Return the answer to a request; ``here`` is the root of the input tree."""
    if "ask" in request:
        said = {"tools": {name: tools.version(name) for name in request["ask"]}, "machine": tools.machine()}
        return {**said, "python": sysconfig.get_config_var("SOABI")}
    folders = {name: os.path.join(here, path) for name, path in request["folders"].items()}
    for name in ("out", "scratch"):
        os.makedirs(folders[name], exist_ok=True)
    if "zip" in request:
        return {"result": _zipped(request["zip"], folders)}
    other = {name: found for name in request["tools"] if (found := tools.version(name)) != request["tools"][name]}
    if other:
        return {"error": {"code": wire.OTHER_TOOLS, "message": "", "data": {"tools": other}}}
    said = serve.answer(read_claims(os.path.join(here, RULE, CLAIMS)), dict(request), folders)
    return _told_elsewhere(said, folders)


def _zipped(rows: Iterable[list[Any]], folders: Mapping[str, str]) -> dict[str, Any]:
    """Return the summary of a zip made of a list as it is kept (``engine.assemble``)."""
    from lambdabuild.artifacts.entries import entries_of
    from lambdabuild.artifacts.zips import write_zip

    def place(path: str) -> str:
        return expanded(path, folders)

    summary = write_zip(os.path.join(folders["out"], ARTIFACT), entries_of(rows, place))
    return {**asdict(summary), "archives": [portable(path, folders) for path in summary.archives]}


def _told_elsewhere(said: dict[str, Any], folders: Mapping[str, str]) -> dict[str, Any]:
    """Return the tools' output, with the folders' names in place of their paths here."""
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
