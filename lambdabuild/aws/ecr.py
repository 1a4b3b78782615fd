"""ECR: how to log in, where a repository is, which image a tag stands for.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lambdabuild.aws import session
from lambdabuild.core.errors import RegistryFailed
from lambdabuild.core.records import Struct


class NewRepository(Struct, frozen=True):
    """How a repository that is not there is made. ``max_image_count`` 0 keeps all images."""

    scan_on_push: bool = False
    max_image_count: int = 0


class Registry:
    """The registry of an account (the credentials' own when ``account`` is "") in a region."""

    def __init__(self, *, account: str = "", region: str = "", profile: str = "", endpoint_url: str = "") -> None:
        self.account = account
        self._client: Any = session.client("ecr", region=region, profile=profile, endpoint_url=endpoint_url)

    def credentials(self) -> dict[str, str]:
        """User and password for push and pull, as docker takes them; they hold for twelve hours."""
        with _failures("log in to ECR"):
            data = self._client.get_authorization_token()["authorizationData"][0]
        user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
        return {"username": user, "password": password}

    def repository(self, name: str, new: NewRepository | None = None) -> str:
        """Return the address of a repository; create a missing one when ``new`` says how."""
        from botocore.exceptions import ClientError

        with _failures(f"find the repository {name!r}"):
            try:
                return self._described(name)
            except ClientError as error:
                if error.response["Error"]["Code"] != "RepositoryNotFoundException" or new is None:
                    raise
        with _failures(f"make the repository {name!r}"):
            return self._made(name, new)

    def _described(self, name: str) -> str:
        answer = self._client.describe_repositories(repositoryNames=[name], **self._of_account())
        return str(answer["repositories"][0]["repositoryUri"])

    def _made(self, name: str, new: NewRepository) -> str:
        from botocore.exceptions import ClientError

        scan = {"scanOnPush": new.scan_on_push}
        try:
            made = self._client.create_repository(
                repositoryName=name, imageScanningConfiguration=scan, **self._of_account()
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "RepositoryAlreadyExistsException":
                raise
            return self._described(name)  # another step, or another run, was sooner
        if new.max_image_count:
            self._client.put_lifecycle_policy(
                repositoryName=name, lifecyclePolicyText=_keep(new.max_image_count), **self._of_account()
            )
        return str(made["repository"]["repositoryUri"])

    def digest(self, repository: str, tag: str) -> str:
        """``sha256:...`` of the image that a tag stands for."""
        with _failures(f"find the image {repository}:{tag}"):
            answer = self._client.describe_images(
                repositoryName=repository, imageIds=[{"imageTag": tag}], **self._of_account()
            )
        return str(answer["imageDetails"][0]["imageDigest"])

    def _of_account(self) -> dict[str, str]:
        return {"registryId": self.account} if self.account else {}


def _keep(count: int) -> str:
    """https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html"""
    rule = {
        "rulePriority": 1,
        "description": f"Keep the last {count} images",
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": count},
        "action": {"type": "expire"},
    }
    return json.dumps({"rules": [rule]})


HELP = {
    "RepositoryNotFoundException": "make it, or set create_repository = true",
    "ImageNotFoundException": "push it first, or correct the tag",
}


@contextmanager
def _failures(what: str) -> Iterator[None]:
    """Whatever AWS refuses is RegistryFailed (LB813)."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        refusal = error.response.get("Error", {})
        help = HELP.get(str(refusal.get("Code")), "check the credentials' rights, and the region")
        raise RegistryFailed(f"cannot {what}: {refusal.get('Message') or error}", help=help) from error
    except BotoCoreError as error:
        raise RegistryFailed(
            f"cannot {what}: {error}", help="check the network, the credentials, region and endpoint_url"
        ) from error
