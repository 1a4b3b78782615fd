"""``publish``: publish a layer as a version."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lambdabuild.core.records import to_builtins
from lambdabuild.engine.base import destination
from lambdabuild.engine.base.outputs import Output
from lambdabuild.engine.base.receipts import StepOutput
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import StepKind
from lambdabuild.engine.freshness import inputs, intact
from lambdabuild.engine.freshness.versions import variable
from lambdabuild.engine.steps.delivery import layer_versions
from lambdabuild.plan import steps as planned

ACCOUNT = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN", "AWS_REGION", "AWS_DEFAULT_REGION")
"""Variables that tell one account or region from another; a run with others asks again."""


def inputs_of(run: Run, name: str) -> dict[str, str]:
    """Return what is published, and in which account. The step itself asks Lambda what it has."""
    publication = run.index.publications[name]
    builds = [run.index.plan.build_of(layer).name for layer in publication.layers]
    components = {f"step:upload:{build}": inputs.output(run, f"upload:{build}") for build in builds}
    components |= {f"step:hash:{build}": inputs.output(run, f"hash:{build}") for build in builds}
    components["layer"] = json.dumps(to_builtins(publication), sort_keys=True)
    components["lambda"] = (
        f"{destination.region(run.project)} {run.project.settings.profile} {run.project.settings.endpoint_url}"
    )
    return components | {f"environment:{name}": variable(run, name) for name in ACCOUNT}


def run_step(run: Run, name: str) -> StepOutput:
    published = layer_versions.publish_layer(run, run.index.publications[name])
    layer_versions.write(run, name, published.versions)
    arns = [version["arn"] for version in published.versions]
    return StepOutput(
        output=" ".join(arns),
        values={"versions": arns, "published": published.count, "notes": list(published.notes)},
        result={"versions": list(published.versions)},
    )


def outputs(run: Run, name: str) -> Iterator[Output]:
    yield Output(layer_versions.published_file(run.project))


def is_intact(run: Run, name: str, values: intact.Values) -> bool:
    run.stats.record(layer_versions.published_file(run.project))
    return [version["arn"] for version in layer_versions.published(run.project).get(name, ())] == values.get("versions")


KIND = StepKind(
    title="publish {} as a version of a layer, unless the newest is the same",
    planned=planned.publish,
    inputs=inputs_of,
    run=run_step,
    outputs=outputs,
    is_intact=is_intact,
)
