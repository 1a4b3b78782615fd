"""``tree``: write a build as a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import nullcontext

from lambdabuild.artifacts.archives import lying_in
from lambdabuild.artifacts.entries import Entry, InArchive
from lambdabuild.artifacts.trees import KnownTree, TreeRecord
from lambdabuild.engine.base import lists, ownership, receipts
from lambdabuild.engine.base.outputs import Output, tree_output
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.receipts import StepOutput
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import StepKind, kind_of
from lambdabuild.engine.freshness import inputs, intact
from lambdabuild.engine.step_cache import materialize
from lambdabuild.engine.steps import left_behind, read_before
from lambdabuild.engine.steps.contents import links
from lambdabuild.plan import steps as planned


def inputs_of(run: Run, name: str) -> dict[str, str]:
    return {f"step:copy:{name}": inputs.output(run, f"copy:{name}"), "users": ",".join(run.index.builds[name].users)}


def run_step(run: Run, name: str) -> StepOutput:
    resolved, packages = run.index.builds[name].resolution, run.hardlinks.packages
    # Two that are written at once know nothing of one another's files, so the first with its packages is alone.
    with run.trees_lock if resolved else nullcontext():
        if is_first := resolved not in packages:
            _write_tree(run, name)
            packages.add(resolved)
    if not is_first:
        _write_tree(run, name)
    links.link_users(run, name, "")
    receipt = receipts.read(run.project.receipt("copy", name))
    return StepOutput(output=receipt.output if receipt else "")


def _write_tree(run: Run, name: str) -> None:
    target, kept, hardlinks = run.project.tree(name), run.project.record("tree", name), run.hardlinks
    ownership.make_room(run, target)
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    entries = lists.read_list(run, name)
    for other in links.with_the_same_dependencies(run.index, name, run.project.tree):
        if run.project.tree(other) not in hardlinks.trees and (
            record := TreeRecord.read(run.project.record("tree", other))
        ):
            hardlinks.add(run.project.tree(other), record, _packages_files(run.project, lists.read_list(run, other)))
    written = (
        lying_in(run.project.zip(name), entries)
        if materialize.are_away(run, kind_of(run.index, "zip").bytes_of(run, name))
        else entries
    )
    record = KnownTree(target, kept).update(written, hardlinks, run.stats.recent)
    hardlinks.add(target, record, _packages_files(run.project, entries))


def _packages_files(project: Project, entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry.location, InArchive) or entry.location.path.startswith(project.state_dir):
            yield entry.path


def outputs(run: Run, name: str) -> Iterator[Output]:
    return (tree_output(run.project, user) for user in run.index.builds[name].users)


def is_intact(run: Run, name: str, values: intact.Values) -> bool:
    return intact.is_tree_intact(run, name)


KIND = StepKind(
    title="write {} as a folder, for sam local",
    usual_ms=300,
    planned=planned.tree,
    inputs=inputs_of,
    run=run_step,
    outputs=outputs,
    state=left_behind.record_of("tree"),
    is_intact=is_intact,
    bytes_of=read_before.by_tree,
    is_self_contained=lambda run, name: True,
)
