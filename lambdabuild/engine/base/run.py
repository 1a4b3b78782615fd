"""One run in a project: what its steps are told, and what they share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, cast

from lambdabuild.artifacts.owned import Ledger
from lambdabuild.artifacts.trees import HardlinkPool
from lambdabuild.config.settings import Settings
from lambdabuild.core.recent import Recent
from lambdabuild.core.records import Struct, field
from lambdabuild.engine.base.plan_index import PlanIndex
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.receipts import Saved
from lambdabuild.engine.base.snapshot import Snapshot
from lambdabuild.files.stat_cache import StatCache
from lambdabuild.files.watch import DependencyTrace

if TYPE_CHECKING:
    from lambdabuild.artifacts.entries import Entry
    from lambdabuild.artifacts.store import Store
    from lambdabuild.engine.base.journal import ProjectLock
    from lambdabuild.rule_api import Archive

T = TypeVar("T")

LISTS_COST = 4_000
"""So many entries of functions' own files: memory that only grows takes more time than reading a list again."""


class OpenedWith(Struct, frozen=True):
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
    """The digest by which service, plan and rules were read (``plan_cache``), "" when they were made."""


class Once:
    """Something that a run makes when it is first needed; a process that doit forks makes its own."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._value: object = None
        self._process = 0

    def get(self, make: Callable[[], T]) -> T:
        """Return what ``make`` returned the first time."""
        with self._lock:
            if self._process != os.getpid():
                self._value, self._process = make(), os.getpid()
            return cast("T", self._value)

    @property
    def is_made(self) -> bool:
        """Return whether this process has made it."""
        return self._process == os.getpid()


class Locks:
    """Locks by name, each held by one step at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._named: dict[str, threading.Lock] = {}

    def of(self, name: str) -> threading.Lock:
        """Return a lock: for those that pack the same dependencies, say, or need the same bytes."""
        with self._lock:
            return self._named.setdefault(name, threading.Lock())


class Listings:
    """The listings that one step has made, so that what it digests, checks and packs are the same files."""

    def __init__(self) -> None:
        self._of_step = threading.local()

    @contextmanager
    def of_one_step(self) -> Iterator[None]:
        """Keep what this thread lists until the block ends."""
        outer = getattr(self._of_step, "made", None)
        self._of_step.made = {}
        try:
            yield
        finally:
            self._of_step.made = outer

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what the step has listed for a key, else what ``make`` lists."""
        made: dict[Hashable, object] | None = getattr(self._of_step, "made", None)
        if made is None:
            return make()
        if key not in made:
            made[key] = make()
        return cast("T", made[key])


class InputTrace(Struct, frozen=True):
    """The files that were looked at for the inputs of a step before it ran."""

    looked_at: DependencyTrace
    began_ns: int
    """When the look began (``time.time_ns``)."""
    fingerprint: str
    """Of the inputs that were found."""


class Progress(Struct):
    """The record of what has happened in a run so far."""

    seen: dict[tuple[str, str], DependencyTrace] = field(default_factory=dict)
    """The files that each step that is up to date depends on."""
    inputs: dict[tuple[str, str], InputTrace] = field(default_factory=dict)
    """For each step that ran and succeeded, unless the run itself revealed more of what it reads."""
    ran: set[tuple[str, str]] = field(default_factory=set)
    last_ran_ns: int = 0
    """When the last step ended."""
    is_looked_at: bool = False
    """True once the places that the run's steps write to were checked (``ownership.claim_all``)."""
    is_swept: bool = False
    """True once ``doit clean`` has looked for containers that were left."""
    runs_always: bool = False
    """``doit -a``: everything asked for is really run, and no cache is asked."""
    may_clean: bool = True
    """False for commands of doit's that remove nothing."""
    processes: int = 1
    """How many processes of ours may work at once."""
    project_lock: ProjectLock | None = None


class Run(Struct, frozen=True):
    """A project, its plan, and what its steps share while they run. Every step is given this."""

    project: Project
    index: PlanIndex
    stats: StatCache
    owned: Ledger
    """The record of what steps made outside of the project's state."""
    saved: Saved
    """What doit's state keeps of the last success of each task."""
    opened_with: OpenedWith = field(default_factory=OpenedWith)
    settled: frozenset[str] = frozenset()
    """Units (``snapshot``) that are known to be up to date, so that their steps need not be asked."""
    process: int = field(default_factory=os.getpid)
    """The process that loaded the project; doit may fork others."""
    progress: Progress = field(default_factory=Progress)
    locks: Locks = field(default_factory=Locks)
    listings: Listings = field(default_factory=Listings)
    rule_digests: dict[str, str] = field(default_factory=dict)
    lists: Recent[tuple[tuple[int, ...], tuple[Entry, ...]]] = field(default_factory=lambda: Recent(LISTS_COST))
    """The lists that were settled last, each with the stat of the file that has it (``lists``)."""
    archives: dict[tuple[Archive, str], tuple[Entry, ...]] = field(default_factory=dict)
    """The content of each archive of a package, by the folder that it goes into."""
    hardlinks: HardlinkPool = field(default_factory=HardlinkPool)
    trees_lock: threading.Lock = field(default_factory=threading.Lock)
    stores: dict[str, Store] = field(default_factory=dict)
    """By the prefix of their keys."""
    stack: Once = field(default_factory=Once)
    """The outputs of the deployed stack (``deployed_stack``)."""
    containers: Once = field(default_factory=Once)
    """The containers of the run (``containers.pool``)."""
    chains: Once = field(default_factory=Once)
    """The forks that run chains of steps (``processes.chains``)."""
    caches: Once = field(default_factory=Once)
    """The caches of built steps (``step_cache.caches``)."""
    remote: Once = field(default_factory=Once)
    """The engine that runs steps elsewhere, and what is known of it (``remote``)."""


def new_run(
    project: Project,
    index: PlanIndex,
    stats: StatCache,
    saved: Saved,
    opened_with: OpenedWith | None = None,
    settled: frozenset[str] = frozenset(),
) -> Run:
    """Return a run in which nothing has happened so far."""
    owned = Ledger(os.path.join(project.state_dir, "owned"), project.portable)
    return Run(project, index, stats, owned, saved, opened_with or OpenedWith(), settled)
