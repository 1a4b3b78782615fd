"""A project's settings -> its Service and BuildPlan: reads from disk what the planner needs, and hands it over."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from lambdabuild._version import __version__
from lambdabuild.core import regular
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.records import replace
from lambdabuild.core.spans import secret_texts
from lambdabuild.engine.base.project import root_above
from lambdabuild.plan import planner
from lambdabuild.plan.workspaces import Disk
from lambdabuild.project_files import ProjectFiles, names_in
from lambdabuild.project_loader import load_service
from lambdabuild.rulebook.search import find_rules

if TYPE_CHECKING:
    from lambdabuild.config.settings import Settings
    from lambdabuild.core.model import Service
    from lambdabuild.engine.noop.plan_cache import Kept
    from lambdabuild.files.stat_cache import StatCache
    from lambdabuild.plan.rule_choice import Choice
    from lambdabuild.plan.types import BuildPlan, Rule


def load_and_plan(
    files: ProjectFiles,
    settings: Settings,
    environment: Mapping[str, str],
    rule_folders: Iterable[str],
    stats: StatCache,
) -> Kept:
    """Return the Service, its plan and the rules by name. Starts no tool.

    Functions and layers with mistakes are ``broken`` in the plan. Raises what is wrong with the whole project.
    """
    return _without_garbage_collection(lambda: _load_and_plan(files, settings, environment, rule_folders, stats))


def _without_garbage_collection(plan: Callable[[], Kept]) -> Kept:
    """Plan with the collector off: all that planning makes lives on, and searching it for garbage doubles the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        return plan()
    finally:
        if was_on:
            gc.enable()


def _load_and_plan(
    files: ProjectFiles,
    settings: Settings,
    environment: Mapping[str, str],
    rule_folders: Iterable[str],
    stats: StatCache,
) -> Kept:
    service = load_service(
        files.project, settings, region(settings, environment), environment, files, keeps_broken=True
    )
    _refuse_what_cannot_be_compiled(service, files.project, stats)
    rules = find_rules(rule_folders, files)
    plan = _plan(files, service, rules, settings.merged_over(service.settings, service.function_names), stats)
    return service, _without_secrets(plan, service), {rule.name: rule for rule in rules}


def region(settings: Settings, environment: Mapping[str, str]) -> str:
    """Return the region of the settings, otherwise that of the environment; "" when neither names one."""
    return settings.region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""


def _refuse_what_cannot_be_compiled(service: Service, folder: str, stats: StatCache) -> None:
    """Raise the mistakes that only the compiler finds, before anything is built.

    The answer is remembered until the file changes.
    """
    definition = service.definition
    if definition is None:
        return

    def compiles() -> bool:
        # The compiler takes 50 ms to import, and only a serverless.yml that changed needs it.
        from lambdabuild.engine.steps.delivery import serverless_outputs

        try:
            serverless_outputs.refuse_what_cannot_be_compiled(definition, folder)
        except LambdaBuildError as error:
            raise error.without(secret_texts(definition.root)) from error
        return True

    stats.metadata(f"compiles {__version__} {definition.digest}", compiles)


def _plan(
    files: ProjectFiles, service: Service, rules: tuple[Rule, ...], settings: Settings, stats: StatCache
) -> BuildPlan:
    disk = what_planning_reads(files, service, settings)
    return planner.plan_of_sound(service, rules, disk, _identify(files.project, stats), settings)


def what_planning_reads(files: ProjectFiles, service: Service, settings: Settings) -> Disk:
    """Return the names of the files in every folder that planning looks at."""
    folders = planner.manifest_folders(service, settings)
    top = root_above(files.project, settings, folders)
    return Disk(names_in(files, folders | planner.folders_above(service, settings, top)), files.read, top)


def _identify(folder: str, stats: StatCache) -> Callable[[Choice], str]:
    def identify(choice: Choice) -> str:
        """Return the digests of a manifest and its lock files, or its path when an equal copy would be different.

        It would be when the manifest belongs to a workspace or names files next to itself.
        """
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
    """Return whether a file has a line that matches ``pattern``; remembered by its digest."""

    def look() -> bool:
        with open(os.path.join(folder, path), encoding="utf-8", errors="replace", opener=regular.opener) as stream:
            return re.search(pattern, stream.read()) is not None

    return bool(pattern) and bool(stats.metadata(f"names files {digest} {pattern}", look))


def _without_secrets(plan: BuildPlan, service: Service) -> BuildPlan:
    """Return the plan with errors that quote no value of the environment or of AWS."""
    secrets = secret_texts(service.definition.root) if service.definition is not None and plan.broken else set()
    if not secrets:
        return plan
    broken = (replace(item, errors=tuple(error.without(secrets) for error in item.errors)) for item in plan.broken)
    return replace(plan, broken=tuple(broken))
