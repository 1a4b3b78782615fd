"""Events that are a setting of the resource they come from: new S3 buckets, new Cognito user pools."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from lambdabuild.cloudformation.context import Context
from lambdabuild.cloudformation.events import existing
from lambdabuild.cloudformation.events.event import Event, permission
from lambdabuild.cloudformation.fragment import Fragment, Json, joined
from lambdabuild.core import naming

BUCKET_NAME = re.compile(
    r"(?!^(\d{1,3}\.){3}\d{1,3}$)(^(([a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])$)"
)
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""


def s3(context: Context, events: Sequence[Event]) -> Fragment:
    """Buckets that the stack makes, each with the notifications of all functions; and those that are there already."""
    buckets: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if not event.get("existing"):
            buckets[_bucket_key(event)].append(event)
    made = [_bucket(context, key, group) for key, group in buckets.items()]
    return joined([*made, existing.buckets(context, [event for event in events if event.get("existing")])])


def _bucket_key(event: Event) -> str:
    key = event.options if isinstance(event.options, str) else event.get("bucket")
    if not isinstance(key, str):
        raise event.bad(
            "a bucket that CloudFormation knows the name of exists already",
            "add existing: true",
            "S3_INVALID_NEW_BUCKET_FORMAT",
        )
    return key


def _bucket(context: Context, key: str, events: Sequence[Event]) -> Fragment:
    given = (context.provider.get("s3") or {}).get(key) or {}
    name = given.get("name") or key
    if not BUCKET_NAME.match(name):
        raise events[0].bad(
            f"{name!r} cannot be the name of a bucket",
            "write it in small letters, digits, dots and dashes",
            "S3_INVALID_BUCKET_PATTERN",
        )
    options = {option[:1].upper() + option[1:]: value for option, value in given.items() if option != "name"}
    notifications = {
        "LambdaConfigurations": [_notification(event) for event in events],
        **(options.pop("NotificationConfiguration", None) or {}),
    }
    source = {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, f":s3:::{name}"]]}
    resources: dict[str, Json] = {}
    depends: list[str] = []
    for event in events:
        allowed = f"{naming.normal(event.function.key)}LambdaPermission{naming.letters(key)}S3"
        depends += [logical_id for logical_id in (allowed, event.function.alias_id) if logical_id]
        resources[allowed] = permission(
            event.function, "s3.amazonaws.com", SourceArn=source, SourceAccount={"Ref": "AWS::AccountId"}
        )
    properties = {"BucketName": name, "NotificationConfiguration": notifications, **options}
    resources["S3Bucket" + naming.letters(key)] = {
        "Type": "AWS::S3::Bucket",
        "Properties": properties,
        "DependsOn": list(dict.fromkeys(depends)),
    }
    return Fragment(resources, where=events[0].where)


def _notification(event: Event) -> Json:
    firsts = [next(iter(rule.items())) for rule in event.get("rules", ()) if rule]  # of two the framework takes one
    rules = [{"Name": name, "Value": value} for name, value in firsts]
    notification = {"Event": event.get("event") or existing.CREATED, "Function": event.function.target}
    return notification | ({"Filter": {"S3Key": {"Rules": rules}}} if event.get("rules") is not None else {})


def cognito_user_pool(context: Context, events: Sequence[Event]) -> Fragment:
    """User pools that the stack makes, each with the triggers of all functions; and those that are there already."""
    pools: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if not event.get("existing"):
            pools[event.get("pool")].append(event)
    made = [_pool(pool, group) for pool, group in pools.items()]
    return joined([*made, existing.user_pools(context, [event for event in events if event.get("existing")])])


def _pool(pool: str, events: Sequence[Event]) -> Fragment:
    pool_id = "CognitoUserPool" + naming.letters(pool)
    triggers: Json = {}
    resources: dict[str, Json] = {}
    owners: dict[str, Event] = {}
    for event in events:
        first = owners.setdefault(event.get("trigger"), event)
        if first.function != event.function:
            raise event.bad("the pool's trigger calls a function already", "keep one of them", beside=first)
        triggers |= _trigger(event, triggers)
        own, trigger = naming.normal(event.function.key), event.get("trigger")
        allowed = f"{own}LambdaPermissionCognitoUserPool{naming.letters(pool)}TriggerSource{naming.letters(trigger)}"
        source = {"Fn::GetAtt": [pool_id, "Arn"]}
        resources[allowed] = permission(event.function, "cognito-idp.amazonaws.com", SourceArn=source)
    resources[pool_id] = {
        "Type": "AWS::Cognito::UserPool",
        "Properties": {"UserPoolName": pool, "LambdaConfig": triggers},
        "DependsOn": list(dict.fromkeys(e.function.alias_id or e.function.logical_id for e in events)),
    }
    return Fragment(resources, where=events[0].where)


def _trigger(event: Event, known: Mapping[str, Any]) -> Json:
    trigger = event.get("trigger")
    if trigger not in existing.SENDERS:
        return {trigger: event.function.target}
    key = existing.sender_key(event, known.get("KMSKeyID"))
    version = event.get("lambdaVersion") or "V1_0"
    return {trigger: {"LambdaArn": event.function.target, "LambdaVersion": version}, "KMSKeyID": key}
