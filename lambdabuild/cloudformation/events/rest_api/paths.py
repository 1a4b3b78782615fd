"""The tree of resources that paths are made of: one for each part, below those that are there already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lambdabuild.cloudformation.events.rest_api.api import Api
from lambdabuild.cloudformation.events.rest_api.http import Http
from lambdabuild.cloudformation.fragment import Json
from lambdabuild.core import naming


class Tree:
    def __init__(self, api: Api, calls: Sequence[Http]) -> None:
        self.api = api
        given = api.config.get("restApiResources") or {}
        pairs = [(pair["path"], pair["resourceId"]) for pair in given] if isinstance(given, list) else given.items()
        self.known = {path.strip("/"): resource for path, resource in pairs if resource is not None}
        self.calls = calls

    def id_of(self, path: str) -> Any:
        if not path:
            return self.api.root
        return self.known.get(path) or {"Ref": self.logical_id(path)}

    @staticmethod
    def logical_id(path: str) -> str:
        return "ApiGatewayResource" + naming.path(path)

    def resources(self) -> dict[str, Json]:
        """Return all parts of all paths that do not exist yet, parents before children."""
        resources: dict[str, Json] = {}
        for call in self.calls:
            for path in self._missing(call):
                parent, _, part = path.rpartition("/")
                properties = {"ParentId": self.id_of(parent), "PathPart": part, "RestApiId": self.api.id}
                resource = {"Type": "AWS::ApiGateway::Resource", "Properties": properties}
                if resources.setdefault(self.logical_id(path), resource) != resource:
                    raise call.event.bad(
                        f"the path {path!r} has the same logical id as another path", "rename one of them"
                    )
        return resources

    def _missing(self, call: Http) -> list[str]:
        missing: list[str] = []
        path = call.path
        while path and path not in self.known:
            if any(known.startswith(path + "/") for known in self.known):
                raise call.event.bad(
                    f"a path below {path!r} already exists, so it must exist, too",
                    "add it to provider.apiGateway.restApiResources",
                )
            missing.append(path)
            path = path.rpartition("/")[0]
        return missing[::-1]


def method_id(path: str, method: str) -> str:
    return f"ApiGatewayMethod{naming.path(path) if path else ''}{method[:1].upper()}{method[1:].lower()}"
