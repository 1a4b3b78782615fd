"""Fixtures for the tests here and beside the rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox import Sandbox


@pytest.fixture
def project(tmp_path: Path) -> Sandbox:
    """An empty project."""
    return Sandbox(tmp_path / "project")
