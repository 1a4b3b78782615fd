"""All of this machine that an image depends on, by name."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from lambdabuild.docker import context as contexts
from lambdabuild.docker.context import Context
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.freshness.versions import variable
from lambdabuild.files import fingerprint
from lambdabuild.plan.types import ImageBuild


def context_of(run: Run, image: ImageBuild) -> Context:
    """Return the build context that the engine gets."""
    who = f"the image of {image.name!r}"
    folder, dockerfile = run.project.path(image.key.place), run.project.path(image.key.dockerfile)
    return contexts.read(folder, dockerfile, run.stats, skip=run.project.not_source, who=who)


def inputs(run: Run, image: ImageBuild) -> dict[str, str]:
    """All that an image depends on by name, its base images apart, which only the engine knows."""
    key = image.key
    if key.kind == "archive":
        return {f"file:{key.place}": fingerprint.of_file(run.project.path(key.place), run.stats)}
    components = {
        f"folder:{key.place}": contexts.digest(
            f"image {key.place} {key.dockerfile}", context_of(run, image), run.stats
        ),
        f"file:{key.dockerfile}": fingerprint.of_file(run.project.path(key.dockerfile), run.stats),
        "platform": key.platform,
        "arguments": key.arguments,
        "target": key.target,
        "options": " ".join(key.options),
        "provenance": key.provenance,
    }
    return components | {f"environment:{name}": variable(run, name) for name in variables(key.options)}


def files(run: Run, image: ImageBuild) -> Mapping[str, str]:
    """Return the digests of the files in the context."""
    return contexts.files(context_of(run, image), run.stats)


def variables(options: Iterable[str]) -> list[str]:
    """Build arguments that take their value from the environment: ``--build-arg NAME``."""
    return [value for word, value in itertools.pairwise(options) if word == "--build-arg"]


def asks_for_tag(run: Run, name: str) -> str:
    """Return why the registry is asked at every run what an image's tag stands for; "" when it need not be."""
    image = run.index.images.get(name)
    is_tag = image is not None and image.key.kind == "tagged" and not run.project.settings.offline
    return f"what {image.key.place} stands for is asked at every run" if image is not None and is_tag else ""


def asks_for_bases(run: Run, name: str) -> str:
    """Return why the engine is asked for base images at every run; "" when it need not be."""
    is_built = run.index.images[name].key.kind == "recipe" and not run.project.settings.offline
    is_pulled = is_built and run.project.settings.container_of(name).pull == "always"
    return "base images are asked for at every run" if is_pulled else ""
