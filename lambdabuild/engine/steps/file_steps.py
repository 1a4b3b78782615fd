"""The steps that make a settled list files: zip, hash, tree."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext

from lambdabuild.artifacts.entries import Entry, InArchive
from lambdabuild.engine.base import lists, ownership, receipts
from lambdabuild.engine.base.outputs import Output, tree_output
from lambdabuild.engine.base.plan_index import PlanIndex
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.receipts import Done
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import kind_of
from lambdabuild.engine.remote import workers
from lambdabuild.engine.step_cache import materialize


def zip_(run: Run, name: str) -> Done:
    from lambdabuild.artifacts.zips import ZipSummary, write_zip

    target, kept = run.project.zip(name), run.project.record("zip", name)
    ownership.make_room(run, target)
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    entries, where = lists.read_list(run, name), ""
    if workers.goes(run, "zip", name):
        from lambdabuild.engine.steps import remote_zip

        summary, where = remote_zip.write(run, name, entries, target)
        summary.write(kept)
    else:
        with _in_turn(run, name) as newest:
            found = (ZipSummary.read(run.project.record("zip", one), run.project.zip(one)) for one in (name, *newest))
            summary = write_zip(target, entries, previous=filter(None, found))
            summary.write(kept)  # before it is another's turn, who copies what is packed
    link_zips(run, name)
    return Done(
        output=summary.sha256,
        values={"size": summary.size, "unzipped": summary.unzipped, **({"executor": where} if where else {})},
        result={"sha256": summary.sha256, "size": summary.size},
    )


@contextmanager
def _in_turn(run: Run, name: str) -> Iterator[tuple[str, ...]]:
    """The one that zipped the same dependencies last, if there is one: what the first packs the others copy.

    Wheels are packed as they come. Of what an installer leaves in a folder, only one packs at a time.
    """
    resolved = run.index.builds[name].resolution
    receipt = receipts.read(run.project.receipt("resolve", resolved)) if resolved else None
    if receipt is None:
        yield ()
        return
    is_packed_here = any(part["folder"] for part in receipt.result["parts"])
    with run.locks.of(resolved) if is_packed_here else nullcontext():
        yield _with_the_same_dependencies(run.index, name, run.project.zip)


def _with_the_same_dependencies(index: PlanIndex, name: str, made: Callable[[str], str]) -> tuple[str, ...]:
    """The other build with the same dependencies whose zip or tree is the newest, if there is one."""
    resolved = index.builds[name].resolution
    users = index.resolutions[resolved].users if resolved else ()
    others = [user for user in users if user != name and os.path.exists(made(user))]
    return tuple(sorted(others, key=lambda user: os.stat(made(user)).st_mtime_ns)[-1:])


def hash_(run: Run, name: str) -> Done:
    from lambdabuild.engine.steps import assemble, handler_check

    sha256, size = run.stats.digest(run.project.zip(name)), os.path.getsize(run.project.zip(name))
    notes = [*assemble.check_limits(run, name, size, _shared(run, name)), *handler_check.check(run, name)]
    return Done(
        output=sha256,
        values={"size": size, "notes": notes},
        result={"sha256": sha256, "code_sha256": base64.b64encode(bytes.fromhex(sha256)).decode(), "size": size},
    )


def _shared(run: Run, name: str) -> list[tuple[str, int]]:
    """The shared layers of a build, with their unzipped bytes."""
    from lambdabuild.engine.steps.auto_layers import shared_layers

    return [(layer.name, layer.unzipped) for layer in shared_layers.decided(run).layers if name in layer.builds]


def tree(run: Run, name: str) -> Done:
    resolved, packages = run.index.builds[name].resolution, run.hardlinks.packages
    # Two that are written at once know nothing of one another's files, so the first with its packages is alone.
    with run.trees_lock if resolved else nullcontext():
        if is_first := resolved not in packages:
            _write_tree(run, name)
            packages.add(resolved)
    if not is_first:
        _write_tree(run, name)
    link_users(run, name, "")
    receipt = receipts.read(run.project.receipt("copy", name))
    return Done(output=receipt.output if receipt else "")


def _write_tree(run: Run, name: str) -> None:
    from lambdabuild.artifacts.archives import lying_in
    from lambdabuild.artifacts.trees import KnownTree, TreeRecord

    target, kept, hardlinks = run.project.tree(name), run.project.record("tree", name), run.hardlinks
    ownership.make_room(run, target)
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    entries = lists.read_list(run, name)
    for other in _with_the_same_dependencies(run.index, name, run.project.tree):
        if run.project.tree(other) not in hardlinks.trees and (
            record := TreeRecord.read(run.project.record("tree", other))
        ):
            hardlinks.add(run.project.tree(other), record, _packages_files(run.project, lists.read_list(run, other)))
    written = (
        lying_in(run.project.zip(name), entries)
        if materialize.are_away(run, kind_of(run.index, "zip").bytes_of(run, name))
        else entries
    )
    record = KnownTree(target, kept).update(written, hardlinks)
    hardlinks.add(target, record, _packages_files(run.project, entries))


def _packages_files(project: Project, entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry.lies, InArchive) or entry.lies.path.startswith(project.state_dir):
            yield entry.path


def link_zips(run: Run, name: str) -> None:
    """Link the zip for all who share the build."""
    link_users(run, name, ".zip")


def link_users(run: Run, name: str, suffix: str) -> None:
    """Those who share the build find it under their own name too."""
    for user in run.index.builds[name].users:
        if user == name:
            continue
        output = Output(run.project.zip(user)) if suffix else tree_output(run.project, user)
        link = output.path
        target = os.path.relpath(os.path.join(run.project.build_dir, name + suffix), os.path.dirname(link))
        ownership.make_room(run, link)
        if os.path.islink(link) and os.readlink(link) == target:
            continue
        ownership.replace(run.project, output)
        os.symlink(target, link)
