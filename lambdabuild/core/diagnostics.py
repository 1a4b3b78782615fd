"""Print an error as rustc does: its code, each place with the source line and a caret, the help.

``render`` is the only place where an error becomes text for people. It reads source lines through a function that it is
given, and shows a line only if the line is still what the error is about and holds no secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TextIO, TypeAlias

from lambdabuild.core import regular
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span

ReadSource: TypeAlias = Callable[[str], str]
"""Return the text of the file that a span names. Raises OSError or ValueError if it has none."""

Level: TypeAlias = Literal["error", "warning"]

WIDTH = 100
"""A longer source line is cut around the caret."""

LARGEST_SOURCE = 10_000_000
"""Bytes of a file that is read to show one line of it."""

BOLD, RED, YELLOW, BLUE, CYAN = "1", "1;31", "1;33", "1;34", "1;36"
LEVEL_COLOR: Mapping[Level, str] = {"error": RED, "warning": YELLOW}

LINE_END = re.compile(r"\r\n|\n|\r")

CREDENTIALS = re.compile(
    r"""://[^/\s@]*:[^/\s@]*@"""  # a URL with a password
    r"""|(password|passwd|secret|token|credential|api_?key)[\w-]*["']?\s*[:=]\s*["']?(?![\s"'{!]|\$\{|$)""",
    re.IGNORECASE,
)
"""Source lines that look as if a secret were written in them are not repeated in a log."""


class Excerpt(Struct, frozen=True):
    """A source line with the part of it that an error is about, counted in characters of the line."""

    number: int
    line: str
    start: int
    length: int


def render(error: LambdaBuildError, read: ReadSource, *, level: Level = "error", is_colored: bool = False) -> str:
    """Return the error as lines of text without a line end; those of a ``Several`` with empty lines between."""
    errors: Iterable[LambdaBuildError] = getattr(error, "errors", (error,))
    return "\n\n".join("\n".join(_lines(single, read, level, is_colored)) for single in errors)


def source_reader(folder: str) -> ReadSource:
    """Return a function that reads the files that spans name, relative to the folder of the project."""

    def read(path: str) -> str:
        full = os.path.join(folder, path)
        if os.stat(full).st_size > LARGEST_SOURCE:
            raise ValueError(f"{path} is too large")
        with open(full, encoding="utf-8-sig", newline="", opener=regular.opener) as stream:
            return stream.read()

    return read


def wants_color(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether to color what goes to a stream: on a terminal, unless NO_COLOR or FORCE_COLOR says otherwise."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return environment.get("TERM", "dumb") != "dumb" and stream.isatty()


def excerpt(span: Span, read: ReadSource) -> Excerpt | None:
    """Return the line that a span is about, or None if the span is about a whole file or the file has changed.

    A dot-file (``.env``, ``.npmrc``) is never shown, because people keep secrets in it.
    """
    is_whole_file = (span.line, span.column, span.end) == (1, 1, 0)
    if is_whole_file or os.path.basename(span.file).startswith("."):
        return None
    try:
        line_start, line = _line(read(span.file), span.line)
    except (OSError, ValueError, IndexError):
        return None
    start = span.column - 1
    if start > len(line) or not line.strip() or (span.end and line_start + start != span.start):
        return None
    if span.end <= span.start:
        indent = len(line) - len(line.lstrip())
        return Excerpt(span.line, line, indent if span.column == 1 else start, 1)
    return Excerpt(span.line, line, start, max(1, min(span.end - span.start, len(line.rstrip()) - start)))


def _line(text: str, number: int) -> tuple[int, str]:
    """Return where a line begins, and its text. Raises IndexError."""
    ends = [(0, 0), *(match.span() for match in LINE_END.finditer(text)), (len(text), len(text))]
    begin, end = ends[number - 1][1], ends[number][0]
    return begin, text[begin:end]


def _lines(error: LambdaBuildError, read: ReadSource, level: Level, is_colored: bool) -> Iterable[str]:
    def paint(text: str, color: str) -> str:
        return f"\x1b[{color}m{text}\x1b[0m" if is_colored and text else text

    color = LEVEL_COLOR[level]
    first, *others = error.message.split("\n")
    yield f"{paint(f'{level}[{error.label}]', color)}: {paint(first, BOLD)}"
    yield from others
    for span in filter(lambda span: span.file, error.where):
        yield f"  {paint('-->', BLUE)} {span}"
        shown = excerpt(span, read)
        if shown is not None and error.may_show(shown.line) and not CREDENTIALS.search(shown.line):
            gutter = " " * len(str(shown.number))
            before, marked, after, blanks = _cut(shown)
            yield f" {gutter} {paint('|', BLUE)}"
            yield f" {paint(f'{shown.number} |', BLUE)} {before}{marked}{after}".rstrip()
            yield f" {gutter} {paint('|', BLUE)} {blanks}{paint('^' * max(1, _cells(marked)), color)}"
    yield from (f"  {paint('|', BLUE)} {line}" for line in error.tail.splitlines())
    if error.help:
        yield f"  {paint('help:', CYAN)} {error.help}"


def _cut(shown: Excerpt) -> tuple[str, str, str, str]:
    """Return what stands before, in and after the marked part, and blanks as wide as what is before it."""
    line, end = shown.line, shown.start + shown.length
    left = max(0, min(shown.start - WIDTH // 3, len(line) - WIDTH))
    right = left + WIDTH
    before = ("..." if left else "") + _printable(line[left : shown.start])
    marked = _printable(line[shown.start : min(end, right)])
    after = _printable(line[end:right]) + ("..." if right < len(line) else "")
    return before, marked, after, " " * _cells(before)


def _printable(text: str) -> str:
    """Return the text with tabs and control characters as single blanks, so that nothing moves a terminal's cursor."""
    return text if text.isprintable() else "".join(character if character.isprintable() else " " for character in text)


def _cells(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1 for character in text)
