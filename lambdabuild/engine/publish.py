"""Put artifacts into the store and write the templates that point at them, with a manifest for machines."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, cast
from zipfile import is_zipfile

from lambdabuild import regular
from lambdabuild.artifacts import versions
from lambdabuild.artifacts.atomic import write_text
from lambdabuild.artifacts.store import FolderStore, Labels, Store
from lambdabuild.cloudformation.splice import splice
from lambdabuild.engine import compiled, handler_check, ownership, receipts, session, shared_layers
from lambdabuild.engine.site import Site
from lambdabuild.engine.snapshot import PLAN, THE_TEMPLATE
from lambdabuild.errors import NoSource, NoSuchVersion
from lambdabuild.files import fingerprint
from lambdabuild.files.listing import Found, Listing, Patterns, scan
from lambdabuild.files.stat_cache import sha256_of
from lambdabuild.model import Asset, Document, FileLocation, ImageLocation, Location, Rewrite, S3Location, Text
from lambdabuild.plan.types import ImageBuild, Pinned, Source
from lambdabuild.records import Struct, replace
from lambdabuild.settings import DEFAULT_EXCLUDE
from lambdabuild.spans import Span

BUILT, PACKAGED = "built-template", "packaged-template"


class Sent(Struct, frozen=True):
    """``sent`` is False when the store had the object already; ``size`` is in bytes."""

    location: str
    key: str
    sha256: str
    sent: bool
    size: int


def store(site: Site) -> Store:
    """The store that the settings name."""
    return _store(site, site.settings.prefix)


def _store(site: Site, prefix: str) -> Store:
    """The same with another prefix of its keys; made once for a run."""
    with site.shared.lock:
        if prefix not in site.shared.stores:
            site.shared.stores[prefix] = _make_store(site, prefix)
        return site.shared.stores[prefix]


def _make_store(site: Site, prefix: str) -> Store:
    settings = site.settings
    if not site.bucket:
        return FolderStore(site.store_dir, is_ours=not settings.store, digest_of=site.stats.digest)
    from lambdabuild.aws.s3_store import S3Store

    return S3Store(
        bucket=site.bucket,
        prefix=prefix,
        region=site.region,
        profile=settings.profile,
        endpoint_url=settings.endpoint_url,
        kms_key_id=settings.kms_key_id,
        tags=dict(settings.tags),
    )


def put(site: Site, key: str, path: str, sha256: str, size: int) -> Sent:
    """Send a file unless the store has its key, which holds its sha256."""
    there = store(site)
    return Sent(there.location(key), key, sha256, there.put(key, path, sha256, size), size)


def put_at(site: Site, key: str, path: str, sha256: str, size: int) -> Sent:
    """Send a file to a whole key, without the settings' prefix, unless the bucket has it."""
    there = _store(site, "")
    return Sent(there.location(key), key, sha256, there.put(key, path, sha256, size), size)


def has(site: Site, location: str) -> bool:
    """Return whether the bucket has what is at a location; each of its folders is listed once in a run."""
    start = store(site).location("")
    if location.startswith(start):
        return store(site).has(location.removeprefix(start))
    there = _store(site, "")
    return there.has(location.removeprefix(there.location("")))


def version(site: Site, source: Source, path: str, sha256: str, size: int, number: str) -> Sent:
    """Publish a version of a source, unless it is there as it is. Raises VersionTaken (LB606), BadVersion (LB607)."""
    place = next((one.where for name, one in site.settings.sources.items() if name == source.name), None)
    key = versions.source_key(source.prefix, versions.check(number, f"source {source.name!r}", place))
    labels = Labels(dict(source.tags), dict(source.metadata))
    may_replace = source.overwrite and versions.is_development(number)
    there = _store(site, "")
    return Sent(
        there.location(key), key, sha256, there.put_once(key, path, sha256, size, labels, replace=may_replace), size
    )


def pinned(site: Site, item: Pinned) -> Sent:
    """A version that was published before. Raises NoSuchVersion (LB608) when it was not."""
    key, there = versions.source_key(site.sources[item.source].prefix, item.version), _store(site, "")
    sha256 = there.digest(key)
    if sha256 is None:
        raise NoSuchVersion(
            f"function {item.function!r} has version {item.version} of source {item.source!r}, which is not published",
            where=Span(there.location(key)),
            mend=f"correct [functions.{item.function}] source_version, or remove it to have the version built here",
        )
    return Sent(there.location(key), key, sha256, False, 0)


def console_note(site: Site, sent: Sent) -> str:
    """Where a version can be looked at; "" when no console shows it."""
    if not sent.location.startswith("s3://") or site.settings.endpoint_url:
        return ""
    from lambdabuild.aws.s3_store import console_url

    return console_url(site.bucket, sent.key, _store(site, "").region)


def asset(site: Site, item: Asset) -> Sent:
    """Send a local file as it is, a folder, or code that is a file, as a reproducible zip.

    Raises NoSource (LB302) when it is not there and the template is to be deployed; else the template names it all the
    same, as it is written.
    """
    path = site.path(item.source)
    if not os.path.exists(path):
        if site.bucket:
            raise NoSource(
                f"{item.source} is not there, and the deployment of {item.name} needs it",
                where=item.where,
                mend="make it first, or correct the path; it is relative to the template's folder",
            )
        return Sent(path, "", "", False, 0)
    if not item.is_folder and not (item.is_code and not is_zipfile(path)):
        sha256 = sha256_of(path)
        extension = posixpath.splitext(item.source)[1]
        return put(site, site.artifact_key(sha256, extension), path, sha256, os.path.getsize(path))
    from lambdabuild.artifacts.zips import write_zip
    from lambdabuild.engine.assemble import from_files

    listing = _asset_files(site, item, path)
    with site.scratch() as scratch:
        path = os.path.join(scratch, "asset.zip")
        summary = write_zip(path, tuple(from_files(site, listing, "", item.source)))
        return put(site, site.artifact_key(summary.sha256), path, summary.sha256, summary.size)


def _asset_files(site: Site, item: Asset, path: str) -> Listing:
    """What is below a folder; a file is all there is of its own."""
    if item.is_folder:
        return scan(path, Patterns(DEFAULT_EXCLUDE), boundary=site.boundary, who=item.name)
    return Listing((Found(posixpath.basename(item.source), path, os.stat(path)),), ())


def templates(site: Site) -> compiled.Written:
    """Write built-template, packaged-template and manifest.json."""
    packaged: dict[str, Location] = {}
    definition = site.service.definition
    own = compiled.write(site, definition, dict(_shared_items(site))) if definition else compiled.Written({})
    written = dict(own.files)
    for document in sorted(site.service.documents, key=_depth, reverse=True):
        written |= _write_document(site, document, packaged)
    manifest = json.dumps(_manifest(site), indent=2, sort_keys=True) + "\n"
    written |= _written(os.path.join(site.build_dir, compiled.MANIFEST), manifest)
    return replace(own, files=written)


def _written(path: str, text: str) -> dict[str, str]:
    write_text(path, text)
    return {path: hashlib.sha256(text.encode()).hexdigest()}


def _depth(document: Document) -> int:
    return len(document.stack.split("/")) if document.stack else 0


def _write_document(site: Site, document: Document, packaged: dict[str, Location]) -> dict[str, str]:
    """Nested stacks come first, for their parents name where they were put."""
    folder = os.path.join(site.build_dir, document.stack)
    ownership.make_room(site, _output(site, document, BUILT))
    trees = shared_layers.added(site, document, lambda name: FileLocation(site.tree(name)))
    built = splice(document, lambda rewrite: _built(site, document, rewrite), folder, tuple(trees))
    written = _written(_output(site, document, BUILT), built)

    def location(rewrite: Rewrite) -> Location | None:
        return packaged.get(rewrite.target) if rewrite.kind == "stack" else _uploaded(site, rewrite)

    sent = shared_layers.sent(site)
    zips = shared_layers.added(site, document, lambda name: _shared_location(site, sent.get(name)))
    text = splice(document, location, folder, tuple(zips))
    path = _output(site, document, PACKAGED)
    written |= _written(path, text)
    packaged[document.stack] = _put_stack(site, document, path)
    return written


def _put_stack(site: Site, document: Document, path: str) -> Location:
    if not document.stack or not site.bucket:
        return FileLocation(path)
    sha256 = sha256_of(path)
    extension = posixpath.splitext(document.path)[1]
    sent = put(site, site.artifact_key(sha256, extension), path, sha256, os.path.getsize(path))
    found = _location(site, sent.location)
    return replace(found, region=store(site).region) if isinstance(found, S3Location) else found


NO_LOCATION = ("handler", "node_options")
"""Kinds of rewrites of what a bundle changes beside its code."""


def _bundled(site: Site, rewrite: Rewrite) -> Text | None:
    """The Handler or NODE_OPTIONS of a function that was bundled; None when it stays as it is written."""
    if rewrite.target in site.pinned:
        return None
    function, build = site.functions[rewrite.target], site.plan.build_of(rewrite.target)
    if build.name in site.unbuildable:
        return None
    if rewrite.kind == "node_options":
        has_maps = json.loads(dict(build.key.options).get("sourcemap", "false"))
        return Text(rewrite.text) if has_maps else None
    handler = handler_check.deployed(site, function)
    return Text(handler) if handler != function.handler else None


def _built(site: Site, document: Document, rewrite: Rewrite) -> Location | None:
    """For sam local: trees and nested templates in the build folder, assets where they are."""
    if rewrite.kind == "kept":
        return None
    if rewrite.kind in NO_LOCATION:
        return _bundled(site, rewrite)
    if rewrite.kind == "path":
        return FileLocation(site.path(rewrite.target))
    if rewrite.kind == "artifact" and rewrite.target in site.pinned:
        return _uploaded(site, rewrite)
    if rewrite.kind == "artifact":
        name = site.plan.build_of(rewrite.target).name
        return FileLocation(site.tree(name)) if name not in site.unbuildable else None
    if rewrite.kind == "image":
        return ImageLocation(site.plan.image_of(rewrite.target).local_name(rewrite.target))
    if rewrite.kind == "stack":
        nested = next(d for d in site.service.documents if d.stack == rewrite.target)
        return FileLocation(_output(site, nested, BUILT))
    found = next(asset for asset in site.plan.assets if asset.name == rewrite.target)
    return FileLocation(site.path(found.source))


def _uploaded(site: Site, rewrite: Rewrite) -> Location | None:
    if rewrite.kind == "kept":
        return None
    if rewrite.kind in NO_LOCATION:
        return _bundled(site, rewrite)
    if rewrite.kind == "path":
        return FileLocation(site.path(rewrite.target))
    if rewrite.kind == "image":
        return _image_sent(site, site.plan.image_of(rewrite.target), rewrite.target)
    is_build = rewrite.kind == "artifact" and rewrite.target not in site.pinned
    name = site.plan.build_of(rewrite.target).name if is_build else rewrite.target
    location = session.saved(f"upload:{name}").get("location")
    return _location(site, site.expand(location)) if location else None


def _shared_location(site: Site, sent: Mapping[str, Any] | None) -> Location | None:
    return _location(site, site.expand(sent["location"])) if sent else None


def _image_sent(site: Site, image: ImageBuild, user: str) -> ImageLocation:
    """Without a repository it stays on this machine, as zips do without a bucket."""
    sent = session.saved(f"upload:{image.name}") if "upload" in image.steps else {}
    return ImageLocation(str(sent.get("location") or image.local_name(user)))


def _location(site: Site, location: str) -> Location:
    if not location.startswith("s3://"):
        return FileLocation(location)
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return S3Location(bucket, key, site.settings.region, site.settings.endpoint_url)


def _output(site: Site, document: Document, kind: str) -> str:
    extension = posixpath.splitext(document.path)[1] or ".yaml"
    return os.path.join(site.build_dir, document.stack, kind + extension)


def outputs(site: Site) -> Iterator[str]:
    if site.service.definition is not None:
        yield from compiled.outputs(site)
    for document in site.service.documents:
        yield _output(site, document, BUILT)
        yield _output(site, document, PACKAGED)
    yield os.path.join(site.build_dir, compiled.MANIFEST)


def _manifest(site: Site) -> dict[str, Any]:
    """What was built, for machines: each function and layer, what it was made from and where it is."""
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
        "shared_layers": dict(_shared_items(site)),
        "left_alone": {name: one.reason for one in site.left_out for name in one.names},
        "assets": dict(_sent_assets(site)),
        "templates": _templates(site),
    }


def _templates(site: Site) -> dict[str, str]:
    if site.service.definition is not None:
        return {".": compiled.TEMPLATE}
    return {
        document.stack or ".": os.path.relpath(_output(site, document, PACKAGED), site.build_dir)
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
    """What the last run wrote, when that is still there and the plan is the same; it tells of what is settled."""
    found = site.given.snapshot
    if found is None or not {PLAN, THE_TEMPLATE} <= found.clean():
        return {}
    try:
        with open(os.path.join(site.build_dir, compiled.MANIFEST), encoding="utf-8", opener=regular.opener) as stream:
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
    """Where an artifact is; a layer of a deployed stack stays where it was."""
    key = sent.get("deployed", {}).get(user, "")
    location = f"s3://{site.bucket}/{key}" if key else _portable(site, sent.get("location", ""))
    return {"location": location, "key": key or sent.get("key", "")}


def _code_sha256(sha256: str) -> str:
    """As Lambda tells it."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def _shared_items(site: Site) -> Iterator[tuple[str, dict[str, Any]]]:
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
