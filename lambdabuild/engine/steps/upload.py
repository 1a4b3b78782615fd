"""``upload``: put an artifact where it is deployed from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lambdabuild.core.errors import CannotRead
from lambdabuild.core.records import astuple, replace
from lambdabuild.engine.base import destination, receipts
from lambdabuild.engine.base.outputs import Output
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.receipts import StepOutput
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import StepKind
from lambdabuild.engine.freshness import deployed_stack, image_inputs, inputs, intact
from lambdabuild.engine.steps.delivery import artifacts
from lambdabuild.engine.steps.images import image_upload
from lambdabuild.engine.steps.rule_jobs import jobs
from lambdabuild.files import fingerprint
from lambdabuild.plan import steps as planned
from lambdabuild.plan.types import ImageBuild


def inputs_of(run: Run, name: str) -> dict[str, str]:
    if name in run.index.images:
        return _inputs_of_image(run, run.index.images[name])
    asset = run.index.assets.get(name)
    if asset is not None:
        digest = fingerprint.of_file(run.project.path(asset.source), run.stats)
        return {f"file:{asset.source}": digest, "store": destination.identity(run.project)}
    pinned = run.index.pinned.get(name)
    if pinned is not None:
        place = run.index.sources[pinned.source].prefix
        return {
            "version": pinned.version,
            "source": f"{pinned.source} {place}",
            "store": destination.identity(run.project),
        }
    if name in run.index.sources:
        components = {
            f"step:hash:{name}": inputs.output(run, f"hash:{name}"),
            "store": destination.identity(run.project),
        }
        return components | {"published": json.dumps(astuple(run.index.sources[name]))}
    return {f"step:hash:{name}": inputs.output(run, f"hash:{name}"), "store": destination.identity(run.project)}


def _inputs_of_image(run: Run, image: ImageBuild) -> dict[str, str]:
    if image.key.kind == "tagged":
        return {"image": image.key.place}
    components = {f"step:image:{image.name}": inputs.output(run, f"image:{image.name}")}
    return components | {"repository": image.key.repository, "tags": " ".join(image.key.push_tags)}


def run_step(run: Run, name: str) -> StepOutput:
    if name in run.index.images:
        return _upload_image(run, name)
    if name in run.index.assets:
        return _sent_asset(run, name)
    if name in run.index.pinned:
        return _sent(run.project, artifacts.pinned(run, run.index.pinned[name]))
    receipt = receipts.read(run.project.receipt("hash", name))
    if receipt is None:
        raise CannotRead(f"what hash:{name} found is gone", help=f"doit forget hash:{name}")
    hashed = receipt.result
    sha256, size = hashed["sha256"], hashed["size"]
    if name in run.index.sources:
        return _published(run, name, sha256, size)
    kept = deployed_stack.layer_keys(run, name, sha256) if run.index.builds[name].key.kind == "layer" else {}
    again = [artifacts.put_at(run, key, run.project.zip(name), sha256, size) for key in dict.fromkeys(kept.values())]
    has_new = set(run.index.builds[name].users) != set(kept)
    new = (
        [artifacts.put(run, destination.artifact_key(run.project, sha256), run.project.zip(name), sha256, size)]
        if has_new
        else []
    )
    done = _sent(run.project, [*new, *again][0], is_sent=any(sent.sent for sent in (*new, *again)))
    if not kept:
        return done
    return replace(done, output=" ".join([done.output, *kept.values()]), result={**done.result, "deployed": kept})


def _published(run: Run, name: str, sha256: str, size: int) -> StepOutput:
    version = jobs.result_of(run.project, "package", run.index.builds[name].package).facts["version"]
    sent = artifacts.version(run, run.index.sources[name], run.project.zip(name), sha256, size, version)
    done, address = _sent(run.project, sent), artifacts.console_note(run, sent)
    notes = [f"{name} {version} is {sent.location}", *([f"look at it: {address}"] if address else [])]
    values = {**done.values, "version": version, **({"notes": notes} if sent.sent else {})}
    return replace(done, values=values, result={**done.result, "version": version})


def _sent_asset(run: Run, name: str) -> StepOutput:
    asset = run.index.assets[name]
    done = _sent(run.project, artifacts.asset(run, asset))
    if done.result["sha256"]:
        return done
    missing = f"{asset.where}: {asset.source} of {name} is not there; a deployment will need it"
    return replace(done, values={**done.values, "notes": [missing]})


def _sent(project: Project, sent: Any, *, is_sent: bool = False) -> StepOutput:
    location = project.portable(sent.location)
    return StepOutput(
        output=location,
        values={"location": location, "sent": sent.sent or is_sent, "size": sent.size},
        result={"location": location, "key": sent.key, "sha256": sent.sha256},
    )


def _upload_image(run: Run, name: str) -> StepOutput:
    if run.index.images[name].key.kind == "tagged":
        sent = image_upload.ask(run, name)
    else:
        receipt = receipts.read(run.project.receipt("image", name))
        if receipt is None:
            raise CannotRead(f"what image:{name} made is gone", help=f"doit forget image:{name}")
        sent = image_upload.send(run, name, receipt.result)
    return StepOutput(
        output=sent.location,
        values={"location": sent.location, "sent": sent.sent, "size": sent.size},
        result={"location": sent.location, "key": sent.location, "sha256": sent.digest.partition(":")[2]},
    )


def outputs(run: Run, name: str) -> Iterator[Output]:
    if not destination.bucket(run.project) and not run.project.settings.store:
        yield Output(run.project.store_dir, "store")


def is_intact(run: Run, name: str, values: intact.Values) -> bool:
    return name in run.index.images or intact.is_published(run, values.get("location", ""))


def is_put_into_folder(run: Run, name: str) -> bool:
    """Return whether a function's zip goes into a folder of this machine."""
    return name in run.index.builds and name not in run.index.sources and not destination.bucket(run.project)


KIND = StepKind(
    title="put {} into the artifact store, unless it is there",
    usual_ms=100,
    planned=planned.upload,
    inputs=inputs_of,
    run=run_step,
    outputs=outputs,
    removed=lambda run, name: (),
    is_intact=is_intact,
    asks_always=image_inputs.asks_for_tag,
    is_self_contained=is_put_into_folder,
)
