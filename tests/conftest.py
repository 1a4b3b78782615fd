"""What every test may ask for."""

from __future__ import annotations

from collections import Counter

import hypothesis
import pytest
from docker_engine import base_image, engine, own_engine
from fixtures import project
from registry import closed_registry, ecr, registry

__all__ = ["base_image", "closed_registry", "ecr", "engine", "own_engine", "project", "registry"]


OUTSIDE = ("end_to_end", "peers", "contracts", "rules")
"""Where tests use registries, engines and servers that are not ours."""

# How long an example takes says something of the machine, not of the code.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.load_profile("here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with the most slow tests first, so that no processor waits for one at the end.

    A file is one worker's (``--dist loadfile``): what a module's fixtures make is made once. A test that fails with
    something outside is run once more, and the summary names it (``-rR``): a registry that did not answer is no defect
    of ours. What is ours alone is never run again.
    """
    for item in items:
        if set(OUTSIDE) & set(item.path.relative_to(item.config.rootpath).parts):
            item.add_marker(pytest.mark.flaky(reruns=1))
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])
