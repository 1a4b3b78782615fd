"""Outputs of steps outside of a project's state."""

from __future__ import annotations

from lambdabuild.artifacts.trees import KnownTree
from lambdabuild.core.records import Struct
from lambdabuild.engine.base.site import Site


class Output(Struct, frozen=True):
    """A file, or a folder: one with a ``record`` holds files that are known, one without is ours as a whole."""

    path: str
    kind: str = "file"
    record: str = ""

    @property
    def tree(self) -> KnownTree:
        return KnownTree(self.path, self.record)


def tree_output(site: Site, name: str) -> Output:
    return Output(site.tree(name), "tree", site.record("tree", name))
