"""Files by their path -> the Merkle tree of the Remote Execution API, and back.

Source: build/bazel/remote/execution/v2/remote_execution.proto, message Directory: names are sorted, so that equal
content gives equal bytes.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from lambdabuild.cache import remote_execution_pb2 as api
from lambdabuild.cache.cache import Digest, File, Link, Node

Blobs: TypeAlias = dict[Digest, str | bytes]
"""The blobs that a server must have: digest -> a path, or bytes."""


def tree(files: Mapping[str, Node]) -> tuple[Digest, Blobs]:
    """Return the digest of the root, and all blobs of a tree whose files have these POSIX paths.

    A link to a folder gives way to files that are named below it.
    """
    nested: dict[str, Any] = {}
    for path, node in files.items():
        *folders, name = path.split("/")
        here = nested
        for folder in folders:
            if isinstance(here.get(folder), Link):
                del here[folder]
            here = here.setdefault(folder, {})
        if not (isinstance(node, Link) and name in here):
            here[name] = node
    blobs: Blobs = {}
    return _sealed(nested, blobs), blobs


def _sealed(folder: Mapping[str, Any], blobs: Blobs) -> Digest:
    directory = api.Directory()
    for name in sorted(folder):
        node = folder[name]
        if isinstance(node, File):
            directory.files.add(name=name, digest=message(node.digest), is_executable=node.executable)
            blobs[node.digest] = node.source
        elif isinstance(node, Link):
            directory.symlinks.add(name=name, target=node.target)
        else:
            directory.directories.add(name=name, digest=message(_sealed(node, blobs)))
    content = directory.SerializeToString(deterministic=True)
    digest = Digest.of(content)
    blobs[digest] = content
    return digest


def files_of(content: bytes) -> dict[str, Node]:
    """Return the files of a serialized Tree. Raises ValueError for what is none, or leads out of itself."""
    from google.protobuf.message import DecodeError

    try:
        whole = api.Tree.FromString(content)
    except DecodeError as error:
        raise ValueError("not a tree") from error
    known = {Digest.of(child.SerializeToString(deterministic=True)).sha256: child for child in whole.children}
    return dict(_files(whole.root, known, ""))


def _files(directory: api.Directory, known: Mapping[str, api.Directory], inside: str) -> Iterator[tuple[str, Node]]:
    for file in directory.files:
        yield _path(inside, file.name), File(Digest(file.digest.hash, file.digest.size_bytes), file.is_executable)
    for link in directory.symlinks:
        place = posixpath.normpath(posixpath.join(inside, link.target))
        if link.target.startswith("/") or place == ".." or place.startswith("../"):
            raise ValueError(f"the link {inside}{link.name} leads out of what the step made: {link.target}")
        yield _path(inside, link.name), Link(link.target)
    for folder in directory.directories:
        if folder.digest.hash not in known:
            raise ValueError(f"the folder {inside}{folder.name} is not in the tree")
        yield from _files(known[folder.digest.hash], known, _path(inside, folder.name) + "/")


def _path(inside: str, name: str) -> str:
    if not name or "/" in name or name in (".", "..") or "\0" in name:
        raise ValueError(f"{name!r} is no name of a file")
    return inside + name


def message(digest: Digest) -> api.Digest:
    """Return a digest as the protocol has it."""
    return api.Digest(hash=digest.sha256, size_bytes=digest.size)
