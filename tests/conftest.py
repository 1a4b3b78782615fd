"""What every test may ask for."""

from __future__ import annotations

from collections import Counter

import hypothesis
import pytest
from docker_engine import base_image, engine, own_engine
from fixtures import project
from registry import closed_registry, ecr, registry

__all__ = ["base_image", "closed_registry", "ecr", "engine", "own_engine", "project", "registry"]


# How long an example takes says something of the machine, not of the code.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.load_profile("here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files with the most slow tests first, so that no processor waits for one at the end.

    A file is one worker's (``--dist loadfile``): what a module's fixtures make is made once.
    """
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])
