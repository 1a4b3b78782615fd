"""CloudFront: one distribution for all functions at the edge, its origins, behaviours and cache policies.

https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-at-the-edge.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from lambdabuild.cloudformation import functions
from lambdabuild.cloudformation.context import Context
from lambdabuild.cloudformation.events.event import Event, each
from lambdabuild.cloudformation.fragment import Fragment, Json, allow, compact, joined
from lambdabuild.core import naming

DISTRIBUTION, DOMAIN_NAME = "CloudFrontDistribution", "CloudFrontDistributionDomainName"
EDGE, REGION = "edgelambda.amazonaws.com", "us-east-1"
CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
"""https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html"""
ORIGIN_LIMITS, VIEWER_LIMITS = (10240, 30), (128, 5)
"""MB and seconds. https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-functions-restrictions.html"""
OWN_CACHING = ("CachePolicyId", "ForwardedValues", "MaxTTL", "MinTTL", "DefaultTTL")


def compile(context: Context, events: Sequence[Event]) -> Fragment:
    """Compile the distribution. CloudFront tries behaviours in order, so they keep the order of the file."""
    permissions = each(events, lambda event: _permission(context, event))
    origins = _origins(events)
    behaviours = _behaviours(context, events)
    default = behaviours.pop("", None) or _default_behaviour(behaviours, _default_origin(events, origins))
    config: Json = {
        "Comment": f"{context.service} {context.stage}",
        "Enabled": True,
        "DefaultCacheBehavior": default,
        "Origins": list(origins.values()),
    }
    config |= {"CacheBehaviors": list(behaviours.values())} if behaviours else {}
    distribution = {"Type": "AWS::CloudFront::Distribution", "Properties": {"DistributionConfig": config}}
    outputs = {
        DISTRIBUTION: {"Description": "CloudFront Distribution Id", "Value": {"Ref": DISTRIBUTION}},
        DOMAIN_NAME: {
            "Description": "CloudFront Distribution Domain Name",
            "Value": {"Fn::GetAtt": [DISTRIBUTION, "DomainName"]},
        },
    }
    return joined([permissions, Fragment({DISTRIBUTION: distribution}, outputs)])


def _permission(context: Context, event: Event) -> Fragment:
    """Allow CloudFront to call the function's version; the function writes logs in whatever region it runs."""
    _refuse(context, event)
    function = event.function
    arn = [
        "",
        "arn:",
        {"Ref": "AWS::Partition"},
        ":cloudfront::",
        {"Ref": "AWS::AccountId"},
        ":distribution/",
        {"Ref": DISTRIBUTION},
    ]
    properties = {
        "FunctionName": functions.version_of(context, function),
        "Action": "lambda:InvokeFunction",
        "Principal": EDGE,
        "SourceArn": {"Fn::Join": ["", arn]},
    }
    logs = allow(
        ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:TagResource"],
        [{"Fn::Sub": "arn:${AWS::Partition}:logs:*:*:*"}],
    )
    return Fragment(
        {f"{function.logical_id}InvokePermission": {"Type": "AWS::Lambda::Permission", "Properties": properties}},
        needs=context.roles.needs(function, logs, once=True),
        services=((context.roles.owner(function), EDGE),),
        where=event.where,
    )


def _refuse(context: Context, event: Event) -> None:
    """Raise what Lambda@Edge does not support, which is more than what Lambda does not."""
    if context.region != REGION:
        raise event.bad(
            f"functions at the edge are deployed to {REGION}, and this is {context.region}",
            f"deploy this service with region={REGION}",
            "CLOUDFRONT_INVALID_REGION",
        )
    if not event.get("origin"):
        raise event.bad("it has no origin", "say where CloudFront gets what it does not have: origin: https://...")
    kind = event.get("eventType") or "viewer-request"
    memory, timeout = ORIGIN_LIMITS if kind.startswith("origin") else VIEWER_LIMITS
    for key, most, unit, known_as in (
        ("memorySize", memory, "MB", "LAMBDA_EDGE_UNSUPPORTED_MEMORY_SIZE"),
        ("timeout", timeout, "seconds", "LAMBDA_EDGE_UNSUPPORTED_TIMEOUT_VALUE"),
    ):
        given = event.function.config.get(key) or 0
        if not isinstance(given, int) or given > most:
            raise event.bad(
                f"{key} is {given} {unit}, and a {kind} function has {most} at most",
                f"set {key} to {most} or less",
                known_as,
            )


# origins


def _origin(event: Event) -> Json:
    given = event.get("origin")
    origin = dict(given) if isinstance(given, Mapping) else _origin_at(str(given))
    domain = origin.get("DomainName")
    name = domain if isinstance(domain, str) else naming.letters(compact(domain))
    kind = "s3" if origin.get("S3OriginConfig") is not None else "custom"
    return origin | {"Id": f"{kind}/{name}{origin.get('OriginPath') or ''}"}


def _origin_at(address: str) -> Json:
    parts = urlsplit(address)
    origin: Json = {"DomainName": parts.hostname}
    origin |= {"OriginPath": parts.path} if len(parts.path) > 1 else {}
    is_bucket = parts.scheme == "s3"
    return origin | (
        {"S3OriginConfig": {}} if is_bucket else {"CustomOriginConfig": {"OriginProtocolPolicy": "match-viewer"}}
    )


def _origins(events: Sequence[Event]) -> dict[str, Json]:
    """Return the origins by id; settings of two events for one origin are merged."""
    origins: dict[str, Json] = {}
    for event in events:
        origin = _origin(event)
        origins[origin["Id"]] = _merged(origins.get(origin["Id"], {}), origin)
    return origins


def _default_origin(events: Sequence[Event], origins: Mapping[str, Json]) -> str:
    """Return the id of the origin for requests that no pattern matches."""
    known_as = "CLOUDFRONT_MULTIPLE_DEFAULT_ORIGIN_EVENTS"
    defaults = {_origin(event)["Id"]: event for event in events if event.get("isDefaultOrigin")}
    if len(defaults) > 1:
        first, *_, last = defaults.values()
        raise last.bad("there is already a default origin", "keep one isDefaultOrigin", known_as, beside=first)
    if not defaults and len(origins) > 1:
        raise events[0].bad(
            f"every event has a pathPattern, and there are {len(origins)} origins for what none of them matches",
            "say isDefaultOrigin: true for one of them",
            known_as,
        )
    return next(iter(defaults or origins))


# behaviours


def _behaviours(context: Context, events: Sequence[Event]) -> dict[str, Json]:
    """Return the behaviours by path pattern, in the order of the file; "" is the default. Functions of one pattern are
    joined.
    """
    behaviours: dict[str, Json] = {}
    firsts: dict[str, Event] = {}
    for event in events:
        behaviour = _behaviour(context, event)
        pattern = behaviour.get("PathPattern", "")
        before = behaviours.get(pattern, {})
        firsts.setdefault(pattern, event)
        if before and before["TargetOriginId"] != behaviour["TargetOriginId"]:
            raise event.bad(
                f"{pattern or 'the default behaviour'} already has another origin",
                "give them one origin, or patterns of their own",
                "CLOUDFRONT_MULTIPLE_BEHAVIORS_FOR_SINGLE_PATH_PATTERN",
                beside=firsts[pattern],
            )
        merged = _merged(before, behaviour)
        kinds = [
            association["EventType"]
            for association in merged["LambdaFunctionAssociations"]
            if "EventType" in association
        ]
        if len(kinds) != len(set(kinds)):
            raise event.bad(
                f"{kinds[-1]} of {pattern or 'the default behaviour'} is already used by another function",
                "call one function for an event type, or give them patterns of their own",
                "CLOUDFRONT_EVENT_TYPE_NON_UNIQUE_CACHE_BEHAVIOR",
                beside=firsts[pattern],
            )
        behaviours[pattern] = merged
    return behaviours


def _behaviour(context: Context, event: Event) -> Json:
    given = event.get("behavior") or {}
    behaviour: Json = {"ViewerProtocolPolicy": "allow-all", **given, **_caching(context, event, given)}
    association: Json = {"LambdaFunctionARN": functions.version_of(context, event.function)}
    association |= {"EventType": event.get("eventType")} if event.get("eventType") else {}
    association |= {"IncludeBody": event.get("includeBody")} if event.get("includeBody") is not None else {}
    behaviour |= {"TargetOriginId": _origin(event)["Id"], "LambdaFunctionAssociations": [association]}
    return behaviour | ({"PathPattern": event.get("pathPattern")} if event.get("pathPattern") else {})


def _caching(context: Context, event: Event, behaviour: Mapping[str, Any]) -> Json:
    """Return the cache policy that the event names, otherwise the managed one."""
    policy = event.get("cachePolicy")
    if not policy:
        has_own_caching = any(behaviour.get(key) is not None for key in OWN_CACHING)
        return {} if has_own_caching else {"CachePolicyId": CACHING_OPTIMIZED}
    name = policy.get("name")
    if not policy.get("id") and name not in _policies(context):
        raise event.bad(
            f"there is no cache policy {name!r}",
            "name one of provider.cloudFront.cachePolicies",
            "UNRECOGNIZED_CLOUDFRONT_CACHE_POLICY",
        )
    return {"CachePolicyId": policy.get("id") or {"Ref": _policy_id(name)}}


def _default_behaviour(behaviours: Mapping[str, Json], origin_id: str) -> Json:
    """Return the first pattern's behaviour without its functions, because a distribution must have a default."""
    first = next(iter(behaviours.values()))
    kept = {key: value for key, value in first.items() if key not in ("PathPattern", "LambdaFunctionAssociations")}
    return kept | {"TargetOriginId": origin_id}


def _merged(behaviour: Json, other: Json) -> Json:
    """Merge two mappings; lists get the items of both once, and of two values the first wins."""
    merged = dict(behaviour)
    for key, value in other.items():
        before = merged.get(key)
        if isinstance(before, list):
            more = value if isinstance(value, list) else [value]
            merged[key] = before + [item for item in more if item not in before]
        elif isinstance(before, dict) and isinstance(value, dict):
            merged[key] = _merged(before, value)
        elif before is None:
            merged[key] = value
    return merged


# cache policies


def cache_policies(context: Context) -> Fragment:
    """Return the provider's cache policies, which the service's own resources may use without any event."""
    return Fragment(
        {
            _policy_id(name): {
                "Type": "AWS::CloudFront::CachePolicy",
                "Properties": {"CachePolicyConfig": {**config, "Name": f"{context.service}-{context.stage}-{name}"}},
            }
            for name, config in _policies(context).items()
        }
    )


def _policies(context: Context) -> Json:
    policies: Json = (context.provider.get("cloudFront") or {}).get("cachePolicies") or {}
    return policies


def _policy_id(name: str) -> str:
    return "CloudFrontCachePolicy" + naming.normal(name)
