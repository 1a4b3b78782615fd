"""Application Load Balancers: a target group, a rule of the listener, and the right to call.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from lambdabuild.cloudformation.context import Context
from lambdabuild.cloudformation.events.event import Event, each
from lambdabuild.cloudformation.fragment import Fragment, Json, without_nothing
from lambdabuild.core import naming

LISTENER = re.compile(r"^arn:aws[\w-]*:elasticloadbalancing:.+:listener/app/[\w-]+/([\w-]+)/([\w-]+)$")
BALANCER = "elasticloadbalancing.amazonaws.com"
HEALTH = {
    "HealthCheckPath": "/", "HealthCheckIntervalSeconds": 35, "HealthCheckTimeoutSeconds": 30,
    "HealthyThresholdCount": 5, "UnhealthyThresholdCount": 5, "Matcher": {"HttpCode": "200"},
}  # fmt: skip
COMMON = {
    "AuthenticationRequestExtraParams": "requestExtraParams", "Scope": "scope",
    "SessionCookieName": "sessionCookieName", "SessionTimeout": "sessionTimeout",
}  # fmt: skip
COGNITO = {"UserPoolArn": "userPoolArn", "UserPoolClientId": "userPoolClientId", "UserPoolDomain": "userPoolDomain"}
OIDC = {
    "AuthorizationEndpoint": "authorizationEndpoint", "ClientId": "clientId", "Issuer": "issuer",
    "TokenEndpoint": "tokenEndpoint", "UserInfoEndpoint": "userInfoEndpoint",
}  # fmt: skip


def compile(context: Context, events: Sequence[Event]) -> Fragment:
    _refuse_equal_priorities(events)
    last = {event.function.key: _group_id(event) for event in events}
    return each(events, lambda event: _alb(context, event, last[event.function.key]))


def _refuse_equal_priorities(events: Sequence[Event]) -> None:
    """Raise an error for equal priorities: a listener tries rules in order, and priorities tell a function's rules
    apart.
    """
    for position, event in enumerate(events):
        for other in events[:position]:
            same_function = event.function.key == other.function.key
            same_listener = _listener(event)[1] == _listener(other)[1]
            if event.get("priority") == other.get("priority") and same_function != same_listener:
                raise event.bad(
                    f"the priority {event.get('priority')} is already used by another rule",
                    "give it another priority",
                    "ALB_PRIORITY_ALREADY_IN_USE",
                    beside=other,
                )


def _listener(event: Event) -> tuple[str, str]:
    """Return the part of names for the balancer and the listener."""
    arn = event.get("listenerArn")
    if isinstance(arn, dict) and "Ref" in arn:
        return str(arn["Ref"]), str(arn["Ref"])
    match = LISTENER.match(str(arn))
    if match is None:
        raise event.bad(f"{arn!r} is not the ARN of a listener", "give its ARN, or a Ref", "ALB_INVALID_LISTENER_ARN")
    return match[1], match[2]


def _group_id(event: Event) -> str:
    multi = "MultiValue" if event.get("multiValueHeaders") else ""
    return f"{naming.normal(event.function.key)}Alb{multi}TargetGroup{_listener(event)[0]}"


def _alb(context: Context, event: Event, last_group: str) -> Fragment:
    """Each of a function's groups may call it; the last one's permission has the name that deployed stacks know."""
    function, own = event.function, naming.normal(event.function.key)
    if not event.get("conditions"):
        raise event.bad("it has no conditions", "say what is let through: path, host, method...", "ALB_NO_CONDITIONS")
    balancer, _ = _listener(event)
    multi = bool(event.get("multiValueHeaders"))
    group_id = _group_id(event)
    allowed = own + "LambdaPermissionAlb" + ("" if group_id == last_group else group_id.removeprefix(own + "Alb"))
    register = own + "LambdaPermissionRegisterTarget"
    depends = [register, function.alias_id] if function.alias_id else [register]
    rule = {
        "Actions": _actions(context, event, group_id),
        "Conditions": _conditions(event),
        "ListenerArn": event.get("listenerArn"),
        "Priority": event.get("priority"),
    }
    return Fragment(
        {
            group_id: {
                "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
                "Properties": _group(context, event, balancer, multi),
                "DependsOn": depends,
            },
            f"{own}AlbListenerRule{event.get('priority')}": {
                "Type": "AWS::ElasticLoadBalancingV2::ListenerRule",
                "Properties": rule,
            },
            allowed: _permission(event, SourceArn={"Ref": group_id}),
            register: _permission(event),
        },
        where=event.where,
    )


def _permission(event: Event, **more: Any) -> Json:
    function = event.function
    properties = {"FunctionName": function.target, "Action": "lambda:InvokeFunction", "Principal": BALANCER} | more
    resource: Json = {"Type": "AWS::Lambda::Permission", "Properties": properties}
    return resource | ({"DependsOn": [function.alias_id]} if function.alias_id else {})


def _group(context: Context, event: Event, balancer: str, multi: bool) -> Json:
    given = event.get("healthCheck")
    options = given if isinstance(given, dict) else {}
    checks: Json = {"HealthCheckEnabled": bool(given)}
    if given:
        named = {
            "HealthCheckPath": options.get("path"),
            "HealthCheckIntervalSeconds": options.get("intervalSeconds"),
            "HealthCheckTimeoutSeconds": options.get("timeoutSeconds"),
            "HealthyThresholdCount": options.get("healthyThresholdCount"),
            "UnhealthyThresholdCount": options.get("unhealthyThresholdCount") or None,
            "Matcher": {"HttpCode": options["matcher"]["httpCode"]}
            if (options.get("matcher") or {}).get("httpCode")
            else None,
        }
        checks |= HEALTH | without_nothing(named)
    tag = f"{context.service}-{event.function.key}-{balancer}-{context.stage}"
    return {
        "TargetType": "lambda",
        "Targets": [{"Id": event.function.target}],
        "Name": _group_name(context, event, balancer, multi),
        "Tags": [{"Key": "Name", "Value": tag}],
        "TargetGroupAttributes": [{"Key": "lambda.multi_value_headers.enabled", "Value": multi}],
        **checks,
    }


def _group_name(context: Context, event: Event, balancer: str, multi: bool) -> str:
    """Return a name of at most 32 characters; a digest replaces the rest."""
    prefix = (context.provider.get("alb") or {}).get("targetGroupPrefix") or ""
    given = event.get("targetGroupName")
    if given and prefix:
        raise event.bad(
            "targetGroupName and provider.alb.targetGroupPrefix exclude each other",
            "remove one of them",
            "ALB_TARGET_GROUP_NAME_EXCLUSIVE",
        )
    key = f"{context.service}-{event.function.key}-{balancer}-{'multi-value-' if multi else ''}{context.stage}"
    return str(given or (prefix + hashlib.md5(key.encode(), usedforsecurity=False).hexdigest())[:32])


def _actions(context: Context, event: Event, group_id: str) -> list[Json]:
    known = (context.provider.get("alb") or {}).get("authorizers") or {}
    actions: list[Json] = []
    for name in event.get("authorizer", ()):
        if name not in known:
            raise event.bad(
                f"there is no authorizer {name!r} in provider.alb.authorizers",
                f"there are: {', '.join(known) or 'none'}",
                "ALB_MISSING_AUTHORIZER",
            )
        actions.append(_authenticate(known[name], len(actions) + 1))
    forward: Json = {"Type": "forward", "TargetGroupArn": {"Ref": group_id}}
    return [*actions, forward | ({"Order": len(actions) + 1} if actions else {})]


def _authenticate(given: Json, order: int) -> Json:
    is_cognito = given.get("type") == "cognito"
    named = {**(COGNITO if is_cognito else OIDC), **COMMON}
    config = without_nothing({name: given.get(key) for name, key in named.items()})
    config["OnUnauthenticatedRequest"] = given.get("onUnauthenticatedRequest") or "deny"
    if not is_cognito:
        secret = given.get("clientSecret")
        config |= {"ClientSecret": secret} if secret else {"UseExistingClientSecret": True}
    kind, key = ("cognito", "AuthenticateCognitoConfig") if is_cognito else ("oidc", "AuthenticateOidcConfig")
    return {"Type": f"authenticate-{kind}", "Order": order, key: config}


def _conditions(event: Event) -> list[Json]:
    given = event.get("conditions")
    conditions: list[Json] = []
    if given.get("path"):
        conditions.append({"Field": "path-pattern", "Values": _listed(given["path"])})
    if given.get("host"):
        conditions.append({"Field": "host-header", "HostHeaderConfig": {"Values": _listed(given["host"])}})
    if given.get("method"):
        conditions.append(
            {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": _listed(given["method"])}}
        )
    for header in _listed(given.get("header") or []):
        config = {"HttpHeaderName": header["name"], "Values": header["values"]}
        conditions.append({"Field": "http-header", "HttpHeaderConfig": config})
    if given.get("query"):
        pairs = [{"Key": key, "Value": value} for key, value in given["query"].items()]
        conditions.append({"Field": "query-string", "QueryStringConfig": {"Values": pairs}})
    if given.get("ip"):
        conditions.append({"Field": "source-ip", "SourceIpConfig": {"Values": _listed(given["ip"])}})
    return conditions


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
