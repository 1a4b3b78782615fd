"""The caches of a run, as its settings name them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lambdabuild.core import messages
from lambdabuild.engine.base import destination
from lambdabuild.engine.base.run import Run

if TYPE_CHECKING:
    from lambdabuild.cache.shared import SharedCache


def caches(run: Run) -> SharedCache | None:
    """The caches of this run, None when the settings want none. A fork of doit's has its own."""
    settings = run.project.settings.cache
    if not settings.enabled:
        return None
    return run.caches.get(lambda: _open(run))


def _open(run: Run) -> SharedCache:
    # zstd, and clients that most projects do not have, are loaded when a cache is first asked.
    from lambdabuild.cache.background import THREADS, Background
    from lambdabuild.cache.folder import FolderCache
    from lambdabuild.cache.guarded import Guarded
    from lambdabuild.cache.shared import SharedCache
    from lambdabuild.cache.trouble import Trouble

    settings = run.project.settings.cache
    remotes = [] if run.project.settings.offline else settings.remotes
    return SharedCache(
        folder=FolderCache(run.project.built_steps_dir),
        remotes=[Guarded(_client(run, address), messages.warn) for address in remotes],
        trouble=Trouble(messages.warn),
        background=Background(THREADS if run.process == os.getpid() else 0),
        read_only=settings.read_only,
        max_bytes=settings.max_bytes,
    )


def _client(run: Run, address: str) -> Any:
    settings, environment = run.project.settings.cache, run.opened_with.environment
    scheme, _, rest = address.partition("://")
    if scheme == "s3":
        from lambdabuild.aws.s3_cache import S3Cache

        bucket, _, prefix = rest.partition("/")
        return S3Cache(
            bucket,
            prefix,
            region=destination.region(run.project),
            profile=run.project.settings.profile,
            endpoint_url=run.project.settings.endpoint_url,
            timeout_seconds=settings.timeout_seconds,
        )
    from lambdabuild.cache.remote import Connection

    headers = {name: environment[variable] for name, variable in settings.headers.items() if variable in environment}
    files = (settings.ca_file, settings.client_certificate, settings.client_key)
    connection = Connection(
        address, settings.timeout_seconds, headers, *(run.project.path(file) if file else "" for file in files)
    )
    if scheme.startswith("http"):
        from lambdabuild.cache.http_cache import HttpCache

        return HttpCache(connection)
    from lambdabuild.cache.reapi.reapi_cache import ReapiCache

    return ReapiCache(connection)


def take_put_bytes(run: Run) -> int:
    """Return how much this process has put into the machine's folder, for the process that accounts for it."""
    opened = caches(run) if run.caches.is_made else None
    if opened is None:
        return 0
    put, opened.folder.put_bytes = opened.folder.put_bytes, 0
    return put


def add_put_bytes(run: Run, count: int) -> None:
    """Account for what a fork has put into the machine's folder."""
    opened = caches(run) if count else None
    if opened is not None:
        opened.folder.put_bytes += count


def finish_run(run: Run) -> dict[str, int]:
    """End a run: give what is on its way to a cache its time. Return what went to and from remote ones, in bytes."""
    opened = caches(run) if run.caches.is_made else None
    if opened is None:
        return {}
    opened.finish(run.project.settings.cache.upload_seconds)
    return {"fetched_bytes": opened.counts.fetched_bytes, "sent_bytes": opened.counts.sent_bytes}
