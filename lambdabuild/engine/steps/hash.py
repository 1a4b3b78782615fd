"""``hash``: take the digest of a zip, and check its size and its handlers."""

from __future__ import annotations

import base64
import json
import os

from lambdabuild.engine.base.receipts import StepOutput
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import StepKind
from lambdabuild.engine.freshness import inputs
from lambdabuild.engine.steps.auto_layers import shared_layers
from lambdabuild.engine.steps.contents import assemble, handler_check
from lambdabuild.plan import steps as planned


def inputs_of(run: Run, name: str) -> dict[str, str]:
    components = {
        f"step:zip:{name}": inputs.output(run, f"zip:{name}"),
        f"step:copy:{name}": inputs.output(run, f"copy:{name}"),
    }
    for sizes in run.index.sizes.get(name, ()):
        components[f"layers of {sizes.function}"] = str(sizes.layer_count)
        components[f"handler of {sizes.function}"] = " ".join(sizes.handler)
        components |= {f"step:copy:{layer}": inputs.output(run, f"copy:{layer}") for layer in sizes.layers}
    if name in run.index.candidates:
        components["shared layers"] = json.dumps(run.saved("share:plan").get("sizes", {}).get(name, "not built"))
    return components


def run_step(run: Run, name: str) -> StepOutput:
    sha256, size = run.stats.digest(run.project.zip(name)), os.path.getsize(run.project.zip(name))
    notes = [*assemble.check_limits(run, name, size, _shared(run, name)), *handler_check.check(run, name)]
    return StepOutput(
        output=sha256,
        values={"size": size, "notes": notes},
        result={"sha256": sha256, "code_sha256": base64.b64encode(bytes.fromhex(sha256)).decode(), "size": size},
    )


def _shared(run: Run, name: str) -> list[tuple[str, int]]:
    """The shared layers of a build, with their unzipped bytes."""
    return [(layer.name, layer.unzipped) for layer in shared_layers.decided(run).layers if name in layer.builds]


KIND = StepKind(
    title="take the digest of {} and check its size",
    usual_ms=10,
    planned=planned.hash_,
    inputs=inputs_of,
    run=run_step,
    is_self_contained=lambda run, name: True,
)
