"""A plan for people (text) and for machines (JSON)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lambdabuild.config.settings import CREDENTIALS, DEFAULT_EXCLUDE
from lambdabuild.core.records import to_builtins
from lambdabuild.core.units import SHARED
from lambdabuild.plan.steps import Graph
from lambdabuild.plan.types import Build, BuildPlan, ImageBuild

USUAL = frozenset((*DEFAULT_EXCLUDE, *CREDENTIALS))
"""Patterns that are shown once for all builds."""


def as_data(plan: BuildPlan) -> dict[str, Any]:
    """Return the plan as JSON data: ``{resolutions, builds, images, assets, skipped, notes}``; equal plans give equal
    data.
    """
    data: dict[str, Any] = to_builtins(plan)
    for group in ("assets", "skipped"):
        data[group] = [
            {key: value for key, value in item.items() if key != "where"} | {"where": str(record.where)}
            for item, record in zip(data[group], getattr(plan, group), strict=True)
        ]
    del data["layer_candidates"]  # each build says whether it is one
    del data["broken"]  # with any there is no plan to show
    del data["has_trees"], data["has_template"]  # its documents say so
    for item in (*data["builds"], *data["resolutions"]):
        item["key"]["options"] = {name: json.loads(value) for name, value in item["key"]["options"]}
    return data


def as_text(plan: BuildPlan, graph: Graph) -> str:
    return "\n".join(_lines(plan, graph)) + "\n"


def _lines(plan: BuildPlan, graph: Graph) -> Iterator[str]:
    for resolution in plan.resolutions:
        key = resolution.key
        yield f"resolve:{resolution.name}  {resolution.manifest}  ({key.rule}, {key.runtime}, {key.architecture})"
        yield from (f"  for {user}" for user in resolution.users)
    for package in plan.packages:
        yield f"package:{package.name}  {package.key.source}/  ({_how(package)})"
        yield from (f"  for {user}" for user in package.users)
    for build in plan.builds:
        yield f"{build.group(build.name)}:{build.name}  {build.key.source}/  ({_how(build)})"
        yield f"  steps: {_chain(graph, build.name)}"
        yield from (f"  shared by {user}" for user in build.users if user != build.name)
        own = [pattern for pattern in build.key.leave_out if pattern not in USUAL]
        if own:
            yield f"  leaves out also: {' '.join(own)}"
        if build.key.leave_out_dependencies:
            yield f"  leaves out of dependencies: {' '.join(build.key.leave_out_dependencies)}"
        if build.key.strip:
            yield "  strips the native files of dependencies"
    for source in plan.sources:
        yield f"source:{source.name}  is published as {source.prefix and source.prefix + '/'}source/VERSION/source.zip"
    yield from (f"build:{pinned.function}  version {pinned.version} of {pinned.source}" for pinned in plan.pinned)
    for publication in plan.publications:
        details = ", ".join(filter(None, (*publication.runtimes, publication.license)))
        yield f"publish:{publication.name}  as {publication.layer_name}" + (f"  ({details})" if details else "")
    for image in plan.images:
        yield f"build:{image.name}  {image.key.dockerfile or image.key.place}  ({_how_made(image)})"
        yield f"  steps: {_chain(graph, image.name)}"
        yield from (f"  shared by {user}" for user in image.users if user != image.name)
    yield from (f"upload:{asset.name}  {asset.source}" for asset in plan.assets)
    yield from (f"left alone: {skipped.name} ({skipped.reason})" for skipped in plan.skipped)
    yield f"left out of every source: {' '.join(DEFAULT_EXCLUDE)}"
    if any(set(CREDENTIALS) <= set(build.key.leave_out) for build in plan.builds):
        yield f"left out of what is shipped as written: {' '.join(CREDENTIALS)}"
    yield from (f"note: {note}" for note in plan.notes)


def _chain(graph: Graph, unit: str) -> str:
    """Return the tasks of a build or an image in the order they run, with the first that its automatic layers need."""
    own = graph.chain(unit)
    needed = {task for step in own for task in step.needs}
    shared = [step for step in graph.by_unit.get(SHARED, ()) if step.task in needed]
    first = [step for step in own if not step.unit]
    return " -> ".join(step.task for step in (*first, *shared, *(step for step in own if step.unit)))


def _how_made(image: ImageBuild) -> str:
    kinds = {"recipe": "image", "archive": "image in a file", "tagged": "image in a registry"}
    parts = [kinds[image.key.kind], image.key.platform, image.key.target]
    parts += [f"to {image.key.repository}" if image.key.repository else ""]
    return ", ".join(part for part in parts if part)


def _how(build: Build) -> str:
    parts = [build.key.rule, build.key.runtime, build.key.architecture]
    parts += [f"{name}={value}" for name, value in build.key.options]
    return ", ".join(part for part in parts if part)
