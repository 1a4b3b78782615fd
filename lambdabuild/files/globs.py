"""Which files of a folder a service's package patterns take in: the last glob that matches decides."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from functools import lru_cache

from lambdabuild.files.listing import Patterns

_WILD = re.compile(r"[*?\[{(!+@]")


class GlobbedPatterns(Patterns):
    """gitignore patterns say what is left out at first, globs in order what is in after all, or out.

    A folder that is out is not entered, unless a glob may bring back something in it.
    """

    def __init__(self, lines: Sequence[str], globs: Sequence[str], prefix: str = "") -> None:
        super().__init__(lines)
        self.prefix = prefix
        self.globs = [_glob(line) for line in globs]
        self._out: set[str] = set()
        """Folders that gitignore patterns leave out and that were entered nevertheless."""

    def leaves_out(self, path: str, name: str, is_folder: bool) -> bool:
        out = posixpath.dirname(path) in self._out or super().leaves_out(path, name, is_folder)
        full = f"{self.prefix}/{path}" if self.prefix else path
        if is_folder:
            return self._leaves_out_folder(path, full, out)
        for glob in reversed(self.globs):
            if glob.matches(full):
                return glob.excludes
        return out

    def _leaves_out_folder(self, path: str, full: str, out: bool) -> bool:
        last = -1
        for position, glob in enumerate(self.globs):
            if glob.excludes and glob.covers(full):
                last = position
        if not out and last < 0:
            return False
        if any(not glob.excludes and glob.may_match_below(full) for glob in self.globs[last + 1 :]):
            if out:
                self._out.add(path)
            return False
        return True


def decides(globs: Sequence[str], path: str) -> bool | None:
    """Return whether the last glob that matches includes the path; None when none matches."""
    for line in reversed(globs):
        glob = _glob(line)
        if glob.matches(path):
            return not glob.excludes
    return None


class _Glob:
    def __init__(self, line: str) -> None:
        self.excludes = line.startswith("!")
        self.body = line[1:] if self.excludes else line
        self.parts = self.body.split("/")

    @property
    def regex(self) -> re.Pattern[str]:
        return _regex(self.body)

    def matches(self, path: str) -> bool:
        if not _WILD.search(self.body):
            return path == self.body
        return self.regex.fullmatch(path) is not None

    def covers(self, folder: str) -> bool:
        """Return whether it matches everything in a folder."""
        if self.body in ("**", "**/*"):
            return True
        if not self.body.endswith(("/**", "/**/*")):
            return False
        top = self.body.removesuffix("/*").removesuffix("/**")
        above = folder
        while above:
            if above == top or (_WILD.search(top) and _regex(top).fullmatch(above)):
                return True
            above = posixpath.dirname(above)
        return False

    def may_match_below(self, folder: str) -> bool:
        """Return whether it can match a file somewhere in a folder; yes when in doubt."""
        for part, name in zip(self.parts, folder.split("/"), strict=False):
            if part == "**" or re.search(r"[{(]", part):
                return True
            if not (_regex(part).fullmatch(name) if _WILD.search(part) else part == name):
                return False
        return len(self.parts) > folder.count("/") + 1 or self.parts[-1] == "**"


@lru_cache(maxsize=4096)
def _glob(line: str) -> _Glob:
    return _Glob(line)


@lru_cache(maxsize=4096)
def _regex(body: str) -> re.Pattern[str]:
    from wcmatch import glob

    flags = glob.GLOBSTAR | glob.BRACE | glob.EXTGLOB | glob.DOTGLOB | glob.FORCEUNIX
    body = re.sub(r"(?<!\\)\[!", r"[\\!", body)  # micromatch takes [!a] for one of two signs; [^a] is any other
    above = body.removesuffix("/**")
    is_above_too = above != body and not posixpath.basename(above).startswith(".*")
    bodies = [body, above] if is_above_too else [body]  # a/** is a as well
    included = [regex for text in bodies for regex in glob.translate(text, flags=flags)[0]]
    return re.compile("|".join(f"(?:{text})" for text in included))
