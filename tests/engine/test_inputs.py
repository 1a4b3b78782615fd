"""``freshness.inputs`` names all that a step depends on; ``changes`` says what is different; ``intact`` what is gone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_project import FakeProject, fake_project, fake_rule

from lambdabuild.core.records import replace
from lambdabuild.engine.base.receipts import Receipt
from lambdabuild.engine.freshness import changes, inputs, intact
from lambdabuild.files import fingerprint
from lambdabuild.plan.types import Build, BuildKey, BuildPlan, ContainerKey, StepClaims

CLAIMS = StepClaims(environment=("REGION",), options=("flags",))
OPTIONS = (("environment", '["MORE"]'), ("flags", '"-O2"'), ("ignored", "1"))


@pytest.fixture
def project(tmp_path: Path) -> FakeProject:
    rule = fake_rule(tmp_path / "rule", lock_files=("deps.lock",))
    made = fake_project(tmp_path / "project", rules=(rule,), environment={"REGION": "here"})
    made.write("Orders/deps.txt", "a package\n")
    made.write("base.txt", "read by the last run\n")
    made.kept["resolve:deps"] = {"output": "resolved"}
    key = BuildKey("fake", "function", "", "", "Orders", options=OPTIONS)
    return made.with_plan(BuildPlan((), (Build("Orders", key, ("Orders",), resolution="deps"),)))


def claimed(project: FakeProject, claims: StepClaims = CLAIMS, container: ContainerKey | None = None) -> dict[str, str]:
    rule = project.run.index.rules["fake"]
    return inputs.claims(project.run, rule, claims, OPTIONS, container or ContainerKey())


def named(project: FakeProject) -> dict[str, str]:
    """All inputs of a step that reads its manifest and its source, and that its last run revealed."""
    run, build = project.run, project.run.index.builds["Orders"]
    return (
        claimed(project)
        | inputs.manifest(run, run.index.rules["fake"], "Orders/deps.txt", "")
        | inputs.source(run, build)
        | inputs.dependencies(run, build)
        | inputs.known_reads(run, {"reads": ["{project}/base.txt"]})
    )


def in_another_run(project: FakeProject, environment: Mapping[str, str]) -> FakeProject:
    opened = replace(project.run.opened_with, environment=environment)
    run = replace(project.run, opened_with=opened, rule_digests={})
    return FakeProject(project.folder, run, project.kept, project.ran)


def test_all_that_a_step_depends_on_has_a_name(project: FakeProject) -> None:
    assert set(named(project)) == {
        "rule:fake", "option:flags", "environment:REGION", "environment:MORE", "file:Orders/deps.txt",
        "file:Orders/deps.lock", "folder:Orders", "dependencies", "read:{project}/base.txt",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("../rule/rule.py", {"rule:fake"}),
        ("base.txt", {"read:{project}/base.txt"}),
        ("Orders/main.py", {"folder:Orders"}),
        ("Orders/deps.txt", {"folder:Orders", "file:Orders/deps.txt"}),
        ("Orders/deps.lock", {"folder:Orders", "file:Orders/deps.lock"}),
        ("Refunds/source.txt", set()),
        ("notes.txt", set()),
    ],
)
def test_an_edit_changes_the_inputs_that_read_the_file_and_no_other(
    project: FakeProject, path: str, names: set[str]
) -> None:
    before = named(project)
    project.write(path, "edited just now\n")
    after = named(in_another_run(project, {"REGION": "here"}))
    assert {one for one in before if before[one] != after[one]} == names


def test_a_variable_changes_its_own_input_alone(project: FakeProject) -> None:
    before, after = named(project), named(in_another_run(project, {"REGION": "there"}))
    assert {one for one in before if before[one] != after[one]} == {"environment:REGION"}


def test_an_empty_variable_is_not_one_that_is_unset(project: FakeProject) -> None:
    empty, unset = (named(in_another_run(project, given))["environment:REGION"] for given in ({"REGION": ""}, {}))
    assert empty != unset


def test_no_value_of_a_variable_is_written_down(project: FakeProject) -> None:
    secret = in_another_run(project, {"REGION": "hunter2-hunter2"})
    assert "hunter2" not in repr(named(secret))


def test_a_readme_or_a_test_of_a_rule_is_not_its_code(project: FakeProject) -> None:
    before = named(project)["rule:fake"]
    project.write("../rule/README.md", "text\n")
    project.write("../rule/test_rule.py", "text\n")
    assert named(in_another_run(project, {}))["rule:fake"] == before


def test_another_output_of_resolve_changes_the_dependencies_alone(project: FakeProject) -> None:
    before = named(project)
    project.kept["resolve:deps"] = {"output": "another"}
    after = named(project)
    assert {one for one in before if before[one] != after[one]} == {"dependencies"}


def test_an_option_that_the_step_does_not_claim_is_no_input(project: FakeProject) -> None:
    assert not any(name.startswith("option:ignored") for name in named(project))


def test_the_option_without_which_a_step_has_nothing_to_do_is_an_input(project: FakeProject) -> None:
    assert claimed(project, StepClaims(only_with_option="ignored"))["option:ignored"] == "1"


def test_a_container_is_an_input_by_its_image_and_its_settings(project: FakeProject) -> None:
    key = ContainerKey("auto", image="builder:1", platform="linux/arm64", rest="settings")
    assert claimed(project, container=key)["container"] == "auto builder:1 linux/arm64 settings"


def tool(project: FakeProject, version: str) -> str:
    path = project.write("bin/maker", f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return str(path)


def test_a_tool_is_an_input_by_the_version_that_it_prints(project: FakeProject) -> None:
    name = tool(project, "maker-1.2")
    assert claimed(project, StepClaims(tools=(name,)))[f"tool:{name}"] == "maker-1.2"


def test_a_tool_that_was_replaced_is_asked_again(project: FakeProject) -> None:
    claims = StepClaims(tools=(tool(project, "maker-1.2"),))
    before = claimed(project, claims)
    tool(project, "maker-1.30")
    assert before != claimed(project, claims)


def test_a_tool_that_is_missing_is_an_input_too(project: FakeProject) -> None:
    assert claimed(project, StepClaims(tools=("/no/such/maker",)))["tool:/no/such/maker"] == "missing"


def test_in_a_container_the_tools_of_the_host_count_alone(project: FakeProject) -> None:
    claims = StepClaims(tools=("/no/such/maker", "/no/such/host"), host_tools=("/no/such/host",))
    found = claimed(project, claims, ContainerKey("true", image="builder:1"))
    assert [name for name in found if name.startswith("tool:")] == ["tool:/no/such/host"]


def test_a_layer_depends_on_what_each_of_its_runtimes_needs(project: FakeProject) -> None:
    layer = replace(project.run.index.builds["Orders"], other_resolutions=("deps-3.13",))
    project.kept["resolve:deps-3.13"] = {"output": "newer"}
    found = inputs.dependencies(project.run, layer)
    assert found == {"dependencies": "resolved", "dependencies (deps-3.13)": "newer"}


def test_a_folder_that_a_run_read_counts_without_what_we_build_in_it(project: FakeProject) -> None:
    before = inputs.reads(project.run, ["{project}"])
    project.write("build/Orders.zip", "ours")
    assert inputs.reads(project.run, ["{project}"]) == before
    project.write("new.txt")
    assert inputs.reads(project.run, ["{project}"]) != before


# changes: what is different, in words


def between(project: FakeProject, before: Mapping[str, str], now: Mapping[str, str], **receipt: Any) -> list[str]:
    return list(changes.between(project.run, "make", "Orders", Receipt(before, "out", **receipt), now))


ABSENT = fingerprint.ABSENT


@pytest.mark.parametrize(
    ("key", "old", "new", "words"),
    [
        ("file:a.txt", "1", "2", "the file a.txt changed"),
        ("file:a.txt", ABSENT, "2", "the file a.txt is new"),
        ("file:a.txt", None, "2", "the file a.txt is new"),
        ("file:a.txt", "1", ABSENT, "the file a.txt is gone"),
        ("file:a.txt", "1", None, "the file a.txt is gone"),
        ("read:{project}/base.txt", "1", "2", "the file base.txt changed"),
        ("step:resolve:deps", "1", "2", "the result of resolve:deps changed"),
        ("step:package:p", None, "2", "package:p is new"),
        ("dependencies", "1", "2", "the packages it depends on changed"),
        ("dependencies (b)", "1", "2", "the packages it depends on changed"),
        ("rule:fake", "1", "2", "the code of rule fake changed"),
        ("rule:fake", None, "2", "the rule is now fake"),
        ("rule:fake", "1", None, "it is no longer rule fake"),
        ("tool:go version", "1.22", "1.23", "the tool go version is now 1.23 (was 1.22)"),
        ("image:builder:1", "1", "2", "the image builder:1 changed"),
        ("dockerfile:Dockerfile", "1", "2", "the Dockerfile Dockerfile changed"),
        ("environment:REGION", "1", "2", "the variable REGION changed"),
        ("option:flags", "1", "2", "the option flags is now 2 (was 1)"),
        ("folder:Gone", "1", None, "folder:Gone is now None (was 1)"),
        ("zip format", "1", "2", "zip format is now 2 (was 1)"),
    ],
)
def test_each_kind_of_input_is_named_in_words(
    project: FakeProject, key: str, old: str | None, new: str | None, words: str
) -> None:
    before, now = ({key: value} if value is not None else {} for value in (old, new))
    assert between(project, before, now) == [words]


def test_inputs_that_are_equal_are_not_named(project: FakeProject) -> None:
    assert between(project, {"file:a": "1", "file:b": "1"}, {"file:a": "1", "file:b": "2"}) == ["the file b changed"]


def test_a_file_that_only_the_run_revealed_is_compared_too(project: FakeProject) -> None:
    found = between(project, {}, {"read:{project}/b": "2"}, reads={"read:{project}/b": "1"})
    assert found == ["the file b changed"]


def test_a_change_that_nothing_explains_is_a_change_all_the_same(project: FakeProject) -> None:
    assert between(project, {"file:a": "1"}, {"file:a": "1"}) == [changes.CHANGED]


def test_of_a_folder_the_files_are_named(project: FakeProject) -> None:
    project.write("Orders/new.py")
    old = {
        "source.txt": "another digest",
        "deps.txt": fingerprint.of_file(str(project.folder / "Orders/deps.txt"), project.run.stats),
        "old.py": "1",
    }
    found = between(project, {"folder:Orders": "1"}, {"folder:Orders": "2"}, folders={"Orders": old})
    assert found == [
        "the file Orders/new.py is new; the file Orders/old.py is gone; the file Orders/source.txt changed"
    ]


# intact: what a step made is what it made


def test_parts_are_intact_while_all_are_there(project: FakeProject) -> None:
    are_there = intact.parts_of("make")
    project.write("build/a")
    assert are_there(project.run, "Orders", {"parts": ["{build}/a"]})
    assert not are_there(project.run, "Orders", {"parts": ["{build}/a", "{build}/b"]})


def test_of_parts_that_are_away_the_receipt_must_be_there(project: FakeProject) -> None:
    are_there, values = intact.parts_of("make"), {"away": True, "parts": ["{build}/a"]}
    assert not are_there(project.run, "Orders", values)
    project.perform("make", "Orders")
    assert are_there(project.run, "Orders", values)


def published(project: FakeProject, text: str) -> str:
    path = project.write("build/published", text)
    name = f"{fingerprint.of_file(str(path), project.run.stats)}.zip"
    os.rename(path, path.with_name(name))
    return f"{{build}}/{name}"


def test_an_object_is_intact_while_it_has_the_bytes_that_its_key_promises(project: FakeProject) -> None:
    location = published(project, "bytes")
    assert intact.is_published(project.run, location)
    project.write(project.run.project.expand(location), "other bytes")
    assert not intact.is_published(project.run, location)


def test_an_object_whose_key_promises_nothing_is_intact_while_it_is_there(project: FakeProject) -> None:
    project.write("build/1.0/source.zip")
    assert intact.is_published(project.run, "{build}/1.0/source.zip")
    assert not intact.is_published(project.run, "{build}/2.0/source.zip")


def test_an_object_without_a_place_is_not_intact(project: FakeProject) -> None:
    assert not intact.is_published(project.run, "")


def test_of_an_object_in_s3_nobody_is_asked_before_a_template_is_written(project: FakeProject) -> None:
    assert intact.is_published(project.run, "s3://bucket/key")


def test_a_tree_without_a_record_is_not_intact(project: FakeProject) -> None:
    assert not intact.is_tree_intact(project.run, "Orders")


def test_what_was_looked_for_is_watched_though_it_is_not_there(project: FakeProject) -> None:
    with project.run.stats.watched() as seen:
        intact.is_there(project.run, "/no/such/file")
    assert seen.folders() == [["/no/such", "file"]]
