"""A service's ``package`` patterns -> globs of which the last that matches a file decides.

The framework looks for files with fast-glob and then chooses among them with micromatch. The first enters no folder
that a pattern leaves out by its name (``!tests``, ``!**/tests``), which the second alone would not leave out.
https://github.com/mrmlnc/fast-glob and https://github.com/micromatch/micromatch
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence

WILD = re.compile(r"[*?{}()\[\]!|+@\\]")
UP, EVERYTHING = "../", "**"

NEVER = (
    *(f"serverless.{extension}" for extension in ("yml", "yaml", "json", "js", "ts", "cjs", "mjs")),
    "lambdabuild.toml",
    "dodo.py",
    ".doit.db*",
    ".gitignore",
    ".serverless_plugins/**",
    "npm-debug.log",
    "yarn-*.log",
)
"""Left out of a service's folder in addition to what is left out of every code folder."""


def globs(excluded: Iterable[str], included: Iterable[str]) -> tuple[str, ...]:
    """Return the lines in the order in which they count: exclusions, then patterns, which may bring files back."""
    lines = [line[1:] if line.startswith("!") else f"!{line}" for line in excluded]
    patterns = list(dict.fromkeys(tidy(line) for line in included))
    chosen: list[str] = []
    for position, line in enumerate(patterns):
        if line == EVERYTHING:
            chosen = [line, *chosen]  # it is looked for first, whatever stands before it
            continue
        chosen.append(line)
        if line.startswith("!"):
            # The first step takes [!a] for any other sign, the second for one of two.
            chosen += [line.replace("[!", "[^")] if "[!" in line else []
            chosen += _with_content(line[1:], patterns[:position])
    return (*(tidy(line) for line in lines), *chosen)


def from_above(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the lines about files above the service's folder, none when they include none."""
    chosen = tuple(line for line in lines if line.removeprefix("!").startswith(UP))
    return chosen if any(not line.startswith("!") for line in chosen) else ()


def _with_content(body: str, before: Sequence[str]) -> list[str]:
    """Return lines that exclude the content of folders a pattern names, except for what was included in them before."""
    names = [path for path in _braces(body) if not WILD.search(posixpath.basename(path)) and not path.endswith("/")]
    if not names:
        return []
    content = [f"!{name}/**" for name in names]
    first = next((n for n, line in enumerate(before) if any(_begins_in(line, name) for name in names)), len(before))
    return [*content, *before[first:]]


def _begins_in(line: str, folder: str) -> bool:
    """Return whether the search for a pattern begins in a folder, or below it."""
    parts = line.split("/")
    count = next((n for n, part in enumerate(parts) if WILD.search(part)), len(parts) - 1)
    base, top = "/".join(parts[:count]), folder.removeprefix("**/")
    begins = f"{base}/".startswith(f"{top}/") if top == folder else f"/{top}/" in f"/{base}/"
    return not line.startswith("!") and begins


def _braces(body: str) -> list[str]:
    """Expand braces: ``a/{b,c}`` is ``a/b`` and ``a/c``."""
    braces = re.search(r"\{([^{}]*,[^{}]*)\}", body)
    if braces is None:
        return [body]
    choices = (body[: braces.start()] + choice + body[braces.end() :] for choice in braces[1].split(","))
    return [pattern for choice in choices for pattern in _braces(choice)]


def tidy(line: str) -> str:
    """Remove ``./``: ``!./x`` is ``!x``."""
    sign, body = ("!", line[1:]) if line.startswith("!") else ("", line)
    return sign + body.removeprefix("./")
