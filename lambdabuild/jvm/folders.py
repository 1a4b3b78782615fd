"""Find the folders that a project of Maven or Gradle belongs to, and copy its files to where the tool may write."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lambdabuild.rule_api import Job, copy_file, is_below


@dataclass(frozen=True)
class Tree:
    """A copy of some files of ``top`` below ``copy``, with the same relative paths."""

    top: str
    copy: str

    def twin(self, path: str) -> str:
        """Return the path in the copy that stands for an original path."""
        return os.path.normpath(os.path.join(self.copy, os.path.relpath(path, self.top)))

    def add(self, files: Iterable[str]) -> None:
        """Copy files into the tree."""
        for file in files:
            copy_file(file, self.twin(file))


def above(job: Job, folder: str) -> list[str]:
    """Return a folder and those above it, up to the git checkout's top, or without one up to the project."""
    folders: list[str] = []
    for ancestor in _ancestors(folder):
        folders.append(ancestor)
        if os.path.exists(os.path.join(ancestor, ".git")):
            return folders
    top = os.path.commonpath([folder, job.target.project])
    return [ancestor for ancestor in folders if is_below(ancestor, top)]


def _ancestors(folder: str) -> Iterator[str]:
    yield folder
    while (parent := os.path.dirname(folder)) != folder:
        yield (folder := parent)
