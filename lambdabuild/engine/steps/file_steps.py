"""The steps that make a settled list files: zip, hash, tree."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext

from lambdabuild.artifacts.entries import Entry, InArchive
from lambdabuild.engine.base import lists, ownership, receipts
from lambdabuild.engine.base.outputs import Output, tree_output
from lambdabuild.engine.base.receipts import Done
from lambdabuild.engine.base.site import Site
from lambdabuild.engine.base.step_kind import kind_of
from lambdabuild.engine.remote import workers
from lambdabuild.engine.step_cache import materialize


def zip_(site: Site, name: str) -> Done:
    from lambdabuild.artifacts.zips import ZipSummary, write_zip

    target, kept = site.zip(name), site.record("zip", name)
    ownership.make_room(site, target)
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    entries, where = lists.read_list(site, name), ""
    if workers.goes(site, "zip", name):
        from lambdabuild.engine.steps import remote_zip

        summary, where = remote_zip.write(site, name, entries, target)
        summary.write(kept)
    else:
        with _in_turn(site, name) as newest:
            found = (ZipSummary.read(site.record("zip", one), site.zip(one)) for one in (name, *newest))
            summary = write_zip(target, entries, previous=filter(None, found))
            summary.write(kept)  # before it is another's turn, who copies what is packed
    link_zips(site, name)
    return Done(
        output=summary.sha256,
        values={"size": summary.size, "unzipped": summary.unzipped, **({"executor": where} if where else {})},
        result={"sha256": summary.sha256, "size": summary.size},
    )


@contextmanager
def _in_turn(site: Site, name: str) -> Iterator[tuple[str, ...]]:
    """The one that zipped the same dependencies last, if there is one: what the first packs the others copy.

    Wheels are packed as they come. Of what an installer leaves in a folder, only one packs at a time.
    """
    resolved = site.build(name).resolution
    receipt = receipts.read(site.receipt("resolve", resolved)) if resolved else None
    if receipt is None:
        yield ()
        return
    is_packed_here = any(part["folder"] for part in receipt.result["parts"])
    with site.shared.lock_of(resolved) if is_packed_here else nullcontext():
        yield _with_the_same_dependencies(site, name, site.zip)


def _with_the_same_dependencies(site: Site, name: str, made: Callable[[str], str]) -> tuple[str, ...]:
    """The other build with the same dependencies whose zip or tree is the newest, if there is one."""
    resolved = site.build(name).resolution
    users = site.resolution(resolved).users if resolved else ()
    others = [user for user in users if user != name and os.path.exists(made(user))]
    return tuple(sorted(others, key=lambda user: os.stat(made(user)).st_mtime_ns)[-1:])


def hash_(site: Site, name: str) -> Done:
    from lambdabuild.engine.steps import assemble, handler_check

    sha256, size = site.stats.digest(site.zip(name)), os.path.getsize(site.zip(name))
    notes = [*assemble.check_limits(site, name, size, _shared(site, name)), *handler_check.check(site, name)]
    return Done(
        output=sha256,
        values={"size": size, "notes": notes},
        result={"sha256": sha256, "code_sha256": base64.b64encode(bytes.fromhex(sha256)).decode(), "size": size},
    )


def _shared(site: Site, name: str) -> list[tuple[str, int]]:
    """The shared layers of a build, with their unzipped bytes."""
    from lambdabuild.engine.steps.auto_layers import shared_layers

    return [(layer.name, layer.unzipped) for layer in shared_layers.decided(site).layers if name in layer.builds]


def tree(site: Site, name: str) -> Done:
    resolved, packages = site.build(name).resolution, site.shared.twins.packages
    # Two that are written at once know nothing of one another's files, so the first with its packages is alone.
    with site.shared.trees_lock if resolved else nullcontext():
        if is_first := resolved not in packages:
            _write_tree(site, name)
            packages.add(resolved)
    if not is_first:
        _write_tree(site, name)
    link_users(site, name, "")
    receipt = receipts.read(site.receipt("copy", name))
    return Done(output=receipt.output if receipt else "")


def _write_tree(site: Site, name: str) -> None:
    from lambdabuild.artifacts.archives import lying_in
    from lambdabuild.artifacts.trees import KnownTree, TreeRecord

    target, kept, twins = site.tree(name), site.record("tree", name), site.shared.twins
    ownership.make_room(site, target)
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    entries = lists.read_list(site, name)
    for other in _with_the_same_dependencies(site, name, site.tree):
        if site.tree(other) not in twins.trees and (record := TreeRecord.read(site.record("tree", other))):
            twins.add(site.tree(other), record, _packages_files(site, lists.read_list(site, other)))
    written = (
        lying_in(site.zip(name), entries)
        if materialize.are_away(site, kind_of(site, "zip").bytes_of(site, name))
        else entries
    )
    record = KnownTree(target, kept).update(written, twins)
    twins.add(target, record, _packages_files(site, entries))


def _packages_files(site: Site, entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry.lies, InArchive) or entry.lies.path.startswith(site.state_dir):
            yield entry.path


def link_zips(site: Site, name: str) -> None:
    """Link the zip for all who share the build."""
    link_users(site, name, ".zip")


def link_users(site: Site, name: str, suffix: str) -> None:
    """Those who share the build find it under their own name too."""
    for user in site.build(name).users:
        if user == name:
            continue
        output = Output(site.zip(user)) if suffix else tree_output(site, user)
        link = output.path
        target = os.path.relpath(os.path.join(site.build_dir, name + suffix), os.path.dirname(link))
        ownership.make_room(site, link)
        if os.path.islink(link) and os.readlink(link) == target:
            continue
        ownership.replace(site, output)
        os.symlink(target, link)
