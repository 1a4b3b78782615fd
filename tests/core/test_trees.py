"""A tree on disk is the content of the zip, brought up to date in place."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from lambdabuild.artifacts.archives import archive_entries
from lambdabuild.artifacts.entries import Entry, FileOnDisk
from lambdabuild.artifacts.trees import HardlinkPool, KnownTree, TreeRecord, is_intact, write_tree
from lambdabuild.core.errors import CannotRead, InTheWay


def entry(folder: Path, path: str, content: bytes, executable: bool = False) -> Entry:
    real = folder / hashlib.sha256(content).hexdigest()
    real.parent.mkdir(parents=True, exist_ok=True)
    real.write_bytes(content)
    return Entry(path, executable, len(content), real.name, FileOnDisk(str(real)))


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


def test_a_new_tree_has_its_modes_whatever_the_umask(tree: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    record = write_tree(str(tree), [entry(tmp_path / "s", "a/b", b"1"), entry(tmp_path / "s", "run", b"2", True)])
    os.umask(before)

    assert files(tree) == {"a/b": b"1", "run": b"2"}
    modes = [oct((tree / name).stat().st_mode & 0o777) for name in (".", "a", "a/b", "run")]
    assert modes == ["0o755", "0o755", "0o644", "0o755"]
    assert is_intact(str(tree), record, lambda path: pytest.fail("the stats are enough"))


def test_a_new_tree_is_there_as_a_whole_or_not_at_all(tree: Path, tmp_path: Path) -> None:
    edited = entry(tmp_path / "s", "b", b"before")
    Path(tmp_path / "s" / edited.sha256).write_bytes(b"while it was copied")
    with pytest.raises(CannotRead, match="b changed while it was being copied"):
        write_tree(str(tree), [entry(tmp_path / "s", "a", b"1"), edited])
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_large_files_are_written_beside_small_ones(tree: Path, tmp_path: Path) -> None:
    large = [bytes([n]) * ((1 << 20) + n) for n in range(3)]
    small = [b"%d" % n for n in range(3)]
    write_tree(str(tree), [entry(tmp_path / "s", f"f{n}", content) for n, content in enumerate([*large, *small])])
    assert [digest(str(tree / f"f{n}")) for n in range(6)] == [
        hashlib.sha256(one).hexdigest() for one in [*large, *small]
    ]


def test_what_packages_bring_is_one_file_with_a_link_in_each_tree(tree: Path, tmp_path: Path) -> None:
    package, own = entry(tmp_path / "s", "lib/a.py", b"package"), entry(tmp_path / "s", "app.py", b"own")
    other, hardlinks = tmp_path / "other", HardlinkPool()
    hardlinks.add(str(other), write_tree(str(other), [package, own]), ["lib/a.py"])
    record = write_tree(str(tree), [package, own], hardlinks=hardlinks)

    assert [(tree / name).stat().st_nlink for name in ("lib/a.py", "app.py")] == [2, 1]

    with (tree / "lib/a.py").open("a") as stream:
        stream.write("edited in place")
    assert not is_intact(str(other), TreeRecord({"lib/a.py": record.rows["lib/a.py"]}), digest)

    write_tree(str(tree), [package, own], recorded=record, hardlinks=hardlinks)
    assert files(tree) == {"lib/a.py": b"package", "app.py": b"own"}
    assert files(other)["lib/a.py"] == b"packageedited in place"


def test_a_file_that_is_not_a_link_yet_becomes_one_when_it_is_put_right(tree: Path, tmp_path: Path) -> None:
    package, hardlinks, other = entry(tmp_path / "s", "a.py", b"package"), HardlinkPool(), tmp_path / "other"
    hardlinks.add(str(other), write_tree(str(other), [package]), ["a.py"])
    tree.mkdir()
    (tree / "a.py").write_text("wrong")
    write_tree(str(tree), [package], hardlinks=hardlinks)

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


# whose files they are


@pytest.fixture
def known(tree: Path, tmp_path: Path) -> KnownTree:
    """A tree that was written once, with its record beside it."""
    (tmp_path / "state").mkdir()
    known = KnownTree(str(tree), str(tmp_path / "state/tree.json"))
    known.update([entry(tmp_path / "s", "app.py", b"1"), entry(tmp_path / "s", "lib/a.py", b"2")])
    return known


@pytest.mark.parametrize(
    "theirs", ["keep.txt", "lib/keep.txt", "new/deep/keep.txt", "__pycache__/keep.txt", "app.py.bak"]
)
def test_a_strangers_file_in_a_tree_is_an_error_and_nothing_is_changed(
    theirs: str, known: KnownTree, tree: Path, tmp_path: Path
) -> None:
    (tree / theirs).parent.mkdir(parents=True, exist_ok=True)
    (tree / theirs).write_text("kept")
    before = files(tree)

    with pytest.raises(InTheWay, match=theirs):
        known.update([entry(tmp_path / "s", "app.py", b"3")])
    assert files(tree) == before
    assert known.strangers() == [theirs]


def test_a_strangers_file_where_one_of_ours_is_to_be_is_an_error_too(
    known: KnownTree, tree: Path, tmp_path: Path
) -> None:
    (tree / "new.py").write_text("kept")
    with pytest.raises(InTheWay, match=r"new\.py"):
        known.update([entry(tmp_path / "s", "new.py", b"3")])
    assert (tree / "new.py").read_text() == "kept"


def test_a_link_or_an_empty_folder_of_a_stranger_stays(known: KnownTree, tree: Path, tmp_path: Path) -> None:
    (tree / "link").symlink_to(tmp_path)
    (tree / "empty").mkdir()
    assert sorted(known.strangers()) == ["empty/", "link"]


def test_an_edit_of_a_file_of_ours_and_what_python_leaves_are_put_right(
    known: KnownTree, tree: Path, tmp_path: Path
) -> None:
    (tree / "app.py").write_text("by hand")
    (tree / "lib/__pycache__").mkdir()
    (tree / "lib/__pycache__/a.cpython-311.pyc").write_text("x")
    known.update([entry(tmp_path / "s", "app.py", b"1")])

    assert files(tree) == {"app.py": b"1"}
    assert not (tree / "lib").exists()


def test_what_a_killed_run_left_of_a_tree_is_ours(tree: Path, tmp_path: Path) -> None:
    wanted = [entry(tmp_path / "s", "app.py", b"1"), entry(tmp_path / "s", "lib/a.py", b"2")]
    (tmp_path / "state").mkdir()
    known = KnownTree(str(tree), str(tmp_path / "state/tree.json"))
    Path(known.file + ".new").write_text('["app.py", "lib/a.py"]')
    (tree / "lib").mkdir(parents=True)
    (tree / "app.py").write_text("half")
    (tree / "lib/a.py.123.7f00.tmp").write_text("h")

    known.update(wanted)
    assert files(tree) == {"app.py": b"1", "lib/a.py": b"2"}
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["tree.json"]


def test_a_tree_without_its_record_keeps_what_is_as_it_should_be(known: KnownTree, tree: Path, tmp_path: Path) -> None:
    Path(known.file).write_text("[" * 100_000)
    known.update([entry(tmp_path / "s", "app.py", b"1"), entry(tmp_path / "s", "lib/a.py", b"2")])

    (tree / "app.py").write_text("who made this?")
    Path(known.file).write_text("{}")
    with pytest.raises(InTheWay, match=r"app\.py"):
        known.update([entry(tmp_path / "s", "app.py", b"1"), entry(tmp_path / "s", "lib/a.py", b"2")])


def test_removing_a_tree_leaves_what_is_a_strangers(known: KnownTree, tree: Path) -> None:
    (tree / "lib/keep.txt").write_text("kept")
    assert known.remove() == ["lib/keep.txt"]
    assert files(tree) == {"lib/keep.txt": b"kept"}
    (tree / "lib/keep.txt").unlink()
    (tree / "lib").rmdir()
    assert known.remove() == []
    assert not tree.exists()
