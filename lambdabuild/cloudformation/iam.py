"""The execution role that functions share: what they need, and what the service adds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lambdabuild import naming
from lambdabuild.cloudformation.context import Context
from lambdabuild.cloudformation.fragment import Fragment, Json

VPC_POLICY = {
    "Fn::Join": [
        "", ["arn:", {"Ref": "AWS::Partition"}, ":iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"]
    ]
}  # fmt: skip


def compile(context: Context, needed: tuple[Json, ...], services: Iterable[str] = ()) -> Fragment:
    """The role; ``needed`` are the statements that functions and events ask for, ``services`` may assume it too."""
    if not context.has_shared_role:
        return Fragment()
    provider = context.provider
    given = (provider.get("iam") or {}).get("role") or {}
    own = given.get("statements") or provider.get("iamRoleStatements") or []
    statements = [*_logs(context), *own, *(one for one in needed if one not in own)]
    properties: Json = {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": ["lambda.amazonaws.com", *services]},
                    "Action": ["sts:AssumeRole"],
                }
            ],
        },
        "Policies": [
            {
                "PolicyName": {"Fn::Join": ["-", [context.service, context.stage, "lambda"]]},
                "PolicyDocument": {"Version": "2012-10-17", "Statement": statements},
            }
        ],
        "Path": given.get("path") or "/",
        "RoleName": given.get("name")
        or {"Fn::Join": ["-", [context.service, context.stage, {"Ref": "AWS::Region"}, "lambdaRole"]]},
    }
    if not statements:
        del properties["Policies"]  # IAM refuses a policy without a statement
    boundary = (
        given.get("permissionsBoundary") or given.get("permissionBoundary") or provider.get("rolePermissionsBoundary")
    )
    if boundary:
        properties["PermissionsBoundary"] = boundary
    if given.get("tags"):
        properties["Tags"] = [{"Key": key, "Value": value} for key, value in given["tags"].items()]
    managed = [*(given.get("managedPolicies") or provider.get("iamManagedPolicies") or [])]
    if _is_in_a_vpc(context):
        managed.append(VPC_POLICY)
    if managed:
        properties["ManagedPolicyArns"] = managed
    return Fragment({naming.ROLE: {"Type": "AWS::IAM::Role", "Properties": properties}})


def _is_in_a_vpc(context: Context) -> bool:
    return bool(context.provider.get("vpc")) or any("vpc" in one.config for one in context.functions.values())


def _logs(context: Context) -> list[Json]:
    """Writing logs: a function of a name of its own is named, all others share a prefix; no empty list is left."""
    prefix = f"{context.service}-{context.stage}"
    usual = [one for one in context.functions.values() if one.name.startswith(prefix)]
    groups = [
        naming.log_group_name(one.name)
        for one in context.functions.values()
        if one not in usual and not one.config.get("disableLogs")
    ]
    silent = [one for one in usual if one.config.get("disableLogs")]
    if len(silent) < len(usual):
        groups.append(naming.log_group_name(prefix) + "*")
    if not groups:
        return []
    found: list[Json] = [
        _allow(["logs:CreateLogStream", "logs:CreateLogGroup", "logs:TagResource"], _arns(context, groups, ":*")),
        _allow(["logs:PutLogEvents"], _arns(context, groups, ":*:*")),
    ]
    if silent and len(silent) < len(usual):
        silenced = [naming.log_group_name(one.name) for one in silent]
        found.append({"Effect": "Deny", "Action": "logs:PutLogEvents", "Resource": _arns(context, silenced, ":*")})
    return found


def _arns(context: Context, groups: list[str], end: str) -> list[Json]:
    return [{"Fn::Sub": f"{context.account}{group}{end}"} for group in groups]


def _allow(actions: Any, resources: Any) -> Json:
    return {"Effect": "Allow", "Action": actions, "Resource": resources}
