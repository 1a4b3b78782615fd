"""The machine's store of downloads and of what was built once: every path in it promises its content.

    wheels/<sha256>/<file name>                    a file that was downloaded
    built/<key>/<sha256>/<file name>               a wheel that a container made of the inputs in the key
    built/<key>/<tree digest>/                     a package's folder after its scripts
    stripped/<tool>/<sha256 before>/<sha256>       a native file without symbols
    tools/<name>/<tree digest>/                    a program, installed

Nobody takes anything out without holding it against that promise: disks fail, people edit, and a folder that CI brought
back may have been written by a job that is trusted less.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator

from lambdabuild.core import regular

CHUNK = 1 << 20
DIGEST = "[0-9a-f]{64}"
FILES = re.compile(rf"(?:wheels|built/{DIGEST})/({DIGEST})/[^/]+|stripped/[^/]+/{DIGEST}/({DIGEST})")
FOLDERS = re.compile(rf"built/{DIGEST}/({DIGEST})|tools/[^/]+/({DIGEST})")
INDEX = ".index"
"""How the file ends that says what is in an archive next to it (``artifacts.archives``), checked when it is read."""


def promised(store: str, path: str) -> str:
    """Return the sha256 that a file's path promises, "" for a path that promises nothing."""
    match = FILES.fullmatch(os.path.relpath(path, store)) if not path.endswith(INDEX) else None
    return (match[1] or match[2]) if match else ""


def sha256_of(path: str) -> str:
    """Return the sha256 of a file's bytes, in hex, in constant memory. Raises OSError."""
    file, status = regular.open_listed(path)
    digest, left = hashlib.sha256(), status.st_size
    try:
        while left > 0 and (chunk := os.read(file, min(left, CHUNK))):
            digest.update(chunk)
            left -= len(chunk)
    finally:
        os.close(file)
    return digest.hexdigest()


def tree_digest(folder: str) -> str:
    """Return the sha256 over the names, modes and contents of all that is in a folder.

    One line for each file and link, in the order of their names' bytes: ``name NUL 755|644|link NUL sha256|target``.
    """
    digest = hashlib.sha256()
    for line in sorted(_lines(folder, b"")):
        digest.update(line)
    return digest.hexdigest()


def _lines(folder: str, inside: bytes) -> Iterator[bytes]:
    for entry in os.scandir(folder):
        name = inside + os.fsencode(entry.name)
        if entry.is_symlink():
            yield name + b"\0link\0" + os.fsencode(os.readlink(entry.path)) + b"\n"
        elif entry.is_dir():
            yield from _lines(entry.path, name + b"/")
        else:
            mode = b"755" if entry.stat().st_mode & stat.S_IXUSR else b"644"
            yield name + b"\0" + mode + b"\0" + sha256_of(entry.path).encode() + b"\n"


def whole_folder(place: str, discard: Callable[[str], object]) -> str:
    """Return the first folder in a place that is what its name promises, "" when there is none.

    What is broken is handed to ``discard``.
    """
    for name in sorted(os.listdir(place)) if os.path.isdir(place) else ():
        folder = os.path.join(place, name)
        if re.fullmatch(DIGEST, name) is None or not os.path.isdir(folder):
            continue
        if _is_whole_folder(folder):
            return folder
        discard(folder)
    return ""


def adopt(folder: str, place: str) -> str:
    """Give a finished folder its place in the store, under its digest; return its path there."""
    target = os.path.join(place, tree_digest(folder))
    try:
        os.rename(folder, target)
    except OSError:
        if not os.path.isdir(target):  # else another was first
            raise
    return target


def _is_whole_folder(folder: str) -> bool:
    try:
        return tree_digest(folder) == os.path.basename(folder)
    except OSError:
        return False


def broken(store: str) -> Iterator[str]:
    """Yield every file and folder in the store that is not what its path promises. Reads all of them."""
    for top in ("wheels", "built", "stripped", "tools"):
        for folder, folders, files in os.walk(os.path.join(store, top)):
            inner = [os.path.join(folder, name) for name in sorted(folders)]
            trees = [
                path for path in inner if FOLDERS.fullmatch(os.path.relpath(path, store)) and not _is_file_in(path)
            ]
            folders[:] = [os.path.basename(path) for path in inner if path not in trees]
            yield from (path for path in trees if not _is_whole_folder(path))
            paths = [os.path.join(folder, name) for name in sorted(files)]
            yield from (path for path in paths if not _keeps(path, promised(store, path)))


def _is_file_in(folder: str) -> bool:
    """Return whether the folder's digest is that of the one wheel in it, or of one that was in it."""
    names = os.listdir(folder) if f"{os.sep}built{os.sep}" in folder else ["a program"]
    return all(name.endswith((".whl", ".whl" + INDEX)) for name in names)


def remove_broken(path: str) -> None:
    """Remove a file of the store with its index, or a folder."""
    for target in (path, path + INDEX):
        if os.path.isdir(target) and not os.path.islink(target):
            shutil.rmtree(target, ignore_errors=True)
        elif os.path.lexists(target):
            os.unlink(target)


def keeps(store: str, path: str) -> bool:
    """Return whether a file or folder is, now, what its path promises; what promises nothing keeps nothing."""
    if os.path.isdir(path):
        return re.fullmatch(DIGEST, os.path.basename(path)) is not None and _is_whole_folder(path)
    sha256 = promised(store, path)
    return bool(sha256) and _keeps(path, sha256)


def _keeps(path: str, sha256: str) -> bool:
    try:
        return not sha256 or sha256_of(path) == sha256
    except OSError:
        return True  # it went meanwhile
