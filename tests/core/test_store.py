"""Every path of the machine's store promises its content, and nobody takes out what does not keep the promise."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox import ROOT

from lambdabuild.core import store

RULE = ROOT / "rules/nodejs_npm_esbuild/store.mjs"
NODE = """\
import {{ adopt, whole }} from "{rule}";
console.log({call});
"""


def program(folder: Path) -> Path:
    """A folder such as an installer leaves."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/run").write_text("#!/bin/sh\n")
    (folder / "bin/run").chmod(0o755)
    (folder / "bin-x").write_text("sorts before what is in bin/")
    (folder / "größe.txt").write_bytes(b"\0")
    (folder / "link").symlink_to("bin/run")
    return folder


def node(call: str) -> str:
    """What a program of the rule that is written in JavaScript says."""
    script = NODE.format(rule=RULE, call=call)
    said = subprocess.run(
        ["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=True, timeout=60
    )
    return said.stdout.strip()


def edit(path: Path) -> None:
    (path / "bin/run").write_text("#!/bin/sh\nrm -r /\n")


def lose_right(path: Path) -> None:
    (path / "bin/run").chmod(0o644)


def add(path: Path) -> None:
    (path / "bin/other").write_text("")


def turn_link(path: Path) -> None:
    (path / "link").unlink()
    (path / "link").symlink_to("bin-x")


def empty(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


@pytest.mark.parametrize("damage", [edit, lose_right, add, turn_link, empty])
def test_a_folder_that_changed_in_the_store_is_not_used(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    (tmp_path / "tools/x-1.0").mkdir(parents=True)
    discarded: list[str] = []
    kept = Path(store.adopt(str(program(tmp_path / "fresh")), str(tmp_path / "tools/x-1.0")))
    assert store.whole_folder(str(kept.parent), discarded.append) == str(kept)
    damage(kept)

    assert list(store.broken(str(tmp_path))) == [str(kept)]
    assert store.whole_folder(str(kept.parent), discarded.append) == ""
    assert discarded == [str(kept)]


def test_rules_in_javascript_know_the_same_digest(tmp_path: Path) -> None:
    place = tmp_path / "tools/esbuild-1.0"
    kept = node(f"adopt('{program(tmp_path / 'fresh')}', '{place}')")

    assert os.path.basename(kept) == store.tree_digest(kept)
    assert [path.name for path in place.iterdir()] == [os.path.basename(kept)]
    assert node(f"whole('{place}', console.log)") == kept
    edit(Path(kept))
    assert node(f"JSON.stringify(whole('{place}', console.log))").splitlines() == [kept, '""']
    assert not os.path.exists(kept)


@pytest.mark.parametrize(
    ("path", "position"),
    [
        ("wheels/{0}/a-1.0-py3-none-any.whl", 0),
        ("built/{0}/{1}/a-1.0-cp312-cp312-linux_x86_64.whl", 1),
        ("stripped/17-abc/{0}/{1}", 1),
        ("wheels/{0}/a-1.0-py3-none-any.whl.index", -1),
        ("wheels/tmp0.tmp", -1),
        ("pnpm/v10/files/00/{0}", -1),
        ("cache/cas/aa/{0}", -1),
    ],
)
def test_a_path_says_what_it_promises(path: str, position: int) -> None:
    digests = ("a" * 64, "b" * 64)

    expected = digests[position] if position >= 0 else ""
    assert store.promised("/store", "/store/" + path.format(*digests)) == expected
