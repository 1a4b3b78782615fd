"""Image functions: an image is built, or found by its fingerprint, and sent; the engine does the work.

An image that is built is called ``lambdabuild/image:FINGERPRINT`` beside its own name, so that equal inputs are never
built twice by one engine, whichever project they stand in.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from lambdabuild.core.errors import CannotRead, ImageFailed, TooLarge
from lambdabuild.core.model import Archive, DockerBuild, Image
from lambdabuild.core.plain import JsonObject
from lambdabuild.core.records import Struct
from lambdabuild.docker import context as contexts
from lambdabuild.docker import engine_api
from lambdabuild.docker.context import Context
from lambdabuild.docker.engine_api import ApiClient, Refused
from lambdabuild.engine.base.plan_index import PlanIndex
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.freshness import image_inputs
from lambdabuild.engine.steps.images import base_images, image_builds, image_calls
from lambdabuild.files import fingerprint
from lambdabuild.plan.types import ImageBuild

MOST_BYTES = 10 * 1024**3
"""Unpacked: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""


class BuiltImage(Struct, frozen=True):
    """``id`` is the engine's own digest of the image, ``size`` in bytes."""

    id: str
    size: int
    fingerprint: str
    bases: Mapping[str, str]
    """The digest of each image that it begins with or copies from."""


def make(run: Run, name: str) -> BuiltImage:
    """Build or load an image, unless the engine has it, and give it its names; the last one's are taken away."""
    image, last = run.index.images[name], str(run.saved(f"image:{name}").get("fingerprint", ""))
    with engine_api.client(image_calls.timeout(run.project)) as engine:
        made = find_or_build(run, image, engine)
        for name in image.local_names:
            repository, _, tag = name.partition(":")
            engine.tag(made.id, repository, tag, force=True)
        if last and last != made.fingerprint:
            image_calls.untag(engine, f"{image_calls.MARK}:{last}")
        return made


def find_or_build(run: Run, image: ImageBuild, engine: ApiClient) -> BuiltImage:
    described = run.index.described_images[image.name]
    if isinstance(described.source, DockerBuild):
        return _built(run, image, described, described.source, engine)
    assert isinstance(described.source, Archive), "an image in a registry is not made"
    digest = fingerprint.of(image_inputs.inputs(run, image))
    mark = f"{image_calls.MARK}:{digest}"
    if image_calls.id_of(engine, mark) is None:
        _load(run.index, image, run.project.path(described.source.path), mark, engine)
    return _inspected(image, engine, mark, digest, {})


def _built(run: Run, image: ImageBuild, described: Image, recipe: DockerBuild, engine: ApiClient) -> BuiltImage:
    known = {
        " ".join(filter(None, (base.name, base.platform))): digest
        for base, digest in base_images.digests(run, image, described, recipe, engine)
    }
    with run.project.scratch() as scratch:
        file = os.path.join(scratch, "context.tar")
        context, own = _written(run, image, file)
        mark_digest = fingerprint.of(own | {f"base:{name}": digest for name, digest in known.items()})
        mark = f"{image_calls.MARK}:{mark_digest}"
        with run.locks.of(mark):  # two functions may need the same under two names
            if image_calls.id_of(engine, mark) is None:
                build = image_builds.with_buildkit if image_builds.has_buildkit(run) else image_builds.with_engine
                build(image_builds.Order(run, image, described, recipe, context, file, scratch, mark), engine)
    return _inspected(image, engine, mark, mark_digest, known)


def _written(run: Run, image: ImageBuild, file: str) -> tuple[Context, dict[str, str]]:
    """The context in one file, with the inputs that are in it: a file that is edited meanwhile is written again."""
    for _ in range(5):
        before = image_inputs.inputs(run, image)
        context = image_inputs.context_of(run, image)
        with open(file, "wb") as stream:
            contexts.write_tar(context, stream)
        if image_inputs.inputs(run, image) == before:
            return context, before
    raise CannotRead(
        f"the image of {image.name!r}: the files in {image.key.place}/ change all the time",
        help="stop what writes there, or leave that out with a line in .dockerignore",
    )


def _inspected(image: ImageBuild, engine: ApiClient, mark: str, digest: str, known: Mapping[str, str]) -> BuiltImage:
    data = engine.inspect_image(mark)
    if data["Size"] > MOST_BYTES:
        raise TooLarge(
            f"{image_calls.users_of(image)} has {data['Size'] / 1e9:.1f} GB, and Lambda takes "
            f"{MOST_BYTES / 1e9:.1f} GB at most",
            help="begin with a smaller image, and copy less into it",
        )
    return BuiltImage(data["Id"], int(data["Size"]), digest, known)


def _load(index: PlanIndex, image: ImageBuild, path: str, mark: str, engine: ApiClient) -> None:
    described = index.described_images[image.name]
    try:
        with open(path, "rb") as stream, engine_api.refusals():
            lines, _ = image_calls.follow(engine.load_image(stream, quiet=True))
    except Refused as refused:
        raise ImageFailed(
            f"{image_calls.users_of(image)} cannot be loaded from {image.key.place}: {refused.words}",
            where=described.where,
            help="make it with docker save",
        ) from refused
    name = next((line.partition(": ")[2].strip() for line in reversed(lines) if line.startswith("Loaded image")), "")
    if not name:
        raise ImageFailed(
            f"{image_calls.users_of(image)}: there is no image in {image.key.place}",
            where=described.where,
            help="make it with docker save",
        )
    repository, _, tag = mark.partition(":")
    engine.tag(name, repository, tag, force=True)


def remove(run: Run, name: str, made: JsonObject) -> None:
    """Take an image's names away; the engine removes what nothing else is made of."""
    image = run.index.images[name]
    with engine_api.client(image_calls.timeout(run.project)) as engine:
        for one in (*image.local_names, f"{image_calls.MARK}:{made.get('fingerprint', '')}"):
            if image_calls.id_of(engine, one) == made.get("id"):
                image_calls.untag(engine, one, keep_layers=False)
