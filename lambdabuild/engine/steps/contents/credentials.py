"""Notes and warnings about files that look like secrets, with the setting that decides otherwise."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from lambdabuild.artifacts.entries import Entry, FileOnDisk
from lambdabuild.config.settings import CREDENTIALS
from lambdabuild.core import regular
from lambdabuild.core.recent import RecentContents
from lambdabuild.files.listing import patterns
from lambdabuild.plan.types import Build

LARGEST_KEY = 32_768
"""Bytes; a file with a private key in it is small."""
PRIVATE_KEY = re.compile(
    rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----[\s\S]{0,200}?[A-Za-z0-9+/]{40}|^PuTTY-User-Key-File-\d"
)
"""A key itself, as text or inside JSON; not a program that only knows the first line of one, and no certificate."""


FIRST_OF_KEYS = (b"-----BEGIN ", b"PuTTY-User-Key-File-")
"""One of these is in all that the expression finds, and they are found faster."""


def is_credential(path: str) -> bool:
    """Return whether a path has the name of a file, or lies in a folder, that usually holds secrets."""
    inner = path.rstrip("/")
    folder, _, name = inner.rpartition("/")
    return _is_credentials_folder(folder) or patterns(CREDENTIALS).leaves_out(inner, name, path.endswith("/"))


@lru_cache(maxsize=256)
def _is_credentials_folder(folder: str) -> bool:
    if not folder:
        return False
    above, _, name = folder.rpartition("/")
    return _is_credentials_folder(above) or patterns(CREDENTIALS).leaves_out(folder, name, True)


def notes(build: Build, left_out: Iterable[str]) -> Iterator[str]:
    """Say which files were left out because they usually hold secrets."""
    names = sorted(path for path in left_out if is_credential(path))
    if names and set(CREDENTIALS) <= set(build.key.leave_out):
        yield (
            f"{build.name}: left out {_listed(names)}, because such files hold secrets; "
            f'exclude = ["!{posixpath.basename(names[0].rstrip("/"))}"] in lambdabuild.toml brings it back'
        )


def warnings(build: Build, entries: Iterable[Entry], recent: RecentContents) -> Iterator[str]:
    """Warn of what goes into the artifact, of the function's own files, and looks like a secret.

    Whoever brought a file back by its name knows that.
    """
    lines = tuple(line[1:] for line in build.key.leave_out if line.startswith("!"))
    wanted = patterns(lines) if lines else None
    for entry in entries:
        if not isinstance(entry.location, FileOnDisk):
            continue
        if wanted is not None and wanted.leaves_out(entry.path, posixpath.basename(entry.path), False):
            continue
        if is_credential(entry.path):
            yield f"{build.name}: {entry.path} goes into the artifact, and such files hold secrets; {_mend(entry.path)}"
        elif entry.size <= LARGEST_KEY and _has_private_key(entry.location.path, recent.get(entry.sha256)):
            yield f"{build.name}: {entry.path} goes into the artifact and holds a private key; {_mend(entry.path)}"


def _mend(path: str) -> str:
    return f"leave it out (exclude = [{path!r}]), and read it from a secret store"


def _has_private_key(path: str, content: bytes | None) -> bool:
    """Look into a file, whose content may be known."""
    try:
        content = regular.read_listed(path, LARGEST_KEY) if content is None else content
        return any(first in content for first in FIRST_OF_KEYS) and PRIVATE_KEY.search(content) is not None
    except OSError:
        return False  # whoever writes the artifact will tell


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
