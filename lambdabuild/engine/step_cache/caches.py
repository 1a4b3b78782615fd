"""The caches of a run, as its settings name them."""

from __future__ import annotations

import os
from typing import Any

from lambdabuild.core import messages
from lambdabuild.engine.base import session
from lambdabuild.engine.base.site import Site


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
        remotes=[Guarded(_client(site, address), messages.warn) for address in remotes],
        warn=messages.warn,
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
            bucket,
            prefix,
            region=site.region,
            profile=site.settings.profile,
            endpoint_url=site.settings.endpoint_url,
            timeout_seconds=settings.timeout_seconds,
        )
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


def finish_run() -> dict[str, int]:
    """End a run: give what is on its way to a cache its time. Return what went to and from remote ones, in bytes."""
    site = session.current()
    if site is None:
        return {}
    finish(site)
    return totals(site)
