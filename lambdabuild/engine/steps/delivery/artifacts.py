"""Put artifacts into the store and write the templates that point at them, with a manifest for machines."""

from __future__ import annotations

import os
import posixpath
from zipfile import is_zipfile

from lambdabuild.artifacts import versions
from lambdabuild.artifacts.store import FolderStore, Labels, Store
from lambdabuild.artifacts.zips import write_zip
from lambdabuild.config.settings import DEFAULT_EXCLUDE
from lambdabuild.core.errors import NoSource, NoSuchVersion
from lambdabuild.core.model import Asset
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span
from lambdabuild.core.store import sha256_of
from lambdabuild.engine.base import destination
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.steps.contents.assemble import from_files
from lambdabuild.files.listing import Found, Listing, Patterns, scan
from lambdabuild.plan.types import Pinned, Source


class StoredArtifact(Struct, frozen=True):
    """``sent`` is False when the store had the object already; ``size`` is in bytes."""

    location: str
    key: str
    sha256: str
    sent: bool
    size: int


def store(run: Run) -> Store:
    """The store that the settings name."""
    return _store(run, run.project.settings.prefix)


def _store(run: Run, prefix: str) -> Store:
    """The same with another prefix of its keys; made once for a run."""
    with run.locks.of("stores"):
        if prefix not in run.stores:
            run.stores[prefix] = _make_store(run, prefix)
        return run.stores[prefix]


def _make_store(run: Run, prefix: str) -> Store:
    settings = run.project.settings
    if not destination.bucket(run.project):
        return FolderStore(run.project.store_dir, is_ours=not settings.store, digest_of=run.stats.digest)
    from lambdabuild.aws.s3_store import S3Store

    return S3Store(
        bucket=destination.bucket(run.project),
        prefix=prefix,
        region=destination.region(run.project),
        profile=settings.profile,
        endpoint_url=settings.endpoint_url,
        kms_key_id=settings.kms_key_id,
        tags=dict(settings.tags),
    )


def put(run: Run, key: str, path: str, sha256: str, size: int) -> StoredArtifact:
    """Send a file unless the store has its key, which holds its sha256."""
    there = store(run)
    return StoredArtifact(there.location(key), key, sha256, there.put(key, path, sha256, size), size)


def put_at(run: Run, key: str, path: str, sha256: str, size: int) -> StoredArtifact:
    """Send a file to a whole key, without the settings' prefix, unless the bucket has it."""
    there = _store(run, "")
    return StoredArtifact(there.location(key), key, sha256, there.put(key, path, sha256, size), size)


def has(run: Run, location: str) -> bool:
    """Return whether the bucket has what is at a location; each of its folders is listed once in a run."""
    start = store(run).location("")
    if location.startswith(start):
        return store(run).has(location.removeprefix(start))
    there = _store(run, "")
    return there.has(location.removeprefix(there.location("")))


def version(run: Run, source: Source, path: str, sha256: str, size: int, number: str) -> StoredArtifact:
    """Publish a version of a source, unless it is there as it is. Raises VersionTaken (LB606), BadVersion (LB607)."""
    place = next((one.where for name, one in run.project.settings.sources.items() if name == source.name), None)
    key = versions.source_key(source.prefix, versions.check(number, f"source {source.name!r}", place))
    labels = Labels(dict(source.tags), dict(source.metadata))
    may_replace = source.overwrite and versions.is_development(number)
    there = _store(run, "")
    return StoredArtifact(
        there.location(key), key, sha256, there.put_once(key, path, sha256, size, labels, replace=may_replace), size
    )


def pinned(run: Run, item: Pinned) -> StoredArtifact:
    """A version that was published before. Raises NoSuchVersion (LB608) when it was not."""
    key, there = versions.source_key(run.index.sources[item.source].prefix, item.version), _store(run, "")
    sha256 = there.digest(key)
    if sha256 is None:
        raise NoSuchVersion(
            f"function {item.function!r} has version {item.version} of source {item.source!r}, which is not published",
            where=Span(there.location(key)),
            help=f"correct [functions.{item.function}] source_version, or remove it to have the version built here",
        )
    return StoredArtifact(there.location(key), key, sha256, False, 0)


def console_note(run: Run, sent: StoredArtifact) -> str:
    """Return the console's address of a version; "" if no console shows it."""
    if not sent.location.startswith("s3://") or run.project.settings.endpoint_url:
        return ""
    from lambdabuild.aws.s3_store import console_url

    return console_url(destination.bucket(run.project), sent.key, _store(run, "").region)


def asset(run: Run, item: Asset) -> StoredArtifact:
    """Send a local file as it is, a folder, or code that is a file, as a reproducible zip.

    Raises NoSource (LB302) when it is not there and the template is to be deployed; else the template names it all the
    same, as it is written.
    """
    path = run.project.path(item.source)
    if not os.path.exists(path):
        if destination.bucket(run.project):
            raise NoSource(
                f"{item.source} is not there, and the deployment of {item.name} needs it",
                where=item.where,
                help="make it first, or correct the path; it is relative to the template's folder",
            )
        return StoredArtifact(path, "", "", False, 0)
    if not item.is_folder and not (item.is_code and not is_zipfile(path)):
        sha256 = sha256_of(path)
        extension = posixpath.splitext(item.source)[1]
        return put(run, destination.artifact_key(run.project, sha256, extension), path, sha256, os.path.getsize(path))
    listing = _asset_files(run.project, item, path)
    with run.project.scratch() as scratch:
        path = os.path.join(scratch, "asset.zip")
        summary = write_zip(path, tuple(from_files(run, listing, "", item.source)))
        return put(run, destination.artifact_key(run.project, summary.sha256), path, summary.sha256, summary.size)


def _asset_files(project: Project, item: Asset, path: str) -> Listing:
    """Return the files of a folder, or the file itself."""
    if item.is_folder:
        return scan(path, Patterns(DEFAULT_EXCLUDE), boundary=project.boundary, who=item.name)
    return Listing((Found(posixpath.basename(item.source), path, os.stat(path)),), ())
