"""What the tasks do. The only place where the bytes of a build move; a step does what the plan says.

``perform`` is the action of every task: it takes the project's lock, runs one of ``STEPS``, writes the receipt
and gives doit the values to keep: ``{"inputs": fingerprint, "output": digest, ...}``.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from doit.exceptions import TaskFailed

from lambdabuild.core import messages
from lambdabuild.core.atomic import remove
from lambdabuild.core.errors import CannotRead, CannotWrite, LambdaBuildError, NoEngine
from lambdabuild.core.spans import Span
from lambdabuild.engine.base import ownership, receipts
from lambdabuild.engine.base.receipts import Done
from lambdabuild.engine.base.session import begin, keep, saved
from lambdabuild.engine.base.site import Site
from lambdabuild.engine.freshness import inputs
from lambdabuild.engine.remote import workers
from lambdabuild.engine.remote.workers import StaysHere
from lambdabuild.engine.step_cache import lookup, materialize, upload
from lambdabuild.engine.steps import file_steps, place_steps, rule_steps
from lambdabuild.files import fingerprint


def perform(site: Site, kind: str, name: str) -> dict[str, Any] | TaskFailed:
    """Run one step. A mistake of the user's is a TaskFailed, which doit prints without a traceback."""
    try:
        try:
            return _perform(site, kind, name)
        except StaysHere:
            return _perform(site, kind, name)
    except (LambdaBuildError, OSError) as error:
        return failed(error, f"{kind}:{name}")


def _perform(site: Site, kind: str, name: str, *, look_up: bool = True) -> dict[str, Any]:
    begin(site)
    ownership.claim(site, ownership.outputs(site, kind, name))
    site.shared.ran.add((kind, name))
    workers.look(site, kind, name)
    before = inputs.components(site, kind, name, saved)  # first: an edit made while we build must count as a change
    remove(site.receipt(kind, name))
    may_restore = look_up and not site.shared.is_anew
    values = (_restored(site, kind, name, before) if may_restore else None) or _run(site, kind, name, before)
    site.shared.last_ran_ns = time.time_ns()
    return values


def _restored(site: Site, kind: str, name: str, before: Mapping[str, str]) -> dict[str, Any] | None:
    """What a cache has of the step, put where the step would have left it."""
    entry = lookup.find(site, kind, name, before)
    left = lookup.restore(site, kind, name, entry) if entry is not None else None
    if left is None:
        return None
    if kind == "zip":
        file_steps.link_users(site, name, ".zip")
    return _kept(
        site, kind, name, receipts.Receipt(before, left.output, left.reads, left.folders, left.result), left.values
    )


def _run(site: Site, kind: str, name: str, before: Mapping[str, str]) -> dict[str, Any]:
    if materialize.provide(site, kind, name, lambda *step: _run_again(site, *step)):
        before = inputs.components(site, kind, name, saved)
    again = _sent_again(site) if kind == inputs.TEMPLATE else []
    if again:
        before = inputs.components(site, kind, name, saved)
    started = time.time_ns()
    with workers.turn(site, kind, name):
        done = STEPS[kind](site, name)
    reads = {key: _unless_newer(site, key, digest, started) for key, digest in inputs.reads(site, done.reads).items()}
    receipt = receipts.Receipt(before, done.output, {**reads, **done.images}, done.folders, done.result)
    values = {
        **done.values,
        **({"notes": again} if again else {}),
        **({"images": dict(done.images)} if done.images else {}),
        "seconds": round((time.time_ns() - started) / 1e9, 3),
    }
    upload.offer(site, kind, name, before, receipt, values)
    return _kept(site, kind, name, receipt, values)


def _sent_again(site: Site) -> list[str]:
    """Run the upload steps whose objects have gone, so that the template names what is there; gives notes."""
    from lambdabuild.engine.steps import present

    lost = list(present.gone(site))
    for step in lost:
        _run_again(site, *step)
    return [f"{kind}:{name}: what was sent had gone from there, and is sent again" for kind, name in lost]


def _run_again(site: Site, kind: str, name: str) -> str:
    """Run a step on behalf of one after it, for its bytes are nowhere any more; gives its output."""
    values = _perform(site, kind, name, look_up=False)
    keep(inputs.task_name(kind, name), values)
    return str(values["output"])


def _kept(site: Site, kind: str, name: str, receipt: receipts.Receipt, values: Mapping[str, Any]) -> dict[str, Any]:
    """Write the receipt; gives what doit keeps."""
    receipts.write(site.receipt(kind, name), receipt)
    return {
        "inputs": fingerprint.of({**receipt.components, **receipt.reads}),
        "output": receipt.output,
        "reads": [key.removeprefix("read:") for key in receipt.reads if key.startswith("read:")],
        **values,
    }


def _unless_newer(site: Site, key: str, digest: str, started: int) -> str:
    """A file that was edited while the step ran may have been read before: count it as changed."""
    try:
        newer = os.stat(site.expand(key.removeprefix("read:"))).st_mtime_ns >= started
    except OSError:
        return digest
    return inputs.CHANGED if newer else digest


def failed(error: LambdaBuildError | OSError, what: str) -> TaskFailed:
    """A mistake of the user's as doit knows it; the reporter finds the error itself in ``error``."""
    known = from_os_error(error, what) if isinstance(error, OSError) else error
    found: Any = TaskFailed(str(known))
    found.error = known
    return cast("TaskFailed", found)


HELP = {
    errno.ENOSPC: "make room on the disk; what was built before is intact",
    errno.EDQUOT: "make room in your quota; what was built before is intact",
    errno.EACCES: "give yourself the right to it",
    errno.EPERM: "give yourself the right to it",
    errno.EROFS: "choose a build_dir on a disk that can be written",
    errno.EISDIR: "remove the folder that stands where a file should be",
    errno.ENOTDIR: "remove the file that stands where a folder should be",
    errno.EEXIST: "remove what stands in its place",
    errno.ENOTEMPTY: "remove what stands in its place",
}


def from_os_error(error: OSError, what: str) -> LambdaBuildError:
    """What the operating system refused, in words: which path, and how to put it right."""
    path = str(error.filename2 or error.filename or "")
    unreadable = error.errno == errno.EACCES and os.path.exists(path) and not os.access(path, os.R_OK)
    kind = CannotRead if unreadable or error.errno in (errno.ENOENT, errno.ELOOP) else CannotWrite
    where = Span(path) if path else None
    return kind(f"{what}: {error.strerror or error}", where=where, help=HELP.get(error.errno or 0, ""))


STEPS: dict[str, Callable[[Site, str], Done]] = {
    "resolve": rule_steps.resolve,
    "package": rule_steps.package,
    "compile": rule_steps.compile,
    "copy": rule_steps.copy,
    "zip": file_steps.zip_,
    "hash": file_steps.hash_,
    "image": place_steps.image,
    "upload": place_steps.upload,
    "tree": file_steps.tree,
    "publish": place_steps.publish,
    "share": place_steps.share,
    "template": place_steps.template,
}


def made_by(site: Site, kind: str, name: str) -> Iterable[str]:
    """What a step keeps in the project's state, for ``doit clean``."""
    yield site.receipt(kind, name)
    if kind in ("resolve", "package", "compile"):
        yield site.out(kind, name)
    elif kind == "copy":
        yield site.record("copy", name)
        yield site.out("zipped", name)
    elif kind in ("zip", "tree"):
        yield site.record(kind, name)
    elif kind == "share" and name in ("zip", "tree"):
        from lambdabuild.engine.steps.auto_layers import shared_layers

        yield from (site.record(name, layer) for layer in shared_layers.left_by(site, name))


def clean(site: Site, kind: str, name: str, dryrun: bool = False) -> None:
    """doit's clean action: remove what the step made, and containers that a killed run left."""
    begin(site)
    if kind in ("resolve", "compile") and not dryrun:
        from lambdabuild.engine.containers import pool

        pool.sweep_if_there(site)
    if kind == "image" and not dryrun:
        _forget_image(site, name)
    for output in () if dryrun else list(_left_by(site, kind, name)):
        ownership.remove(site, output)
        _remove_empty_parents(output.path, site.build_dir)
    for path in list(made_by(site, kind, name)):
        if os.path.lexists(path) and not dryrun:
            remove(path)
            _remove_empty_parents(path, site.build_dir)


def _left_by(site: Site, kind: str, name: str) -> Iterable[ownership.Output]:
    """What a step put outside of the state; what is in a store stays there."""
    if kind == "share" and name in ("zip", "tree"):
        from lambdabuild.engine.steps.auto_layers import shared_layers

        return [shared_layers.output(site, name, layer) for layer in shared_layers.left_by(site, name)]
    return [] if kind == "upload" else ownership.outputs(site, kind, name)


def _forget_image(site: Site, name: str) -> None:
    """Without an engine there is nothing to be forgotten but files."""
    from lambdabuild.engine.steps.images import images

    receipt = receipts.read(site.receipt("image", name))
    try:
        if receipt is not None:
            images.remove(site, name, receipt.result)
    except NoEngine as error:
        messages.report(error)


def _remove_empty_parents(path: str, top: str) -> None:
    parent = os.path.dirname(path)
    while parent.startswith(top + os.sep):
        try:
            os.rmdir(parent)
        except OSError:
            return
        parent = os.path.dirname(parent)
