"""What every test may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox import Sandbox


@pytest.fixture
def project(tmp_path: Path) -> Sandbox:
    """An empty project."""
    return Sandbox(tmp_path / "project")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first, so that no processor waits for one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
