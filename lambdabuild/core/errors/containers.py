"""Errors LB8xx: containers and images."""

from __future__ import annotations

from lambdabuild.core.errors.root import LambdaBuildError


class NoEngine(LambdaBuildError):
    """A container is needed, and no Docker engine is running."""

    code = "LB801"


class NoImage(LambdaBuildError):
    """An image does not exist and may not or cannot be pulled, or is for a different processor."""

    code = "LB802"


class ImageFailed(LambdaBuildError):
    """A Dockerfile cannot be built."""

    code = "LB803"


class ContainerFailed(LambdaBuildError):
    """A container cannot be started, or it or its engine stopped while a tool was running in it."""

    code = "LB804"


class WrongImage(LambdaBuildError):
    """An image lacks what a runtime needs, such as the right Python."""

    code = "LB805"


class BadImage(LambdaBuildError):
    """An image function cannot be built as described: no Dockerfile, an unknown option, two images of one name."""

    code = "LB810"


class PushFailed(LambdaBuildError):
    """A registry did not accept an image: credentials, permissions, or the network."""

    code = "LB811"


class NoRepository(LambdaBuildError):
    """An image function has no repository to push its image to."""

    code = "LB812"


class RegistryFailed(LambdaBuildError):
    """ECR refused a request, could not be reached, or has no image with that tag."""

    code = "LB813"
