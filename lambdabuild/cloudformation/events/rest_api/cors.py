"""Answers to a browser's question before it calls from another origin: one for each path.

https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-cors.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lambdabuild.cloudformation.events.rest_api.api import Api
from lambdabuild.cloudformation.events.rest_api.http import Http
from lambdabuild.cloudformation.events.rest_api.paths import Tree, method_id
from lambdabuild.cloudformation.fragment import Json

HEADERS = (
    "Content-Type", "X-Amz-Date", "Authorization", "X-Api-Key", "X-Amz-Security-Token", "X-Amz-User-Agent",
    "X-Amzn-Trace-Id",
)  # fmt: skip
ALL_METHODS = "DELETE,GET,HEAD,PATCH,POST,PUT"


def allowed_origin(given: object) -> str:
    """Return the origin that an answer names; several are joined."""
    options = given if isinstance(given, dict) else {}
    return ",".join(options["origins"]) if options.get("origins") else str(options.get("origin") or "*")


def preflights(api: Api, tree: Tree, calls: Sequence[Http]) -> dict[str, Json]:
    """Return one for each path; methods and headers stand in the order of the file, as in the Framework's stacks."""
    resources: dict[str, Json] = {}
    for path in dict.fromkeys(call.path for call in calls if call.event.get("cors")):
        group = [call for call in calls if call.path == path and call.event.get("cors")]
        resources[method_id(path, "options")] = _preflight(api, tree, path, _joined(group))
    return resources


def _joined(calls: Sequence[Http]) -> Json:
    """Merge the CORS settings of all methods of a path; the last one's values come first."""
    headers: list[str] = []
    methods: list[str] = []
    origins: list[str] = []
    joined: Json = {"allowCredentials": False}
    for call in calls:
        given = call.event.get("cors")
        own: Mapping[str, Any] = given if isinstance(given, dict) else {}
        headers = _union(own.get("headers") or HEADERS, headers)
        methods = _union(_methods(own, call.method), methods)
        origins = _union(own.get("origins") or (), origins)
        joined["origin"] = None if own.get("origins") and not own.get("origin") else own.get("origin") or "*"
        joined["allowCredentials"] = joined["allowCredentials"] or bool(own.get("allowCredentials"))
        joined |= {key: own[key] for key in ("maxAge", "cacheControl") if own.get(key)}
    return joined | {"headers": headers, "methods": methods, "origins": origins}


def _methods(own: Mapping[str, Any], method: str) -> list[str]:
    listed = list(own.get("methods") or ()) if own else []
    return list(dict.fromkeys([*listed, "OPTIONS", method]))


def _union(first: Sequence[str], then: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*first, *then]))


def _preflight(api: Api, tree: Tree, path: str, config: Json) -> Json:
    origin, origins = config["origin"], config["origins"]
    if origin and "," in origin:
        origins = [part.strip() for part in origin.split(",")]
    if origins:
        origin = origins[0]
    headers = {
        "Access-Control-Allow-Origin": f"'{origin}'",
        "Access-Control-Allow-Headers": f"'{','.join(config['headers'])}'",
        "Access-Control-Allow-Methods": f"'{','.join(config['methods'])}'".replace("ANY", ALL_METHODS, 1),
    }
    headers |= {"Access-Control-Allow-Credentials": "'true'"} if config["allowCredentials"] else {}
    headers |= {"Access-Control-Max-Age": f"'{config['maxAge']}'"} if config.get("maxAge") else {}
    headers |= {"Cache-Control": f"'{config['cacheControl']}'"} if config.get("cacheControl") else {}
    told = {f"method.response.header.{name}": value for name, value in headers.items()}
    response = {
        "StatusCode": "200",
        "ResponseParameters": told,
        "ResponseTemplates": {"application/json": _choose(origins) if origins else ""},
    }
    properties = {
        "AuthorizationType": "NONE",
        "HttpMethod": "OPTIONS",
        "MethodResponses": [
            {"StatusCode": "200", "ResponseParameters": dict.fromkeys(told, True), "ResponseModels": {}}
        ],
        "RequestParameters": {},
        "Integration": {
            "Type": "MOCK",
            "RequestTemplates": {"application/json": "{statusCode:200}"},
            "ContentHandling": "CONVERT_TO_TEXT",
            "IntegrationResponses": [response],
        },
        "ResourceId": tree.id_of(path),
        "RestApiId": api.id,
    }
    return {"Type": "AWS::ApiGateway::Method", "Properties": properties}


def _choose(origins: Sequence[str]) -> str:
    """Answer with the caller's origin when it is one of these, for the header can name one only. ``*`` is any text."""
    patterns = [origin.replace(".", "[.]").replace("*", ".+", 1) for origin in origins]
    fits = " || ".join(f'$origin.matches("{pattern}")' for pattern in patterns)
    return (
        '#set($origin = $input.params("Origin"))\n'
        '#if($origin == "") #set($origin = $input.params("origin")) #end\n'
        f"#if({fits}) #set($context.responseOverride.header.Access-Control-Allow-Origin = $origin) #end"
    )
