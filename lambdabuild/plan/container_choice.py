"""Choose the container in which the tools of a function or layer run."""

from __future__ import annotations

import hashlib
import json
import posixpath
from typing import Any, cast

from lambdabuild.config.settings import Settings
from lambdabuild.core.errors import BadSettings
from lambdabuild.core.records import to_builtins
from lambdabuild.plan.types import ContainerKey

AWS_IMAGE = "public.ecr.aws/sam/build-{runtime}:latest-{architecture}"
"""https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-image-repositories.html"""
PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}
NOT_IN_RESULT = frozenset({"platform", "pull"})
"""Settings that are not part of the digest: ``platform`` has a field of its own, and how an image was pulled does not
matter.
"""


def container_key(settings: Settings, name: str, runtime: str, architecture: str) -> ContainerKey:
    """Return the key of the container; the function's settings win over the project's.

    Raise BadSettings (LB107) when nothing names an image.
    """
    own = settings.of(name)
    mode = own.use_container or settings.use_container
    if mode == "false":
        return ContainerKey()
    dockerfile = own.dockerfile or ("" if own.image else settings.dockerfile)
    image = "" if dockerfile else own.image or settings.image or settings.image_of(runtime)
    if not (dockerfile or image or runtime):
        raise BadSettings(
            f"{name!r} is to be built in a container, but has no runtime that would say in which image",
            help=f"name it: [functions.{name}] image = ...",
        )
    container = settings.container_of(name)
    return ContainerKey(
        mode=cast("Any", mode),  # the settings are checked
        image=image or ("" if dockerfile else AWS_IMAGE.format(runtime=runtime, architecture=architecture)),
        dockerfile=posixpath.normpath(dockerfile) if dockerfile else "",
        platform=container.platform or PLATFORMS[architecture],
        rest=_digest({k: v for k, v in to_builtins(container).items() if k not in NOT_IN_RESULT}),
    )


def _digest(data: object) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:32]
