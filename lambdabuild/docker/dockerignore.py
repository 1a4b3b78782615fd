"""Apply a .dockerignore by Docker's own rules, which differ from git's: patterns start at the context's folder.

https://docs.docker.com/build/concepts/context/#dockerignore-files
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from lambdabuild.core.errors import BadImage
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span

FILE = ".dockerignore"


class Pattern(Struct, frozen=True):
    """One line; it is about a path and about all below one that it matches."""

    text: str
    brings_back: bool
    regex: re.Pattern[str]

    def matches(self, path: str) -> bool:
        while path:
            if self.regex.fullmatch(path):
                return True
            path = posixpath.dirname(path)
        return False

    def may_match_below(self, folder: str) -> bool:
        """Return whether it may match something in a folder; yes when in doubt."""
        fixed = re.split(r"[*?\[\\]", self.text, maxsplit=1)[0]
        return f"{self.text}/".startswith(f"{folder}/") or (
            fixed != self.text and (fixed.startswith(f"{folder}/") or f"{folder}/".startswith(fixed))
        )


class Ignored:
    """All lines of a .dockerignore; the last that matches a path decides."""

    def __init__(self, patterns: Iterable[Pattern] = ()) -> None:
        self.patterns = tuple(patterns)
        self._exceptions = [pattern for pattern in self.patterns if pattern.brings_back]

    def leaves_out(self, path: str) -> bool:
        for pattern in reversed(self.patterns):
            if pattern.matches(path):
                return not pattern.brings_back
        return False

    def brings_back_below(self, folder: str) -> bool:
        return any(pattern.may_match_below(folder) for pattern in self._exceptions)


def parse(file: str, text: str) -> Ignored:
    """Return the patterns of a text. Raises BadImage (LB810) for a line that is not one."""
    lines = text.removeprefix("\ufeff").splitlines()
    return Ignored(
        pattern
        for number, line in enumerate(lines, 1)
        if (pattern := _pattern(Span(file, number, 1), line)) is not None
    )


def _pattern(where: Span, line: str) -> Pattern | None:
    if line.startswith("#") or not line.strip():
        return None
    body = line.strip()
    brings_back = body.startswith("!")
    body = body[1:].strip() if brings_back else body
    text = posixpath.normpath(body).lstrip("/") if body else ""
    try:
        if not body:
            raise re.error("there is nothing after the exclamation mark")
        return Pattern(text, brings_back, re.compile(_regex(text), re.DOTALL))
    except re.error as error:
        raise BadImage(
            f"{line.strip()!r} is no pattern: {error}", where=where, help="correct or remove the line"
        ) from error


def _regex(text: str) -> str:
    """``**`` is any number of folders, ``*`` and ``?`` stay in one; classes are those of regular expressions."""
    regex, at = "", 0
    while at < len(text):
        character = text[at]
        at += 1
        if character == "*" and text[at : at + 1] == "*":
            at += 2 if text[at + 1 : at + 2] == "/" else 1
            regex += ".*" if at >= len(text) else "(?:.*/)?"
        elif character == "*":
            regex += "[^/]*"
        elif character == "?":
            regex += "[^/]"
        elif character == "[":
            end = text.find("]", at + 1)
            if end < 0:
                raise re.error("a [ without a ]")
            regex += "[" + text[at:end].replace("[", "\\[").replace("--", "\\--").replace("&&", "\\&&") + "]"
            at = end + 1
        elif character == "\\":
            regex += re.escape(text[at : at + 1] or "\\")
            at += 1
        else:
            regex += re.escape(character)
    return regex
