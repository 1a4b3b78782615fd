"""``template``: write the templates and the manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lambdabuild.core.model import Rewrite
from lambdabuild.engine.base import destination, template_files
from lambdabuild.engine.base.outputs import Output
from lambdabuild.engine.base.receipts import StepOutput
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import StepKind
from lambdabuild.engine.freshness import inputs, intact
from lambdabuild.engine.steps.delivery import cloud_assembly, present, serverless_outputs
from lambdabuild.engine.steps.delivery.templates import templates
from lambdabuild.files import fingerprint
from lambdabuild.plan import steps as planned


def inputs_of(run: Run, name: str) -> dict[str, str]:
    components = {f"file:{document.path}": inputs.short(document.text) for document in run.project.service.documents}
    definition = run.project.service.definition
    if definition is not None:
        components[f"file:{definition.path}"] = definition.digest
        components |= {"stage": definition.stage, "region": definition.region}
        components["compatible outputs"] = run.project.settings.serverless_dir
    components["left out"] = json.dumps(dict(run.index.unbuildable))
    for build in run.index.plan.builds:
        components[f"step:upload:{build.name}"] = inputs.output(run, f"upload:{build.name}")
        components[f"users of {build.name}"] = ",".join(build.users)
    for image in run.index.plan.images:
        components[f"image:{image.name}"] = " ".join(image.local_names)
        components |= {f"step:{kind}:{image.name}": inputs.output(run, f"{kind}:{image.name}") for kind in image.steps}
    components |= {
        f"step:upload:{asset.name}": inputs.output(run, f"upload:{asset.name}") for asset in run.index.plan.assets
    }
    components |= {
        f"step:share:{step}": inputs.output(run, f"share:{step}") for step in run.index.sharing_steps if step != "zip"
    }
    components["assembly"] = cloud_assembly.inputs_of(run)
    places = [_place(rewrite) for document in run.project.service.documents for rewrite in document.rewrites]
    return components | {"places": inputs.short(json.dumps(places)), "store": destination.identity(run.project)}


def _place(rewrite: Rewrite) -> list[Any]:
    kept = [rewrite.iteration.otherwise] if rewrite.iteration is not None else []
    return [rewrite.target, rewrite.span.start, rewrite.span.end, *kept]


def run_step(run: Run, name: str) -> StepOutput:
    made = templates(run)
    notes = cloud_assembly.write(run) if run.project.service.assembly else []
    written = {run.project.portable(path): digest for path, digest in made.files.items()}
    return StepOutput(output=fingerprint.of(written), values={"written": written, **made.values, **_noted(made, notes)})


def _noted(made: serverless_outputs.Written, notes: list[str]) -> dict[str, list[str]]:
    return {"notes": [*made.values.get("notes", ()), *notes]} if notes else {}


def outputs(run: Run, name: str) -> Iterator[Output]:
    yield from map(Output, template_files.outputs(run.project))
    if run.project.service.assembly:
        yield cloud_assembly.output(run)


def is_intact(run: Run, name: str, values: intact.Values) -> bool:
    files = values.get("written", {})
    if run.project.service.assembly and not cloud_assembly.is_intact(run):
        return False
    return all(fingerprint.of_file(run.project.expand(path), run.stats) == files[path] for path in files)


KIND = StepKind(
    title="write built-template, packaged-template and manifest.json",
    is_for_all=True,
    needs_all=True,
    planned=planned.template,
    inputs=inputs_of,
    run=run_step,
    outputs=outputs,
    is_intact=is_intact,
    before_run=present.send_again,
)
