"""Images of a Service -> the images to build: functions whose images are equal share one."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator

from lambdabuild.config.settings import Settings
from lambdabuild.core.errors import BadImage, LambdaBuildError, NoRepository
from lambdabuild.core.model import Archive, DockerBuild, Image, Service
from lambdabuild.core.spans import Span
from lambdabuild.plan.types import ImageBuild, ImageKey


def images(service: Service, settings: Settings) -> tuple[ImageBuild, ...]:
    """Return one image per distinct key, sorted by name."""
    users: dict[ImageKey, list[str]] = defaultdict(list)
    for image in service.images:
        users[_image_key(image, settings)].append(image.name)
    shared = [ImageBuild(min(names), key, tuple(sorted(names))) for key, names in users.items()]
    return tuple(sorted(shared, key=lambda image: image.name))


def _image_key(image: Image, settings: Settings) -> ImageKey:
    own, source = settings.of(image.name), image.source
    tags = tuple(dict.fromkeys((*image.push_tags, *own.image_tags)))
    repository = own.repository or settings.repository or image.repository
    if isinstance(source, Archive):
        return ImageKey("archive", source.path, tag=image.tag, push_tags=tags, repository=repository)
    if not isinstance(source, DockerBuild):
        return ImageKey("tagged", source.uri)
    arguments = json.dumps(source.arguments) if source.arguments else ""
    return ImageKey(
        kind="recipe",
        place=source.context,
        dockerfile=source.dockerfile,
        platform=source.platform,
        arguments=hashlib.sha256(arguments.encode()).hexdigest() if arguments else "",
        target=source.target,
        options=source.options,
        cache_from=source.cache_from,
        provenance=source.provenance,
        tag=image.tag,
        push_tags=tags,
        repository=repository,
    )


def wrong_images(
    service: Service, images: tuple[ImageBuild, ...], settings: Settings
) -> Iterator[tuple[tuple[str, ...], LambdaBuildError]]:
    """Yield each mistake with the functions it concerns: equal local names (LB810), no repository (LB812)."""
    yield from _equal_names(service, images)
    for image in images:
        if settings.bucket and "upload" not in image.steps:
            wrong = NoRepository(
                f"the image of function {image.name!r} is to be deployed, but there is no repository for it",
                where=_where(service, image.name),
                help="set repository in lambdabuild.toml, or in [functions.NAME]; to deploy nothing, name no bucket",
            )
            yield image.users, wrong


def _equal_names(
    service: Service, images: tuple[ImageBuild, ...]
) -> Iterator[tuple[tuple[str, ...], LambdaBuildError]]:
    """Yield the different images that would get one name on this machine."""
    local = [image for image in images if image.key.kind != "tagged"]
    named = [(image.local_name(user), user, image) for image in local for user in image.users]
    last_with_name = {local_name: (user, image) for local_name, user, image in named}
    for local_name, user, image in named:
        other_user, other = last_with_name[local_name]
        if image is not other:
            wrong = BadImage(
                f"the images of {user!r} and {other_user!r} would both be called {local_name}",
                where=(_where(service, user), _where(service, other_user)),
                help="rename one of the functions, or give one of them another tag (DockerTag)",
            )
            yield (user, other_user), wrong


def _where(service: Service, name: str) -> Span:
    return next(image.where for image in service.images if image.name == name)
