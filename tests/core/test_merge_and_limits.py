"""Lists of entries become one; what Lambda would refuse is known before anything is sent."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from lambdabuild.artifacts.archives import archive_entries
from lambdabuild.artifacts.entries import Entry, FileOnDisk
from lambdabuild.artifacts.limits import UNZIPPED_BYTES, check_layer_count, check_unzipped, zip_notes
from lambdabuild.artifacts.merge import filtered, merge, moved
from lambdabuild.artifacts.native import wrong_machine


def entry(path: str, sha256: str = "00", size: int = 1, origin: str = "") -> Entry:
    return Entry(path, False, size, sha256, FileOnDisk(f"/{path}"), origin)


def paths(entries: object) -> list[str]:
    return [item.path for item in entries]  # type: ignore[attr-defined]


def test_lists_become_one_sorted_list_and_the_earlier_wins() -> None:
    merged, clashes = merge([[entry("b"), entry("a", "mine")], [entry("a", "theirs"), entry("c")]])

    assert paths(merged) == ["a", "b", "c"]
    assert merged[0].sha256 == "mine"
    assert [(clash.kind, clash.path) for clash in clashes] == [("content", "a")]


def test_the_same_content_twice_is_no_clash() -> None:
    assert merge([[entry("a")], [entry("a")]])[1] == ()


def test_a_file_where_another_has_a_folder_and_names_that_differ_in_case_are_found() -> None:
    _, clashes = merge([[entry("a"), entry("B/c")], [entry("a/b/c"), entry("b/c")]])

    assert {(clash.kind, clash.path) for clash in clashes} == {("folder", "a"), ("case", "B/c")}


def test_entries_are_moved_by_the_first_prefix_that_fits_and_filtered_by_their_old_names() -> None:
    found = [
        entry("m-1.data/purelib/m.py"),
        entry("m-1.data/scripts/run"),
        entry("other.py"),
        entry("m-1.dist-info/RECORD"),
    ]
    result = moved(
        found, (("m-1.data/purelib/", ""),), "python", ("/*.data/scripts/", "/*.dist-info/RECORD"), origin="m 1"
    )

    assert paths(result) == ["python/m.py", "python/other.py"]
    assert {item.origin for item in result} == {"m 1"}


def test_what_a_filter_drops_is_given_too() -> None:
    kept, dropped = filtered([entry("a.py"), entry("tests/t.py"), entry("a.pyi")], ["tests/", "*.pyi"])

    assert (paths(kept), paths(dropped)) == (["a.py"], ["tests/t.py", "a.pyi"])


def test_250_megabytes_are_the_limit_layers_counted() -> None:
    assert UNZIPPED_BYTES == 250 * 1024 * 1024
    fits, too_large = [entry("a", size=UNZIPPED_BYTES - 10)], [entry("big/a", size=UNZIPPED_BYTES), entry("b")]

    assert check_unzipped("F", fits, [("L", 10)]) == []
    assert "2 layers" in str(check_unzipped("F", fits, [("L", 10), ("M", 1)])[0])
    (error,) = check_unzipped("F", too_large, [])
    assert "262.1 MB  big" in error.tail


def test_five_layers_and_fifty_megabytes() -> None:
    assert check_layer_count("F", 5) == []
    assert len(check_layer_count("F", 6)) == 1
    assert zip_notes("F", 50 * 1024 * 1024) == []
    assert "S3" in zip_notes("F", 50 * 1024 * 1024 + 1)[0]


def elf(machine: int, bits: int = 2, order: str = "<") -> bytes:
    return (
        b"\x7fELF"
        + bytes([bits, 1 if order == "<" else 2, 1])
        + bytes(9)
        + struct.pack(order + "HH", 3, machine)
        + bytes(44)
    )


@pytest.mark.parametrize(
    ("name", "content", "wrong_for"),
    [
        ("a.so", elf(62), ["arm64"]), ("a.so", elf(183), ["x86_64"]), ("lib/a.so.1.2", elf(183), ["x86_64"]),
        ("a.node", elf(62), ["arm64"]), ("a.so", elf(62, bits=1), ["arm64", "x86_64"]),
        ("a.so", elf(183, order=">"), ["x86_64"]), ("a.so", b"not an ELF file at all", []), ("a.so", b"", []),
        ("a.txt", elf(62), []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
def test_native_files_for_another_processor_are_found(
    name: str, content: bytes, wrong_for: list[str], packed: bool, tmp_path: Path
) -> None:
    if packed:
        with zipfile.ZipFile(tmp_path / "a.whl", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
        entries = archive_entries(str(tmp_path / "a.whl"))
    else:
        (tmp_path / "file").write_bytes(content)
        entries = (Entry(name, False, len(content), "00", FileOnDisk(str(tmp_path / "file"))),)

    assert [a for a in ("arm64", "x86_64") if wrong_machine(entries, a)] == wrong_for
