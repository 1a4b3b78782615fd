"""A folder as a sorted list of files: what is left out is named, links are followed on purpose and only so far."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lambdabuild.core import regular
from lambdabuild.core.errors import BadSource, CannotRead, LambdaBuildError, raise_all
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span

if TYPE_CHECKING:
    from pathspec import PathSpec

IGNORE_FILE = ".lambdabuildignore"

OFTEN = 1_000
"""So many links may be followed to reach one folder, over again: n folders of links to one another have 2**n paths."""

LINKED = 100_000
"""So many files and folders may be reached through links in all."""


class Found(Struct, frozen=True):
    """One file: its POSIX path in the folder, its own path, and its stat (of the link's target)."""

    path: str
    real: str
    stat: os.stat_result
    is_link: bool = False

    @property
    def executable(self) -> bool:
        """Return whether its owner may run it. The rest of the mode depends on the machine and is ignored."""
        return bool(self.stat.st_mode & stat.S_IXUSR)


class Listing(Struct, frozen=True):
    """``files`` are sorted by their path's bytes; ``left_out`` are files and whole folders (ending in a slash).

    ``folders`` are the real paths of those that were read.
    """

    files: tuple[Found, ...]
    left_out: tuple[str, ...]
    folders: tuple[str, ...] = ()


class Patterns:
    """gitignore patterns, with a fast way for plain names (``.git/``, ``*.pyc``), which most are."""

    def __init__(self, lines: Sequence[str]) -> None:
        wanted = [line for line in lines if line.strip() and not line.startswith("#")]
        # Order matters once a pattern brings something back, so then nothing takes the fast way.
        may_be_fast = [] if any(line.startswith("!") for line in wanted) else wanted
        fast = [line for line in may_be_fast if _is_plain(line)]
        self._names = _alternatives(line for line in fast if not line.endswith("/"))
        self._folders = _alternatives(line.rstrip("/") for line in fast)
        rooted = [line for line in may_be_fast if _is_rooted(line)]
        self._at_top = frozenset(line.strip("/") for line in rooted if not line.endswith("/"))
        self._folders_at_top = frozenset(line.strip("/") for line in rooted)
        rest = [line for line in wanted if line not in fast and line not in rooted]
        self._spec: PathSpec[Any] | None = _spec(rest) if rest else None

    def leaves_out(self, path: str, name: str, is_folder: bool) -> bool:
        pattern = self._folders if is_folder else self._names
        if pattern is not None and pattern.fullmatch(name):
            return True
        if path in (self._folders_at_top if is_folder else self._at_top):
            return True
        return self._spec is not None and self._spec.match_file(path + "/" if is_folder else path)


@lru_cache(maxsize=256)
def patterns(lines: tuple[str, ...]) -> Patterns:
    """Return the patterns for these lines, compiled once: most sources have the same."""
    return Patterns(lines)


def _is_plain(line: str) -> bool:
    return "/" not in line.rstrip("/") and not line.startswith("!") and not re.search(r"[\[\]\\]|\s$", line)


def _is_rooted(line: str) -> bool:
    return line.startswith("/") and "/" not in line.strip("/") and not re.search(r"[*?\[\]\\]|\s$", line)


def _alternatives(globs: Iterable[str]) -> re.Pattern[str] | None:
    regexes = [_regex(glob) for glob in globs]
    return re.compile("|".join(regexes)) if regexes else None


def _regex(glob: str) -> str:
    """Return a regex that takes what follows a star at its first match and never backtracks: no pattern takes long."""
    first, *rest = (re.escape(part).replace(r"\?", "[^/]") for part in re.split(r"\*+", glob))
    if not rest:
        return first
    return first + "".join(f"(?>[^/]*?{part})" for part in rest[:-1]) + f"[^/]*{rest[-1]}"


def _spec(lines: list[str]) -> PathSpec[Any]:
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines([line for line in lines if _says_something(line)])


def _says_something(line: str) -> bool:
    """Return whether a pattern can match. ``!``, a final backslash and ``[z-a]`` match nothing in git either."""
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True


def _read(path: str) -> str:
    with open(path, encoding="utf-8", opener=regular.opener) as stream:
        return stream.read()


def ignore_lines(
    folder: str, name: str = IGNORE_FILE, *, below: str = "", read: Callable[[str], str] = _read
) -> tuple[str, ...]:
    """Return the patterns of a folder's ignore file, none when it has none.

    As they read from the folder ``below`` it.
    """
    path = os.path.join(folder, name)
    try:
        lines = read(path).splitlines()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise CannotRead(f"cannot read {path}: {error}", where=Span(path), help="make it a readable text") from error
    if below in ("", "."):
        return tuple(lines)
    return tuple(rebased for line in lines if (rebased := _rebased(line, below.split("/"))))


def _rebased(line: str, below: list[str]) -> str:
    """Return a gitignore pattern as it reads from a folder further down; "" when it can match nothing there."""
    sign, body = ("!", line[1:]) if line.startswith("!") else ("", line)
    if "/" not in body.rstrip("/") or body.startswith("**/"):
        return line  # it has no anchor, so it matches at any depth
    parts = body.lstrip("/").split("/")
    head, rest = parts[: len(below)], parts[len(below) :]
    if "**" in head:
        return sign + "**/" + "/".join(parts[parts.index("**") + 1 :])
    fits = len(head) == len(below) and all(map(fnmatchcase, below, head))
    if fits and "".join(rest):
        return sign + "/" + "/".join(rest)
    # A pattern on the folder itself or one above it is about all that is in it.
    is_above = all(map(fnmatchcase, below, (part for part in head if part)))
    return sign + "*" if is_above and len([part for part in parts if part]) <= len(below) else ""


def scan(
    folder: str, patterns: Patterns, *, boundary: str = "", skip: frozenset[str] = frozenset(), who: str = ""
) -> Listing:
    """List every file below a folder that the patterns do not leave out.

    A link counts as its target, as long as that is in the folder or below ``boundary``. Raise all that cannot enter
    an artifact at once (LB405): links that lead out, to nothing or in a circle, sockets and devices,
    names that are not UTF-8. ``skip`` are real paths left out whatever the patterns say (the build folder).
    """
    real = os.path.realpath(folder)
    walk = _Walk(patterns, _real_boundary(boundary) if boundary else real, real, skip, who)
    walk.folder(folder, "", (real,))
    raise_all(walk.errors)
    return Listing(
        tuple(sorted(walk.files, key=lambda file: file.path.encode())),
        tuple(sorted(walk.left_out)),
        tuple(walk.folders),
    )


@lru_cache(maxsize=16)
def _real_boundary(boundary: str) -> str:
    return os.path.realpath(boundary)


class _Walk:
    def __init__(self, patterns: Patterns, boundary: str, root: str, skip: frozenset[str], who: str) -> None:
        self.patterns, self.boundary, self.root, self.skip, self.who = patterns, boundary, root, skip, who
        self.files: list[Found] = []
        self.left_out: list[str] = []
        self.folders: list[str] = []
        self.errors: list[LambdaBuildError] = []
        self.through_links: Counter[str] = Counter()
        self.linked = 0

    def folder(self, real: str, inside: str, above: tuple[str, ...], links: int = 0) -> None:
        self.folders.append(real)
        try:
            with os.scandir(real) as entries:
                listed = list(entries)
        except OSError as error:
            raise CannotRead(
                f"{self._who}cannot list {real}: {error.strerror}", help="give yourself the right to read it"
            ) from error
        if inside and any(entry.name == "pyvenv.cfg" for entry in listed):
            self.left_out.append(inside)  # a virtual environment, whatever it is called
            return
        if links:
            self.refuse_bomb(real, above[-1], links, len(listed))
        for entry in listed:
            self.entry(entry, inside + entry.name, above, links)

    def refuse_bomb(self, path: str, target: str, links: int, entries: int) -> None:
        """Links that make more of a folder than anyone would have are refused by count, while that is quick."""
        self.through_links[target] += links
        self.linked += entries
        many = f"{target} is reached again and again" if self.through_links[target] > OFTEN else ""
        if self.linked > LINKED:
            many = f"more than {LINKED:,} files and folders are reached"
        if many:
            raise BadSource(
                f"{self._who}{many} through links, such as {path}",
                where=Span(path),
                help="remove links of folders to one another, or leave them out with a line in .lambdabuildignore",
            )

    def entry(self, entry: os.DirEntry[str], path: str, above: tuple[str, ...], links: int) -> None:
        try:
            path.encode()
        except UnicodeEncodeError:
            self.bad(ascii(path), "has a name that is not UTF-8", "rename it")
            return
        try:
            is_link = entry.is_symlink()
            status = entry.stat()
        except OSError as error:
            if not self.patterns.leaves_out(path, entry.name, False):
                why = "is a link that points to nothing or to itself" if entry.is_symlink() else f"{error.strerror}"
                self.bad(entry.path, why, "remove the link, or leave it out with a line in .lambdabuildignore")
            return
        is_folder = stat.S_ISDIR(status.st_mode)
        left_out = self.patterns.leaves_out(path, entry.name, is_folder)
        if left_out and not is_folder:
            self.left_out.append(path)
        elif left_out or (is_folder and self.skip and os.path.realpath(entry.path) in self.skip):
            self.left_out.append(path + "/")
        elif is_link and not self.stays_inside(target := os.path.realpath(os.path.join(above[-1], entry.name))):
            self.bad(
                entry.path,
                f"is a link that leaves the project: {target}",
                "copy what it points to into the project, set project_root, or leave it out with .lambdabuildignore",
            )
        elif is_folder:
            target = target if is_link else os.path.join(above[-1], entry.name)
            if target in above:
                self.bad(entry.path, "is a link to a folder that contains it", "remove the link")
            else:
                self.folder(entry.path, path + "/", (*above, target), links + is_link)
        elif stat.S_ISREG(status.st_mode):
            self.files.append(Found(path, entry.path, status, is_link))
        else:
            self.bad(entry.path, "is neither a file nor a folder", "leave it out with a line in .lambdabuildignore")

    def stays_inside(self, target: str) -> bool:
        return any(
            target == top or target.startswith(top.rstrip(os.sep) + os.sep) for top in (self.root, self.boundary)
        )

    def bad(self, path: str, why: str, help: str) -> None:
        self.errors.append(BadSource(f"{self._who}{path} {why}", where=Span(path), help=help))

    @property
    def _who(self) -> str:
        return f"{self.who}: " if self.who else ""


def stats(files: Iterable[Found]) -> list[tuple[str, int, int, int, int, int]]:
    """Return the numbers that a folder's record compares: cheap to get, and different when a file changes.

    Of each file its path, mode, modification and change time, size and inode.
    """
    stated = [(file.path, file.stat) for file in files]
    return [(path, st.st_mode, st.st_mtime_ns, st.st_ctime_ns, st.st_size, st.st_ino) for path, st in stated]
