"""The paths of one project, look-ups in its plan, and what its steps share while they run."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lambdabuild.artifacts.owned import Ledger
from lambdabuild.artifacts.trees import Twins
from lambdabuild.config.settings import Settings
from lambdabuild.core import tools
from lambdabuild.core.atomic import unfinished
from lambdabuild.core.model import Asset, Function, Image, Service, Skipped
from lambdabuild.core.records import Struct, field
from lambdabuild.core.spans import Span
from lambdabuild.core.units import SHARED
from lambdabuild.engine.base.snapshot import STATE, Snapshot
from lambdabuild.files import fingerprint
from lambdabuild.files.listing import Patterns, scan
from lambdabuild.files.stat_cache import StatCache
from lambdabuild.files.watch import Seen
from lambdabuild.plan.left_out import LeftOut, left_out
from lambdabuild.plan.steps import Graph, PlannedKind, steps
from lambdabuild.plan.types import (
    Build,
    BuildPlan,
    ImageBuild,
    LayerCandidate,
    Pinned,
    Publication,
    Resolution,
    Rule,
    Sizes,
    Source,
)
from lambdabuild.rule_api import portable
from lambdabuild.rulebook.search import PACKAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lambdabuild.artifacts.entries import Entry
    from lambdabuild.artifacts.store import Store
    from lambdabuild.rule_api import Archive

STRIP = "llvm-strip"
"""A tool that knows both processors on every machine, and leaves what patchelf laid out as it is."""
NOT_RULE_CODE = ("README.md", "example/", "test_*.py", "__pycache__/")


class Site(Struct, frozen=True, dict=True):
    """One project at one run. Folders are absolute."""

    project: str
    build_dir: str
    cache_dir: str
    """The machine's store of downloads."""
    built_steps_dir: str
    """The machine's cache of built steps."""
    settings: Settings
    service: Service
    plan: BuildPlan
    rules: Mapping[str, Rule]
    stats: StatCache
    kinds: Mapping[str, PlannedKind] = field(default_factory=dict)
    """The table of kinds of steps (``step_kind.kind_of``)."""
    shared: Shared = field(default_factory=lambda: Shared())
    given: Given = field(default_factory=lambda: Given())
    settled: frozenset[str] = frozenset()
    """Units (``snapshot``) that are known to be up to date, so that their steps need not be asked."""

    @property
    def state_dir(self) -> str:
        return os.path.join(self.build_dir, STATE)

    @property
    def store_dir(self) -> str:
        """The folder store, when no bucket is named."""
        return self.path(self.settings.store) if self.settings.store else os.path.join(self.build_dir, ".store")

    @cached_property
    def bucket(self) -> str:
        """The bucket for artifacts: the setting, otherwise what a serverless.yml names, unless a folder is set."""
        definition = self.service.definition
        if self.settings.bucket or definition is None or self.settings.store:
            return self.settings.bucket
        given = definition.data["provider"].get("deploymentBucket")
        return str((given.get("name") or "") if isinstance(given, dict) else given or "")

    @property
    def region(self) -> str:
        definition = self.service.definition
        return self.settings.region or (definition.region if definition is not None else "")

    def artifact_key(self, sha256: str, extension: str = ".zip") -> str:
        """Return the key under which a store has an artifact: nothing but its content decides it."""
        definition = self.service.definition
        return f"{sha256}{extension}" if definition is None else definition.key(sha256, extension)

    @property
    def jobs(self) -> int:
        """How many steps work on this machine at once."""
        return self.settings.jobs or os.cpu_count() or 1

    @cached_property
    def owned(self) -> Ledger:
        """The record of what steps made outside of the project's state."""
        return Ledger(os.path.join(self.state_dir, "owned"), self.portable)

    @property
    def journal(self) -> str:
        return os.path.join(self.state_dir, "journal")

    def path(self, relative: str) -> str:
        """A path of the model (relative to the project) as an absolute one."""
        return os.path.normpath(os.path.join(self.project, relative))

    def receipt(self, kind: str, name: str) -> str:
        """The file that says what a step left; the step's doit target."""
        return os.path.join(self.state_dir, "steps", kind, flat(name or kind) + ".json")

    def out(self, kind: str, name: str) -> str:
        """The folder that a rule's step fills."""
        return os.path.join(self.state_dir, "out", kind, flat(name))

    def cache(self, kind: str, name: str) -> str:
        """A folder that a rule's step keeps from run to run."""
        return os.path.join(self.state_dir, "cache", kind, flat(name))

    def record(self, kind: str, name: str) -> str:
        """The file in which a step keeps what it wants to know the next time."""
        return self.out(kind, name) + ".json"

    def zip(self, name: str) -> str:
        return os.path.join(self.build_dir, name + ".zip")

    def tree(self, name: str) -> str:
        return os.path.join(self.build_dir, name)

    @contextmanager
    def scratch(self) -> Iterator[str]:
        """A folder that is gone afterwards."""
        parent = os.path.join(self.state_dir, "tmp")
        os.makedirs(parent, exist_ok=True)
        folder = tempfile.mkdtemp(dir=parent, prefix=f"{os.getpid()}.")
        with unfinished(folder):
            yield folder

    @cached_property
    def not_source(self) -> frozenset[str]:
        """Folders of ours that may lie inside a source, as real paths."""
        return frozenset({os.path.realpath(self.build_dir), os.path.realpath(self.store_dir)})

    @cached_property
    def boundary(self) -> str:
        """How far out a link in the source may point."""
        return boundary_of(self.project, self.settings)

    @cached_property
    def roots(self) -> dict[str, str]:
        """The folders that records name instead of this machine's paths."""
        own = {"state": self.state_dir, "store": self.cache_dir, "build": self.build_dir, "project": self.project}
        wider = {"checkout": self.boundary, "home": os.path.expanduser("~")}
        return own | {name: folder for name, folder in wider.items() if folder != os.sep}

    def portable(self, path: str) -> str:
        """A path as records name it, so that they still hold when the project has moved."""
        return portable(path, self.roots)

    def expand(self, path: str) -> str:
        """The inverse."""
        for name, folder in self.roots.items():
            if path.startswith("{" + name + "}"):
                return folder + path[len(name) + 2 :]
        return path

    def build(self, name: str) -> Build:
        return self.builds[name]

    @cached_property
    def builds(self) -> dict[str, Build]:
        return {build.name: build for build in self.plan.builds}

    def package(self, name: str) -> Build:
        return self._packages[name]

    @cached_property
    def _packages(self) -> dict[str, Build]:
        return {package.name: package for package in self.plan.packages}

    @cached_property
    def sources(self) -> Mapping[str, Source]:
        return {source.name: source for source in self.plan.sources}

    @cached_property
    def pinned(self) -> Mapping[str, Pinned]:
        return {pinned.function: pinned for pinned in self.plan.pinned}

    def resolution(self, name: str) -> Resolution:
        return self._resolutions[name]

    @cached_property
    def _resolutions(self) -> dict[str, Resolution]:
        return {resolution.name: resolution for resolution in self.plan.resolutions}

    @cached_property
    def publications(self) -> Mapping[str, Publication]:
        return {publication.name: publication for publication in self.plan.publications}

    @cached_property
    def graph(self) -> Graph:
        """The steps of the plan. What cannot be built here has steps for those who name it."""
        return steps(self.plan, self.kinds, self.unbuildable)

    @cached_property
    def sizes(self) -> Mapping[str, tuple[Sizes, ...]]:
        """For each build, the functions that have it, with their layers."""
        found: dict[str, tuple[Sizes, ...]] = {}
        for sizes in self.plan.sizes:
            found[sizes.build] = (*found.get(sizes.build, ()), sizes)
        return found

    @cached_property
    def functions(self) -> Mapping[str, Function]:
        """The functions with a code folder, by name."""
        return {function.name: function for function in self.service.functions}

    @cached_property
    def sharers(self) -> Mapping[str, LayerCandidate]:
        """The builds whose packages may lie in shared layers, but for those that cannot be built here."""
        return {one.build: one for one in self.plan.sharers if one.build not in self.unbuildable}

    @property
    def sharing_steps(self) -> tuple[str, ...]:
        """The names of the steps ``share:...``, none when nobody takes part."""
        return tuple(step.name for step in self.graph.by_unit.get(SHARED, ()))

    @cached_property
    def assets(self) -> Mapping[str, Asset]:
        return {asset.name: asset for asset in self.plan.assets}

    @cached_property
    def images(self) -> Mapping[str, ImageBuild]:
        return {image.name: image for image in self.plan.images}

    @cached_property
    def described_images(self) -> Mapping[str, Image]:
        """As the template describes them, with the arguments that no plan holds."""
        return {image.name: image for image in self.service.images}

    @cached_property
    def unbuildable(self) -> Mapping[str, str]:
        """Builds that a plain run leaves out, and the tool that each misses (``missing_tools = "skip"``)."""
        if self.settings.missing_tools != "skip" or os.environ.get("CI") == "true":
            return {}
        found = {build.name: self._missing_tool(build) for build in self.plan.builds}
        return {name: tool for name, tool in found.items() if tool}

    @cached_property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What a run of everything skips, and why."""
        missing = {
            user: f"{tool} is not on PATH" for name, tool in self.unbuildable.items() for user in self.build(name).users
        }
        return left_out([*self.plan.skipped, *(Skipped(user, why, Span("")) for user, why in missing.items())])

    def _missing_tool(self, build: Build) -> str:
        rule, package = self.rules[build.key.rule], self._packages.get(build.package)
        resolver = self.rules[self.resolution(build.resolution).key.rule] if build.resolution else None
        steps = [resolver.resolve if resolver else None, rule.compile if build.compiles else None, rule.copy]
        is_contained = build.key.container.mode == "true"
        programs = [
            name.split()[0] for step in steps if step for name in (step.host_tools if is_contained else step.tools)
        ]
        programs += [] if is_contained else build.key.command.tools
        built = self.rules[package.key.rule].compile if package is not None else None
        programs += [name.split()[0] for name in (built.tools if built else ())]
        programs += [STRIP] if build.key.strip else []
        return next((name for name in programs if tools.find(name) is None), "")

    def tool_version(self, name: str) -> str:
        """Return the version that a tool prints; it is asked only if the program changed since the last time."""
        program, *question = name.split()
        found = tools.find(program)
        if found is None:
            return "missing"
        real = os.path.realpath(found)
        stat = os.stat(real)
        key = f"tool {found} {real} {question} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_size} {stat.st_ino}"
        version: str = self.stats.fact(key, lambda: tools.version(name))
        return version

    def rule_digest(self, rule: Rule) -> str:
        """The digest of a rule's own code and of the libraries it names."""
        if rule.name not in self.shared.rule_digests:
            folders = [rule.folder, *(os.path.join(PACKAGE, library) for library in rule.libraries)]
            digests = {
                str(position): fingerprint.of_listing(folder, scan(folder, Patterns(NOT_RULE_CODE)), self.stats)
                for position, folder in enumerate(folders)
            }
            self.shared.rule_digests[rule.name] = fingerprint.of(digests)
        return self.shared.rule_digests[rule.name]


class Given(Struct, frozen=True):
    """The arguments that a project was opened with, and when (``time.time_ns``)."""

    variables: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    usual: Settings | None = None
    """The settings without what only says how a run is shown (``snapshot.NOT_INPUTS``)."""
    rule_folders: tuple[str, ...] = ()
    opened_ns: int = 0
    snapshot: Snapshot | None = None
    """The snapshot of the last run, if that had the same arguments."""
    kept: str = ""
    """The digest by which service, plan and rules were read (``kept``), "" when they were made."""


class Shared(Struct):
    """Things that the steps of one run make once and share: the store, digests of rules, locks."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    rule_digests: dict[str, str] = field(default_factory=dict)
    stores: dict[str, Store] = field(default_factory=dict)
    """By the prefix of their keys."""
    stack: dict[str, str] | None = None
    """The outputs of the deployed stack, once it was asked."""
    project_lock: Any = None
    seen: dict[tuple[str, str], Seen] = field(default_factory=dict)
    """The files that each step that is up to date depends on."""
    ran: set[tuple[str, str]] = field(default_factory=set)
    last_ran_ns: int = 0
    """When the last step ended."""
    turns: dict[str, threading.Lock] = field(default_factory=dict)
    archives: dict[tuple[Archive, str], tuple[Entry, ...]] = field(default_factory=dict)
    """The content of each archive of a package, by the folder that it goes into."""
    lists: dict[str, tuple[tuple[int, ...], tuple[Entry, ...]]] = field(default_factory=dict)
    """The lists that this run settled, with the stat of the file that has each (``assemble``)."""
    listed: int = 0
    """How many entries it has settled."""
    twins: Twins = field(default_factory=Twins)
    trees_lock: threading.Lock = field(default_factory=threading.Lock)
    fleet: Any = None
    """The containers of the run (``containers``), once one was asked for."""
    is_looked_at: bool = False
    """True once the places that the run's steps write to were checked (``ownership.claim_all``)."""
    is_swept: bool = False
    """``doit clean`` has looked for containers that were left."""
    is_anew: bool = False
    """``doit -a``: everything asked for is really run, and no cache is asked."""
    cache: Any = None
    """The caches of built steps (``caching``), once one was needed, and whose process they are."""
    executor: Any = None
    """The engine that runs steps elsewhere (``workers``), once it was needed, and whose process it is."""
    executor_lost: bool = False
    """It cannot be used; all is run here."""
    stay: set[str] = field(default_factory=set)
    """Steps that the engine could not run, so that they are run here."""
    checkout: Any = None
    """The files that go along with steps that may read any of the checkout."""
    asked: set[str] = field(default_factory=set)
    """The questions that its workers were asked in this run."""
    local_turns: Any = None
    """As many turns as steps may work on this machine at once, when others wait for the engine beside them."""
    process: int = field(default_factory=os.getpid)
    """The process that loaded the project; doit may fork others."""

    def lock_of(self, what: str) -> threading.Lock:
        """Held by one step at a time: of those that pack the same dependencies, or need the same bytes."""
        with self.lock:
            return self.turns.setdefault(what, threading.Lock())


def flat(name: str) -> str:
    """A name as one file name; logical ids hold no dots, so this cannot clash."""
    return name.replace("/", ".")


def boundary_of(project: str, settings: Settings) -> str:
    """The project root: what the setting names, else the git checkout, else the project's folder."""
    if settings.project_root:
        return os.path.normpath(os.path.join(project, settings.project_root))
    return _checkout(project) or project


def root_above(project: str, settings: Settings, folders: Iterable[str] = ()) -> str:
    """The project root as the model has paths: ``.`` or ``../..``; one that does not hold the project is none.

    Where nothing says what it is, it is the folder that holds the project and all of ``folders``.
    """
    if not settings.project_root and not _checkout(project):
        ups = max((path.split("/").count("..") for path in folders if not path.startswith("/")), default=0)
        return "/".join([".."] * ups) or "."
    path = os.path.relpath(boundary_of(project, settings), project).replace(os.sep, "/")
    return path if set(path.split("/")) == {".."} else "."


def _checkout(folder: str) -> str:
    """The folder of the git checkout that a folder is in, "" when it is in none."""
    while not os.path.exists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return ""
        folder = parent
    return folder
