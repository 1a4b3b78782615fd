"""SAM CLI in a virtual environment of its own, for tests that compare."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from lambda_builders import installed
from sandbox import python_of

SAM_CLI = "aws-sam-cli==1.170.0"


@pytest.fixture(scope="session")
def sam() -> Path:
    """The program, kept for later runs."""
    return installed(SAM_CLI, "sam")


def python_with_pip() -> str:
    """An interpreter of the functions' version; the virtual environment's own has pip, Debian's has not."""
    return sys.executable if sys.version.startswith("3.11.") else python_of("3.11")
