"""What is on disk: listings with their patterns and links, and digests that are not taken twice."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lambdabuild.core.errors import BadSource, Several
from lambdabuild.core.recent import SMALL_BYTES
from lambdabuild.core.store import sha256_of
from lambdabuild.files import fingerprint
from lambdabuild.files.listing import Patterns, ignore_lines, scan
from lambdabuild.files.stat_cache import StatCache


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def listed(folder: Path, *patterns: str, **more: object) -> list[str]:
    return [found.path for found in scan(str(folder), Patterns(patterns), **more).files]  # type: ignore[arg-type]


def test_files_are_listed_sorted_by_the_bytes_of_their_paths(tmp_path: Path) -> None:
    make(tmp_path, "b", "a/z", "a.txt", "é", "Z")

    assert listed(tmp_path) == ["Z", "a.txt", "a/z", "b", "é"]


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["*.pyc"], ["a.py", "deep/tests/x.py", "docs/a.md", "tests/t.py"]),
        (["tests/"], ["a.py", "a.pyc", "deep/a.pyc", "docs/a.md"]),
        (["/tests/"], ["a.py", "a.pyc", "deep/a.pyc", "deep/tests/x.py", "docs/a.md"]),
        (["/a.py", "/docs"], ["a.pyc", "deep/a.pyc", "deep/tests/x.py", "tests/t.py"]),
        (["/docs/*", "!/docs/a.md"], ["a.py", "a.pyc", "deep/a.pyc", "deep/tests/x.py", "docs/a.md", "tests/t.py"]),
        (["/deep", "!/a.py"], ["a.py", "a.pyc", "docs/a.md", "tests/t.py"]),
        (["deep/**"], ["a.py", "a.pyc", "docs/a.md", "tests/t.py"]),
        (["*.pyc", "!a.pyc"], ["a.py", "a.pyc", "deep/a.pyc", "deep/tests/x.py", "docs/a.md", "tests/t.py"]),
        (["# a comment", "", "*.md"], ["a.py", "a.pyc", "deep/a.pyc", "deep/tests/x.py", "tests/t.py"]),
        (["doc?"], ["a.py", "a.pyc", "deep/a.pyc", "deep/tests/x.py", "tests/t.py"]),
    ],
)
def test_patterns_mean_what_they_mean_to_git(patterns: list[str], left: list[str], tmp_path: Path) -> None:
    make(tmp_path, "a.py", "a.pyc", "tests/t.py", "deep/a.pyc", "deep/tests/x.py", "docs/a.md")

    assert listed(tmp_path, *patterns) == left


@pytest.mark.parametrize(
    ("line", "there"),
    [
        ("*.md", "*.md"), ("tests/", "tests/"), ("/src/orders/tests/", "/tests/"), ("src/*/tests", "/tests"), ("/docs/", ""),
        ("src/refunds/x", ""), ("!src/orders/keep.md", "!/keep.md"), ("**/x", "**/x"), ("src/**/x", "**/x"), ("src/orders/", "*"),
        ("/src/", "*"), ("src/orders/**", "/**"), ("# src/orders/x", ""),
    ],
)  # fmt: skip
def test_a_projects_patterns_read_from_a_code_folder(line: str, there: str, tmp_path: Path) -> None:
    (tmp_path / ".lambdabuildignore").write_text(line + "\n")

    assert list(ignore_lines(str(tmp_path), below="src/orders")) == ([there] if there else [])


def test_what_was_left_out_is_named(tmp_path: Path) -> None:
    make(tmp_path, "a.py", "a.pyc", "venv/pyvenv.cfg", "venv/lib/x", "tests/t.py")

    assert sorted(scan(str(tmp_path), Patterns(["*.pyc", "tests/"])).left_out) == ["a.pyc", "tests/", "venv/"]


def test_links_inside_the_project_are_followed(tmp_path: Path) -> None:
    make(tmp_path, "shared/lib.py", "src/app.py")
    (tmp_path / "src/lib.py").symlink_to("../shared/lib.py")
    (tmp_path / "src/all").symlink_to("../shared")

    assert listed(tmp_path / "src", boundary=str(tmp_path)) == ["all/lib.py", "app.py", "lib.py"]
    with pytest.raises(Several) as raised:
        scan(str(tmp_path / "src"), Patterns([]), boundary=str(tmp_path / "src"))
    assert len(raised.value.errors) == 2


def test_a_pipe_is_no_source(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadSource, match="neither a file nor a folder"):
        scan(str(tmp_path), Patterns([]))
    assert listed(tmp_path, "pipe") == []


def test_a_name_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9")).write_text("x")
    with pytest.raises(BadSource, match="UTF-8"):
        scan(str(tmp_path), Patterns([]))


class Counting(StatCache):
    """Counts how often a file is really read."""

    reads = 0

    def _read(self, path: str, size: int) -> str:
        self.reads += 1
        return super()._read(path, size)


def old(path: Path) -> Path:
    """A file whose times are well in the past."""
    os.utime(path, ns=(1_500_000_000_000_000_001,) * 2)
    time.sleep(0.05)
    return path


def test_a_file_is_read_once_and_again_when_its_stat_changed(tmp_path: Path) -> None:
    file = old(make(tmp_path, "a") / "a")
    cache = Counting(str(tmp_path / "stats"))
    assert [cache.digest(str(file)) for _ in range(3)] == [sha256_of(str(file))] * 3
    assert cache.reads == 1

    file.write_text("other")
    assert cache.digest(str(file)) == sha256_of(str(file))
    assert cache.reads == 2


def test_a_file_written_just_now_is_not_trusted(tmp_path: Path) -> None:
    """Its next write could bear the same time."""
    file = make(tmp_path, "a") / "a"
    cache = StatCache(str(tmp_path / "stats"), clock=lambda: file.stat().st_mtime_ns)
    cache.digest(str(file))
    stat = file.stat()
    file.write_text("b")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert cache.digest(str(file)) == sha256_of(str(file))


def test_digests_survive_the_process_and_a_broken_cache_is_an_empty_one(tmp_path: Path) -> None:
    file = old(make(tmp_path, "a") / "a")
    first = StatCache(str(tmp_path / "stats"))
    first.digest(str(file))
    first.save()
    second = Counting(str(tmp_path / "stats"))
    second.digest(str(file))
    assert second.reads == 0

    (tmp_path / "stats").write_bytes(b"torn")
    third = Counting(str(tmp_path / "stats"))
    third.digest(str(file))
    assert third.reads == 1


def test_what_a_fork_has_learnt_is_not_read_again(tmp_path: Path) -> None:
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for file in files:
        file.write_text(file.name)
        old(file)
    time.sleep(0.03)  # a change time cannot be set back
    fork, cache = Counting(str(tmp_path / "stats")), Counting(str(tmp_path / "stats"))
    assert cache.digest(str(files[0])) == fork.digest(str(files[0]))
    fork.set_aside()
    fork.digest(str(files[1]))
    cache.add(fork.learnt())
    cache.save()

    later = Counting(str(tmp_path / "stats"))
    assert [later.digest(str(file)) for file in files] == [sha256_of(str(file)) for file in files]
    assert later.reads == 0


def test_a_small_file_that_was_digested_need_not_be_read_again(tmp_path: Path) -> None:
    cache, small, large = Counting(str(tmp_path / "stats")), tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x" * SMALL_BYTES)
    large.write_bytes(b"x" * (SMALL_BYTES + 1))
    assert cache.recent.get(cache.digest(str(small))) == small.read_bytes()
    assert cache.recent.get(cache.digest(str(large))) is None
    assert cache.digest(str(large)) == sha256_of(str(large))


def test_a_paranoid_cache_trusts_nothing(tmp_path: Path) -> None:
    file = old(make(tmp_path, "a") / "a")
    cache = Counting(str(tmp_path / "stats"), paranoid=True)
    cache.digest(str(file))
    cache.digest(str(file))

    assert cache.reads == 2


def test_a_folder_is_one_digest_of_names_contents_and_who_may_be_run(tmp_path: Path) -> None:
    cache = StatCache(str(tmp_path / "stats"))

    def digest(folder: Path) -> str:
        return fingerprint.of_listing(str(folder), scan(str(folder), Patterns([])), cache)

    one, two = make(tmp_path / "one", "a", "b/c"), make(tmp_path / "two", "b/c", "a")
    assert digest(one) == digest(two)
    (two / "a").chmod(0o755)
    assert digest(one) != digest(two)
    (two / "a").chmod(0o600)
    assert digest(one) == digest(two)
    (two / "a").rename(two / "z")
    assert digest(one) != digest(two)


def test_a_fingerprint_does_not_depend_on_order_and_not_on_where_names_end() -> None:
    assert fingerprint.of({"a": "1", "b": "2"}) == fingerprint.of({"b": "2", "a": "1"})
    assert fingerprint.of({"a": "1"}) != fingerprint.of({"a1": ""})


def chain(top: Path, links: int, *, length: int) -> None:
    """``length`` folders, each with links to the next."""
    for number in range(length):
        (top / f"f{number}").mkdir(parents=True)
        for link in range(links if number + 1 < length else 0):
            (top / f"f{number}/{link}").symlink_to(f"../f{number + 1}")


def ring(top: Path, *, length: int) -> None:
    """Folders that all have links to all others."""
    for number in range(length):
        (top / f"f{number}").mkdir(parents=True)
        for other in range(length):
            if other != number:
                (top / f"f{number}/{other}").symlink_to(f"../f{other}")


def crowd(top: Path, *, files: int, links: int) -> None:
    """One folder of many files, and many links to it."""
    (top / "all").mkdir(parents=True)
    for number in range(files):
        (top / f"all/{number}").touch()
    for number in range(links):
        (top / f"link{number}").symlink_to("all")


@pytest.mark.parametrize(
    ("make", "many"),
    [
        (partial(chain, links=2, length=30), "again and again"),
        (partial(chain, links=60, length=4), "again and again"),
        (partial(ring, length=11), "again and again"),
        (partial(crowd, files=2_000, links=60), "more than 100,000"),
    ],
)
def test_a_bomb_of_links_is_refused_while_that_is_quick(make: Any, many: str, tmp_path: Path) -> None:
    make(tmp_path / "src")
    began = time.process_time()

    with pytest.raises(BadSource, match=many):
        scan(str(tmp_path / "src"), Patterns(()))
    assert time.process_time() - began < 20, "the links were followed: there are 2 ** 30, 60 ** 4, 11!, or 120,000 ways"


@pytest.mark.parametrize("make", [partial(crowd, files=90, links=900), partial(chain, links=5, length=4)])
def test_as_many_links_as_large_repositories_have_are_followed(make: Any, tmp_path: Path) -> None:
    make(tmp_path / "src")

    scan(str(tmp_path / "src"), Patterns(()))
