"""A plan as doit task dicts. Arguments are plain data and every step is a task that can be listed, run and cleaned."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Any

from lambdabuild.engine.base.site import Site
from lambdabuild.engine.base.snapshot import SHARED
from lambdabuild.engine.doit import broken
from lambdabuild.engine.freshness.costs import slowest_first
from lambdabuild.engine.freshness.inputs import TEMPLATE, Saved
from lambdabuild.engine.freshness.reasons import Freshness
from lambdabuild.engine.noop.tasks import KINDS, heads
from lambdabuild.engine.steps.actions import clean, perform
from lambdabuild.plan.types import Build, ImageBuild, Pinned

Task = dict[str, Any]


def tasks(site: Site, saved: Saved, left_out: Container[str] = (), named: Iterable[str] = ()) -> Iterator[Task]:
    """Every task of a service: the steps, then the groups that people name (``build:F``, ``layer:L``).

    Slow builds come first, and doit begins with them. Of the units that are ``left_out`` (``observe.units``) there are
    no steps, and only those groups that are ``named``.
    """
    yield from heads()
    for resolution in site.plan.resolutions:
        users = [user for build in resolution.users if build not in left_out for user in site.build(build).users]
        if users:
            yield _step(site, saved, "resolve", resolution.name, [])
        own = {user for build in resolution.users if site.build(build).resolution == resolution.name
               for user in site.build(build).users}  # fmt: skip
        yield from (_alias("resolve", user, resolution.name) for user in users if user in own - {resolution.name})
    for package in site.plan.packages:
        users = [user for build in package.users if build not in left_out for user in site.build(build).users]
        if users:
            yield _step(site, saved, "package", package.name, [])
        yield from (_alias("package", user, package.name) for user in users if user != package.name)
    builds = slowest_first(site, saved, left_out)
    for build in builds:
        yield from _build(site, saved, build, left_out)
    for pinned in site.plan.pinned:
        if pinned.function not in left_out:
            yield from _pinned(site, saved, pinned)
    yield from _sharing(site, saved, left_out)
    for image in site.plan.images:
        if image.name not in left_out:
            yield from _image(site, saved, image)
    for asset in site.plan.assets:
        if asset.name not in left_out:
            yield _step(site, saved, "upload", asset.name, [])
    for name in named:
        kind, _, user = name.partition(":")
        yield {"basename": kind, "name": user, "actions": None}
    if not left_out:
        yield from _publications(site, saved)
    yield from broken.tasks(site)
    if site.service.has_template and not site.plan.broken:
        yield _template(site, saved, builds, left_out)


def _build(site: Site, saved: Saved, build: Build, left_out: Container[str]) -> Iterator[Task]:
    resolved = [f"resolve:{resolution}" for resolution in build.resolutions]
    packaged = [f"package:{build.package}"] if build.package else []
    compiled = [f"compile:{build.name}"] if build.compiles else []
    layers = {layer for sizes in site.sizes.get(build.name, ()) for layer in sizes.layers if layer not in left_out}
    planned = _shared(site, build.name, left_out, "plan")
    after = {
        **({"compile": [*resolved, *packaged]} if build.compiles else {}),
        "copy": [*resolved, *packaged, *compiled, *planned],
        "zip": [f"copy:{build.name}"],
        "hash": [f"zip:{build.name}", *(f"copy:{layer}" for layer in sorted(layers))],
        "upload": [f"hash:{build.name}"],
        "tree": [f"copy:{build.name}", f"zip:{build.name}"],  # of the zip, when a cache has the bytes of the rest
    }
    for kind, before in after.items():
        yield _step(site, saved, kind, build.name, before)
        yield from (_alias(kind, user, build.name) for user in build.users if user != build.name)
    for user in build.users:
        yield {
            "basename": build.group(user),
            "name": user,
            "actions": None,
            "task_dep": [
                *(f"{kind}:{build.name}" for kind in site.wanted(build)),
                *_shared(site, build.name, left_out, *site.sharing_steps[2:]),
                *broken.needed(site, [user]),
            ],
            # What only this one has goes with it; what is shared is cleaned by its own name.
            "clean": [(clean, [site, kind, build.name]) for kind in reversed(after)] if len(build.users) == 1 else [],
            "doc": f"{build.key.source}/ by {build.key.rule}",
        }


def _pinned(site: Site, saved: Saved, pinned: Pinned) -> Iterator[Task]:
    """All there is to do for a version that was published before is to know that it is there."""
    yield _step(site, saved, "upload", pinned.function, [])
    yield {
        "basename": "build",
        "name": pinned.function,
        "actions": None,
        "task_dep": [f"upload:{pinned.function}"],
        "doc": f"version {pinned.version} of {pinned.source}",
    }


def _publications(site: Site, saved: Saved) -> Iterator[Task]:
    """Nobody's need: a layer is published when somebody says so."""
    for one in site.plan.publications:
        yield _step(site, saved, "publish", one.name, [f"upload:{layer}" for layer in one.layers])
        if one.layers != (one.name,):
            group = {"basename": "layer", "name": one.name, "actions": None, "doc": "for each of its architectures"}
            yield group | {"task_dep": [f"layer:{layer}" for layer in one.layers]}


def _shared(site: Site, name: str, left_out: Container[str], *steps: str) -> list[str]:
    """Those of the steps of shared layers that a build needs, if it takes part."""
    return [f"share:{step}" for step in steps] if name in site.sharers and SHARED not in left_out else []


def _sharing(site: Site, saved: Saved, left_out: Container[str]) -> Iterator[Task]:
    """One chain for all shared layers: how many there are is known when the first step has run."""
    if SHARED in left_out:
        return
    resolutions = {sharer.resolution for sharer in site.sharers.values()}
    there = [name for name in resolutions if any(user not in left_out for user in site.resolution(name).users)]
    before = {"plan": [f"resolve:{name}" for name in sorted(there)], "zip": ["share:plan"], "upload": ["share:zip"],
              "tree": ["share:plan"]}  # fmt: skip
    yield from (_step(site, saved, "share", step, before[step]) for step in site.sharing_steps)


def _image(site: Site, saved: Saved, image: ImageBuild) -> Iterator[Task]:
    before: list[str] = []
    for kind in image.steps:
        yield _step(site, saved, kind, image.name, before)
        yield from (_alias(kind, user, image.name) for user in image.users if user != image.name)
        before = [f"{kind}:{image.name}"]
    for user in image.users:
        yield {
            "basename": "build",
            "name": user,
            "actions": None,
            "task_dep": before,
            "clean": [(clean, [site, kind, image.name]) for kind in reversed(image.steps)]
            if len(image.users) == 1
            else [],
            "doc": f"{image.key.place} as an image",
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


def _everything(site: Site, builds: Iterable[Build], left_out: Container[str]) -> list[str]:
    steps = [f"{kind}:{one.name}" for one in builds if one.name not in site.unbuildable for kind in site.wanted(one)]
    steps += [f"share:{step}" for step in site.sharing_steps[2:] if SHARED not in left_out]
    steps += [f"{image.steps[-1]}:{image.name}" for image in site.plan.images if image.name not in left_out]
    others = [*(pinned.function for pinned in site.plan.pinned), *(asset.name for asset in site.plan.assets)]
    return steps + [f"upload:{name}" for name in others if name not in left_out]


def _template(site: Site, saved: Saved, builds: Iterable[Build], left_out: Container[str]) -> Task:
    from lambdabuild.engine.base.template_files import outputs

    step = _step(site, saved, "template", TEMPLATE, _everything(site, builds, left_out))
    del step["name"]
    return {**step, "targets": [*step["targets"], *outputs(site)]}
