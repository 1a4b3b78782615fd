"""Is everything there that a template is about to name? Buckets have lifecycle rules, and people clean up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lambdabuild.core.errors import NoEngine
from lambdabuild.engine.base import receipts
from lambdabuild.engine.base.site import Site
from lambdabuild.engine.steps.auto_layers import shared_layers
from lambdabuild.engine.steps.publish import artifacts

Task = tuple[str, str]


def gone(site: Site) -> Iterator[Task]:
    """Yield the upload steps whose object the bucket, or the registry, no longer has.

    Steps that ran in this run have looked already. In a folder store every run looks (``freshness``).
    """
    if site.bucket:
        yield from _gone_from_bucket(site)
    for image in site.plan.images:
        receipt = _not_looked_at(site, "upload", image.name) if image.key.kind != "tagged" else None
        if receipt is not None and not _is_image_there(site, image.name, receipt.result):
            yield "upload", image.name


def _gone_from_bucket(site: Site) -> Iterator[Task]:
    names = [build.name for build in site.plan.builds if build.name not in site.unbuildable]
    names += [asset.name for asset in site.plan.assets]
    names += [pinned.function for pinned in site.plan.pinned]
    for name in names:
        receipt = _not_looked_at(site, "upload", name)
        if receipt is not None and not all(artifacts.has(site, place) for place in _places(site, receipt.result)):
            yield "upload", name
    shared = shared_layers.sent(site).values() if _not_looked_at(site, "share", "upload") else ()
    if not all(artifacts.has(site, one["location"]) for one in shared):
        yield "share", "upload"


def _not_looked_at(site: Site, kind: str, name: str) -> receipts.Receipt | None:
    return None if (kind, name) in site.shared.ran else receipts.read(site.receipt(kind, name))


def _places(site: Site, sent: Mapping[str, Any]) -> list[str]:
    return [sent["location"], *(f"s3://{site.bucket}/{key}" for key in sent.get("deployed", {}).values())]


def _is_image_there(site: Site, name: str, sent: Mapping[str, Any]) -> bool:
    """Return whether the registry has an image; without an engine nobody can ask it, and the image is taken to be
    there.
    """
    from lambdabuild.engine.steps.images import image_upload

    try:
        return image_upload.is_there(site, name, sent["location"])
    except NoEngine:
        return True


def send_again(site: Site, name: str, run_again: Callable[[str, str], str]) -> list[str]:
    """Run the upload steps whose objects have gone, so that the template names what is there; return notes."""
    lost = list(gone(site))
    for step in lost:
        run_again(*step)
    return [f"{kind}:{name}: what was sent had gone from there, and is sent again" for kind, name in lost]
