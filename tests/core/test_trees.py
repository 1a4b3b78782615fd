"""A tree on disk is the content of the zip, brought up to date in place."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from lambdabuild.artifacts.archives import archive_entries
from lambdabuild.artifacts.entries import Entry, OnDisk
from lambdabuild.artifacts.trees import TreeRecord, Twins, is_intact, write_tree


def entry(folder: Path, path: str, content: bytes, executable: bool = False) -> Entry:
    real = folder / hashlib.sha256(content).hexdigest()
    real.parent.mkdir(parents=True, exist_ok=True)
    real.write_bytes(content)
    return Entry(path, executable, len(content), real.name, OnDisk(str(real)))


def digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def files(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path / "tree"


def test_a_tree_holds_exactly_the_entries_with_their_modes(tree: Path, tmp_path: Path) -> None:
    tree.mkdir()
    (tree / "old").mkdir()
    (tree / "old/file").write_text("x")
    before = os.umask(0o077)
    write_tree(str(tree), [entry(tmp_path / "s", "a/b", b"1"), entry(tmp_path / "s", "run", b"2", True)])
    os.umask(before)

    assert files(tree) == {"a/b": b"1", "run": b"2"}
    assert not (tree / "old").exists()
    assert [oct((tree / name).stat().st_mode & 0o777) for name in (".", "a", "a/b", "run")] == [
        "0o755",
        "0o755",
        "0o644",
        "0o755",
    ]


def test_what_packages_bring_is_one_file_with_a_link_in_each_tree(tree: Path, tmp_path: Path) -> None:
    package, own = entry(tmp_path / "s", "lib/a.py", b"package"), entry(tmp_path / "s", "app.py", b"own")
    other, twins = tmp_path / "other", Twins()
    twins.add(str(other), write_tree(str(other), [package, own]), ["lib/a.py"])
    record = write_tree(str(tree), [package, own], twins=twins)

    assert [(tree / name).stat().st_nlink for name in ("lib/a.py", "app.py")] == [2, 1]

    with (tree / "lib/a.py").open("a") as stream:
        stream.write("edited in place")
    assert not is_intact(str(other), TreeRecord({"lib/a.py": record.rows["lib/a.py"]}), digest)

    write_tree(str(tree), [package, own], recorded=record, twins=twins)
    assert files(tree) == {"lib/a.py": b"package", "app.py": b"own"}
    assert files(other)["lib/a.py"] == b"packageedited in place"


def test_a_file_that_is_not_a_link_yet_becomes_one_when_it_is_put_right(tree: Path, tmp_path: Path) -> None:
    package, twins, other = entry(tmp_path / "s", "a.py", b"package"), Twins(), tmp_path / "other"
    twins.add(str(other), write_tree(str(other), [package]), ["a.py"])
    tree.mkdir()
    (tree / "a.py").write_text("wrong")
    write_tree(str(tree), [package], twins=twins)

    assert (tree / "a.py").samefile(other / "a.py")


def test_entries_of_an_archive_are_unpacked(tree: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.whl", "w") as archive:
        archive.writestr("stored", b"s" * 10)
        archive.writestr("packed/deep", bytes(3_000_000), zipfile.ZIP_DEFLATED)
    write_tree(str(tree), archive_entries(str(tmp_path / "w.whl")))

    assert files(tree) == {"stored": b"s" * 10, "packed/deep": bytes(3_000_000)}


def test_what_is_right_is_left_alone_and_what_is_not_is_put_right(tree: Path, tmp_path: Path) -> None:
    wanted = [entry(tmp_path / "s", name, name.encode()) for name in ("same", "edited", "gone", "mode")]
    record = write_tree(str(tree), wanted)
    kept = (tree / "same").stat()
    (tree / "edited").write_text("by hand")
    (tree / "gone").unlink()
    (tree / "mode").chmod(0o600)
    (tree / "surplus").write_text("x")
    (tree / "empty").mkdir()
    assert not is_intact(str(tree), record, digest)
    record = write_tree(str(tree), wanted, recorded=record)

    assert files(tree) == {name: name.encode() for name in ("same", "edited", "gone", "mode")}
    assert (tree / "same").stat().st_ino == kept.st_ino
    assert (tree / "same").stat().st_mtime_ns == kept.st_mtime_ns
    assert not (tree / "empty").exists()
    assert is_intact(str(tree), record, digest)


def test_a_file_and_a_folder_may_change_places(tree: Path, tmp_path: Path) -> None:
    record = write_tree(str(tree), [entry(tmp_path / "s", "a", b"1"), entry(tmp_path / "s", "b/c", b"2")])
    write_tree(str(tree), [entry(tmp_path / "s", "a/d", b"1"), entry(tmp_path / "s", "b", b"2")], recorded=record)

    assert files(tree) == {"a/d": b"1", "b": b"2"}


def test_a_link_in_the_place_of_a_tree_is_replaced_and_its_target_untouched(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/file").write_text("x")
    tree.symlink_to(tmp_path / "theirs")
    write_tree(str(tree), [entry(tmp_path / "s", "a", b"1")])

    assert files(tree) == {"a": b"1"}
    assert (tmp_path / "theirs/file").read_text() == "x"


def test_links_inside_a_tree_are_replaced_not_followed(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    tree.mkdir()
    (tree / "a").symlink_to(tmp_path / "theirs")
    write_tree(str(tree), [entry(tmp_path / "s", "a/b", b"1")])

    assert files(tree) == {"a/b": b"1"}
    assert list((tmp_path / "theirs").iterdir()) == []


def test_a_record_survives_its_file_and_a_broken_one_is_none(tree: Path, tmp_path: Path) -> None:
    record = write_tree(str(tree), [entry(tmp_path / "s", "a", b"1")])
    record.write(str(tmp_path / "record"))

    assert TreeRecord.read(str(tmp_path / "record")) == record
    (tmp_path / "record").write_text("{")
    assert TreeRecord.read(str(tmp_path / "record")) is None
