"""A zip depends on nothing but names, contents and modes."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambdabuild.artifacts.archives import archive_entries
from lambdabuild.artifacts.entries import Entry, FileOnDisk, InArchive, content_digest
from lambdabuild.artifacts.trees import write_entry
from lambdabuild.artifacts.zips import LARGE_BYTES, ZipSummary, write_zip
from lambdabuild.core.errors import CannotRead, HashMismatch


def on_disk(folder: Path, files: dict[str, bytes], executable: tuple[str, ...] = ()) -> list[Entry]:
    """Files written to a folder, under names that say nothing, as entries."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for number, (path, content) in enumerate(files.items()):
        real = folder / str(number)
        real.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        entries.append(Entry(path, path in executable, len(content), digest, FileOnDisk(str(real))))
    return entries


def read(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {info.filename: archive.read(info) for info in archive.infolist()}


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\\0", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8
)
FILES = st.dictionaries(
    NAMES.filter(lambda name: name not in (".", "..")), st.binary(max_size=200) | st.just(b"abc" * 5000), max_size=8
)


@given(FILES, st.randoms(use_true_random=False))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_what_was_put_in_comes_out_whatever_the_order(tmp_path: Path, files: dict[str, bytes], random: object) -> None:
    entries = on_disk(tmp_path / "in", files)
    write_zip(str(tmp_path / "a.zip"), entries, threads=1)
    random.shuffle(entries)  # type: ignore[attr-defined]
    summary = write_zip(str(tmp_path / "b.zip"), entries, threads=4)

    assert read(tmp_path / "a.zip") == files
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert summary.sha256 == hashlib.sha256((tmp_path / "b.zip").read_bytes()).hexdigest()
    assert summary.unzipped == sum(map(len, files.values()))


def test_entries_are_sorted_bear_one_date_and_one_of_two_modes(tmp_path: Path) -> None:
    entries = on_disk(tmp_path / "in", {"b": b"1", "a/z": b"2", "a.txt": b"3", "é": b"4"}, executable=("b",))
    write_zip(str(tmp_path / "a.zip"), entries)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        infos = archive.infolist()

    assert [info.filename for info in infos] == ["a.txt", "a/z", "b", "é"]
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert [info.external_attr >> 16 for info in infos] == [0o100644, 0o100644, 0o100755, 0o100644]
    assert {(info.create_system, info.extra) for info in infos} == {(3, b"")}


def test_the_bytes_are_these_on_every_machine(tmp_path: Path) -> None:
    """A digest written down: whoever sees it change must raise inputs.ZIP_FORMAT."""
    entries = on_disk(
        tmp_path / "in", {"app.py": b"def handler(event, context):\n    return 1\n" * 50, "x": bytes(range(256))}
    )

    assert write_zip(str(tmp_path / "a.zip"), entries).sha256 == EXPECTED


EXPECTED = "da9823737770996a82ba94316e6b5c9d1ef037ad77804dddf45a128d9e12b6f8"


def test_a_stream_of_an_archive_is_copied_not_packed_again(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "wheel.whl", "w") as archive:
        archive.writestr(zipfile.ZipInfo("stored"), b"s" * 1000)
        archive.writestr("packed", b"p" * 100_000, zipfile.ZIP_DEFLATED, 1)
        archive.mkdir("folder")
    found = archive_entries(str(tmp_path / "wheel.whl"))
    write_zip(str(tmp_path / "a.zip"), found)
    with zipfile.ZipFile(tmp_path / "wheel.whl") as before, zipfile.ZipFile(tmp_path / "a.zip") as after:
        sizes = [
            {info.filename: (info.compress_size, info.compress_type) for info in z.infolist()} for z in (before, after)
        ]

    assert {entry.path for entry in found} == {"stored", "packed"}
    assert sizes[1] == {name: size for name, size in sizes[0].items() if name != "folder/"}
    assert read(tmp_path / "a.zip")["packed"] == b"p" * 100_000


def test_what_was_packed_for_the_last_zip_is_copied_and_changes_no_byte(tmp_path: Path) -> None:
    files = {f"f{number}": os.urandom(100) * 50 for number in range(20)}
    entries = on_disk(tmp_path / "in", files)
    first = write_zip(str(tmp_path / "a.zip"), entries)
    edited = [*entries[1:], *on_disk(tmp_path / "more", {"new": b"n" * 999})]
    anew = write_zip(str(tmp_path / "b.zip"), edited)
    reused = write_zip(str(tmp_path / "a.zip"), edited, previous=[first])

    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert reused.sha256 == anew.sha256


@given(FILES, FILES, FILES, st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_what_earlier_zips_hold_is_copied_and_changes_no_byte(
    tmp_path: Path, kept: dict[str, bytes], gone: dict[str, bytes], new: dict[str, bytes], data: st.DataObject
) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in kept.items():
            archive.writestr(f"packages/{name}", content)
    wheel, source = archive_entries(str(tmp_path / "a.whl")), on_disk(tmp_path / "in", {**gone, **kept})
    earlier = [
        write_zip(str(tmp_path / "1.zip"), [*wheel, *source]),
        write_zip(str(tmp_path / "2.zip"), data.draw(st.sets(st.sampled_from(source)) if source else st.just(()))),
    ]
    wanted = {entry.path: entry for entry in [*wheel, *source] if entry.path not in gone}
    wanted |= {entry.path: entry for entry in on_disk(tmp_path / "more", new)}
    anew = write_zip(str(tmp_path / "anew.zip"), list(wanted.values()))
    again = write_zip(str(tmp_path / "1.zip"), list(wanted.values()), previous=earlier)

    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "anew.zip").read_bytes()
    assert (again.sha256, again.rows, again.end) == (anew.sha256, anew.rows, anew.end)


def test_an_earlier_zip_may_be_replaced_or_edited_at_any_time(tmp_path: Path) -> None:
    files = {"a": b"1" * 1000, "b": b"2"}
    entries = on_disk(tmp_path / "in", files)
    first = write_zip(str(tmp_path / "a.zip"), entries)
    (tmp_path / "a.zip").write_bytes(b"another")
    write_zip(str(tmp_path / "b.zip"), entries, previous=[first])
    assert read(tmp_path / "b.zip") == files

    def then(how: Callable[[], object]) -> Iterator[ZipSummary]:
        """The earlier zip, and what happens to it once it was opened."""
        yield write_zip(str(tmp_path / "a.zip"), entries)
        how()

    (tmp_path / "new").write_bytes(b"another")
    replaced = then(lambda: os.replace(tmp_path / "new", tmp_path / "a.zip"))
    write_zip(str(tmp_path / "c.zip"), entries, previous=replaced)
    assert read(tmp_path / "c.zip") == files

    edited = then(lambda: (tmp_path / "a.zip").write_bytes(b"in place"))
    with pytest.raises(CannotRead, match="earlier zip"):
        write_zip(str(tmp_path / "d.zip"), entries, previous=edited)
    assert not (tmp_path / "d.zip").exists()


def test_a_summary_is_good_only_for_the_zip_it_was_written_with(tmp_path: Path) -> None:
    target, kept = tmp_path / "a.zip", str(tmp_path / "a.json")
    write_zip(str(target), on_disk(tmp_path / "in", {"a": b"1"})).write(kept)
    assert ZipSummary.read(kept, str(target)) is not None

    os.utime(target, (1, 1))
    assert ZipSummary.read(kept, str(target)) is None
    assert ZipSummary.read(str(tmp_path / "none"), str(target)) is None


def test_a_file_that_was_edited_meanwhile_is_refused_and_the_old_zip_stays(tmp_path: Path) -> None:
    entries = on_disk(tmp_path / "in", {"a": b"before"})
    write_zip(str(tmp_path / "a.zip"), entries)
    (tmp_path / "in/0").write_bytes(b"after!")
    with pytest.raises(CannotRead, match="changed"):
        write_zip(str(tmp_path / "a.zip"), entries)

    assert read(tmp_path / "a.zip") == {"a": b"before"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "in"]


def test_large_files_are_streamed_and_give_the_same_bytes_again(tmp_path: Path) -> None:
    size = 80 << 20
    for name in ("large", "random"):
        with (tmp_path / name).open("wb") as stream:
            for _ in range(size // (1 << 20)):
                stream.write(os.urandom(1 << 20) if name == "random" else b"lambda\n" * 149797)
    entries = [
        Entry(name, False, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest(), FileOnDisk(str(path)))
        for name in ("large", "random") for path in [tmp_path / name]
    ]  # fmt: skip
    tracemalloc.start()
    write_zip(str(tmp_path / "a.zip"), entries, threads=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    write_zip(str(tmp_path / "b.zip"), entries, threads=1)

    assert peak < LARGE_BYTES < size
    assert (
        hashlib.sha256((tmp_path / "a.zip").read_bytes()).digest()
        == hashlib.sha256((tmp_path / "b.zip").read_bytes()).digest()
    )
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None
        assert [info.compress_type for info in archive.infolist()] == [8, 0]


def test_other_programs_can_read_it_even_with_70000_entries(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x")
    digest = hashlib.sha256(b"x").hexdigest()
    entries = [Entry(f"d/{number:06}", False, 1, digest, FileOnDisk(str(tmp_path / "one"))) for number in range(70_000)]
    write_zip(str(tmp_path / "a.zip"), entries)

    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert len(archive.namelist()) == 70_000
    assert subprocess.run(["zip", "-qT", str(tmp_path / "a.zip")], check=False).returncode == 0


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a\\x"])
def test_an_archive_that_leads_out_of_itself_is_refused(name: str, tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"")
    (tmp_path / "a.whl").write_bytes(data.getvalue())
    with pytest.raises(HashMismatch, match="leads out"):
        archive_entries(str(tmp_path / "a.whl"))


def test_a_broken_archive_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"content" * 100)
    data = bytearray((tmp_path / "a.whl").read_bytes())
    data[40] ^= 0xFF
    (tmp_path / "a.whl").write_bytes(data)
    with pytest.raises(HashMismatch):
        archive_entries(str(tmp_path / "a.whl"))
    (tmp_path / "b.whl").write_bytes(b"no zip")
    with pytest.raises(HashMismatch):
        archive_entries(str(tmp_path / "b.whl"))


def wheel_with_index(folder: Path, content: bytes = b"content") -> tuple[Path, Path]:
    """An archive that was looked at when its time was past, and the index that was left."""
    folder.mkdir(exist_ok=True)
    wheel, index = folder / "a.whl", folder / "a.index"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a", content)
    time.sleep(0.03)
    archive_entries(str(wheel), str(index))
    return wheel, index


def doctored(index: Path) -> None:
    """The index with another digest in it, whole by its own checksum."""
    text = index.read_text().partition("\n")[2].replace(hashlib.sha256(b"content").hexdigest(), "0" * 64)
    index.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}")


def test_an_archives_index_spares_reading_it(tmp_path: Path) -> None:
    wheel, index = wheel_with_index(tmp_path)
    doctored(index)

    assert [entry.sha256 for entry in archive_entries(str(wheel), str(index))] == ["0" * 64]


@pytest.mark.parametrize("what", ["flipped", "cut", "emptied", "of another archive", "brought back by CI"])
def test_an_index_that_is_not_what_this_machine_made_of_the_archive_is_not_believed(tmp_path: Path, what: str) -> None:
    wheel, index = wheel_with_index(tmp_path)
    expected = _read(str(wheel))
    data = index.read_bytes()
    if what == "flipped":
        index.write_bytes(data.replace(b"6", b"7", 1))
    elif what in ("cut", "emptied"):
        index.write_bytes(data[: -10 if what == "cut" else 0])
    elif what == "of another archive":
        shutil.copy(wheel_with_index(tmp_path / "other", b"another")[1], index)
    else:
        doctored(index)
        shutil.copy2(wheel, tmp_path / "copy")  # with its time, as tar does
        os.replace(tmp_path / "copy", wheel)

    assert archive_entries(str(wheel), str(index)) == expected == archive_entries(str(wheel), str(index))


def _read(wheel: str) -> tuple[Entry, ...]:
    return archive_entries(wheel)


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_stream_that_changed_behind_our_back_goes_into_no_artifact(tmp_path: Path, is_stored: bool) -> None:
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_STORED if is_stored else zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"some content" * 100)
    (entry,) = archive_entries(str(wheel))
    assert isinstance(entry.location, InArchive)
    data = bytearray(wheel.read_bytes())
    data[entry.location.offset + 5] ^= 1
    wheel.write_bytes(data)

    with pytest.raises(CannotRead, match="damaged"):
        write_zip(str(tmp_path / "out.zip"), [entry])
    with pytest.raises(CannotRead, match="damaged"):
        write_entry(str(tmp_path / "out"), entry)
    assert not (tmp_path / "out.zip").exists()
    assert not (tmp_path / "out").exists()


def test_the_identity_of_an_artifact_is_names_modes_and_contents(tmp_path: Path) -> None:
    one = Entry("a", False, 1, "00", FileOnDisk("/x"))
    same = Entry("a", False, 1, "00", InArchive("/w", 1, 2, 8, 3), origin="w 1.0")

    assert content_digest([one]) == content_digest([same])
    others = [
        Entry("b", False, 1, "00", FileOnDisk("")),
        Entry("a", True, 1, "00", FileOnDisk("")),
        Entry("a", False, 1, "01", FileOnDisk("")),
    ]
    assert len({content_digest([entry]) for entry in (one, *others)}) == 4
