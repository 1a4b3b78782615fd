"""What has to lie in one place on a search path, and what may lie in two."""

from __future__ import annotations

import pytest

from lambdabuild.artifacts.shared_namespaces import groups, overlap, territory

MODULES = ("*.py", "*.so")


def places(*paths: str) -> frozenset[str]:
    return territory(paths, "__init__.*", MODULES)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["six.py"], {"six"}), (["_cffi.cpython-312-x86_64-linux-gnu.so"], {"_cffi"}),
        (["requests/__init__.py", "requests/api.py", "requests/a/b.txt"], {"requests"}),
        (["google/cloud/storage/__init__.py", "google/cloud/storage/blob.py"], {"google/cloud/storage"}),
        (["google/api.py", "google/data.json"], {"google/api", "google/data.json"}),
        (["LICENSE", "share/man/x.1"], {"share/man/x.1"}),
    ],
)  # fmt: skip
def test_a_package_takes_up_its_outermost_whole_folder_or_its_modules(paths: list[str], expected: set[str]) -> None:
    assert places(*paths) == expected


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (["a/__init__.py"], ["b/__init__.py"], False),
        (["a/__init__.py"], ["a/plugin.py"], True),
        (["a/__init__.py"], ["a/data.json"], True),
        (["a/__init__.py"], ["a.py"], True),
        (["google/__init__.py"], ["google/cloud/x.py"], True),
        (["google/auth/__init__.py"], ["google/cloud/__init__.py"], False),
        (["space/a.py"], ["space/b.py"], False),
        (["LICENSE", "a.py"], ["LICENSE", "b.py"], False),
        (["tests/__init__.py", "a.py"], ["tests/__init__.py", "b.py"], True),
    ],
)
def test_two_lie_together_when_one_would_hide_the_other(one: list[str], other: list[str], together: bool) -> None:
    assert overlap(places(*one), places(*other)) is together
    assert overlap(places(*other), places(*one)) is together


def test_those_that_overlap_by_others_are_together_too() -> None:
    lists = [places("a/__init__.py"), places("b/__init__.py"), places("c/x.py"), places("b/y.py", "a/z.py")]

    assert groups(lists) == [[0, 1, 3], [2]]
