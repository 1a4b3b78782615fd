"""Is this ours? Only what we made is replaced, emptied or removed, and here is how we know what that is.

Three kinds of records: a folder that is ours as a whole bears a tag (``take``), a project has a list of the files and
folders that it made outside of that (``Ledger``), and the machine's store has one of what we put into a folder that a
caller named (``NamedFolder``). Each is written before what it is about. What is in a tree, ``artifacts.trees`` knows.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import re
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from lambdabuild.core import regular
from lambdabuild.core.atomic import TEMPORARY, writing
from lambdabuild.core.errors import CannotWrite, InTheWay
from lambdabuild.core.spans import Span

TAG = "CACHEDIR.TAG"
"""As other programs know it, too: https://bford.info/cachedir/"""
TAGGED = b"""\
Signature: 8a477f597d28d172789f06886806bc55
# lambdabuild made all that is in this folder, and replaces and removes it as it needs.
"""
SHOWN = 5
"""So many names are told of what is in the way."""
LEFTOVER = re.compile(r"(^|/)__pycache__(/[^/]+\.pyc(\.\d+)?)?/?$")
"""Files that running Python code leaves next to it."""


def take(folder: str) -> None:
    """Make a folder ours as a whole, unless it is. Raises InTheWay (LB507) when it holds what others made."""
    if is_tagged(folder):
        return
    os.makedirs(folder, exist_ok=True)
    others = sorted(name for name in os.listdir(folder) if TEMPORARY.sub("", name) != TAG or name == TAG)
    if others and not is_tagged(folder):  # another run may have been faster
        raise InTheWay(
            f"{folder} is where lambdabuild keeps its own files, but holds others: {some(others)}",
            where=Span(folder),
            help="move the folder away; when an earlier version of lambdabuild made it, remove all it has built",
        )
    with writing(os.path.join(folder, TAG)) as stream:
        stream.write(TAGGED)


def is_tagged(folder: str) -> bool:
    try:
        return regular.read_bytes(os.path.join(folder, TAG)) == TAGGED
    except OSError:
        return False


def some(names: Sequence[str]) -> str:
    """Return the first of several names, and whether there are more."""
    return ", ".join(names[:SHOWN]) + (" and more" if len(names) > SHOWN else "")


class Ledger:
    """The paths that a project made, one a line: ``+`` before it is made, ``-`` once it is removed.

    ``portable`` names a path so that the list still holds when the project has moved.
    """

    def __init__(self, file: str, portable: Callable[[str], str]) -> None:
        self.file, self._portable = file, portable
        self._lock = threading.Lock()
        self._read: set[str] | None = None

    def __contains__(self, path: str) -> bool:
        return self._portable(path) in self._paths

    def paths(self, expand: Callable[[str], str]) -> list[str]:
        """Return all paths; ``expand`` is the inverse of ``portable``."""
        return [expand(name) for name in sorted(self._paths)]

    def add(self, paths: Iterable[str]) -> None:
        self._append("+", [path for path in paths if path not in self])

    def discard(self, paths: Iterable[str]) -> None:
        self._append("-", [path for path in paths if path in self])

    @property
    def _paths(self) -> set[str]:
        if self._read is None:
            self._read = set(_listed(self.file))
        return self._read

    def _append(self, sign: str, paths: Sequence[str]) -> None:
        if not paths:
            return
        names = [self._portable(path) for path in paths]
        with self._lock:
            os.makedirs(os.path.dirname(self.file), exist_ok=True)
            file = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
            try:
                # a line begins each record, so that a torn one spoils no other
                os.write(file, b"".join(f"\n{sign}{json.dumps(name)}".encode() for name in names))
                os.fsync(file)
            finally:
                os.close(file)
            self._paths.update(names) if sign == "+" else self._paths.difference_update(names)


def _listed(file: str) -> Iterator[str]:
    paths: dict[str, None] = {}
    try:
        lines = regular.read_text(file, errors="replace").split("\n")
    except OSError:
        return iter(())
    for line in lines:
        try:
            path = regular.json(line[1:])
        except ValueError:
            continue  # torn by a kill
        if not isinstance(path, str):
            continue
        if line.startswith("+"):
            paths[path] = None
        else:
            paths.pop(path, None)
    return iter(paths)


class NamedFolder:
    """A folder that a caller named, and the record of what we put there: ``{path: sha256}``, in the machine's store.

    It cannot be in the folder, because all that is there may be shipped, nor next to it: SAM CLI removes every folder
    of ``.aws-sam/deps`` that it does not know, and stumbles over files.
    """

    def __init__(self, folder: str, store: str) -> None:
        self.folder = os.path.realpath(folder)
        name = hashlib.sha256(os.fsencode(self.folder)).hexdigest()
        self._file = os.path.join(store, "folders", name + ".json")
        self._files = self._recorded()

    def strangers(self) -> list[str]:
        """Return the first few files in the folder that we did not write, or that somebody changed since."""
        parents = {
            "/".join(parts[:n]) for path in self._files for parts in [path.split("/")] for n in range(len(parts))
        }
        paths = (
            path
            for path in _walk(self.folder)
            if not (path.rstrip("/") in parents if path.endswith("/") else self._is_ours(path))
            and not LEFTOVER.search(path)
        )
        return sorted(islice(paths, SHOWN + 1))  # it may be the whole machine's

    def is_empty(self) -> bool:
        return next(_walk(self.folder), None) is None

    def obstacles(self, wanted: Mapping[str, str]) -> list[str]:
        """Return the paths where something else is in the way of files (``{path: sha256}``) to be written."""
        return sorted({where for path in wanted for where in self._obstacle(path, wanted[path])})

    def has(self, path: str, sha256: str) -> bool:
        """Return whether a file exists with the wanted content."""
        return self._digest(path) == sha256

    def record(self, files: Mapping[str, str], *, only: bool = False) -> bool:
        """Note what will be put there, besides what was (``only``: instead); gives whether that could be kept."""
        earlier = {} if only else self._files
        kept = {path: digest for path, digest in earlier.items() if os.path.lexists(os.path.join(self.folder, path))}
        self._files = {**kept, **files}
        document = {"folder": self.folder, "files": self._files}
        try:
            os.makedirs(os.path.dirname(self._file), exist_ok=True)
            with writing(self._file, flush=False) as stream:
                stream.write(json.dumps(document).encode())
        except (OSError, CannotWrite):
            return False
        return True

    def empty(self) -> None:
        """Remove what we put there. Only for a folder without ``strangers``."""
        for path in sorted(_walk(self.folder), reverse=True):  # what is in a folder before the folder
            full = os.path.join(self.folder, path)
            if path.endswith("/"):
                os.rmdir(full)
            elif self._is_named(path) or LEFTOVER.search(path):
                os.unlink(full)

    def _is_ours(self, path: str) -> bool:
        return self._is_named(path) and (path not in self._files or self.has(path, self._files[path]))

    def _is_named(self, path: str) -> bool:
        """Return whether it is a file of ours, or was about to become one when we were killed."""
        return path in self._files or TEMPORARY.sub("", path) in self._files

    def _obstacle(self, path: str, sha256: str) -> Iterator[str]:
        parts = path.split("/")
        for n in range(1, len(parts)):
            folder = os.path.join(self.folder, *parts[:n])
            if os.path.lexists(folder) and (os.path.islink(folder) or not os.path.isdir(folder)):
                yield "/".join(parts[:n])
                return
        if os.path.lexists(os.path.join(self.folder, path)) and not self.has(path, sha256) and not self._is_ours(path):
            yield path

    def _digest(self, path: str) -> str:
        """With ``+x`` for what may be run, ``-> target`` for a link; "" when there is neither file nor link."""
        full = os.path.join(self.folder, path)
        try:
            status = os.lstat(full)
            if stat.S_ISLNK(status.st_mode):
                return f"-> {os.readlink(full)}"
            if not stat.S_ISREG(status.st_mode):
                return ""
            with open(full, "rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            return sha256 + ("+x" if status.st_mode & stat.S_IXUSR else "")
        except OSError:
            return ""

    def _recorded(self) -> dict[str, str]:
        try:
            document = regular.read_json(self._file)
            if document["folder"] == self.folder and all(
                isinstance(digest, str) for digest in document["files"].values()
            ):
                return dict(document["files"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        return {}


def _walk(folder: str, inside: str = "") -> Iterator[str]:
    """Every file and folder below a folder; folders end with a slash."""
    try:
        with os.scandir(folder) as scanned:
            entries = list(scanned)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield inside + entry.name + "/"
            yield from _walk(entry.path, inside + entry.name + "/")
        else:
            yield inside + entry.name


def why_never_emptied(folder: str, inside: Mapping[str, str]) -> str:
    """Why a folder must not be emptied whatever records say; "" when nothing speaks against it.

    ``inside`` are paths that it must not hold, by what they are ("the source").
    """
    real = os.path.realpath(folder)
    if real == os.sep:
        return "it is the root of the file system"
    if os.path.ismount(real):
        return "it is a mount point"
    homes = {os.path.expanduser("~"), *(user.pw_dir for user in pwd.getpwall())}
    if any(holds(real, home) for home in homes if os.path.isabs(home)):
        return "it is or holds a home folder"
    return next((f"it is or holds {what}" for what, path in inside.items() if path and holds(real, path)), "")


def holds(folder: str, path: str) -> bool:
    """Return whether a path is a folder or something in it, after following links."""
    real, inner = os.path.realpath(folder), os.path.realpath(path)
    return inner == real or inner.startswith(real.rstrip(os.sep) + os.sep)
