"""HTTP APIs: one for the service, or one that is there already, with a route for each event.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from lambdabuild.cloudformation.context import Context, Lambda
from lambdabuild.cloudformation.events.event import Event, after_alias, each, permission
from lambdabuild.cloudformation.fragment import Fragment, Json, compact, without_nothing
from lambdabuild.core import naming
from lambdabuild.core.errors import BadFunction
from lambdabuild.core.records import Struct

API, STAGE, LOG_GROUP = "HttpApi", "HttpApiStage", "HttpApiLogGroup"
METHODS = ("ANY", "GET", "POST", "PUT", "PATCH", "OPTIONS", "HEAD", "DELETE")
HEADERS = (
    "Content-Type", "X-Amz-Date", "Authorization", "X-Api-Key", "X-Amz-Security-Token", "X-Amz-User-Agent",
    "X-Amzn-Trace-Id",
)  # fmt: skip
"""Headers that a browser may send by default."""

TIMEOUT_MILLISECONDS = 30_000
LOGGED = {
    "requestId": "$context.requestId", "ip": "$context.identity.sourceIp", "requestTime": "$context.requestTime",
    "httpMethod": "$context.httpMethod", "routeKey": "$context.routeKey", "status": "$context.status",
    "protocol": "$context.protocol", "responseLength": "$context.responseLength",
}  # fmt: skip


class Api(Struct, frozen=True, dict=True):
    """The provider's settings of the service's HTTP API."""

    context: Context

    @cached_property
    def config(self) -> Json:
        return self.context.provider.get("httpApi") or {}

    @property
    def id(self) -> Any:
        """Return the id of the API: an existing one, or ours."""
        return self.config.get("id") or {"Ref": API}

    @property
    def is_ours(self) -> bool:
        return not self.config.get("id")

    @cached_property
    def authorizers(self) -> Mapping[str, Json]:
        return self.config.get("authorizers") or {}

    @cached_property
    def log_format(self) -> str:
        """Return the log format; "" when nothing is logged."""
        given = (self.context.provider.get("logs") or {}).get("httpApi")
        if not given:
            return ""
        return (given.get("format") if isinstance(given, dict) else None) or compact(LOGGED)

    def bad(self, message: str, help: str, known_as: str, *path: str) -> BadFunction:
        where = self.context.definition.at("provider", *(path or ("httpApi",)))
        return BadFunction(message, where=where, help=help, known_as=known_as)


def compile(context: Context, events: Sequence[Event]) -> Fragment:
    api = Api(context)
    _refuse_what_only_ours_has(api)
    keys = [key for key, _ in _route_keys(events)]
    resources: dict[str, Json] = {}
    outputs: dict[str, Json] = {}
    if api.is_ours:
        resources |= {API: _api(api, keys), STAGE: _stage(api)}
        resources |= {LOG_GROUP: _log_group(context)} if api.log_format else {}
        outputs = _outputs()
    for name, authorizer in sorted(api.authorizers.items()):
        resources |= _authorizer(api, name, authorizer)
    routes = each(events, lambda event: _route(api, event))
    return Fragment({**resources, **routes.resources}, outputs)


def _refuse_what_only_ours_has(api: Api) -> None:
    if api.is_ours:
        return
    given = {"CORS": api.config.get("cors"), "AUTHORIZERS": api.config.get("authorizers"), "LOGS": api.log_format}
    for word, value in given.items():
        if value:
            raise api.bad(
                f"this service cannot add {word.lower()} to an HTTP API that already exists",
                "remove them here, and set them where the API is made", f"EXTERNAL_HTTP_API_{word}_CONFIG",
            )  # fmt: skip


# routes


def _route_keys(events: Sequence[Event]) -> list[tuple[str, Event]]:
    """Return each event's route (``GET /a/{b}``, ``*`` for all others). Raise an error for equal routes."""
    by_route: dict[str, Event] = {}
    for event in events:
        key = _route_key(event)
        if key in by_route and key != "*":
            raise event.bad(
                f"the route {key!r} is already used", "give it another path", "DUPLICATE_HTTP_API_ROUTE",
                beside=by_route[key],
            )  # fmt: skip
        by_route[key] = event
    return list(by_route.items())


def _route_key(event: Event) -> str:
    method, path = _method_and_path(event)
    if path == "*":
        if method and method != "*":
            raise event.bad(
                "the path * is that of all that nothing else matches, whatever the method", "remove the method",
                "INVALID_HTTP_API_PATH",
            )  # fmt: skip
        return "*"
    if not method:
        raise event.bad("its method is missing", "add method: GET, or * for all", "MISSING_HTTP_API_METHOD")
    method = "ANY" if method == "*" else method.upper()
    if method not in METHODS:
        raise event.bad(f"there is no method {method}", f"write one of {', '.join(METHODS)}", "INVALID_HTTP_API_METHOD")
    return f"{method} {path}"


def _method_and_path(event: Event) -> tuple[str, str]:
    if not isinstance(event.options, str):
        return event.get("method", ""), event.get("path", "")
    if event.options == "*":
        return "", "*"
    match = re.fullmatch(r"([a-zA-Z]+|\*)\s+(/\S*)", event.options)
    if match is None:
        raise event.bad(f"{event.options!r} is not a route", "write METHOD /path, or *")
    return match[1], match[2]


def _route(api: Api, event: Event) -> Fragment:
    function, key = event.function, _route_key(event)
    integration = "HttpApiIntegration" + naming.normal(function.key)
    properties: Json = {
        "ApiId": api.id,
        "RouteKey": "$default" if key == "*" else key,
        "Target": {"Fn::Join": ["/", ["integrations", {"Ref": integration}]]},
        **_authorization(api, event),
    }
    route = {"Type": "AWS::ApiGatewayV2::Route", "Properties": properties, "DependsOn": integration}
    allowed = naming.normal(function.key) + "LambdaPermissionHttpApi"
    return Fragment(
        {
            "HttpApiRouteDefault" if key == "*" else "HttpApiRoute" + naming.path(key): route,
            integration: _integration(api, function),
            allowed: permission(function, "apigateway.amazonaws.com", SourceArn=_source(api)),
        },
        where=event.where,
    )


def _integration(api: Api, function: Lambda) -> Json:
    payload = (function.config.get("httpApi") or {}).get("payload") or api.config.get("payload") or "2.0"
    properties = {
        "ApiId": api.id,
        "IntegrationType": "AWS_PROXY",
        "IntegrationUri": function.target,
        "PayloadFormatVersion": payload,
        "TimeoutInMillis": TIMEOUT_MILLISECONDS,
    }
    return after_alias(function, {"Type": "AWS::ApiGatewayV2::Integration", "Properties": properties})


def _authorization(api: Api, event: Event) -> Json:
    given = event.get("authorizer")
    if not given:
        return {}
    options = given if isinstance(given, dict) else {"name": given}
    kind, id_, scopes = options.get("type"), options.get("id"), options.get("scopes")
    name: str = options.get("name") or ""
    if kind == "aws_iam":
        if name or id_ or scopes:
            raise event.bad(
                "an authorizer of type aws_iam has nothing else", "remove name, id and scopes",
                "HTTP_API_AUTHORIZER_AWS_IAM_UNEXPECTED_PROPERTIES",
            )  # fmt: skip
        return {"AuthorizationType": "AWS_IAM"}
    if not id_ and not name:
        raise event.bad(
            "the authorizer has neither a name nor an id", "name one of provider.httpApi.authorizers",
            "HTTP_API_AUTHORIZER_MISSING_ID_OR_NAME",
        )  # fmt: skip
    if id_ and api.is_ours:
        raise event.bad(
            "an authorizer's id can only be used with an HTTP API that already exists",
            "name one of provider.httpApi.authorizers",
            "EXTERNAL_HTTP_API_AUTHORIZER_WITHOUT_EXTERNAL_HTTP_API",
        )  # fmt: skip
    if not id_ and name not in api.authorizers:
        raise event.bad(
            f"there is no authorizer {name!r} in provider.httpApi.authorizers",
            f"there are: {', '.join(api.authorizers) or 'none'}", "UNRECOGNIZED_HTTP_API_AUTHORIZER",
        )  # fmt: skip
    if not id_:
        kind = api.authorizers[name].get("type")
    return without_nothing({
        "AuthorizationType": "CUSTOM" if kind == "request" else "JWT",
        "AuthorizerId": id_ or {"Ref": _authorizer_id(api.authorizers[name].get("name") or name)},
        "AuthorizationScopes": list(dict.fromkeys(scopes)) if scopes else None,
    })  # fmt: skip


# the API


def _api(api: Api, keys: Sequence[str]) -> Json:
    context, config = api.context, api.config
    starts_with_service = config.get("shouldStartNameWithService")
    names = (context.service, context.stage) if starts_with_service else (context.stage, context.service)
    properties = without_nothing({
        "Name": str(config["name"]) if config.get("name") else "-".join(names),
        "ProtocolType": "HTTP",
        "Description": config.get("description") or None,
        "DisableExecuteApiEndpoint": config.get("disableDefaultEndpoint"),
        "Tags": context.provider.get("tags"),
        "CorsConfiguration": _cors(config.get("cors"), keys),
    })  # fmt: skip
    return {"Type": "AWS::ApiGatewayV2::Api", "Properties": properties}


def _cors(given: object, keys: Sequence[str]) -> Json | None:
    if not given:
        return None
    own = given if isinstance(given, dict) else {}
    methods = own.get("allowedMethods") or _methods_of(keys)
    exposed = own.get("exposedResponseHeaders")
    return without_nothing({
        "AllowCredentials": True if own.get("allowCredentials") else None,
        "AllowHeaders": _unique(own.get("allowedHeaders") or HEADERS),
        "AllowMethods": _unique(methods),
        "AllowOrigins": _unique(own.get("allowedOrigins") or ["*"]),
        "ExposeHeaders": _unique(exposed) if exposed else None,
        "MaxAge": own.get("maxAge"),
    })  # fmt: skip


def _methods_of(keys: Sequence[str]) -> list[str]:
    methods = ["OPTIONS"]
    for key in keys:
        method = "ANY" if key == "*" else key.partition(" ")[0]
        methods += METHODS[1:] if method == "ANY" else [method]
    return methods


def _unique(values: Sequence[Any]) -> list[Any]:
    return list({compact(value): value for value in values}.values())


def _stage(api: Api) -> Json:
    properties: Json = {
        "ApiId": {"Ref": API},
        "StageName": "$default",
        "AutoDeploy": True,
        "DefaultRouteSettings": {"DetailedMetricsEnabled": bool(api.config.get("metrics"))},
    }
    properties |= without_nothing({"Tags": api.context.provider.get("tags")})
    resource: Json = {"Type": "AWS::ApiGatewayV2::Stage", "Properties": properties}
    if api.log_format:
        arn = {"Fn::GetAtt": [LOG_GROUP, "Arn"]}
        properties["AccessLogSettings"] = {"DestinationArn": arn, "Format": api.log_format}
        resource["DependsOn"] = LOG_GROUP
    return resource


def _log_group(context: Context) -> Json:
    stack = naming.stack(context.service, context.stage, context.provider.get("stackName"))
    properties = without_nothing({
        "LogGroupName": f"/aws/http-api/{stack}",
        "RetentionInDays": context.provider.get("logRetentionInDays"),
        "DataProtectionPolicy": context.provider.get("logDataProtectionPolicy"),
    })  # fmt: skip
    return {"Type": "AWS::Logs::LogGroup", "Properties": properties}


def _outputs() -> dict[str, Json]:
    address = ["https://", {"Ref": API}, ".execute-api.", {"Ref": "AWS::Region"}, ".", {"Ref": "AWS::URLSuffix"}]
    return {
        "HttpApiId": {"Description": "Id of the HTTP API", "Value": {"Ref": API}},
        "HttpApiUrl": {"Description": "URL of the HTTP API", "Value": {"Fn::Join": ["", address]}},
    }


def _source(api: Api) -> Json:
    account = [{"Ref": "AWS::Region"}, ":", {"Ref": "AWS::AccountId"}]
    return {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":execute-api:", *account, ":", api.id, "/*"]]}


# authorizers


def _authorizer_id(name: str) -> str:
    return "HttpApiAuthorizer" + naming.normal(name)


def _authorizer(api: Api, key: str, given: Json) -> dict[str, Json]:
    name, source = given.get("name") or key, given.get("identitySource") or []
    properties: Json = {
        "ApiId": api.id, "Name": name, "IdentitySource": source if isinstance(source, list) else [source],
    }  # fmt: skip
    resource: Json = {"Type": "AWS::ApiGatewayV2::Authorizer", "Properties": properties}
    if given.get("type") != "request":
        audience = given.get("audience")
        properties["AuthorizerType"] = "JWT"
        properties["JwtConfiguration"] = without_nothing({
            "Audience": _unique(audience) if isinstance(audience, list) else [audience],
            "Issuer": given.get("issuerUrl"),
        })  # fmt: skip
        return {_authorizer_id(name): resource}
    function = _authorizing_function(api, key, given)
    target = given.get("functionArn") or (function.target if function else None)
    uri = ["arn:", {"Ref": "AWS::Partition"}, ":apigateway:", {"Ref": "AWS::Region"},
           ":lambda:path/2015-03-31/functions/", target, "/invocations"]  # fmt: skip
    properties |= without_nothing({
        "AuthorizerType": "REQUEST",
        "EnableSimpleResponses": given.get("enableSimpleResponses"),
        "AuthorizerResultTtlInSeconds": given.get("resultTtlInSeconds"),
        "AuthorizerPayloadFormatVersion": given.get("payloadVersion") or "2.0",
        "AuthorizerUri": {"Fn::Join": ["", uri]},
    })  # fmt: skip
    resources = {_authorizer_id(name): after_alias(function, resource) if function else resource}
    if not given.get("managedExternally"):
        allowed = {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "FunctionName": target,
                "Action": "lambda:InvokeFunction",
                "Principal": "apigateway.amazonaws.com",
                "SourceArn": _source(api),
            },
        }
        resources[naming.normal(name) + "LambdaAuthorizerPermissionHttpApi"] = (
            after_alias(function, allowed) if function else allowed
        )
    return resources


def _authorizing_function(api: Api, key: str, given: Json) -> Lambda | None:
    """Return the service's own function that authorizes; None when its ARN is given. Raises what does not fit."""
    start, path = "HTTP_API_CUSTOM_AUTHORIZER_", ("httpApi", "authorizers", key)
    name, arn = given.get("functionName"), given.get("functionArn")
    if not name and not arn:
        raise api.bad(
            f"authorizer {key!r} has neither a functionName nor a functionArn", "name the function that is asked",
            start + "NEITHER_FUNCTION_ARN_NOR_FUNCTION_NAME_DEFINED", *path,
        )  # fmt: skip
    if name and arn:
        raise api.bad(
            f"authorizer {key!r} has both a functionName and a functionArn", "remove one of them",
            start + "BOTH_FUNCTION_ARN_AND_FUNCTION_NAME_DEFINED", *path,
        )  # fmt: skip
    if name and name not in api.context.functions:
        raise api.bad(
            f"authorizer {key!r} names {name!r}, which is not a function of this service",
            f"there are: {', '.join(api.context.functions)}", start + "FUNCTION_NOT_FOUND_IN_SERVICE", *path,
        )  # fmt: skip
    if given.get("resultTtlInSeconds") and not given.get("identitySource"):
        raise api.bad(
            f"authorizer {key!r} caches results, but has no identitySource to tell callers apart", "add identitySource",
            start + "IDENTITY_SOURCE_MISSING_WHEN_CACHING_ENABLED", *path,
        )  # fmt: skip
    return api.context.functions[name] if name else None
