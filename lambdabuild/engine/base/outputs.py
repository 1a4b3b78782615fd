"""Outputs of steps outside of a project's state."""

from __future__ import annotations

from lambdabuild.artifacts.trees import KnownTree
from lambdabuild.core.records import Struct
from lambdabuild.engine.base.project import Project


class Output(Struct, frozen=True):
    """A file, or a folder: one with a ``record`` holds files that are known, one without is ours as a whole."""

    path: str
    kind: str = "file"
    record: str = ""

    @property
    def tree(self) -> KnownTree:
        return KnownTree(self.path, self.record)


def tree_output(project: Project, name: str) -> Output:
    return Output(project.tree(name), "tree", project.record("tree", name))
