"""manifest.json: what was built, for machines; each function and layer, what it was made from and where it is."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from typing import cast

from lambdabuild.core import regular, units
from lambdabuild.core.plain import Json, JsonObject
from lambdabuild.engine.base import destination, receipts
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.snapshot import PLAN
from lambdabuild.engine.base.template_files import MANIFEST, PACKAGED, TEMPLATE, template_file
from lambdabuild.engine.steps.auto_layers import shared_layers
from lambdabuild.files import fingerprint


def of(run: Run) -> Json:
    """Return the manifest: each function and layer, what it was made from and where it is."""
    last = _last_manifest(run)
    return {
        "version": 1,
        "functions": {
            **dict(_items(run, "build", last.get("functions", {}))),
            **dict(_image_items(run)),
            **dict(_pinned(run)),
        },
        "layers": dict(_items(run, "layer", last.get("layers", {}))),
        "sources": dict(_items(run, "source", last.get("sources", {}))),
        "shared_layers": dict(shared_layers_of(run)),
        "left_alone": {name: one.reason for one in run.index.left_out for name in one.names},
        "assets": dict(_sent_assets(run)),
        "templates": _templates(run.project),
    }


def _templates(project: Project) -> dict[str, str]:
    if project.service.definition is not None:
        return {".": TEMPLATE}
    return {
        document.stack or ".": os.path.relpath(template_file(project, document, PACKAGED), project.build_dir)
        for document in project.service.documents
    }


def _sent_assets(run: Run) -> Iterator[tuple[str, Json]]:
    for asset in run.index.plan.assets:
        receipt = receipts.read(run.project.receipt("upload", asset.name))
        if receipt is not None:
            sha256 = receipt.result["sha256"]
            yield (
                asset.name,
                {
                    "source": asset.source,
                    "sha256": sha256,
                    "code_sha256": _code_sha256(sha256),
                    "location": _portable(run.project, receipt.result["location"]),
                    "key": receipt.result["key"],
                },
            )


def _last_manifest(run: Run) -> JsonObject:
    """Return the last run's manifest if the plan is the same; units that did not run are taken from it."""
    last_run = run.opened_with.snapshot
    if last_run is None or not {PLAN, units.TEMPLATE} <= last_run.clean():
        return {}
    try:
        with open(os.path.join(run.project.build_dir, MANIFEST), encoding="utf-8", opener=regular.opener) as stream:
            return cast("JsonObject", regular.json(stream.read()))
    except (OSError, ValueError):
        return {}


def _pinned(run: Run) -> Iterator[tuple[str, Json]]:
    for item in run.index.plan.pinned:
        receipt = receipts.read(run.project.receipt("upload", item.function))
        sent = receipt.result if receipt else {}
        yield (
            item.function,
            {
                "source": item.source,
                "version": item.version,
                "sha256": sent.get("sha256", ""),
                "code_sha256": _code_sha256(sent.get("sha256", "")),
                "location": _portable(run.project, sent.get("location", "")),
                "key": sent.get("key", ""),
            },
        )


def _items(run: Run, group: str, last: JsonObject) -> Iterator[tuple[str, Json]]:
    """The functions (group ``build``), layers or sources that have an artifact."""
    settled = run.settled - {name for _, name in run.progress.ran}
    shared = shared_layers.decided(run).layers
    for build in run.index.plan.builds:
        users = [user for user in build.users if build.group(user) == group]
        if not users or build.name in run.index.unbuildable:
            continue
        if build.name in settled and all(user in last for user in users):
            yield from ((user, last[user]) for user in users)
            continue
        receipts_of = {
            step: receipts.read(run.project.receipt(step, build.name)) for step in ("copy", "hash", "upload")
        }
        results = {step: receipt.result if receipt else {} for step, receipt in receipts_of.items()}
        copied = receipts_of["copy"]
        inputs = fingerprint.of(dict(copied.components)) if copied else ""
        for user in users:
            yield (
                user,
                {
                    "rule": build.key.rule,
                    "runtime": build.key.runtime,
                    "architecture": build.key.architecture,
                    "source": build.key.source,
                    "manifest": build.key.manifest,
                    "inputs_digest": inputs,
                    "tree_digest": results["copy"].get("tree_digest", ""),
                    "sha256": results["hash"].get("sha256", ""),
                    "code_sha256": results["hash"].get("code_sha256", ""),
                    "zip_bytes": results["hash"].get("size", 0),
                    "unzipped_bytes": results["copy"].get("unzipped", 0),
                    "files": results["copy"].get("files", 0),
                    "tree": os.path.relpath(run.project.tree(user), run.project.build_dir),
                    "zip": os.path.relpath(run.project.zip(user), run.project.build_dir),
                    **_place(run.project, results["upload"], user),
                    "packages": results["copy"].get("packages", []),
                    "left_out": results["copy"].get("left_out", []),
                    "shared_layers": [layer.name for layer in shared if build.name in layer.builds],
                    "shared_with": [other for other in build.users if other != user],
                    "resolution": build.resolution,
                    **({"version": results["upload"].get("version", "")} if build.key.kind == "source" else {}),
                },
            )


def _place(project: Project, sent: JsonObject, user: str) -> dict[str, str]:
    """Return the location of an artifact; a layer of a deployed stack stays where it was."""
    key = sent.get("deployed", {}).get(user, "")
    location = f"s3://{destination.bucket(project)}/{key}" if key else _portable(project, sent.get("location", ""))
    return {"location": location, "key": key or sent.get("key", "")}


def _code_sha256(sha256: str) -> str:
    """As Lambda tells it."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def shared_layers_of(run: Run) -> Iterator[tuple[str, Json]]:
    """The layers that nobody wrote, each with what is in it and who uses it."""
    sent = shared_layers.sent(run)
    for layer in shared_layers.decided(run).layers:
        one = sent.get(layer.name, {})
        sha256 = one.get("sha256", "")
        yield (
            layer.name,
            {
                "packages": list(layer.packages),
                "functions": list(layer.functions),
                "runtime": layer.runtime,
                "architecture": layer.architecture,
                "sha256": sha256,
                "code_sha256": _code_sha256(sha256),
                "zip_bytes": one.get("size", 0),
                "unzipped_bytes": layer.unzipped,
                "tree": os.path.relpath(run.project.tree(layer.name), run.project.build_dir),
                "zip": os.path.relpath(run.project.zip(layer.name), run.project.build_dir),
                "location": _portable(run.project, one.get("location", "")),
                "key": one.get("key", ""),
            },
        )


def _image_items(run: Run) -> Iterator[tuple[str, Json]]:
    for image in run.index.plan.images:
        receipt = {kind: receipts.read(run.project.receipt(kind, image.name)) for kind in image.steps}
        results = {kind: kept.result if kept else {} for kind, kept in receipt.items()}
        made, sent = results.get("image", {}), results.get("upload", {})
        for user in image.users:
            yield (
                user,
                {
                    "image": image.local_name(user) if "image" in image.steps else "",
                    "image_id": made.get("id", ""),
                    "image_bytes": made.get("size", 0),
                    "inputs_digest": made.get("fingerprint", ""),
                    "bases": made.get("bases", {}),
                    "source": image.key.place,
                    "dockerfile": image.key.dockerfile,
                    "platform": image.key.platform,
                    "location": sent.get("location", ""),
                    "key": sent.get("key", ""),
                    "sha256": sent.get("sha256", ""),
                    "code_sha256": sent.get("sha256", ""),
                    "shared_with": [other for other in image.users if other != user],
                },
            )


def _portable(project: Project, location: str) -> str:
    """A file's place is told relative to the build folder, so that two checkouts give one manifest."""
    location = project.expand(location)
    return location if location.startswith("s3://") else os.path.relpath(location, project.build_dir)
