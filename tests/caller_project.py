"""A folder with a source, built in process as callers of Lambda Builders do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from lambdabuild import LambdaBuilder
from lambdabuild.api.lambda_builders import WorkflowFailedError


def tree(folder: Path) -> dict[str, tuple[bytes, bool]]:
    """Every file with its content, and whether it can be executed."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), os.access(path, os.X_OK))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Project:
    """A folder with a source, and builds of it in process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source, self.artifacts, self.dependencies = (folder / name for name in ("src", "artifacts", "deps"))

    def write(self, files: dict[str, str]) -> Project:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return self

    def build(self, capability: str, manifest: str, runtime: str, **more: Any) -> set[str]:
        """The names in the artifact, which is emptied first."""
        shutil.rmtree(self.artifacts, ignore_errors=True)
        language, manager = (*capability.split("/"), None)[:2]
        LambdaBuilder(str(language), manager, None).build(
            str(self.source), str(self.artifacts), str(self.folder / "scratch"), str(self.source / manifest), runtime, **more
        )  # fmt: skip
        return self.names(self.artifacts)

    def failure(self, *arguments: str, **more: Any) -> str:
        with pytest.raises(WorkflowFailedError) as raised:
            self.build(*arguments, **more)
        return str(raised.value)

    @staticmethod
    def names(folder: Path) -> set[str]:
        return set(tree(folder))
