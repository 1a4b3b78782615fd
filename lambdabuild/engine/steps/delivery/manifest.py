"""manifest.json: what was built, for machines; each function and layer, what it was made from and where it is."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from lambdabuild.core import regular, units
from lambdabuild.core.plain import Json, JsonObject
from lambdabuild.core.records import to_builtins
from lambdabuild.engine.base import destination, receipts
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.snapshot import PLAN
from lambdabuild.engine.base.template_files import MANIFEST, PACKAGED, TEMPLATE, template_file
from lambdabuild.engine.steps.auto_layers import shared_layers
from lambdabuild.engine.steps.delivery.manifest_items import (
    AssetItem,
    FunctionItem,
    ImageItem,
    LayerItem,
    Manifest,
    PinnedItem,
    SharedLayerItem,
    SourceItem,
)
from lambdabuild.files import fingerprint
from lambdabuild.plan.types import Build, ImageBuild, Pinned

FORMAT = 1

Item = FunctionItem | LayerItem | SourceItem | ImageItem | PinnedItem


def of(run: Run) -> Json:
    """Return the manifest: each function and layer, what it was made from and where it is."""
    last = _last_manifest(run)
    pinned = {item.function: _pinned(run, item) for item in run.index.plan.pinned}
    images = {user: _image(run, image, user) for image in run.index.plan.images for user in image.users}
    builts = dict(_builts(run, "build", last.get("functions", {})))
    manifest = Manifest(
        version=FORMAT,
        functions={**builts, **images, **pinned},
        layers=dict(_builts(run, "layer", last.get("layers", {}))),
        sources=dict(_builts(run, "source", last.get("sources", {}))),
        shared_layers=dict(shared_layers_of(run)),
        left_alone={name: one.reason for one in run.index.left_out for name in one.names},
        assets=dict(_sent_assets(run)),
        templates=_templates(run.project),
    )
    return cast("Json", to_builtins(manifest))


def item_of(run: Run, name: str) -> Json:
    """Return what the manifest says of a function, layer or source. Raises KeyError for any other name."""
    return cast("Json", to_builtins(_item_of(run, name)))


def _item_of(run: Run, name: str) -> Item:
    if name in run.index.pinned:
        return _pinned(run, run.index.pinned[name])
    for image in run.index.plan.images:
        if name in image.users:
            return _image(run, image, name)
    build = run.index.plan.build_of(name)
    return _Results(run, build).item(name)


def _templates(project: Project) -> dict[str, str]:
    if project.service.definition is not None:
        return {".": TEMPLATE}
    return {
        document.stack or ".": os.path.relpath(template_file(project, document, PACKAGED), project.build_dir)
        for document in project.service.documents
    }


def _sent_assets(run: Run) -> Iterator[tuple[str, AssetItem]]:
    for asset in run.index.plan.assets:
        receipt = receipts.read(run.project.receipt("upload", asset.name))
        if receipt is not None:
            yield asset.name, AssetItem(source=asset.source, **_sent(run.project, receipt.result))


def _last_manifest(run: Run) -> JsonObject:
    """Return the last run's manifest if the plan is the same; units that did not run are taken from it."""
    last_run = run.opened_with.snapshot
    if last_run is None or not {PLAN, units.TEMPLATE} <= last_run.clean():
        return {}
    return read(run.project.build_dir)


def read(build_dir: str) -> JsonObject:
    """Return the manifest that was written last; an empty one if it is missing or broken."""
    try:
        with open(os.path.join(build_dir, MANIFEST), encoding="utf-8", opener=regular.opener) as stream:
            return cast("JsonObject", regular.json(stream.read()))
    except (OSError, ValueError):
        return {}


def _pinned(run: Run, item: Pinned) -> PinnedItem:
    receipt = receipts.read(run.project.receipt("upload", item.function))
    sent = _sent(run.project, receipt.result if receipt else {})
    return PinnedItem(source=item.source, version=item.version, **sent)


def _sent(project: Project, sent: JsonObject) -> dict[str, str]:
    sha256 = sent.get("sha256", "")
    return {
        "sha256": sha256,
        "code_sha256": _code_sha256(sha256),
        "location": _portable(project, sent.get("location", "")),
        "key": sent.get("key", ""),
    }


def _builts(run: Run, group: str, last: JsonObject) -> Iterator[tuple[str, Any]]:
    """Yield the functions (group ``build``), layers or sources that have an artifact, or what ``last`` says of them."""
    settled = run.settled - {name for _, name in run.progress.ran}
    for build in run.index.plan.builds:
        users = [user for user in build.users if build.group(user) == group]
        if not users or build.name in run.index.unbuildable:
            continue
        if build.name in settled and all(user in last for user in users):
            yield from ((user, last[user]) for user in users)
            continue
        results = _Results(run, build)
        yield from ((user, results.item(user)) for user in users)


class _Results:
    """What the steps of a build left, read once for all who have its artifact."""

    def __init__(self, run: Run, build: Build) -> None:
        self.run, self.build = run, build
        kept = {step: receipts.read(run.project.receipt(step, build.name)) for step in ("copy", "hash", "upload")}
        self.copied, self.hashed, self.sent = (receipt.result if receipt else {} for receipt in kept.values())
        copied = kept["copy"]
        self.inputs = fingerprint.of(dict(copied.components)) if copied else ""

    def item(self, user: str) -> FunctionItem | LayerItem | SourceItem:
        """Return the item of a function, layer or source. Raises KeyError for a group that has none."""
        return KINDS[self.build.group(user)](self, user)

    def common(self, user: str) -> Mapping[str, Any]:
        project, key = self.run.project, self.build.key
        shared = shared_layers.decided(self.run).layers
        return {
            "rule": key.rule,
            "runtime": key.runtime,
            "architecture": key.architecture,
            "source": key.source,
            "manifest": key.manifest,
            "inputs_digest": self.inputs,
            "tree_digest": self.copied.get("tree_digest", ""),
            "sha256": self.hashed.get("sha256", ""),
            "code_sha256": self.hashed.get("code_sha256", ""),
            "zip_bytes": self.hashed.get("size", 0),
            "unzipped_bytes": self.copied.get("unzipped", 0),
            "files": self.copied.get("files", 0),
            "tree": os.path.relpath(project.tree(user), project.build_dir),
            "zip": os.path.relpath(project.zip(user), project.build_dir),
            **_place(project, self.sent, user),
            "packages": self.copied.get("packages", []),
            "left_out": self.copied.get("left_out", []),
            "shared_layers": [layer.name for layer in shared if self.build.name in layer.builds],
            "shared_with": [other for other in self.build.users if other != user],
            "resolution": self.build.resolution,
        }


def _function(results: _Results, user: str) -> FunctionItem:
    function = results.run.index.functions[user]
    own = {"handler": function.handler, "layers": list(function.layers), "version": results.sent.get("version", "")}
    return FunctionItem(**results.common(user), **own)


def _layer(results: _Results, user: str) -> LayerItem:
    return LayerItem(**results.common(user))


def _source(results: _Results, user: str) -> SourceItem:
    return SourceItem(**results.common(user), version=results.sent.get("version", ""))


KINDS: Mapping[str, Callable[[_Results, str], FunctionItem | LayerItem | SourceItem]] = {
    "build": _function,
    "layer": _layer,
    "source": _source,
}
"""A group of tasks -> what makes the item of one of them."""


def _place(project: Project, sent: JsonObject, user: str) -> dict[str, str]:
    """Return the location of an artifact; a layer of a deployed stack stays where it was."""
    key = sent.get("deployed", {}).get(user, "")
    location = f"s3://{destination.bucket(project)}/{key}" if key else _portable(project, sent.get("location", ""))
    return {"location": location, "key": key or sent.get("key", "")}


def _code_sha256(sha256: str) -> str:
    """As Lambda tells it."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def shared_layers_of(run: Run) -> Iterator[tuple[str, SharedLayerItem]]:
    """The layers that nobody wrote, each with what is in it and who uses it."""
    sent = shared_layers.sent(run)
    for layer in shared_layers.decided(run).layers:
        one = sent.get(layer.name, {})
        yield (
            layer.name,
            SharedLayerItem(
                packages=list(layer.packages),
                functions=list(layer.functions),
                runtime=layer.runtime,
                architecture=layer.architecture,
                zip_bytes=one.get("size", 0),
                unzipped_bytes=layer.unzipped,
                tree=os.path.relpath(run.project.tree(layer.name), run.project.build_dir),
                zip=os.path.relpath(run.project.zip(layer.name), run.project.build_dir),
                **_sent(run.project, one),
            ),
        )


def shared_layers_as_data(run: Run) -> Json:
    """Return the same as the manifest has it."""
    return {name: to_builtins(item) for name, item in shared_layers_of(run)}


def _image(run: Run, image: ImageBuild, user: str) -> ImageItem:
    receipt = {kind: receipts.read(run.project.receipt(kind, image.name)) for kind in image.steps}
    results = {kind: kept.result if kept else {} for kind, kept in receipt.items()}
    made, sent = results.get("image", {}), results.get("upload", {})
    return ImageItem(
        image=image.local_name(user) if "image" in image.steps else "",
        image_id=made.get("id", ""),
        image_bytes=made.get("size", 0),
        inputs_digest=made.get("fingerprint", ""),
        bases=made.get("bases", {}),
        source=image.key.place,
        dockerfile=image.key.dockerfile,
        platform=image.key.platform,
        location=sent.get("location", ""),
        key=sent.get("key", ""),
        sha256=sent.get("sha256", ""),
        code_sha256=sent.get("sha256", ""),
        shared_with=[other for other in image.users if other != user],
    )


def _portable(project: Project, location: str) -> str:
    """A file's place is told relative to the build folder, so that two checkouts give one manifest."""
    location = project.expand(location)
    return location if not location or location.startswith("s3://") else os.path.relpath(location, project.build_dir)
