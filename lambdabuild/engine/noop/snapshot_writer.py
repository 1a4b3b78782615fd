"""After a run: which units are up to date and what that rests on -> the next run's Snapshot.

Nothing is taken from what the steps meant to do: a unit enters when every step of it is up to date, by the files that
``freshness`` looked at to find that, or that were looked at for the inputs before the step ran, none of which was
touched since, and what the step made is there as it made it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from lambdabuild.artifacts.trees import TreeRecord
from lambdabuild.core.plain import JsonObject
from lambdabuild.core.units import SHARED, TEMPLATE
from lambdabuild.engine.base import snapshot
from lambdabuild.engine.base.plan_index import STRIP, PlanIndex
from lambdabuild.engine.base.project import Project, journal_file, root_above
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.base.snapshot import JOURNAL, PLAN, PROJECT, Snapshot
from lambdabuild.engine.base.step_kind import Step, kind_of
from lambdabuild.engine.freshness import image_inputs, source_files
from lambdabuild.engine.freshness.reasons import Freshness
from lambdabuild.engine.freshness.versions import rule_digest
from lambdabuild.engine.noop import plan_cache
from lambdabuild.engine.steps.auto_layers import shared_layers
from lambdabuild.files.listing import IGNORE_FILE
from lambdabuild.files.watch import FINE_NS, DependencyTrace, Group, group_of
from lambdabuild.plan.planner import folders_above, manifest_folders
from lambdabuild.plan.rule_choice import WILD, candidates
from lambdabuild.plan.steps import task_name
from lambdabuild.plan.types import Build, Rule, StepClaims

MANY = 20_000
"""With more files than this in all trees, only the trees' folders are watched: it is the zips that are shipped."""


def renew(run: Run, shown: JsonObject) -> None:
    """Write the snapshot of a run that has ended. ``shown`` is what a run shows though it does nothing."""
    if run.project.settings.paranoid or run.index.plan.broken or not run.project.service.read.is_repeatable:
        return
    if not run.progress.seen and not run.progress.ran:
        return
    names = _variables(run)
    made = Snapshot(
        run.project.build_dir, run.opened_with.variables, snapshot.digest(run.opened_with.environment, names), names
    )
    asked = _ask_for_groups(run, made)
    kept_groups = _clean_groups(run)
    project = kept_groups.get(PROJECT) or _project(run).group(run.opened_with.opened_ns)
    if project is None:
        return
    made.programs = _programs(run)
    made.kept = run.opened_with.kept or plan_cache.write(
        run.project.build_dir, (run.project.service, run.index.plan, dict(run.index.rules))
    )
    plan = kept_groups.get(PLAN) or _plan(run).group(run.opened_with.opened_ns)
    journal = _journal(run.project).group(None)
    last = run.opened_with.snapshot if PLAN in kept_groups else None
    made.plans = last.plans if last is not None else {unit: plan_digest(run.index, unit) for unit in units(run)}
    made.owners = dict(owners(run.index))
    made.needs = {unit: list(needs) for unit in units(run) if (needs := _needs(run.index, unit))}
    made.step_counts = {unit: len(steps(run.index, unit)) for unit in units(run)}
    made.shown = dict(shown)
    whole = ((PROJECT, project), (PLAN, plan), (JOURNAL, journal))
    made.groups = asked() | {name: group for name, group in whole if group is not None}
    made.write()


def _clean_groups(run: Run) -> Mapping[str, Group]:
    """Return the groups that were as the last run left them when this one began."""
    last = run.opened_with.snapshot
    return {name: last.groups[name] for name in last.clean()} if last is not None else {}


def units(run: Run) -> Iterator[str]:
    """Yield all that a run of everything makes."""
    wanted = dict.fromkeys(step.unit for step in run.index.graph.steps if step.unit and step.unit != TEMPLATE)
    yield from (unit for unit in wanted if unit not in run.index.unbuildable)
    if run.project.service.has_template:
        yield TEMPLATE


def settled(run: Run, last: Snapshot) -> frozenset[str]:
    """The units that the snapshot knows to be up to date and the plan says the same of."""
    clean = last.clean()
    if PLAN not in clean:
        clean = frozenset(
            unit for unit in clean & set(units(run)) if last.plans.get(unit) == plan_digest(run.index, unit)
        )
    clean -= {PROJECT, PLAN, JOURNAL, TEMPLATE}
    return frozenset(unit for unit in clean if _needs(run.index, unit) <= clean)


def plan_digest(index: PlanIndex, unit: str) -> str:
    """Return a digest of what the plan says about a unit."""
    build = index.builds.get(unit)
    if unit == SHARED:
        return repr(index.plan.layer_candidates)
    if unit in index.images:
        return hashlib.blake2b(repr(index.images[unit]).encode(), digest_size=16).hexdigest()
    if build is None:
        return repr(index.pinned.get(unit))
    package = index.packages[build.package].key if build.package else None
    resolutions = [index.resolutions[name].key for name in build.resolutions]
    text = repr((build, resolutions, package, index.sources.get(unit), index.sizes.get(unit)))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def steps(index: PlanIndex, unit: str) -> list[Step]:
    """Return the steps of a unit, as ``(kind, name)``."""
    return [(step.kind, step.name) for step in index.graph.chain(unit)]


def _ask_for_groups(run: Run, made: Snapshot) -> Callable[[], dict[str, Group]]:
    """Begin to ask what each unit that is up to date rests on; return what waits for the answers."""
    from lambdabuild.engine.processes import chains  # imports doit, which most questions do not need

    last = run.opened_with.snapshot
    groups = {unit: last.groups[unit] for unit in run.settled} if last is not None else {}
    if run.progress.ran:  # what was written just now must be known to be older than what follows
        time.sleep(max(0, run.progress.last_ran_ns + 1.1 * FINE_NS - time.time_ns()) / 1e9)
    wanted = [unit for unit in units(run) if unit not in groups]
    count = sum(_count_files(run, name) for unit in wanted for name in _trees(run, unit))
    made.has_many_files = count > MANY or (last is not None and bool(groups) and last.has_many_files)
    by_forks = chains.ask_owners(run, groups_of, wanted, made.has_many_files)

    def answers() -> dict[str, Group]:
        known = by_forks()
        others = [unit for unit in wanted if unit not in known]
        return groups | known | groups_of(run, others, made.has_many_files)

    return answers


def groups_of(run: Run, wanted: Iterable[str], are_many: bool) -> dict[str, Group]:
    """For each of some units that is up to date what it rests on; asked of the process that ran its steps."""
    groups: dict[str, Group] = {}
    for unit in wanted:
        did_run = not run.progress.ran.isdisjoint(steps(run.index, unit))
        group = _group(run, unit, are_many, asks_again=False) if did_run else None
        group = group or _group(run, unit, are_many, asks_again=did_run)
        groups |= {unit: group} if group else {}
    return groups


def _group(run: Run, unit: str, are_many: bool, *, asks_again: bool) -> Group | None:
    """Return what a unit rests on, None if it is stale, or its files are too young to tell.

    With ``asks_again``, all its steps are asked whether they are up to date: one of them did run.
    """
    now, inputs, outputs = time.time_ns(), DependencyTrace(), DependencyTrace()
    since = [_observe(run, step, asks_again, inputs, outputs) for step in steps(run.index, unit)]
    if None in since:
        return None
    for name in _trees(run, unit):
        if record := TreeRecord.read(run.project.record("tree", name)):
            _see_tree(run.project, name, record, outputs, are_many)
    return group_of([(inputs, min(filter(None, since), default=now)), (outputs, now)])


def _observe(run: Run, step: Step, asks_again: bool, inputs: DependencyTrace, outputs: DependencyTrace) -> int | None:
    """Add the files that a step depends on; return since when its inputs must be untouched, None if it is stale.

    A step that did not run was found up to date since the run began. Of one that ran, the files are those that were
    looked at for its inputs: while nobody has touched them since, asking again would give the same. What it made, and
    a step that is asked again, is looked at now.
    """
    kind, name = step
    values = run.saved(task_name(kind, name))
    if asks_again:
        now = time.time_ns()
        run.progress.seen.pop(step, None)
        if not Freshness(run, kind, name)(None, values) or step not in run.progress.seen:
            return None
        outputs.update(run.progress.seen[step])
        return now
    if step not in run.progress.ran:
        if (seen := run.progress.seen.get(step)) is None:
            return None
        inputs.update(seen)
        return run.opened_with.opened_ns
    trace = run.progress.inputs.get(step)
    if trace is None or values.get("inputs") != trace.fingerprint:
        return None
    row = kind_of(run.index, kind)
    with run.stats.watched() as seen:
        if row.asks_always(run, name) or not row.is_intact(run, name, values):
            return None
    inputs.update(trace.looked_at)
    outputs.update(seen)
    return trace.began_ns


def _count_files(run: Run, name: str) -> int:
    """Return how many files a folder of the build folder has."""
    files = run.saved(task_name("copy", name)).get("files")
    if files is not None:
        return int(files)
    record = TreeRecord.read(run.project.record("tree", name))
    return len(record.rows) if record else 0


def _trees(run: Run, unit: str) -> list[str]:
    """The folders of the build folder that a unit has."""
    if unit == SHARED:
        return [layer.name for layer in shared_layers.decided(run).layers] if "tree" in run.index.sharing_steps else []
    tree = run.index.graph.by_task.get(f"tree:{unit}")
    return [unit] if tree is not None and tree.is_wanted else []


def _see_tree(project: Project, name: str, record: TreeRecord, seen: DependencyTrace, are_many: bool) -> None:
    top = project.tree(name)
    seen.add(project.record("tree", name))
    for folder in {os.path.dirname(path) for path in record.rows}:
        seen.add_folder(os.path.join(top, folder) if folder else top)
    for path in () if are_many else record.rows:
        seen.add(os.path.join(top, path))


def _project(run: Run) -> DependencyTrace:
    """Record the files that loading the project depends on: settings, templates, rules with their code, tools."""
    seen = DependencyTrace()
    for path in (snapshot.SETTINGS_FILE, "pyproject.toml", IGNORE_FILE, *run.project.service.read.files):
        seen.add(run.project.path(path))
    for folder in {os.path.dirname(rule.folder) for rule in run.index.rules.values()} | set(
        run.opened_with.rule_folders
    ):
        seen.add_folder(folder)
    for rule in run.index.rules.values():
        seen.add_folder(rule.folder)
        seen.add(os.path.join(rule.folder, "rule.toml"))
    with run.stats.watched() as looked_at:
        for rule in _used(run.index):
            run.rule_digests.pop(rule.name, None)
            rule_digest(run, rule)
    seen.update(looked_at)
    for place in filter(None, _programs(run).values()):
        seen.add(place)
    return seen


def _used(index: PlanIndex) -> list[Rule]:
    builds = (*index.plan.builds, *index.plan.packages)
    names = {build.key.rule for build in builds} | {one.key.rule for one in index.plan.resolutions}
    return [index.rules[name] for name in sorted(names)]


def _programs(run: Run) -> dict[str, str | None]:
    """Return the paths of the programs whose versions count."""
    tools = {tool for build in run.index.plan.builds for tool in build.key.command.tools}
    tools |= {STRIP for build in run.index.plan.builds if build.key.strip}
    for rule in _used(run.index):
        tools |= {tool for claims in _claims(rule) for tool in claims.tools}
    path = run.opened_with.environment.get("PATH", "")
    return {name: snapshot.find(name, path) for name in sorted({tool.split()[0] for tool in tools})}


def _claims(rule: Rule) -> list[StepClaims]:
    return [claims for claims in (rule.resolve, rule.compile, rule.copy) if claims is not None]


def _plan(run: Run) -> DependencyTrace:
    """Record the files that planning depends on: names in folders that may hold manifests, and the manifests."""
    seen, names = DependencyTrace(), _names_of_manifests(run)
    sources = {one.source for items in (run.project.service.functions, run.project.service.layers) for one in items}
    for folder in manifest_folders(run.project.service, run.project.settings):
        if folder in sources or not all(WILD.isdisjoint(name) for name in names):
            seen.add_folder(run.project.path(folder or "."))
        else:  # what else comes and goes in the project's folder does not matter
            for name in names:
                seen.add(run.project.path(os.path.join(folder, name)))
    for folder in folders_above(
        run.project.service,
        run.project.settings,
        root_above(
            run.project.folder, run.project.settings, manifest_folders(run.project.service, run.project.settings)
        ),
    ):
        for name in filter(WILD.isdisjoint, names):
            seen.add(run.project.path(os.path.join(folder, name)))
    for manifest, name, workspace in {one for build in run.index.plan.builds for one in _manifests(run.index, build)}:
        for path in source_files.manifest_files(run.index.rules[name], manifest, workspace):
            if os.path.lexists(run.project.path(path)):  # that others come is seen by the folder
                seen.add(run.project.path(path))
    return seen


def _names_of_manifests(run: Run) -> set[str]:
    """All file names, or patterns, that could choose another rule or manifest."""
    rules = tuple(run.index.rules.values())
    by_name: dict[str, Rule] = {}
    for items in (run.project.service.functions, run.project.service.layers):
        for item in items:
            by_name |= {rule.name: rule for rule in candidates(item, run.project.settings.of(item.name), rules)}
    by_name |= {package.key.rule: run.index.rules[package.key.rule] for package in run.index.plan.packages}
    resolvers = {name for rule in by_name.values() for name in rule.resolve_by if name in run.index.rules}
    by_name |= {name: run.index.rules[name] for name in resolvers}
    roots = {name for rule in by_name.values() if rule.workspace for name in rule.workspace.files}
    return roots | {name for rule in by_name.values() for name in (*rule.manifests, *rule.lock_files, *rule.companions)}


def _manifests(index: PlanIndex, build: Build) -> Iterator[tuple[str, str, str]]:
    """Manifests, each with the name of the rule that reads it and the root of its workspace."""
    if build.key.manifest:
        yield build.key.manifest, build.key.rule, build.key.workspace
    if build.resolution:
        resolution = index.resolutions[build.resolution]
        yield resolution.manifest, resolution.key.rule, resolution.key.workspace


def _journal(project: Project) -> DependencyTrace:
    seen = DependencyTrace()
    seen.add(journal_file(project))
    return seen


def _variables(run: Run) -> list[str]:
    """Names in the environment that any step or the template asks for."""
    claimed = {name for rule in run.index.rules.values() for claims in _claims(rule) for name in claims.environment}
    for build in run.index.plan.builds:
        claimed |= {*StepClaims().environment_with(build.key.options), *build.key.command.environment}
    claimed |= {name for image in run.index.plan.images for name in image_inputs.variables(image.key.options)}
    return sorted(claimed | set(run.project.service.read.variables))


def owners(index: PlanIndex) -> Iterator[tuple[str, str]]:
    """``build:F`` or ``layer:L``, and the build or image that it has; not of those that cannot be built here."""
    for build in index.plan.builds:
        if build.name not in index.unbuildable:
            yield from ((f"{build.group(user)}:{user}", build.name) for user in build.users)
    yield from ((f"build:{user}", image.name) for image in index.plan.images for user in image.users)
    yield from ((f"build:{pinned.function}", pinned.function) for pinned in index.plan.pinned)


def _needs(index: PlanIndex, unit: str) -> set[str]:
    layers = {layer for sizes in index.sizes.get(unit, ()) for layer in sizes.layers}
    return layers | ({SHARED} if unit in index.candidates else set())
