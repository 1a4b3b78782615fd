"""How doit meets a project: its configuration, and a loader that needs no dodo.py."""

from __future__ import annotations

import atexit
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from doit.cmd_base import NamespaceTaskLoader
from doit.exceptions import InvalidCommand, InvalidDodoFile, TaskFailed

from lambdabuild.config.settings import Settings, nearest
from lambdabuild.core import messages
from lambdabuild.core.errors import LambdaBuildError, UnknownName
from lambdabuild.core.plain import Json
from lambdabuild.core.units import SHARED, TEMPLATE
from lambdabuild.engine.base import ownership, session
from lambdabuild.engine.base.display import DISPLAY
from lambdabuild.engine.base.plan_index import PlanIndex
from lambdabuild.engine.base.project import Project, jobs, journal_file
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.snapshot import GROUPS
from lambdabuild.engine.base.template_files import PACKAGED, template_file
from lambdabuild.engine.containers import pool
from lambdabuild.engine.doit.tasks import tasks, titles
from lambdabuild.engine.freshness.reasons import reasons
from lambdabuild.engine.noop import doit_command, snapshot_writer
from lambdabuild.engine.noop.tasks import WHY, Task, creator, groups
from lambdabuild.engine.processes import chains
from lambdabuild.engine.remote import eligibility, workers
from lambdabuild.engine.step_cache import lookup
from lambdabuild.engine.steps.actions import failed, from_os_error
from lambdabuild.plan.left_out import left_out, refuse
from lambdabuild.plan.steps import Step


def default_tasks(project: Project) -> list[str]:
    """The groups of all that a plain run makes.

    The template comes first: it needs functions and layers alike, in the order in which they had best begin.
    """
    return [*(["template"] if project.service.has_template else []), "build", "layer", "source"]


def config(run: Run, settings: Settings) -> Json:
    """DOIT_CONFIG of a project: parallel on threads, our journal as state, our reporter."""
    return {
        "backend": "lambdabuild",
        "dep_file": journal_file(run.project),
        "reporter": "lambdabuild",
        "default_tasks": _available(run) if run.index.unbuildable else default_tasks(run.project),
        "num_process": jobs(run.project) + (settings.executor.jobs if eligibility.is_wanted(run.project) else 0),
        "par_type": "thread",
        "continue": settings.keep_going,
        "verbosity": 0,
    }


def _available(run: Run) -> list[str]:
    """All groups but those of what cannot be built here."""
    builds = [build for build in run.index.plan.builds if build.name not in run.index.unbuildable]
    named = [f"{build.group(user)}:{user}" for build in builds for user in build.users]
    named += [f"build:{user}" for image in run.index.plan.images for user in image.users]
    named += [f"build:{pinned.function}" for pinned in run.index.plan.pinned]
    return named + (["template"] if run.project.service.has_template else [])


class ProjectTasks:
    """The tasks of a dodo.py: doit calls ``create_doit_tasks`` and gets every task of the service."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @creator
    def create_doit_tasks(self) -> Iterator[Task]:
        run, question = self.run, doit_command.by_doit()
        if question is not None:
            _refuse(run.index, question.tasks)
        if question is not None and question.is_overview and not question.has_other_tasks(self):
            yield from groups(titles(run.index), run.project.service.has_template)
            return
        run.progress.runs_always = question is not None and bool(question.options.get("always"))
        run.progress.processes = _processes(question)
        run.progress.may_clean = question is None or not question.is_run
        left_out, named = _settled(run, question, self)
        yield from tasks(run, left_out, named)
        if not left_out:
            yield from _why_tasks(run)


def _processes(question: doit_command.Asked | None) -> int:
    """Return how many processes may work on this machine; one when doit itself forks, or runs one step at a time."""
    if question is None or not question.is_run or question.options.get("par_type") != "thread":
        return 1
    return min(int(question.options.get("num_process") or 1), len(os.sched_getaffinity(0)))


def _settled(run: Run, question: doit_command.Asked | None, ours: object) -> tuple[frozenset[str], list[str]]:
    """The units whose steps this run need not know, and the groups of them that it asks for."""
    none: tuple[frozenset[str], list[str]] = frozenset(), []
    if question is None or not question.is_plain_run or question.has_other_tasks(ours) or not run.settled:
        return none
    owners, whole = dict(snapshot_writer.owners(run.index)), frozenset(default_tasks(run.project))
    if not all(name in owners or name in whole for name in question.selected):
        return none
    of_all = not whole.isdisjoint(question.selected)
    shown = {
        name: unit for name, unit in owners.items() if unit in run.settled and (of_all or name in question.selected)
    }
    counts = run.opened_with.snapshot.step_counts if run.opened_with.snapshot is not None else {}
    DISPLAY.settle(shown, sum(counts[unit] for unit in set(shown.values())))
    return run.settled, [name for name in question.selected if name in shown]


class ProjectLoader(NamespaceTaskLoader):
    """doit without a dodo.py: the tasks of the project in the current folder."""

    def __init__(self, open_project: Callable[[], Run]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # doit ships no types
        self._open = open_project

    def setup(self, opt_values: Any) -> None:
        self.namespace = namespace(self._open)

    def load_tasks(self, cmd: Any, pos_args: list[str]) -> Any:
        tasks = super().load_tasks(cmd, pos_args)  # type: ignore[no-untyped-call]  # doit ships no types
        _check_names(pos_args, tasks, takes_targets=cmd.get_name() == "run")
        return tasks


def _check_names(names: Sequence[str], tasks: Sequence[Any], *, takes_targets: bool) -> None:
    """Refuse names that no task has: LB108, with the closest one."""
    known = {task.name for task in tasks}
    others = {target for task in tasks for target in task.targets} if takes_targets else set()
    for name in names:
        if name in known or name in others or any(char in name for char in "*?["):
            continue
        named = {task: task.partition(":") for task in sorted(known)}
        groups = {user: task for task, (kind, _, user) in named.items() if user and kind in GROUPS}
        near = nearest(name, known) if ":" in name else groups.get(nearest(name, groups), "") or nearest(name, known)
        hint = f"did you mean {near!r}?" if near else "lambdabuild list --all shows all of them"
        raise InvalidCommand(not_found=name) from UnknownName(f"there is no task {name!r}", help=hint)


def namespace(open_project: Callable[[], Run]) -> Json:
    """The names of a dodo.py. A mistake of the user's ends doit with its message and no traceback."""
    try:
        run = open_project()
        prepare(run)
    except LambdaBuildError as error:
        raise _refused(error) from error
    except OSError as error:
        failure = from_os_error(error, "the project cannot be opened")
        raise _refused(failure) from failure
    return {"DOIT_CONFIG": config(run, run.project.settings), "lambdabuild_tasks": ProjectTasks(run)}


def _refuse(index: PlanIndex, tasks: tuple[str, ...]) -> None:
    """Raise the reason why something that is asked for by name is left out and has no tasks."""
    ours = {*index.kinds, *GROUPS}
    try:
        refuse(index.plan, [name for name in tasks if ":" in name and name.partition(":")[0] in ours])
    except LambdaBuildError as error:
        raise _refused(error) from error


def _refused(error: LambdaBuildError) -> InvalidDodoFile:
    """Return an error as one that doit prints without a traceback, below the word ERROR."""
    return InvalidDodoFile(f"nothing was started\n{messages.MESSAGES.text_of(error)}")


def prepare(run: Run) -> None:
    """Prepare a run: make the folder for its state, and end in order on SIGTERM and Ctrl-C."""
    ownership.prepare(run)
    DISPLAY.run = run
    messages.MESSAGES.folder = run.project.folder
    notes = [
        f"skipped {name}: `{tool}` is not on PATH. `doit build:{name}` or CI=true makes this an error"
        for name, tool in run.index.unbuildable.items()
    ]
    skipped = [one.as_dict() for one in run.index.left_out]
    news = [*map(str, left_out(run.index.plan.skipped)), *run.index.plan.notes]
    DISPLAY.configure("quiet" if run.project.settings.quiet else run.project.settings.format, notes, skipped, news)
    DISPLAY.next_command = _deploy_command(run.project)
    for warning in run.project.service.warnings:
        messages.warn(warning)
    for one in run.index.plan.broken:
        mistakes = "; ".join(f"{error.code}: {error.message}" for error in one.errors)
        messages.warn(f"{one.kind} {one.name!r} has a mistake, so neither it nor a template is built: {mistakes}")
    atexit.register(_end, run, notes)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _as_interrupt)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nobody said to ignore it
            signal.signal(signal.SIGINT, _as_interrupt)
    sys.excepthook = _quiet_interrupt


def _deploy_command(project: Project) -> str:
    """Return the command that deploys the template of a SAM project; it asks what no samconfig.toml answers."""
    whole = next((document for document in project.service.documents if not document.stack), None)
    if whole is None:
        return ""
    template = os.path.relpath(template_file(project, whole, PACKAGED), project.folder)
    is_configured = os.path.exists(os.path.join(project.folder, "samconfig.toml"))
    return f"sam deploy -t {shlex.quote(template)}" + ("" if is_configured else " --guided")


def _end(run: Run, notes: list[str]) -> None:
    """End what still runs; keep of the run what makes the next one faster."""
    pool.close(run)
    workers.close(run)
    try:
        usual = run.opened_with.usual or run.project.settings
        shown = {
            "quiet": usual.quiet,
            "format": usual.format,
            "groups": default_tasks(run.project),
            "titles": titles(run.index),
        }
        shown["left_out"] = [one.as_dict() for one in run.index.left_out]
        snapshot_writer.renew(run, {**shown, "config": config(run, usual), "notes": notes})
    except (LambdaBuildError, OSError, KeyboardInterrupt):
        pass
    chains.finish(run)
    run.stats.save()


def _as_interrupt(*_: object) -> None:
    session.interrupted()
    raise KeyboardInterrupt


def _quiet_interrupt(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


def _why_tasks(run: Run) -> Iterator[Task]:
    yield WHY
    for unit in run.index.plan.made:
        for user in unit.users:
            yield {
                "basename": "why",
                "name": user,
                "actions": [(print_why, [run, user])],
                "uptodate": [False],
                "verbosity": 2,
                "doc": f"tell whether the steps of {user} would run, and why",
            }


def print_why(run: Run, name: str) -> TaskFailed | None:
    try:
        sys.stdout.write(why_text(run, name))
    except (LambdaBuildError, OSError) as error:
        return failed(error, f"why:{name}")
    return None


def why_text(run: Run, name: str) -> str:
    """One line a step: up to date, or would run (or be restored from a cache) and the reasons."""
    lines, upstream = [], ""
    for step in _steps_of(run.index, name):
        label = step.task
        why = [*reasons(run, step.kind, step.name)]
        if why:
            where = lookup.where(run, step.kind, step.name) if not upstream else ""
            lines.append(f"{label}  would be restored from {where}" if where else f"{label}  would run")
            lines += [f"  because {reason}" for reason in why]
            upstream = upstream or label
        elif upstream:
            lines.append(f"{label}  runs if the result of {upstream} changes")
        else:
            restored = run.saved(label).get("restored")
            lines.append(f"{label}  is up to date" + (f", restored from {restored}" if restored else ""))
    return "\n".join(lines) + "\n"


def _steps_of(index: PlanIndex, name: str) -> list[Step]:
    """Return the steps to a function or layer, in order, with those that make its automatic layers and the template."""
    graph, unit = index.graph, next(unit.name for unit in index.plan.made if name in unit.users)
    own = {step.task for step in (*graph.chain(unit), *graph.asked_for(unit))}
    own |= {step.task for step in graph.by_unit.get(SHARED, ())} if unit in index.candidates else set()
    own |= {step.task for step in graph.by_unit.get(TEMPLATE, ())}
    return [step for step in graph.steps if step.task in own]
