"""``share``: the steps of automatic layers: plan, zip, upload, tree."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lambdabuild.engine.base import destination
from lambdabuild.engine.base.outputs import Output
from lambdabuild.engine.base.plan_index import STRIP
from lambdabuild.engine.base.receipts import StepOutput
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import StepKind
from lambdabuild.engine.freshness import inputs, intact
from lambdabuild.engine.freshness.versions import tool_version
from lambdabuild.engine.steps import read_before
from lambdabuild.engine.steps.auto_layers import shared_layers
from lambdabuild.plan import steps as planned

SHARING_FORMAT = "1"
"""Raised when equal packages give other layers than before."""


def inputs_of(run: Run, name: str) -> dict[str, str]:
    if name == "plan":
        return dict(_what_is_shared(run))
    if name == "upload":
        return {"step:share:zip": inputs.output(run, "share:zip"), "store": destination.identity(run.project)}
    components = {"step:share:plan": inputs.output(run, "share:plan")}
    return components | ({"zip format": inputs.ZIP_FORMAT} if name == "zip" else {})


def _what_is_shared(run: Run) -> Iterator[tuple[str, str]]:
    """Yield who takes part, by what rules, and what each was resolved to; never a source."""
    yield "sharing format", SHARING_FORMAT
    for document in run.project.service.documents:
        yield f"ids of {document.path}", inputs.short(json.dumps(sorted(document.names)))
    for candidate in run.index.candidates.values():
        key = run.index.builds[candidate.build].key
        yield f"dependencies of {candidate.build}", inputs.output(run, f"resolve:{candidate.resolution}")
        yield f"package layers of {key.rule}", inputs.short(repr(run.index.rules[key.rule].package_layers))
        filters = [key.leave_out_dependencies, key.globs.lines, key.globs.prefix]
        decided_by = [candidate.functions, candidate.quota, repr(candidate.group), filters]
        yield f"function {candidate.build}", inputs.short(json.dumps(decided_by))
        if key.strip:
            yield f"stripped for {candidate.build}", tool_version(run.stats, STRIP)


def run_step(run: Run, name: str) -> StepOutput:
    return shared_layers.STEPS[name](run)


def outputs(run: Run, name: str) -> Iterator[Output]:
    """Yield the zips or trees of automatic layers, which are known once the plan of the layers was made."""
    if name in shared_layers.IN_FILES:
        yield from (
            shared_layers.output(run.project, name, layer) for layer in shared_layers.left_by(run.project, name)
        )


def files_in_state(run: Run, name: str) -> Iterator[str]:
    if name in shared_layers.IN_FILES:
        yield from (run.project.record(name, layer) for layer in shared_layers.left_by(run.project, name))


def is_intact(run: Run, name: str, values: intact.Values) -> bool:
    if name == "upload":
        return all(intact.is_published(run, place) for place in values["locations"])
    if name == "tree":
        return all(intact.is_tree_intact(run, layer) for layer in values["layers"])
    try:
        layers = values.get("layers", {}).items()
        return all(run.stats.digest(run.project.zip(layer)) == one["sha256"] for layer, one in layers)
    except OSError:
        return False


KIND = StepKind(
    title="{} of the layers that functions share (auto_layers)",
    usual_ms=200,
    whose="all steps",
    is_for_all=True,
    planned=planned.share,
    inputs=inputs_of,
    run=run_step,
    removed=outputs,
    state=files_in_state,
    is_intact=is_intact,
    bytes_of=read_before.by_share,
)
