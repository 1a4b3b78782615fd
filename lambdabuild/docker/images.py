"""Images of an engine: find, pull and build them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from lambdabuild.core.errors import ImageFailed, NoEngine, NoImage
from lambdabuild.docker.engine_api import TAIL_LINES, Engine, answers, message_of

PROCESSORS = {"x86_64": "amd64", "aarch64": "arm64"}
"""Names of processors as Docker has them."""


def find_image(engine: Engine, name: str) -> str:
    """Return the id of an image that the engine has, "" when it has none.

    Raises NoEngine (LB801) when it does not answer.
    """
    import docker

    try:
        return str(engine.api.inspect_image(name)["Id"])
    except docker.errors.NotFound:
        return ""
    except (docker.errors.DockerException, OSError) as error:
        raise NoEngine(f"the Docker engine at {engine.host} does not answer", tail=message_of(error)) from error


def get_image(engine: Engine, name: str, platform: str, pull: str) -> str:
    """Return the id of an image for a platform, pulled as ``pull`` says (missing, always, never).

    Raises NoImage (LB802).
    """
    import docker

    with answers(engine, f"look for the image {name}"):
        image = {} if pull == "always" else _inspect(engine, name)
        if image and _fits(image, platform):
            return str(image["Id"])
        if pull == "never":
            what = f"is for {image['Os']}/{image['Architecture']}, not {platform}" if image else "is not there"
            raise NoImage(
                f"the image {name} {what}, and may not be pulled",
                help=f'docker pull --platform {platform} {name}, or let it be pulled: pull = "missing" in [container]',
            )
        try:
            _pull(engine, name, platform)
        except docker.errors.APIError as error:
            raise _not_pulled(name, platform, str(error.explanation or error)) from error
        image = _inspect(engine, name)
    if not _fits(image, platform):
        raise _not_pulled(name, platform, f"what came is for {image.get('Os')}/{image.get('Architecture')}")
    return str(image["Id"])


def _inspect(engine: Engine, name: str) -> dict[str, Any]:
    import docker

    try:
        return dict(engine.api.inspect_image(name))
    except docker.errors.NotFound:
        return {}


def _fits(image: Mapping[str, Any], platform: str) -> bool:
    given = str(image.get("Architecture", ""))
    return not platform or PROCESSORS.get(given, given) == platform.split("/")[1]


def _pull(engine: Engine, name: str, platform: str) -> None:
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(name)
    for line in engine.api.pull(repository, tag=tag or "latest", platform=platform, stream=True, decode=True):
        if "error" in line:
            raise _not_pulled(name, platform, line["error"])


def _not_pulled(name: str, platform: str, output: str) -> NoImage:
    return NoImage(
        f"the image {name} for {platform} cannot be pulled",
        tail=output,
        help="correct its name, log in to its registry (docker login), or name another: image, images, dockerfile",
    )


def built_image(
    engine: Engine, label: str, context: IO[bytes], dockerfile: str, platform: str, network: str, shown: str
) -> str:
    """Return the id of the image with a label, built from a context's tar when there is none.

    ``dockerfile`` is the Dockerfile's path in the tar, ``shown`` its name for the user. Raises ImageFailed (LB803).
    """
    key, _, value = label.partition("=")
    with answers(engine, f"build {shown}"):
        there = engine.api.images(filters={"label": label})
        if there:
            return str(there[0]["Id"])
        output: list[str] = []
        lines = engine.api.build(
            fileobj=context,
            custom_context=True,
            dockerfile=dockerfile,
            rm=True,
            forcerm=True,
            labels={key: value},
            platform=platform,
            network_mode=network or None,
            decode=True,
            timeout=None,
        )
        for line in lines:
            output += str(line.get("stream", "")).splitlines()
            if "error" in line:
                raise ImageFailed(
                    f"{shown} cannot be built",
                    tail="\n".join([*filter(str.strip, output[-TAIL_LINES:]), str(line["error"])]),
                    help="the last lines say which instruction failed",
                )
        return str(engine.api.images(filters={"label": label})[0]["Id"])
