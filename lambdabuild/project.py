"""The story of a run: settings, Service, plan, and a Run in which doit builds. Only this module knows all others.

    folder, environment, key=value  --read_settings-->  Settings   (``project_loader``; reads no template)
    Settings, files                 --load_service-->   Service    (``project_loader``; node alone, for a serverless.ts)
    Service, rules, file names      --plan-->           BuildPlan  (``project_planner``, ``plan.planner``: no code)
    all of these, the last run      --open_project-->   Run        (here; builds nothing)
    Run                             --tasks-->          doit       (``engine.doit``; decides nothing)

Before all of that the last run's snapshot is asked (``doit_project``, ``nothing_to_do``). When nothing has changed, no
project is loaded, and nothing that loads one is imported: this is why the functions here import what they need.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import time

from lambdabuild.engine.base import snapshot

TYPE_CHECKING = False  # as typing has it, without what typing imports at every start
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lambdabuild.changes.affected import Planned
    from lambdabuild.changes.affected import Touched as Touched  # for the command line too
    from lambdabuild.changes.repository import Difference
    from lambdabuild.config.settings import Settings
    from lambdabuild.engine.base.plan_index import PlanIndex
    from lambdabuild.engine.base.run import Run as Run
    from lambdabuild.engine.base.snapshot import Snapshot as Snapshot  # for the command line too
    from lambdabuild.engine.noop.doit_command import Asked, Wanted
    from lambdabuild.engine.noop.plan_cache import Kept
    from lambdabuild.files.stat_cache import StatCache
    from lambdabuild.plan.shards import Costs
    from lambdabuild.plan.shards import Shard as Shard
    from lambdabuild.plan.types import BuildPlan
    from lambdabuild.project_files import ProjectFiles


def doit_project(place: str = ".", **settings: str) -> dict[str, object]:
    """Return the names a dodo.py needs: ``globals().update(doit_project(__file__))``.

    ``place`` is the dodo.py or the project's folder. doit's own ``key=value`` arguments win over ``settings``.
    """
    from doit.doit_cmd import _CMDLINE_VARS  # doit.get_var cannot tell which names were set

    atexit.register(gc.freeze)  # what lives to the end need not be searched for garbage then
    folder = os.path.abspath(place if os.path.isdir(place) else os.path.dirname(place))
    variables = {**settings, **(_CMDLINE_VARS or {})}
    last_run = _snapshot(folder, variables, os.environ)
    if last_run is not None:
        from lambdabuild.engine.noop import doit_command

        question = doit_command.by_doit()
        mode = last_run.mode(variables)
        if question is not None and mode is not None and _is_answered(last_run, question):
            from lambdabuild.engine.noop import tasks

            return tasks.namespace(last_run, mode, lambda: _namespace(folder, variables, last_run))
    return _namespace(folder, variables, last_run)


def _namespace(folder: str, variables: Mapping[str, str], last_run: Snapshot | None) -> dict[str, object]:
    from lambdabuild.engine.doit import loader
    from lambdabuild.engine.noop import doit_command

    question = doit_command.by_doit()
    wanted = question.wanted if question is not None else None
    return loader.namespace(lambda: open_project(folder, variables, last_run=last_run, wanted=wanted))


def nothing_to_do(folder: str, variables: Mapping[str, str], asked: list[str]) -> tuple[str | None, Snapshot | None]:
    """Return the text to print when everything asked for is up to date, None when something may not be.

    ``asked`` are names; none is everything. Loads nothing and starts no tool: only the last run's snapshot, which is
    returned too, is compared with the files.
    """
    last_run = _snapshot(folder, variables, os.environ)
    mode = last_run.mode(variables) if last_run is not None else None
    if last_run is None or mode not in ("text", "quiet"):
        return None, last_run
    groups = [_group(name, last_run) for name in asked]
    if not last_run.answers(groups):
        return None, last_run
    if mode == "quiet":
        return "", last_run
    notes = [] if asked else [f"note: {note}\n" for note in last_run.shown["notes"]]
    left_out = 0 if asked else sum(len(entry["names"]) for entry in last_run.shown.get("left_out", ()))
    text = snapshot.nothing_to_do(groups or last_run.owners, last_run.steps(groups), left_out)
    return "".join(notes) + text + "\n", last_run


def _group(name: str, last_run: Snapshot) -> str:
    tasks = (f"{kind}:{name}" for kind in snapshot.GROUPS)
    return next((task for task in tasks if task in last_run.owners), name)


def _snapshot(folder: str, variables: Mapping[str, str], environment: Mapping[str, str]) -> Snapshot | None:
    build_dir = snapshot.build_dir_of(folder, variables, environment)
    return snapshot.read(build_dir, variables, environment) if build_dir is not None else None


def _is_answered(last_run: Snapshot, question: Asked) -> bool:
    groups = last_run.shown["groups"]
    return question.is_overview or (
        question.is_plain_run and last_run.answers(name for name in question.tasks if name not in groups)
    )


def open_project(
    folder: str,
    variables: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    last_run: Snapshot | None = None,
    wanted: Wanted | None = None,
    files: ProjectFiles | None = None,
    settles: bool = True,
) -> Run:
    """Load and plan the project in a folder. Starts no tool; hashes nothing that the stat cache knows.

    ``last_run`` is the snapshot, if it was read already; the files that it has looked at are not looked at again. A
    mistake in one function or layer is raised only when that is ``wanted``; None means all. All that describes the
    project is read through ``files``, if given, and not taken from the last run. With ``settles`` all files of the
    last run are looked at, to know which steps need not be asked.
    """
    from lambdabuild.engine.base import ownership
    from lambdabuild.engine.base.plan_index import index
    from lambdabuild.engine.base.project import Project
    from lambdabuild.engine.base.run import OpenedWith, new_run
    from lambdabuild.engine.base.session import saved_in
    from lambdabuild.engine.steps.kinds import KINDS
    from lambdabuild.rulebook.search import search_path

    began = time.time_ns()
    environment, variables = os.environ if environment is None else environment, variables or {}
    settings = _settings(folder, variables, environment, files)
    rule_folders = tuple(search_path(folder, environment))

    # The state that earlier runs left.
    build_dir = os.path.normpath(os.path.join(folder, settings.build_dir))
    stats = _stat_cache(build_dir, settings)
    is_made_anew = settings.paranoid or files is not None
    last_run = None if is_made_anew else _last_run(last_run, build_dir, variables, environment)

    # The plan: the last run's while nothing it depends on has changed.
    kept = _kept_plan(build_dir, last_run)
    service, plan, rules = kept or _load_and_plan(folder, settings, environment, rule_folders, stats, files)
    settings = settings.merged_over(service.settings, service.function_names)
    _refuse_broken(plan, wanted, settings)

    usual, caches = _usual_settings(folder, variables, environment, settings), cache_dir(environment)
    project = Project(folder, build_dir, caches, built_steps_dir(folder, settings, environment), settings, service)
    may_skip = settings.missing_tools == "skip" and environment.get("CI") != "true"
    looked_up, digest = index(service, plan, rules, KINDS, may_skip=may_skip), _digest(kept, last_run)
    opened_with = OpenedWith(dict(variables), environment, usual, rule_folders, began, last_run, digest)
    run = new_run(project, looked_up, stats, saved_in(project), opened_with)
    ownership.refuse_folders(run)
    return _with_settled(run) if settles else run


def open_for(
    folder: str,
    variables: Mapping[str, str],
    tasks: Sequence[str],
    *,
    is_run: bool,
    keeps_going: bool,
    last_run: Snapshot | None = None,
    settles: bool = True,
) -> Run:
    """Load and plan the project for a command about some tasks; no tasks means all."""
    from lambdabuild.engine.noop.doit_command import Wanted

    wanted = Wanted(tuple(tasks), is_run, keeps_going)
    return open_project(folder, variables, last_run=last_run, wanted=wanted, settles=settles)


def _settings(
    folder: str, variables: Mapping[str, str], environment: Mapping[str, str], files: ProjectFiles | None
) -> Settings:
    """Return the project's settings. Raise MissingExtra if they need packages that are not installed."""
    from lambdabuild.project_settings import read_settings

    settings = read_settings(folder, environment, variables, files)
    servers = [address for address in (*settings.cache.remotes, settings.executor.address) if address]
    if servers:
        from lambdabuild.cache.remote import check_extra

        check_extra(servers)
    return settings


def _last_run(
    known: Snapshot | None, build_dir: str, variables: Mapping[str, str], environment: Mapping[str, str]
) -> Snapshot | None:
    """Return the last run's snapshot; the one that was read already, if it is still right."""
    is_right = known is not None and known.is_for(build_dir, variables, environment) and known.is_current()
    return known if is_right else snapshot.read(build_dir, variables, environment)


def _digest(kept: Kept | None, last_run: Snapshot | None) -> str:
    """Return the digest under which the last run kept the plan that is used again, "" if none is."""
    return last_run.kept if kept and last_run else ""


def _stat_cache(build_dir: str, settings: Settings) -> StatCache:
    """Return the digests that earlier runs knew. Raise CannotWrite (LB504) if our state is a link."""
    from lambdabuild.engine.base.journal import check_own
    from lambdabuild.files.stat_cache import StatCache

    state = os.path.join(build_dir, snapshot.STATE)
    check_own(state)
    return StatCache(os.path.join(state, "stats"), paranoid=settings.paranoid)


def _kept_plan(build_dir: str, last_run: Snapshot | None) -> Kept | None:
    """Return what the last run planned, None when anything it depends on has changed."""
    if last_run is None or not last_run.holds([snapshot.PLAN]):
        return None
    from lambdabuild.engine.noop import plan_cache

    return plan_cache.read(build_dir, last_run.kept)


def _load_and_plan(
    folder: str,
    settings: Settings,
    environment: Mapping[str, str],
    rule_folders: Sequence[str],
    stats: StatCache,
    files: ProjectFiles | None,
) -> Kept:
    from lambdabuild.project_files import ProjectFiles
    from lambdabuild.project_planner import load_and_plan

    return load_and_plan(files or ProjectFiles(folder), settings, environment, rule_folders, stats)


def _refuse_broken(plan: BuildPlan, wanted: Wanted | None, settings: Settings) -> None:
    """Raise the mistakes in functions and layers that are wanted."""
    if not plan.broken:
        return
    from lambdabuild.engine.doit import broken
    from lambdabuild.engine.noop import doit_command
    from lambdabuild.engine.steps.kinds import KINDS

    broken.check(plan, wanted or doit_command.Wanted(), settings, KINDS)


def _usual_settings(
    folder: str, variables: Mapping[str, str], environment: Mapping[str, str], settings: Settings
) -> Settings:
    """Return the settings without the arguments that only this run has, such as ``format=json``."""
    from lambdabuild.project_settings import read_settings

    usual = {name: value for name, value in variables.items() if name not in snapshot.NOT_INPUTS}
    return read_settings(folder, environment, usual) if usual != variables else settings


def _with_settled(run: Run) -> Run:
    """Return the run with what the last run's snapshot knows to be up to date."""
    last_run = run.opened_with.snapshot
    if last_run is None:
        return run
    from lambdabuild.core.records import replace
    from lambdabuild.engine.noop import snapshot_writer

    return replace(run, settled=snapshot_writer.settled(run, last_run))


def run_doit(open_site: Callable[[], Run], command: str, flags: Sequence[str], tasks: Sequence[str]) -> int:
    """Run a command of doit's on a project without a dodo.py; return its exit code."""
    from lambdabuild.engine.doit import command as doit_commands

    return doit_commands.run(open_site, command, flags, tasks)


def task_groups() -> tuple[str, ...]:
    """Return the groups of tasks that ``lambdabuild list`` shows, all of which can be run by name."""
    from lambdabuild.engine.steps.kinds import KINDS

    return (*snapshot.GROUPS, *KINDS, "why")


def known_tasks(folder: str) -> tuple[str, ...]:
    """Return the groups, functions, layers and sources (``build:F``) that the last run knew. Loads no project."""
    build_dir = snapshot.build_dir_of(folder, {}, os.environ)
    if build_dir is None:
        from lambdabuild.project_settings import read_settings

        build_dir = os.path.join(folder, read_settings(folder, os.environ, {}).build_dir)
    last_run = snapshot.last(build_dir)
    return (*snapshot.GROUPS, *last_run.shown["titles"], *last_run.owners) if last_run is not None else ()


def refuse_left_out(index: PlanIndex, names: Sequence[str]) -> None:
    """Raise NotBuilt (LB305) if one of the names is in the template, but nothing is built from it."""
    from lambdabuild.plan import left_out

    left_out.refuse(index.plan, names)


def plan_text(run: Run) -> str:
    """Return the plan as text."""
    from lambdabuild.engine.steps.auto_layers import shared_report
    from lambdabuild.plan import explain

    return explain.as_text(run.index.plan, run.index.graph) + shared_report.text(run)


def plan_data(run: Run) -> dict[str, object]:
    """Return the plan as plain data, for JSON."""
    from lambdabuild.engine.steps.auto_layers import shared_report
    from lambdabuild.plan import explain

    return explain.as_data(run.index.plan) | {"shared_layers": shared_report.data(run)}


def why(run: Run, name: str) -> str:
    """Return for each step of a function or layer whether it would run, and why. Runs nothing."""
    from lambdabuild.engine.base import ownership
    from lambdabuild.engine.doit import loader

    ownership.prepare(run)
    text = loader.why_text(run, name)
    run.stats.save()
    return text


def why_text(run: Run, names: Sequence[str]) -> str:
    """Return the same for several names, none for all; what they share is said once."""
    import re

    text = "".join(why(run, name) for name in names or run.index.plan.users)
    return "".join(dict.fromkeys(re.findall(r"^\S.*\n(?:[ ].*\n)*", text, re.MULTILINE)))


def costs(run: Run, file: str = "") -> Costs:
    """Return the costs of steps in milliseconds: those in a file, otherwise those recorded here."""
    from lambdabuild.engine.freshness import costs

    return (
        costs.from_file(file)
        if file
        else costs.recorded(run.index.graph, [unit.name for unit in run.index.plan.made], run.saved)
    )


def costs_text(run: Run) -> str:
    """Return the recorded costs as the text of a file."""
    from lambdabuild.engine.freshness import costs as engine_costs

    return engine_costs.as_text(costs(run))


def shards(index: PlanIndex, count: int, known: Costs) -> tuple[Shard, ...]:
    """Divide the builds among ``count`` machines; equal plans and costs give equal shards."""
    from lambdabuild.plan import shards

    return shards.split(
        shards.chains(index.plan, index.graph),
        shards.estimated(index.plan, index.graph, index.kinds, known),
        count,
    )


def affected(folder: str, variables: Mapping[str, str], since: str) -> tuple[Touched, ...]:
    """Return what the working tree's changes since a git revision touch (``changes.affected``).

    What cannot be read as it was at that revision counts as touched.
    """
    from lambdabuild.changes import affected as changes
    from lambdabuild.changes.revision_files import PastFiles, may_read_differently
    from lambdabuild.core.errors import LambdaBuildError
    from lambdabuild.project_files import ProjectFiles

    files = ProjectFiles(folder)
    run, difference = _open_and_compare(files, variables, since)
    difference = changes.without_outputs(run.project, difference)
    if not difference:
        return ()
    if run.project.service.read.is_repeatable and not may_read_differently(files, difference):
        planned = changes.Planned(run.project.settings, run.project.service, run.index.plan)
        return changes.affected(run, difference, planned, planned)
    now = _as_planned(ProjectFiles(folder), variables)
    before: Planned | Exception
    try:
        before = _as_planned(PastFiles(folder, difference), variables)
    except (LambdaBuildError, OSError) as error:
        before = error
    return changes.affected(run, difference, now, before)


def _open_and_compare(files: ProjectFiles, variables: Mapping[str, str], since: str) -> tuple[Run, Difference]:
    """Open the project while git compares it with a revision; git's mistakes come first."""
    from concurrent.futures import ThreadPoolExecutor

    from lambdabuild.changes.repository import compare
    from lambdabuild.core.errors import LambdaBuildError

    with ThreadPoolExecutor(1) as pool:
        comparing = pool.submit(compare, files.project, since)
        try:
            run = open_project(files.project, variables, files=files)
        except LambdaBuildError:
            comparing.result()
            raise
        return run, comparing.result()


def _as_planned(files: ProjectFiles, variables: Mapping[str, str]) -> Planned:
    """Return the project in these files, planned with manifests as paths, so that only names are looked at."""
    from lambdabuild.changes.affected import Planned
    from lambdabuild.plan import planner
    from lambdabuild.project_loader import load_service
    from lambdabuild.project_planner import region, what_planning_reads
    from lambdabuild.project_settings import read_settings
    from lambdabuild.rulebook.search import find_rules, search_path

    settings = read_settings(files.project, os.environ, variables, files)
    service = load_service(files.project, settings, region(settings, os.environ), os.environ, files)
    rules = find_rules(search_path(files.project, os.environ), files)
    settings = settings.merged_over(service.settings, service.function_names)
    disk = what_planning_reads(files, service, settings)
    return Planned(settings, service, planner.plan(service, rules, disk, lambda choice: choice.manifest, settings))


def cache_dir(environment: Mapping[str, str]) -> str:
    """Return the machine's folder for downloads, shared by all projects: ``~/.cache/lambdabuild`` on Linux."""
    base = environment.get("XDG_CACHE_HOME") or (os.path.expanduser("~/.cache") if sys.platform == "linux" else "")
    if base:
        return os.path.join(base, "lambdabuild")
    from platformdirs import user_cache_dir

    return user_cache_dir("lambdabuild", appauthor=False)


def built_steps_dir(folder: str, settings: Settings, environment: Mapping[str, str]) -> str:
    """Return the machine's cache of built steps: the setting, otherwise a folder next to the downloads."""
    configured = settings.cache.dir
    return os.path.normpath(os.path.join(folder, configured or os.path.join(cache_dir(environment), "cache")))
