"""The table of all kinds of steps. A new kind is a module with its functions, and a row here."""

from __future__ import annotations

from collections.abc import Iterator

from lambdabuild.engine.base.plan_index import PlanIndex
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import Step, StepKind, kind_of
from lambdabuild.engine.freshness import image_inputs, inputs, intact, reveals
from lambdabuild.engine.remote import eligibility
from lambdabuild.engine.step_cache import lookup, materialize
from lambdabuild.engine.steps import file_steps, left_behind, place_steps, present, rule_steps
from lambdabuild.plan import steps as planned
from lambdabuild.plan.steps import Step as PlannedStep


def _parts_before(index: PlanIndex, task: str) -> Iterator[Step]:
    """Yield the steps whose results go into a build, as far as they come before a task of it."""
    return _before(index, task, ())


def _before(index: PlanIndex, task: str, through: tuple[str, ...]) -> Iterator[Step]:
    def is_in(step: PlannedStep) -> bool:
        return step.kind in through or kind_of(index, step.kind).has_bytes

    return ((step.kind, step.name) for step in index.graph.before(task, is_in))


def _read_by_compile(run: Run, name: str) -> Iterator[Step]:
    return _parts_before(run.index, f"compile:{name}")


def _read_by_copy(run: Run, name: str) -> Iterator[Step]:
    return _parts_before(run.index, f"copy:{name}")


def _read_by_zip(run: Run, name: str) -> Iterator[Step]:
    return _before(run.index, f"zip:{name}", ("copy",))


def _read_by_tree(run: Run, name: str) -> Iterator[Step]:
    """Leave out what is away: a tree is then made of the zip."""
    return (step for step in _read_by_zip(run, name) if not materialize.is_away(run, *step))


def _read_by_share(run: Run, name: str) -> Iterator[Step]:
    return (step for step in _before(run.index, f"share:{name}", ("share",)) if step[0] != "share")


KINDS: dict[str, StepKind] = {
    "resolve": StepKind(
        title="find and fetch the dependencies of {}",
        usual_ms=5000,
        planned=planned.resolve,
        inputs=inputs.resolve,
        run=rule_steps.resolve,
        state=left_behind.folder_of("resolve"),
        forget=left_behind.containers,
        is_intact=intact.parts_of("resolve"),
        reveals=reveals.resolve,
        has_bytes=True,
        restore=lookup.without_bytes("resolve"),
    ),
    "package": StepKind(
        title="build and install the distribution of {}",
        usual_ms=3000,
        planned=planned.package,
        inputs=inputs.package,
        run=rule_steps.package,
        state=left_behind.folder_of("package"),
        is_intact=intact.parts_of("package"),
        reveals=reveals.package,
        has_bytes=True,
        restore=lookup.without_bytes("package"),
    ),
    "compile": StepKind(
        title="compile {}",
        usual_ms=5000,
        planned=planned.compile,
        inputs=inputs.compile,
        run=rule_steps.compile,
        state=left_behind.folder_of("compile"),
        forget=left_behind.containers,
        is_intact=intact.parts_of("compile"),
        reveals=reveals.compile,
        bytes_of=_read_by_compile,
        has_bytes=True,
        restore=lookup.without_bytes("compile"),
        can_be_remote=eligibility.may_be_compiled,
    ),
    "copy": StepKind(
        title="settle which files go into {}",
        usual_ms=200,
        planned=planned.copy,
        inputs=inputs.copy,
        run=rule_steps.copy,
        state=left_behind.list_of_copy,
        is_intact=intact.parts_of("copy"),
        bytes_of=_read_by_copy,
        restore=lookup.restore_list,
    ),
    "zip": StepKind(
        title="write the zip of {}",
        usual_ms=500,
        planned=planned.zip_,
        inputs=inputs.zip_,
        run=file_steps.zip_,
        outputs=left_behind.zips,
        state=left_behind.record_of("zip"),
        is_intact=intact.zip_,
        bytes_of=_read_by_zip,
        restore=lookup.restore_zip,
        after_restore=file_steps.link_zips,
        can_be_remote=lambda run, name: True,
    ),
    "hash": StepKind(
        title="take the digest of {} and check its size",
        usual_ms=10,
        planned=planned.hash_,
        inputs=inputs.hash_,
        run=file_steps.hash_,
    ),
    "image": StepKind(
        title="build the image of {}, unless the engine has it",
        usual_ms=30_000,
        whose="each function",
        planned=planned.image,
        inputs=inputs.image,
        run=place_steps.image,
        forget=left_behind.image,
        asks_always=image_inputs.asks_for_bases,
    ),
    "upload": StepKind(
        title="put {} into the artifact store, unless it is there",
        usual_ms=100,
        planned=planned.upload,
        inputs=inputs.upload,
        run=place_steps.upload,
        outputs=left_behind.store,
        removed=lambda run, name: (),
        is_intact=intact.uploaded,
        asks_always=image_inputs.asks_for_tag,
    ),
    "tree": StepKind(
        title="write {} as a folder, for sam local",
        usual_ms=300,
        planned=planned.tree,
        inputs=inputs.tree,
        run=file_steps.tree,
        outputs=left_behind.trees,
        state=left_behind.record_of("tree"),
        is_intact=intact.tree,
        bytes_of=_read_by_tree,
    ),
    "publish": StepKind(
        title="publish {} as a version of a layer, unless the newest is the same",
        planned=planned.publish,
        inputs=inputs.publish,
        run=place_steps.publish,
        outputs=left_behind.layer_versions,
        is_intact=intact.published_versions,
    ),
    "share": StepKind(
        title="{} of the layers that functions share (auto_layers)",
        usual_ms=200,
        whose="all steps",
        is_for_all=True,
        planned=planned.share,
        inputs=inputs.share,
        run=place_steps.share,
        removed=left_behind.automatic_layers,
        state=left_behind.records_of_automatic_layers,
        is_intact=intact.automatic_layers,
        bytes_of=_read_by_share,
    ),
    "template": StepKind(
        title="write built-template, packaged-template and manifest.json",
        is_for_all=True,
        needs_all=True,
        planned=planned.template,
        inputs=inputs.template,
        run=place_steps.template,
        outputs=left_behind.templates,
        is_intact=intact.written,
        before_run=present.send_again,
    ),
}
