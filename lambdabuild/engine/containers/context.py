"""A Dockerfile for containers, with all that it may copy: its digest, and as an archive."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from typing import IO

from lambdabuild.core import regular
from lambdabuild.core.errors import BadSettings
from lambdabuild.core.spans import Span
from lambdabuild.engine.base.site import Site
from lambdabuild.files import fingerprint
from lambdabuild.files.listing import Listing, ignore_lines, patterns, scan


def dockerfile_digest(site: Site, dockerfile: str) -> str:
    """The digest of a Dockerfile and of all that it may copy."""
    return fingerprint.of_listing(f"dockerfile {dockerfile}", context(site, dockerfile), site.stats)[:32]


def context(site: Site, dockerfile: str) -> Listing:
    """The Dockerfile's folder without what its .dockerignore leaves out; when it copies nothing, it alone."""
    path = site.path(dockerfile)
    try:
        with open(path, encoding="utf-8", errors="replace", opener=regular.opener) as stream:
            words = {line.split()[0].upper() for line in stream if line.split()}
    except OSError as error:
        raise BadSettings(
            f"the Dockerfile {dockerfile} cannot be read: {error.strerror}",
            where=Span(dockerfile),
            help="correct the setting dockerfile; it is relative to the project's folder",
        ) from error
    folder, name = os.path.split(path)
    alone = ("/*", f"!/{name}")
    lines = (".git/", *_dockerignored(folder)) if words & {"COPY", "ADD"} else alone
    site.stats.saw(os.path.join(folder, ".dockerignore"))
    return scan(folder, patterns((*lines, f"!/{name}")), boundary=site.boundary, skip=site.not_source)


def _dockerignored(folder: str) -> Iterator[str]:
    """Patterns of a .dockerignore count from its folder, with a slash before them or not."""
    for line in ignore_lines(folder, ".dockerignore"):
        bare = line.removeprefix("!").strip("/")
        yield ("!" if line.startswith("!") else "") + (bare if bare.startswith("**") else f"/{bare}")


def write_context(stream: IO[bytes], listing: Listing, dockerfile: str) -> None:
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for found in listing.files:
            archive.add(found.real, "Dockerfile" if found.path == dockerfile else found.path, filter=_plain)
    stream.seek(0)


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info
