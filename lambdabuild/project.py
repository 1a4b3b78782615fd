"""The story, one function each: settings, load, plan, a site on which doit builds. Only this module knows all."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from lambdabuild import __version__
from lambdabuild.engine import loader, session
from lambdabuild.engine.site import STATE, Site
from lambdabuild.files.stat_cache import StatCache
from lambdabuild.model import Service
from lambdabuild.plan import explain, planner
from lambdabuild.plan.claims import Choice
from lambdabuild.plan.types import BuildPlan
from lambdabuild.reading import load_service, read_settings
from lambdabuild.rulebook.search import find_rules, search_path
from lambdabuild.settings import Settings


def doit_project(place: str = ".", **settings: str) -> dict[str, Any]:
    """What a dodo.py needs: ``globals().update(doit_project(__file__))``.

    ``place`` is the dodo.py or the project's folder; ``settings`` stand below doit's own ``key=value`` arguments.
    """
    from doit.doit_cmd import _CMDLINE_VARS  # doit.get_var cannot tell which names were given

    folder = os.path.abspath(place if os.path.isdir(place) else os.path.dirname(place))
    variables = {**settings, **(_CMDLINE_VARS or {})}
    return loader.namespace(lambda: open_project(folder, variables))


def open_project(
    folder: str, variables: Mapping[str, str] | None = None, environment: Mapping[str, str] | None = None
) -> Site:
    """Load and plan the project in a folder. Starts no tool; hashes nothing that the stat cache knows."""
    environment = os.environ if environment is None else environment
    settings = read_settings(folder, environment, variables or {})
    build_dir = os.path.normpath(os.path.join(folder, settings.build_dir))
    stats = StatCache(os.path.join(build_dir, STATE, "stats"), paranoid=settings.paranoid)
    region = settings.region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""
    service = load_service(folder, settings, region, environment)
    _refuse_what_cannot_be_compiled(service, folder, stats)
    rules = find_rules(search_path(folder, environment))
    return Site(
        project=folder,
        build_dir=build_dir,
        cache_dir=cache_dir(environment),
        settings=settings,
        service=service,
        plan=make_plan(folder, service, rules, settings, stats),
        rules={rule.name: rule for rule in rules},
        stats=stats,
    )


def _refuse_what_cannot_be_compiled(service: Service, folder: str, stats: StatCache) -> None:
    """Mistakes that only the compiler finds, before anything is built; not again while nothing in the file changed."""
    definition = service.definition
    if definition is None:
        return

    def compiles() -> bool:
        from lambdabuild.engine import compiled

        compiled.refuse_what_cannot_be_compiled(definition, folder)
        return True

    stats.fact(f"compiles {__version__} {definition.digest}", compiles)


def task_loader(open_site: Callable[[], Site]) -> Any:
    """doit's loader of a project without a dodo.py."""
    return loader.ProjectLoader(open_site)


def plan_text(site: Site) -> str:
    """The plan for people."""
    return explain.as_text(site.plan)


def plan_data(site: Site) -> dict[str, Any]:
    """The plan for machines."""
    return explain.as_data(site.plan)


def why(site: Site, name: str) -> str:
    """For each step of a function or layer whether it would run, and because of what; runs nothing."""
    text = loader.why_text(site, name, session.saved_outside(site))
    site.stats.save()
    return text


def cache_dir(environment: Mapping[str, str]) -> str:
    """The machine's folder for downloads, shared by all projects (XDG base directory specification)."""
    base = environment.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "lambdabuild")


def make_plan(folder: str, service: Service, rules: tuple[Any, ...], settings: Settings, stats: StatCache) -> BuildPlan:
    """Service -> BuildPlan: reads file names and digests of manifests, and hands them to the planner."""
    names = {}
    for source in planner.manifest_folders(service, settings):
        try:
            names[source] = frozenset(os.listdir(os.path.join(folder, source or ".")))
        except OSError:
            continue  # the planner tells, for it knows whose folder it is
    return planner.plan(service, rules, names, _identify(folder, stats), settings)


def _identify(folder: str, stats: StatCache) -> Callable[[Choice], str]:
    def identify(choice: Choice) -> str:
        """Equal manifests are one when they stand alone; one that names files beside itself is only itself."""
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
    def look() -> bool:
        with open(os.path.join(folder, path), encoding="utf-8", errors="replace") as stream:
            return re.search(pattern, stream.read()) is not None

    return bool(pattern) and bool(stats.fact(f"names files {digest} {pattern}", look))
