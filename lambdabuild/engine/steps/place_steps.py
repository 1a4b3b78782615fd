"""The steps that put what was made where others find it: image, upload, publish, share, template."""

from __future__ import annotations

from typing import Any

from lambdabuild.core.errors import CannotRead
from lambdabuild.core.records import replace
from lambdabuild.engine.base import destination, receipts
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.receipts import Done
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.steps.rule_steps import result_of
from lambdabuild.files import fingerprint


def upload(run: Run, name: str) -> Done:
    from lambdabuild.engine.freshness import deployed_stack
    from lambdabuild.engine.steps.publish import artifacts

    if name in run.index.images:
        return _upload_image(run, name)
    if name in run.index.assets:
        return _sent_asset(run, name)
    if name in run.index.pinned:
        return _sent(run.project, artifacts.pinned(run, run.index.pinned[name]))
    receipt = receipts.read(run.project.receipt("hash", name))
    if receipt is None:
        raise CannotRead(f"what hash:{name} found is gone", help=f"doit forget hash:{name}")
    found = receipt.result
    sha256, size = found["sha256"], found["size"]
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


def _published(run: Run, name: str, sha256: str, size: int) -> Done:
    from lambdabuild.engine.steps.publish import artifacts

    version = result_of(run.project, "package", run.index.builds[name].package).facts["version"]
    sent = artifacts.version(run, run.index.sources[name], run.project.zip(name), sha256, size, version)
    done, address = _sent(run.project, sent), artifacts.console_note(run, sent)
    notes = [f"{name} {version} is {sent.location}", *([f"look at it: {address}"] if address else [])]
    values = {**done.values, "version": version, **({"notes": notes} if sent.sent else {})}
    return replace(done, values=values, result={**done.result, "version": version})


def _sent_asset(run: Run, name: str) -> Done:
    from lambdabuild.engine.steps.publish import artifacts

    asset = run.index.assets[name]
    done = _sent(run.project, artifacts.asset(run, asset))
    if done.result["sha256"]:
        return done
    missing = f"{asset.where}: {asset.source} of {name} is not there; a deployment will need it"
    return replace(done, values={**done.values, "notes": [missing]})


def _sent(project: Project, sent: Any, *, is_sent: bool = False) -> Done:
    location = project.portable(sent.location)
    return Done(
        output=location,
        values={"location": location, "sent": sent.sent or is_sent, "size": sent.size},
        result={"location": location, "key": sent.key, "sha256": sent.sha256},
    )


def image(run: Run, name: str) -> Done:
    from lambdabuild.engine.freshness import image_inputs
    from lambdabuild.engine.steps.images import images

    image, made = run.index.images[name], images.make(run, name)
    folders = {image.key.place: image_inputs.files(run, image)} if image.key.kind == "recipe" else {}
    return Done(
        output=made.id,
        values={"size": made.size, "fingerprint": made.fingerprint},
        result={"id": made.id, "size": made.size, "fingerprint": made.fingerprint, "bases": dict(made.bases)},
        folders=folders,
    )


def _upload_image(run: Run, name: str) -> Done:
    from lambdabuild.engine.steps.images import image_upload

    if run.index.images[name].key.kind == "tagged":
        sent = image_upload.ask(run, name)
    else:
        receipt = receipts.read(run.project.receipt("image", name))
        if receipt is None:
            raise CannotRead(f"what image:{name} made is gone", help=f"doit forget image:{name}")
        sent = image_upload.send(run, name, receipt.result)
    return Done(
        output=sent.location,
        values={"location": sent.location, "sent": sent.sent, "size": sent.size},
        result={"location": sent.location, "key": sent.location, "sha256": sent.digest.partition(":")[2]},
    )


def publish(run: Run, name: str) -> Done:
    from lambdabuild.engine.steps.publish import layer_versions

    published = layer_versions.publish_layer(run, run.index.publications[name])
    layer_versions.write(run, name, published.versions)
    arns = [version["arn"] for version in published.versions]
    return Done(
        output=" ".join(arns),
        values={"versions": arns, "published": published.count, "notes": list(published.notes)},
        result={"versions": list(published.versions)},
    )


def share(run: Run, name: str) -> Done:
    from lambdabuild.engine.steps.auto_layers import shared_layers

    made = shared_layers.STEPS[name](run)
    return Done(made.output, made.values, made.result)


def template(run: Run, name: str) -> Done:
    from lambdabuild.engine.steps.publish.templates import templates

    made = templates(run)
    written = {run.project.portable(path): digest for path, digest in made.files.items()}
    return Done(output=fingerprint.of(written), values={"written": written, **made.values})
