"""A requirements file as lines, with the files it includes: enough to know what is read and which hashes are pinned.

The format: https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lambdabuild.core import regular
from lambdabuild.core.errors import BadManifest
from lambdabuild.core.records import Struct, replace
from lambdabuild.core.spans import Span

COMMENT = re.compile(r"(^|\s+)#.*$")
INCLUDE = re.compile(r"(?:-r|--requirement|-c|--constraint)(?:\s*=\s*|\s*)(?P<path>\S.*)")
FIND_LINKS = re.compile(r"(?:-f|--find-links)(?:\s*=\s*|\s*)(?P<path>\S.*)")
SOURCES = re.compile(r"-i\b|-f\b|--(index-url|extra-index-url|no-index|find-links|trusted-host|pre)\b")
HASH = re.compile(r"--hash[=\s]\s*(?P<name>\w+):(?P<digest>[0-9a-fA-F]+)")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
PASSED_OVER = re.compile(r"\s+--?(?!hash\b)[a-z][\w-]*(?:(?:\s*=\s*|\s+)(?!-)[^\s;]+)?")
"""Options behind a requirement. pip takes --hash there, and says nothing of all others; uv refuses them."""
DIRECT = re.compile(r"^(?:-e|--editable)[=\s]\s*(?P<editable>.+)$|^[A-Za-z0-9._-]+(?:\[[^\]]*\])?\s*@\s*(?P<url>\S+)")


class Line(Struct, frozen=True):
    """One logical line of a requirements file: continued lines are joined, comments are gone."""

    text: str
    where: Span
    file: str = ""
    base: str = ""
    """The folder that paths in it are relative to: that of the file which includes all others."""

    @property
    def is_option(self) -> bool:
        return self.text.startswith("-") and not re.match(r"(-e|--editable)\b", self.text)

    @property
    def passed_over(self) -> str:
        """Options that have no meaning behind a requirement, as they are written; "" when there are none."""
        return "" if self.is_option else "".join(PASSED_OVER.findall(self.text)).strip()

    @property
    def meant(self) -> Line:
        """The same line without these options."""
        return replace(self, text=PASSED_OVER.sub("", self.text)) if self.passed_over else self

    @property
    def is_source(self) -> bool:
        """Return whether it says where packages come from, such as --index-url."""
        return bool(SOURCES.match(self.text))

    @property
    def name(self) -> str:
        """The normalised name of the package, "" when the line has none (an option, a path)."""
        match = NAME.match(self.text)
        return normalised(match[0]) if match and not self.local else ""

    def is_from_elsewhere(self, first: str) -> bool:
        """Return whether its paths are not relative to the folder of the first file."""
        return bool(self.base) and self.base != os.path.dirname(first)

    def with_path(self, path: str) -> str:
        """Return the same line with another path in place of the one it names."""
        if "file:" in self.text:
            return re.sub(r"file:\S+", lambda _: Path(path).as_uri(), self.text, count=1)
        link = FIND_LINKS.match(self.text)
        return self.text.replace(link["path"].strip() if link else self.local, path, 1)

    @property
    def hashes(self) -> frozenset[str]:
        return frozenset(f"{m['name'].lower()}:{m['digest'].lower()}" for m in HASH.finditer(self.text))

    @property
    def local(self) -> str:
        """The path that the line names instead of a package, as it is written; "" when it names none."""
        text = self.text.partition(" --")[0].partition(";")[0].strip()
        direct = DIRECT.match(text)
        if direct:
            text = (direct["editable"] or direct["url"]).strip()
        if text.startswith("file:"):
            return unquote(urlsplit(text).path)
        if "://" in text or self.is_option:
            return ""
        plain = re.sub(r"\[[^\]]*\]$", "", text)
        looks_local = plain.startswith((".", "/")) or "/" in plain or plain.endswith((".whl", ".tar.gz", ".zip"))
        return plain if looks_local or (direct and direct["editable"]) else ""


class Requirements(Struct, frozen=True, dict=True):
    """Requirements files and all that they include. ``file`` is the first of them."""

    file: str
    lines: tuple[Line, ...]
    files: tuple[str, ...]
    """Every file read, the included ones too: absolute paths."""

    @cached_property
    def pinned(self) -> dict[str, tuple[frozenset[str], Span]]:
        """``{package: (hashes, place)}`` of the requirements that pin hashes."""
        pins: dict[str, tuple[frozenset[str], Span]] = {}
        for line in self.lines:
            if line.name and line.hashes:
                before = pins.get(line.name, (frozenset[str](), line.where))[0]
                pins[line.name] = (before | line.hashes, line.where)
        return pins

    @property
    def needs_hashes(self) -> bool:
        """One hash anywhere makes all needed, as with pip."""
        return bool(self.pinned) or any(line.text.startswith("--require-hashes") for line in self.lines)

    def local_paths(self) -> Iterator[str]:
        """Folders and files that requirements name besides the index: absolute, from the first file's folder."""
        yield from self.link_folders
        yield from (self._absolute(line, line.local) for line in self.lines if line.local)

    def local_lines(self) -> Iterator[tuple[Line, str]]:
        """Each line that names a path, with that path: projects, archives, folders of links."""
        for line in self.lines:
            link = FIND_LINKS.match(line.text)
            if line.local:
                yield line, self._absolute(line, line.local)
            elif link and "://" not in link["path"]:
                yield line, self._absolute(line, link["path"].strip())

    @property
    def has_paths_elsewhere(self) -> bool:
        return any(line.is_from_elsewhere(self.file) for line, _ in self.local_lines())

    def passed_over(self) -> Iterator[Line]:
        """Yield the lines whose options are not taken by anybody."""
        yield from (line for line in self.lines if line.passed_over)

    @property
    def link_folders(self) -> tuple[str, ...]:
        """The folders of --find-links."""
        links = ((line, FIND_LINKS.match(line.text)) for line in self.lines)
        return tuple(
            self._absolute(line, link["path"].strip()) for line, link in links if link and "://" not in link["path"]
        )

    def _absolute(self, line: Line, path: str) -> str:
        return os.path.normpath(os.path.join(line.base or os.path.dirname(self.file), path))

    def place_of(self, name: str) -> Span | None:
        """Return the place where a package is named; None when only another package asks for it."""
        return next((line.where for line in self.lines if line.name == normalised(name)), None)

    def disputed(self) -> Iterator[tuple[str, tuple[Line, ...]]]:
        """Packages that lines of several files name, with those lines."""
        named: dict[str, list[Line]] = {}
        for line in self.lines:
            if line.name:
                named.setdefault(line.name, []).append(line)
        yield from ((name, tuple(lines)) for name, lines in named.items() if len({line.file for line in lines}) > 1)


def normalised(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(file: str, shown: str = "", more: Mapping[str, str] | None = None) -> Requirements:
    """Read a requirements file and its includes; of several files all. ``shown`` is how places name it.

    ``more`` are the other files, each with how places name it. A file that is included twice is read once. Raises
    BadManifest (LB402) for one that cannot be read.
    """
    files: dict[str, None] = {}
    tops = {file: shown or file, **(more or {})}
    lines = tuple(line for top, name in tops.items() for line in _lines(top, name, files, None, os.path.dirname(top)))
    return Requirements(file, lines, tuple(files))


def _lines(file: str, shown: str, files: dict[str, None], included: Span | None, base: str) -> Iterator[Line]:
    if file in files:
        return
    files[file] = None
    for line in _logical(_text(file, shown, included), shown, file, base):
        yield line
        match = INCLUDE.match(line.text)
        if match and "://" not in match["path"]:
            path = match["path"].strip().strip("\"'")
            inner = os.path.normpath(os.path.join(os.path.dirname(file), path))
            told = os.path.normpath(os.path.join(os.path.dirname(shown), path))
            yield from _lines(inner, told, files, line.where, base)


def _text(file: str, shown: str, included: Span | None) -> str:
    try:
        with open(file, encoding="utf-8-sig", opener=regular.opener) as stream:
            return stream.read()
    except UnicodeDecodeError as error:
        raise BadManifest(f"{shown} is not UTF-8", where=Span(shown), help="save it as UTF-8") from error
    except OSError as error:
        raise BadManifest(
            f"cannot read {shown}: {error.strerror}",
            where=included or Span(shown),
            help="correct the path; it is relative to the file that includes it",
        ) from error


def _logical(text: str, shown: str, file: str, base: str) -> Iterator[Line]:
    parts: list[str] = []
    start = 0
    for number, raw in enumerate(text.splitlines(), 1):
        start = start or number
        line = COMMENT.sub("", raw)
        if line.endswith("\\") and line == raw:
            parts.append(line[:-1])
            continue
        whole = "".join([*parts, line])
        if whole.strip():
            yield Line(whole.strip(), Span(shown, start, len(whole) - len(whole.lstrip()) + 1), file, base)
        parts, start = [], 0
