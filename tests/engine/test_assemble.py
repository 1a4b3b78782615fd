"""``steps.contents.assemble``: what is in an artifact, and who wins when two parts bring one path."""

from __future__ import annotations

import itertools
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fake_project import FakeProject, fake_project, fake_rule

from lambdabuild.artifacts.entries import Entry, FileOnDisk
from lambdabuild.artifacts.merge import merge, moved
from lambdabuild.core.errors import BadSource, Collision
from lambdabuild.core.records import replace
from lambdabuild.engine.steps.contents.assemble import InLayer, Settled, settle
from lambdabuild.plan.types import Build, BuildKey, PackageLayers, Rule
from lambdabuild.rule_api import Archive, Folder, Result


def entry(path: str, sha256: str = "00", origin: str = "") -> Entry:
    return Entry(path, False, 1, sha256, FileOnDisk(f"/{origin}/{path}"), origin)


# merge: lists of entries to one


def test_of_two_parts_with_one_path_the_earlier_wins() -> None:
    (only,), _ = merge([[entry("a", "1", "first")], [entry("a", "2", "second")]])
    assert only.origin == "first"


def test_the_earliest_of_three_parts_wins() -> None:
    for order in itertools.permutations("123"):
        (only,), _ = merge([[entry("a", number)] for number in order])
        assert only.sha256 == order[0]


def test_within_one_part_the_earlier_entry_wins() -> None:
    (only,), _ = merge([[entry("a", "1"), entry("a", "2")]])
    assert only.sha256 == "1"


def test_equal_content_of_a_later_part_is_not_used_either() -> None:
    (only,), _ = merge([[entry("a", "1", "first")], [entry("a", "1", "second")]])
    assert only.origin == "first"


def test_a_clash_names_all_who_want_the_path_in_their_order() -> None:
    _, (clash,) = merge([[entry("a", number, f"part {number}")] for number in "213"])
    assert [one.origin for one in clash.entries] == ["part 2", "part 1", "part 3"]


def test_entries_are_sorted_by_bytes_and_not_by_letters() -> None:
    merged, _ = merge([[entry("é"), entry("z"), entry("Z"), entry("a/b"), entry("a.b")]])
    assert [one.path for one in merged] == ["Z", "a.b", "a/b", "z", "é"]


def test_the_order_of_entries_in_a_part_does_not_matter() -> None:
    entries = [entry(path) for path in ("b", "a/x", "c")]
    assert len({merge([list(order)]) for order in itertools.permutations(entries)}) == 1


def test_of_several_moves_the_first_that_fits_counts() -> None:
    (only,) = moved([entry("data/lib/a")], [("data/lib/", "x/"), ("data/", "y/")], "", ())
    assert only.path == "x/a"


def test_what_is_left_out_is_named_as_it_was_before_it_moved() -> None:
    assert moved([entry("data/a")], [("data/", "")], "python", ["/a"])[0].path == "python/a"
    assert moved([entry("data/a")], [("data/", "")], "python", ["/data/a"]) == []


# settle: the parts of all steps to one artifact


class Artifact:
    """One function, and what each step of its rule has left."""

    def __init__(self, folder: Path, rule: Rule, key: dict[str, Any]) -> None:
        self.project: FakeProject = fake_project(folder, rules=(rule,))
        self.rule = rule
        self.build = Build("Orders", BuildKey("fake", "function", "", "", "Orders", **key), ("Orders",))
        self.results: dict[str, Result] = {"copy": Result((Folder(str(folder / "Orders")),))}
        self.resolved: list[tuple[str, Result]] = []

    def left(self, step: str, *, replaces_source: bool = False, **files: str) -> Artifact:
        """Have a step leave a folder with these files."""
        out = self.project.folder / "left" / step
        for name, text in files.items():
            self.project.write(f"left/{step}/{name}", text)
        part = Folder(str(out), replaces_source=replaces_source)
        if step == "resolve":
            self.resolved = [("", Result((part,)))]
        self.results[step] = Result((part,))
        return self

    def settled(self, in_layers: tuple[InLayer, ...] = ()) -> Settled:
        return settle(self.project.run, self.build, self.rule, self.results, self.resolved, in_layers)

    def content(self, in_layers: tuple[InLayer, ...] = ()) -> dict[str, str]:
        """The artifact as ``{path: text}``, of what lies in files."""
        places = {one.path: one.location for one in self.settled(in_layers).entries}
        return {path: Path(lies.path).read_text() for path, lies in places.items() if isinstance(lies, FileOnDisk)}


def artifact(tmp_path: Path, key: dict[str, Any] | None = None, **claims: Any) -> Artifact:
    made = Artifact(tmp_path / "project", fake_rule(tmp_path / "rule", **claims), key or {})
    made.project.source("Orders").unlink()
    made.project.write("Orders/a", "own")
    return made


def test_own_files_win_over_what_was_compiled(tmp_path: Path) -> None:
    assert artifact(tmp_path).left("compile", a="compiled").content() == {"a": "own"}


def test_own_files_win_over_packages(tmp_path: Path) -> None:
    assert artifact(tmp_path).left("resolve", a="a package's").content() == {"a": "own"}


def test_what_was_compiled_wins_over_a_distribution(tmp_path: Path) -> None:
    made = artifact(tmp_path).left("package", b="of a distribution").left("compile", b="compiled")
    assert made.content()["b"] == "compiled"


def test_what_was_compiled_wins_over_packages(tmp_path: Path) -> None:
    made = artifact(tmp_path).left("resolve", b="a package's").left("compile", b="compiled")
    assert made.content()["b"] == "compiled"


def test_own_files_win_over_what_is_added_to_them(tmp_path: Path) -> None:
    made = artifact(tmp_path, {"include": ("extra",)})
    made.project.write("extra/a", "added")
    assert made.content() == {"a": "own"}


def test_what_is_added_wins_over_packages(tmp_path: Path) -> None:
    made = artifact(tmp_path, {"include": ("extra",)}).left("resolve", b="a package's")
    made.project.write("extra/b", "added")
    assert made.content()["b"] == "added"


def test_of_two_that_are_added_the_first_wins(tmp_path: Path) -> None:
    made = artifact(tmp_path, {"include": ("second", "first")})
    made.project.write("first/b", "of first")
    made.project.write("second/b", "of second")
    assert made.content()["b"] == "of second"


def test_what_scripts_made_of_the_source_wins_over_the_source(tmp_path: Path) -> None:
    made = artifact(tmp_path).left("resolve", replaces_source=True, a="made by a script")
    assert made.content() == {"a": "made by a script"}


def test_a_note_says_whose_file_is_used(tmp_path: Path) -> None:
    (note,) = artifact(tmp_path).left("compile", a="compiled").settled().notes
    assert note == "Orders: a comes from Orders and left/compile; that of Orders is used"


def test_names_that_differ_in_case_alone_are_both_there_with_a_note(tmp_path: Path) -> None:
    made = artifact(tmp_path).left("compile", A="compiled")
    assert set(made.content()) == {"a", "A"}
    assert made.settled().notes == ("Orders: A and a differ in case only",)


def test_a_file_here_and_a_folder_there_is_an_error(tmp_path: Path) -> None:
    made = artifact(tmp_path).left("compile", **{"a/b": "compiled"})
    with pytest.raises(Collision, match="a is a file in Orders and a folder in left/compile"):
        made.settled()


def test_an_artifact_without_files_is_an_error(tmp_path: Path) -> None:
    made = artifact(tmp_path)
    (made.project.folder / "Orders/a").unlink()
    with pytest.raises(BadSource, match="empty zip"):
        made.settled()


def test_dependencies_that_the_settings_leave_out_are_left_out_and_named(tmp_path: Path) -> None:
    made = artifact(tmp_path, {"leave_out_dependencies": ("b",)}).left("resolve", b="a package's", c="another's")
    assert set(made.content()) == {"a", "c"}
    assert made.settled().left_out == ("b",)


def test_what_is_left_out_of_dependencies_is_not_left_out_of_the_source(tmp_path: Path) -> None:
    assert artifact(tmp_path, {"leave_out_dependencies": ("a",)}).left("resolve", c="x").content()["a"] == "own"


def test_a_rule_whose_dependencies_are_provided_ships_none(tmp_path: Path) -> None:
    assert set(artifact(tmp_path, ships_dependencies=False).left("resolve", b="x").content()) == {"a"}


def test_a_layer_has_everything_below_its_prefix(tmp_path: Path) -> None:
    made = artifact(tmp_path, layer_prefix="python").left("resolve", b="a package's")
    made.build = replace(made.build, key=replace(made.build.key, kind="layer"))
    assert set(made.content()) == {"python/a", "python/b"}


def for_runtimes(tmp_path: Path, texts: dict[str, str]) -> set[str]:
    """The paths in a layer for several runtimes, each with a package of its own."""
    made = artifact(tmp_path, layer_prefix="python", runtime_prefix="lib/{runtime}")
    made.build = replace(made.build, key=replace(made.build.key, kind="layer"))
    for runtime, text in texts.items():
        made.project.write(f"for/{runtime}/m", text)
        made.resolved.append((runtime, Result((Folder(str(made.project.folder / "for" / runtime)),))))
    return set(made.content())


def test_runtimes_that_need_different_packages_have_a_folder_each(tmp_path: Path) -> None:
    paths = for_runtimes(tmp_path, {"python3.12": "old", "python3.13": "new"})
    assert paths == {"python/a", "python/lib/python3.12/m", "python/lib/python3.13/m"}


def test_runtimes_that_need_the_same_packages_share_them(tmp_path: Path) -> None:
    assert for_runtimes(tmp_path, {"python3.12": "same", "python3.13": "same"}) == {"python/a", "python/m"}


# packages that layers have


def packaged(tmp_path: Path, **own: str) -> Artifact:
    """A function with two packages, each in an archive, and files of its own."""
    made = artifact(tmp_path, package_layers=PackageLayers(marker="__init__.py"))
    parts = []
    for name in ("left", "right"):
        path = tmp_path / f"{name}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{name}/__init__.py", name)
        parts.append(Archive(str(path), origin=f"{name} 1.0"))
    for path, text in own.items():
        made.project.write(f"Orders/{path}", text)
    made.resolved = [("", Result(tuple(parts)))]
    return made


def test_a_package_that_a_layer_has_is_not_in_the_zip(tmp_path: Path) -> None:
    found = packaged(tmp_path).settled((InLayer((0,), frozenset({"left"})),))
    assert [one.path for one in found.entries] == ["a", "right/__init__.py"]


def test_a_package_of_a_layer_into_whose_folder_own_files_go_is_in_the_zip_with_a_note(tmp_path: Path) -> None:
    made = packaged(tmp_path, **{"left/own.py": "own"})
    found = made.settled((InLayer((0,), frozenset({"left"})),))
    assert "left/__init__.py" in [one.path for one in found.entries]
    assert found.notes == ("Orders: left 1.0 is in the zip though a layer has it, for other files lie in its folders",)


def test_zipped_dependencies_are_one_file_next_to_the_module_that_unpacks_them(tmp_path: Path) -> None:
    made = artifact(tmp_path, {"zips_dependencies": True}).left("resolve", b="a package's")
    assert [one.path for one in made.settled().entries] == [".requirements.zip", "a", "unzip_requirements.py"]


def test_the_digest_does_not_depend_on_where_the_bytes_lie(tmp_path: Path) -> None:
    one = artifact(tmp_path / "one").left("resolve", b="x")
    other = artifact(tmp_path / "other").left("compile", b="x")
    assert one.settled().digest == other.settled().digest


def test_what_lies_in_the_source_is_known_file_by_file(tmp_path: Path) -> None:
    assert list(artifact(tmp_path).left("resolve", b="x").settled().files) == ["Orders"]
