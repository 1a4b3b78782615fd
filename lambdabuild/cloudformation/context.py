"""The input of every compiler: the configuration, its functions with their targets, and the artifacts' places."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeAlias

from lambdabuild.cloudformation.fragment import Json, Need
from lambdabuild.core import naming
from lambdabuild.core.model import Definition
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span

Role: TypeAlias = str | Json | None
"""A role as a template names it: an ARN, a logical id, or an intrinsic function."""
RUNTIME = "nodejs16.x"
"""When nothing is said; the Serverless Framework's, so that a deployed function is not changed."""


class Artifact(Struct, frozen=True):
    """A zip: its key in the bucket (the stack's own when ``bucket`` is ""), and its sha256 in base64.

    Of an image the key is its address with its digest, and the sha256 that digest in hexadecimal.
    """

    key: str
    code_sha256: str
    bucket: str = ""


class Lambda(Struct, frozen=True):
    """One function as other resources see it."""

    key: str
    config: Mapping[str, Any]
    name: str
    """Its physical name."""
    alias: str
    """The name of the alias that everything calls, "" when there is none."""
    alias_id: str
    where: Span

    @property
    def logical_id(self) -> str:
        return naming.function(self.key)

    @property
    def arn(self) -> Json:
        return {"Fn::GetAtt": [self.logical_id, "Arn"]}

    @property
    def is_at_edge(self) -> bool:
        """Return whether CloudFront calls it, so that Lambda@Edge's rules apply."""
        return any(isinstance(event, Mapping) and "cloudFront" in event for event in self.config.get("events") or ())

    @property
    def is_durable(self) -> bool:
        """Return whether its executions outlive a call, so that everything calls a version of it."""
        return self.config.get("durableConfig") is not None

    @property
    def target(self) -> Json:
        """Return what events call: the function, or its alias."""
        return {"Fn::Join": [":", [self.arn, self.alias]]} if self.alias else self.arn


class Roles(Struct, frozen=True, dict=True):
    """Which role each function of a service has: an existing one, one of its own, or the one that is shared."""

    provider: Mapping[str, Any]
    functions: Mapping[str, Lambda]

    @cached_property
    def setting(self) -> str | Json:
        """Return the provider's setting for the role: an existing role, or how to create one."""
        return (self.provider.get("iam") or {}).get("role") or {}

    @cached_property
    def options(self) -> dict[str, Any]:
        """Return the provider's options for the role that is created."""
        return self.setting if isinstance(self.setting, dict) else {}

    def existing(self, function: Lambda) -> Role:
        """Return the existing role that a function or the provider names, None when there is none."""
        existing = self.setting if is_existing_role(self.setting) else None
        return function.config.get("role") or existing or self.provider.get("role")

    def has_own(self, function: Lambda) -> bool:
        """Return whether a role is created for this function alone."""
        return "iamRoleStatements" in function.config or self.needs_no_shared(function)

    def needs_no_shared(self, function: Lambda) -> bool:
        """Return whether its own role replaces the shared one; that of ``iamRoleStatements`` is created in addition."""
        asked = (function.config.get("iam") or {}).get("role")
        each = self.options.get("mode") == "perFunction"
        return bool(asked or (each and not self.existing(function)))

    def of(self, function: Lambda) -> Role:
        """Return the role of a function, None for the shared one. A text is an ARN or a logical id."""
        return naming.own_role(function.key) if self.has_own(function) else self.existing(function)

    def owner(self, function: Lambda) -> str:
        """Return whose role a function has, as ``Need`` names it."""
        return function.key if self.has_own(function) else ""

    def needs(self, function: Lambda, *statements: Json, once: bool = False) -> tuple[Need, ...]:
        """Return the statements as needs of this function's role.

        Those of a function with an existing role go to the shared role, as in deployed stacks.
        """
        return tuple(Need(self.owner(function), statement, once) for statement in statements)

    @cached_property
    def has_shared(self) -> bool:
        """Return whether a role is created that functions share."""
        if not self.functions or is_existing_role(self.setting) or "role" in self.provider:
            return False
        functions = self.functions.values()
        return not all("role" in function.config or self.needs_no_shared(function) for function in functions)


class Context(Struct, frozen=True, dict=True):
    """One service being compiled."""

    definition: Definition
    artifacts: Mapping[str, Artifact]
    """``function:KEY``, ``layer:KEY``, and ``image:KEY`` of a function."""

    @property
    def data(self) -> dict[str, Any]:
        return self.definition.data

    @property
    def service(self) -> str:
        return self.definition.service

    @property
    def stage(self) -> str:
        return self.definition.stage

    @property
    def region(self) -> str:
        return self.definition.region

    @cached_property
    def provider(self) -> dict[str, Any]:
        provider: dict[str, Any] = self.data["provider"]
        return provider

    @cached_property
    def functions(self) -> dict[str, Lambda]:
        """Return the functions by key, in the order of the file, as lists in deployed templates have it."""
        return {key: self._function(key, config) for key, config in (self.data.get("functions") or {}).items()}

    def _function(self, key: str, config: Mapping[str, Any]) -> Lambda:
        if config.get("durableConfig") is not None:
            alias, alias_id = "durable", naming.durable_alias(key)
        elif config.get("provisionedConcurrency"):
            alias, alias_id = "provisioned", naming.provisioned_alias(key)
        elif config.get("snapStart"):
            alias, alias_id = "snapstart", naming.snap_start_alias(key)
        else:
            alias, alias_id = "", ""
        name = config.get("name") or f"{self.service}-{self.stage}-{key}"
        return Lambda(key, config, name, alias, alias_id, self.definition.at("functions", key))

    def runtime_of(self, function: Lambda) -> str:
        """Return the runtime of a function that is not an image."""
        return function.config.get("runtime") or self.provider.get("runtime") or RUNTIME

    @cached_property
    def roles(self) -> Roles:
        return Roles(self.provider, self.functions)

    @cached_property
    def layers(self) -> dict[str, Mapping[str, Any]]:
        return dict(sorted((self.data.get("layers") or {}).items()))

    @cached_property
    def bucket(self) -> str:
        """Return the bucket the service names for its artifacts; "" when the stack creates one."""
        given = self.provider.get("deploymentBucket")
        return (given.get("name") or "") if isinstance(given, dict) else given or ""

    def place(self, artifact: Artifact) -> Json:
        """Return the S3Bucket and S3Key of an artifact."""
        bucket = artifact.bucket or self.bucket
        return {"S3Bucket": bucket or {"Ref": naming.BUCKET}, "S3Key": artifact.key}


def is_existing_role(role: Role) -> bool:
    return isinstance(role, str) or (isinstance(role, dict) and any("::" in key for key in role))
