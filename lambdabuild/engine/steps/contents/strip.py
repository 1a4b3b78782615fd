"""Native files without symbols and debug information, each made once on a machine and kept by its content's digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from lambdabuild.artifacts import elf
from lambdabuild.artifacts.entries import Entry, FileOnDisk
from lambdabuild.artifacts.native import native
from lambdabuild.artifacts.trees import content
from lambdabuild.core import store, tools
from lambdabuild.core.atomic import writing
from lambdabuild.core.errors import ToolFailed, ToolMissing
from lambdabuild.core.records import replace
from lambdabuild.engine.base import store_files
from lambdabuild.engine.base.plan_index import STRIP
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.freshness.versions import tool_version

MEND = "install LLVM (Debian: llvm; Homebrew: llvm), or leave strip out"
THREADS = 4
FORMAT = "1"
"""Raised when another file than before may come of the same one."""


def stripped(run: Run, entries: Iterable[Entry], who: str) -> list[Entry]:
    """The entries, native ones as they are in the machine's store after stripping; the others untouched."""
    listed = list(entries)
    natives = {entry.sha256: entry for entry in native(listed)}
    if not natives:
        return listed
    tool = tools.find(STRIP)
    if tool is None:
        raise ToolMissing(f"{who} needs {STRIP!r} to strip native files, which is not on PATH", help=MEND)
    folder = os.path.join(run.project.cache_dir, "stripped", _short(f"{FORMAT} {tool_version(run.stats, STRIP)}"))
    os.makedirs(folder, exist_ok=True)
    with ThreadPoolExecutor(THREADS) as pool:
        paths = dict(
            zip(natives, pool.map(lambda entry: _stripped(run, tool, folder, entry), natives.values()), strict=True)
        )
    return [_with_bytes(run, entry, paths.get(entry.sha256, "")) for entry in listed]


def _stripped(run: Run, tool: str, folder: str, entry: Entry) -> str:
    """The path of the stripped file in the store, "" when the file is better left as it is.

    An empty file in the store says so, for it took as long to find out.
    """
    place = os.path.join(folder, entry.sha256)
    kept = _kept(run, place)
    if not kept:
        before = b"".join(content(entry))
        after = _run(run.project, tool, before) if elf.can_be_stripped(before) else b""
        is_good = 0 < len(after) < len(before) and elf.loads_the_same(before, after)
        data = after if is_good else b""
        kept = os.path.join(place, hashlib.sha256(data).hexdigest())
        os.makedirs(place, exist_ok=True)
        with writing(kept, 0o444) as stream:
            stream.write(data)
    return kept if os.path.getsize(kept) else ""


def _kept(run: Run, place: str) -> str:
    """Return the stripped file that the store has, None if it has none that is whole."""
    paths = (os.path.join(place, name) for name in sorted(os.listdir(place) if os.path.isdir(place) else ()))
    whole = (path for path in paths if store.promised(run.project.cache_dir, path) and store_files.is_whole(run, path))
    return next(whole, "")


def _run(project: Project, tool: str, data: bytes) -> bytes:
    """Return the file without symbols; None if the tool does not know the format."""
    with project.scratch() as scratch:
        source, target = os.path.join(scratch, "in"), os.path.join(scratch, "out")
        with open(source, "wb") as stream:
            stream.write(data)
        try:
            tools.run(
                [tool, "--strip-unneeded", "-o", target, source],
                cwd=scratch,
                env=tools.environment(),
                timeout_seconds=project.settings.tool_timeout_seconds or None,
            )
        except ToolFailed:
            return b""
        with open(target, "rb") as stream:
            return stream.read()


def _with_bytes(run: Run, entry: Entry, path: str) -> Entry:
    if not path:
        return entry
    return replace(entry, size=os.path.getsize(path), sha256=run.stats.digest(path), location=FileOnDisk(path))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
