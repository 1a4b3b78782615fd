"""Authorizers of calls: a function, a user pool, IAM."""

from __future__ import annotations

from collections.abc import Sequence

from lambdabuild.cloudformation.events.event import after_alias
from lambdabuild.cloudformation.events.rest_api.api import Api
from lambdabuild.cloudformation.events.rest_api.http import Authorizer, Http
from lambdabuild.cloudformation.fragment import Fragment, Json, without_nothing
from lambdabuild.core import naming


def logical_id(authorizer: Authorizer) -> str:
    return naming.normal(authorizer.name) + "ApiGatewayAuthorizer"


def of_method(call: Http) -> Json:
    """Return the properties of a method that decide who may call it."""
    authorizer = call.authorizer
    if authorizer is None:
        return {"AuthorizationType": "NONE"}
    if authorizer.id is None and authorizer.is_iam:
        return {"AuthorizationType": "AWS_IAM"}
    scopes = {"AuthorizationScopes": list(authorizer.scopes)} if authorizer.is_cognito and authorizer.scopes else {}
    if authorizer.id is not None:
        kind = "CUSTOM" if authorizer.kind.upper() in ("TOKEN", "REQUEST") else authorizer.kind
        return {"AuthorizationType": kind, "AuthorizerId": authorizer.id, **scopes}
    kind = "COGNITO_USER_POOLS" if authorizer.is_cognito else "CUSTOM"
    return {"AuthorizationType": kind, "AuthorizerId": {"Ref": logical_id(authorizer)}, **scopes}


def compile(api: Api, calls: Sequence[Http]) -> Fragment:
    """Return each authorizer once. Settings of two events are merged, and the later one in the file wins."""
    resources: dict[str, Json] = {}
    for call in calls:
        authorizer = call.authorizer
        if authorizer is None or authorizer.arn is None:
            continue
        key = logical_id(authorizer)
        before = resources.get(key, {}).get("Properties", {})
        resource = {
            "Type": "AWS::ApiGateway::Authorizer",
            "Properties": {**before, **_properties(api, authorizer)},
        }
        resources[key] = after_alias(authorizer.function, resource) if authorizer.function else resource
    return Fragment(resources)


def _properties(api: Api, authorizer: Authorizer) -> Json:
    common = {
        "AuthorizerResultTtlInSeconds": authorizer.ttl_seconds,
        "IdentitySource": authorizer.identity_source,
        "IdentityValidationExpression": authorizer.validation,
        "Name": authorizer.name,
        "RestApiId": api.id,
    }
    if authorizer.is_cognito:
        return without_nothing({**common, "Type": "COGNITO_USER_POOLS", "ProviderARNs": [authorizer.arn]})
    start = ["arn:", {"Ref": "AWS::Partition"}, ":apigateway:", {"Ref": "AWS::Region"}]
    uri = [*start, ":lambda:path/2015-03-31/functions/", authorizer.arn, "/invocations"]
    kind = authorizer.kind.upper() or "TOKEN"
    return without_nothing({**common, "Type": kind, "AuthorizerUri": {"Fn::Join": ["", uri]}})
