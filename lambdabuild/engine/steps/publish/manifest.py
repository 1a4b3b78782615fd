"""manifest.json: what was built, for machines; each function and layer, what it was made from and where it is."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from typing import Any, cast

from lambdabuild.core import regular, units
from lambdabuild.engine.base import receipts
from lambdabuild.engine.base.site import Site
from lambdabuild.engine.base.snapshot import PLAN
from lambdabuild.engine.base.template_files import MANIFEST, PACKAGED, TEMPLATE, template_file
from lambdabuild.engine.steps.auto_layers import shared_layers
from lambdabuild.files import fingerprint


def of(site: Site) -> dict[str, Any]:
    """Return the manifest: each function and layer, what it was made from and where it is."""
    last = _last_manifest(site)
    return {
        "version": 1,
        "functions": {
            **dict(_items(site, "build", last.get("functions", {}))),
            **dict(_image_items(site)),
            **dict(_pinned(site)),
        },
        "layers": dict(_items(site, "layer", last.get("layers", {}))),
        "sources": dict(_items(site, "source", last.get("sources", {}))),
        "shared_layers": dict(shared_layers_of(site)),
        "left_alone": {name: one.reason for one in site.left_out for name in one.names},
        "assets": dict(_sent_assets(site)),
        "templates": _templates(site),
    }


def _templates(site: Site) -> dict[str, str]:
    if site.service.definition is not None:
        return {".": TEMPLATE}
    return {
        document.stack or ".": os.path.relpath(template_file(site, document, PACKAGED), site.build_dir)
        for document in site.service.documents
    }


def _sent_assets(site: Site) -> Iterator[tuple[str, dict[str, Any]]]:
    for asset in site.plan.assets:
        receipt = receipts.read(site.receipt("upload", asset.name))
        if receipt is not None:
            sha256 = receipt.result["sha256"]
            yield (
                asset.name,
                {
                    "source": asset.source,
                    "sha256": sha256,
                    "code_sha256": _code_sha256(sha256),
                    "location": _portable(site, receipt.result["location"]),
                    "key": receipt.result["key"],
                },
            )


def _last_manifest(site: Site) -> Mapping[str, Any]:
    """Return the last run's manifest if the plan is the same; units that did not run are taken from it."""
    found = site.given.snapshot
    if found is None or not {PLAN, units.TEMPLATE} <= found.clean():
        return {}
    try:
        with open(os.path.join(site.build_dir, MANIFEST), encoding="utf-8", opener=regular.opener) as stream:
            return cast("Mapping[str, Any]", regular.json(stream.read()))
    except (OSError, ValueError):
        return {}


def _pinned(site: Site) -> Iterator[tuple[str, dict[str, Any]]]:
    for item in site.plan.pinned:
        receipt = receipts.read(site.receipt("upload", item.function))
        found = receipt.result if receipt else {}
        yield (
            item.function,
            {
                "source": item.source,
                "version": item.version,
                "sha256": found.get("sha256", ""),
                "code_sha256": _code_sha256(found.get("sha256", "")),
                "location": _portable(site, found.get("location", "")),
                "key": found.get("key", ""),
            },
        )


def _items(site: Site, group: str, last: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The functions (group ``build``), layers or sources that have an artifact."""
    settled = site.settled - {name for _, name in site.shared.ran}
    shared = shared_layers.decided(site).layers
    for build in site.plan.builds:
        users = [user for user in build.users if build.group(user) == group]
        if not users or build.name in site.unbuildable:
            continue
        if build.name in settled and all(user in last for user in users):
            yield from ((user, last[user]) for user in users)
            continue
        found = {step: receipts.read(site.receipt(step, build.name)) for step in ("copy", "hash", "upload")}
        results = {step: receipt.result if receipt else {} for step, receipt in found.items()}
        copied = found["copy"]
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
                    "tree": os.path.relpath(site.tree(user), site.build_dir),
                    "zip": os.path.relpath(site.zip(user), site.build_dir),
                    **_place(site, results["upload"], user),
                    "packages": results["copy"].get("packages", []),
                    "left_out": results["copy"].get("left_out", []),
                    "shared_layers": [layer.name for layer in shared if build.name in layer.builds],
                    "shared_with": [other for other in build.users if other != user],
                    "resolution": build.resolution,
                    **({"version": results["upload"].get("version", "")} if build.key.kind == "source" else {}),
                },
            )


def _place(site: Site, sent: Mapping[str, Any], user: str) -> dict[str, str]:
    """Return the location of an artifact; a layer of a deployed stack stays where it was."""
    key = sent.get("deployed", {}).get(user, "")
    location = f"s3://{site.bucket}/{key}" if key else _portable(site, sent.get("location", ""))
    return {"location": location, "key": key or sent.get("key", "")}


def _code_sha256(sha256: str) -> str:
    """As Lambda tells it."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def shared_layers_of(site: Site) -> Iterator[tuple[str, dict[str, Any]]]:
    """The layers that nobody wrote, each with what is in it and who uses it."""
    sent = shared_layers.sent(site)
    for layer in shared_layers.decided(site).layers:
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
                "tree": os.path.relpath(site.tree(layer.name), site.build_dir),
                "zip": os.path.relpath(site.zip(layer.name), site.build_dir),
                "location": _portable(site, one.get("location", "")),
                "key": one.get("key", ""),
            },
        )


def _image_items(site: Site) -> Iterator[tuple[str, dict[str, Any]]]:
    for image in site.plan.images:
        receipt = {kind: receipts.read(site.receipt(kind, image.name)) for kind in image.steps}
        results = {kind: found.result if found else {} for kind, found in receipt.items()}
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


def _portable(site: Site, location: str) -> str:
    """A file's place is told relative to the build folder, so that two checkouts give one manifest."""
    location = site.expand(location)
    return location if location.startswith("s3://") else os.path.relpath(location, site.build_dir)
