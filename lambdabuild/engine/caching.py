"""Need a step be run, or did somebody run it before? A step's key, what it left as an entry, and the way back.

In: what ``inputs`` says a step depends on. Out: what the step would have left. A hit on resolve, package or compile
brings only what the steps after it must know; the bytes come when one of them is really run (``provide``).

Files and images that only a run reveals (``Done.reads``) are not in the first key. Under that lie their names, as runs
found them; with their digests as they are now a second key is made, under which the entry is.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lambdabuild import __version__
from lambdabuild.engine import inputs, receipts, reporters, workers
from lambdabuild.engine.session import saved
from lambdabuild.engine.site import Site
from lambdabuild.errors import LambdaBuildError
from lambdabuild.files import fingerprint

FORMAT = "1"
"""Raised when what is in an entry changes."""
KINDS = frozenset({"resolve", "package", "compile", "copy", "zip"})
OUT, ZIP = "out.tar.zst", "artifact.zip"
IN_STORE = re.compile(r"\{store\}/(wheels/([0-9a-f]{64})/[^/]+)")
"""A file of the machine's store whose path says its content."""
LISTED = re.compile(r"\{(project|checkout)\}|\{store\}/wheels/|\{state\}/out/(resolve|package|compile)/")
"""Where the files of a list may lie."""
CREDENTIALS = re.compile(r"://[^/\s\"@:]+:[^/\s\"@]+@")
MOST_CANDIDATES = 8
"""So many lists of what runs revealed are kept for a key; the newest go first."""
SECRET_CHARACTERS = 8
"""A shorter value of a variable is no secret worth its name, and would be found in anything."""


@dataclass(frozen=True)
class Entry:
    """What a step left, as a cache had it. ``where`` is the cache's name."""

    data: Mapping[str, Any]
    blobs: Mapping[str, Any]
    where: str


@dataclass(frozen=True)
class Left:
    """What a step that need not be run would have left: see ``receipts.Done``."""

    output: str
    values: Mapping[str, Any]
    result: Mapping[str, Any]
    reads: Mapping[str, str]
    folders: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def caches(site: Site) -> Any:
    """The caches of this run, None when the settings want none. A fork of doit's has its own."""
    settings = site.settings.cache
    if not settings.enabled:
        return None
    with site.shared.lock:
        if site.shared.cache is None or site.shared.cache[0] != os.getpid():
            site.shared.cache = (os.getpid(), _open(site))
        return site.shared.cache[1]


def _open(site: Site) -> Any:
    from lambdabuild.cache.background import THREADS, Background
    from lambdabuild.cache.folder import FolderCache
    from lambdabuild.cache.guarded import Guarded
    from lambdabuild.cache.shared import SharedCache

    settings = site.settings.cache
    remotes = [] if site.settings.offline else settings.remotes
    return SharedCache(
        folder=FolderCache(site.built_steps_dir),
        remotes=[Guarded(_client(site, address), reporters.warn) for address in remotes],
        warn=reporters.warn,
        background=Background(THREADS if site.shared.process == os.getpid() else 0),
        read_only=settings.read_only,
        max_bytes=settings.max_bytes,
    )


def _client(site: Site, address: str) -> Any:
    settings, environment = site.settings.cache, site.given.environment or os.environ
    scheme, _, rest = address.partition("://")
    if scheme == "s3":
        from lambdabuild.aws.s3_cache import S3Cache

        bucket, _, prefix = rest.partition("/")
        return S3Cache(
            bucket, prefix, region=site.region, profile=site.settings.profile,
            endpoint_url=site.settings.endpoint_url, timeout_seconds=settings.timeout_seconds,
        )  # fmt: skip
    from lambdabuild.cache.remote import Connection

    headers = {name: environment[variable] for name, variable in settings.headers.items() if variable in environment}
    files = (settings.ca_file, settings.client_certificate, settings.client_key)
    connection = Connection(
        address, settings.timeout_seconds, headers, *(site.path(file) if file else "" for file in files)
    )
    if scheme.startswith("http"):
        from lambdabuild.cache.http_cache import HttpCache

        return HttpCache(connection)
    from lambdabuild.cache.reapi_cache import ReapiCache

    return ReapiCache(connection)


def totals(site: Site) -> dict[str, int]:
    """Bytes that came from remote caches, and that went there, in this run."""
    if site.shared.cache is None:
        return {}
    counts = site.shared.cache[1].counts
    return {"fetched_bytes": counts.fetched_bytes, "sent_bytes": counts.sent_bytes}


def finish(site: Site) -> None:
    """The end of a run: what is still on its way to a cache gets its time."""
    if site.shared.cache is not None and site.shared.cache[0] == os.getpid():
        site.shared.cache[1].finish(site.settings.cache.upload_seconds)


# keys


def key_of(site: Site, kind: str, name: str, components: Mapping[str, str]) -> str:
    """The first key of a step: all that is known to matter before it is run. Only its digest leaves the machine."""
    said = {
        "format": FORMAT, "lambdabuild": __version__, "namespace": site.settings.cache.namespace,
        "machine": workers.machine(site, kind, name), "step": f"{kind}:{name}", "components": dict(components),
    }  # fmt: skip
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _second(key: str, reads: Mapping[str, str]) -> str:
    return hashlib.sha256(f"{key} {fingerprint.of(reads)}".encode()).hexdigest()


# coming out


def find(site: Site, kind: str, name: str, components: Mapping[str, str]) -> Entry | None:
    """What the step left when it was run with the same inputs before."""
    cache = caches(site) if kind in KINDS else None
    if cache is None:
        return None
    key = key_of(site, kind, name, components)
    found = cache.find(key)
    if found is None or "candidates" not in found.data:
        return found and Entry(found.data, found.blobs, found.where)
    for revealed in found.data["candidates"]:
        try:
            reads = inputs.known_reads(site, revealed)
        except LambdaBuildError:
            continue  # the engine whose image counts is not here
        there = cache.find(_second(key, reads))
        if there is not None and there.data["reads"] == reads:
            return Entry(there.data, there.blobs, there.where)
    return None


def where(site: Site, kind: str, name: str, saved: inputs.Saved) -> str:
    """The name of the cache that would spare a step, "" when there is none."""
    if kind not in KINDS:
        return ""
    found = find(site, kind, name, inputs.components(site, kind, name, saved))
    return found.where if found is not None else ""


def restore(site: Site, kind: str, name: str, entry: Entry) -> Left | None:
    """Leave what the step would have left; None when a cache no longer has what is needed for that."""
    try:
        if not _RESTORE[kind](site, name, entry):
            return None
        data = entry.data
        named = {name: [digest.sha256, digest.size] for name, digest in entry.blobs.items()}
        values = {**data["values"], "restored": entry.where, **({"away": True} if kind in _WITH_BYTES else {})}
        return Left(data["output"], values, {**data["result"], "blobs": named}, data["reads"], data["folders"])
    except (KeyError, TypeError, AttributeError):
        return None  # it was stored by something that only looks like us


def _without_bytes(kind: str) -> Callable[[Site, str, Entry], bool]:
    def restore(site: Site, name: str, entry: Entry) -> bool:
        """What lies there is of another run; whoever needs the bytes must not take those."""
        shutil.rmtree(site.out(kind, name), ignore_errors=True)
        return True

    return restore


def _restore_list(site: Site, name: str, entry: Entry) -> bool:
    from lambdabuild.engine import assemble

    assemble.write_rows(site, name, entry.data["list"])
    return True


def _restore_zip(site: Site, name: str, entry: Entry) -> bool:
    digest, target = entry.blobs[ZIP], site.zip(name)
    cache = caches(site)
    if not cache.has_here(digest) and _is_cheaper_assembled(site, name, digest.size):
        if _assembled(site, name, digest):
            return True
        if _has_broken_packages(site, name):
            return False  # the step is run, which has the packages resolved again and mends the cache
    return bool(cache.fetch(digest, target))


def _has_broken_packages(site: Site, name: str) -> bool:
    from lambdabuild.cache.cache import Digest

    blobs = _blobs(site, "resolve", site.build(name).resolution).values()
    return any(caches(site).was_broken(Digest(*blob)) for blob in blobs)


_RESTORE: Mapping[str, Callable[[Site, str, Entry], bool]] = {
    "resolve": _without_bytes("resolve"),
    "package": _without_bytes("package"),
    "compile": _without_bytes("compile"),
    "copy": _restore_list,
    "zip": _restore_zip,
}
_WITH_BYTES = frozenset({"resolve", "package", "compile"})


def _is_cheaper_assembled(site: Site, name: str, size: int) -> bool:
    """Whether the packages that are not here yet, which others need too, are less to fetch than the zip."""
    build = site.build(name)
    if len(build.resolutions) != 1 or any(
        kind != "resolve" and _is_away(site, kind, one) for kind, one in _before(site, "zip", name)
    ):
        return False
    blobs = _blobs(site, "resolve", build.resolution)
    if OUT in blobs or not _is_known(site, "resolve", build.resolution):
        return False
    absent = sum(blob[1] for blob, path in _files(site, blobs) if not os.path.exists(path))
    return bool(absent / len(site.resolution(build.resolution).users) < size)


def _assembled(site: Site, name: str, digest: Any) -> bool:
    """The zip made of packages and source; what it must be is known, so there is no doubt about it."""
    from lambdabuild.artifacts.zips import write_zip
    from lambdabuild.engine import assemble

    if not _fetched(site, "resolve", site.build(name).resolution):
        return False
    os.makedirs(os.path.dirname(site.zip(name)), exist_ok=True)
    try:
        return bool(write_zip(site.zip(name), assemble.read_list(site, name)).sha256 == digest.sha256)
    except (LambdaBuildError, OSError):
        return False


# bytes, when they are needed


def provide(site: Site, kind: str, name: str, run_again: Callable[[str, str], str]) -> bool:
    """Have the bytes that a step is about to read. Gives whether a step before it now has another output.

    ``run_again`` runs a step and gives its output: the way out when no cache has its bytes any more.
    """
    changed = False
    for before, one in _before(site, kind, name):
        with site.shared.lock_of(f"{before}:{one}"):
            if changed or (before in _WITH_BYTES and _is_away(site, before, one) and not _fetched(site, before, one)):
                was = saved(f"{before}:{one}").get("output")
                changed |= run_again(before, one) != was
    return changed


def _before(site: Site, kind: str, name: str) -> Iterator[tuple[str, str]]:
    """The steps whose bytes a step reads."""
    if kind == "share":
        yield from dict.fromkeys(("resolve", sharer.resolution) for sharer in site.sharers.values())
    if kind not in ("compile", "copy", "zip"):
        return
    build = site.build(name)
    yield from (("resolve", resolution) for resolution in build.resolutions)
    if build.package:
        yield "package", build.package
    if build.compiles and kind != "compile":
        yield "compile", name
    if kind == "zip":
        yield "copy", name


def are_away(site: Site, name: str) -> bool:
    """Whether bytes of a build's entries are not on this machine's disk."""
    return any(_is_away(site, kind, one) for kind, one in _before(site, "zip", name) if kind in _WITH_BYTES)


def _is_away(site: Site, kind: str, name: str) -> bool:
    if not saved(f"{kind}:{name}").get("away"):
        return False
    blobs = _blobs(site, kind, name)
    no_folder = OUT in blobs and not os.path.isdir(site.out(kind, name))
    return no_folder or not all(os.path.exists(path) for _, path in _files(site, blobs))


def _is_known(site: Site, kind: str, name: str) -> bool:
    return bool(saved(f"{kind}:{name}").get("output"))


def _blobs(site: Site, kind: str, name: str) -> dict[str, list[Any]]:
    receipt = receipts.read(site.receipt(kind, name))
    found = receipt.result.get("blobs", {}) if receipt is not None else {}
    return dict(found)


def _files(site: Site, blobs: Mapping[str, list[Any]]) -> Iterator[tuple[list[Any], str]]:
    """Files of the machine's store among the blobs, and where they belong; no other path is believed."""
    for name, blob in blobs.items():
        match = IN_STORE.fullmatch("{store}/" + name)
        if match and match[2] == blob[0]:
            yield blob, os.path.join(site.cache_dir, name)


def _fetched(site: Site, kind: str, name: str) -> bool:
    """Whether the bytes that a step left are here now."""
    cache, blobs = caches(site), _blobs(site, kind, name)
    if cache is None:
        return False
    with site.shared.lock_of(f"bytes of {kind}:{name}"):
        return _fetched_files(site, cache, blobs) and _fetched_folder(site, cache, blobs, site.out(kind, name))


def _fetched_files(site: Site, cache: Any, blobs: Mapping[str, list[Any]]) -> bool:
    from lambdabuild.cache.cache import Digest

    absent = [(blob, path) for blob, path in _files(site, blobs) if not os.path.exists(path)]
    return all(cache.fetch(Digest(*blob), path, 0o444, keep=False) for blob, path in absent)


def _fetched_folder(site: Site, cache: Any, blobs: Mapping[str, list[Any]], out: str) -> bool:
    from lambdabuild.cache.cache import Digest

    return OUT not in blobs or os.path.isdir(out) or _unpacked(site, cache, Digest(*blobs[OUT]), out)


def _unpacked(site: Site, cache: Any, digest: Any, out: str) -> bool:
    from lambdabuild.cache import packs

    with site.scratch() as scratch:
        pack, fresh = os.path.join(scratch, "pack"), os.path.join(scratch, "out")
        if not cache.fetch(digest, pack):
            return False
        os.makedirs(fresh)
        try:
            packs.unpack(pack, fresh)
        except (ValueError, OSError):
            return False
        os.makedirs(os.path.dirname(out), exist_ok=True)
        os.replace(fresh, out)
    return True


# going in


def offer(
    site: Site,
    kind: str,
    name: str,
    components: Mapping[str, str],
    receipt: receipts.Receipt,
    values: Mapping[str, Any],
) -> None:
    """Give what a step left to the caches, when it can be of use elsewhere and says nothing that it must not."""
    cache = caches(site) if kind in KINDS else None
    if cache is None or cache.read_only or any(digest == inputs.CHANGED for digest in receipt.reads.values()):
        return
    if inputs.components(site, kind, name, saved) != components:
        return  # its inputs were edited while it ran: what it left may be of either
    data = {
        "output": receipt.output, "values": dict(values), "result": dict(receipt.result),
        "reads": dict(receipt.reads), "folders": {path: dict(files) for path, files in receipt.folders.items()},
    }  # fmt: skip
    if kind == "copy":
        from lambdabuild.engine import assemble

        data["list"] = assemble.read_rows(site, name)
    sources = _sources(site, kind, name, receipt)
    if sources is None or not _is_portable(data) or not _may_leave(site, data, components):
        return
    key = key_of(site, kind, name, components)
    if not receipt.reads:
        cache.put(key, data, sources)
        return
    cache.put(_second(key, receipt.reads), data, sources)
    revealed = {
        "reads": [path.removeprefix("read:") for path in sorted(receipt.reads) if path.startswith("read:")],
        "images": values.get("images", {}),
    }
    known = cache.find(key)
    before = known.data.get("candidates", []) if known is not None else []
    if revealed not in before[:1]:
        rest = [one for one in before if one != revealed]
        cache.put(key, {"candidates": [revealed, *rest][:MOST_CANDIDATES]}, {})


def _sources(site: Site, kind: str, name: str, receipt: receipts.Receipt) -> dict[str, Any] | None:
    """The blobs of what a step left; None when something of it lies where no other machine has it."""
    from lambdabuild.cache.cache import Digest
    from lambdabuild.cache.shared import File, Folder, Stays

    if kind == "zip":
        digest = Digest(receipt.result["sha256"], receipt.result["size"])
        return {ZIP: File(site.zip(name), digest)}
    found: dict[str, Any] = {}
    for part in receipt.result["parts"] if kind in _WITH_BYTES else ():
        path, in_store = part["path"], IN_STORE.fullmatch(part["path"])
        if in_store:
            real = site.expand(path)
            found[in_store[1]] = Stays(real, Digest(in_store[2], os.path.getsize(real)))
        elif path.startswith("{state}/out/"):
            found[OUT] = Folder(site.out(kind, name))
        elif not path.startswith(("{project}", "{checkout}")):
            return None
    return found


def _is_portable(data: Mapping[str, Any]) -> bool:
    """Whether all files of a list lie where another machine has them or can fetch them: not what copy itself made.

    Files that were only read, such as a compiler, may lie anywhere: elsewhere they are looked for in the same place,
    and must be the same.
    """
    return all(LISTED.match(row[-1][0]) for row in data.get("list", ()))


def _may_leave(site: Site, data: Mapping[str, Any], components: Mapping[str, str]) -> bool:
    """Whether an entry names no place of this machine and holds no value of a variable that the step was given."""
    text = json.dumps(data, ensure_ascii=False)
    names = (name.removeprefix("environment:") for name in components if name.startswith("environment:"))
    values = (os.environ.get(name, "") for name in names)
    if CREDENTIALS.search(text) or any(len(value) >= SECRET_CHARACTERS and value in text for value in values):
        return False
    places = {*site.roots.values(), os.path.expanduser("~")} - {os.sep}
    return not any(re.search(rf"(?<![\w./-]){re.escape(place)}(?=[/\"])", text) for place in places)
