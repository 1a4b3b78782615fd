"""Publish a layer: only what Lambda does not have, kept beside its version in S3, shared and retired as asked."""

from __future__ import annotations

import fcntl
import json
import os
import posixpath
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lambdabuild.artifacts import layer_versions
from lambdabuild.artifacts.layer_versions import Grant, Version, Wanted
from lambdabuild.core import regular
from lambdabuild.core.atomic import write_text
from lambdabuild.core.errors import CannotPublish, CannotRead, Offline, TooLarge
from lambdabuild.core.lambda_limits import DIRECT_UPLOAD_BYTES
from lambdabuild.core.plain import Json, JsonObject
from lambdabuild.core.records import Struct
from lambdabuild.core.store import sha256_of
from lambdabuild.engine.base import destination, receipts
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.steps.delivery import artifacts
from lambdabuild.plan.types import Publication

if TYPE_CHECKING:
    from lambdabuild.aws.layer_versions import LayerVersions
    from lambdabuild.aws.s3_store import S3Store

MANIFEST_FORMAT = 1


class Published(Struct, frozen=True):
    """``count`` of the versions are new."""

    versions: tuple[JsonObject, ...]
    count: int
    notes: tuple[str, ...]


def publish_layer(run: Run, publication: Publication) -> Published:
    """Every version that the layer needs: one for all architectures whose artifacts are equal."""
    from lambdabuild.aws.layer_versions import LayerVersions

    if run.project.settings.offline:
        raise Offline(f"publish:{publication.name} needs Lambda, and the run is offline", help="run without offline")
    client = LayerVersions(
        publication.layer_name,
        region=destination.region(run.project),
        profile=run.project.settings.profile,
        endpoint_url=run.project.settings.endpoint_url,
    )
    versions, count = [], 0
    for build, wanted in _wanted(run, publication):
        version, is_new = _version(run, client, build, wanted)
        _keep_beside(run, build, wanted, version)
        _share(client, publication, version)
        versions.append(_about(wanted, version))
        count += is_new
    return Published(tuple(versions), count, tuple(_retire(client, publication.keep)))


def _wanted(run: Run, publication: Publication) -> Iterator[tuple[str, Wanted]]:
    """(a build that has it, the version) for each content."""
    by_content: dict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
    for layer, architectures in zip(publication.layers, publication.architectures, strict=True):
        build = run.index.plan.build_of(layer).name
        by_content[_result(run.project, "hash", build)["code_sha256"]].append((build, architectures))
    for code_sha256, same in by_content.items():
        yield (
            same[0][0],
            Wanted(
                name=publication.layer_name,
                code_sha256=code_sha256,
                description=publication.description,
                license=publication.license,
                runtimes=publication.runtimes,
                architectures=tuple(dict.fromkeys(one for _, several in same for one in several)),
            ),
        )


def _version(run: Run, client: LayerVersions, build: str, wanted: Wanted) -> tuple[Version, bool]:
    """The version, and whether it is new."""
    there = client.list()
    last = layer_versions.newest(wanted, there)
    says_the_same = last is not None and layer_versions.says_the_same(wanted, last)
    if last is not None and says_the_same and _has_content(run, client, build, wanted, last):
        return last, False
    own = client.publish(wanted, _content(run.project, build))
    before = max((one.number for one in there), default=0)
    for twin in layer_versions.earlier_twins(wanted, own, before, client.list() if own.number > before + 1 else ()):
        if client.code_sha256(twin.number) == wanted.code_sha256:
            client.delete(own.number)
            return twin, False
    return own, True


def _has_content(run: Run, client: LayerVersions, build: str, wanted: Wanted, version: Version) -> bool:
    """Return whether a version has the same files. Its zip may be another's: one made by an older compressor."""
    code_sha256 = client.code_sha256(version.number)
    if code_sha256 == wanted.code_sha256:
        return True
    store = _bucket(run)
    kept = store.read(_key(wanted, version, "manifest.json")) if store is not None else None
    recorded = regular.json(kept) if kept else {}
    same = {"code_sha256": code_sha256, "tree_digest": _result(run.project, "copy", build)["tree_digest"]}
    return bool({name: recorded.get(name) for name in same} == same)


def _content(project: Project, build: str) -> Json:
    """Return where Lambda takes the zip from: the bucket, or the request itself up to its limit."""
    location = _result(project, "upload", build)["location"]
    if location.startswith("s3://"):
        bucket, _, key = location.removeprefix("s3://").partition("/")
        return {"S3Bucket": bucket, "S3Key": key}
    size = os.path.getsize(project.zip(build))
    if size > DIRECT_UPLOAD_BYTES:
        raise TooLarge(
            f"layer {build!r} is a zip of {size:,} bytes; without a bucket Lambda takes {DIRECT_UPLOAD_BYTES:,}",
            help="name a bucket, or leave something out",
        )
    with open(project.zip(build), "rb", opener=regular.opener) as stream:
        return {"ZipFile": stream.read()}


# beside the version, in S3


def _keep_beside(run: Run, build: str, wanted: Wanted, version: Version) -> None:
    """layer.zip, manifest.json and what the packages were chosen by, once, under the version's number."""
    store = _bucket(run)
    if store is None or store.has(_key(wanted, version, "manifest.json")):
        return
    for path in _manifests(run, build):
        store.put(_key(wanted, version, posixpath.basename(path)), path, sha256_of(path), os.path.getsize(path))
    store.copy(_result(run.project, "upload", build)["location"], _key(wanted, version, "layer.zip"))
    with run.project.scratch() as scratch:
        path = os.path.join(scratch, "manifest.json")
        write_text(path, _manifest_text(run, build, wanted, version))
        store.put(_key(wanted, version, "manifest.json"), path, sha256_of(path), os.path.getsize(path))


def _manifests(run: Run, build: str) -> Sequence[str]:
    """The manifest and the lock files beside it."""
    manifest = run.index.builds[build].key.manifest
    if not manifest:
        return ()
    names = [posixpath.basename(manifest), *run.index.rules[run.index.builds[build].key.rule].lock_files]
    paths = [run.project.path(posixpath.join(posixpath.dirname(manifest), name)) for name in dict.fromkeys(names)]
    return [path for path in paths if os.path.isfile(path)]


def _manifest_text(run: Run, build: str, wanted: Wanted, version: Version) -> str:
    copied = _result(run.project, "copy", build)
    content = {
        "format": MANIFEST_FORMAT,
        **_about(wanted, version),
        "description": wanted.description,
        "license": wanted.license,
        "tree_digest": copied["tree_digest"],
        "unzipped_bytes": copied["unzipped"],
        "files": copied["files"],
        "packages": copied["packages"],
        "chosen_by": [os.path.basename(path) for path in _manifests(run, build)],
    }
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


def _key(wanted: Wanted, version: Version, name: str) -> str:
    return f"layer/{wanted.name}/{version.number}/{name}"


def _bucket(run: Run) -> S3Store | None:
    from lambdabuild.aws.s3_store import S3Store

    store = artifacts.store(run)
    return store if isinstance(store, S3Store) else None


# who may use it, and how long it stays


def _share(client: LayerVersions, publication: Publication, version: Version) -> None:
    grants = [Grant(account) for account in publication.accounts]
    grants += [Grant("*", organization) for organization in publication.organizations]
    add, remove = layer_versions.changes(grants, client.statements(version.number))
    for grant in add:
        client.grant(version.number, grant)
    for statement_id in remove:
        client.revoke(version.number, statement_id)


def _retire(client: LayerVersions, keep: int) -> Iterator[str]:
    """Delete old versions that nobody here uses; a right that is missing is no reason to fail."""
    if not keep:
        return
    try:
        old = layer_versions.surplus(client.list(), keep, ())
        used = client.in_use() if old else frozenset[int]()
        for version in old:
            if version.number in used:
                yield f"{client.name}: version {version.number} stays, because a function uses it"
            else:
                client.delete(version.number)
                yield f"{client.name}: version {version.number} is deleted"
    except CannotPublish as error:
        yield f"{client.name}: old versions stay: {error.message}"


# what is left on this machine


def published(project: Project) -> Json:
    """Return what layers.json says: for each layer its versions; nothing when it is missing or broken."""
    try:
        with open(published_file(project), encoding="utf-8", opener=regular.opener) as stream:
            return dict(regular.json(stream.read()))
    except (OSError, ValueError, TypeError):
        return {}


def published_file(project: Project) -> str:
    return os.path.join(project.build_dir, "layers.json")


def write(run: Run, name: str, versions: Sequence[JsonObject]) -> None:
    """Put a layer's versions into layers.json, beside those of the others."""
    with _alone(run.project):
        others = {key: value for key, value in published(run.project).items() if key in run.index.publications}
        text = json.dumps({**others, name: list(versions)}, indent=2, sort_keys=True) + "\n"
        write_text(published_file(run.project), text)


@contextmanager
def _alone(project: Project) -> Iterator[None]:
    """Steps on threads and in doit's processes take turns."""
    with open(os.path.join(project.state_dir, "layers.lock"), "w", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _about(wanted: Wanted, version: Version) -> Json:
    return {
        "arn": version.arn,
        "layer": wanted.name,
        "version": version.number,
        "runtimes": list(wanted.runtimes),
        "architectures": list(wanted.architectures),
        "code_sha256": wanted.code_sha256,
    }


def _result(project: Project, kind: str, name: str) -> JsonObject:
    receipt = receipts.read(project.receipt(kind, name))
    if receipt is None:
        raise CannotRead(f"what {kind}:{name} made is gone", help=f"doit forget {kind}:{name}")
    return receipt.result
