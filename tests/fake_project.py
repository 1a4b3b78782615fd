"""A project of two builds with kinds of steps of its own: ``make`` writes a file, ``pack`` copies what was made.

The engine's floors are tested on it: no rule, no package manager, no process.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lambdabuild.config.settings import CacheSettings, Settings
from lambdabuild.core.errors import BadSource
from lambdabuild.core.model import Service
from lambdabuild.core.records import replace
from lambdabuild.engine.base.outputs import Output
from lambdabuild.engine.base.plan_index import index
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.receipts import StepOutput
from lambdabuild.engine.base.run import OpenedWith, Run, new_run
from lambdabuild.engine.base.step_kind import StepKind
from lambdabuild.engine.freshness import intact
from lambdabuild.engine.steps import actions
from lambdabuild.files import fingerprint
from lambdabuild.files.stat_cache import StatCache
from lambdabuild.plan.steps import Step, task_name
from lambdabuild.plan.types import Build, BuildKey, BuildPlan, Rule


@dataclass
class FakeProject:
    """The project, what doit would keep of its steps, and which steps ran."""

    folder: Path
    run: Run
    kept: dict[str, Mapping[str, Any]]
    ran: list[str]

    def perform(self, kind: str, name: str) -> Any:
        """Run a step as doit does, and keep its values if it succeeds."""
        values = actions.perform(self.run, kind, name)
        if isinstance(values, dict):
            self.kept[task_name(kind, name)] = values
        return values

    def source(self, name: str) -> Path:
        return self.folder / name / "source.txt"

    def packed(self, name: str) -> Path:
        return self.folder / "build" / f"{name}.packed"

    def with_kind(self, kind: str, **more: Any) -> FakeProject:
        """Return the same project with other functions in one row."""
        kinds = dict(self.run.index.kinds)
        kinds[kind] = replace(kinds[kind], **more)
        changed = replace(self.run, index=replace(self.run.index, kinds=kinds))
        return FakeProject(self.folder, changed, self.kept, self.ran)

    def with_plan(self, plan: BuildPlan) -> FakeProject:
        """Return the same project with another plan."""
        planned = index(self.run.project.service, plan, self.run.index.rules, self.run.index.kinds, may_skip=False)
        return FakeProject(self.folder, replace(self.run, index=planned), self.kept, self.ran)

    def write(self, path: str, text: str = "") -> Path:
        """Write a file of the project."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


def fake_project(
    folder: Path,
    *,
    cache: bool = False,
    names: tuple[str, ...] = ("Orders", "Refunds"),
    settings: Settings | None = None,
    environment: Mapping[str, str] | None = None,
    rules: tuple[Rule, ...] = (),
) -> FakeProject:
    """Write the sources of the builds and return their project. Nothing has run yet."""
    builds = tuple(Build(name, BuildKey("fake", "function", "", "", name), (name,)) for name in names)
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "source.txt").write_text(f"source of {name}\n")
    project = Project(
        folder=str(folder),
        build_dir=str(folder / "build"),
        cache_dir=str(folder / "home"),
        built_steps_dir=str(folder / "home/steps"),
        settings=settings or Settings(cache=CacheSettings(enabled=cache)),
        service=Service((), (), ()),
    )
    kept: dict[str, Mapping[str, Any]] = {}
    ran: list[str] = []
    by_name = {rule.name: rule for rule in rules}
    planned = index(project.service, BuildPlan((), builds), by_name, _kinds(ran), may_skip=False)
    stats = StatCache(str(folder / "stats"))
    opened_with = OpenedWith(environment=environment or {})
    run = new_run(project, planned, stats, lambda task: kept.get(task, {}), opened_with)
    # As in a fork of doit's, where no threads work in the background: a result is in the cache when its step ends.
    return FakeProject(folder, replace(run, process=0), kept, ran)


def _kinds(ran: list[str]) -> dict[str, StepKind]:
    return {
        "make": StepKind(
            title="make {}",
            usual_ms=100,
            planned=lambda plan, left_out: (Step("make", build.name, (), build.name) for build in plan.builds),
            inputs=_source,
            run=_recorded(ran, "make", _make),
            state=lambda run, name: [run.project.out("make", name)],
            is_intact=lambda run, name, values: intact.is_there(run, run.project.out("make", name)),
            has_bytes=True,
        ),
        "pack": StepKind(
            title="pack {}",
            usual_ms=10,
            planned=lambda plan, left_out: (
                Step("pack", build.name, (f"make:{build.name}",), build.name) for build in plan.builds
            ),
            inputs=lambda run, name: {f"step:make:{name}": str(run.saved(f"make:{name}").get("output", ""))},
            run=_recorded(ran, "pack", _pack),
            outputs=_packed,
            is_intact=lambda run, name, values: all(intact.is_there(run, one.path) for one in _packed(run, name)),
            bytes_of=lambda run, name: [("make", name)],
            restore=lambda run, name, entry: bool(_pack(run, name)),
        ),
    }


def _recorded(ran: list[str], kind: str, step: Callable[[Run, str], StepOutput]) -> Callable[[Run, str], StepOutput]:
    def recorded(run: Run, name: str) -> StepOutput:
        ran.append(f"{kind}:{name}")
        return step(run, name)

    return recorded


def _source(run: Run, name: str) -> dict[str, str]:
    path = f"{name}/source.txt"
    return {f"file:{path}": fingerprint.of_file(run.project.path(path), run.stats)}


def _make(run: Run, name: str) -> StepOutput:
    text = Path(run.project.path(f"{name}/source.txt")).read_text()
    if "mistake" in text:
        raise BadSource(f"{name} has a mistake", help="correct it")
    made = Path(run.project.out("make", name))
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_text(text.upper())
    return StepOutput(hashlib.sha256(text.upper().encode()).hexdigest(), result={"parts": []})


def _packed(run: Run, name: str) -> Iterator[Output]:
    yield Output(f"{run.project.build_dir}/{name}.packed")


def _pack(run: Run, name: str) -> StepOutput:
    made = Path(run.project.out("make", name))
    text = made.read_text() if made.exists() else ""
    Path(run.project.build_dir, f"{name}.packed").write_text(text)
    return StepOutput(hashlib.sha256(text.encode()).hexdigest())


def fake_rule(folder: Path, **claims: Any) -> Rule:
    """Write a rule named ``fake`` of one file and return its claims."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rule.toml").write_text("")
    (folder / "rule.py").write_text("the rule\n")
    return Rule("fake", str(folder), language="fake", dependency_manager="fake", **claims)


def in_a_fork(act: Callable[[], object]) -> bool:
    """Return whether something is true in a process that was forked from this one, as doit forks with -P process."""
    process = os.fork()
    if not process:
        status = 2
        try:
            status = 0 if act() else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
