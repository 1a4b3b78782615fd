"""Lists of entries to one list: moved into place, filtered, merged, with every clash reported."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from lambdabuild.artifacts.entries import Entry
from lambdabuild.core.records import Struct, replace

if TYPE_CHECKING:
    from pathspec import PathSpec


class Clash(Struct, frozen=True):
    """Two entries that want one path: with other ``content``, as a file here and a folder there, or but for ``case``.

    ``entries`` are in the order of their parts; for content the first is the one used.
    """

    kind: Literal["content", "folder", "case"]
    path: str
    entries: tuple[Entry, ...]


def moved(
    entries: Iterable[Entry],
    moves: Sequence[tuple[str, str]],
    into: str,
    leave_out: Sequence[str],
    *,
    origin: str = "",
) -> list[Entry]:
    """Entries of an archive at their paths in the artifact: left out by name, moved by the first prefix that fits."""
    kept, _ = filtered(list(entries), leave_out)
    result = []
    for entry in kept:
        path = next((new + entry.path[len(old) :] for old, new in moves if entry.path.startswith(old)), entry.path)
        result.append(replace(entry, path=posixpath.join(into, path), origin=origin or entry.origin))
    return result


def filtered(entries: Sequence[Entry], patterns: Sequence[str]) -> tuple[list[Entry], list[Entry]]:
    """(kept, left out) by gitignore patterns."""
    if not patterns:
        return list(entries), []
    spec = _spec(patterns)
    out = {entry.path for entry in entries if spec.match_file(entry.path)}
    return [e for e in entries if e.path not in out], [e for e in entries if e.path in out]


def _spec(patterns: Sequence[str]) -> PathSpec[Any]:
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(patterns)


def merge(parts: Iterable[Iterable[Entry]]) -> tuple[tuple[Entry, ...], tuple[Clash, ...]]:
    """One list, sorted by the paths' UTF-8 bytes; where parts want one path, the earlier part wins.

    Equal content under one path is no clash. The clashes do not depend on anything but the parts and their order.
    """
    wanted: dict[str, Entry] = {}
    more: dict[str, list[Entry]] = defaultdict(list)
    for part in parts:
        for entry in part:
            if wanted.setdefault(entry.path, entry) is not entry:
                more[entry.path].append(entry)
    paths = sorted(wanted, key=str.encode)
    clashes = [
        Clash("content", path, (wanted[path], *more[path]))
        for path in sorted(more, key=str.encode)
        if any(entry.sha256 != wanted[path].sha256 for entry in more[path])
    ]
    clashes += _folders(paths, wanted) + _cases(paths, wanted)
    return tuple(wanted[path] for path in paths), tuple(clashes)


def _folders(paths: list[str], wanted: Mapping[str, Entry]) -> list[Clash]:
    clashes: dict[str, Clash] = {}
    seen: set[str] = set()
    for path in paths:
        parent = posixpath.dirname(path)
        while parent and parent not in seen:
            seen.add(parent)
            if parent in wanted:
                clashes[parent] = Clash("folder", parent, (wanted[parent], wanted[path]))
            parent = posixpath.dirname(parent)
    return list(clashes.values())


def _cases(paths: list[str], wanted: Mapping[str, Entry]) -> list[Clash]:
    if len({path.casefold() for path in paths}) == len(paths):
        return []
    folded: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        folded[path.casefold()].append(path)
    return [Clash("case", same[0], tuple(wanted[path] for path in same)) for same in folded.values() if len(same) > 1]
