"""Jobs and Results as JSON-RPC 2.0 (https://www.jsonrpc.org/specification): what rules in other languages are told.

One request on standard input, ``{"jsonrpc": "2.0", "id": 1, "method": STEP, "params": {...}}``; one response on
standard output. Paths are absolute. docs/guides/writing-a-rule.md shows both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from lambdabuild import rule_api
from lambdabuild.rule_api import Job, Result, Target, expanded, portable

PROTOCOL: Final = "1.0"
"""Told with every request; another number before the dot means that neither side understands the other."""

NO_SUCH_STEP, OTHER_PROTOCOL, MISTAKE, OTHER_TOOLS = -32601, 505, 400, 409
"""Codes of errors: the rule has no such step (the default is taken), speaks another protocol, found a mistake; a worker
has other tools than those that count."""

TARGET = ("name", "kind", "runtime", "architecture", "source", "manifest", "project", "workspace", "checkout")
PLAIN = ("out", "scratch", "store", "cache", "offline", "timeout_seconds")
PATHS_OF_TARGET, PATHS = (
    ("source", "manifest", "project", "workspace", "checkout"),
    ("out", "scratch", "store", "cache"),
)
NONE: Mapping[str, str] = {}


def job_to_data(job: Job, folders: Mapping[str, str] = NONE) -> dict[str, Any]:
    """Return the params of a request.

    Paths below the named folders as ``{name}/rest``, for where they lie elsewhere.
    """
    target = {key: getattr(job.target, key) for key in TARGET}
    plain = {key: getattr(job, key) for key in PLAIN}
    return {
        "protocol": PROTOCOL,
        "target": {
            **_with_paths(target, PATHS_OF_TARGET, portable, folders),
            "logical_id": job.target.logical_id,
            "options": dict(job.target.options),
        },
        **_with_paths(plain, PATHS, portable, folders),
        "environment": list(job.environment),
        "files": list(job.files),
        "earlier": {step: result_to_data(result, folders) for step, result in job.earlier.items()},
    }


def job_from_data(step: str, data: Mapping[str, Any], folders: Mapping[str, str] = NONE) -> Job:
    """Return the inverse, on a machine where the named folders lie here."""
    given = {"workspace": "", "checkout": ""} | {key: data["target"][key] for key in TARGET if key in data["target"]}
    plain = {key: data[key] for key in PLAIN if key in data}
    earlier = data.get("earlier", {})
    return Job(
        step=step,  # type: ignore[arg-type]
        target=Target(
            **_with_paths(given, PATHS_OF_TARGET, expanded, folders), options=data["target"].get("options", {})
        ),
        **_with_paths(plain, PATHS, expanded, folders),
        environment=tuple(data.get("environment", ())),
        files=tuple(data.get("files", ())),
        earlier={name: result_from_data(_expanded(result, folders)) for name, result in earlier.items()},
    )


def _expanded(result: Mapping[str, Any], folders: Mapping[str, str]) -> dict[str, Any]:
    parts = [{**part, "path": expanded(part["path"], folders)} for part in result.get("parts", ())]
    return {**result, "parts": parts, "reads": [expanded(path, folders) for path in result.get("reads", ())]}


def _with_paths(
    data: Mapping[str, Any], paths: Iterable[str], change: Callable[..., str], folders: Mapping[str, str]
) -> dict[str, Any]:
    return {**data, **{key: change(data[key], folders) for key in paths if key in data}}


def result_to_data(result: Result, folders: Mapping[str, str] = NONE) -> dict[str, Any]:
    return rule_api.result_to_data(result, folders)


def result_from_data(data: Any) -> Result:
    """Read a program's answer: ``{parts: [{path, into, leave_out, moves, origin}], reads, notes, facts}``, all optional
    but a part's path. Raises ValueError with what is wrong, in words.
    """
    if not isinstance(data, Mapping):
        raise ValueError("the result is no object")
    unknown = sorted(set(data) - {"parts", "reads", "notes", "facts"})
    if unknown:
        raise ValueError(f"the result has {unknown[0]!r}, which is not known")
    facts, parts = data.get("facts") or {}, data.get("parts") or []
    if not isinstance(facts, Mapping):
        raise ValueError("facts is no object")
    if not isinstance(parts, list):
        raise ValueError("parts is no list")
    whole = {"parts": [_part(part) for part in parts], "reads": _texts(data, "reads"), "notes": _texts(data, "notes")}
    return rule_api.result_from_data(whole | {"facts": facts}, {})


def _part(data: Any) -> dict[str, Any]:
    path = data.get("path") if isinstance(data, Mapping) else None
    if not isinstance(path, str) or not os.path.isabs(path):
        raise ValueError("a part has no absolute path")
    into = data.get("into") or ""
    if not isinstance(into, str) or into.startswith("/") or ".." in into.split("/"):
        raise ValueError(f"a part goes into {into!r}, which is no place in an artifact")
    moves = data.get("moves") or []
    if not all(isinstance(move, list) and [type(x) for x in move] == [str, str] for move in moves):
        raise ValueError("moves is no list of pairs of texts")
    return {
        "path": path, "folder": os.path.isdir(path), "into": into, "leave_out": _texts(data, "leave_out"),
        "moves": moves, "origin": str(data.get("origin") or ""), "replaces_source": bool(data.get("replaces_source")),
    }  # fmt: skip


def _texts(data: Mapping[str, Any], key: str) -> list[str]:
    found = data.get(key) or []
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise ValueError(f"{key} is no list of texts")
    return found
