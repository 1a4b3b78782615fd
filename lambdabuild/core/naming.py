"""Logical ids and names of a serverless.yml's resources, as deployed stacks have them: another id is another resource.

The rules are the Serverless Framework's, because a stack that it deployed must be updated and not replaced.
"""

from __future__ import annotations

import re

BUCKET, BUCKET_POLICY, BUCKET_OUTPUT = (
    "ServerlessDeploymentBucket", "ServerlessDeploymentBucketPolicy", "ServerlessDeploymentBucketName",
)  # fmt: skip
ROLE = "IamRoleLambdaExecution"

ECR_URI = re.compile(
    r"(?P<account>\d+)\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^:@]+))?(?:@sha256:(?P<digest>[0-9a-f]{64}))?$"
)
"""An image in ECR. What is not so in a serverless.yml names one of its own."""


def normal(name: str) -> str:
    """``my-fn_a`` -> ``MyDashfnUnderscorea``."""
    name = name.replace("-", "Dash").replace("_", "Underscore")
    return name[:1].upper() + name[1:]


def letters(name: str) -> str:
    """Without what is no letter or digit: ``a.b-c`` -> ``Abc``."""
    return normal(re.sub(r"[^0-9A-Za-z]", "", name))


def path_part(part: str) -> str:
    """One part of a path: ``{itemId}`` -> ``ItemidVar``, ``My-Items`` -> ``MyDashitems``."""
    part = part[:1].upper() + part[1:].lower()
    part = re.sub(r"\{(.*)\}", r"\1Var", part.replace("-", "Dash"))
    part = re.sub(r"[^0-9A-Za-z]", "", part)
    return part[:1].upper() + part[1:]


def path(whole: str) -> str:
    return "".join(path_part(part) for part in whole.split("/"))


def function(key: str) -> str:
    return normal(key) + "LambdaFunction"


def own_role(key: str) -> str:
    return normal(key) + ROLE


def log_group(key: str) -> str:
    return normal(key) + "LogGroup"


def log_group_name(function_name: str) -> str:
    return f"/aws/lambda/{function_name}"


def version(key: str, digest: str) -> str:
    return f"{normal(key)}LambdaVersion{re.sub(r'[^0-9a-zA-Z]', '', digest)}"


def version_output(key: str) -> str:
    return function(key) + "QualifiedArn"


def url(key: str) -> str:
    return normal(key) + "LambdaFunctionUrl"


def url_permission(key: str) -> str:
    return normal(key) + "LambdaPermissionFnUrl"


def event_config(key: str) -> str:
    return normal(key) + "LambdaEvConf"


def provisioned_alias(key: str) -> str:
    return normal(key) + "ProvConcLambdaAlias"


def snap_start_alias(key: str) -> str:
    return normal(key) + "SnapStartLambdaAlias"


def function_arn(name: str) -> str:
    """A function's ARN in the stack's own region and account, for ``Fn::Sub``; ``name`` may end with an alias."""
    return f"arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:${{AWS::AccountId}}:function:{name}"


def durable_alias(key: str) -> str:
    return normal(key) + "DurableLambdaAlias"


def layer(key: str) -> str:
    return normal(key) + "LambdaLayer"


def repository(service: str, stage: str) -> str:
    """The repository of ECR that a service's images go to."""
    return re.sub(r"-+", "-", f"serverless-{service}-{stage}".lower()).rstrip("-")


def layer_permission(key: str, account: str) -> str:
    """An account's ARN stands for its number: an id may hold letters and digits only."""
    number = re.search(r"\d{12}", account)
    return f"{normal(key)}{number[0] if number else account.replace('*', 'Wild')}LambdaLayerPermission"


def export(service: str, stage: str, output: str) -> str:
    return f"sls-{service}-{stage}-{output}"


def stack(service: str, stage: str, given: str | None) -> str:
    return given or f"{service}-{stage}"
