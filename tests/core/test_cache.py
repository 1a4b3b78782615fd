"""The caches of a run as one: what is broken is a miss and healed, what fails is told once, what is too much goes."""

from __future__ import annotations

import os
import tarfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambdabuild.cache import eviction, packs, records, upkeep, zstd
from lambdabuild.cache.background import Background
from lambdabuild.cache.cache import Digest, MemoryCache
from lambdabuild.cache.folder import FolderCache
from lambdabuild.cache.guarded import Guarded
from lambdabuild.cache.shared import File, Folder, SharedCache, Stays
from lambdabuild.cache.trouble import Trouble
from lambdabuild.core.errors import BrokenEntry, CacheFailed, InTheWay, LambdaBuildError

KEY = "ab" * 32


class Failing(MemoryCache):
    """Refuses everything, and counts."""

    name = "failing"

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def record(self, key: str) -> bytes | None:
        self.asked += 1
        raise CacheFailed("no")


class Two:
    """A machine's folder with a remote cache behind it, and what was told."""

    def __init__(self, folder: Path, remote: MemoryCache, **more: object) -> None:
        self.told: list[LambdaBuildError] = []
        self.remote, self.folder = remote, FolderCache(str(folder))
        guarded = Guarded(remote, self.told.append)
        self.cache = SharedCache(self.folder, [guarded], Trouble(self.told.append), Background(0), **more)  # type: ignore[arg-type]

    def put(self, tmp_path: Path, content: bytes = b"artifact") -> Digest:
        path = tmp_path / "made"
        path.write_bytes(content)
        self.cache.put(KEY, {"output": "x"}, {"artifact.zip": File(str(path), Digest.of(content))})
        return Digest.of(content)

    def files(self) -> list[Path]:
        return [path for kind in ("ac", "cas") for path in Path(self.folder.folder, kind).rglob("*") if path.is_file()]


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path / "here", MemoryCache())


def test_what_was_put_is_found_here_and_with_an_empty_folder_from_the_remote_one(two: Two, tmp_path: Path) -> None:
    digest = two.put(tmp_path)
    elsewhere = Two(tmp_path / "there", two.remote)
    for cache, where in ((two, two.folder.folder), (elsewhere, "memory"), (elsewhere, elsewhere.folder.folder)):
        found = cache.cache.find(KEY)
        assert found is not None
        assert (found.data, found.where, found.blobs) == ({"output": "x"}, where, {"artifact.zip": digest})
        assert cache.cache.fetch(digest, str(tmp_path / "restored"))
        assert (tmp_path / "restored").read_bytes() == b"artifact"
    assert elsewhere.cache.counts.fetched_bytes > 8
    assert two.told == elsewhere.told == []


def test_a_record_that_is_another_ones_is_not_believed(two: Two, tmp_path: Path) -> None:
    two.put(tmp_path)
    other = "cd" * 32
    two.remote.records[other] = two.remote.records[KEY]

    assert two.cache.find(other) is None
    assert [type(error) for error in two.told] == [BrokenEntry]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_no_bytes_are_a_record_by_chance(content: bytes) -> None:
    record = records.from_bytes(content)
    assert record is None or records.unpacked(KEY, record.inline) is None
    assert records.unpacked(KEY, content) is None


@pytest.mark.parametrize("how", ["flip", "cut", "delete"])
def test_any_damage_to_the_folder_is_a_miss_or_mended_from_the_remote_one(two: Two, tmp_path: Path, how: str) -> None:
    digest = two.put(tmp_path)
    for file in two.files():
        whole = file.read_bytes()
        for place in range(0, len(whole), 7):
            damaged = whole[:place] + (bytes([whole[place] ^ 0x55]) + whole[place + 1 :] if how == "flip" else b"")
            file.unlink() if how == "delete" else file.write_bytes(damaged)
            found = two.cache.find(KEY)
            assert found is not None
            assert two.cache.fetch(found.blobs["artifact.zip"], str(tmp_path / "restored"))
            assert (tmp_path / "restored").read_bytes() == b"artifact"
            if how == "delete":
                break
    assert len(two.told) == (0 if how == "delete" else 1)
    alone = FolderCache(two.folder.folder)
    assert alone.has(digest)
    assert alone.record(KEY) is not None


def test_what_is_broken_in_a_remote_one_is_told_once_and_written_anew(two: Two, tmp_path: Path) -> None:
    digest = two.put(tmp_path, bytes(100_000))
    two.remote.blobs[digest.sha256] = b"?" * 100_000
    two.remote.records[KEY] = two.remote.records[KEY][:-1]
    elsewhere = Two(tmp_path / "there", two.remote)

    assert elsewhere.cache.find(KEY) is None
    assert not elsewhere.cache.fetch(digest, str(tmp_path / "restored"))
    assert not (tmp_path / "restored").exists()
    assert [type(error) for error in elsewhere.told] == [BrokenEntry]
    elsewhere.put(tmp_path, bytes(100_000))
    assert Two(tmp_path / "third", two.remote).cache.find(KEY) is not None
    assert two.remote.blobs[digest.sha256] == bytes(100_000)


def test_more_bytes_than_were_announced_are_not_read_to_their_end(two: Two, tmp_path: Path) -> None:
    digest = Digest.of(b"x")
    two.remote.blobs[digest.sha256] = b"x" * 1000

    assert not two.cache.fetch(digest, str(tmp_path / "restored"))
    assert os.listdir(tmp_path) == ["here"] or not (tmp_path / "restored").exists()


def test_a_remote_cache_that_fails_is_told_once_and_asked_no_more(tmp_path: Path) -> None:
    remote = Failing()
    two = Two(tmp_path / "here", remote)
    two.cache.find(KEY)
    two.cache.find(KEY)
    two.put(tmp_path)

    assert remote.asked == 1
    assert [type(error) for error in two.told] == [CacheFailed]
    assert two.cache.find(KEY) is not None


def test_read_only_writes_nothing_anywhere(tmp_path: Path) -> None:
    remote = MemoryCache()
    Two(tmp_path / "writer", remote).put(tmp_path)
    reader = Two(tmp_path / "reader", remote, read_only=True)
    before = dict(remote.records)
    found = reader.cache.find(KEY)

    assert found is not None
    assert reader.cache.fetch(found.blobs["artifact.zip"], str(tmp_path / "restored"))
    reader.put(tmp_path, b"poison")
    assert remote.records == before
    assert not (tmp_path / "reader").exists()


def test_a_folder_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    two = Two(tmp_path / "file" / "cache", MemoryCache())
    two.put(tmp_path)
    two.put(tmp_path)

    assert [type(error) for error in two.told] == [CacheFailed]
    assert two.cache.find(KEY) is None


def test_a_file_of_the_machines_store_stays_where_it_is(two: Two, tmp_path: Path) -> None:
    wheel = tmp_path / "a.whl"
    wheel.write_bytes(b"wheel")
    two.cache.put(KEY, {}, {"wheels/x": Stays(str(wheel), Digest.of(b"wheel"))})

    assert not two.folder.has(Digest.of(b"wheel"))
    assert two.remote.blobs[Digest.of(b"wheel").sha256] == b"wheel"


# packs


def test_a_folder_comes_back_from_its_pack(two: Two, tmp_path: Path) -> None:
    made = tmp_path / "out"
    (made / "a/b").mkdir(parents=True)
    (made / "empty").mkdir()
    (made / "a/run.sh").write_text("#!/bin/sh\n")
    (made / "a/run.sh").chmod(0o755)
    (made / ("ü" * 100)).write_bytes(b"1")
    os.link(made / "a/run.sh", made / "a/same.sh")
    (made / "a/b/up").symlink_to("../run.sh")
    two.cache.put(KEY, {}, {"out": Folder(str(made))})
    found = two.cache.find(KEY)
    assert found is not None
    two.cache.fetch(found.blobs["out"], str(tmp_path / "pack"))
    (tmp_path / "back").mkdir()
    packs.unpack(str(tmp_path / "pack"), str(tmp_path / "back"))

    assert _tree(tmp_path / "back") == _tree(made)
    packs.pack(str(tmp_path / "back"), str(tmp_path / "again"))
    assert (tmp_path / "again").read_bytes() == (tmp_path / "pack").read_bytes()


def _tree(folder: Path) -> dict[str, object]:
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else
        (path.read_bytes(), os.access(path, os.X_OK)) if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }  # fmt: skip


def test_a_pack_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        return info

    link = tarfile.SYMTYPE
    for number, members in enumerate((
        [member("../x")], [member("/tmp/x")], [member("a/../../x")], [member("l", link, "/etc")], [member("l", link, "..")],
        [member("d", tarfile.DIRTYPE), member("l", link, "d"), member("l/x")], [member("p", tarfile.FIFOTYPE)],
        [member("h", tarfile.LNKTYPE, "/etc/passwd")],
    )):  # fmt: skip
        packed = tmp_path / f"{number}"
        with (
            zstd.ZstdFile(packed, "w") as stream,
            tarfile.open(fileobj=stream, mode="w|") as archive,
        ):
            for info in members:
                archive.addfile(info)
        (tmp_path / f"into{number}").mkdir()
        with pytest.raises(ValueError, match=r"place|link"):
            packs.unpack(str(packed), str(tmp_path / f"into{number}"))
    (tmp_path / "noise").write_bytes(os.urandom(100))
    with pytest.raises(ValueError, match="not a pack"):
        packs.unpack(str(tmp_path / "noise"), str(tmp_path))


# the folder


def blob(folder: FolderCache, tmp_path: Path, content: bytes, age: float = 0) -> Digest:
    path = tmp_path / "blob"
    path.write_bytes(content)
    digest = Digest.of(content)
    folder.put(digest, str(path))
    os.utime(folder.path(digest), (time.time() - age, time.time() - age))
    return digest


def test_what_was_used_least_lately_goes_first(tmp_path: Path) -> None:
    folder = FolderCache(str(tmp_path / "cache"))
    blobs = [blob(folder, tmp_path, bytes([number]) * 1000, age=1000 - number) for number in range(10)]
    folder.fetch(blobs[0], lambda chunk: None)

    assert eviction.trim(folder, 10_500) == 0
    blobs.append(blob(folder, tmp_path, b"more" * 250))
    assert eviction.trim(folder, 10_500) == 3000
    assert folder.missing(blobs) == set(blobs[1:4])
    assert eviction.trim(folder, 10_500) == 0


def test_what_is_old_is_collected(tmp_path: Path) -> None:
    folder = FolderCache(str(tmp_path / "cache"))
    old = blob(folder, tmp_path, b"old", age=10_000)
    new = blob(folder, tmp_path, b"new")

    assert eviction.collect(folder.folder, 0, time.time() - 5000) == 3
    assert folder.missing([old, new]) == {old}


def test_the_folder_is_trimmed_by_one_at_a_time_and_a_killed_ones_files_go(tmp_path: Path) -> None:
    folder = FolderCache(str(tmp_path / "cache"))
    blob(folder, tmp_path, b"x" * 1000)
    left = Path(folder.folder, "tmp", "4194305.killed.lambdabuild")  # no process has such a number
    left.write_bytes(b"half")
    with eviction.size_file(folder.folder, wait=True):
        other = FolderCache(folder.folder)
        other.put_bytes = 1
        assert eviction.trim(other, 1) == 0

    assert eviction.trim(other, 1) == 1000
    eviction.sweep(other.folder)
    assert not left.exists()


def test_only_what_is_called_as_records_and_blobs_are_is_ever_evicted_or_found_broken(tmp_path: Path) -> None:
    folder = FolderCache(str(tmp_path / "cache"))
    blob(folder, tmp_path, b"x" * 1000)
    theirs = [
        Path(folder.folder, name) for name in ("cas/ab/keep.txt", "ac/ab/" + "b" * 64, "cas/keep/" + "a" * 64, "tmp/x")
    ]
    for path in theirs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("kept")
        os.utime(path, (1, 1))
    (tmp_path / "cache/cas/aa").mkdir()
    (tmp_path / "cache/cas/aa" / ("a" * 64)).symlink_to(theirs[0])
    upkeep.verify(folder)
    eviction.collect(folder.folder, 1, time.time() + 5)
    eviction.sweep(folder.folder)

    assert [path.read_text() for path in theirs] == ["kept"] * 4
    assert (tmp_path / "cache/cas/aa" / ("a" * 64)).is_symlink()


def test_a_file_called_size_that_is_not_ours_is_not_written_over(tmp_path: Path) -> None:
    folder = FolderCache(str(tmp_path / "cache"))
    blob(folder, tmp_path, b"x")
    Path(folder.folder, "size").write_text("of my shoes")

    with pytest.raises(InTheWay):
        eviction.trim(folder, 1)
    assert Path(folder.folder, "size").read_text() == "of my shoes"


def test_the_background_ends_in_time_and_without_threads_is_no_background() -> None:
    never = threading.Event()
    background = Background(2)
    done: list[int] = []
    for number in range(10):
        background.do(lambda number=number: done.append(number))
    assert background.finish(10)
    assert sorted(done) == list(range(10))
    background.do(never.wait)
    began = time.monotonic()
    assert not background.finish(0.2)
    assert time.monotonic() - began < 2
    never.set()
    Background(0).do(lambda: done.append(10))
    assert done[-1] == 10
