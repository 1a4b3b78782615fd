"""Find the files each build reads: a build asks ``engine.inputs`` the same, but here nothing is hashed.

Files that only a run reveals are known from the previous run, if its inputs have not changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.records import Struct
from lambdabuild.engine.base import receipts
from lambdabuild.engine.base.plan_index import PlanIndex
from lambdabuild.engine.base.run import Run, new_run
from lambdabuild.engine.base.step_kind import kind_of
from lambdabuild.engine.containers import context
from lambdabuild.engine.freshness import inputs
from lambdabuild.engine.freshness.versions import rule_digest
from lambdabuild.engine.noop import snapshot_writer
from lambdabuild.files.stat_cache import StatCache
from lambdabuild.files.watch import ITSELF, DependencyTrace
from lambdabuild.plan.steps import task_name
from lambdabuild.plan.types import Build, BuildKey, Resolution, ResolutionKey

NOT_ASKED = frozenset({"tool", "image", "dockerfile"})


class Reads(Struct, frozen=True):
    """Real paths. ``folders`` are those whose names are listed; ``files`` may not exist."""

    files: frozenset[str]
    folders: frozenset[str]
    unknown: str = ""
    """The step that may read more than this; "" when nothing does."""


class _Noting(StatCache):
    """Record the paths that are looked at. Answers nothing, so that no file is read and no tool started."""

    def digest(self, path: str, stat: os.stat_result | None = None) -> str:
        self.record(path)
        if stat is None:
            os.stat(path)
        return ""

    def folder(self, *_: Any) -> str:
        return ""

    def metadata(self, *_: Any) -> str:
        return ""


class _WithoutTools(StatCache):
    """A stat cache that knows digests, but asks no tool for its version."""

    def metadata(self, *_: Any) -> str:
        return ""


class Reader:
    """Answers for one run."""

    def __init__(self, run: Run) -> None:
        self._noting = _Noting(os.devnull)
        self._run = new_run(run.project, run.index, self._noting, run.saved, run.opened_with)
        known = _WithoutTools(os.path.join(run.project.state_dir, "stats"))
        self._toolless = new_run(run.project, run.index, known, run.saved, run.opened_with)
        self._real: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._rules: dict[str, DependencyTrace] = {}

    def of(self, unit: str) -> Reads:
        """Return what a build or an asset reads. Raises LambdaBuildError when its source cannot be listed."""
        seen = DependencyTrace()
        unknown = ""
        steps = snapshot_writer.steps(self._run.index, unit)
        if unit in self._run.index.candidates:  # which of its packages lie in a layer depends on all who take part
            steps += [("resolve", candidate.resolution) for candidate in self._run.index.candidates.values()]
        for rule in _rules(self._run.index, steps):
            seen.update(self._rule(rule))
        for kind, name in dict.fromkeys(steps):
            with self._noting.watched() as looked_at:
                kind_of(self._run.index, kind).inputs(self._run, name)
                self._revealed(self._run, kind, name)
            seen.update(looked_at)
            for rule in self._run.rule_digests.keys() - self._rules.keys():
                del self._run.rule_digests[rule]  # the next unit is to look at it too
            unknown = unknown or ("" if self._is_known(kind, name) else f"{kind}:{name}")
        with self._noting.watched() as looked_at:
            for dockerfile in _dockerfiles(self._run.index, unit):
                context.dockerfile_digest(self._run, dockerfile)
        seen.update(looked_at)
        return self._reads(seen, unknown)

    def _rule(self, name: str) -> DependencyTrace:
        """Return what a rule's digest depends on; many units have the same rule."""
        if name not in self._rules:
            with self._noting.watched() as self._rules[name]:
                rule_digest(self._run, self._run.index.rules[name])
        return self._rules[name]

    def _revealed(self, run: Run, kind: str, name: str) -> dict[str, str]:
        return inputs.reads(run, self._run.saved(task_name(kind, name)).get("reads", ()))

    def _is_known(self, kind: str, name: str) -> bool:
        return not kind_of(self._run.index, kind).reveals(self._run, name) or self._ran_with_the_same(kind, name)

    def _ran_with_the_same(self, kind: str, name: str) -> bool:
        """Return whether a step's last run had the inputs it has now, apart from versions of tools and images."""
        run, values = self._toolless, self._run.saved(task_name(kind, name))
        receipt = receipts.read(run.project.receipt(kind, name))
        if receipt is None or not values.get("inputs"):
            return False
        try:
            now = kind_of(run.index, kind).inputs(run, name) | self._revealed(run, kind, name)
        except (LambdaBuildError, OSError):
            return False
        return dict(_without_tools({**receipt.components, **receipt.reads})) == dict(_without_tools(now))

    def _reads(self, seen: DependencyTrace, unknown: str) -> Reads:
        files: set[str] = set()
        folders: set[str] = set()
        for folder, *names in seen.folders():
            real, links = self._resolved(folder)
            files.update(links)
            folders.update({real} if ITSELF in names else ())
            files.update(os.path.join(real, name) for name in names if name != ITSELF)
        return Reads(frozenset(files), frozenset(folders), unknown)

    def _resolved(self, folder: str) -> tuple[str, tuple[str, ...]]:
        """Return a folder's real path, and the links on the way to it."""
        if folder not in self._real:
            above, name = os.path.split(folder)
            if not name:
                return folder, ()
            real, links = self._resolved(above)
            path = os.path.join(real, name)
            if os.path.islink(path):
                target = os.path.normpath(os.path.join(real, os.readlink(path)))
                path, more = self._resolved(target)
                links = (*links, os.path.join(real, name), *more)
            self._real[folder] = path, links
        return self._real[folder]


def _rules(index: PlanIndex, steps: Iterable[tuple[str, str]]) -> set[str]:
    """Return the rules of steps, by name."""
    keyed: Mapping[str, Mapping[str, Build | Resolution]] = {"resolve": index.resolutions, "package": index.packages}
    made = (keyed.get(kind, index.builds).get(name) for kind, name in steps)
    return {unit.key.rule for unit in made if unit is not None}


def _without_tools(components: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Return the components that no engine or tool has to be asked for; a changed Dockerfile shows in its files."""
    return ((name, value) for name, value in components.items() if name.partition(":")[0] not in NOT_ASKED)


def _dockerfiles(index: PlanIndex, unit: str) -> set[str]:
    """Return the Dockerfiles of the containers in which a build's tools run."""
    build = index.builds.get(unit)
    if build is None:
        return set()
    keys: list[BuildKey | ResolutionKey] = [build.key, *(index.resolutions[name].key for name in build.resolutions)]
    return {key.container.dockerfile for key in keys if key.container.dockerfile}
