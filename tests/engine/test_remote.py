"""``remote``: which steps may run on other machines, and what is asked of the workers there."""

from __future__ import annotations

import json
import sysconfig
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fake_project import FakeProject, fake_project, fake_rule

from lambdabuild.cache.reapi.executor import Command, Ran
from lambdabuild.config.settings import CacheSettings, ExecutorSettings, Settings
from lambdabuild.config.tables import Command as OwnCommand
from lambdabuild.core import tools
from lambdabuild.core.errors import NoExecutor
from lambdabuild.core.records import replace
from lambdabuild.engine.base.receipts import StepOutput
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.remote import eligibility, workers
from lambdabuild.engine.remote.eligibility import may_go, remote
from lambdabuild.engine.remote.workers import FallBackToLocal
from lambdabuild.plan.types import Build, BuildKey, BuildPlan, ContainerKey, StepClaims

CLAIMS = StepClaims(remote=True, tools=("maker",), environment=("REGION",))


def project(
    folder: Path,
    *,
    claims: StepClaims | None = CLAIMS,
    environment: Mapping[str, str] | None = None,
    offline: bool = False,
    executor: ExecutorSettings | None = None,
    **key: Any,
) -> FakeProject:
    """A project with one function whose compile step may run elsewhere, unless something below forbids it."""
    settings = Settings(
        cache=CacheSettings(enabled=False),
        executor=executor or ExecutorSettings(address="grpc://engine.test:1", steps=("compile", "zip")),
        offline=offline,
    )
    rule = fake_rule(folder / "rule", compile=claims)
    made = fake_project(folder / "project", settings=settings, environment=environment, rules=(rule,))
    kinds = dict(made.run.index.kinds)
    kinds["compile"] = replace(kinds["make"], can_be_remote=eligibility.may_be_compiled)
    kinds["zip"] = replace(kinds["make"], can_be_remote=lambda run, name: True)
    made.run = replace(made.run, index=replace(made.run.index, kinds=kinds))
    whole = BuildKey(
        **{"rule": "fake", "kind": "function", "runtime": "", "architecture": "", "source": "Orders", **key}
    )
    return made.with_plan(BuildPlan((), (Build("Orders", whole, ("Orders",)),)))


def goes_away(made: FakeProject, kind: str = "compile") -> bool:
    return may_go(made.run, kind, "Orders")


# which steps may go


def test_a_step_that_needs_nothing_of_this_machine_may_go(tmp_path: Path) -> None:
    assert goes_away(project(tmp_path))


def test_nothing_goes_without_an_engine(tmp_path: Path) -> None:
    assert not goes_away(project(tmp_path, executor=ExecutorSettings()))


def test_nothing_goes_offline(tmp_path: Path) -> None:
    assert not goes_away(project(tmp_path, offline=True))


def test_nothing_goes_to_an_engine_that_is_lost(tmp_path: Path) -> None:
    made = project(tmp_path)
    remote(made.run).is_lost = True
    assert not goes_away(made)


def test_a_kind_that_the_settings_do_not_name_stays(tmp_path: Path) -> None:
    assert not goes_away(project(tmp_path, executor=ExecutorSettings(address="grpc://engine.test:1", steps=("zip",))))


def test_a_kind_that_no_engine_can_run_stays(tmp_path: Path) -> None:
    executor = ExecutorSettings(address="grpc://engine.test:1", steps=("make",))
    assert not goes_away(project(tmp_path, executor=executor), "make")


@pytest.mark.parametrize(("only", "expected"), [((), True), (("fake",), True), (("another",), False)])
def test_only_the_rules_that_the_settings_name_go(tmp_path: Path, only: tuple[str, ...], expected: bool) -> None:
    executor = ExecutorSettings(address="grpc://engine.test:1", only=only)
    assert goes_away(project(tmp_path, executor=executor)) is expected


def test_a_step_that_the_engine_could_not_run_stays_and_others_go(tmp_path: Path) -> None:
    made = project(tmp_path)
    remote(made.run).stay.add("compile:Orders")
    assert not goes_away(made)
    assert goes_away(made, "zip")


def test_a_rule_that_does_not_say_that_it_can_stays(tmp_path: Path) -> None:
    assert not goes_away(project(tmp_path, claims=replace(CLAIMS, remote=False)))


def test_a_rule_that_compiles_nothing_stays(tmp_path: Path) -> None:
    assert not goes_away(project(tmp_path, claims=None))


def test_a_step_in_a_container_stays(tmp_path: Path) -> None:
    assert not goes_away(project(tmp_path, container=ContainerKey("auto", image="builder:1")))


def test_a_command_of_the_users_stays(tmp_path: Path) -> None:
    assert not goes_away(project(tmp_path, command=OwnCommand(run="make it")))


@pytest.mark.parametrize("place", ["source", "manifest"])
def test_a_step_that_reads_outside_of_the_checkout_stays(tmp_path: Path, place: str) -> None:
    assert not goes_away(project(tmp_path, **{place: "../elsewhere/Orders"}))


def test_a_step_that_reads_another_folder_of_the_checkout_goes(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert goes_away(project(tmp_path, source="../elsewhere/Orders"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NPM_TOKEN", "x"), ("MY_SECRET", "x"), ("PASSWORD", "x"), ("AWS_ACCESS_KEY_ID", "x"), ("pip_auth", "x"),
        ("INDEX", "https://me:word@packages.test/simple"), ("NOTE", "the token"),
    ],
)  # fmt: skip
def test_a_step_that_is_given_a_secret_stays(tmp_path: Path, name: str, value: str) -> None:
    claims = replace(CLAIMS, environment=(name,))
    assert not goes_away(project(tmp_path, claims=claims, environment={name: value}))


def test_a_secret_that_the_options_let_through_keeps_the_step_here(tmp_path: Path) -> None:
    options = (("environment", '["NPM_TOKEN"]'),)
    assert not goes_away(project(tmp_path, options=options, environment={"NPM_TOKEN": "x"}))


def test_a_secret_that_the_step_is_not_given_does_not_keep_it_here(tmp_path: Path) -> None:
    assert goes_away(project(tmp_path, environment={"NPM_TOKEN": "x", "REGION": "eu"}))


def test_a_secret_that_is_not_set_does_not_keep_a_step_here(tmp_path: Path) -> None:
    assert goes_away(project(tmp_path, claims=replace(CLAIMS, environment=("NPM_TOKEN",))))


def test_an_address_without_a_password_is_no_secret(tmp_path: Path) -> None:
    assert goes_away(project(tmp_path, environment={"REGION": "https://packages.test/simple"}))


# what the workers have


@dataclass
class FakeEngine:
    """An engine whose workers answer, or fail, and that counts its questions."""

    answer: Mapping[str, Any]
    error: Exception | None = None
    asked: list[Command] = field(default_factory=list)

    def run(self, command: Command, inputs: object, is_broken: Callable[[Ran], bool]) -> Ran:
        self.asked.append(command)
        if self.error is not None:
            raise self.error
        ran = Ran(0, json.dumps(self.answer).encode(), b"", {})
        assert not is_broken(ran)
        return ran


def with_engine(made: FakeProject, error: Exception | None = None, **answer: Any) -> FakeEngine:
    """Have the run connected to an engine."""
    engine = FakeEngine({"tools": {"maker": "maker 3"}, "machine": "the worker's", "python": "py", **answer}, error)
    remote(made.run).executor.get(lambda: engine)
    return engine


def test_the_workers_are_asked_once_a_run_whatever_the_number_of_steps(tmp_path: Path) -> None:
    made = project(tmp_path)
    engine = with_engine(made)
    for _ in range(3):
        workers.look(made.run, "compile", "Orders")
        assert workers.goes(made.run, "compile", "Orders")
    assert len(engine.asked) == 1


def test_the_workers_are_asked_again_in_the_next_run(tmp_path: Path) -> None:
    made = project(tmp_path)
    with_engine(made)
    workers.look(made.run, "compile", "Orders")
    later = FakeProject(made.folder, replace(made.run, remote=type(made.run.remote)()), made.kept, made.ran)
    engine = with_engine(later, tools={"maker": "maker 4"})
    workers.look(later.run, "compile", "Orders")
    assert len(engine.asked) == 1
    assert workers.tool_version(later.run, ("maker",), "maker") == "maker 4"


def test_a_step_that_stays_asks_nobody(tmp_path: Path) -> None:
    made = project(tmp_path, offline=True)
    engine = with_engine(made)
    workers.look(made.run, "compile", "Orders")
    assert engine.asked == []


def test_the_tools_that_count_are_the_workers(tmp_path: Path) -> None:
    made = project(tmp_path)
    with_engine(made)
    assert workers.tool_version(made.run, ("maker",), "maker") == "maker 3"


def test_a_step_whose_tool_the_workers_miss_stays(tmp_path: Path) -> None:
    made = project(tmp_path)
    with_engine(made, tools={"maker": "missing"})
    assert not workers.goes(made.run, "compile", "Orders")


@pytest.mark.parametrize(("python", "expected"), [(sysconfig.get_config_var("SOABI"), True), ("another", False)])
def test_zips_are_made_there_by_the_same_kind_of_python_alone(tmp_path: Path, python: str, expected: bool) -> None:
    made = project(tmp_path)
    with_engine(made, python=python)
    assert workers.goes(made.run, "zip", "Orders") is expected


def test_the_machine_of_a_step_is_that_which_runs_it(tmp_path: Path) -> None:
    made = project(tmp_path)
    with_engine(made)
    assert workers.machine(made.run, "compile", "Orders") == "the worker's"
    assert workers.machine(made.run, "pack", "Orders") == tools.machine()


def test_an_engine_that_does_not_answer_is_lost_with_one_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = project(tmp_path)
    with_engine(made, NoExecutor("no engine at engine.test"))
    for _ in range(2):
        workers.look(made.run, "compile", "Orders")
        assert not workers.goes(made.run, "compile", "Orders")
    assert remote(made.run).is_lost
    assert capsys.readouterr().err.count("no engine at engine.test") == 1


def test_two_steps_that_find_the_engine_lost_warn_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = project(tmp_path)
    for _ in range(2):
        eligibility.lose(made.run, NoExecutor("no engine at engine.test"))
    assert capsys.readouterr().err.count("no engine at engine.test") == 1


def test_a_worker_is_given_the_variables_of_the_step_and_no_other(tmp_path: Path) -> None:
    made = project(tmp_path, environment={"REGION": "eu", "OTHER": "x"})
    given = workers.environment(made.run, CLAIMS, made.run.index.builds["Orders"])
    assert given["REGION"] == "eu"
    assert "OTHER" not in given


def test_a_worker_has_its_own_path_unless_the_settings_name_another(tmp_path: Path) -> None:
    executor = ExecutorSettings(address="grpc://engine.test:1", environment={"PATH": "/opt/bin"})
    assert workers.usual_environment(project(tmp_path / "a").run.project)["PATH"] == workers.USUAL_PATH
    assert workers.usual_environment(project(tmp_path / "b", executor=executor).run.project)["PATH"] == "/opt/bin"


# whose turn it is on this machine


def test_without_an_engine_no_step_waits_for_its_turn(tmp_path: Path) -> None:
    made = project(tmp_path, executor=ExecutorSettings())
    assert isinstance(workers.turn(made.run, "make", "Orders"), nullcontext)


def test_a_step_on_the_engine_takes_no_turn_of_this_machine(tmp_path: Path) -> None:
    made = project(tmp_path)
    with_engine(made)
    assert isinstance(workers.turn(made.run, "compile", "Orders"), nullcontext)


def test_steps_of_this_machine_share_its_turns(tmp_path: Path) -> None:
    made = project(tmp_path)
    turn = workers.turn(made.run, "make", "Orders")
    assert not isinstance(turn, nullcontext)
    assert workers.turn(made.run, "make", "Refunds") is turn


def test_a_step_that_the_engine_could_not_run_is_run_here(tmp_path: Path) -> None:
    made = project(tmp_path)

    def run(run: Run, name: str) -> StepOutput:
        made.ran.append(f"make:{name}")
        if len(made.ran) == 1:
            raise FallBackToLocal
        return StepOutput("made here")

    assert made.with_kind("make", run=run).perform("make", "Orders")["output"] == "made here"
    assert made.ran == ["make:Orders", "make:Orders"]


# answers


@pytest.mark.parametrize(
    ("ran", "expected"),
    [
        (Ran(0, b"{}", b"", {}, False), False),
        (Ran(1, b'{"error": 1}', b"", {}, False), False),
        (Ran(127, b"{}", b"", {}, False), True),
        (Ran(0, b"python3: not found", b"", {}, False), True),
        (Ran(1, b"{}", b"", {}, True), True),
        (Ran(0, b"{}", b"", {}, True), False),
    ],
    ids=["answer", "mistake", "no Python", "no JSON", "a failure that was kept", "an answer that was kept"],
)
def test_an_action_without_an_answer_is_broken(ran: Ran, expected: bool) -> None:
    assert workers.is_broken(ran) is expected
