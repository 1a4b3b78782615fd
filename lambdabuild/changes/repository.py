"""Ask git about a checkout: its files as they were at a revision, and the paths that differ from it now.

Uncommitted and untracked files count as different. git knows nothing of files it ignores. Submodules that are checked
out are compared as well, each with the commit it was at.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from lambdabuild.core import tools
from lambdabuild.core.errors import NoCommonAncestor, NotACheckout, ToolFailed, UnknownRevision
from lambdabuild.core.records import Struct, field

GIT_SECONDS = 300.0
LINK, MODULE = "120000", "160000"
"""Modes of entries that are not files: https://git-scm.com/docs/git-fast-import#_filemodify"""
MOST_LINKS = 40
"""The number of links on the way to a file after which they count as a circle (MAXSYMLINKS of Linux)."""


class Entry(Struct, frozen=True):
    """A file at the revision: ``name`` is that of its object in the repository (a folder)."""

    mode: str
    name: str
    repository: str


class Difference(Struct, frozen=True, dict=True):
    """The difference between a checkout and one of its commits. Paths are relative to ``top``, a real path."""

    top: str
    commit: str
    was: Mapping[str, Entry]
    changed: frozenset[str]
    """Files and links that were added, removed or changed."""
    changed_folders: frozenset[str] = frozenset()
    """Folders that changed in unknown ways: submodules whose commits are not here."""
    _texts: dict[str, str] = field(default_factory=dict)

    def is_changed(self, path: str) -> bool:
        return path in self.changed or any(is_below(path, folder) for folder in self.changed_folders)

    def __bool__(self) -> bool:
        return bool(self.changed or self.changed_folders)

    @cached_property
    def folders(self) -> Mapping[str, frozenset[str]]:
        """Return the names that were in each folder."""
        return _folders(self.was)

    @cached_property
    def new_folders(self) -> frozenset[str]:
        """Return the folders with changed files that did not exist at the revision."""
        return frozenset(_folders(self.changed)) - self.folders.keys()

    def text(self, path: str) -> str:
        """Return a file's text at the revision."""
        entry = self.was[path]
        if entry.name not in self._texts:
            self._texts[entry.name] = _git(entry.repository, "cat-file", "blob", entry.name)
        return self._texts[entry.name]

    def real(self, path: str) -> str:
        """Return where a path led, through links as they were. Raises OSError for a circle."""
        for _ in range(MOST_LINKS):
            link = next((above for above in _above(path) if above in self.was and self.was[above].mode == LINK), None)
            if link is None:
                return path
            target = posixpath.join(posixpath.dirname(link), self.text(link))
            path = posixpath.normpath(posixpath.join(target, posixpath.relpath(path, link)))
        raise OSError(f"too many links: {path}")


def compare(folder: str, since: str) -> Difference:
    """Compare the checkout around a folder with the common ancestor of HEAD and a revision (``git diff since...``).

    Raises NotACheckout (LB630), UnknownRevision (LB631), NoCommonAncestor (LB632).
    """
    top = _top(folder)
    commit = _merge_base(top, _commit(top, since), since)
    paths = _changed(top, commit)
    if not paths:
        return Difference(top, commit, {}, frozenset())
    was, changed, changed_folders = _collected(top, top, commit, paths)
    return Difference(top, commit, was, frozenset(changed), frozenset(changed_folders))


def is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def _top(folder: str) -> str:
    try:
        return os.path.realpath(_git(folder, "rev-parse", "--show-toplevel").rstrip("\n"))
    except ToolFailed as error:
        if "dubious ownership" in error.tail:
            raise NotACheckout(
                f"git refuses to read {folder} because it belongs to another user",
                help=f"git config --global --add safe.directory {folder}",
                tail=error.tail,
            ) from error
        raise NotACheckout(
            f"{folder} is not in a git checkout", help="run in a clone; CI's checkout step makes one", tail=error.tail
        ) from error


def _commit(top: str, revision: str) -> str:
    try:
        return _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").strip()
    except ToolFailed as error:
        raise UnknownRevision(
            f"git does not know the revision {revision!r}", help=_mend_unknown(top, revision)
        ) from error


def _mend_unknown(top: str, revision: str) -> str:
    if not revision.strip("0"):
        return "CI passes this instead of a commit for a new branch: name the branch it will be merged into"
    remote = [name for name in _git(top, "remote").split() if _is_there(top, f"{name}/{revision}")]
    if remote:
        return f"did you mean {remote[0]}/{revision}?"
    return _deepen(top) or f"fetch it first: git fetch origin {revision}"


def _deepen(top: str) -> str:
    """Return how to fetch the rest of a shallow clone, "" for a complete one."""
    if _git(top, "rev-parse", "--is-shallow-repository").strip() != "true":
        return ""
    return (
        "the clone is shallow: git fetch --unshallow, or tell CI's checkout to fetch all "
        "(fetch-depth: 0 of actions/checkout, GIT_DEPTH: 0 of GitLab, git-clone-depth: 0 of CodeBuild)"
    )


def _is_there(top: str, revision: str) -> bool:
    try:
        return bool(_git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"))
    except ToolFailed:
        return False


def _merge_base(top: str, commit: str, since: str) -> str:
    _commit(top, "HEAD")
    try:
        return _git(top, "merge-base", commit, "HEAD").split()[0]
    except (ToolFailed, IndexError) as error:
        raise NoCommonAncestor(
            f"{since!r} and HEAD have no common ancestor",
            help=_deepen(top) or "name a revision of the same history",
        ) from error


def _collected(top: str, repository: str, commit: str, paths: list[str]) -> tuple[dict[str, Entry], set[str], set[str]]:
    """Return the files at the commit, those of the changed paths, and folders that differ in unknown ways, below
    ``top``.
    """
    prefix = os.path.relpath(repository, top) + "/" if repository != top else ""
    was = {prefix + path: entry for path, entry in _tree(repository, commit)}
    changed = {prefix + path for path in paths}
    folders = {path.rstrip("/") for path in changed if path.endswith("/")}  # somebody's repository, not tracked
    changed = {path for path in changed if not path.endswith("/")}
    for path in sorted(changed):
        here, entry = os.path.join(top, path), was.get(path)
        if not (entry and entry.mode == MODULE) and not os.path.exists(os.path.join(here, ".git")):
            continue
        changed.discard(path)
        was.pop(path, None)
        if entry is None or not os.path.exists(os.path.join(here, ".git")) or not _is_there(here, entry.name):
            folders.add(path)
            continue
        inner, inner_changed, inner_folders = _collected(top, here, entry.name, _changed(here, entry.name))
        was |= inner
        changed |= inner_changed
        folders |= inner_folders
    return was, changed, folders


def _tree(repository: str, commit: str) -> Iterator[tuple[str, Entry]]:
    for line in _listed(repository, "ls-tree", "-r", "-z", "--full-tree", commit):
        about, _, path = line.partition("\t")
        mode, _, rest = about.partition(" ")
        yield path, Entry(mode, rest.rpartition(" ")[2], repository)


def _changed(repository: str, commit: str) -> list[str]:
    """Return the paths that differ and those that git does not know; it is asked for both at the same time."""
    with ThreadPoolExecutor(1) as pool:
        untracked = pool.submit(_untracked, repository)
        return [*_differing(repository, commit), *untracked.result()]


def _differing(repository: str, commit: str) -> list[str]:
    """Return the paths that differ between a commit and the working tree; a rename counts as two."""
    options = ("--name-only", "-z", "--no-renames", "--no-ext-diff", "--no-relative", "--ignore-submodules=none")
    return _listed(repository, "diff", *options, commit, "--")


def _untracked(repository: str) -> list[str]:
    return _listed(repository, "ls-files", "-z", "--others", "--exclude-standard")


def _listed(repository: str, *arguments: str) -> list[str]:
    return [item for item in _git(repository, *arguments).split("\0") if item]


def _git(folder: str, *arguments: str) -> str:
    """Run git and return its output; it must not write the index, which another command may be using."""
    environment = tools.environment(extra={"GIT_OPTIONAL_LOCKS": "0"})
    help = "install git; CI's checkout step needs it to make a clone"
    ran = tools.run(["git", *arguments], cwd=folder, env=environment, timeout_seconds=GIT_SECONDS, help=help)
    return ran.stdout


def _folders(paths: Mapping[str, Entry] | frozenset[str]) -> dict[str, frozenset[str]]:
    names_in: dict[str, set[str]] = {}
    for path in paths:
        while path:
            folder, _, name = path.rpartition("/")
            names = names_in.setdefault(folder, set())
            if name in names:
                break
            names.add(name)
            path = folder
    return {folder: frozenset(names) for folder, names in names_in.items()}


def _above(path: str) -> Iterator[str]:
    """Return a path's folders from the top, then the path itself."""
    parts = path.split("/")
    return ("/".join(parts[: number + 1]) for number in range(len(parts)))
