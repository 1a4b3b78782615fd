"""The story, one function each: settings, load, plan, a site on which doit builds. Only this module knows all."""

from __future__ import annotations

import gc
import os
import time

from lambdabuild._version import __version__
from lambdabuild.core import regular
from lambdabuild.engine.base import snapshot

TYPE_CHECKING = False  # as typing has it, without what typing imports at every start
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from lambdabuild.changes.affected import Planned, Touched
    from lambdabuild.config.settings import Settings
    from lambdabuild.core.model import Service
    from lambdabuild.engine.base.site import Site
    from lambdabuild.engine.base.snapshot import Snapshot
    from lambdabuild.engine.noop.doit_command import Asked, Wanted
    from lambdabuild.engine.noop.plan_cache import Kept
    from lambdabuild.files.stat_cache import StatCache
    from lambdabuild.plan.rule_choice import Choice
    from lambdabuild.plan.shards import Costs, Shard
    from lambdabuild.plan.types import BuildPlan
    from lambdabuild.plan.workspaces import Disk
    from lambdabuild.project_loader import ProjectFiles


def doit_project(place: str = ".", **settings: str) -> dict[str, Any]:
    """What a dodo.py needs: ``globals().update(doit_project(__file__))``.

    ``place`` is the dodo.py or the project's folder; ``settings`` stand below doit's own ``key=value`` arguments.
    """
    from doit.doit_cmd import _CMDLINE_VARS  # doit.get_var cannot tell which names were given

    folder = os.path.abspath(place if os.path.isdir(place) else os.path.dirname(place))
    variables = {**settings, **(_CMDLINE_VARS or {})}
    found = _snapshot(folder, variables, os.environ)
    if found is not None:
        from lambdabuild.engine.noop import doit_command

        question = doit_command.by_doit()
        mode = found.mode(variables)
        if question is not None and mode is not None and _is_answered(found, question):
            from lambdabuild.engine.noop import tasks

            return tasks.namespace(found, mode, lambda: _namespace(folder, variables, found))
    return _namespace(folder, variables, found)


def _namespace(folder: str, variables: Mapping[str, str], found: Snapshot | None) -> dict[str, Any]:
    from lambdabuild.engine.doit import loader
    from lambdabuild.engine.noop import doit_command

    question = doit_command.by_doit()
    wanted = question.wanted if question is not None else None
    return loader.namespace(lambda: open_project(folder, variables, found=found, wanted=wanted))


def nothing_to_do(folder: str, variables: Mapping[str, str], asked: list[str]) -> str | None:
    """What to say when all that is asked for (names; none is everything) is up to date, None when it may not.

    Nothing is loaded and no tool started: the last run's snapshot is compared with the files.
    """
    found = _snapshot(folder, variables, os.environ)
    mode = found.mode(variables) if found is not None else None
    if found is None or mode not in ("text", "quiet"):
        return None
    groups = [next((f"{kind}:{name}" for kind in snapshot.GROUPS if f"{kind}:{name}" in found.owners), name)
              for name in asked]  # fmt: skip
    if not found.answers(groups):
        return None
    if mode == "quiet":
        return ""
    notes = [] if asked else [f"note: {note}\n" for note in found.shown["notes"]]
    left_out = 0 if asked else sum(len(one["names"]) for one in found.shown.get("left_out", ()))
    return "".join(notes) + snapshot.nothing_to_do(groups or found.owners, found.steps(groups), left_out) + "\n"


def _snapshot(folder: str, variables: Mapping[str, str], environment: Mapping[str, str]) -> Snapshot | None:
    build_dir = snapshot.build_dir_of(folder, variables, environment)
    return snapshot.read(build_dir, variables, environment) if build_dir is not None else None


def _is_answered(found: Snapshot, question: Asked) -> bool:
    groups = found.shown["groups"]
    return question.is_overview or (
        question.is_plain_run and found.answers(name for name in question.tasks if name not in groups)
    )


def open_project(
    folder: str,
    variables: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    found: Snapshot | None = None,
    wanted: Wanted | None = None,
) -> Site:
    """Load and plan the project in a folder. Starts no tool; hashes nothing that the stat cache knows.

    ``found`` is the last run's snapshot, when it was looked at already. A mistake of one function or layer counts only
    when that is ``wanted``; None is all.
    """
    from lambdabuild.engine.base import ownership
    from lambdabuild.engine.base.journal import check_own
    from lambdabuild.engine.base.site import Given, Site
    from lambdabuild.files.stat_cache import StatCache
    from lambdabuild.project_loader import read_settings
    from lambdabuild.rulebook.search import search_path

    began = time.time_ns()
    environment = os.environ if environment is None else environment
    variables = variables or {}
    settings = read_settings(folder, environment, variables)
    usual = {name: value for name, value in variables.items() if name not in snapshot.NOT_INPUTS}
    build_dir = os.path.normpath(os.path.join(folder, settings.build_dir))
    check_own(os.path.join(build_dir, snapshot.STATE))
    stats = StatCache(os.path.join(build_dir, snapshot.STATE, "stats"), paranoid=settings.paranoid)
    found = None if settings.paranoid else found or snapshot.read(build_dir, variables, environment)
    places = tuple(search_path(folder, environment))
    kept = _kept(build_dir, found)
    service, plan, rules = kept or _uncollected(lambda: _planned(folder, settings, environment, places, stats))
    settings = settings.merged_over(service.settings)
    if plan.broken:
        from lambdabuild.engine.doit import broken
        from lambdabuild.engine.noop import doit_command

        broken.check(plan, wanted or doit_command.Wanted(), settings)
    site = Site(
        project=folder,
        build_dir=build_dir,
        cache_dir=cache_dir(environment),
        built_steps_dir=built_steps_dir(folder, settings, environment),
        settings=settings,
        service=service,
        plan=plan,
        rules=rules,
        stats=stats,
        given=Given(
            dict(variables),
            environment,
            read_settings(folder, environment, usual) if usual != variables else settings,
            places,
            began,
            found,
            found.kept if kept and found else "",
        ),
    )
    ownership.refuse_folders(site)
    return _with_settled(site)


def open_for(
    folder: str, variables: Mapping[str, str], tasks: Sequence[str], *, is_run: bool, keeps_going: bool
) -> Site:
    """The same for a command about some tasks, none for all."""
    from lambdabuild.engine.noop.doit_command import Wanted

    return open_project(folder, variables, wanted=Wanted(tuple(tasks), is_run, keeps_going))


def _kept(build_dir: str, found: Snapshot | None) -> Kept | None:
    """What the last run planned, when all that it rests on is as it was."""
    if found is None or not {snapshot.PROJECT, snapshot.PLAN} <= found.clean():
        return None
    from lambdabuild.engine.noop import plan_cache

    return plan_cache.read(build_dir, found.kept)


def _planned(
    folder: str, settings: Settings, environment: Mapping[str, str], places: tuple[str, ...], stats: StatCache
) -> Kept:
    from lambdabuild.project_loader import load_service
    from lambdabuild.rulebook.search import find_rules

    service = load_service(folder, settings, _region(settings, environment), environment, keeps_broken=True)
    _refuse_what_cannot_be_compiled(service, folder, stats)
    rules = find_rules(places)
    plan = make_plan(folder, service, rules, settings.merged_over(service.settings), stats)
    return service, _without_secrets(plan, service), {rule.name: rule for rule in rules}


def _without_secrets(plan: BuildPlan, service: Service) -> BuildPlan:
    """The plan whose mistakes quote no value that came from the environment or from AWS."""
    from lambdabuild.core.records import replace
    from lambdabuild.core.spans import secret_texts

    secrets = secret_texts(service.definition.root) if service.definition is not None and plan.broken else set()
    if not secrets:
        return plan
    broken = (replace(one, errors=tuple(error.without(secrets) for error in one.errors)) for one in plan.broken)
    return replace(plan, broken=tuple(broken))


def _uncollected(plan: Callable[[], Kept]) -> Kept:
    """All that planning makes lives on, and looking through it for garbage again and again takes half of its time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        return plan()
    finally:
        if was_on:
            gc.enable()


def _region(settings: Settings, environment: Mapping[str, str]) -> str:
    return settings.region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""


def _with_settled(site: Site) -> Site:
    """With what the last run's snapshot knows to be up to date."""
    from lambdabuild.core.records import replace
    from lambdabuild.engine.noop import snapshot_writer

    found = site.given.snapshot
    if found is None:
        return site
    return replace(site, settled=snapshot_writer.settled(site, found))


def _refuse_what_cannot_be_compiled(service: Service, folder: str, stats: StatCache) -> None:
    """Mistakes that only the compiler finds, before anything is built; not again while nothing in the file changed."""
    definition = service.definition
    if definition is None:
        return

    def compiles() -> bool:
        from lambdabuild.core.errors import LambdaBuildError
        from lambdabuild.core.spans import secret_texts
        from lambdabuild.engine.steps.publish import serverless_outputs

        try:
            serverless_outputs.refuse_what_cannot_be_compiled(definition, folder)
        except LambdaBuildError as error:
            raise error.without(secret_texts(definition.root)) from error
        return True

    stats.fact(f"compiles {__version__} {definition.digest}", compiles)


def task_loader(open_site: Callable[[], Site]) -> Any:
    """doit's loader of a project without a dodo.py."""
    from lambdabuild.engine.doit import loader

    return loader.ProjectLoader(open_site)


def refuse_left_out(site: Site, names: Sequence[str]) -> None:
    """Raise NotBuilt (LB305) if one of these is in the template, but nothing is built from it."""
    from lambdabuild.plan import left_out

    left_out.refuse(site.plan, names)


def plan_text(site: Site) -> str:
    """The plan for people."""
    from lambdabuild.engine.steps.auto_layers import shared_report
    from lambdabuild.plan import explain

    return explain.as_text(site.plan) + shared_report.text(site)


def plan_data(site: Site) -> dict[str, Any]:
    """The plan for machines."""
    from lambdabuild.engine.steps.auto_layers import shared_report
    from lambdabuild.plan import explain

    return explain.as_data(site.plan) | {"shared_layers": shared_report.data(site)}


def why(site: Site, name: str) -> str:
    """For each step of a function or layer whether it would run, and because of what; runs nothing."""
    from lambdabuild.engine.base import ownership, session
    from lambdabuild.engine.doit import loader

    ownership.prepare(site)
    text = loader.why_text(site, name, session.saved_outside(site))
    site.stats.save()
    return text


def costs(site: Site, file: str = "") -> Costs:
    """What the steps cost, in milliseconds: as a file says, else as they were recorded here."""
    from lambdabuild.engine.base import session
    from lambdabuild.engine.freshness import costs

    return costs.from_file(file) if file else costs.recorded(site.plan.made, session.saved_outside(site))


def costs_text(site: Site) -> str:
    """The recorded costs as a file."""
    from lambdabuild.engine.freshness import costs as engine_costs

    return engine_costs.as_text(costs(site))


def shards(site: Site, count: int, known: Costs) -> tuple[Shard, ...]:
    """The builds over so many machines; equal plans and costs give equal shards."""
    from lambdabuild.plan import shards

    return shards.split(shards.chains(site.plan), shards.estimated(site.plan, known), count)


def affected(folder: str, variables: Mapping[str, str], since: str) -> tuple[Touched, ...]:
    """What the working tree's difference from a git revision touches: ``changes.affected``.

    What cannot be read as it was counts as touched.
    """
    from lambdabuild.changes import affected as changes
    from lambdabuild.changes.repository import compare
    from lambdabuild.changes.revision_files import PastFiles
    from lambdabuild.core.errors import LambdaBuildError
    from lambdabuild.engine.base import session
    from lambdabuild.project_loader import ProjectFiles

    difference = compare(folder, since)
    site = open_project(folder, variables)
    now = _as_planned(ProjectFiles(folder), variables)
    try:
        before: Any = _as_planned(PastFiles(folder, difference), variables)
    except (LambdaBuildError, OSError) as error:
        before = error
    return changes.affected(site, session.saved_outside(site), difference, now, before)


def _as_planned(files: ProjectFiles, variables: Mapping[str, str]) -> Planned:
    """The project that these files are, planned with manifests as paths, so that only names are looked at."""
    from lambdabuild.changes.affected import Planned
    from lambdabuild.plan import planner
    from lambdabuild.project_loader import load_service, read_settings
    from lambdabuild.rulebook.search import find_rules, search_path

    settings = read_settings(files.project, os.environ, variables, files)
    service = load_service(files.project, settings, _region(settings, os.environ), os.environ, files)
    rules = find_rules(search_path(files.project, os.environ), files)
    disk = _disk(files, service, settings)
    return Planned(settings, service, planner.plan(service, rules, disk, lambda choice: choice.manifest, settings))


def cache_dir(environment: Mapping[str, str]) -> str:
    """The machine's folder for downloads, shared by all projects (XDG base directory specification)."""
    base = environment.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "lambdabuild")


def built_steps_dir(folder: str, settings: Settings, environment: Mapping[str, str]) -> str:
    """The machine's cache of built steps: the setting, else beside the downloads."""
    given = settings.cache.dir
    return os.path.normpath(os.path.join(folder, given or os.path.join(cache_dir(environment), "cache")))


class CacheUpkeep:
    """What ``lambdabuild cache`` asks of the machine's folder; each answer is plain data. No template is read."""

    def __init__(self, folder: str, settings: Settings, environment: Mapping[str, str]) -> None:
        from lambdabuild.cache.folder import FolderCache

        self.settings, self.folder = settings, folder
        self.cache = FolderCache(built_steps_dir(folder, settings, environment))
        self.store = cache_dir(environment)
        self.artifacts = os.path.join(folder, settings.build_dir, ".store")

    @property
    def as_json(self) -> bool:
        return self.settings.format == "json"

    def stats(self) -> Mapping[str, Any]:
        from lambdabuild.cache import upkeep
        from lambdabuild.cache.remote import shown

        remotes = [shown(address) for address in self.settings.cache.remotes]
        return {**upkeep.stats(self.cache), "max_bytes": self.settings.cache.max_bytes, "remotes": remotes}

    def verify(self) -> Mapping[str, Any]:
        """Look at the cache of steps, at the machine's store, and at the project's own folder of artifacts."""
        from lambdabuild.cache import upkeep

        said, found = upkeep.verify(self.cache), upkeep.verify_store(self.store)
        found += [os.path.relpath(path, self.folder) for path in upkeep.verify_artifacts(self.artifacts)]
        return {**said, "store": self.store, "artifacts": self.artifacts, "broken": sorted([*said["broken"], *found])}

    def gc(self, older_than_days: int) -> Mapping[str, Any]:
        """0 days: nothing is too old."""
        from lambdabuild.cache import upkeep

        since = time.time() - older_than_days * 86_400 if older_than_days else 0
        return upkeep.gc(self.cache, self.settings.cache.max_bytes, since)

    def export(self, file: str) -> Mapping[str, Any]:
        from lambdabuild.artifacts.caller_folders import named_file
        from lambdabuild.cache import upkeep

        with named_file(file, self.store) as temporary:
            return {**upkeep.export(self.cache, temporary), "file": file}

    def import_(self, file: str) -> Mapping[str, Any]:
        from lambdabuild.cache import upkeep

        return upkeep.import_(self.cache, file)


def cache_upkeep(folder: str, variables: Mapping[str, str]) -> CacheUpkeep:
    """The machine's cache as a project's settings say; outside of a project as the environment says."""
    from lambdabuild.project_loader import read_settings

    return CacheUpkeep(folder, read_settings(folder, os.environ, variables), os.environ)


def make_plan(folder: str, service: Service, rules: tuple[Any, ...], settings: Settings, stats: StatCache) -> BuildPlan:
    """Service -> BuildPlan: reads file names and digests of manifests, and hands them to the planner.

    Functions and layers with mistakes are ``broken`` in it.
    """
    from lambdabuild.plan import planner
    from lambdabuild.project_loader import ProjectFiles

    disk = _disk(ProjectFiles(folder), service, settings)
    return planner.plan_of_sound(service, rules, disk, _identify(folder, stats), settings)


def _disk(files: ProjectFiles, service: Service, settings: Settings) -> Disk:
    """What planning looks at."""
    from lambdabuild.engine.base.site import root_above
    from lambdabuild.plan import planner
    from lambdabuild.plan.workspaces import Disk

    folders = planner.manifest_folders(service, settings)
    top = root_above(files.project, settings, folders)
    return Disk(_names(files, folders | planner.folders_above(service, settings, top)), files.read, top)


def disk_around(folder: str) -> Disk:
    """What planning looks at for one manifest in a folder, whose own path is ``.``."""
    from lambdabuild.config.settings import Settings
    from lambdabuild.engine.base.site import root_above
    from lambdabuild.plan.workspaces import Disk, above
    from lambdabuild.project_loader import ProjectFiles

    files, top = ProjectFiles(folder), root_above(folder, Settings())
    return Disk(_names(files, (".", *above(".", top))), files.read, top)


def _names(files: ProjectFiles, folders: Iterable[str]) -> dict[str, frozenset[str]]:
    names = {}
    for folder in folders:
        try:
            names[folder] = files.names(folder)
        except OSError:
            continue  # the planner tells, for it knows whose folder it is
    return names


def _identify(folder: str, stats: StatCache) -> Callable[[Choice], str]:
    def identify(choice: Choice) -> str:
        """Equal manifests are one when they stand alone; one that names files beside itself, or that belongs to a
        workspace, is only itself."""
        if choice.workspace:
            return choice.manifest
        files = (choice.manifest, *choice.beside)
        try:
            digests = [stats.digest(os.path.join(folder, path)) for path in files]
        except OSError:
            return choice.manifest
        pattern = choice.rule.local_reference
        if any(_names_files(folder, path, digest, pattern, stats) for path, digest in zip(files, digests, strict=True)):
            return choice.manifest
        return " ".join(digests)

    return identify


def _names_files(folder: str, path: str, digest: str, pattern: str, stats: StatCache) -> bool:
    import re

    def look() -> bool:
        with open(os.path.join(folder, path), encoding="utf-8", errors="replace", opener=regular.opener) as stream:
            return re.search(pattern, stream.read()) is not None

    return bool(pattern) and bool(stats.fact(f"names files {digest} {pattern}", look))
