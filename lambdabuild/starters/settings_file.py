"""The functions that were found -> the text of a lambdabuild.toml, with comments. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from lambdabuild.starters.detect import Described

BARE = re.compile(r"[A-Za-z0-9_-]+")

HEAD = """\
# What lambdabuild builds. `lambdabuild init` wrote this file by what it found; correct what is not right.
# `lambdabuild` builds all of it, `lambdabuild output NAME` says where an artifact is, for what deploys it.

# What all functions have in common; a function's own table takes precedence.
[functions."*"]
architecture = "x86_64"  # or "arm64"
# exclude = ["*.md"]     # files to leave out, as in a .gitignore

# To upload what changed:
# bucket = "my-bucket"   (at the top of this file)
"""


def text_of(functions: tuple[Described, ...]) -> str:
    """Return the file's text."""
    return HEAD + "".join("\n" + "\n".join(_table(function)) + "\n" for function in functions)


def _table(function: Described) -> Iterator[str]:
    name = function.name if BARE.fullmatch(function.name) else json.dumps(function.name)
    yield f"[functions.{name}]  # found in {function.evidence}"
    yield f"path = {json.dumps(function.path)}"
    yield f"runtime = {json.dumps(function.runtime)}"
    yield f"handler = {json.dumps(function.handler)}"
    if function.build_method:
        yield f"build_method = {json.dumps(function.build_method)}"
    if function.options:
        values = ", ".join(f"{key} = {json.dumps(value)}" for key, value in function.options.items())
        yield f"options = {{ {values} }}"
