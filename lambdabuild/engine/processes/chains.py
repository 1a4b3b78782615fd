"""The steps of small functions, run as whole chains in forks: copy, zip, hash, upload and tree of one after the other.

doit still sees every step. It finds those of a chain done when it comes to them, and runs by itself what a fork did
not do, such as a step that fails, which so fails where people are told.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from doit.exceptions import TaskFailed

from lambdabuild.core.messages import MESSAGES
from lambdabuild.core.plain import Json, JsonObject
from lambdabuild.core.records import Struct, field, replace
from lambdabuild.engine.base import session
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.step_kind import kind_of
from lambdabuild.engine.freshness.costs import slowest_first
from lambdabuild.engine.freshness.reasons import reasons
from lambdabuild.engine.processes.forks import Forks
from lambdabuild.engine.remote import eligibility
from lambdabuild.engine.step_cache import caches
from lambdabuild.engine.steps import actions
from lambdabuild.plan.steps import Step, task_name

T = TypeVar("T")

WORTH_FORKING = 24
"""So many chains at least; for fewer, forking takes longer than it saves."""

AT_ONCE = 4
"""So many chains at most are one request: handing one over wakes threads up, here and there."""
REQUESTS_EACH = 16
"""So many requests at least for each fork, so that none waits long for the last of another."""


class Answer(Struct, frozen=True):
    """What a fork did for a unit: the values of each step that it ran, by task, and what it would have printed."""

    values: dict[str, Json]
    texts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    put_bytes: int = 0
    """How much was put into the machine's cache of built steps."""


class Chains(Struct):
    """The forks of a run, and what they were asked to do."""

    forks: Forks
    begun: dict[str, Future[tuple[int, dict[str, Answer] | None]]] = field(default_factory=dict)
    """The request that each unit is part of, and the answers by unit."""
    owners: dict[str, int] = field(default_factory=dict)
    """The fork that ran steps of a unit."""
    told: set[str] = field(default_factory=set)
    """The units whose answers were told, and accounted for."""


class SavedInFork:
    """What doit's state had of each task when the fork began, and what the fork has made since."""

    def __init__(self) -> None:
        self.made: dict[str, JsonObject] = {}

    def __call__(self, task: str) -> JsonObject:
        return self.made.get(task) or session.saved_at_fork(task)


def begin(run: Run, tasks: Iterable[str]) -> None:
    """Fork when many of the tasks that doit is about to ask for can be run as chains, and let those begin that must.

    To be called before there are other threads.
    """
    run.chains.get(lambda: _begun(run, tasks))


def _begun(run: Run, tasks: Iterable[str]) -> Chains | None:
    if run.progress.processes < 2 or eligibility.is_wanted(run.project) or _has_remote_caches(run):
        return None
    wanted = {task.partition(":")[2] for task in tasks if task.startswith("copy:")} - run.settled
    units = [build.name for build in slowest_first(run, run.settled) if build.name in wanted]
    chains = {unit: steps for unit in units if (steps := chain(run, unit))}
    if len(chains) < WORTH_FORKING:
        return None
    made = Chains(Forks(replace(run, saved=SavedInFork()), run.progress.processes))
    first = {
        unit: steps[0].kind
        for unit, steps in chains.items()
        if run.progress.runs_always or not run.saved(steps[0].task).get("inputs")
    }
    size = max(1, min(AT_ONCE, len(first) // (REQUESTS_EACH * len(made.forks))))
    for batch in batched([*first.items()], size):
        made.begun |= dict.fromkeys(dict(batch), made.forks.submit(run_chains, batch))
    return made


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in order, so many at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _has_remote_caches(run: Run) -> bool:
    cache = run.project.settings.cache
    return bool(cache.enabled and cache.remotes and not run.project.settings.offline)


def chain(run: Run, unit: str) -> list[Step]:
    """Return the first steps of a unit that are self-contained (``StepKind``) and need no others, in order."""
    steps: dict[str, Step] = {}
    for step in run.index.graph.by_unit.get(unit, ()):
        is_free = steps.keys() >= {*step.needs}
        if step.is_wanted and is_free and kind_of(run.index, step.kind).is_self_contained(run, step.name):
            steps[step.task] = step
    return [*steps.values()]


def perform(run: Run, kind: str, name: str) -> Json | TaskFailed:
    """Return what a fork made of a step, else run it: the action of every task."""
    chains = _chains(run)
    values = _by_fork(run, chains, kind, name) if chains is not None else None
    if values is None:
        return actions.perform(run, kind, name)
    run.progress.ran.add((kind, name))
    run.progress.last_ran_ns = time.time_ns()
    return values


def _chains(run: Run) -> Chains | None:
    made: Chains | None = run.chains.get(lambda: None) if run.chains.is_made else None
    return made


def _by_fork(run: Run, chains: Chains, kind: str, name: str) -> Json | None:
    if name not in chains.begun:
        if all(step.kind != kind for step in chain(run, name)):
            return None
        chains.begun[name] = chains.forks.submit(run_chains, [(name, kind)])
    number, answers = chains.begun[name].result()
    if answers is not None and name not in chains.told:
        chains.told.add(name)
        chains.owners[name] = number
        _tell(run, answers[name])
    values = answers[name].values.pop(task_name(kind, name), None) if answers is not None else None
    if values is None:  # this process runs the step, so that the fork does not know all of the unit
        chains.owners.pop(name, None)
    return values


def _tell(run: Run, answer: Answer) -> None:
    caches.add_put_bytes(run, answer.put_bytes)
    MESSAGES.warnings += answer.warnings
    for text in answer.texts:
        MESSAGES.say_once(text.removesuffix("\n"))


def run_chains(run: Run, firsts: Iterable[tuple[str, str]]) -> dict[str, Answer]:
    """In a fork: run chains, each from the kind of step on that is given with its unit."""
    return {unit: _run_chain(run, unit, first) for unit, first in firsts}


def _run_chain(run: Run, unit: str, first: str) -> Answer:
    """Run a step of a unit, and those after it that are not up to date then; what fails ends it."""
    assert isinstance(run.saved, SavedInFork)
    values: dict[str, Json] = {}
    texts: list[str] = []
    MESSAGES.write, MESSAGES.warnings = texts.append, []
    is_reached = False
    for step in chain(run, unit):
        is_reached = is_reached or step.kind == first
        must_run = step.kind == first or run.progress.runs_always
        if not is_reached or (not must_run and not next(reasons(run, step.kind, unit), "")):
            continue
        made = actions.perform(run, step.kind, unit)
        if isinstance(made, TaskFailed):
            break
        values[step.task] = run.saved.made[step.task] = made
    run.stats.set_aside()
    return Answer(values, tuple(texts), tuple(MESSAGES.warnings), caches.take_put_bytes(run))


def ask_owners(
    run: Run, function: Callable[..., dict[str, Any]], units: Iterable[str], *more: Any
) -> Callable[[], dict[str, Any]]:
    """Ask the forks that ran some units' steps for what a function of ``(run, units, *more)`` returns by unit.

    Return what waits for the answers; units of no fork are missing there. No chain begins any more.
    """
    chains = _chains(run)
    if chains is None:
        return dict
    shares: dict[int, list[str]] = defaultdict(list)
    for unit in units:
        if unit in chains.owners:
            shares[chains.owners[unit]].append(unit)
    answers = chains.forks.ask_each([(function, (shares[number], *more)) for number in range(len(chains.forks))])
    return lambda: {unit: value for answer in answers() for unit, value in (answer or {}).items()}


def finish(run: Run) -> None:
    """Take over what the forks know of files, and end them."""
    chains = _chains(run)
    if chains is not None:
        for news in chains.forks.ask_each([(file_digests, ())] * len(chains.forks))():
            run.stats.add(news or {})
        chains.forks.close()


def file_digests(run: Run) -> dict[str, Any]:
    """In a fork: return what it has learnt of files."""
    return run.stats.learnt()
