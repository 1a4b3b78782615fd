"""The images that a Dockerfile begins with: their digests, and how they get here."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lambdabuild.core import regular
from lambdabuild.core.errors import NoImage, Offline
from lambdabuild.core.model import DockerBuild, Image
from lambdabuild.docker import engine_api
from lambdabuild.docker.dockerfile import Base, bases
from lambdabuild.docker.engine_api import ApiClient, Refused
from lambdabuild.engine.base.project import Project
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.steps.images import image_calls
from lambdabuild.plan.types import ImageBuild

PROCESSORS = {"x86_64": "amd64", "aarch64": "arm64"}
"""Architectures as images name them -> as Docker names them."""


def digests(
    run: Run, image: ImageBuild, described: Image, recipe: DockerBuild, engine: ApiClient
) -> Iterator[tuple[Base, str]]:
    path = run.project.path(recipe.dockerfile)
    with open(path, encoding="utf-8", errors="replace", opener=regular.opener) as stream:
        text = stream.read()
    host = engine.version()
    builder = f"{host['Os']}/{host['Arch']}"
    for base in bases(text, dict(recipe.arguments), recipe.target, recipe.platform or builder, builder):
        yield base, _digest_of(run.project, image, described, base, engine)


def _digest_of(project: Project, image: ImageBuild, described: Image, base: Base, engine: ApiClient) -> str:
    """Return the current digest of a base image: its registry's, otherwise the engine's own."""
    pull = project.settings.container_of(image.name).pull
    there = _is_there(engine, base.name, base.platform or image.key.platform)
    if (pull == "always" and not project.settings.offline) or (pull != "never" and not there):
        _pull(project, image, described, base, engine)
    elif not there:
        raise NoImage(
            f"{image_calls.users_of(image)}: the base image {base.name} is not there, and pull is {pull!r}",
            where=described.where,
            help=f'docker pull {base.name}, or set pull = "missing" in [container]',
        )
    data = engine.inspect_image(base.name)
    repository = re.sub(r"(?:@.*|:[^:/]*)$", "", base.name)
    digests = [one.partition("@") for one in data.get("RepoDigests") or ()]
    return next((digest for name, _, digest in digests if _same_repository(name, repository)), str(data["Id"]))


def _is_there(engine: ApiClient, name: str, platform: str) -> bool:
    """Return whether the engine has an image, and for this platform; of some it does not know which they are for."""
    if image_calls.id_of(engine, name) is None:
        return False
    given = str(engine.inspect_image(name).get("Architecture") or "")
    return not given or not platform or PROCESSORS.get(given, given) == platform.split("/")[1]


def _same_repository(one: str, other: str) -> bool:
    """``python`` and ``docker.io/library/python`` are one."""
    return one.removeprefix("docker.io/").removeprefix("library/") == other.removeprefix("docker.io/").removeprefix(
        "library/"
    )


def _pull(project: Project, image: ImageBuild, described: Image, base: Base, engine: ApiClient) -> None:
    if project.settings.offline:
        raise Offline(
            f"{image_calls.users_of(image)}: the base image {base.name} is not there, and the run is offline",
            where=described.where,
            help=f"docker pull {base.name} before",
        )
    repository, tag = _split(base.name)
    try:
        with engine_api.refusals():
            events = engine.pull(
                repository, tag=tag, stream=True, decode=True, platform=base.platform or image.key.platform
            )
            image_calls.follow(events)
    except Refused as refused:
        raise NoImage(
            f"{image_calls.users_of(image)}: the base image {base.name} cannot be pulled: {refused.words}",
            where=described.where,
            help="check its name in the Dockerfile, the network, and docker login",
        ) from refused


def _split(name: str) -> tuple[str, str]:
    """Repository and tag; a digest stands for a tag."""
    if "@" in name:
        return name.partition("@")[0], name.partition("@")[2]
    head, _, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return f"{head}/{last}" if head else last, tag or "latest"
