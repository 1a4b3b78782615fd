"""What is in the two folders that a caller names, the artifact and ``dependencies_dir``: lists of entries."""

from __future__ import annotations

import logging
import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence

from lambdabuild.api.caller_errors import failed
from lambdabuild.api.caller_plan import CallerPlan
from lambdabuild.artifacts import merge
from lambdabuild.artifacts.archives import archive_entries
from lambdabuild.artifacts.entries import Entry, FileOnDisk
from lambdabuild.artifacts.native import wrong_machine
from lambdabuild.core.records import Struct
from lambdabuild.core.store import sha256_of
from lambdabuild.files.listing import Found, Patterns, scan
from lambdabuild.rule_api import Folder, Part, Result

LOG = logging.getLogger(__name__)


class Contents(Struct, frozen=True):
    """What is put into both folders. ``dependencies`` is a list of lists that are not merged yet."""

    artifact: tuple[Entry, ...]
    artifact_links: Mapping[str, str]
    dependencies: tuple[list[Entry], ...]


def contents(
    plan: CallerPlan,
    source_files: tuple[Found, ...],
    links: Mapping[str, str],
    copied: Result,
    compiled: Result,
    resolved: Result | None,
) -> Contents:
    """Return what each folder gets; ``links`` are packages that stay where npm installed them."""
    wanted, flow = plan.wanted, plan.flow

    def entries(parts: Iterable[Part]) -> list[list[Entry]]:
        return [_entries(plan, source_files, part) for part in parts]

    resolved_parts = resolved.parts if resolved else ()
    own = entries(part for part in resolved_parts if _replaces_source(part))
    own += entries((*copied.parts, *compiled.parts))
    dependencies = entries(part for part in resolved_parts if not _replaces_source(part))
    shipped = dependencies if plan.rule.ships_dependencies else []
    if flow.dependencies == "lib":
        everything = [*own, *dependencies]
        own = [[entry for entry in part if not _is_library(entry)] for part in everything]
        shipped = dependencies = [[entry for entry in part if _is_library(entry)] for part in everything]
    if wanted.dependencies and flow.dependencies != "none" and not (wanted.combines or flow.always_combines):
        shipped = []
    return Contents(
        artifact=merged(plan, [*own, *([] if links else shipped)]),
        artifact_links={} if wanted.dependencies and not wanted.combines else links,
        dependencies=tuple(dependencies),
    )


def merged(plan: CallerPlan, lists: Iterable[Sequence[Entry]]) -> tuple[Entry, ...]:
    """Return one list in which the source wins over dependencies, as in Lambda Builders, which copies it last."""
    entries, clashes = merge.merge(lists)
    for clash in clashes:
        origins = [entry.origin or entry.path for entry in clash.entries]
        if clash.kind == "folder":
            raise failed(plan.flow, "copy", f"{clash.path} is a file in {origins[0]} and a folder in {origins[1]}")
        LOG.info("%s comes from %s; that of %s is used", clash.path, " and ".join(origins), origins[0])
    for entry in wrong_machine(entries, plan.wanted.architecture):
        LOG.warning("%s (%s) is not for %s", entry.path, entry.origin, plan.wanted.architecture)
    return entries


def _entries(plan: CallerPlan, source_files: tuple[Found, ...], part: Part) -> list[Entry]:
    if not isinstance(part, Folder):
        packed = archive_entries(part.path, index=part.path + ".index")
        return list(merge.moved(packed, part.moves, part.into, part.leave_out, origin=part.origin))
    is_source = os.path.realpath(part.path) == plan.wanted.source
    files = source_files if is_source else scan(part.path, Patterns(part.leave_out), boundary=os.sep).files
    return [_entry(file, part.into) for file in files]


def _replaces_source(part: Part) -> bool:
    return isinstance(part, Folder) and part.replaces_source


def _is_library(entry: Entry) -> bool:
    return entry.path.startswith("lib/")


def _entry(file: Found, into: str) -> Entry:
    digest, place = sha256_of(file.real), FileOnDisk(file.real)
    return Entry(posixpath.join(into, file.path), file.executable, file.stat.st_size, digest, place, origin=file.real)
