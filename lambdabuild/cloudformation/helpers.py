"""Functions of our own that do at deployment what CloudFormation cannot: wire what exists already.

Their code is in ``programs/``, and written into the template, so there is nothing to build and to send. 4 MB may be:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-lambda-function-code.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

from lambdabuild.cloudformation import stack
from lambdabuild.cloudformation.context import Context
from lambdabuild.cloudformation.fragment import Fragment, Helper, Json, allow, without_nothing
from lambdabuild.core import naming

ROLE = "IamRoleCustomResourcesLambdaExecution"
RUNTIME, MEMORY_MEGABYTES, TIMEOUT_SECONDS, NAME_LENGTH = "python3.13", 1024, 180, 64

KINDS: Mapping[str, tuple[str, str]] = {
    "existing_bucket": ("custom-resource-existing-s3", "existing_bucket.py"),
    "existing_user_pool": ("custom-resource-existing-cup", "existing_user_pool.py"),
    "event_bridge": ("custom-resource-event-bridge", "event_bridge.py"),
    "account_role": ("custom-resource-apigw-cw-role", "account_role.py"),
}
"""The helpers: the function's name, by which deployed stacks know it, and its code."""

ACCOUNT_ROLE = "CustomApiGatewayAccountCloudWatchRole"


def function_id(kind: str) -> str:
    return naming.function(KINDS[kind][0])


def compile(context: Context, helpers: Sequence[Helper]) -> Fragment:
    """Return the helper functions that are needed, and their role with the permissions they need."""
    helpers = [helper for position, helper in enumerate(helpers) if helper not in helpers[:position]]
    kinds = sorted({helper.kind for helper in helpers})
    if not kinds:
        return Fragment()
    given = stack.deployment_role(context.provider)
    resources: dict[str, Json] = {}
    if not given:
        resources[ROLE] = _role(context, helpers)
    for kind in kinds:
        resources |= _function(context, kind, given)
    return Fragment(resources)


def account_role(context: Context) -> Fragment:
    """Return the account's role with which API Gateway writes logs; None when the service does not want it."""
    given = (context.provider.get("logs") or {}).get("restApi")
    options = given if isinstance(given, dict) else {}
    if options.get("roleManagedExternally"):
        return Fragment()
    properties = without_nothing(
        {
            "ServiceToken": {"Fn::GetAtt": [function_id("account_role"), "Arn"]},
            "RoleArn": options.get("role"),
        }
    )
    roles = {"Fn::Join": [":", ["arn", {"Ref": "AWS::Partition"}, "iam:", {"Ref": "AWS::AccountId"}, "role/*"]]}
    account = {"Fn::Join": [":", ["arn", {"Ref": "AWS::Partition"}, "apigateway:*::/account"]]}
    make = ["iam:AttachRolePolicy", "iam:CreateRole", "iam:ListAttachedRolePolicies", "iam:PassRole"]
    statements = (allow(make, roles), allow(["apigateway:GET", "apigateway:PATCH"], account))
    resource = {"Type": "Custom::ApiGatewayAccountRole", "Properties": properties}
    return Fragment({ACCOUNT_ROLE: resource}, helpers=(Helper("account_role", statements),))


def _logs(context: Context) -> bool:
    return bool((context.provider.get("logs") or {}).get("frameworkLambda"))


def _name(context: Context, kind: str) -> str:
    name = f"{context.service}-{context.stage}-{KINDS[kind][0]}"
    if len(name) <= NAME_LENGTH:
        return name
    return name[:32] + hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


def _role(context: Context, helpers: Sequence[Helper]) -> Json:
    statements: list[Json] = []
    if _logs(context):
        prefix = naming.log_group_name(f"{context.service}-{context.stage}")
        start = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:"
        write = ["logs:CreateLogStream", "logs:CreateLogGroup", "logs:TagResource"]
        statements.append(allow(write, [{"Fn::Sub": f"{start}{prefix}*:*"}]))
        statements.append(allow(["logs:PutLogEvents"], [{"Fn::Sub": f"{start}{prefix}*:*:*"}]))
    for statement in (statement for helper in helpers for statement in helper.statements):
        known = [item["Resource"] for item in statements if isinstance(item["Resource"], str)]
        if statement["Resource"] not in known:
            statements.append(statement)
    policy = {
        "PolicyName": {"Fn::Join": ["-", [context.stage, context.service, "custom-resources-lambda"]]},
        "PolicyDocument": {"Version": "2012-10-17", "Statement": statements},
    }
    trust = allow(["sts:AssumeRole"], None) | {"Principal": {"Service": ["lambda.amazonaws.com"]}}
    document = {"Version": "2012-10-17", "Statement": [without_nothing(trust)]}
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": document, "Policies": [policy]}}


def _function(context: Context, kind: str, role: object) -> dict[str, Json]:
    name, depends = _name(context, kind), [] if role else [ROLE]
    resources: dict[str, Json] = {}
    if _logs(context):
        group_id = naming.log_group(KINDS[kind][0])
        properties = without_nothing(
            {
                "LogGroupName": naming.log_group_name(name),
                "RetentionInDays": context.provider.get("logRetentionInDays"),
                "DataProtectionPolicy": context.provider.get("logDataProtectionPolicy"),
            }
        )
        resources[group_id] = {"Type": "AWS::Logs::LogGroup", "Properties": properties}
        depends.append(group_id)
    function: Json = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Code": {"ZipFile": code(kind)},
            "FunctionName": name,
            "Handler": "index.handler",
            "MemorySize": MEMORY_MEGABYTES,
            "Role": role or {"Fn::GetAtt": [ROLE, "Arn"]},
            "Runtime": RUNTIME,
            "Timeout": TIMEOUT_SECONDS,
        },
    }
    return resources | {function_id(kind): function | ({"DependsOn": depends} if depends else {})}


@cache
def code(kind: str) -> str:
    """Return the complete program of a helper."""
    here = resources.files("lambdabuild.cloudformation") / "programs"
    return "\n\n".join(here.joinpath(name).read_text(encoding="utf-8") for name in (KINDS[kind][1], "answer.py"))
