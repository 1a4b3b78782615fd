"""All of this machine that an image depends on, by name."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterable, Mapping

from lambdabuild.docker import context as contexts
from lambdabuild.docker.context import Context
from lambdabuild.engine.base.site import Site
from lambdabuild.files import fingerprint
from lambdabuild.plan.types import ImageBuild


def context_of(site: Site, image: ImageBuild) -> Context:
    """Return the build context that the engine gets."""
    who = f"the image of {image.name!r}"
    folder, dockerfile = site.path(image.key.place), site.path(image.key.dockerfile)
    return contexts.read(folder, dockerfile, site.stats, skip=site.not_source, who=who)


def inputs(site: Site, image: ImageBuild) -> dict[str, str]:
    """All that an image depends on by name, its base images apart, which only the engine knows."""
    key = image.key
    if key.kind == "archive":
        return {f"file:{key.place}": fingerprint.of_file(site.path(key.place), site.stats)}
    found = {
        f"folder:{key.place}": contexts.digest(
            f"image {key.place} {key.dockerfile}", context_of(site, image), site.stats
        ),
        f"file:{key.dockerfile}": fingerprint.of_file(site.path(key.dockerfile), site.stats),
        "platform": key.platform,
        "arguments": key.arguments,
        "target": key.target,
        "options": " ".join(key.options),
        "provenance": key.provenance,
    }
    return found | {f"environment:{name}": _variable(name) for name in variables(key.options)}


def files(site: Site, image: ImageBuild) -> Mapping[str, str]:
    """Return the digests of the files in the context."""
    return contexts.files(context_of(site, image), site.stats)


def variables(options: Iterable[str]) -> list[str]:
    """Build arguments that take their value from the environment: ``--build-arg NAME``."""
    return [value for word, value in itertools.pairwise(options) if word == "--build-arg"]


def _variable(name: str) -> str:
    value = os.environ.get(name)
    return "unset" if value is None else hashlib.sha256(value.encode()).hexdigest()[:32]


def asks_for_tag(site: Site, name: str) -> str:
    """Return why the registry is asked at every run what an image's tag stands for; "" when it need not be."""
    image = site.images.get(name)
    is_tag = image is not None and image.key.kind == "tagged" and not site.settings.offline
    return f"what {image.key.place} stands for is asked at every run" if image is not None and is_tag else ""


def asks_for_bases(site: Site, name: str) -> str:
    """Return why the engine is asked for base images at every run; "" when it need not be."""
    is_built = site.images[name].key.kind == "recipe" and not site.settings.offline
    is_pulled = is_built and site.settings.container_of(name).pull == "always"
    return "base images are asked for at every run" if is_pulled else ""
