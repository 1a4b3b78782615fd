"""The folder that an image is built from: which files the engine gets, their digest, and one tar of them.

Equal files give equal bytes: entries are sorted, times are fixed, all is root's, and of a mode only the right to run
counts.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Literal

from lambdabuild.core import regular
from lambdabuild.core.errors import BadSource, CannotRead, LambdaBuildError, raise_all
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span
from lambdabuild.docker import dockerignore
from lambdabuild.docker.dockerignore import Ignored
from lambdabuild.files import fingerprint
from lambdabuild.files.stat_cache import StatCache

if TYPE_CHECKING:
    import tarfile

EPOCH_SECONDS = 315532800
"""1980-01-01, the time that the files of zips have too; SOURCE_DATE_EPOCH of a build."""

OWN_DOCKERFILE = ".lambdabuild.Dockerfile"
"""The name in the tar of a Dockerfile that is outside the folder."""


class Item(Struct, frozen=True):
    """One file, folder or link; ``path`` is relative to the context, ``real`` its absolute path."""

    path: str
    real: str
    kind: Literal["file", "folder", "link"]
    stat: os.stat_result
    target: str = ""


class Context(Struct, frozen=True):
    """``items`` are sorted by their path's bytes; ``folders`` are those that were read."""

    folder: str
    dockerfile: str
    """An absolute path."""
    items: tuple[Item, ...]
    folders: tuple[str, ...]
    ignore: str
    """The text of the .dockerignore that counts."""

    @property
    def dockerfile_inside(self) -> str:
        """The Dockerfile's path in the tar."""
        inside = os.path.relpath(self.dockerfile, self.folder).replace(os.sep, "/")
        return OWN_DOCKERFILE if inside.startswith("../") else inside


def read(
    folder: str, dockerfile: str, cache: StatCache, *, skip: frozenset[str] = frozenset(), who: str = ""
) -> Context:
    """Return all that the engine gets. ``skip`` are real paths that are always left out (the build folder).

    A Dockerfile's own ignore file (``Dockerfile.dockerignore``) takes the place of the folder's.
    """
    file, text = _ignore_file(folder, dockerfile, cache)
    walk = _Walk(dockerignore.parse(file, text), skip, who)
    walk.folder(folder, "")
    raise_all(walk.errors)
    items = tuple(sorted(walk.items, key=lambda item: item.path.encode()))
    return Context(folder, dockerfile, items, tuple(walk.folders), text)


def _ignore_file(folder: str, dockerfile: str, cache: StatCache) -> tuple[str, str]:
    for file in (f"{dockerfile}.dockerignore", os.path.join(folder, dockerignore.FILE)):
        cache.record(file)
        try:
            with open(file, encoding="utf-8", opener=regular.opener) as stream:
                return file, stream.read()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise CannotRead(
                f"cannot read {file}: {error}", where=Span(file), help="make it a readable text"
            ) from error
    return file, ""


class _Walk:
    def __init__(self, ignored: Ignored, skip: frozenset[str], who: str) -> None:
        self.ignored, self.skip, self.who = ignored, skip, who
        self.items: list[Item] = []
        self.folders: list[str] = []
        self.errors: list[LambdaBuildError] = []

    def folder(self, real: str, inside: str) -> bool:
        """Return whether anything in the folder is sent to the engine."""
        self.folders.append(real)
        before = len(self.items)
        try:
            with os.scandir(real) as entries:
                listed = list(entries)
        except OSError as error:
            raise CannotRead(
                f"{self.who}: cannot list {real}: {error.strerror}", help="give yourself the right to read it"
            ) from error
        for entry in listed:
            self.entry(entry, inside + entry.name)
        return len(self.items) > before

    def entry(self, entry: os.DirEntry[str], path: str) -> None:
        out = self.ignored.leaves_out(path)
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            enter = not out or self.ignored.brings_back_below(path)
            if not enter or (self.skip and os.path.realpath(entry.path) in self.skip):
                return
            if self.folder(entry.path, path + "/") or not out:
                self.items.append(Item(path, entry.path, "folder", status))
        elif out or stat.S_ISSOCK(status.st_mode):
            return  # Docker sends no sockets
        elif not _is_utf8(path):
            self.bad(ascii(path), "has a name that is not UTF-8", "rename it")
        elif stat.S_ISLNK(status.st_mode):
            self.items.append(Item(path, entry.path, "link", status, os.readlink(entry.path)))
        elif stat.S_ISREG(status.st_mode):
            self.items.append(Item(path, entry.path, "file", status))
        else:
            self.bad(entry.path, "is neither a file nor a folder", "leave it out with a line in .dockerignore")

    def bad(self, path: str, why: str, help: str) -> None:
        self.errors.append(BadSource(f"{self.who}: {path} {why}", where=Span(path), help=help))


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def digest(key: str, context: Context, cache: StatCache) -> str:
    """Return the digest of all that the engine gets; nothing is read that the cache knows."""
    cache.record_listing(context.folders, ((item.real, True) for item in context.items if item.kind == "file"))
    rows = [(item.path, item.target, item.stat.st_mode, *_numbers(item)) for item in context.items]
    newest = max((max(i.stat.st_mtime_ns, i.stat.st_ctime_ns) for i in context.items if i.kind == "file"), default=0)
    return cache.folder(key, rows, newest, lambda: fingerprint.of(files(context, cache)))


def _numbers(item: Item) -> tuple[int, ...]:
    """Return values that change when the file does. Files that appear or vanish show in the items of their folder."""
    now = item.stat
    return (now.st_mtime_ns, now.st_ctime_ns, now.st_size, now.st_ino) if item.kind == "file" else ()


def files(context: Context, cache: StatCache) -> Mapping[str, str]:
    """``{path: digest}``; what ``why`` compares."""
    return {item.path: _of(item, cache) for item in context.items}


def _of(item: Item, cache: StatCache) -> str:
    if item.kind == "file":
        return cache.digest(item.real, item.stat) + ("+x" if _runs(item) else "")
    return f"link to {item.target}" if item.kind == "link" else "folder"


def _runs(item: Item) -> bool:
    return bool(item.stat.st_mode & stat.S_IXUSR)


def write_tar(context: Context, stream: IO[bytes]) -> None:
    """The context as the engine takes it, with its Dockerfile, whatever the .dockerignore says of that."""
    import tarfile

    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for item in (*context.items, *_beside(context)):
            info = _info(item)
            if item.kind == "file":
                with open(item.real, "rb", opener=regular.opener) as content:
                    info.size = os.fstat(content.fileno()).st_size
                    archive.addfile(info, content)
            else:
                archive.addfile(info)


def unpack(file: str, folder: str) -> None:
    """A tar of a context as a folder, with the tar's times."""
    import tarfile

    with tarfile.open(file) as archive:
        archive.extractall(folder, filter="fully_trusted")


def write_dockerfile(context: Context, folder: str) -> str:
    """Write the Dockerfile to a folder of its own, with the ignore file that applies under its matching name."""
    os.makedirs(folder)
    path = os.path.join(folder, "Dockerfile")
    shutil.copyfile(context.dockerfile, path)
    with open(f"{path}.dockerignore", "w", encoding="utf-8") as stream:
        stream.write(context.ignore)
    return path


def _beside(context: Context) -> Iterator[Item]:
    """Yield the Dockerfile and the .dockerignore, where patterns leave them out; the engine takes them away again."""
    there = {item.path for item in context.items}
    ignore_file = os.path.join(context.folder, dockerignore.FILE)
    for path, real in ((dockerignore.FILE, ignore_file), (context.dockerfile_inside, context.dockerfile)):
        if path not in there and os.path.isfile(real):
            yield Item(path, real, "file", os.stat(real))


def _info(item: Item) -> tarfile.TarInfo:
    import tarfile

    info = tarfile.TarInfo(posixpath.normpath(item.path))
    info.mtime = EPOCH_SECONDS
    info.type = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}[item.kind]
    info.linkname = item.target
    runs = item.kind != "file" or _runs(item)
    info.mode = 0o777 if item.kind == "link" else 0o755 if runs else 0o644
    return info
