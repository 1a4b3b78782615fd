"""A folder that a step left, as one blob: a tar file packed by zstd, in sorted order, without times and owners."""

from __future__ import annotations

import os
import posixpath
import tarfile
from collections.abc import Iterator
from typing import Any

from lambdabuild.cache import zstd

LEVEL = 3


def pack(folder: str, target: str) -> None:
    """Write the folder's files, links and empty folders to a file."""
    with (
        zstd.ZstdFile(target, "w", level=LEVEL) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in _sorted(folder):
            _add(archive, folder, path)


def _sorted(folder: str, inside: str = "") -> Iterator[str]:
    for entry in sorted(os.scandir(os.path.join(folder, inside)), key=lambda entry: entry.name):
        path = inside + entry.name
        yield path
        if entry.is_dir(follow_symlinks=False):
            yield from _sorted(folder, path + "/")


def _add(archive: tarfile.TarFile, folder: str, path: str) -> None:
    full = os.path.join(folder, path)
    info = archive.gettarinfo(full, path)
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 0
    info.mode = 0o755 if info.mode & 0o100 else 0o644
    if info.islnk():  # the same file twice, as pnpm leaves them: each by itself, for the first may be edited
        info.type, info.linkname, info.size = tarfile.REGTYPE, "", os.path.getsize(full)
    if info.isreg():
        with open(full, "rb") as stream:
            archive.addfile(info, stream)
    else:
        archive.addfile(info)


def unpack(source: str, folder: str) -> None:
    """Make the folder's content. Raises ValueError for a pack that is broken, or leads out of the folder."""
    try:
        with (
            zstd.ZstdFile(source) as packed,
            tarfile.open(fileobj=packed, mode="r|") as archive,
        ):
            for info in archive:
                _extract(archive, info, folder)
    except (tarfile.TarError, zstd.ZstdError, EOFError) as error:
        raise ValueError(f"not a pack: {error}") from error


def _extract(archive: tarfile.TarFile, info: tarfile.TarInfo, folder: str) -> None:
    path = info.name
    out = path.startswith("/") or ".." in path.split("/") or "\0" in path
    if out or not (info.isreg() or info.isdir() or info.issym()) or (info.issym() and _leads_out(info)):
        raise ValueError(f"{path!r} has no place in a pack")
    target = os.path.join(folder, path)
    if os.path.realpath(os.path.dirname(target)) != os.path.join(
        os.path.realpath(folder), os.path.dirname(path)
    ).rstrip("/"):
        raise ValueError(f"{path!r} lies behind a link")
    if info.isdir():
        os.makedirs(target, exist_ok=True)
    elif info.issym():
        os.symlink(info.linkname, target)
    else:
        _write(archive.extractfile(info), target, 0o755 if info.mode & 0o100 else 0o644)


def _leads_out(link: tarfile.TarInfo) -> bool:
    place = posixpath.normpath(posixpath.join(posixpath.dirname(link.name), link.linkname))
    return link.linkname.startswith("/") or place == ".." or place.startswith("../")


def _write(content: Any, target: str, mode: int) -> None:
    with open(target, "xb") as stream:
        while chunk := content.read(1 << 20):
            stream.write(chunk)
        os.fchmod(stream.fileno(), mode)
