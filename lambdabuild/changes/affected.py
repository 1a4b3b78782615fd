"""Find the functions and layers a change touches, and whether the template: compare two plans, and ask git."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from lambdabuild.changes.input_tracing import Reader, Reads
from lambdabuild.changes.repository import Difference, is_below
from lambdabuild.changes.revision_files import PastFiles
from lambdabuild.config.settings import Settings
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.model import Service
from lambdabuild.core.plain import Json, JsonObject
from lambdabuild.core.records import Struct, replace
from lambdabuild.engine.base.plan_index import PlanIndex
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.freshness import source_files
from lambdabuild.files.listing import Patterns, ignore_lines
from lambdabuild.plan.types import Build, BuildKey, BuildPlan, ImageBuild

TEMPLATE = "template"
KINDS = {"build": "function"}
"""The kinds of a group's members, for groups with a different name."""
SETTINGS_FILE = "lambdabuild.toml"

IN_THE_TEMPLATE = (
    "template",
    "build_dir",
    "code_root",
    "stage",
    "parameters",
    "serverless_options",
    "serverless_dir",
    "store",
    "bucket",
    "prefix",
    "region",
    "endpoint_url",
    "kms_key_id",
    "tags",
)
"""Settings that decide what is in a template, or where artifacts are uploaded to."""


class Planned(Struct, frozen=True):
    """A project at one time, with no disk behind it. In the plan, manifests are known by their paths."""

    settings: Settings
    service: Service
    plan: BuildPlan


class Touched(Struct, frozen=True):
    """One thing that a change touches; ``kind`` is function, layer, source or template, ``task`` doit's task."""

    name: str
    kind: str
    runtime: str
    task: str
    because: str


def affected(run: Run, difference: Difference, now: Planned, before: Planned | Exception) -> tuple[Touched, ...]:
    """Return everything that is touched: functions and layers by name, then the template.

    ``before`` is an error when the project could not be read as it was: then everything is touched.
    """
    past = PastFiles(run.project.folder, difference)
    why = _Why(run, Reader(run), difference, past, now, before)
    runtimes = {function.name: function.runtime for function in run.project.service.functions}
    touched = [
        _touched(user, build.group(user), runtimes.get(user, build.key.runtime), reason)
        for build in run.index.plan.builds
        for user in build.users
        if (reason := why.build(user, build))
    ]
    touched += [
        _touched(user, image.group(user), runtimes.get(user, ""), reason)
        for image in run.index.plan.images
        for user in image.users
        if (reason := why.build(user, image))
    ]
    names = [pinned.function for pinned in run.index.plan.pinned]
    touched += [_touched(name, "build", runtimes[name], reason) for name in names if (reason := why.said(name))]
    touched.sort(key=lambda one: one.name)
    reason = why.template()
    return (*touched, *((Touched(TEMPLATE, TEMPLATE, "", TEMPLATE, reason),) if reason else ()))


def _touched(name: str, group: str, runtime: str, because: str) -> Touched:
    return Touched(name, KINDS.get(group, group), runtime, f"{group}:{name}", because)


def without_outputs(project: Project, difference: Difference) -> Difference:
    """Return the difference without files that a build writes, which git may not ignore."""
    ours = [
        os.path.relpath(os.path.realpath(folder), difference.top) for folder in (project.build_dir, project.store_dir)
    ]
    changed = (path for path in difference.changed if not any(is_below(path, folder) for folder in ours))
    return replace(difference, changed=frozenset(changed))


class _Why:
    """The reasons why something is touched; "" when it is not."""

    def __init__(
        self, run: Run, reader: Reader, difference: Difference, past: PastFiles, now: Planned,
        before: Planned | Exception,
    ) -> None:  # fmt: skip
        self.run, self.reader, self.difference, self.past, self.now = run, reader, difference, past, now
        self.before = before if isinstance(before, Planned) else None
        self.unreadable = (
            f"it cannot be read at that revision: {str(before).splitlines()[0]}" if self.before is None else ""
        )
        self._said_now, self._said_before = _said(now.plan), _said(self.before.plan) if self.before else {}
        self._of_build: dict[str, str] = {}

    def build(self, user: str, build: Build | ImageBuild) -> str:
        if build.name not in self._of_build:
            self._of_build[build.name] = self._files_of(build)
        return self.said(user) or self._of_build[build.name]

    def said(self, user: str) -> str:
        """Return what changed in the template's or the settings' description of an artifact."""
        if self.before is None:
            return self.unreadable
        if user not in self._said_before:
            return "it is new"
        same = self._said_before[user] == self._said_now[user]
        return "" if same else "its description in the template or the settings changed"

    def _files_of(self, build: Build | ImageBuild) -> str:
        try:
            reads = self.reader.of(build.name)
        except LambdaBuildError as error:
            return error.message
        keys = _listed(self.run.index, build) if isinstance(build, Build) else ()
        sources = [_Source(self.run, key, self.difference, self.past) for key in keys]
        return next(self._changes(reads, sources), "")

    def _changes(self, reads: Reads, sources: list[_Source]) -> Iterator[str]:
        ignore_files = frozenset[str]().union(*(source.ignore_files() for source in sources))
        for path in sorted(self.difference.changed):
            real = os.path.join(self.difference.top, path)
            if real not in ignore_files and self._is_read(real, path, reads, sources):
                yield f"{path} changed"
        for folder in sorted(self.difference.changed_folders):
            real = os.path.join(self.difference.top, folder)
            if any(is_below(path, real) for path in (*reads.files, *reads.folders)):
                yield f"{folder} changed"
        ignoring = (os.path.relpath(file, self.difference.top) for file in ignore_files)
        if any(map(self.difference.is_changed, ignoring)) and any(source.lists_others() for source in sources):
            yield "the rules for what is left out changed"
        if reads.unknown and (other := self._not_the_templates()):
            yield f"{reads.unknown} may read {other}: it has not run since its inputs changed"

    def _is_read(self, real: str, path: str, reads: Reads, sources: list[_Source]) -> bool:
        if real in reads.files:
            return True
        if os.path.lexists(real) or _nearest(real) not in reads.folders | reads.files:  # a link's folder is among files
            return False
        around = [source for source in sources if source.holds(path)]
        return not around or not all(source.left_out(path) for source in around)

    def _not_the_templates(self) -> str:
        own = {self._inside(path) for path in (*_documents(self.now.service), SETTINGS_FILE)}
        return min({*self.difference.changed, *self.difference.changed_folders} - own, default="")

    def template(self) -> str:
        """Return what changed in the template itself; the locations of artifacts follow from the other answers."""
        before, now = self.before, self.now
        if before is None or not now.service.has_template:
            return self.unreadable if now.service.has_template else ""
        if before.service.definition is not None and now.service.definition is not None:
            if before.service.definition.digest != now.service.definition.digest:
                return "the template changed"
        elif _documents(before.service) != _documents(now.service):
            return "it is a different file"
        else:
            for path in _documents(now.service):
                if self.difference.is_changed(self._inside(path)):
                    return f"{path} changed"
        if any(getattr(before.settings, name) != getattr(now.settings, name) for name in IN_THE_TEMPLATE):
            return "the settings changed"
        return self._assets(before, now)

    def _assets(self, before: Planned, now: Planned) -> str:
        if [_asset(one) for one in before.plan.assets] != [_asset(one) for one in now.plan.assets]:
            return "it names different files"
        for asset in now.plan.assets:
            folder = self._inside(asset.source)
            for path in sorted({*self.difference.changed, *self.difference.changed_folders}):
                if is_below(path, folder) or is_below(folder, path):
                    return f"{path} changed"
        return ""

    def _inside(self, path: str) -> str:
        return os.path.relpath(os.path.realpath(os.path.join(self.run.project.folder, path)), self.difference.top)


def _listed(index: PlanIndex, build: Build) -> Iterator[BuildKey]:
    """Yield the keys of all folders whose files go into a build's artifact."""
    yield build.key
    if build.package:
        yield index.packages[build.package].key
    yield from (source_files.key_beside(build.key, path) for path in build.key.include)
    yield from source_files.extras_keys(build.key)


class _Source:
    """The files of one code folder that were in an artifact, or would have been."""

    def __init__(self, run: Run, key: BuildKey, difference: Difference, past: PastFiles) -> None:
        self.run, self.key, self.difference, self.past = run, key, difference, past
        self.folder = past.inside(key.source)

    def ignore_files(self) -> frozenset[str]:
        return frozenset(map(os.path.realpath, source_files.ignore_files(self.run, self.key)))

    def left_out(self, path: str) -> bool:
        """Return whether a file in the source was left out at the revision."""
        return _leaves_out(self._before, posixpath.relpath(path, self.folder or "."))

    def lists_others(self) -> bool:
        """Return whether different files are left out now that the ignore files have changed."""
        now = source_files.source_patterns(self.run, self.key, ignore_lines)
        inside = [posixpath.relpath(path, self.folder or ".") for path in self.difference.was if self.holds(path)]
        return any(_leaves_out(self._before, path) != _leaves_out(now, path) for path in inside)

    def holds(self, path: str) -> bool:
        """Return whether a path was in the source."""
        return self.folder is not None and is_below(path, self.folder or path)

    @cached_property
    def _before(self) -> Patterns:
        def lines(folder: str, name: str, *, below: str = "") -> tuple[str, ...]:
            return ignore_lines(folder, name, below=below, read=self.past.read)

        return source_files.source_patterns(self.run, self.key, lines)


def _leaves_out(patterns: Patterns, path: str) -> bool:
    """Return whether a file or a folder around it is left out."""
    parts = path.split("/")
    above: Iterator[tuple[str, str]] = (("/".join(parts[: n + 1]), parts[n]) for n in range(len(parts) - 1))
    if any(patterns.leaves_out(folder, name, True) for folder, name in above):
        return True
    return patterns.leaves_out(path, parts[-1], False)


def _nearest(path: str) -> str:
    """Return the nearest folder around a file that still exists."""
    folder = os.path.dirname(path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def _said(plan: BuildPlan) -> JsonObject:
    """Return everything a plan says about the artifact of each function, layer and source."""
    resolutions = {resolution.name: resolution.key for resolution in plan.resolutions}
    packages = {package.name: package.key for package in plan.packages}
    sources = {source.name: source for source in plan.sources}
    shared = [(one, resolutions[one.resolution]) for one in plan.layer_candidates]
    candidates = {one.build for one in plan.layer_candidates}
    handlers = {sizes.function: sizes.handler for sizes in plan.sizes}
    plans: Json = {pinned.function: pinned for pinned in plan.pinned}
    for build in plan.builds:
        needs = ([resolutions[name] for name in build.resolutions], packages.get(build.package))
        of_all = (build.key, build.compiles, needs, shared if build.name in candidates else None)
        plans |= {user: (of_all, sources.get(user), handlers.get(user)) for user in build.users}
    plans |= {user: image.key for image in plan.images for user in image.users}
    return plans


def _documents(service: Service) -> list[str]:
    definition = [service.definition.path] if service.definition is not None else []
    return [*definition, *(document.path for document in service.documents)]


def _asset(asset: Any) -> tuple[str, str, bool]:
    return asset.name, asset.source, asset.is_folder
