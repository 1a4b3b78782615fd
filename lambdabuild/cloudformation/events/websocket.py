"""WebSocket APIs: one for the service, or one that is there already, with a route for each event.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api.html
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Any

from lambdabuild.cloudformation import helpers
from lambdabuild.cloudformation.context import Context, Lambda
from lambdabuild.cloudformation.events.event import Event, after_alias, each
from lambdabuild.cloudformation.fragment import Fragment, Json, allow, compact, joined, without_nothing
from lambdabuild.cloudformation.functions import function_of
from lambdabuild.core import naming
from lambdabuild.core.errors import BadFunction
from lambdabuild.core.records import Struct

API, STAGE, LOG_GROUP = "WebsocketsApi", "WebsocketsDeploymentStage", "WebsocketsLogGroup"
IDENTITY = "route.request.header.Auth"
GATEWAY = "apigateway.amazonaws.com"
SIGNS = {"$": "S", "/": "Slash", "-": "Dash", "_": "Underscore", ".": "Period"}
LOG_FORMAT = (
    "$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime]"
    ' "$context.eventType $context.routeKey $context.connectionId" $context.requestId'
)


def compile(context: Context, events: Sequence[Event]) -> Fragment:
    external = (context.provider.get("apiGateway") or {}).get("websocketApiId")
    api_id: Any = external or {"Ref": API}
    routes = each(events, lambda event: _route(context, event, api_id))
    resources: dict[str, Json] = dict(routes.resources)
    if not external:
        resources = {API: _api(context), **resources}
    deployment_id = f"WebsocketsDeployment{_digest(resources)}"
    if not external:
        resources |= _stage(context, deployment_id)
    deployment: Json = {"ApiId": api_id, "Description": _description(context)}
    deployment |= {"StageName": context.stage} if external else {}
    resources[deployment_id] = {
        "Type": "AWS::ApiGatewayV2::Deployment",
        "Properties": deployment,
        "DependsOn": _routes_of(events),
    }
    manage = allow(
        ["execute-api:ManageConnections"], [{"Fn::Sub": "arn:${AWS::Partition}:execute-api:*:*:*/@connections/*"}]
    )
    functions = {context.roles.owner(event.function): event.function for event in events} if not external else {}
    needs = [need for function in functions.values() for need in context.roles.needs(function, manage)]
    address = [
        "wss://",
        api_id,
        ".execute-api.",
        {"Ref": "AWS::Region"},
        ".",
        {"Ref": "AWS::URLSuffix"},
        f"/{context.stage}",
    ]
    output = {"Description": "URL of the service endpoint", "Value": {"Fn::Join": ["", address]}}
    logged = not external and (context.provider.get("logs") or {}).get("websocket")
    role = helpers.account_role(context) if logged else Fragment()
    return joined([Fragment(resources, {"ServiceEndpointWebsocket": output}, tuple(needs)), role])


def _description(context: Context) -> str:
    return str(context.provider.get("websocketsDescription") or "Serverless Websockets")


def _digest(resources: dict[str, Json]) -> str:
    """Return a digest of what is deployed, so that a change makes a new deployment."""
    digest = hashlib.sha256(compact(dict(sorted(resources.items()))).encode()).digest()
    return re.sub(r"[^0-9a-zA-Z]", "", base64.b64encode(digest).decode())


def _api(context: Context) -> Json:
    provider = context.provider
    tags = provider.get("tags") if (provider.get("websocket") or {}).get("useProviderTags") else None
    properties = without_nothing(
        {
            "Name": provider.get("websocketsApiName") or f"{context.stage}-{context.service}-websockets",
            "RouteSelectionExpression": provider.get("websocketsApiRouteSelectionExpression") or "$request.body.action",
            "Description": _description(context),
            "ProtocolType": "WEBSOCKET",
            "Tags": tags,
        }
    )
    return {"Type": "AWS::ApiGatewayV2::Api", "Properties": properties}


def _stage(context: Context, deployment_id: str) -> dict[str, Json]:
    properties: Json = {
        "ApiId": {"Ref": API},
        "StageName": context.stage,
        "Description": _description(context),
        "DeploymentId": {"Ref": deployment_id},
    }
    resources = {STAGE: {"Type": "AWS::ApiGatewayV2::Stage", "Properties": properties}}
    logs = (context.provider.get("logs") or {}).get("websocket")
    if not logs:
        return resources
    given = logs if isinstance(logs, dict) else {}
    _refuse_bad_logs(context, given)
    level = given.get("level") or "INFO"
    properties["DefaultRouteSettings"] = {
        "DataTraceEnabled": given.get("fullExecutionData", True),
        "LoggingLevel": level if given.get("executionLogging", True) else "OFF",
    }
    if given.get("accessLogging", True):
        group = f"arn:${{AWS::Partition}}:logs:${{AWS::Region}}:${{AWS::AccountId}}:log-group:${{{LOG_GROUP}}}"
        properties["AccessLogSettings"] = {
            "DestinationArn": {"Fn::Sub": group},
            "Format": given.get("format") or LOG_FORMAT,
        }
    group_properties = without_nothing(
        {
            "LogGroupName": f"/aws/websocket/{context.service}-{context.stage}",
            "RetentionInDays": context.provider.get("logRetentionInDays"),
            "DataProtectionPolicy": context.provider.get("logDataProtectionPolicy"),
        }
    )
    return resources | {LOG_GROUP: {"Type": "AWS::Logs::LogGroup", "Properties": group_properties}}


def _refuse_bad_logs(context: Context, given: Json) -> None:
    where = context.definition.at("provider", "logs", "websocket")
    if given.get("executionLogging", True) and given.get("level") not in (None, "INFO", "ERROR"):
        raise BadFunction(
            f"provider.logs.websocket.level is {given['level']!r}",
            where=where,
            help="write INFO or ERROR",
            known_as="WEBSOCKETS_INVALID_LOGS_LEVEL",
        )


# routes


def _route_id(route: str) -> str:
    return "".join(SIGNS.get(sign, sign) for sign in route) + "WebsocketsRoute"


def _routes_of(events: Sequence[Event]) -> list[str]:
    routes: list[str] = []
    for event in events:
        route = _route_id(_key(event))
        routes += [route + "Response", route] if event.get("routeResponseSelectionExpression") else [route]
    return routes


def _key(event: Event) -> str:
    return event.options if isinstance(event.options, str) else str(event.get("route"))


def _route(context: Context, event: Event, api_id: object) -> Fragment:
    function, key = event.function, _key(event)
    authorizer = _authorizer(context, event)
    expression = event.get("routeResponseSelectionExpression")
    integration_id = naming.normal(function.key) + "WebsocketsIntegration"
    properties = without_nothing(
        {
            "ApiId": api_id,
            "RouteKey": key,
            "AuthorizationType": "CUSTOM" if authorizer else "NONE",
            "AuthorizerId": {"Ref": authorizer.logical_id} if authorizer else None,
            "Target": {"Fn::Join": ["/", ["integrations", {"Ref": integration_id}]]},
            "RouteResponseSelectionExpression": expression,
        }
    )
    integration = {"ApiId": api_id, "IntegrationType": "AWS_PROXY", "IntegrationUri": _invocations(function.target)}
    resources = {
        integration_id: after_alias(function, {"Type": "AWS::ApiGatewayV2::Integration", "Properties": integration}),
        _permission_id(function.key): _permission(api_id, function.target, [function.alias_id or function.logical_id]),
        _route_id(key): {"Type": "AWS::ApiGatewayV2::Route", "Properties": properties},
    }
    if expression:
        response = {"ApiId": api_id, "RouteId": {"Ref": _route_id(key)}, "RouteResponseKey": "$default"}
        resources[_route_id(key) + "Response"] = {"Type": "AWS::ApiGatewayV2::RouteResponse", "Properties": response}
    if authorizer:
        resources |= _authorizer_resources(authorizer, api_id)
    return Fragment(resources, where=event.where)


def _invocations(target: object) -> Json:
    start = ["arn:", {"Ref": "AWS::Partition"}, ":apigateway:", {"Ref": "AWS::Region"}]
    return {"Fn::Join": ["", [*start, ":lambda:path/2015-03-31/functions/", target, "/invocations"]]}


def _permission_id(key: str) -> str:
    return naming.normal(key) + "LambdaPermissionWebsockets"


def _permission(api_id: object, target: object, after: Sequence[str]) -> Json:
    depends = [*([api_id["Ref"]] if isinstance(api_id, dict) and "Ref" in api_id else []), *after]
    properties = {"FunctionName": target, "Action": "lambda:InvokeFunction", "Principal": GATEWAY}
    resource: Json = {"Type": "AWS::Lambda::Permission", "Properties": properties}
    return resource | ({"DependsOn": depends} if depends else {})


# authorizers


class Authorizer(Struct, frozen=True):
    """Return the authorizer of connections."""

    name: str
    target: Any
    sources: Sequence[str]
    function: Lambda | None

    @property
    def logical_id(self) -> str:
        return naming.normal(self.name) + "WebsocketsAuthorizer"


def _authorizer(context: Context, event: Event) -> Authorizer | None:
    given = event.get("authorizer")
    if not given:
        return None
    options = given if isinstance(given, dict) else {"arn": given} if ":" in given else {"name": given}
    sources = options.get("identitySource") or [IDENTITY]
    arn = options.get("arn")
    if arn is None:
        function = function_of(context, options["name"], (event.function.key, "events", str(event.index - 1)))
        return Authorizer(function.key, function.target, sources, function)
    if not isinstance(arn, str) and not options.get("name"):
        raise event.bad(
            "the authorizer's arn is known to CloudFormation only, and it has no name",
            "add a name",
            "WEBSOCKETS_MISSING_AUTHORIZER_NAME",
        )
    name = arn.rpartition(":")[2] if isinstance(arn, str) else options["name"]
    return Authorizer(name, arn, sources, None)


def _authorizer_resources(authorizer: Authorizer, api_id: object) -> dict[str, Json]:
    function = authorizer.function
    properties = {
        "ApiId": api_id,
        "Name": authorizer.name,
        "AuthorizerType": "REQUEST",
        "AuthorizerUri": _invocations(authorizer.target),
        "IdentitySource": list(authorizer.sources),
    }
    resource: Json = {"Type": "AWS::ApiGatewayV2::Authorizer", "Properties": properties}
    after = [logical_id for logical_id in (function.logical_id, function.alias_id) if logical_id] if function else []
    return {
        authorizer.logical_id: after_alias(function, resource) if function else resource,
        _permission_id(authorizer.name): _permission(api_id, authorizer.target, after),
    }
