"""A method: who may call it, what is handed to the function, and what is made of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdabuild.cloudformation.events.rest_api import authorizers, models
from lambdabuild.cloudformation.events.rest_api.api import Api
from lambdabuild.cloudformation.events.rest_api.cors import allowed_origin
from lambdabuild.cloudformation.events.rest_api.http import Http, connection_type, is_needed
from lambdabuild.cloudformation.events.rest_api.paths import Tree, method_id
from lambdabuild.cloudformation.fragment import Fragment, Json, without_nothing
from lambdabuild.core import naming

MAPPED = ("AWS", "HTTP", "MOCK")
"""Integrations whose requests and answers go through templates."""

WHOLE, STREAMED = ("2015-03-31", "invocations"), ("2021-11-15", "response-streaming-invocations")
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html"""

EVERYTHING = r"[\s\S]*"
STATUS_CODES: Mapping[str, Json] = {
    "200": {"pattern": ""},
    **{code: {"pattern": rf"{EVERYTHING}\[{code}\]{EVERYTHING}"} for code in ("400", "401", "403", "404", "422")},
    "500": {"pattern": rf"{EVERYTHING}(Process\s?exited\s?before\s?completing\s?request|\[500\]){EVERYTHING}"},
    "502": {"pattern": rf"{EVERYTHING}\[502\]{EVERYTHING}"},
    "504": {"pattern": rf"({EVERYTHING}\[504\]{EVERYTHING})|(.*Task timed out after \d+\.\d+ seconds$)"},
}
"""Patterns that a function's error is searched for by default."""


def compile(api: Api, tree: Tree, call: Http) -> Fragment:
    function = call.function
    depends = [naming.normal(function.key) + "LambdaPermissionApiGateway", function.alias_id]
    properties: Json = without_nothing(
        {
            "HttpMethod": call.method,
            "RequestParameters": {key: _required(value) for key, value in call.parameters.items()},
            "ResourceId": tree.id_of(call.path),
            "RestApiId": api.id,
            "OperationName": call.event.get("operationId"),
            "ApiKeyRequired": bool(call.event.get("private")),
            "Integration": _integration(call),
            "MethodResponses": _method_responses(call),
        }
    )
    properties |= authorizers.of_method(call) | models.of_method(api, call)
    if call.authorizer is not None and call.authorizer.arn is not None:
        depends[0] = authorizers.logical_id(call.authorizer)
    resource = {
        "Type": "AWS::ApiGateway::Method",
        "Properties": properties,
        "DependsOn": [logical_id for logical_id in depends if logical_id],
    }
    return Fragment({method_id(call.path, call.method): resource}, where=call.event.where)


def _required(value: object) -> Any:
    return is_needed(value) if isinstance(value, dict) else value


def _integration(call: Http) -> Json:
    kind, request = call.integration, call.request
    integration: Json = {"Type": kind, "IntegrationHttpMethod": "POST"}
    integration |= {"TimeoutInMillis": call.timeout_ms, "ResponseTransferMode": call.transfer_mode}
    if kind in ("AWS", "AWS_PROXY"):
        start = ["arn:", {"Ref": "AWS::Partition"}, ":apigateway:", {"Ref": "AWS::Region"}]
        alias = [":", call.function.alias] if call.function.alias else []
        version, action = STREAMED if call.transfer_mode == "STREAM" else WHOLE
        path = [f":lambda:path/{version}/functions/", call.function.arn, *alias, f"/{action}"]
        integration["Uri"] = {"Fn::Join": ["", [*start, *path]]}
    elif kind in ("HTTP", "HTTP_PROXY"):
        integration |= {
            "Uri": request["uri"],
            "IntegrationHttpMethod": str(request.get("method") or call.method).upper(),
        }
        if connection_type(call.event):
            integration |= {
                "ConnectionType": connection_type(call.event),
                "ConnectionId": call.event.get("connectionId"),
            }
    if kind in MAPPED:
        integration |= {
            "PassthroughBehavior": request.get("passThrough") or ("NEVER" if kind == "AWS" else None),
            "ContentHandling": request.get("contentHandling"),
            "RequestTemplates": _request_templates(call) or None,
            "IntegrationResponses": _integration_responses(call),
        }
    if (call.parameters and kind != "AWS_PROXY" and kind != "MOCK") or call.event.get("async"):
        integration["RequestParameters"] = _request_parameters(call)
    return without_nothing(integration)


def _request_parameters(call: Http) -> Json:
    parameters = {
        f"integration.{key.removeprefix('method.')}": (value.get("mappedValue") if isinstance(value, dict) else None)
        or key
        for key, value in call.parameters.items()
    }
    if call.event.get("async"):
        parameters["integration.request.header.X-Amz-Invocation-Type"] = "'Event'"
    return parameters


# answers


def _codes(call: Http) -> Mapping[str, Json]:
    given = call.response.get("statusCodes")
    if call.integration not in MAPPED or (not call.response and call.integration != "AWS"):
        return {}
    if not given:
        return STATUS_CODES
    codes = {str(code): config or {} for code, config in given.items()}
    if call.integration != "MOCK" and not any(config.get("pattern") == "" for config in codes.values()):
        codes["200"] = STATUS_CODES["200"]
    return dict(sorted(codes.items()))  # as JavaScript orders keys that are numbers


def _headers(call: Http) -> Json:
    cors = call.event.get("cors")
    headers: Json = {}
    if cors:
        headers["Access-Control-Allow-Origin"] = f"'{allowed_origin(cors)}'"
        if isinstance(cors, dict) and cors.get("allowCredentials"):
            headers["Access-Control-Allow-Credentials"] = "true"
    return headers | (call.response.get("headers") or {})


def _integration_responses(call: Http) -> list[Json]:
    return [_integration_response(call, code, config) for code, config in _codes(call).items()]


def _integration_response(call: Http, code: str, config: Json) -> Json:
    headers = {**_headers(call), **(config.get("headers") or {})}
    templates: Json = {}
    if call.response.get("template"):
        templates["application/json"] = call.response["template"]
    own = config.get("template")
    templates |= {"application/json": own} if isinstance(own, str) and own else own or {}
    return without_nothing(
        {
            "StatusCode": code,
            "SelectionPattern": config.get("pattern") or "",
            "ResponseParameters": {f"method.response.header.{name}": value for name, value in headers.items()},
            "ResponseTemplates": templates,
            "ContentHandling": call.response.get("contentHandling") if code.startswith("2") else None,
        }
    )


def _method_responses(call: Http) -> list[Json]:
    responses = []
    for code, config in _codes(call).items():
        headers = {**_headers(call), **(config.get("headers") or {})}
        told = {f"method.response.header.{name}": True for name in headers}
        responses.append({"ResponseParameters": told, "ResponseModels": {}, "StatusCode": code})
    return responses


# what a function gets that is not called as a proxy


def _request_templates(call: Http) -> dict[str, str]:
    templates: dict[str, str] = {}
    if call.integration == "AWS":
        claims = call.authorizer.claims if call.authorizer else ()
        templates = {
            "application/json": '#set($body = $input.json("$"))\n' + _event_template(claims),
            "application/x-www-form-urlencoded": FORM + _event_template(claims),
        }
    given = call.request.get("template")
    for kind, template in (given if isinstance(given, dict) else {}).items():
        if template is None:
            templates.pop(kind, None)
        else:
            templates[kind] = template
    return templates


FORM = """\
#define($body)
{#foreach($pair in $input.path("$").split("&"))
#set($parts = $pair.split("="))
#set($name = $util.escapeJavaScript($util.urlDecode($parts[0])))
#set($text = "")
#if($parts.size() > 1)
#set($text = $util.escapeJavaScript($util.urlDecode($parts[1])).replaceAll("\\\\'", "'"))
#end
"$name": "$text"#if($foreach.hasNext),#end
#end}
#end
"""
"""A posted form as JSON. In Velocity, which API Gateway's mappings are written in:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html"""

MAPS = {
    "enhancedAuthContext": "$context.authorizer",
    "headers": "$input.params().header",
    "query": "$input.params().querystring",
    "path": "$input.params().path",
    "identity": "$context.identity",
    "stageVariables": "$stageVariables",
}
"""Return the part of a call that is passed on as a mapping of texts."""


def _event_template(claims: tuple[str, ...]) -> str:
    """The event of a function that is not called as a proxy: body, method, principal, claims, headers..."""
    lines = [
        "#define($texts)",
        "{#foreach($name in $map.keySet())",
        '"$util.escapeJavaScript($name)": "$util.escapeJavaScript($map.get($name)).replaceAll("\\\\\'", "\'")"'
        "#if($foreach.hasNext),#end",
        "#end}",
        "#end",
        "{",
        '"body": $body,',
        '"method": "$context.httpMethod",',
        '"principalId": "$context.authorizer.principalId",',
        '"stage": "$context.stage",',
        f'"cognitoPoolClaims": {{{"".join(map(_claim, claims))}"sub": "$context.authorizer.claims.sub"}},',
    ]
    for name, source in MAPS.items():
        lines += [f"#set($map = {source})", f'"{name}": $texts,']
    return "\n".join([*lines, '"requestPath": "$context.resourcePath"', "}", ""])


def _claim(claim: str) -> str:
    if ":" in claim:
        return f'"{claim.partition(":")[2]}": "$context.authorizer.claims[\'{claim}\']", '
    return f'"{claim}": "$context.authorizer.claims.{claim}", '
