"""``zip``: write the zip of a build."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from lambdabuild.artifacts.zips import ZipSummary, write_zip
from lambdabuild.engine.base import lists, ownership, receipts
from lambdabuild.engine.base.outputs import Output
from lambdabuild.engine.base.receipts import StepOutput
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import StepKind
from lambdabuild.engine.freshness import inputs, intact
from lambdabuild.engine.remote import workers
from lambdabuild.engine.step_cache import lookup
from lambdabuild.engine.steps import left_behind, read_before
from lambdabuild.engine.steps.contents import links
from lambdabuild.engine.steps.rule_jobs import remote_zip
from lambdabuild.plan import steps as planned


def inputs_of(run: Run, name: str) -> dict[str, str]:
    return {f"step:copy:{name}": inputs.output(run, f"copy:{name}"), "zip format": inputs.ZIP_FORMAT}


def run_step(run: Run, name: str) -> StepOutput:
    target, kept = run.project.zip(name), run.project.record("zip", name)
    ownership.make_room(run, target)
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    entries, where = lists.read_list(run, name), ""
    if workers.goes(run, "zip", name):
        summary, where = remote_zip.write(run, name, entries, target)
        summary.write(kept)
    else:
        with _in_turn(run, name) as newest:
            packed = (ZipSummary.read(run.project.record("zip", one), run.project.zip(one)) for one in (name, *newest))
            summary = write_zip(target, entries, previous=filter(None, packed), recent=run.stats.recent)
            summary.write(kept)  # before it is another's turn, who copies what is packed
    link_zips(run, name)
    return StepOutput(
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
        yield links.with_the_same_dependencies(run.index, name, run.project.zip)


def outputs(run: Run, name: str) -> Iterator[Output]:
    return (Output(run.project.zip(user)) for user in run.index.builds[name].users)


def link_zips(run: Run, name: str) -> None:
    """Link the zip for all who share the build."""
    links.link_users(run, name, ".zip")


def is_intact(run: Run, name: str, values: intact.Values) -> bool:
    try:
        return bool(run.stats.digest(run.project.zip(name)) == values["output"])
    except OSError:
        return False


KIND = StepKind(
    title="write the zip of {}",
    usual_ms=500,
    planned=planned.zip_,
    inputs=inputs_of,
    run=run_step,
    outputs=outputs,
    state=left_behind.record_of("zip"),
    is_intact=is_intact,
    bytes_of=read_before.by_zip,
    restore=lookup.restore_zip,
    after_restore=link_zips,
    is_self_contained=lambda run, name: True,
    can_be_remote=lambda run, name: True,
)
