"""A settled list to a zip on another machine: its files and archives go there, with what packs them."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lambdabuild.artifacts.entries import rows_of
from lambdabuild.artifacts.zips import ZipSummary, stat_of
from lambdabuild.cache.cache import Node
from lambdabuild.core.errors import ExecutorFailed
from lambdabuild.core.plain import Json
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.remote import workers
from lambdabuild.engine.remote.workers import file_of
from lambdabuild.engine.steps.rule_jobs.remote_action import folders_there, place_of, sent, staying_when_it_fails
from lambdabuild.files.listing import Patterns, scan
from lambdabuild.rulebook import remote_worker

if TYPE_CHECKING:
    from lambdabuild.artifacts.entries import Entry
    from lambdabuild.artifacts.zips import ZipSummary

CODE = ("artifacts/__init__", "core/atomic", "artifacts/entries", "artifacts/zip_writer", "artifacts/zips")
COMPRESSORS = ("deflate", "cramjam")


def write(run: Run, name: str, entries: Sequence[Entry], target: str) -> tuple[ZipSummary, str]:
    """Return the zip's summary and the name of its engine. Raise FallBackToLocal if it is to be made here."""
    with staying_when_it_fails(run, "zip", name), run.project.scratch() as scratch:
        executor, there = workers.executor(run), folders_there(run)
        rows = rows_of(entries, lambda path: run.project.portable(path))
        inputs = dict([*workers.code(run, CODE), *_compressors(run), *_files(run, rows, there)])
        answer = sent(
            run.project,
            executor,
            {"zip": rows, "folders": there},
            inputs,
            workers.usual_environment(run.project),
            scratch,
        )
        if "error" in answer:
            raise ExecutorFailed(f"a worker could not zip {name}: {answer['error']}", help="run the build again")
        return _kept(run, answer["result"], os.path.join(scratch, remote_worker.ARTIFACT), target), executor.name


def _files(run: Run, rows: Sequence[Sequence[Any]], there: dict[str, str]) -> Iterator[tuple[str, Node]]:
    for path in sorted({row[-1][0] for row in rows}):
        yield place_of(path, there), file_of(run, run.project.expand(path))


def _compressors(run: Run) -> Iterator[tuple[str, Node]]:
    for name in COMPRESSORS:
        spec = importlib.util.find_spec(name)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for file in scan(folder, Patterns(("__pycache__/",))).files:
                yield f"{name}/{file.path}", file_of(run, file.real)


def _kept(run: Run, told: Json, made: str, target: str) -> ZipSummary:
    """The zip in its place, and its summary as though it had been written here."""
    if run.stats.digest(made) != told["sha256"]:
        raise ExecutorFailed("a worker left another zip than it tells of", help="run the build again")
    os.chmod(made, 0o644)
    os.replace(made, target)
    archives = [run.project.expand(path) for path in told["archives"]]
    return ZipSummary(**told | {"path": target, "stat": stat_of(target), "archives": archives})
