"""``image``: build the image of a function."""

from __future__ import annotations

from lambdabuild.core import messages
from lambdabuild.core.errors import NoEngine
from lambdabuild.engine.base import receipts
from lambdabuild.engine.base.receipts import StepOutput
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import StepKind
from lambdabuild.engine.freshness import image_inputs
from lambdabuild.engine.steps.images import images
from lambdabuild.plan import steps as planned


def inputs_of(run: Run, name: str) -> dict[str, str]:
    image = run.index.images[name]
    return image_inputs.inputs(run, image) | {"name": " ".join(image.local_names)}


def run_step(run: Run, name: str) -> StepOutput:
    image, made = run.index.images[name], images.make(run, name)
    folders = {image.key.place: image_inputs.files(run, image)} if image.key.kind == "recipe" else {}
    return StepOutput(
        output=made.id,
        values={"size": made.size, "fingerprint": made.fingerprint},
        result={"id": made.id, "size": made.size, "fingerprint": made.fingerprint, "bases": dict(made.bases)},
        folders=folders,
    )


def forget(run: Run, name: str) -> None:
    """Remove an image. Without an engine there is nothing to remove but files."""
    receipt = receipts.read(run.project.receipt("image", name))
    try:
        if receipt is not None:
            images.remove(run, name, receipt.result)
    except NoEngine as error:
        messages.report(error)


KIND = StepKind(
    title="build the image of {}, unless the engine has it",
    usual_ms=30_000,
    whose="each function",
    planned=planned.image,
    inputs=inputs_of,
    run=run_step,
    forget=forget,
    asks_always=image_inputs.asks_for_bases,
)
