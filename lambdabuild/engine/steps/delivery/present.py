"""Is everything there that a template is about to name? Buckets have lifecycle rules, and people clean up."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lambdabuild.core.errors import NoEngine
from lambdabuild.core.plain import JsonObject
from lambdabuild.engine.base import destination, receipts
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.steps.auto_layers import shared_layers
from lambdabuild.engine.steps.delivery import artifacts
from lambdabuild.engine.steps.images import image_upload

Task = tuple[str, str]


def gone(run: Run) -> Iterator[Task]:
    """Yield the upload steps whose object the bucket, or the registry, no longer has.

    Steps that ran in this run have looked already. In a folder store every run looks (``freshness``).
    """
    if destination.bucket(run.project):
        yield from _gone_from_bucket(run)
    for image in run.index.plan.images:
        receipt = _not_looked_at(run, "upload", image.name) if image.key.kind != "tagged" else None
        if receipt is not None and not _is_image_there(run, image.name, receipt.result):
            yield "upload", image.name


def _gone_from_bucket(run: Run) -> Iterator[Task]:
    names = [build.name for build in run.index.plan.builds if build.name not in run.index.unbuildable]
    names += [asset.name for asset in run.index.plan.assets]
    names += [pinned.function for pinned in run.index.plan.pinned]
    for name in names:
        receipt = _not_looked_at(run, "upload", name)
        if receipt is not None and not all(artifacts.has(run, place) for place in _places(run.project, receipt.result)):
            yield "upload", name
    shared = shared_layers.sent(run).values() if _not_looked_at(run, "share", "upload") else ()
    if not all(artifacts.has(run, one["location"]) for one in shared):
        yield "share", "upload"


def _not_looked_at(run: Run, kind: str, name: str) -> receipts.Receipt | None:
    return None if (kind, name) in run.progress.ran else receipts.read(run.project.receipt(kind, name))


def _places(project: Project, sent: JsonObject) -> list[str]:
    return [
        sent["location"],
        *(f"s3://{destination.bucket(project)}/{key}" for key in sent.get("deployed", {}).values()),
    ]


def _is_image_there(run: Run, name: str, sent: JsonObject) -> bool:
    """Return whether the registry has an image; without an engine nobody can ask it, and the image is taken to be
    there.
    """
    try:
        return image_upload.is_there(run, name, sent["location"])
    except NoEngine:
        return True


def send_again(run: Run, name: str, run_again: Callable[[str, str], str]) -> list[str]:
    """Run the upload steps whose objects have gone, so that the template names what is there; return notes."""
    lost = list(gone(run))
    for step in lost:
        run_again(*step)
    return [f"{kind}:{name}: what was sent had gone from there, and is sent again" for kind, name in lost]
