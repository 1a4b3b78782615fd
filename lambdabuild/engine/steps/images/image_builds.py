"""A Dockerfile and its context -> an image, by the engine's own builder or by BuildKit."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from lambdabuild.core import tools
from lambdabuild.core.errors import BadImage, ImageFailed, ToolFailed
from lambdabuild.core.model import DockerBuild, Image
from lambdabuild.core.plain import Json
from lambdabuild.core.records import Struct
from lambdabuild.docker import context as contexts
from lambdabuild.docker import engine_api
from lambdabuild.docker.context import EPOCH_SECONDS, Context
from lambdabuild.docker.engine_api import ApiClient, Refused
from lambdabuild.engine.base.run import Run
from lambdabuild.engine.freshness import image_inputs
from lambdabuild.engine.freshness.versions import tool_version
from lambdabuild.engine.steps.images import image_calls
from lambdabuild.plan.types import ImageBuild

OF_DOCKER = (
    "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH",
    "DOCKER_API_VERSION", "DOCKER_DEFAULT_PLATFORM", "SSH_AUTH_SOCK", "BUILDX_BUILDER", "BUILDX_CONFIG",
)  # fmt: skip
"""Variables by which the docker command finds the engine, a builder and credentials."""


class Order(Struct, frozen=True):
    """One build: what is asked of the engine. ``file`` holds the context as a tar."""

    run: Run
    image: ImageBuild
    described: Image
    recipe: DockerBuild
    context: Context
    file: str
    scratch: str
    mark: str

    @property
    def arguments(self) -> dict[str, str]:
        """With a fixed time for tools that know it: https://reproducible-builds.org/docs/source-date-epoch/"""
        return {"SOURCE_DATE_EPOCH": str(EPOCH_SECONDS), **dict(self.recipe.arguments)}


def _failed(order: Order, words: str, tail: str) -> ImageFailed:
    if engine_api.NO_SPACE in words + tail:
        help = "make room on the engine's disk: docker system prune"
    else:
        help = f"correct {order.recipe.dockerfile}, or what it needs in {order.recipe.context}/"
    return ImageFailed(
        f"{image_calls.users_of(order.image)} cannot be built: {words}",
        where=order.described.where,
        tail=tail,
        help=help,
    )


def with_engine(order: Order, engine: ApiClient) -> None:
    """The classic builder, which every engine has."""
    given = _asked(order)
    recipe = order.recipe
    with open(order.file, "rb") as stream:
        try:
            with engine_api.refusals():
                image_calls.follow(
                    engine.build(
                        fileobj=stream, custom_context=True, dockerfile=order.context.dockerfile_inside, tag=order.mark,
                        buildargs=order.arguments | given.pop("buildargs", {}), target=recipe.target or None,
                        platform=recipe.platform or None, cache_from=list(recipe.cache_from) or None, rm=True,
                        forcerm=True, decode=True, timeout=image_calls.timeout(order.run.project), **given,
                    )
                )  # fmt: skip
        except Refused as refused:
            tail = "\n".join(refused.lines[-tools.TAIL_LINES :])
            raise _failed(order, refused.words, tail) from refused


def _pair(text: str) -> dict[str, str]:
    name, _, value = text.partition("=")
    return {name: value}


def _host(text: str) -> dict[str, str]:
    name, _, address = text.replace("=", ":", 1).partition(":")
    return {name: address}


OPTIONS: Mapping[str, tuple[str, Callable[[str], Any] | None]] = {
    "--network": ("network_mode", str),
    "--add-host": ("extra_hosts", _host),
    "--label": ("labels", _pair),
    "--shm-size": ("shmsize", str),
    "--isolation": ("isolation", str),
    "--build-arg": ("buildargs", str),
    "--no-cache": ("nocache", None),
    "--pull": ("pull", None),
    "--squash": ("squash", None),
}
"""Options of ``docker build`` as the classic builder takes them; None needs no value."""
SHOWN_ONLY = ("--progress", "--quiet", "-q", "--rm", "--force-rm", "--load")


def _asked(order: Order) -> Json:
    """The user's own options for the classic builder. Raises BadImage (LB810) for those that only BuildKit has."""
    options, environment = dict[str, Any](), order.run.opened_with.environment
    words = iter(order.recipe.options)
    for word in words:
        name, sign, value = word.partition("=")
        if name in SHOWN_ONLY:
            continue
        if name not in OPTIONS:
            raise BadImage(
                f"{image_calls.users_of(order.image)}: the classic builder has no option {word!r}",
                where=order.described.where,
                help="remove it, or install Docker's buildx, and lambdabuild uses BuildKit",
            )
        key, take = OPTIONS[name]
        if take is None:
            options[key] = value != "false"
            continue
        taken = take(value if sign else next(words, ""))
        if key == "buildargs":
            taken = {taken: environment[taken]} if taken in environment else {}
        options[key] = {**options.get(key, {}), **taken} if isinstance(taken, dict) else taken
    return options


def with_buildkit(order: Order, engine: ApiClient) -> None:
    """By the docker command, for the engine's own interface has no BuildKit."""
    folder, beside = os.path.join(order.scratch, "context"), os.path.join(order.scratch, "dockerfile")
    contexts.unpack(order.file, folder)
    # Docker finds the ignore file by the name of the Dockerfile; what it leaves out is left out already.
    dockerfile = contexts.write_dockerfile(order.context, beside)
    recipe = order.recipe
    secret = {name for name in order.arguments if name not in order.run.opened_with.environment}
    command = ["docker", "build", "--progress=plain", "--tag", order.mark, "--file", dockerfile]
    command += ["--platform", recipe.platform] if recipe.platform else []
    command += ["--target", recipe.target] if recipe.target else []
    command += [f"--cache-from={one}" for one in recipe.cache_from]
    command += [f"--provenance={recipe.provenance}"] if recipe.provenance else []
    for name, value in order.arguments.items():  # a value that is not on the command line is in no message
        command += ["--build-arg", name if name in secret else f"{name}={value}"]
    more = {name: value for name, value in order.arguments.items() if name in secret}
    # An image with attestations is an index, which Lambda does not take.
    more |= {"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    env = tools.environment((*OF_DOCKER, *image_inputs.variables(recipe.options)), more)
    try:
        tools.run(
            [*command, *recipe.options, folder],
            cwd=folder,
            env=env,
            timeout_seconds=image_calls.timeout(order.run.project),
        )
    except ToolFailed as error:
        lines = error.tail.splitlines()[2:]
        raise _failed(order, error.message, "\n".join(lines)) from error


def has_buildkit(run: Run) -> bool:
    """Return whether the docker command is there with its buildx; DOCKER_BUILDKIT, as that reads it, decides before."""
    asked, command = run.opened_with.environment.get("DOCKER_BUILDKIT"), tools.find("docker")
    if asked or command is None:
        return command is not None and asked not in ("0", "false")
    return tool_version(run.stats, "docker buildx version").startswith("github.com/docker/buildx")
