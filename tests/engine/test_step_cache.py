"""``step_cache``: what a step's key says, what an entry may say, and how bytes get here when a step reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_project import FakeProject, fake_project

from lambdabuild.config.settings import CacheSettings, Settings
from lambdabuild.core.records import replace
from lambdabuild.engine.base import receipts
from lambdabuild.engine.base.receipts import Receipt, StepOutput
from lambdabuild.engine.base.run import Once
from lambdabuild.engine.base.step_kind import kind_of
from lambdabuild.engine.freshness import inputs
from lambdabuild.engine.step_cache import caches, lookup, materialize, upload
from lambdabuild.engine.step_cache.lookup import Entry
from lambdabuild.files import fingerprint

INPUTS = {"file:a": "1"}


@pytest.fixture
def project(tmp_path: Path) -> FakeProject:
    return fake_project(tmp_path, cache=True).with_kind("pack", inputs=lambda run, name: INPUTS)


def key(project: FakeProject, kind: str = "pack", name: str = "Orders", **components: str) -> str:
    return lookup.key_of(project.run, kind, name, components or INPUTS)


def with_settings(project: FakeProject, **cache: Any) -> FakeProject:
    settings = Settings(cache=CacheSettings(**cache))
    changed = replace(project.run, project=replace(project.run.project, settings=settings), caches=Once())
    return FakeProject(project.folder, changed, project.kept, project.ran)


def offer(project: FakeProject, output: str = "made", kind: str = "pack", **more: Any) -> None:
    values = more.pop("values", {})
    components = more.pop("components", INPUTS)
    receipt = Receipt(components, output, **{"result": {"parts": []}, **more})
    upload.offer(project.run, kind, "Orders", components, receipt, values)


def found(project: FakeProject, components: Mapping[str, str] = INPUTS) -> str | None:
    """The output that a cache has for pack:Orders."""
    entry = lookup.find(project.run, "pack", "Orders", components)
    return entry.data["output"] if entry is not None else None


# the key


def test_equal_steps_have_one_key_wherever_the_project_is(project: FakeProject, tmp_path: Path) -> None:
    assert key(project) == key(fake_project(tmp_path / "elsewhere", cache=True))


def test_another_input_is_another_key(project: FakeProject) -> None:
    assert key(project, a="1") != key(project, a="2")


def test_an_input_of_another_name_is_another_key(project: FakeProject) -> None:
    assert key(project, a="1") != key(project, b="1")


def test_the_order_of_inputs_does_not_matter(project: FakeProject) -> None:
    assert key(project, a="1", b="2") == key(project, b="2", a="1")


def test_another_step_has_another_key(project: FakeProject) -> None:
    assert len({key(project), key(project, kind="make"), key(project, name="Refunds")}) == 3


def test_another_namespace_is_another_key(project: FakeProject) -> None:
    assert key(project) != key(with_settings(project, namespace="team"))


def test_the_second_key_depends_on_the_files_that_the_run_revealed(project: FakeProject) -> None:
    assert lookup.second_key("k", {"read:a": "1"}) != lookup.second_key("k", {"read:a": "2"})


# what is found


def test_what_was_offered_is_found(project: FakeProject) -> None:
    offer(project)
    assert found(project) == "made"


def test_nothing_is_found_when_the_settings_want_no_cache(project: FakeProject) -> None:
    offer(project)
    assert found(with_settings(project, enabled=False)) is None


def test_nothing_is_found_for_other_inputs(project: FakeProject) -> None:
    offer(project)
    assert found(project, {"file:a": "2"}) is None


def revealing(project: FakeProject, text: str, output: str) -> None:
    """Offer what a run left that read ``extra.txt``, when that had a text."""
    path = project.write("extra.txt", text)
    offer(project, output, reads=inputs.reads(project.run, [project.run.project.portable(str(path))]))


def test_a_file_that_only_the_run_revealed_must_be_as_it_was(project: FakeProject) -> None:
    revealing(project, "one", "from one")
    assert found(project) == "from one"
    project.write("extra.txt", "two")
    assert found(project) is None


def test_what_an_older_run_left_is_found_when_its_file_is_as_it_was_then(project: FakeProject) -> None:
    revealing(project, "one", "from one")
    revealing(project, "two, longer", "from two")
    project.write("extra.txt", "one")
    assert found(project) == "from one"


def test_what_runs_with_other_files_revealed_is_kept_beside_each_other(project: FakeProject) -> None:
    revealing(project, "one", "from one")
    other = project.write("other.txt", "other")
    offer(project, "from other", reads=inputs.reads(project.run, [project.run.project.portable(str(other))]))
    (project.folder / "extra.txt").unlink()
    assert found(project) == "from other"
    other.unlink()
    project.write("extra.txt", "one")
    assert found(project) == "from one"


def test_an_entry_that_says_that_it_read_something_else_is_not_believed(project: FakeProject) -> None:
    revealing(project, "one", "from one")
    cache = caches.caches(project.run)
    assert cache is not None
    reads = inputs.reads(project.run, ["{project}/extra.txt"])
    wrong = {"output": "wrong", "values": {}, "result": {}, "reads": {"read:{project}/other.txt": "1"}, "folders": {}}
    cache.put(lookup.second_key(key(project), reads), wrong, {})
    assert found(project) is None


def test_only_so_many_candidates_are_kept(project: FakeProject) -> None:
    for number in range(upload.MOST_CANDIDATES + 3):
        path = project.write(f"extra{number}.txt")
        offer(project, reads=inputs.reads(project.run, [project.run.project.portable(str(path))]))
    cache = caches.caches(project.run)
    assert cache is not None
    record = cache.find(key(project))
    assert record is not None and len(record.data["candidates"]) == upload.MOST_CANDIDATES
    assert record.data["candidates"][0]["reads"] == [f"{{project}}/extra{upload.MOST_CANDIDATES + 2}.txt"]


def test_a_file_that_was_edited_while_it_was_read_keeps_the_result_out_of_caches(project: FakeProject) -> None:
    offer(project, reads={"read:{project}/a": inputs.CHANGED})
    assert found(project) is None


def test_an_input_that_was_edited_while_the_step_ran_keeps_the_result_out_of_caches(project: FakeProject) -> None:
    offer(project, components={"file:a": "before the edit"})
    assert found(project, {"file:a": "before the edit"}) is None


def test_a_cache_that_is_only_read_gets_nothing(project: FakeProject) -> None:
    offer(with_settings(project, read_only=True))
    assert found(project) is None


def test_a_kind_without_a_way_back_is_offered_to_no_cache(project: FakeProject) -> None:
    offer(project.with_kind("pack", restore=None))
    assert found(project) is None


def test_the_cache_that_would_spare_a_step_is_named(project: FakeProject) -> None:
    assert lookup.where(project.run, "pack", "Orders") == ""
    offer(project)
    assert lookup.where(project.run, "pack", "Orders") != ""


# restoring


def entry(**data: Any) -> Entry:
    return Entry({"output": "o", "values": {"size": 3}, "result": {}, "reads": {}, "folders": {}, **data}, {}, "team")


def restored(project: FakeProject, given: Entry, kind: str = "pack") -> tuple[Receipt, Mapping[str, Any]] | None:
    return lookup.restore(project.run, kind, "Orders", INPUTS, given)


def test_what_is_restored_has_the_values_of_the_run_and_the_name_of_the_cache(project: FakeProject) -> None:
    project.perform("make", "Orders")
    answer = restored(project, entry())
    assert answer is not None
    assert answer[1] == {"size": 3, "restored": "team"}


def test_the_receipt_of_what_is_restored_has_the_inputs_of_this_machine(project: FakeProject) -> None:
    project.perform("make", "Orders")
    answer = restored(project, entry(reads={"read:x": "1"}))
    assert answer is not None
    assert (answer[0].components, answer[0].reads, answer[0].output) == (INPUTS, {"read:x": "1"}, "o")


def test_bytes_that_a_later_step_may_never_need_stay_away(project: FakeProject) -> None:
    lazy = project.with_kind("make", restore=lookup.without_bytes("make"))
    answer = restored(lazy, entry(), "make")
    assert answer is not None and answer[1]["away"]


def test_files_of_another_run_are_gone_when_the_bytes_are_away(project: FakeProject) -> None:
    out = Path(project.run.project.out("make", "Orders"))
    out.mkdir(parents=True)
    (out / "old").write_text("")
    restored(project.with_kind("make", restore=lookup.without_bytes("make")), entry(), "make")
    assert not out.exists()


def test_an_entry_that_only_looks_like_ours_is_a_miss(project: FakeProject) -> None:
    project.perform("make", "Orders")
    assert restored(project, Entry({"output": "o"}, {}, "team")) is None


def test_a_step_is_run_when_its_files_cannot_be_brought_back(project: FakeProject) -> None:
    assert restored(project.with_kind("pack", restore=lambda run, name, entry: False), entry()) is None


# what may leave this machine


@pytest.fixture
def secretive(tmp_path: Path) -> FakeProject:
    environment = {"TOKEN": "hunter2-hunter2", "SHORT": "abc", "OTHER": "not-of-this-step"}
    names = {f"environment:{name}": "digest" for name in ("TOKEN", "SHORT")}
    made = fake_project(tmp_path / "checkout/service", cache=True, environment=environment)
    return made.with_kind("pack", inputs=lambda run, name: names)


def is_kept(project: FakeProject, **more: Any) -> bool:
    """Return whether what a step left is given to the caches."""
    components = kind_of(project.run.index, "pack").inputs(project.run, "Orders")
    offer(project, components=components, **more)
    return found(project, components) is not None


def test_a_result_without_secrets_leaves(secretive: FakeProject) -> None:
    assert is_kept(secretive, values={"notes": ["all is well"]})


@pytest.mark.parametrize(
    "more",
    [
        {"values": {"notes": ["sent with hunter2-hunter2"]}},
        {"result": {"parts": [], "facts": {"index": "hunter2-hunter2"}}},
        {"folders": {"src": {"hunter2-hunter2.txt": "1"}}},
        {"output": "hunter2-hunter2"},
    ],
    ids=["values", "result", "folders", "output"],
)
def test_a_variable_that_the_step_was_given_never_leaves(secretive: FakeProject, more: dict[str, Any]) -> None:
    assert not is_kept(secretive, **more)


def test_a_value_too_short_to_be_a_secret_does_not_keep_everything_here(secretive: FakeProject) -> None:
    assert is_kept(secretive, values={"notes": ["abc"]})


def test_a_variable_that_the_step_was_not_given_is_not_looked_for(secretive: FakeProject) -> None:
    assert is_kept(secretive, values={"notes": ["not-of-this-step"]})


def test_a_password_in_an_address_never_leaves(secretive: FakeProject) -> None:
    assert not is_kept(secretive, values={"notes": ["from https://me:secret@packages.test/simple"]})


def test_an_address_without_a_password_leaves(secretive: FakeProject) -> None:
    assert is_kept(secretive, values={"notes": ["from https://packages.test:8443/simple"]})


@pytest.mark.parametrize("place", ["folder", "build_dir", "cache_dir", "state_dir"])
def test_a_place_of_this_machine_never_leaves(secretive: FakeProject, place: str) -> None:
    assert not is_kept(secretive, values={"notes": [f"see {getattr(secretive.run.project, place)}/a.txt"]})


def test_the_home_of_whoever_builds_never_leaves(secretive: FakeProject) -> None:
    assert not is_kept(secretive, values={"notes": [f"see {os.path.expanduser('~')}/a.txt"]})


def test_a_place_that_records_name_leaves(secretive: FakeProject) -> None:
    assert is_kept(secretive, values={"notes": ["see {project}/a.txt"]})


def test_a_path_that_only_begins_like_a_place_of_this_machine_leaves(secretive: FakeProject) -> None:
    assert is_kept(secretive, values={"notes": [f"see {secretive.run.project.folder}-two/a.txt"]})


PARTS = {"parts": [{"path": "/opt/somewhere/out"}]}


def test_a_result_whose_files_no_other_machine_has_stays_here(project: FakeProject) -> None:
    made = project.with_kind("pack", has_bytes=True)
    offer(made, result=PARTS)
    assert found(made) is None


def test_a_result_of_files_of_the_project_leaves(project: FakeProject) -> None:
    made = project.with_kind("pack", has_bytes=True)
    offer(made, result={"parts": [{"path": "{project}/src"}]})
    assert found(made) == "made"


@pytest.mark.parametrize(
    "place",
    [
        "{project}/a.py", "{checkout}/lib/a.py", "{store}/wheels/aa/a.whl", "{state}/out/resolve/r/a.py",
        "{state}/out/compile/F/a",
    ],
)  # fmt: skip
def test_a_list_of_files_that_others_have_or_can_fetch_is_portable(place: str) -> None:
    assert upload._is_portable({"list": [["a", 0, 1, "aa", "", [place]]]})


@pytest.mark.parametrize("place", ["/usr/lib/a.so", "{state}/out/zipped/F/a.zip", "{store}/stripped/a.so", "{home}/a"])
def test_a_list_with_one_file_of_this_machine_alone_is_not_portable(place: str) -> None:
    rows = [["b", 0, 1, "aa", "", ["{project}/b"]], ["a", 0, 1, "aa", "", [place]]]
    assert not upload._is_portable({"list": rows})


# bytes, when a step reads them


def again(project: FakeProject, output: str) -> Any:
    def run_again(kind: str, name: str) -> str:
        project.ran.append(f"again {kind}:{name}")
        return output

    return run_again


def restored_away(project: FakeProject) -> None:
    """Leave make:Orders as a hit leaves it: its output is known, its bytes are in the cache alone."""
    lazy = project.with_kind("make", run=_folder, restore=lookup.without_bytes("make"))
    lazy.perform("make", "Orders")
    values = lazy.perform("make", "Orders")
    assert values["away"]
    project.kept["make:Orders"] = values


def _folder(run: Any, name: str) -> StepOutput:
    out = Path(run.project.out("make", name))
    out.mkdir(parents=True, exist_ok=True)
    (out / "a.txt").write_text("made")
    digest = fingerprint.of({"a.txt": "made"})
    return StepOutput(digest, result={"parts": [{"path": run.project.portable(str(out))}]})


def test_bytes_that_are_here_are_not_fetched_and_nothing_runs(project: FakeProject) -> None:
    project.perform("make", "Orders")
    assert not materialize.provide(project.run, [("make", "Orders")], again(project, "x"))
    assert project.ran == ["make:Orders"]


def test_bytes_that_are_away_are_fetched_from_the_cache(project: FakeProject) -> None:
    restored_away(project)
    assert materialize.is_away(project.run, "make", "Orders")
    assert not materialize.provide(project.run, [("make", "Orders")], again(project, "x"))
    assert Path(project.run.project.out("make", "Orders"), "a.txt").read_text() == "made"


def test_bytes_that_no_cache_has_any_more_are_made_again(project: FakeProject) -> None:
    restored_away(project)
    lost = with_settings(project, enabled=False)
    output = project.kept["make:Orders"]["output"]
    assert not materialize.provide(lost.run, [("make", "Orders")], again(project, output))
    assert project.ran == ["again make:Orders"]


def test_a_step_that_had_to_be_run_again_and_left_something_else_is_told_of(project: FakeProject) -> None:
    restored_away(project)
    lost = with_settings(project, enabled=False)
    assert materialize.provide(lost.run, [("make", "Orders")], again(project, "another"))


def test_every_step_after_one_with_a_new_output_is_run_again(project: FakeProject) -> None:
    project.perform("make", "Refunds")
    restored_away(project)
    lost = with_settings(project, enabled=False)
    materialize.provide(lost.run, [("make", "Orders"), ("make", "Refunds")], again(project, "another"))
    assert project.ran[-2:] == ["again make:Orders", "again make:Refunds"]


def test_no_file_of_the_store_is_believed_whose_path_does_not_say_its_content(project: FakeProject) -> None:
    sha256 = "a" * 64
    blobs = {
        f"wheels/{sha256}/a.whl": [sha256, 1],
        f"wheels/{'b' * 64}/b.whl": [sha256, 1],
        "../../etc/passwd": [sha256, 1],
    }
    places = [path for _, path in materialize.files_in_store(project.run.project, blobs)]
    assert places == [f"{project.run.project.cache_dir}/wheels/{sha256}/a.whl"]


def test_a_receipt_that_is_gone_has_no_blobs(project: FakeProject) -> None:
    assert receipts.read(project.run.project.receipt("make", "Orders")) is None
    assert materialize.blobs_of(project.run.project, "make", "Orders") == {}
