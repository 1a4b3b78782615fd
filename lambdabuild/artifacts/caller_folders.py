"""Write to a folder or file that a caller named, without replacing or removing what others made there."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import posixpath
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from lambdabuild.artifacts.entries import Entry
from lambdabuild.artifacts.owned import NamedFolder, some, why_never_emptied
from lambdabuild.artifacts.trees import make_folders, write_entry
from lambdabuild.core.atomic import replacing, unfinished
from lambdabuild.core.errors import InTheWay
from lambdabuild.core.spans import Span

LOG = logging.getLogger(__name__)
NO_LINKS: Mapping[str, str] = {}


def make(folder: str) -> None:
    """Make a folder and those above it. Raise OSError, even if the path has a thousand folders."""
    try:
        os.makedirs(folder, exist_ok=True)
    except RecursionError as error:  # it calls itself for each folder above, before it makes any
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), folder) from error


def refuse_to_empty(folder: NamedFolder, called: str, inside: Mapping[str, str]) -> None:
    """Raise InTheWay (LB507) unless a folder is missing, empty, or holds just what we put there.

    ``inside`` are paths that it must not hold, by what they are (``owned.why_never_emptied``).
    """
    if folder.is_empty():
        return
    if why := why_never_emptied(folder.folder, inside):
        raise InTheWay(f"{called} {folder.folder} is not emptied: {why}", help="name a folder that is new or empty")
    if there := folder.strangers():
        raise InTheWay(
            f"{called} {folder.folder} is not emptied: it holds what lambdabuild did not put there, or what was changed"
            f" since: {some(there)}",
            where=Span(folder.folder),
            help="name a folder that is new or empty, or remove this one when nothing in it is needed",
        )


def refuse_to_overwrite(folder: NamedFolder, entries: Sequence[Entry], links: Mapping[str, str] = NO_LINKS) -> None:
    """Raise InTheWay (LB507) before anything is written if other files are where ours belong."""
    if there := folder.obstacles(_digests(entries, links)):
        raise InTheWay(
            f"{folder.folder} holds what lambdabuild did not put there, or what was changed since, where files of the"
            f" artifact belong: {some(there)}",
            where=Span(folder.folder),
            help="name a folder that is new or empty, or remove these files",
        )


def write(
    folder: NamedFolder, entries: Sequence[Entry], links: Mapping[str, str] = NO_LINKS, *, only: bool = False
) -> None:
    """Add the entries, and links (``{path: target}``), to a folder; what else is in it stays. ``only``: it was emptied
    for them."""
    if not folder.record(_digests(entries, links), only=only):
        LOG.warning("what is put into %s cannot be recorded, so no other build will replace it", folder.folder)
    make(folder.folder)
    missing = [entry for entry in entries if not folder.has(entry.path, _digest(entry))]
    absent = {path: target for path, target in links.items() if not folder.has(path, _link(target))}
    paths = (*(entry.path for entry in missing), *absent)
    make_folders(folder.folder, {posixpath.dirname(path) for path in paths}, are_ours=False)
    for entry in missing:
        write_entry(os.path.join(folder.folder, entry.path), entry)
    for path, target in absent.items():
        with replacing(os.path.join(folder.folder, path)) as temporary:
            os.symlink(target, temporary)


def links(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the links to packages that an earlier build left at the top of a folder: (name, target)."""
    for entry in os.scandir(folder) if os.path.isdir(folder) else ():
        if entry.is_symlink():
            yield entry.name, os.readlink(entry.path)


@contextmanager
def named_file(path: str, store: str) -> Iterator[str]:
    """The name of a file that becomes ``path`` when the block ends well; a pipe or a device is written to itself.

    Raises InTheWay (LB507) when a file is there that we did not write, or that was changed since, and is not the same.
    """
    if _is_device(path):
        yield path
        return
    real = os.path.realpath(path)
    folder, name = NamedFolder(os.path.dirname(real), store), os.path.basename(real)
    temporary = f"{real}.{os.getpid()}.tmp"
    with unfinished(temporary):
        yield temporary
        with open(temporary, "rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        if folder.has(name, sha256):
            return
        if folder.obstacles({name: sha256}):
            raise InTheWay(
                f"lambdabuild did not make {path}, or it was changed since",
                where=Span(path),
                help="name another file, or remove this one",
            )
        os.chmod(temporary, 0o644)
        folder.record({name: sha256})
        os.replace(temporary, real)


def _is_device(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def _digests(entries: Sequence[Entry], links: Mapping[str, str]) -> dict[str, str]:
    files = {entry.path: _digest(entry) for entry in entries}
    return files | {path: _link(target) for path, target in links.items()}


def _link(target: str) -> str:
    return f"-> {target}"


def _digest(entry: Entry) -> str:
    return entry.sha256 + ("+x" if entry.executable else "")
