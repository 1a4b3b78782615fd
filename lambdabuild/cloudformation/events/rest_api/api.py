"""The provider's settings of the service's REST API."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from lambdabuild.cloudformation.context import Context
from lambdabuild.cloudformation.fragment import Json
from lambdabuild.core.errors import BadFunction
from lambdabuild.core.records import Struct

API, GATEWAY = "ApiGatewayRestApi", "apigateway.amazonaws.com"


class Api(Struct, frozen=True, dict=True):
    context: Context

    @cached_property
    def config(self) -> Json:
        return self.context.provider.get("apiGateway") or {}

    @property
    def is_ours(self) -> bool:
        return not self.config.get("restApiId")

    @property
    def id(self) -> Any:
        return self.config.get("restApiId") or {"Ref": API}

    @property
    def root(self) -> Any:
        """Return the resource of the path ``/``."""
        return self.config.get("restApiRootResourceId") or {"Fn::GetAtt": [API, "RootResourceId"]}

    @property
    def stage(self) -> str:
        return str(self.config.get("stage") or self.context.stage)

    @cached_property
    def source(self) -> Json:
        """Return the ARN of the whole API for permissions."""
        account = [{"Ref": "AWS::Region"}, ":", {"Ref": "AWS::AccountId"}]
        return {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":execute-api:", *account, ":", self.id, "/*/*"]]}

    def bad(self, message: str, help: str, known_as: str) -> BadFunction:
        where = self.context.definition.at("provider", "apiGateway")
        return BadFunction(message, where=where, help=help, known_as=known_as)
