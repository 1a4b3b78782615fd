"""Gives results of steps to the caches: all that another machine can use, nothing that it must not see."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from lambdabuild.cache.cache import Digest
from lambdabuild.core.plain import Json, JsonObject
from lambdabuild.core.records import to_json
from lambdabuild.engine.base import lists, receipts
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import kind_of
from lambdabuild.engine.freshness import inputs
from lambdabuild.engine.step_cache import caches, lookup, materialize

LISTED = re.compile(r"\{(project|checkout)\}|\{store\}/wheels/|\{state\}/out/(resolve|package|compile)/")
"""The places that files of a list may be in."""
CREDENTIALS = re.compile(r"://[^/\s\"@:]+:[^/\s\"@]+@")
MOST_CANDIDATES = 8
"""So many lists of what runs revealed are kept for a key; the newest go first."""
SECRET_CHARACTERS = 8
"""A shorter value of a variable is no secret worth its name, and would be found in anything."""


def offer(
    run: Run,
    kind: str,
    name: str,
    components: Mapping[str, str],
    receipt: receipts.Receipt,
    values: JsonObject,
) -> None:
    """Give what a step left to the caches, when it can be of use elsewhere and says nothing that it must not."""
    cache = caches.caches(run) if kind_of(run.index, kind).restore is not None else None
    if cache is None or cache.read_only or any(digest == inputs.CHANGED for digest in receipt.reads.values()):
        return
    with run.listings.of_one_step():  # anew
        if kind_of(run.index, kind).inputs(run, name) != components:
            return  # its inputs were edited while it ran: what it left may be of either
    data = {
        "output": receipt.output,
        "values": dict(values),
        "result": dict(receipt.result),
        "reads": dict(receipt.reads),
        "folders": {path: dict(files) for path, files in receipt.folders.items()},
    }
    if kind == "copy":
        data["list"] = lists.read_rows(run.project, name)
    sources = _sources(run, kind, name, receipt)
    if (
        sources is None
        or not _is_portable(data)
        or not _may_leave(run.project, run.opened_with.environment, data, components)
    ):
        return
    key = lookup.key_of(run, kind, name, components)
    if not receipt.reads:
        cache.put(key, data, sources)
        return
    cache.put(lookup.second_key(key, receipt.reads), data, sources)
    revealed = {
        "reads": [path.removeprefix("read:") for path in sorted(receipt.reads) if path.startswith("read:")],
        "images": values.get("images", {}),
    }
    known = cache.find(key)
    before = known.data.get("candidates", []) if known is not None else []
    if revealed not in before[:1]:
        rest = [one for one in before if one != revealed]
        cache.put(key, {"candidates": [revealed, *rest][:MOST_CANDIDATES]}, {})


def _sources(run: Run, kind: str, name: str, receipt: receipts.Receipt) -> Json | None:
    """Return the blobs of what a step left, None when some of it is where no other machine has it."""
    from lambdabuild.cache.shared import File, Folder, Stays  # loads zstd

    if kind == "zip":
        digest = Digest(receipt.result["sha256"], receipt.result["size"])
        return {materialize.ZIP: File(run.project.zip(name), digest)}
    sources: Json = {}
    for part in receipt.result["parts"] if kind_of(run.index, kind).has_bytes else ():
        path, in_store = part["path"], materialize.IN_STORE.fullmatch(part["path"])
        if in_store:
            real = run.project.expand(path)
            sources[in_store[1]] = Stays(real, Digest(in_store[2], os.path.getsize(real)))
        elif path.startswith("{state}/out/"):
            sources[materialize.OUT] = Folder(run.project.out(kind, name))
        elif not path.startswith(("{project}", "{checkout}")):
            return None
    return sources


def _is_portable(data: JsonObject) -> bool:
    """Return whether all files of a list lie where another machine has them or can fetch them: not what copy itself
    made.

    Files that were only read, such as a compiler, may lie anywhere: elsewhere they are looked for in the same place,
    and must be the same.
    """
    return all(LISTED.match(row[-1][0]) for row in data.get("list", ()))


def _may_leave(
    project: Project, environment: Mapping[str, str], data: JsonObject, components: Mapping[str, str]
) -> bool:
    """Return whether an entry names no place of this machine and holds no value of a variable that the step was
    given.
    """
    text = to_json(data).decode()
    names = (name.removeprefix("environment:") for name in components if name.startswith("environment:"))
    values = (environment.get(name, "") for name in names)
    if CREDENTIALS.search(text) or any(len(value) >= SECRET_CHARACTERS and value in text for value in values):
        return False
    places = {*project.roots.values(), os.path.expanduser("~")} - {os.sep}
    return not any(place in text and re.search(rf"(?<![\w./-]){re.escape(place)}(?=[/\"])", text) for place in places)
