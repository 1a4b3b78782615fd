"""Only regular files are read, and what they hold is data or a mistake: never a hang, never a traceback."""

from __future__ import annotations

import json
import os
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from lambdabuild.core import regular


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def terminal(path: Path) -> None:
    path.symlink_to("/dev/tty")


@pytest.mark.parametrize("make", [pipe, listening, device, terminal])
def test_what_is_no_file_is_refused_at_once(
    make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    make(Path("x"))
    with pytest.raises(OSError, match="not a file"):
        regular.read_text("x")


def test_files_links_to_them_and_folders_are_met_as_ever(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("é")
    (tmp_path / "b").symlink_to("a")
    assert regular.read_text(str(tmp_path / "b")) == "é"
    assert regular.read_bytes(tmp_path / "a") == "é".encode()
    with pytest.raises(IsADirectoryError):
        regular.read_text(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        regular.read_text(str(tmp_path / "c"))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1" * 5000, "{", "\x00"])
def test_broken_json_is_broken_json(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        regular.json(text)


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "1" * 5000, "a = {" * 5000, "a.b\x00 = 1"])
def test_broken_toml_is_broken_toml(text: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        regular.toml(text)
