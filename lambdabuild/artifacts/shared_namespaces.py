"""Find the packages that must be installed into the same folder, because they share a folder that has a marker.

A folder with a marker (``__init__.py``) is taken from the first place on a search path that has it, and nothing of it
from another; a folder without one is put together from all places.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase


def territory(paths: Iterable[str], marker: str, modules: Sequence[str]) -> frozenset[str]:
    """Return the whole folders, modules without their endings, and other files below a folder, that a list brings.

    ``marker`` and ``modules`` are patterns of file names. Other files at the top are nobody's concern.
    """
    listed = list(paths)
    whole = {posixpath.dirname(path) for path in listed if fnmatchcase(posixpath.basename(path), marker)} - {""}
    return frozenset(place for path in listed if (place := _place(path, whole, modules)))


def _place(path: str, whole: set[str], modules: Sequence[str]) -> str:
    folders = _folders(path)
    outermost = next((folder for folder in folders if folder in whole), "")
    if outermost:
        return outermost
    folder, name = posixpath.split(path)
    if any(fnmatchcase(name, pattern) for pattern in modules):
        return posixpath.join(folder, name.partition(".")[0])
    return path if folder else ""


def _folders(path: str) -> list[str]:
    """Return the folders that contain a path, the outermost first."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def overlap(first: frozenset[str], second: frozenset[str]) -> bool:
    """Return whether one brings a path that the other has, or something below it."""
    return not first.isdisjoint(_with_folders(second)) or not second.isdisjoint(_with_folders(first))


def _with_folders(places: frozenset[str]) -> frozenset[str]:
    return places | {folder for place in places for folder in _folders(place)}


def groups(territories: Sequence[frozenset[str]]) -> list[list[int]]:
    """Return the positions of those that overlap, directly or by others, together; in order."""
    joined_groups: list[tuple[list[int], frozenset[str]]] = []
    for number, territory in enumerate(territories):
        near = [group for group in joined_groups if overlap(group[1], territory)]
        numbers = sorted([number, *(n for group in near for n in group[0])])
        joined = territory.union(*(group[1] for group in near))
        joined_groups = [*(group for group in joined_groups if group not in near), (numbers, joined)]
    return sorted(numbers for numbers, _ in joined_groups)
