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
from lambdabuild.core.units import SHARED, TEMPLATE
from lambdabuild.engine.base import ownership, session
from lambdabuild.engine.base.display import DISPLAY
from lambdabuild.engine.base.site import Site
from lambdabuild.engine.base.snapshot import GROUPS
from lambdabuild.engine.base.template_files import PACKAGED, template_file
from lambdabuild.engine.doit.tasks import tasks, titles
from lambdabuild.engine.freshness.reasons import reasons
from lambdabuild.engine.noop import doit_command, snapshot_writer
from lambdabuild.engine.noop.tasks import WHY, creator, groups
from lambdabuild.engine.remote import eligibility
from lambdabuild.engine.step_cache import lookup
from lambdabuild.engine.steps.actions import failed, from_os_error
from lambdabuild.plan.left_out import left_out, refuse
from lambdabuild.plan.steps import Step


def default_tasks(site: Site) -> list[str]:
    """The groups of all that a plain run makes.

    The template comes first: it needs functions and layers alike, in the order in which they had best begin.
    """
    return [*(["template"] if site.service.has_template else []), "build", "layer", "source"]


def config(site: Site, settings: Settings) -> dict[str, Any]:
    """DOIT_CONFIG of a project: parallel on threads, our journal as state, our reporter."""
    return {
        "backend": "lambdabuild",
        "dep_file": site.journal,
        "reporter": "lambdabuild",
        "default_tasks": _available(site) if site.unbuildable else default_tasks(site),
        "num_process": site.jobs + (settings.executor.jobs if eligibility.is_wanted(site) else 0),
        "par_type": "thread",
        "continue": settings.keep_going,
        "verbosity": 0,
    }


def _available(site: Site) -> list[str]:
    """All groups but those of what cannot be built here."""
    builds = [build for build in site.plan.builds if build.name not in site.unbuildable]
    named = [f"{build.group(user)}:{user}" for build in builds for user in build.users]
    named += [f"build:{user}" for image in site.plan.images for user in image.users]
    named += [f"build:{pinned.function}" for pinned in site.plan.pinned]
    return named + (["template"] if site.service.has_template else [])


class ProjectTasks:
    """The tasks of a dodo.py: doit calls ``create_doit_tasks`` and gets every task of the service."""

    def __init__(self, site: Site) -> None:
        self.site = site

    @creator
    def create_doit_tasks(self) -> Iterator[dict[str, Any]]:
        site, question = self.site, doit_command.by_doit()
        if question is not None:
            _refuse(site, question.tasks)
        if question is not None and question.is_overview and not question.has_other_tasks(self):
            yield from groups(titles(site), site.service.has_template)
            return
        site.shared.is_anew = question is not None and bool(question.options.get("always"))
        left_out, named = _settled(site, question, self)
        yield from tasks(site, session.saved, left_out, named)
        if not left_out:
            yield from _why_tasks(site)


def _settled(site: Site, question: doit_command.Asked | None, ours: object) -> tuple[frozenset[str], list[str]]:
    """The units whose steps this run need not know, and the groups of them that it asks for."""
    none: tuple[frozenset[str], list[str]] = frozenset(), []
    if question is None or not question.is_plain_run or question.has_other_tasks(ours) or not site.settled:
        return none
    owners, whole = dict(snapshot_writer.owners(site)), frozenset(default_tasks(site))
    if not all(name in owners or name in whole for name in question.selected):
        return none
    of_all = not whole.isdisjoint(question.selected)
    shown = {
        name: unit for name, unit in owners.items() if unit in site.settled and (of_all or name in question.selected)
    }
    DISPLAY.settle(shown, sum(len(snapshot_writer.steps(site, unit)) for unit in set(shown.values())))
    return site.settled, [name for name in question.selected if name in shown]


class ProjectLoader(NamespaceTaskLoader):
    """doit without a dodo.py: the tasks of the project in the current folder."""

    def __init__(self, open_project: Callable[[], Site]) -> None:
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
        groups = {task.partition(":")[2]: task for task in sorted(known) if task.partition(":")[0] in GROUPS}
        near = nearest(name, known) if ":" in name else groups.get(nearest(name, groups), "") or nearest(name, known)
        hint = f"did you mean {near!r}?" if near else "lambdabuild list --all shows all of them"
        raise InvalidCommand(not_found=name) from UnknownName(f"there is no task {name!r}", help=hint)


def namespace(open_project: Callable[[], Site]) -> dict[str, Any]:
    """The names of a dodo.py. A mistake of the user's ends doit with its message and no traceback."""
    try:
        site = open_project()
        prepare(site)
    except LambdaBuildError as error:
        raise _refused(error) from error
    except OSError as error:
        failure = from_os_error(error, "the project cannot be opened")
        raise _refused(failure) from failure
    return {"DOIT_CONFIG": config(site, site.settings), "lambdabuild_tasks": ProjectTasks(site)}


def _refuse(site: Site, tasks: tuple[str, ...]) -> None:
    """Raise the reason why something that is asked for by name is left out and has no tasks."""
    ours = {*site.kinds, *GROUPS}
    try:
        refuse(site.plan, [name for name in tasks if ":" in name and name.partition(":")[0] in ours])
    except LambdaBuildError as error:
        raise _refused(error) from error


def _refused(error: LambdaBuildError) -> InvalidDodoFile:
    """Return an error as one that doit prints without a traceback, below the word ERROR."""
    return InvalidDodoFile(f"nothing was started\n{messages.MESSAGES.text_of(error)}")


def prepare(site: Site) -> None:
    """Prepare a run: make the folder for its state, and end in order on SIGTERM and Ctrl-C."""
    ownership.prepare(site)
    session.use(site)
    messages.MESSAGES.folder = site.project
    notes = [
        f"skipped {name}, for {tool} is not on PATH; doit build:{name} insists on it, and so does CI=true"
        for name, tool in site.unbuildable.items()
    ]
    skipped = [one.as_dict() for one in site.left_out]
    news = [*map(str, left_out(site.plan.skipped)), *site.plan.notes]
    DISPLAY.configure("quiet" if site.settings.quiet else site.settings.format, notes, skipped, news)
    DISPLAY.next_command = _deploy_command(site)
    for warning in site.service.warnings:
        messages.warn(warning)
    for one in site.plan.broken:
        said = "; ".join(f"{error.code}: {error.message}" for error in one.errors)
        messages.warn(f"{one.kind} {one.name!r} has a mistake, so neither it nor a template is built: {said}")
    atexit.register(_end, site, notes)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _as_interrupt)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nobody said to ignore it
            signal.signal(signal.SIGINT, _as_interrupt)
    sys.excepthook = _quiet_interrupt


def _deploy_command(site: Site) -> str:
    """Return the command that deploys the template of a SAM project; it asks what no samconfig.toml answers."""
    whole = next((document for document in site.service.documents if not document.stack), None)
    if whole is None:
        return ""
    template = os.path.relpath(template_file(site, whole, PACKAGED), site.project)
    is_configured = os.path.exists(os.path.join(site.project, "samconfig.toml"))
    return f"sam deploy -t {shlex.quote(template)}" + ("" if is_configured else " --guided")


def _end(site: Site, notes: list[str]) -> None:
    """End what still runs; keep of the run what makes the next one faster."""
    if site.shared.fleet is not None:
        from lambdabuild.engine.containers import pool

        pool.close(site)
    if site.shared.executor is not None:
        from lambdabuild.engine.remote import workers

        workers.close(site)
    try:
        usual = site.given.usual or site.settings
        shown = {"quiet": usual.quiet, "format": usual.format, "groups": default_tasks(site), "titles": titles(site)}
        shown["left_out"] = [one.as_dict() for one in site.left_out]
        snapshot_writer.renew(site, session.saved, {**shown, "config": config(site, usual), "notes": notes})
    except (LambdaBuildError, OSError, KeyboardInterrupt):
        pass
    site.stats.save()


def _as_interrupt(*_: object) -> None:
    session.interrupted()
    raise KeyboardInterrupt


def _quiet_interrupt(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


def _why_tasks(site: Site) -> Iterator[dict[str, Any]]:
    yield WHY
    for unit in site.plan.made:
        for user in unit.users:
            yield {
                "basename": "why",
                "name": user,
                "actions": [(print_why, [site, user])],
                "uptodate": [False],
                "verbosity": 2,
                "doc": f"tell whether the steps of {user} would run, and why",
            }


def print_why(site: Site, name: str) -> TaskFailed | None:
    try:
        sys.stdout.write(why_text(site, name, session.saved))
    except (LambdaBuildError, OSError) as error:
        return failed(error, f"why:{name}")
    return None


def why_text(site: Site, name: str, saved: Any) -> str:
    """One line a step: up to date, or would run (or be restored from a cache) and the reasons."""
    lines, upstream = [], ""
    for step in _steps_of(site, name):
        label = step.task
        why = [*reasons(site, step.kind, step.name, saved)]
        if why:
            where = lookup.where(site, step.kind, step.name, saved) if not upstream else ""
            lines.append(f"{label}  would be restored from {where}" if where else f"{label}  would run")
            lines += [f"  because {reason}" for reason in why]
            upstream = upstream or label
        elif upstream:
            lines.append(f"{label}  runs if the result of {upstream} changes")
        else:
            restored = saved(label).get("restored")
            lines.append(f"{label}  is up to date" + (f", restored from {restored}" if restored else ""))
    return "\n".join(lines) + "\n"


def _steps_of(site: Site, name: str) -> list[Step]:
    """Return the steps to a function or layer, in order, with those that make its automatic layers and the template."""
    graph, unit = site.graph, next(unit.name for unit in site.plan.made if name in unit.users)
    own = {step.task for step in (*graph.chain(unit), *graph.asked_for(unit))}
    own |= {step.task for step in graph.by_unit.get(SHARED, ())} if unit in site.sharers else set()
    own |= {step.task for step in graph.by_unit.get(TEMPLATE, ())}
    return [step for step in graph.steps if step.task in own]
