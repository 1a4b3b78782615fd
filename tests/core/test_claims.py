"""A rule.toml, read: an unknown claim is an error that names the right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lambdabuild.core.errors import BadRule
from lambdabuild.rulebook.search import RENAMED, read_claims

CLAIMS = 'name = "own"\nentry = "rule.py"\n[copy]\n'
VALUES = {"here": '["uv"]', "when": '"bytecode"', "closed": "true"}


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_the_hint_of_an_old_claim_is_the_new_one(tmp_path: Path, old: str, new: str) -> None:
    file = tmp_path / "rule.toml"
    file.write_text(CLAIMS + f"{old} = {VALUES[old]}\n")

    with pytest.raises(BadRule) as raised:
        read_claims(str(file))

    assert raised.value.help == f"did you mean {new!r}?"
