"""How a step is performed: look it up in the caches, or run it, and record what it left.

``perform`` takes the project's lock, does what the step's row of ``KINDS`` says, writes
the receipt and gives doit the values to keep: ``{"inputs": fingerprint, "output": digest, ...}``.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping
from typing import Any, cast

from doit.exceptions import TaskFailed

from lambdabuild.core.atomic import remove
from lambdabuild.core.errors import CannotRead, CannotWrite, LambdaBuildError
from lambdabuild.core.plain import Json, JsonObject
from lambdabuild.core.spans import Span
from lambdabuild.engine.base import ownership, receipts
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import InputTrace, Run
from lambdabuild.engine.base.session import begin, keep
from lambdabuild.engine.base.step_kind import kind_of
from lambdabuild.engine.freshness import inputs
from lambdabuild.engine.remote import workers
from lambdabuild.engine.remote.workers import FallBackToLocal
from lambdabuild.engine.step_cache import lookup, materialize, upload
from lambdabuild.engine.steps.left_behind import remove_empty_parents
from lambdabuild.files import fingerprint
from lambdabuild.plan.steps import task_name


def perform(run: Run, kind: str, name: str) -> Json | TaskFailed:
    """Run one step. A mistake of the user's is a TaskFailed, which doit prints without a traceback."""
    try:
        try:
            return _perform(run, kind, name)
        except FallBackToLocal:
            return _perform(run, kind, name)
    except (LambdaBuildError, OSError) as error:
        return failed(error, task_name(kind, name))


def _perform(run: Run, kind: str, name: str, *, look_up: bool = True) -> Json:
    begin(run)
    with run.listings.of_one_step():
        return _looked_up_or_run(run, kind, name, look_up=look_up)


def _looked_up_or_run(run: Run, kind: str, name: str, *, look_up: bool) -> Json:
    row = kind_of(run.index, kind)
    ownership.claim(run, row.outputs(run, name))
    run.progress.ran.add((kind, name))
    workers.look(run, kind, name)
    began = time.time_ns()
    with run.stats.watched() as looked_at:
        before = row.inputs(run, name)  # first: an edit made while we build must count as a change
    run.progress.inputs.pop((kind, name), None)
    remove(run.project.receipt(kind, name))
    may_restore = look_up and not run.progress.runs_always
    values = (_restored(run, kind, name, before) if may_restore else None) or _run(run, kind, name, before)
    if values["inputs"] == fingerprint.of(before):  # else there is more, which the run or a step before it revealed
        run.progress.inputs[kind, name] = InputTrace(looked_at, began, values["inputs"])
    run.progress.last_ran_ns = time.time_ns()
    return values


def _restored(run: Run, kind: str, name: str, before: Mapping[str, str]) -> Json | None:
    """Put what a cache has of the step where the step would have left it; None if there is nothing."""
    entry = lookup.find(run, kind, name, before)
    restored = lookup.restore(run, kind, name, before, entry) if entry is not None else None
    if restored is None:
        return None
    kind_of(run.index, kind).after_restore(run, name)
    return _kept(run, kind, name, *restored)


def _run(run: Run, kind: str, name: str, before: Mapping[str, str]) -> Json:
    row = kind_of(run.index, kind)

    def run_again(kind: str, name: str) -> str:
        return _run_again(run, kind, name)

    has_changed = materialize.provide(run, row.bytes_of(run, name), run_again)
    notes = row.before_run(run, name, run_again)
    if has_changed or notes:
        before = row.inputs(run, name)
    started = time.time_ns()
    with workers.turn(run, kind, name):
        done = row.run(run, name)
    reads = {
        key: _unless_newer(run.project, key, digest, started) for key, digest in inputs.reads(run, done.reads).items()
    }
    receipt = receipts.Receipt(before, done.output, {**reads, **done.images}, done.folders, done.result)
    values = {
        **done.values,
        **({"notes": notes} if notes else {}),
        **({"images": dict(done.images)} if done.images else {}),
        "seconds": round((time.time_ns() - started) / 1e9, 3),
    }
    upload.offer(run, kind, name, before, receipt, values)
    return _kept(run, kind, name, receipt, values)


def _run_again(run: Run, kind: str, name: str) -> str:
    """Run a step on behalf of one after it, because its bytes are nowhere any more; return its output."""
    values = _perform(run, kind, name, look_up=False)
    keep(task_name(kind, name), values)
    return str(values["output"])


def _kept(run: Run, kind: str, name: str, receipt: receipts.Receipt, values: JsonObject) -> Json:
    """Write the receipt; gives what doit keeps."""
    receipts.write(run.project.receipt(kind, name), receipt)
    return {
        "inputs": fingerprint.of({**receipt.components, **receipt.reads}),
        "output": receipt.output,
        "reads": [key.removeprefix("read:") for key in receipt.reads if key.startswith("read:")],
        **values,
    }


def _unless_newer(project: Project, key: str, digest: str, started: int) -> str:
    """A file that was edited while the step ran may have been read before: count it as changed."""
    try:
        newer = os.stat(project.expand(key.removeprefix("read:"))).st_mtime_ns >= started
    except OSError:
        return digest
    return inputs.CHANGED if newer else digest


def failed(error: LambdaBuildError | OSError, what: str) -> TaskFailed:
    """A mistake of the user's as doit knows it; the reporter finds the error itself in ``error``."""
    known = from_os_error(error, what) if isinstance(error, OSError) else error
    failure: Any = TaskFailed(str(known))
    failure.error = known
    return cast("TaskFailed", failure)


HELP = {
    errno.ENOSPC: "make room on the disk; what was built before is intact",
    errno.EDQUOT: "make room in your quota; what was built before is intact",
    errno.EACCES: "fix its permissions: chmod u+w on it, or on its folder",
    errno.EPERM: "fix its permissions: chmod u+w on it, or on its folder",
    errno.EROFS: "choose a build_dir on a disk that can be written",
    errno.EISDIR: "remove the folder that stands where a file should be",
    errno.ENOTDIR: "remove the file that stands where a folder should be",
    errno.EEXIST: "remove what stands in its place",
    errno.ENOTEMPTY: "remove what stands in its place",
}


def from_os_error(error: OSError, what: str) -> LambdaBuildError:
    """Return an error of the operating system in words: which path, and what to do."""
    path = str(error.filename2 or error.filename or "")
    unreadable = error.errno == errno.EACCES and os.path.exists(path) and not os.access(path, os.R_OK)
    kind = CannotRead if unreadable or error.errno in (errno.ENOENT, errno.ELOOP) else CannotWrite
    where = Span(path) if path else None
    return kind(f"{what}: {error.strerror or error}", where=where, help=HELP.get(error.errno or 0, ""))


def clean(run: Run, kind: str, name: str, dryrun: bool = False) -> Json:
    """Remove what a step made; doit's clean action.

    Return ``{"removed": [path]}``: what is gone outside of our own state or, in a dry run, what would be.
    """
    begin(run)
    row = kind_of(run.index, kind)
    outputs = list((row.removed or row.outputs)(run, name))
    before = [output.path for output in outputs if os.path.lexists(output.path)]
    if dryrun:
        return {"removed": before}
    row.forget(run, name)
    for output in outputs:
        ownership.remove(run, output)
        remove_empty_parents(output.path, run.project.build_dir)
    for path in [run.project.receipt(kind, name), *row.state(run, name)]:
        if os.path.lexists(path):
            remove(path)
            remove_empty_parents(path, run.project.build_dir)
    return {"removed": [path for path in before if not os.path.lexists(path)]}
