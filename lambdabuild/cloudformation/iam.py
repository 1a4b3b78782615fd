"""The execution role that functions share, or one for each: what they need, and what the service adds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lambdabuild.cloudformation.context import Context, Lambda
from lambdabuild.cloudformation.fragment import Fragment, Json, Need, allow, without_nothing
from lambdabuild.core import naming
from lambdabuild.core.errors import BadFunction

NAME_LENGTH = 64
VPC_POLICY = {
    "Fn::Join": [
        "", ["arn:", {"Ref": "AWS::Partition"}, ":iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"]
    ]
}  # fmt: skip


def compile(context: Context, needed: tuple[Need, ...], services: Iterable[str] = ()) -> Fragment:
    """Return the role. ``needed`` is what functions and events ask for; ``services`` may assume it, too."""
    if not context.roles.has_shared:
        return Fragment()
    provider, given = context.provider, context.roles.options
    own = _own_statements(context)
    managed = [*(given.get("managedPolicies") or provider.get("iamManagedPolicies") or [])]
    in_vpc = provider.get("vpc") or any("vpc" in function.config for function in context.functions.values())
    properties = _role(
        context,
        statements=_with(needed, [*_logs(context), *own]),
        services=services,
        name=given.get("name") or {"Fn::Join": ["-", _name(context)]},
        path=given.get("path"),
        boundary=given.get("permissionsBoundary")
        or given.get("permissionBoundary")
        or _plugin(context).get("iamGlobalPermissionsBoundary")
        or provider.get("rolePermissionsBoundary"),
        tags=given.get("tags"),
        managed=[*managed, VPC_POLICY] if in_vpc else managed or None,
    )
    return Fragment({naming.ROLE: {"Type": "AWS::IAM::Role", "Properties": properties}})


def of_one(context: Context, function: Lambda, needed: tuple[Need, ...], services: Iterable[str] = ()) -> Fragment:
    """Return a role for one function: its own statements, what its settings and events need, and its own logs."""
    config, common = function.config, context.roles.options
    own = (config.get("iam") or {}).get("role") or {}
    stated = own.get("statements") or config.get("iamRoleStatements") or []
    inherited = _own_statements(context) if _inherits(context, function) else []
    statements = [*inherited, *stated]
    in_vpc = bool(config.get("vpc") or (context.provider.get("vpc") and "vpc" not in config))
    managed = [*(own.get("managedPolicies") or []), *([VPC_POLICY] if in_vpc else [])]
    properties = _role(
        context,
        statements=_with(needed, [*_own_logs(function), *statements]),
        services=services,
        name=own.get("name") or config.get("iamRoleStatementsName") or _own_name(context, function),
        path=own.get("path") or common.get("path"),
        boundary=own.get("permissionsBoundary")
        or config.get("iamPermissionsBoundary")
        or _plugin(context).get("iamGlobalPermissionsBoundary")
        or common.get("permissionsBoundary"),
        tags=own.get("tags") or common.get("tags"),
        managed=managed if "iamRoleStatements" in config else managed or None,  # the plugin leaves an empty list
    )
    role = {"Type": "AWS::IAM::Role", "Properties": properties}
    return Fragment({naming.own_role(function.key): role}, where=function.where)


def _role(
    context: Context,
    *,
    statements: list[Json],
    services: Iterable[str],
    name: Any,
    path: Any,
    boundary: Any,
    tags: Any,
    managed: list[Any] | None,
) -> Json:
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": ["lambda.amazonaws.com", *services]},
        "Action": ["sts:AssumeRole"],
    }
    policy = {
        "PolicyName": {"Fn::Join": ["-", [context.service, context.stage, "lambda"]]},
        "PolicyDocument": {"Version": "2012-10-17", "Statement": statements},
    }
    return without_nothing(
        {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
            "Policies": [policy] if statements else None,  # IAM refuses a policy without a statement
            "Path": path or "/",
            "RoleName": name,
            "PermissionsBoundary": boundary or None,
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()] if tags else None,
            "ManagedPolicyArns": managed,
        }
    )


def _with(needed: Iterable[Need], statements: list[Json]) -> list[Json]:
    for need in needed:
        if not need.once or need.statement not in statements:
            statements.append(need.statement)
    return statements


def _own_statements(context: Context) -> list[Json]:
    given = context.roles.setting
    return (
        (given.get("statements") if isinstance(given, dict) else None)
        or context.provider.get("iamRoleStatements")
        or []
    )


def _plugin(context: Context) -> Json:
    """Return the settings of serverless-iam-roles-per-function, whose work this module does."""
    options = (context.data.get("custom") or {}).get("serverless-iam-roles-per-function")
    return options if isinstance(options, dict) else {}


def _inherits(context: Context, function: Lambda) -> bool:
    """Return whether the provider's statements also apply to a function's own role."""
    config = function.config
    inherits = (config.get("iam") or {}).get("inheritStatements", config.get("iamRoleStatementsInherit"))
    if inherits is not None:
        return bool(inherits)
    return bool(_plugin(context).get("defaultInherit") or context.roles.options.get("mode") == "perFunction")


def _name(context: Context) -> list[Any]:
    return [context.service, context.stage, {"Ref": "AWS::Region"}, "lambdaRole"]


def _own_name(context: Context, function: Lambda) -> Json:
    """Return the shared role's name with the function's key in it, cut off where it would be too long.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    parts = _name(context)
    parts.insert(2, function.key)
    if _length(context, parts) > NAME_LENGTH:
        parts.pop()
    if _length(context, parts) > NAME_LENGTH:
        raise BadFunction(
            f"the role of function {function.key!r} would have a name of {_length(context, parts)} characters; IAM has"
            f" {NAME_LENGTH} at most",
            where=function.where,
            help="name it: iamRoleStatementsName, or iam.role.name",
        )
    return {"Fn::Join": ["-", parts]}


def _length(context: Context, parts: list[Any]) -> int:
    return sum(len(part) if isinstance(part, str) else len(context.region) for part in parts) + len(parts) - 1


def _own_logs(function: Lambda) -> list[Json]:
    if function.config.get("disableLogs"):
        return []
    group = naming.log_group_name(function.name)
    return [allow(["logs:CreateLogStream", "logs:CreateLogGroup", "logs:PutLogEvents"], _arns([group], ":*:*"))]


def _logs(context: Context) -> list[Json]:
    """Return the permission to write logs. A function with a name of its own is named, all others share a prefix; empty
    lists are left out.
    """
    prefix = f"{context.service}-{context.stage}"
    sharing = [function for function in context.functions.values() if not context.roles.needs_no_shared(function)]
    usual = [function for function in sharing if function.name.startswith(prefix)]
    groups = [
        naming.log_group_name(function.name)
        for function in sharing
        if function not in usual and not function.config.get("disableLogs")
    ]
    silent = [function for function in usual if function.config.get("disableLogs")]
    if len(silent) < len(usual):
        groups.append(naming.log_group_name(prefix) + "*")
    if not groups:
        return []
    statements: list[Json] = [
        allow(["logs:CreateLogStream", "logs:CreateLogGroup", "logs:TagResource"], _arns(groups, ":*")),
        allow(["logs:PutLogEvents"], _arns(groups, ":*:*")),
    ]
    if silent and len(silent) < len(usual):
        silenced = [naming.log_group_name(function.name) for function in silent]
        statements.append({"Effect": "Deny", "Action": "logs:PutLogEvents", "Resource": _arns(silenced, ":*")})
    return statements


def _arns(groups: list[str], end: str) -> list[Json]:
    start = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:"
    return [{"Fn::Sub": f"{start}{group}{end}"} for group in groups]
