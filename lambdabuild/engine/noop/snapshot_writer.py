"""After a run: which units are up to date and what that rests on -> the next run's Snapshot.

Nothing is taken from what the steps meant to do: a unit enters when ``freshness`` finds every step of it up to date,
with the files that it looked at to find that, none of which was touched meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

from lambdabuild.artifacts.trees import TreeRecord
from lambdabuild.core.units import SHARED, TEMPLATE
from lambdabuild.engine.base import snapshot
from lambdabuild.engine.base.receipts import Saved
from lambdabuild.engine.base.site import STRIP, Site, root_above
from lambdabuild.engine.base.snapshot import JOURNAL, PLAN, PROJECT, Snapshot
from lambdabuild.engine.base.step_kind import Step
from lambdabuild.engine.freshness import image_inputs, source_files
from lambdabuild.engine.freshness.reasons import Freshness
from lambdabuild.engine.noop import plan_cache
from lambdabuild.engine.steps.auto_layers import shared_layers
from lambdabuild.files.listing import IGNORE_FILE
from lambdabuild.files.watch import FINE_NS, Group, Seen
from lambdabuild.plan.planner import folders_above, manifest_folders
from lambdabuild.plan.rule_choice import WILD, candidates
from lambdabuild.plan.steps import task_name
from lambdabuild.plan.types import Build, Rule, StepClaims

MANY = 20_000
"""With more files than this in all trees, only the trees' folders are watched: it is the zips that are shipped."""


def renew(site: Site, saved: Saved, shown: Mapping[str, Any]) -> None:
    """Write the snapshot of a run that has ended. ``shown`` is what a run shows though it does nothing."""
    if site.settings.paranoid or site.plan.broken or not site.service.read.is_repeatable:
        return
    if not site.shared.seen and not site.shared.ran:
        return
    names = _variables(site)
    made = Snapshot(site.build_dir, site.given.variables, snapshot.digest(site.given.environment, names), names)
    kept_groups = _clean_groups(site)
    project = kept_groups.get(PROJECT) or _project(site).group(site.given.opened_ns)
    if project is None:
        return
    made.programs = _programs(site)
    made.kept = site.given.kept or plan_cache.write(site.build_dir, (site.service, site.plan, dict(site.rules)))
    made.groups = _groups(site, saved, made) | {PROJECT: project}
    plan = kept_groups.get(PLAN) or _plan(site).group(site.given.opened_ns)
    journal = _journal(site).group(None)
    made.groups |= {name: group for name, group in ((PLAN, plan), (JOURNAL, journal)) if group is not None}
    last = site.given.snapshot if PLAN in kept_groups else None
    made.plans = last.plans if last is not None else {unit: plan_digest(site, unit) for unit in units(site)}
    made.owners = dict(owners(site))
    made.needs = {unit: list(needs) for unit in units(site) if (needs := _needs(site, unit))}
    made.step_counts = {unit: len(steps(site, unit)) for unit in units(site)}
    made.shown = dict(shown)
    made.write()


def _clean_groups(site: Site) -> Mapping[str, Group]:
    """Return the groups that were as the last run left them when this one began."""
    found = site.given.snapshot
    return {name: found.groups[name] for name in found.clean()} if found is not None else {}


def units(site: Site) -> Iterator[str]:
    """Yield all that a run of everything makes."""
    wanted = dict.fromkeys(step.unit for step in site.graph.steps if step.unit and step.unit != TEMPLATE)
    yield from (unit for unit in wanted if unit not in site.unbuildable)
    if site.service.has_template:
        yield TEMPLATE


def settled(site: Site, found: Snapshot) -> frozenset[str]:
    """The units that the snapshot knows to be up to date and the plan says the same of."""
    clean = found.clean()
    if PLAN not in clean:
        clean = frozenset(unit for unit in clean & set(units(site)) if found.plans.get(unit) == plan_digest(site, unit))
    clean -= {PROJECT, PLAN, JOURNAL, TEMPLATE}
    return frozenset(unit for unit in clean if _needs(site, unit) <= clean)


def plan_digest(site: Site, unit: str) -> str:
    """Return a digest of what the plan says about a unit."""
    build = site.builds.get(unit)
    if unit == SHARED:
        return repr(site.plan.sharers)
    if unit in site.images:
        return hashlib.blake2b(repr(site.images[unit]).encode(), digest_size=16).hexdigest()
    if build is None:
        return repr(site.pinned.get(unit))
    package = site.package(build.package).key if build.package else None
    resolutions = [site.resolution(name).key for name in build.resolutions]
    said = repr((build, resolutions, package, site.sources.get(unit), site.sizes.get(unit)))
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


def steps(site: Site, unit: str) -> list[Step]:
    """Return the steps of a unit, as ``(kind, name)``."""
    return [(step.kind, step.name) for step in site.graph.chain(unit)]


def _groups(site: Site, saved: Saved, made: Snapshot) -> dict[str, Group]:
    """For each unit that is up to date what it rests on."""
    last = site.given.snapshot
    found = {unit: last.groups[unit] for unit in site.settled} if last is not None else {}
    seen: dict[str, tuple[Seen, int]] = {}
    if site.shared.ran:  # what was written just now must be known to be older than what follows
        time.sleep(max(0, site.shared.last_ran_ns + 1.1 * FINE_NS - time.time_ns()) / 1e9)
    for unit in units(site):
        if unit not in found:
            observed = _observed(site, unit, saved)
            seen |= {unit: observed} if observed else {}
    records = {name: TreeRecord.read(site.record("tree", name)) for unit in seen for name in _trees(site, unit)}
    count = sum(len(record.rows) for record in records.values() if record)
    made.has_many_files = count > MANY or (last is not None and bool(found) and last.has_many_files)
    for unit, (what, began) in seen.items():
        for name in _trees(site, unit):
            record = records.get(name)
            if record is not None:
                _see_tree(site, name, record, what, made.has_many_files)
        group = what.group(began)
        found |= {unit: group} if group else {}
    return found


def _observed(site: Site, unit: str, saved: Saved) -> tuple[Seen, int] | None:
    """Return the files that a unit's steps depend on, and since when; None if one is stale or was not looked at."""
    wanted = steps(site, unit)
    began = site.given.opened_ns
    if any(step in site.shared.ran for step in wanted):
        began = time.time_ns()
        for kind, name in wanted:
            if not Freshness(site, kind, name, saved)(None, saved(task_name(kind, name))):
                return None
    if any(step not in site.shared.seen for step in wanted):
        return None
    together = Seen()
    for step in wanted:
        together.update(site.shared.seen[step])
    return together, began


def _trees(site: Site, unit: str) -> list[str]:
    """The folders of the build folder that a unit has."""
    if unit == SHARED:
        return [layer.name for layer in shared_layers.decided(site).layers] if "tree" in site.sharing_steps else []
    tree = site.graph.by_task.get(f"tree:{unit}")
    return [unit] if tree is not None and tree.is_wanted else []


def _see_tree(site: Site, name: str, record: TreeRecord, seen: Seen, are_many: bool) -> None:
    top = site.tree(name)
    seen.add(site.record("tree", name))
    for folder in {os.path.dirname(path) for path in record.rows}:
        seen.add_folder(os.path.join(top, folder) if folder else top)
    for path in () if are_many else record.rows:
        seen.add(os.path.join(top, path))


def _project(site: Site) -> Seen:
    """Record the files that loading the project depends on: settings, templates, rules with their code, tools."""
    seen = Seen()
    for path in (snapshot.SETTINGS_FILE, "pyproject.toml", IGNORE_FILE, *site.service.read.files):
        seen.add(site.path(path))
    for folder in {os.path.dirname(rule.folder) for rule in site.rules.values()} | set(site.given.rule_folders):
        seen.add_folder(folder)
    for rule in site.rules.values():
        seen.add_folder(rule.folder)
        seen.add(os.path.join(rule.folder, "rule.toml"))
    with site.stats.watched() as looked_at:
        for rule in _used(site):
            site.shared.rule_digests.pop(rule.name, None)
            site.rule_digest(rule)
    seen.update(looked_at)
    for place in filter(None, _programs(site).values()):
        seen.add(place)
    return seen


def _used(site: Site) -> list[Rule]:
    builds = (*site.plan.builds, *site.plan.packages)
    names = {build.key.rule for build in builds} | {one.key.rule for one in site.plan.resolutions}
    return [site.rules[name] for name in sorted(names)]


def _programs(site: Site) -> dict[str, str | None]:
    """Return the paths of the programs whose versions count."""
    found = {tool for build in site.plan.builds for tool in build.key.command.tools}
    found |= {STRIP for build in site.plan.builds if build.key.strip}
    for rule in _used(site):
        found |= {tool for claims in _claims(rule) for tool in claims.tools}
    path = site.given.environment.get("PATH", "")
    return {name: snapshot.find(name, path) for name in sorted({tool.split()[0] for tool in found})}


def _claims(rule: Rule) -> list[StepClaims]:
    return [claims for claims in (rule.resolve, rule.compile, rule.copy) if claims is not None]


def _plan(site: Site) -> Seen:
    """Record the files that planning depends on: names in folders that may hold manifests, and the manifests."""
    seen, names = Seen(), _names_of_manifests(site)
    sources = {one.source for items in (site.service.functions, site.service.layers) for one in items}
    for folder in manifest_folders(site.service, site.settings):
        if folder in sources or not all(WILD.isdisjoint(name) for name in names):
            seen.add_folder(site.path(folder or "."))
        else:  # what else comes and goes in the project's folder does not matter
            for name in names:
                seen.add(site.path(os.path.join(folder, name)))
    for folder in folders_above(
        site.service,
        site.settings,
        root_above(site.project, site.settings, manifest_folders(site.service, site.settings)),
    ):
        for name in filter(WILD.isdisjoint, names):
            seen.add(site.path(os.path.join(folder, name)))
    for manifest, name, workspace in {one for build in site.plan.builds for one in _manifests(site, build)}:
        for path in source_files.manifest_files(site.rules[name], manifest, workspace):
            if os.path.lexists(site.path(path)):  # that others come is seen by the folder
                seen.add(site.path(path))
    return seen


def _names_of_manifests(site: Site) -> set[str]:
    """All file names, or patterns, that could choose another rule or manifest."""
    rules = tuple(site.rules.values())
    by_name: dict[str, Rule] = {}
    for items in (site.service.functions, site.service.layers):
        for item in items:
            by_name |= {rule.name: rule for rule in candidates(item, site.settings.of(item.name), rules)}
    by_name |= {package.key.rule: site.rules[package.key.rule] for package in site.plan.packages}
    resolvers = {name for rule in by_name.values() for name in rule.resolve_by if name in site.rules}
    by_name |= {name: site.rules[name] for name in resolvers}
    roots = {name for rule in by_name.values() if rule.workspace for name in rule.workspace.files}
    return roots | {name for rule in by_name.values() for name in (*rule.manifests, *rule.lock_files, *rule.companions)}


def _manifests(site: Site, build: Build) -> Iterator[tuple[str, str, str]]:
    """Manifests, each with the name of the rule that reads it and the root of its workspace."""
    if build.key.manifest:
        yield build.key.manifest, build.key.rule, build.key.workspace
    if build.resolution:
        resolution = site.resolution(build.resolution)
        yield resolution.manifest, resolution.key.rule, resolution.key.workspace


def _journal(site: Site) -> Seen:
    seen = Seen()
    seen.add(site.journal)
    return seen


def _variables(site: Site) -> list[str]:
    """Names in the environment that any step or the template asks for."""
    claimed = {name for rule in site.rules.values() for claims in _claims(rule) for name in claims.environment}
    for build in site.plan.builds:
        claimed |= {*StepClaims().environment_with(build.key.options), *build.key.command.environment}
    claimed |= {name for image in site.plan.images for name in image_inputs.variables(image.key.options)}
    return sorted(claimed | set(site.service.read.variables))


def owners(site: Site) -> Iterator[tuple[str, str]]:
    """``build:F`` or ``layer:L``, and the build or image that it has; not of those that cannot be built here."""
    for build in site.plan.builds:
        if build.name not in site.unbuildable:
            yield from ((f"{build.group(user)}:{user}", build.name) for user in build.users)
    yield from ((f"build:{user}", image.name) for image in site.plan.images for user in image.users)
    yield from ((f"build:{pinned.function}", pinned.function) for pinned in site.plan.pinned)


def _needs(site: Site, unit: str) -> set[str]:
    layers = {layer for sizes in site.sizes.get(unit, ()) for layer in sizes.layers}
    return layers | ({SHARED} if unit in site.sharers else set())
