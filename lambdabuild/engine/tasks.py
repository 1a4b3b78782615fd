"""A plan as doit task dicts. Arguments are plain data and every step is a task that can be listed, run and cleaned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lambdabuild.engine.actions import clean, perform
from lambdabuild.engine.freshness import TEMPLATE, Freshness, Saved
from lambdabuild.engine.site import Site
from lambdabuild.plan.types import Build

KINDS = {
    "resolve": "find and fetch the dependencies of {}",
    "compile": "compile {}",
    "copy": "settle which files go into {}",
    "zip": "write the zip of {}",
    "hash": "take the digest of {} and check its size",
    "upload": "put {} into the artifact store, unless it is there",
    "tree": "write {} as a folder, for sam local",
    "template": "write built-template, packaged-template and manifest.json",
}

Task = dict[str, Any]


def tasks(site: Site, saved: Saved) -> Iterator[Task]:
    """Every task of a service: the steps, then the groups that people name (``build:F``, ``layer:L``)."""
    yield from _heads(site)
    for resolution in site.plan.resolutions:
        yield _step(site, saved, "resolve", resolution.name, [])
        users = (user for build in resolution.users for user in site.build(build).users)
        yield from (_alias("resolve", user, resolution.name) for user in users if user != resolution.name)
    for build in site.plan.builds:
        yield from _build(site, saved, build)
    for asset in site.plan.assets:
        yield _step(site, saved, "upload", asset.name, [])
    yield _template(site, saved)


def _heads(site: Site) -> Iterator[Task]:
    """The groups, so that ``doit list`` says what they are, even those that are empty."""
    for kind, doc in KINDS.items():
        if kind == "template":
            continue  # a task, not a group
        yield {"basename": kind, "name": None, "doc": doc.format("each function and layer")}
    yield {"basename": "build", "name": None, "doc": "build each function: all its steps"}
    yield {"basename": "layer", "name": None, "doc": "build each layer: all its steps"}


def _build(site: Site, saved: Saved, build: Build) -> Iterator[Task]:
    resolved = [f"resolve:{build.resolution}"] if build.resolution else []
    compiled = [f"compile:{build.name}"] if build.compiles else []
    layers = sorted({f"copy:{layer}" for sizes in site.sizes.get(build.name, ()) for layer in sizes.layers})
    after = {
        **({"compile": resolved} if build.compiles else {}),
        "copy": [*resolved, *compiled],
        "zip": [f"copy:{build.name}"],
        "hash": [f"zip:{build.name}", *layers],
        "upload": [f"hash:{build.name}"],
        "tree": [f"copy:{build.name}"],
    }
    for kind, before in after.items():
        yield _step(site, saved, kind, build.name, before)
        yield from (_alias(kind, user, build.name) for user in build.users if user != build.name)
    group = "build" if build.key.kind == "function" else "layer"
    for user in build.users:
        yield {
            "basename": group,
            "name": user,
            "actions": None,
            "task_dep": [f"{kind}:{build.name}" for kind in _wanted(site)],
            # What only this one has goes with it; what is shared is cleaned by its own name.
            "clean": [(clean, [site, kind, build.name]) for kind in reversed(after)] if len(build.users) == 1 else [],
            "doc": f"{build.key.source}/ by {build.key.rule}",
        }


def _step(site: Site, saved: Saved, kind: str, name: str, before: list[str]) -> Task:
    return {
        "basename": kind,
        "name": name,
        "actions": [(perform, [site, kind, name])],
        "task_dep": before,
        "uptodate": [Freshness(site, kind, name, saved)],
        "targets": [site.receipt(kind, name)],
        "clean": [(clean, [site, kind, name])],
        "doc": KINDS[kind].format(name),
        "meta": {"kind": kind, "name": name},
        # Steps print nothing. doit captures by exchanging sys.stdout, which steps on threads would do to one another.
        "io": {"capture": False},
    }


def _alias(kind: str, user: str, owner: str) -> Task:
    """A step that is another's too has a name of its own, so that a person need not know who owns it."""
    return {
        "basename": kind,
        "name": user,
        "actions": None,
        "task_dep": [f"{kind}:{owner}"],
        "doc": f"the same as {kind}:{owner}",
    }


def _wanted(site: Site) -> tuple[str, ...]:
    """What of a build is made without being asked for: trees are what built-template.yaml points at."""
    return ("upload",) if site.service.definition is not None else ("upload", "tree")


def _everything(site: Site) -> list[str]:
    builds = [build for build in site.plan.builds if build.name not in site.unbuildable]
    steps = [f"{kind}:{build.name}" for build in builds for kind in _wanted(site)]
    return steps + [f"upload:{asset.name}" for asset in site.plan.assets]


def _template(site: Site, saved: Saved) -> Task:
    from lambdabuild.engine.publish import outputs

    step = _step(site, saved, "template", TEMPLATE, _everything(site))
    del step["name"]
    return {**step, "targets": [*step["targets"], *outputs(site)]}
