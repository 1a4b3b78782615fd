"""Buckets and user pools that exist already: a helper wires them at deployment, one resource for each function."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from lambdabuild.cloudformation import helpers
from lambdabuild.cloudformation.context import Context
from lambdabuild.cloudformation.events.event import Event, by_function
from lambdabuild.cloudformation.fragment import Fragment, Helper, Json, allow, arn_here, compact
from lambdabuild.core import naming

CREATED = "s3:ObjectCreated:*"
SENDERS = ("CustomSMSSender", "CustomEmailSender")
"""Triggers that get what they send encrypted."""


def buckets(context: Context, events: Sequence[Event]) -> Fragment:
    resources: dict[str, Json] = {}
    statements: list[Json] = []
    users: dict[str, list[str]] = defaultdict(list)
    for group in by_function(events).values():
        bucket = group[0].get("bucket")
        _refuse_two(group, "bucket", "S3_MULTIPLE_BUCKETS_PER_FUNCTION")
        logical_id = naming.normal(group[0].function.key) + "CustomS31"
        configs = [{"Event": event.get("event") or CREATED, "Rules": _rules(event)} for event in group]
        resources[logical_id] = custom("Custom::S3", "existing_bucket", group[0], {
            "BucketName": bucket, "BucketConfigs": configs, **_forced(context, group),
        })  # fmt: skip
        users[compact(bucket)].append(logical_id)
        arn = {"Fn::Join": [":", ["arn", {"Ref": "AWS::Partition"}, "s3", "", "", bucket]]}
        statements.append(allow(["s3:PutBucketNotification", "s3:GetBucketNotification"], arn))
    if not resources:
        return Fragment()
    functions = arn_here("lambda", "function", "*")
    statements.append(allow(["lambda:AddPermission", "lambda:RemovePermission"], functions))
    return Fragment(_chained(resources, users), helpers=(Helper("existing_bucket", tuple(statements)),))


def _rules(event: Event) -> list[Json]:
    return [raised(rule) for rule in event.get("rules", ())]


def raised(options: Mapping[str, Any]) -> Json:
    """Return the mapping with capitalized keys, as CloudFormation and the services' calls write them."""
    return {name[:1].upper() + name[1:]: value for name, value in options.items()}


def user_pools(context: Context, events: Sequence[Event]) -> Fragment:
    resources: dict[str, Json] = {}
    statements: list[Json] = []
    users: dict[str, list[str]] = defaultdict(list)
    keys: dict[str, Any] = {}
    for group in by_function(events).values():
        function, pool = group[0].function, group[0].get("pool")
        _refuse_two(group, "pool", "COGNITO_MULTIPLE_USER_POOLS_PER_FUNCTION")
        logical_id = naming.normal(function.key) + "CustomCognitoUserPool1"
        configs = [_trigger(event, keys) for event in group]
        resources[logical_id] = custom("Custom::CognitoUserPool", "existing_user_pool", group[0], {
            "UserPoolName": pool, "UserPoolConfigs": configs, **_forced(context, group),
        })  # fmt: skip
        users[pool].append(logical_id)
        key = next((config["KMSKeyID"] for config in configs if "KMSKeyID" in config), None)
        if key is not None:
            statements.append(allow(["kms:CreateGrant"], key))
        change = ["cognito-idp:ListUserPools", "cognito-idp:DescribeUserPool", "cognito-idp:UpdateUserPool"]
        statements.append(allow(change, "*"))
        arn = {"Fn::Sub": f"arn:${{AWS::Partition}}:lambda:*:*:function:{function.name}"}
        statements.append(allow(["lambda:AddPermission", "lambda:RemovePermission"], arn))
    if not resources:
        return Fragment()
    statements.append(allow(["iam:PassRole"], {"Fn::Sub": "arn:${AWS::Partition}:iam::*:role/*"}))
    return Fragment(_chained(resources, users), helpers=(Helper("existing_user_pool", tuple(statements)),))


def _trigger(event: Event, keys: dict[str, Any]) -> Json:
    trigger = event.get("trigger")
    if trigger not in SENDERS:
        return {"Trigger": trigger}
    key = sender_key(event, keys.get(event.get("pool")))
    keys[event.get("pool")] = key
    return {"Trigger": trigger, "LambdaVersion": event.get("lambdaVersion") or "V1_0", "KMSKeyID": key}


def sender_key(event: Event, known: object) -> Any:
    """Return the key that encrypts messages; a pool has only one."""
    key = event.get("kmsKeyId")
    if not key:
        raise event.bad(
            f"{event.get('trigger')} needs a kmsKeyId",
            "name the key that encrypts the codes",
            "COGNITO_KMS_KEY_NOT_SET",
        )
    if known not in (None, key):
        raise event.bad(
            "a user pool has one kmsKeyId only", "name the same key", "COGNITO_KMS_KEY_ID_NOT_SAME_FOR_SINGLE_USER_POOL"
        )
    return key


def _refuse_two(group: Sequence[Event], option: str, known_as: str) -> None:
    for event in group:
        if event.get(option) != group[0].get(option):
            raise event.bad(
                f"a function has one {option} that exists already, and this would be another",
                "give the other one a function of its own", known_as, beside=group[0],
            )  # fmt: skip


def custom(kind: str, helper: str, event: Event, properties: Mapping[str, Any]) -> Json:
    """Return a custom resource that a helper creates for a function."""
    function = event.function
    token = {"ServiceToken": {"Fn::GetAtt": [helpers.function_id(helper), "Arn"]}, "FunctionName": function.name}
    depends = [function.logical_id, helpers.function_id(helper)]
    return {"Type": kind, "Properties": {**token, **properties}, "DependsOn": depends}


def _forced(context: Context, group: Sequence[Event]) -> Json:
    """``forceDeploy`` asks for the wiring to be done again; here that is whenever the function's code changed.

    The Serverless Framework takes the clock, so that each of its templates is another one.
    """
    artifact = context.artifacts.get(f"function:{group[0].function.key}")
    forced = artifact is not None and any(event.get("forceDeploy") for event in group)
    return {"ForceDeploy": artifact.code_sha256} if forced and artifact else {}


def _chained(resources: Mapping[str, Json], users: Mapping[str, Sequence[str]]) -> dict[str, Json]:
    """Those that change one thing do so one after another, or the last would undo the others' changes."""
    chained = dict(resources)
    for ids in users.values():
        for before, after in pairwise(ids):
            chained[after] = {**chained[after], "DependsOn": [*chained[after]["DependsOn"], before]}
    return chained
