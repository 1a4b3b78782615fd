"""Build a distribution, zip it, and publish it under its version; or all of it at once.

    from lambdabuild import source

    built = source.build("my-lambda-project", "build/source")
    zipped = source.write_zip(built.folder, "build/source.zip")
    sent = source.upload(zipped, built.version, source.Destination(bucket="my-bucket", prefix="lambda"))

Each step returns a frozen result and can be called by itself. Nothing is remembered between two calls; the tasks of
``[sources.NAME]`` are incremental, and write the same bytes. Mistakes raise a ``LambdaBuildError``;
docs/reference/errors.md lists the kinds.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Literal

from lambdabuild.artifacts import caller_folders, versions, zips
from lambdabuild.artifacts.entries import Entry, FileOnDisk
from lambdabuild.artifacts.owned import NamedFolder
from lambdabuild.artifacts.store import FolderStore, Labels, Store
from lambdabuild.config.settings import DEFAULT_EXCLUDE
from lambdabuild.core.errors import NoManifest, NoSource
from lambdabuild.core.records import Struct, field
from lambdabuild.core.spans import Span
from lambdabuild.core.store import sha256_of
from lambdabuild.files.listing import Patterns, ignore_lines, scan
from lambdabuild.plan.sources import MANIFESTS, PACKAGE
from lambdabuild.plan.types import Rule
from lambdabuild.project import cache_dir
from lambdabuild.rule_api import Part, Target
from lambdabuild.rulebook import runner
from lambdabuild.rulebook.runner import Folders, StepRequest
from lambdabuild.rulebook.search import find_rules, search_path


class Built(Struct, frozen=True):
    """An installed distribution. ``folder`` is absolute; ``requires`` is what it needs from layers (PEP 508)."""

    folder: str
    name: str
    version: str
    requires_python: str
    requires: tuple[str, ...]


class Zipped(Struct, frozen=True):
    """A reproducible zip: an absolute path, its sha256 in hex and its size in bytes."""

    path: str
    sha256: str
    size: int


class Published(Struct, frozen=True):
    """The place of a published version: ``s3://...`` or an absolute path, and its key there.

    ``sent`` is False when it already existed with the same bytes. ``console_url`` is "" when no console shows it.
    """

    location: str
    key: str
    version: str
    sha256: str
    sent: bool
    console_url: str


class Released(Struct, frozen=True):
    """The results of each step of ``release``."""

    built: Built
    zipped: Zipped
    published: Published


class Destination(Struct, frozen=True):
    """The place to publish to: a bucket, or a folder of this machine when no bucket is named."""

    bucket: str = ""
    folder: str = ""
    prefix: str = ""
    """The beginning of keys: ``prefix/source/VERSION/source.zip``."""
    region: str = ""
    profile: str = ""
    endpoint_url: str = ""
    kms_key_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The object's metadata, in addition to its ``sha256``."""


def build(
    project: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    resolver: Literal["uv", "pip"] = "uv",
    offline: bool = False,
    timeout_seconds: float | None = None,
) -> Built:
    """Build the distribution in the folder ``project`` and install it, without its dependencies, as ``folder``.

    What an earlier build wrote to ``folder`` is replaced after the build succeeded; ``project`` is not written to.
    Raises NoSource (LB302), NoManifest (LB303), BadManifest (LB402), NoWheel (LB403), Offline (LB603), DownloadFailed
    (LB604), InTheWay (LB507) when ``folder`` has other files, or files of an earlier build that changed since.
    """
    source, target = os.path.realpath(project), os.path.realpath(folder)
    environment = {**os.environ}
    there = NamedFolder(target, cache_dir(environment))
    _check(source, there)
    rule = next(rule for rule in find_rules(search_path(source, environment)) if rule.name == PACKAGE)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".lambdabuild-", dir=os.path.dirname(target)) as work:
        files = _source_files(rule, source, frozenset({target, work}))
        name = os.path.basename(source)
        request = StepRequest(
            rule=rule,
            step="compile",
            target=Target(name, "source", "", "x86_64", source, "", source, {"resolver": resolver}),
            folders=Folders(os.path.join(work, "out"), os.path.join(work, "scratch"), cache_dir(environment)),
            files=files,
            # No fingerprint is made here, so a tool may see all that the caller's environment says.
            environment=tuple(environment),
            offline=offline,
            timeout_seconds=timeout_seconds,
        )
        result = runner.run(request)
        kept = os.path.join(work, "kept")
        for part in result.parts:
            _keep(part, kept)
        _replace(there, kept)
    facts = result.facts
    return Built(target, facts["name"], facts["version"], facts["requires_python"], tuple(facts["requires"]))


def _check(source: str, there: NamedFolder) -> None:
    if not os.path.isdir(source):
        raise NoSource(f"the folder {source} does not exist", where=Span(source), help="name the project's folder")
    if not any(os.path.isfile(os.path.join(source, name)) for name in MANIFESTS):
        raise NoManifest(f"there is no {' or '.join(MANIFESTS)} in {source}", where=Span(source), help="add one")
    caller_folders.refuse_to_empty(there, "the folder", {"the project": source, "the current folder": os.getcwd()})


def _replace(there: NamedFolder, kept: str) -> None:
    """Put a folder in the place of an earlier build's."""
    files = scan(kept, Patterns(()), boundary=kept).files
    there.empty()
    there.record({f.path: sha256_of(f.real) + ("+x" if f.executable else "") for f in files}, only=True)
    if os.path.isdir(there.folder):
        os.rmdir(there.folder)
    os.rename(kept, there.folder)


def _source_files(rule: Rule, source: str, ours: frozenset[str]) -> tuple[str, ...]:
    chosen = Patterns((*DEFAULT_EXCLUDE, *rule.leave_out, *ignore_lines(source)))
    return tuple(found.path for found in scan(source, chosen, boundary=source, skip=ours).files)


def _keep(part: Part, folder: str) -> None:
    """Move the files of an installed distribution to a folder, without records of this machine."""
    for found in scan(part.path, Patterns(part.leave_out), boundary=part.path).files:
        target = os.path.join(folder, found.path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.rename(found.real, target)


def write_zip(folder: str | os.PathLike[str], path: str | os.PathLike[str]) -> Zipped:
    """Write everything in ``folder`` as a zip whose bytes depend on names, contents and execute permission alone.

    Raises InTheWay (LB507) when ``path`` is a file that this function did not write.
    """
    top, target = os.path.abspath(folder), os.path.abspath(path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    listing = scan(top, Patterns(()), boundary=top, skip=frozenset({os.path.realpath(target)}))
    entries = [
        Entry(found.path, found.executable, found.stat.st_size, sha256_of(found.real), FileOnDisk(found.real))
        for found in listing.files
        if found.real != target
    ]
    with caller_folders.named_file(target, cache_dir(os.environ)) as temporary:
        summary = zips.write_zip(temporary, entries)
    return Zipped(target, summary.sha256, summary.size)


def upload(zipped: Zipped, version: str, to: Destination, *, overwrite: bool = False) -> Published:
    """Publish a zip as a version, which is immutable: uploading the same bytes again does nothing.

    With ``overwrite`` a development version (PEP 440) is replaced; no other ever is. Raises VersionTaken (LB606),
    BadVersion (LB607), StoreFailed (LB601), TooLarge (LB602).
    """
    key = versions.source_key(to.prefix, versions.check(version, f"the zip {os.path.basename(zipped.path)}"))
    may_replace = overwrite and versions.is_development(version)
    store, labels = _store(to), Labels(dict(to.tags), dict(to.metadata))
    sent = store.put_once(key, zipped.path, zipped.sha256, zipped.size, labels, replace=may_replace)
    return Published(store.location(key), key, version, zipped.sha256, sent, _console(to, store, key))


def _store(to: Destination) -> Store:
    if not to.bucket:
        return FolderStore(os.path.abspath(to.folder or "."))
    from lambdabuild.aws.s3_store import S3Store

    return S3Store(
        to.bucket, region=to.region, profile=to.profile, endpoint_url=to.endpoint_url, kms_key_id=to.kms_key_id
    )


def _console(to: Destination, store: Store, key: str) -> str:
    if not to.bucket or to.endpoint_url:
        return ""
    from lambdabuild.aws.s3_store import console_url

    return console_url(to.bucket, key, store.region)


def release(
    project: str | os.PathLike[str],
    work: str | os.PathLike[str],
    to: Destination,
    *,
    resolver: Literal["uv", "pip"] = "uv",
    offline: bool = False,
    overwrite: bool = False,
) -> Released:
    """Build, zip and publish a distribution under the version in its metadata.

    ``work`` is a folder for intermediate files. Raises what the steps raise.
    """
    built = build(project, os.path.join(work, "source"), resolver=resolver, offline=offline)
    zipped = write_zip(built.folder, os.path.join(work, "source.zip"))
    return Released(built, zipped, upload(zipped, built.version, to, overwrite=overwrite))
