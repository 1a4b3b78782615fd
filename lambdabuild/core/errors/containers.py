"""Errors LB8xx: containers and images."""

from __future__ import annotations

from lambdabuild.core.errors.root import LambdaBuildError


class NoEngine(LambdaBuildError):
    """A container is needed, and no Docker engine answers."""

    code = "LB801"


class NoImage(LambdaBuildError):
    """An image is not there and may not or cannot be pulled, or is for another processor."""

    code = "LB802"


class ImageFailed(LambdaBuildError):
    """A Dockerfile cannot be built."""

    code = "LB803"


class ContainerFailed(LambdaBuildError):
    """A container cannot be started, or it or its engine ended while a tool ran in it."""

    code = "LB804"


class WrongImage(LambdaBuildError):
    """An image has not what it takes to build for a runtime, such as another Python."""

    code = "LB805"


class BadImage(LambdaBuildError):
    """An image function is not described as it can be built: no Dockerfile, an unknown option, two of one name."""

    code = "LB810"


class PushFailed(LambdaBuildError):
    """A registry did not take an image: its credentials, its rights, the network."""

    code = "LB811"


class NoRepository(LambdaBuildError):
    """An image is to be deployed, and nothing says to which repository it goes."""

    code = "LB812"


class RegistryFailed(LambdaBuildError):
    """ECR refused, could not be asked, or has no image of that tag."""

    code = "LB813"
