"""Record which files were looked at, by group, and report which groups have changed. In: paths. Out: group names.

Asked before anything else at every start, so it imports next to nothing and reads no file. With many files the work is
shared with forks, one a processor.
"""

from __future__ import annotations

import gc
import os
from _blake2 import blake2b
from marshal import dumps  # to be digested only: nothing that others may have written is read by it

TYPE_CHECKING = False  # as typing has it, without what typing imports at every start
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FINE_NS = 20_000_000
"""How far apart two writes must be to have different times on a file system with fine time stamps."""
COARSE_NS = 2_000_000_000
"""The same where times are whole seconds (FAT counts in two)."""

FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
DONE = "/done"
"""The last word of a fork that was not killed. No unit has this name."""
WORTH_A_FORK = 4000
"""A fork costs as much as this many stats, about 4 ms."""

ITSELF = "/"
"""In place of a name in a folder: the folder itself."""

Folders = list[list[str]]
"""``[[folder, name, ...]]``. A path may be absent, and then must stay so."""
Group = tuple[str, int, bytes]
"""The digest of the stats, and what was looked at: how many paths, and Folders packed, so that a run that asks about
one unit, or a fork that asks about some, unpacks no others."""


def packed(folders: Folders) -> bytes:
    """Join names by a NUL and folders by two: no path contains one, and reading takes time linear in the length."""
    return "\0\0".join(["\0".join(names) for names in folders]).encode("utf-8", "surrogateescape")


def unpacked(data: bytes) -> Folders:
    text = data.decode("utf-8", "surrogateescape")
    return [names.split("\0") for names in text.split("\0\0")] if text else []


def window(mtime_ns: int) -> int:
    """Return how many nanoseconds a time stamp is ambiguous: a later write may have the same one."""
    return COARSE_NS if mtime_ns % 1_000_000_000 == 0 else FINE_NS


class DependencyTrace:
    """Collect the paths that an answer depends on."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, None]] = {}

    def add(self, path: str) -> None:
        """Record a file or folder, or its absence; of a link, both the link and its target."""
        if "\0" in path:
            return  # there is no such file, and never will be
        folder, name = os.path.split(path)
        self._names.setdefault(folder, {})[name or ITSELF] = None
        if os.path.islink(path):
            real = os.path.realpath(path)
            if real != path:
                self.add(real)

    def add_listed(self, files: Iterable[tuple[str, bool]]) -> None:
        """Record files in folders, each with whether it is a link: the same as ``add``, for many."""
        for path, is_link in files:
            if is_link:
                self.add(path)
                continue
            folder, _, name = path.rpartition("/")
            self._names.setdefault(folder or "/", {})[name] = None

    def add_folder(self, folder: str) -> None:
        """Record that an answer depends on which names a folder has."""
        if os.path.islink(folder):
            self.add(folder)
        else:
            self._names.setdefault(folder, {})[ITSELF] = None

    def update(self, other: DependencyTrace) -> None:
        """Add all that another trace recorded."""
        for folder, names in other._names.items():
            self._names.setdefault(folder, {}).update(names)

    def folders(self) -> Folders:
        return [[folder, *names] for folder, names in self._names.items()]

    def group(self, began_ns: int | None) -> Group | None:
        """Return the current state of what was recorded; None if any of it was touched since about ``began_ns``."""
        return group_of([(self, began_ns)])


def group_of(traces: Iterable[tuple[DependencyTrace, int | None]]) -> Group | None:
    """Return the current state of several traces as one group; None if any of it was touched since about its time."""
    every_folder: Folders = []
    every_stat: list[os.stat_result | None] = []
    for trace, began_ns in traces:
        folders = trace.folders()
        stats = list(_stats(folders))
        if began_ns is not None and any(
            stat is not None and _newest(stat) >= began_ns - window(stat.st_mtime_ns) for stat in stats
        ):
            return None
        every_folder += folders
        every_stat += stats
    return _digest(every_stat), len(every_stat), packed(every_folder)


def changed(groups: Mapping[str, Group]) -> set[str]:
    """Return the groups of which any recorded file has changed."""
    total = sum(count for _, count, _ in groups.values())
    gc.disable()  # there are no circles, and it would look for them at every 700th stat
    try:
        return _look(groups, max(1, min(_processors(), total // WORTH_A_FORK + 1)))
    finally:
        gc.enable()


def _look(groups: Mapping[str, Group], count: int) -> set[str]:
    parts = _parts(groups, count)
    forks = [_fork(part) for part in parts[1:]]
    names = set(_changed(parts[0]))
    for part, fork in zip(parts[1:], forks, strict=True):
        names.update(_changed(part) if fork is None else _answer(fork, part))
    return names


def _parts(groups: Mapping[str, Group], count: int) -> list[list[tuple[str, Group]]]:
    items = list(groups.items())
    return [items[number::count] for number in range(count)]


def _changed(part: Iterable[tuple[str, Group]]) -> list[str]:
    return [name for name, (digest, _, folders) in part if _digest(_stats(unpacked(folders))) != digest]


def _stats(folders: Folders) -> Iterator[os.stat_result | None]:
    """Yield the stats one by one: to keep them all until the last is made takes a third longer."""
    stat = os.stat
    for folder, *names in folders:
        if len(names) == 1:
            yield _lstat(folder if names[0] == ITSELF else f"{folder}/{names[0]}")
            continue
        try:
            there = os.open(folder, FOLDER)  # looking names up from an open folder saves a tenth of the time
        except OSError:
            yield from (_lstat(folder) if name == ITSELF else None for name in names)
            continue
        try:
            for name in names:
                try:
                    yield os.lstat(folder) if name == ITSELF else stat(name, dir_fd=there, follow_symlinks=False)
                except OSError:
                    yield None
        finally:
            os.close(there)


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _digest(stats: Iterable[os.stat_result | None]) -> str:
    """Return a digest of stats. Whatever happens to a file changes its change time."""
    rows = [stat and (stat.st_ctime_ns, stat.st_size, stat.st_ino) for stat in stats]
    return str(blake2b(dumps(rows, 2), digest_size=16).hexdigest())


def _newest(stat: os.stat_result) -> int:
    return max(stat.st_mtime_ns, stat.st_ctime_ns)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def _fork(part: list[tuple[str, Group]]) -> tuple[int, int] | None:
    """Start a process that checks a part; return its number and pipe. None when no more processes can be started."""
    read, write = os.pipe()
    try:
        process = os.fork()
    except OSError:
        os.close(read)
        os.close(write)
        return None
    if process:
        os.close(write)
        return process, read
    try:
        with os.fdopen(write, "wb") as stream:
            stream.write("\0".join([*_changed(part), DONE]).encode("utf-8", "surrogateescape"))
    finally:
        os._exit(0)


def _answer(fork: tuple[int, int], part: list[tuple[str, Group]]) -> list[str]:
    process, read = fork
    with os.fdopen(read, "rb") as stream:
        output = stream.read()
    os.waitpid(process, 0)
    *names, last = output.decode("utf-8", "surrogateescape").split("\0")
    return names if last == DONE else [name for name, _ in part]  # it died: ask again, the slow way
