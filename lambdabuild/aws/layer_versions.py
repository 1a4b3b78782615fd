"""A layer's versions in Lambda: list, publish, delete, and who may use them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lambdabuild.artifacts.layer_versions import Grant, Version, Wanted
from lambdabuild.aws import session
from lambdabuild.core.errors import CannotPublish

ACTION = "lambda:GetLayerVersion"
RIGHTS = "lambda:ListLayerVersions, lambda:GetLayerVersion, lambda:PublishLayerVersion"
HELP = {
    "AccessDeniedException": f"give the credentials {RIGHTS} and what the message names",
    "InvalidParameterValueException": "correct what the message names in the layer's table or template",
    "ValidationException": "correct what the message names in the layer's table or template",
    "CodeStorageExceededException": "delete old versions of functions and layers (keep = 5 does so for a layer)",
    "RequestEntityTooLargeException": "name a bucket, from which Lambda takes larger zips",
    "UnrecognizedClientException": "check the credentials and the region",
    "InvalidSignatureException": "check the credentials",
    "ExpiredTokenException": "renew the credentials",
}


class LayerVersions:
    """The versions of one layer."""

    def __init__(self, name: str, *, region: str = "", profile: str = "", endpoint_url: str = "") -> None:
        self.name = name
        self._client = session.client("lambda", region=region, profile=profile, endpoint_url=endpoint_url)

    def list(self) -> tuple[Version, ...]:
        """Return all versions, none for a layer that is missing."""
        with self._telling("list the versions of"):
            pages = self._client.get_paginator("list_layer_versions").paginate(LayerName=self.name)
            return tuple(_version(item) for page in pages for item in page.get("LayerVersions", ()))

    def code_sha256(self, number: int) -> str:
        """In base64, as Lambda has it; "" when the version is gone meanwhile."""
        with self._telling(f"look at version {number} of"):
            try:
                version = self._client.get_layer_version(LayerName=self.name, VersionNumber=number)
            except self._client.exceptions.ResourceNotFoundException:
                return ""
            return str(version["Content"]["CodeSha256"])

    def publish(self, wanted: Wanted, content: Mapping[str, Any]) -> Version:
        """Publish a new version and return it. ``content`` is ``{S3Bucket, S3Key}`` or ``{ZipFile: bytes}``."""
        about: dict[str, Any] = {
            "Description": wanted.description,
            "LicenseInfo": wanted.license,
            "CompatibleRuntimes": list(wanted.runtimes),
            "CompatibleArchitectures": list(wanted.architectures),
        }
        with self._telling("publish"):
            answer = self._client.publish_layer_version(
                LayerName=self.name, Content=dict(content), **{key: value for key, value in about.items() if value}
            )
        return _version(answer)

    def delete(self, number: int) -> None:
        with self._telling(f"delete version {number} of"):
            self._client.delete_layer_version(LayerName=self.name, VersionNumber=number)

    def statements(self, number: int) -> frozenset[str]:
        """Return the ids of the statements of a version's policy."""
        with self._telling(f"read the policy of version {number} of"):
            try:
                answer = self._client.get_layer_version_policy(LayerName=self.name, VersionNumber=number)
            except self._client.exceptions.ResourceNotFoundException:
                return frozenset()
        return frozenset(
            str(statement.get("Sid", "")) for statement in json.loads(answer["Policy"]).get("Statement", ())
        )

    def grant(self, number: int, grant: Grant) -> None:
        more = {"OrganizationId": grant.organization} if grant.organization else {}
        with self._telling(f"share version {number} of"):
            try:
                self._client.add_layer_version_permission(
                    LayerName=self.name,
                    VersionNumber=number,
                    StatementId=grant.statement_id,
                    Action=ACTION,
                    Principal=grant.principal,
                    **more,
                )
            except self._client.exceptions.ResourceConflictException:
                pass  # another run was as fast

    def revoke(self, number: int, statement_id: str) -> None:
        with self._telling(f"unshare version {number} of"):
            try:
                self._client.remove_layer_version_permission(
                    LayerName=self.name, VersionNumber=number, StatementId=statement_id
                )
            except self._client.exceptions.ResourceNotFoundException:
                pass  # another run was as fast

    def in_use(self) -> frozenset[int]:
        """Return the versions that a function here, or a published version of one, has."""
        with self._telling("find the functions that use"):
            pages = self._client.get_paginator("list_functions").paginate(FunctionVersion="ALL")
            arns = [
                layer["Arn"]
                for page in pages
                for function in page["Functions"]
                for layer in function.get("Layers") or ()
            ]
        parts = [arn.rsplit(":", 2) for arn in arns]
        return frozenset(int(number) for _, name, number in parts if name == self.name and number.isdigit())

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        """Whatever Lambda refuses, as an error with a way out."""
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        try:
            yield
        except NoCredentialsError as error:
            raise CannotPublish(
                f"cannot {what} layer {self.name}: there are no AWS credentials",
                help="set profile, AWS_PROFILE or AWS_ACCESS_KEY_ID; building needs none",
            ) from error
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            help = HELP.get(code, "see the code that Lambda gave")
            raise CannotPublish(f"cannot {what} layer {self.name}: {error}", help=help) from error
        except BotoCoreError as error:
            help = "check endpoint_url, region and the network"
            raise CannotPublish(f"cannot {what} layer {self.name}: {error}", help=help) from error


def _version(item: Mapping[str, Any]) -> Version:
    return Version(
        number=int(item["Version"]),
        arn=str(item["LayerVersionArn"]),
        description=str(item.get("Description") or ""),
        license=str(item.get("LicenseInfo") or ""),
        runtimes=tuple(item.get("CompatibleRuntimes") or ()),
        architectures=tuple(item.get("CompatibleArchitectures") or ()),
    )
