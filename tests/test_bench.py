"""The table of what is measured: its rows run. Whether a goal is met is nothing that a test can tell."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from bench.figures import Bench
from bench.rows import ROWS

WITHOUT_PEERS = ("edit_of_many", "memory", "big_template")


def test_every_row_has_a_name_of_its_own_and_says_what_it_measures() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z_]*", name) for name in names)
    assert [row.name for row in ROWS if not row.measure.__doc__] == []


@pytest.mark.parametrize("name", WITHOUT_PEERS)
def test_a_row_that_needs_no_other_tool_gives_figures_of_a_tiny_service(name: str, tmp_path: Path) -> None:
    row = next(row for row in ROWS if row.name == name)
    figures = list(row.measure(Bench(tmp_path, 1, Path(sys.executable).parent, scale=0.0001)))
    assert figures
    assert all(figure.what and figure.goal > 0 for figure in figures)
    assert len({figure.what for figure in figures}) == len(figures)
