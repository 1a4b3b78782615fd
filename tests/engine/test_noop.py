"""``noop``: what a run writes down so that the next can say "nothing to do", and all that keeps it from saying so."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_project import FakeProject, fake_project, fake_rule

from lambdabuild.config.settings import CacheSettings, Settings
from lambdabuild.core.model import Broken, Definition, DockerBuild, Function, Image, Layer, Read, Service
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Span, from_data
from lambdabuild.engine.base import snapshot
from lambdabuild.engine.base.plan_index import index
from lambdabuild.engine.base.project import journal_file
from lambdabuild.engine.base.snapshot import PLAN, PROJECT, Snapshot
from lambdabuild.engine.freshness.reasons import Freshness
from lambdabuild.engine.noop import plan_cache, snapshot_writer
from lambdabuild.plan.types import (
    Build,
    BuildKey,
    BuildPlan,
    ImageBuild,
    ImageKey,
    Pinned,
    Rule,
    Sizes,
    StepClaims,
)

HERE = Span("template.yaml")
ENVIRONMENT = {"PATH": "/no/such/folder", "REGION": "eu", "HOME": "/home/me", "UNKNOWN": "1"}


def function(name: str) -> Function:
    return Function(name, "python3.12", "x86_64", "main.handler", name, HERE)


def shown(project: FakeProject) -> dict[str, Any]:
    """What a run shows though it does nothing."""
    config = {
        "backend": "lambdabuild", "reporter": "lambdabuild", "par_type": "thread", "verbosity": 0,
        "dep_file": journal_file(project.run.project), "default_tasks": ["build"], "num_process": 2, "continue": False,
    }  # fmt: skip
    return {"quiet": False, "format": "text", "groups": ["build"], "titles": {}, "notes": [], "config": config}


@pytest.fixture
def project(tmp_path: Path) -> FakeProject:
    claims = StepClaims(environment=("REGION",), tools=("maker",))
    rule = fake_rule(tmp_path / "rules/fake", runtimes=("python*",), manifests=("deps.txt",), compile=claims)
    made = fake_project(tmp_path / "project", rules=(rule,), environment=ENVIRONMENT)
    service = Service((), (function("Orders"), function("Refunds")), (), read=Read(("template.yaml",), ("STAGE",)))
    made.write("template.yaml", "a template\n")
    made.run = replace(made.run, project=replace(made.run.project, service=service))
    return opened(made)


def opened(project: FakeProject, **more: Any) -> FakeProject:
    """The project as another run opens it, which looks at files a second after they were written."""
    later = replace(project.run.opened_with, opened_ns=time.time_ns() + 1_000_000_000, **more)
    run = replace(project.run, opened_with=later, rule_digests={}, progress=type(project.run.progress)())
    return FakeProject(project.folder, run, project.kept, project.ran)


def look(project: FakeProject, *names: str) -> None:
    """Ask of all steps whether they are up to date, as doit does, and run those that are not."""
    for name in names or ("Orders", "Refunds"):
        for kind in ("make", "pack"):
            if not Freshness(project.run, kind, name)(None, project.run.saved(f"{kind}:{name}")):
                project.perform(kind, name)


def written(project: FakeProject, *names: str) -> Snapshot | None:
    """Run what is not up to date, look once more in another run, and read the snapshot that this leaves."""
    look(project, *names)
    return left_by(opened(project), *names)


def left_by(project: FakeProject, *names: str) -> Snapshot | None:
    """Look at all steps in this run, and read the snapshot that it leaves."""
    look(project, *names)
    snapshot_writer.renew(project.run, shown(project))
    return read(project)


def read(project: FakeProject, environment: Mapping[str, str] = ENVIRONMENT, **variables: str) -> Snapshot | None:
    return snapshot.read(project.run.project.build_dir, variables, environment)


def answers(project: FakeProject, *asked: str) -> bool:
    """Return whether the next run has nothing to do, and knows it."""
    found = read(project)
    return found is not None and found.answers(asked)


# a run after which nothing has changed


def test_a_run_after_which_nothing_changed_is_answered(project: FakeProject) -> None:
    written(project)
    assert answers(project)


def test_each_function_is_answered_by_its_name(project: FakeProject) -> None:
    written(project)
    assert answers(project, "build:Orders")
    assert answers(project, "build:Orders", "build:Refunds")


def test_a_name_that_is_not_known_is_not_answered(project: FakeProject) -> None:
    written(project)
    assert not answers(project, "build:Search")


def test_what_a_run_has_just_made_is_answered(project: FakeProject) -> None:
    left_by(project)
    assert len(project.ran) == 4
    assert answers(project)


def test_a_source_that_was_edited_after_its_step_ran_is_not_answered(project: FakeProject) -> None:
    look(project)
    project.write("Orders/source.txt", "edited while the run went on\n")
    left_by(project, "Refunds")
    assert not answers(project, "build:Orders")
    assert answers(project, "build:Refunds")


def test_what_was_edited_by_hand_after_it_was_made_is_not_answered(project: FakeProject) -> None:
    look(project)
    Path(project.run.project.out("make", "Orders")).unlink()
    left_by(project, "Refunds")
    assert not answers(project, "build:Orders")
    assert answers(project, "build:Refunds")


@pytest.mark.parametrize("values", [{}, {"inputs": "of an earlier run", "output": "made"}])
def test_a_step_whose_success_was_not_saved_is_not_answered(project: FakeProject, values: dict[str, str]) -> None:
    look(project)
    project.kept["make:Orders"] = values
    snapshot_writer.renew(project.run, shown(project))
    assert not answers(project, "build:Orders")
    assert answers(project, "build:Refunds")


def test_what_a_run_only_looked_at_is_answered(project: FakeProject) -> None:
    look(project)
    left_by(opened(project))
    assert len(project.ran) == 4, "nothing was run again"
    assert answers(project)


def test_a_snapshot_is_no_longer_current_when_somebody_else_has_built(project: FakeProject) -> None:
    found = written(project)
    assert found is not None
    assert found.answers([])
    assert found.is_current()

    Path(journal_file(project.run.project)).write_text("of another run\n")
    assert found.answers([]), "what was looked at is not looked at again"
    assert not found.is_current()


def test_only_what_is_asked_about_is_looked_at(project: FakeProject) -> None:
    found = written(project)
    assert found is not None
    project.write("Orders/source.txt", "edited\n")

    assert found.holds([snapshot.PLAN])
    assert not found.holds(["Orders"])
    assert not found.holds(["Search"])


def test_the_steps_of_what_is_asked_for_are_counted(project: FakeProject) -> None:
    found = written(project)
    assert found is not None
    assert (found.steps([]), found.steps(["build:Orders"])) == (4, 2)


def test_what_is_shown_is_read_back_as_it_was_written(project: FakeProject) -> None:
    found = written(project)
    assert found is not None and found.shown == shown(project)


# what makes it ask the long way


def edit(path: str) -> Callable[[FakeProject], object]:
    return lambda project: project.write(path, "edited\n")


def remove(path: str) -> Callable[[FakeProject], object]:
    return lambda project: (project.folder / path).unlink()


UNCLEAN: Mapping[str, Callable[[FakeProject], object]] = {
    "a source was edited": edit("Orders/source.txt"),
    "a source was removed": remove("Orders/source.txt"),
    "an output was removed": remove("build/Orders.packed"),
    "what a step made was removed": lambda project: Path(project.run.project.out("make", "Orders")).unlink(),
    "the template was edited": edit("template.yaml"),
    "settings were written": edit("lambdabuild.toml"),
    "settings were written into pyproject.toml": edit("pyproject.toml"),
    "an ignore file was written": edit(".lambdabuildignore"),
    "the rule's code was edited": edit("../rules/fake/rule.py"),
    "the rule's claims were edited": edit("../rules/fake/rule.toml"),
    "the rule has one more file": edit("../rules/fake/more.py"),
    "another rule was added": edit("../rules/other/rule.toml"),
    "a manifest was added": edit("Orders/deps.txt"),
    "a file was added that could be a manifest of no rule": edit("Orders/notes.txt"),
    "doit forgot a step": lambda project: project.write("build/.lambdabuild/journal", "make:Orders\t\tnull\n"),
}


@pytest.mark.parametrize("change", UNCLEAN.values(), ids=UNCLEAN)
def test_nothing_is_answered_when(project: FakeProject, change: Callable[[FakeProject], object]) -> None:
    written(project)
    change(project)
    assert not answers(project)


def test_a_file_outside_of_all_sources_does_not_matter(project: FakeProject) -> None:
    written(project)
    project.write("notes.txt")
    assert answers(project)


def test_a_function_is_answered_though_another_has_changed(project: FakeProject) -> None:
    written(project)
    project.write("Orders/source.txt", "edited\n")
    assert answers(project, "build:Refunds")
    assert not answers(project, "build:Orders")


def test_a_step_that_must_ask_others_is_never_answered(project: FakeProject) -> None:
    asking = project.with_kind("pack", asks_always=lambda run, name: "it asks" if name == "Orders" else "")
    written(asking)
    assert not answers(asking, "build:Orders")
    assert answers(asking, "build:Refunds")


def test_what_was_not_looked_at_is_not_answered(project: FakeProject) -> None:
    written(project, "Orders")
    assert answers(project, "build:Orders")
    assert not answers(project, "build:Refunds")


def test_a_file_that_was_touched_since_the_run_began_is_not_trusted(project: FakeProject) -> None:
    early = FakeProject(
        project.folder,
        replace(project.run, opened_with=replace(project.run.opened_with, opened_ns=1)),
        project.kept,
        project.ran,
    )
    assert left_by(early) is None


def test_a_function_whose_layer_has_changed_is_not_answered(project: FakeProject) -> None:
    sizes = (Sizes("Orders", "Orders", ("Refunds",)),)
    layered = project.with_plan(replace(project.run.index.plan, sizes=sizes))
    written(layered)
    layered.write("Refunds/source.txt", "edited\n")
    assert not answers(layered, "build:Orders")


# runs that leave no snapshot


def with_settings(project: FakeProject, settings: Settings) -> FakeProject:
    run = replace(project.run, project=replace(project.run.project, settings=settings))
    return FakeProject(project.folder, run, project.kept, project.ran)


def test_who_trusts_no_stat_gets_no_snapshot(project: FakeProject) -> None:
    assert written(with_settings(project, Settings(cache=CacheSettings(enabled=False), paranoid=True))) is None


def test_a_plan_with_a_mistake_leaves_no_snapshot(project: FakeProject) -> None:
    broken = (Broken("Search", "function", ()),)
    assert written(project.with_plan(replace(project.run.index.plan, broken=broken))) is None


def test_a_description_that_can_be_different_the_next_time_leaves_no_snapshot(project: FakeProject) -> None:
    service = replace(project.run.project.service, read=Read(is_repeatable=False))
    run = replace(project.run, project=replace(project.run.project, service=service))
    assert written(FakeProject(project.folder, run, project.kept, project.ran)) is None


def test_a_run_that_looked_at_nothing_leaves_no_snapshot(project: FakeProject) -> None:
    snapshot_writer.renew(project.run, shown(project))
    assert read(project) is None


# for whom a snapshot was made


def test_other_settings_of_the_command_line_are_not_answered(project: FakeProject) -> None:
    written(project)
    assert read(project, stage="prod") is None


@pytest.mark.parametrize("name", ["format", "quiet"])
def test_settings_of_how_a_run_is_shown_do_not_matter(project: FakeProject, name: str) -> None:
    written(project)
    assert read(project, **{name: "json"}) is not None


@pytest.mark.parametrize("name", ["REGION", "STAGE", "HOME", "LAMBDABUILD_STORE"])
def test_a_variable_that_counts_is_another(project: FakeProject, name: str) -> None:
    written(project)
    assert read(project, {**ENVIRONMENT, name: "another"}) is None


def test_a_variable_that_nobody_asks_for_does_not_matter(project: FakeProject) -> None:
    written(project)
    assert read(project, {**ENVIRONMENT, "UNKNOWN": "2"}) is not None


def test_a_tool_that_was_installed_in_front_of_another_is_seen(project: FakeProject) -> None:
    written(project)
    project.write("bin/maker", "#!/bin/sh\n").chmod(0o755)
    assert read(project, {**ENVIRONMENT, "PATH": str(project.folder / "bin")}) is None


def test_no_value_of_a_variable_is_written_down(project: FakeProject) -> None:
    secret = opened(project, environment={**ENVIRONMENT, "REGION": "hunter2-hunter2"})
    look(secret)
    snapshot_writer.renew(secret.run, shown(secret))
    assert b"hunter2" not in Path(secret.run.project.state_dir, snapshot.FILE).read_bytes()


def test_a_project_that_was_moved_is_not_answered(project: FakeProject) -> None:
    written(project)
    moved = project.folder.rename(project.folder.with_name("moved"))
    assert snapshot.read(str(moved / "build"), {}, ENVIRONMENT) is None


@pytest.mark.parametrize("keep", [0, 10, -1])
def test_a_snapshot_that_is_torn_is_none(project: FakeProject, keep: int) -> None:
    written(project)
    file = Path(project.run.project.state_dir, snapshot.FILE)
    file.write_bytes(file.read_bytes()[:keep])
    assert read(project) is None


@pytest.mark.parametrize(
    "change",
    [
        {"format": 1}, {"quiet": "no"}, {"notes": [1]}, {"groups": "build"}, {"left_out": [{"names": "x"}]},
        {"config": {}},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_snapshot_of_another_shape_is_none(project: FakeProject, change: dict[str, Any]) -> None:
    look(project)
    snapshot_writer.renew(project.run, {**shown(project), **change})
    assert read(project) is None


def test_a_snapshot_cannot_name_another_journal_or_code_for_doit_to_load(project: FakeProject) -> None:
    look(project)
    config = {**shown(project)["config"], "dep_file": "/tmp/journal"}
    snapshot_writer.renew(project.run, {**shown(project), "config": config})
    assert read(project) is None


# units that the plan says the same of


def test_what_is_clean_is_settled_though_the_plan_may_have_changed(project: FakeProject) -> None:
    found = written(project)
    project.write("Orders/deps.txt", "a manifest\n")
    assert found is not None and PLAN not in found.clean()
    assert snapshot_writer.settled(project.run, found) == {"Orders", "Refunds"}


def test_a_unit_of_which_the_plan_says_something_else_is_not_settled(project: FakeProject) -> None:
    found = written(project)
    project.write("Orders/deps.txt", "a manifest\n")
    plan = project.run.index.plan
    orders = replace(plan.builds[0], key=replace(plan.builds[0].key, manifest="Orders/deps.txt"))
    planned = project.with_plan(replace(plan, builds=(orders, plan.builds[1])))
    assert found is not None and snapshot_writer.settled(planned.run, found) == {"Refunds"}


def test_nothing_is_settled_when_the_project_itself_has_changed(project: FakeProject) -> None:
    found = written(project)
    project.write("template.yaml", "another template\n")
    assert found is not None and PROJECT not in found.clean()
    assert snapshot_writer.settled(project.run, found) == frozenset()


# who owns what


def test_functions_layers_and_images_own_what_they_ask_for(project: FakeProject) -> None:
    layer = Build("L", BuildKey("fake", "layer", "", "", "L"), ("L",))
    shared = Build("F", BuildKey("fake", "function", "", "", "F"), ("F", "G"))
    image = ImageBuild("I", ImageKey("recipe", "I"), ("I",))
    plan = BuildPlan((), (shared, layer), images=(image,), pinned=(Pinned("P", "source", "1.0"),))
    assert dict(snapshot_writer.owners(project.with_plan(plan).run.index)) == {
        "build:F": "F", "build:G": "F", "layer:L": "L", "build:I": "I", "build:P": "P",
    }  # fmt: skip


def test_what_cannot_be_built_here_is_nobodys(project: FakeProject) -> None:
    key = BuildKey("fake", "function", "", "", "F")
    plan = BuildPlan((), (Build("F", key, ("F",), compiles=True),))
    run = project.run
    planned = index(run.project.service, plan, run.index.rules, run.index.kinds, may_skip=True)
    assert planned.unbuildable == {"F": "maker"}
    assert dict(snapshot_writer.owners(planned)) == {}


# the plan of the last run


Kept = tuple[Service, BuildPlan, Mapping[str, Rule]]


def kept(project: FakeProject) -> Kept:
    return project.run.project.service, project.run.index.plan, dict(project.run.index.rules)


def test_service_plan_and_rules_are_read_back_as_they_were(project: FakeProject) -> None:
    place = project.run.project.build_dir
    assert plan_cache.read(place, plan_cache.write(place, kept(project))) == kept(project)


def test_layers_and_images_are_read_back_as_they_were(project: FakeProject, tmp_path: Path) -> None:
    service = Service(
        (), (), (Layer("L", "arm64", "L", HERE),), (Image("I", DockerBuild("I", "Dockerfile", ""), HERE),)
    )
    given = service, BuildPlan((), (), images=(ImageBuild("I", ImageKey("recipe", "I"), ("I",)),)), {}
    assert plan_cache.read(str(tmp_path), plan_cache.write(str(tmp_path), given)) == given


def test_a_plan_of_another_digest_is_not_read(project: FakeProject) -> None:
    place = project.run.project.build_dir
    plan_cache.write(place, kept(project))
    assert plan_cache.read(place, "0" * 32) is None


def test_without_a_digest_no_plan_is_read(project: FakeProject) -> None:
    place = project.run.project.build_dir
    plan_cache.write(place, kept(project))
    assert plan_cache.read(place, "") is None


def test_a_plan_that_is_torn_is_none(project: FakeProject) -> None:
    place = project.run.project.build_dir
    digest = plan_cache.write(place, kept(project))
    file = Path(project.run.project.state_dir, plan_cache.FILE)
    file.write_bytes(file.read_bytes()[:-5])
    assert plan_cache.read(place, digest) is None


def test_of_a_serverless_yml_whose_values_may_be_secrets_nothing_is_kept(project: FakeProject) -> None:
    service, plan, rules = kept(project)
    root = from_data({"service": "shop"}, HERE)
    definition = Definition("serverless.yml", root, "dev", "eu-west-1", {})
    assert plan_cache.write(project.run.project.build_dir, (replace(service, definition=definition), plan, rules)) == ""


def test_of_an_image_whose_arguments_may_be_secrets_nothing_is_kept(project: FakeProject) -> None:
    _, plan, rules = kept(project)
    image = Image("I", DockerBuild("I", "Dockerfile", "", (("TOKEN", "x"),)), HERE)
    assert plan_cache.write(project.run.project.build_dir, (Service((), (), (), (image,)), plan, rules)) == ""
