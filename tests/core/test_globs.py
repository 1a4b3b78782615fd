"""Package patterns: which files are in, and which folders need not be entered."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdabuild.files.globs import GlobbedPatterns, decides

PATHS = (
    "a.py",
    "src/a.py",
    "src/b/c.py",
    "src/b/d.txt",
    "docs/x.md",
    "node_modules/p/i.js",
    "node_modules/q/i.js",
    ".git/x",
)
GLOBS = ("**", "!**", "src/**", "!src/**", "!src/b/**", "src/b/c.py", "*.py", "!**/*.py", "!node_modules/**", "node_modules/p/**",
         "!{docs,src}/**", "!src/*", "**/c.*", ".git/**", "!docs/?.md", "src/b", "!src/b/**/*")  # fmt: skip


def walked(globs: list[str], ignored: list[str], prefix: str = "") -> set[str]:
    """The files that are in, when folders that are left out are not entered."""
    patterns = GlobbedPatterns(ignored, globs, prefix)

    def is_in(path: str) -> bool:
        parts = path.split("/")
        above = ["/".join(parts[: n + 1]) for n in range(len(parts) - 1)]
        if any(patterns.leaves_out(folder, posixpath.basename(folder), True) for folder in above):
            return False
        return not patterns.leaves_out(path, parts[-1], False)

    return {path for path in PATHS if is_in(path)}


@given(st.lists(st.sampled_from(GLOBS), max_size=5), st.sampled_from([[], [".git/"], ["node_modules/", ".git/"]]))
def test_not_entering_a_folder_never_changes_what_is_in(globs: list[str], ignored: list[str]) -> None:
    def is_in(path: str) -> bool:
        decided = decides(globs, path)
        return not any(path.startswith(folder) for folder in ignored) if decided is None else decided

    assert walked(globs, ignored) == {path for path in PATHS if is_in(path)}


@pytest.mark.parametrize(
    ("globs", "folder", "left_out"),
    [
        (["!node_modules/**"], "node_modules", True),
        (["!node_modules/**", "node_modules/p/**"], "node_modules", False),
        (["!node_modules/**", "node_modules/p/**"], "node_modules/q", True),
        (["!**", "src/**"], "docs", True),
        (["!**", "src/**"], "src", False),
        (["!src/*.py"], "src", False),
    ],
)
def test_a_folder_that_nothing_can_come_from_is_not_entered(globs: list[str], folder: str, left_out: bool) -> None:
    assert GlobbedPatterns([], globs).leaves_out(folder, posixpath.basename(folder), True) is left_out


def test_globs_are_relative_to_the_service_and_not_to_the_function() -> None:
    assert GlobbedPatterns([], ["!src/one/tests/**"], "src/one").leaves_out("tests", "tests", True)
    assert not GlobbedPatterns([], ["!tests/**"], "src/one").leaves_out("tests", "tests", True)
