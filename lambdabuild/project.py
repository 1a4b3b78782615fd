"""The story, one function each: settings, load, plan, a site on which doit builds. Only this module knows all."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from lambdabuild import template
from lambdabuild.engine import compiled, loader, session
from lambdabuild.engine.site import STATE, Site
from lambdabuild.errors import BadSettings, CannotReadTemplate, CannotWrite
from lambdabuild.files.stat_cache import StatCache
from lambdabuild.model import Service
from lambdabuild.plan import explain, planner
from lambdabuild.plan.claims import Choice
from lambdabuild.plan.types import BuildPlan
from lambdabuild.rulebook.search import find_rules, search_path
from lambdabuild.settings import Settings
from lambdabuild.settings import load as load_settings
from lambdabuild.spans import Span

SETTINGS_FILE = "lambdabuild.toml"
TEMPLATES = ("template.yaml", "template.yml", "template.json")
SERVERLESS = tuple(f"serverless.{extension}" for extension in ("yml", "yaml", "json", "js", "cjs", "mjs", "ts"))


class ProjectFiles:
    """The project's disk as the template loader sees it: paths relative to the project's folder."""

    def __init__(self, project: str) -> None:
        self.project = project

    def read(self, path: str) -> str:
        with open(os.path.join(self.project, path), encoding="utf-8", newline="") as stream:
            return stream.read()

    def text(self, path: str) -> str:
        """A file's text. Raises CannotReadTemplate (LB101)."""
        try:
            return self.read(path)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise CannotReadTemplate(
                f"cannot read {path}: {why}", where=Span(path), mend="make it a readable text file"
            ) from error

    def kind(self, path: str) -> Literal["file", "folder", ""]:
        real = os.path.join(self.project, path)
        return "folder" if os.path.isdir(real) else "file" if os.path.exists(real) else ""


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


def read_settings(folder: str, environment: Mapping[str, str], variables: Mapping[str, str]) -> Settings:
    """Settings of a project: lambdabuild.toml, else [tool.lambdabuild] of pyproject.toml, then what comes later."""
    text, pyproject = _text(folder, SETTINGS_FILE), _text(folder, "pyproject.toml")
    in_pyproject = pyproject is not None and re.search(r"(?m)^\s*\[tool\.lambdabuild\b", pyproject)
    if text is not None and in_pyproject:
        raise BadSettings(
            f"settings stand in both {SETTINGS_FILE} and pyproject.toml",
            where=(Span(SETTINGS_FILE), Span("pyproject.toml")),
            mend="keep one of them",
        )
    if in_pyproject:
        return load_settings("pyproject.toml", pyproject or "", environment, variables, table=("tool", "lambdabuild"))
    return load_settings(SETTINGS_FILE, text or "", environment, variables)


def _text(folder: str, name: str) -> str | None:
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(
            f"cannot read {name}: {error}", where=Span(name), mend="make it a readable text file"
        ) from error


def compile_text(folder: str, variables: Mapping[str, str]) -> str:
    """A serverless.yml's template, with nothing built: artifacts are as last built, or empty."""
    settings = read_settings(folder, os.environ, variables)
    service = load_service(folder, settings, environment=os.environ)
    if service.definition is None:
        raise CannotReadTemplate(
            "compile is for a serverless.yml; a SAM or CloudFormation template passes through as it is written",
            mend="run lambdabuild build, and look at build/packaged-template.yaml",
        )
    return compiled.text_of(service.definition, folder, os.path.join(folder, settings.build_dir))


def write_file(path: str, text: str) -> None:
    """Write a file whole or not at all. Raises CannotWrite (LB504)."""
    from lambdabuild.artifacts.atomic import write_text

    try:
        write_text(path, text)
    except OSError as error:
        raise CannotWrite(
            f"cannot write {path}: {error.strerror}", where=Span(path), mend="name a file in a folder that is there"
        ) from error


def load_service(
    folder: str, settings: Settings, region: str = "", environment: Mapping[str, str] | None = None
) -> Service:
    """text -> Service. ``region`` is what AWS::Region stands for."""
    looked_for = (*TEMPLATES, *SERVERLESS)
    path = settings.template or next((t for t in looked_for if os.path.exists(os.path.join(folder, t))), "")
    if not path:
        raise CannotReadTemplate(
            f"there is no template in {folder}: looked for {', '.join(looked_for)}",
            mend="run in the project's folder, or set template in lambdabuild.toml",
        )
    if os.path.basename(path) in SERVERLESS:
        return _load_serverless(folder, path, settings, os.environ if environment is None else environment)
    return template.load(
        path,
        ProjectFiles(folder),
        parameters=settings.parameters,
        stage=settings.stage,
        root=settings.root,
        region=region,
    )


def _load_serverless(folder: str, path: str, settings: Settings, environment: Mapping[str, str]) -> Service:
    from lambdabuild.outside import Outside
    from lambdabuild.template import serverless

    def aws() -> Any:
        from lambdabuild.aws.lookups import Lookups

        return Lookups(profile=settings.profile, endpoint_url=settings.endpoint_url)

    named = {"stage": settings.stage, "region": settings.region}
    options = {**settings.opt, **{name: value for name, value in named.items() if value}}
    outside = Outside(folder, environment, options, aws, settings.offline)
    given = serverless.Given(settings.stage, settings.region, settings.opt, settings.parameters)
    return serverless.load(path, ProjectFiles(folder).text(path), ProjectFiles(folder), outside, given)


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
        files = (choice.manifest, *choice.lock_files)
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
