"""Settings of a stack that no template can hold: tags, notifications, parameters, role, policy, rollback."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from lambdabuild.cloudformation.fragment import Json, compact
from lambdabuild.core import naming
from lambdabuild.core.model import Definition

LARGEST_BODY = 51_200
"""Bytes of a template that is sent as it is; a larger one goes into a bucket first.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
"""

CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM")

OPTIONAL = {
    "rollbackConfiguration": "RollbackConfiguration",
    "disableRollback": "DisableRollback",
    "deploymentMethod": "DeploymentMethod",
}
"""Settings that are copied when they are there, and their names here."""

PROVIDER = (
    "stackName", "deploymentPrefix", "deploymentMethod", "stackTags", "notificationArns", "stackParameters",
    "stackPolicy", "rollbackConfiguration", "disableRollback", "cfnRole",
)  # fmt: skip
"""Keys of the provider that the Serverless Framework reads when it deploys what was packaged before."""


def settings(definition: Definition, template: Mapping[str, Any]) -> Json:
    """Return how the stack is deployed, by the names of CloudFormation's CreateChangeSet as far as it has them.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
    """
    provider = definition.data["provider"]
    tags = provider.get("stackTags") or {}
    own = {} if any(key.upper() == "STAGE" for key in tags) else {"STAGE": definition.stage}
    options = {
        "StackName": name(definition),
        "Region": definition.region,
        "Capabilities": [*CAPABILITIES, *(["CAPABILITY_AUTO_EXPAND"] if template.get("Transform") else [])],
        "Tags": [{"Key": key, "Value": value} for key, value in {**own, **tags}.items()],
        "Parameters": provider.get("stackParameters") or [],
        "NotificationARNs": provider.get("notificationArns") or [],
    }
    role = deployment_role(provider)
    options |= {"RoleARN": role} if role else {}
    options |= {ours: provider[key] for key, ours in OPTIONAL.items() if provider.get(key)}
    options |= {"StackPolicy": {"Statement": provider["stackPolicy"]}} if provider.get("stackPolicy") else {}
    return options


def name(definition: Definition) -> str:
    given = definition.data["provider"].get("stackName")
    return naming.stack(definition.service, definition.stage, given if isinstance(given, str) else None)


def deployment_role(provider: Mapping[str, Any]) -> Any:
    """Return the role with which CloudFormation acts, None when it acts with the caller's permissions."""
    return (provider.get("iam") or {}).get("deploymentRole") or provider.get("cfnRole")


def command(stack: Json, template: str, secrets: Collection[str], bucket: str = "") -> str:
    """Return the commands of the AWS CLI that deploy a template file with these settings, as one line for a shell.

    A value that is a secret is a variable of the shell, which refuses to go on while that is not set. ``bucket`` is
    where a large template goes.
    """

    def word(variable: str, value: object, start: str = "") -> str:
        if not any(text in secrets for text in texts(value)):
            return shlex.quote(start + (value if isinstance(value, str) else compact(value)))
        variable = re.sub(r"^(?=\d)|\W", "_", variable, flags=re.ASCII)
        return f'{shlex.quote(start) if start else ""}"${{{variable}:?is a secret, see deploy.json}}"'

    place = ["--stack-name", shlex.quote(stack["StackName"]), "--region", shlex.quote(stack["Region"])]
    deploy = ["aws cloudformation deploy --template-file", shlex.quote(template), *place]
    deploy += ["--capabilities", *stack["Capabilities"]]
    deploy += ["--tags", *(word(tag["Key"], tag["Value"], f"{tag['Key']}=") for tag in stack["Tags"])]
    deploy += _if_any("--parameter-overrides", [word(key, value, f"{key}=") for key, value in _parameters(stack)])
    deploy += _if_any("--role-arn", [word("ROLE_ARN", stack["RoleARN"])] if "RoleARN" in stack else [])
    deploy += _if_any(
        "--notification-arns",
        [word(f"NOTIFICATION_ARN_{n}", arn) for n, arn in enumerate(stack["NotificationARNs"], 1)],
    )
    deploy += ["--disable-rollback"] if stack.get("DisableRollback") else []
    deploy += ["--s3-bucket", shlex.quote(bucket)] if bucket else []
    if "StackPolicy" not in stack:
        return " ".join(deploy)
    body = word("STACK_POLICY", stack["StackPolicy"])
    return " ".join([*deploy, "&& aws cloudformation set-stack-policy", *place, "--stack-policy-body", body])


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(item)


def _if_any(option: str, words: list[str]) -> list[str]:
    return [option, *words] if words else []


def _parameters(stack: Json) -> Iterator[tuple[str, Any]]:
    """Return the parameters with a value; the deploy command keeps the deployed stack's values for the others."""
    for parameter in stack["Parameters"]:
        if isinstance(parameter, dict) and "ParameterKey" in parameter and "ParameterValue" in parameter:
            yield str(parameter["ParameterKey"]), parameter["ParameterValue"]


def notes(stack: Json) -> list[str]:
    """Return notes about settings that the command has no option for."""
    words = []
    if "RollbackConfiguration" in stack:
        words.append(
            "rollbackConfiguration is no option of `aws cloudformation deploy`: deploy.json has it, for"
            " `aws cloudformation create-change-set --rollback-configuration`; the stack keeps what it was given last"
        )
    if "RoleARN" in stack and not isinstance(stack["RoleARN"], str):
        words.append("iam.deploymentRole is not an ARN, and CloudFormation resolves no functions in a stack's role")
    return words


def provider_keys(definition: Definition) -> Json:
    """Return the provider's settings that the Serverless Framework's ``deploy --package`` reads, in its own form."""
    provider = definition.data["provider"]
    keys = {key: provider[key] for key in PROVIDER if key in provider}
    role = (provider.get("iam") or {}).get("deploymentRole")
    keys |= {"iam": {"deploymentRole": role}} if role else {}
    bucket = provider.get("deploymentBucket")
    if isinstance(bucket, dict):
        keys["deploymentBucketObject"] = bucket
        bucket = bucket.get("name")
    if bucket:
        keys["deploymentBucket"] = bucket
    return keys
