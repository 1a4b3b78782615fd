"""REST APIs: one for the service, or one that is there already, with a resource for each part of a path.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-rest-api.html
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lambdabuild.cloudformation import helpers
from lambdabuild.cloudformation.context import Context
from lambdabuild.cloudformation.events.event import Event, each, permission
from lambdabuild.cloudformation.events.rest_api import authorizers, cors, keys, methods, models, paths
from lambdabuild.cloudformation.events.rest_api.api import API, GATEWAY, Api
from lambdabuild.cloudformation.events.rest_api.http import Http, http_of
from lambdabuild.cloudformation.fragment import Fragment, Json, compact, joined, without_nothing
from lambdabuild.core import naming

LOG_GROUP = "ApiGatewayLogGroup"
STAGE_NAME = re.compile(r"[-_a-zA-Z0-9]+")


def compile(context: Context, events: Sequence[Event]) -> Fragment:
    api = Api(context)
    _refuse_what_does_not_fit(api, events)
    calls: list[Http] = []

    def read(event: Event) -> Fragment:
        calls.append(http_of(api, event))
        return Fragment()

    each(events, read)
    tree = paths.Tree(api, calls)
    api_parts = joined(
        [
            Fragment({API: _api(api)}) if api.is_ours else Fragment(),
            Fragment(tree.resources()),
            Fragment(cors.preflights(api, tree, calls)),
            *(methods.compile(api, tree, call) for call in calls),
            models.compile(api, tree, calls),
            authorizers.compile(api, calls),
        ]
    )
    method_ids = [key for key, resource in api_parts.resources.items() if resource["Type"] == "AWS::ApiGateway::Method"]
    deployment_id = f"ApiGatewayDeployment{_digest(api_parts.resources)}"
    description = (context.provider.get("apiGateway") or {}).get("description")
    deployment = {
        "Type": "AWS::ApiGateway::Deployment",
        "Properties": without_nothing(
            {"RestApiId": api.id, "StageName": api.stage, "Description": description or None}
        ),
        "DependsOn": method_ids,
    }
    return joined(
        [
            api_parts,
            Fragment({deployment_id: deployment}, {"ServiceEndpoint": _endpoint(api)}),
            Fragment({key: resource for call in calls for key, resource in _permission(api, call).items()}),
            Fragment(keys.compile(api, deployment_id)),
            _logs(context),
        ]
    )


def _refuse_what_does_not_fit(api: Api, events: Sequence[Event]) -> None:
    config, provider = api.config, api.context.provider
    if config.get("restApiId"):
        if not config.get("restApiRootResourceId"):
            raise api.bad(
                "provider.apiGateway.restApiId is given without restApiRootResourceId",
                "add the id of its root resource",
                "API_GATEWAY_MISSING_REST_API_ROOT_RESOURCE_ID",
            )
        given = {
            "TRACING": (provider.get("tracing") or {}).get("apiGateway"),
            "LOGS": (provider.get("logs") or {}).get("restApi"),
        }
        for word, value in given.items():
            if value is not None:
                raise api.bad(
                    f"this service cannot add {word.lower()} to a REST API that already exists",
                    "remove them here, and set them where the API is made",
                    f"API_GATEWAY_EXTERNAL_API_{word}",
                )
    if not STAGE_NAME.fullmatch(api.context.stage):
        raise events[0].bad(
            f"{api.context.stage!r} cannot be the name of a stage of API Gateway",
            "name the stage in letters, digits, - and _",
            "API_GATEWAY_INVALID_STAGE_NAME",
        )


def _api(api: Api) -> Json:
    provider, config = api.context.provider, api.config
    kind = str(provider.get("endpointType") or "EDGE").upper()
    endpoints = provider.get("vpcEndpointIds") if provider.get("endpointType") else None
    if endpoints and kind != "PRIVATE":
        raise api.bad(
            "vpcEndpointIds are for private APIs",
            "set endpointType: PRIVATE, or remove them",
            "API_GATEWAY_INVALID_VPC_ENDPOINT_IDS_CONFIG",
        )
    starts_with_service = config.get("shouldStartNameWithService")
    service, stage = api.context.service, api.context.stage
    usual = f"{service}-{stage}" if starts_with_service else f"{stage}-{service}"
    policy = config.get("resourcePolicy")
    source, endpoint = config.get("apiKeySourceType"), config.get("endpoint") or {}
    properties = without_nothing(
        {
            "Name": provider.get("apiName") or usual,
            "BinaryMediaTypes": config.get("binaryMediaTypes") or None,
            "DisableExecuteApiEndpoint": config.get("disableDefaultEndpoint"),
            "EndpointConfiguration": {"Types": [kind]} | ({"VpcEndpointIds": endpoints} if endpoints else {}),
            "SecurityPolicy": endpoint.get("securityPolicy") or None,
            "EndpointAccessMode": str(endpoint["accessMode"]).upper() if endpoint.get("accessMode") else None,
            "Policy": {"Version": "2012-10-17", "Statement": policy} if policy else "",
            "ApiKeySourceType": source.upper() if source else None,
            "MinimumCompressionSize": config.get("minimumCompressionSize"),
            "Description": config.get("description") or None,
        }
    )
    return {"Type": "AWS::ApiGateway::RestApi", "Properties": properties}


def _digest(resources: Mapping[str, Json]) -> str:
    """Return a digest of what is deployed: the same API is the same deployment, a change makes a new one."""
    digest = hashlib.sha256(compact(dict(sorted(resources.items()))).encode()).digest()
    return re.sub(r"[^0-9a-zA-Z]", "", base64.b64encode(digest).decode())


def _endpoint(api: Api) -> Json:
    address: list[Any] = [
        "https://",
        api.id,
        ".execute-api.",
        {"Ref": "AWS::Region"},
        ".",
        {"Ref": "AWS::URLSuffix"},
        f"/{api.stage}",
    ]
    return {"Description": "URL of the service endpoint", "Value": {"Fn::Join": ["", address]}}


def _permission(api: Api, call: Http) -> dict[str, Json]:
    """Return the permission of the function, and that of its authorizer."""
    resources = {
        naming.normal(call.function.key) + "LambdaPermissionApiGateway": permission(
            call.function, GATEWAY, SourceArn=api.source
        )
    }
    asked = call.authorizer
    if asked is None or asked.arn is None or asked.is_cognito or asked.managed_externally:
        return resources
    target = {"Ref": asked.function.alias_id} if asked.function and asked.function.alias_id else asked.arn
    properties = {
        "FunctionName": target,
        "Action": "lambda:InvokeFunction",
        "Principal": GATEWAY,
        "SourceArn": api.source,
    }
    own = {
        naming.normal(asked.name) + "LambdaPermissionApiGateway": {
            "Type": "AWS::Lambda::Permission",
            "Properties": properties,
        }
    }
    is_a_target_too = (
        any("http" in event for event in (asked.function.config.get("events") or [])) if asked.function else False
    )
    return resources if is_a_target_too else resources | own


def _logs(context: Context) -> Fragment:
    given = (context.provider.get("logs") or {}).get("restApi")
    if not given or (isinstance(given, dict) and given.get("accessLogging") is False):
        return Fragment()
    properties = without_nothing(
        {
            "LogGroupName": f"/aws/api-gateway/{context.service}-{context.stage}",
            "RetentionInDays": context.provider.get("logRetentionInDays"),
            "DataProtectionPolicy": context.provider.get("logDataProtectionPolicy"),
        }
    )
    group = {"Type": "AWS::Logs::LogGroup", "Properties": properties}
    return joined([Fragment({LOG_GROUP: group}), helpers.account_role(context)])
