"""A project of two builds with kinds of steps of its own: ``make`` writes a file, ``pack`` copies what was made.

The engine's floors are tested on it: no rule, no package manager, no process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lambdabuild.config.settings import CacheSettings, Settings
from lambdabuild.core.errors import BadSource
from lambdabuild.core.model import Service
from lambdabuild.core.records import replace
from lambdabuild.engine.base.outputs import Output
from lambdabuild.engine.base.receipts import Done
from lambdabuild.engine.base.site import Site
from lambdabuild.engine.base.step_kind import StepKind
from lambdabuild.engine.steps import actions
from lambdabuild.files import fingerprint
from lambdabuild.files.stat_cache import StatCache
from lambdabuild.plan.steps import Step, task_name
from lambdabuild.plan.types import Build, BuildKey, BuildPlan


@dataclass
class Project:
    """The project, what doit would keep of its steps, and which steps ran."""

    folder: Path
    site: Site
    kept: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)

    def saved(self, task: str) -> Mapping[str, Any]:
        return self.kept.get(task, {})

    def perform(self, kind: str, name: str) -> Any:
        """Run a step as doit does, and keep its values if it succeeds."""
        values = actions.perform(self.site, kind, name)
        if isinstance(values, dict):
            self.kept[task_name(kind, name)] = values
        return values

    def source(self, name: str) -> Path:
        return self.folder / name / "source.txt"

    def packed(self, name: str) -> Path:
        return self.folder / "build" / f"{name}.packed"

    def with_kind(self, kind: str, **more: Any) -> Project:
        """Return the same project with other functions in one row."""
        kinds = dict(self.site.kinds)
        kinds[kind] = replace(kinds[kind], **more)
        return Project(self.folder, replace(self.site, kinds=kinds), self.kept, self.ran)


def fake_project(folder: Path, *, cache: bool = False, names: tuple[str, ...] = ("Orders", "Refunds")) -> Project:
    """Write the sources of the builds and return their project. Nothing has run yet."""
    builds = tuple(Build(name, BuildKey("fake", "function", "", "", name), (name,)) for name in names)
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "source.txt").write_text(f"source of {name}\n")
    site = Site(
        project=str(folder),
        build_dir=str(folder / "build"),
        cache_dir=str(folder / "home"),
        built_steps_dir=str(folder / "home/steps"),
        settings=Settings(cache=CacheSettings(enabled=cache)),
        service=Service((), (), ()),
        plan=BuildPlan((), builds),
        rules={},
        stats=StatCache(str(folder / "stats")),
    )
    project = Project(folder, site)
    project.site = replace(site, kinds=_kinds(project))
    return project


def _kinds(project: Project) -> dict[str, StepKind]:
    return {
        "make": StepKind(
            title="make {}",
            usual_ms=100,
            planned=lambda plan, left_out: (Step("make", build.name, (), build.name) for build in plan.builds),
            inputs=_source,
            run=_recorded(project, "make", _make),
            state=lambda site, name: [site.out("make", name)],
            is_intact=lambda site, name, values: Path(site.out("make", name)).exists(),
            has_bytes=True,
        ),
        "pack": StepKind(
            title="pack {}",
            usual_ms=10,
            planned=lambda plan, left_out: (
                Step("pack", build.name, (f"make:{build.name}",), build.name) for build in plan.builds
            ),
            inputs=lambda site, name, _: {f"step:make:{name}": str(project.saved(f"make:{name}").get("output", ""))},
            run=_recorded(project, "pack", _pack),
            outputs=_packed,
            is_intact=lambda site, name, values: any(Path(one.path).exists() for one in _packed(site, name)),
            bytes_of=lambda site, name: [("make", name)],
            restore=lambda site, name, entry: bool(_pack(site, name)),
        ),
    }


def _recorded(project: Project, kind: str, run: Callable[[Site, str], Done]) -> Callable[[Site, str], Done]:
    def recorded(site: Site, name: str) -> Done:
        project.ran.append(f"{kind}:{name}")
        return run(site, name)

    return recorded


def _source(site: Site, name: str, saved: object) -> dict[str, str]:
    path = f"{name}/source.txt"
    return {f"file:{path}": fingerprint.of_file(site.path(path), site.stats)}


def _make(site: Site, name: str) -> Done:
    text = Path(site.path(f"{name}/source.txt")).read_text()
    if "mistake" in text:
        raise BadSource(f"{name} has a mistake", help="correct it")
    made = Path(site.out("make", name))
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_text(text.upper())
    return Done(hashlib.sha256(text.upper().encode()).hexdigest(), result={"parts": []})


def _packed(site: Site, name: str) -> Iterator[Output]:
    yield Output(f"{site.build_dir}/{name}.packed")


def _pack(site: Site, name: str) -> Done:
    made = Path(site.out("make", name))
    text = made.read_text() if made.exists() else ""
    Path(site.build_dir, f"{name}.packed").write_text(text)
    return Done(hashlib.sha256(text.encode()).hexdigest())
