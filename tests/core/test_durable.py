"""Durable functions: what they are refused together with, each mistake at its place and by osls' name."""

from __future__ import annotations

from typing import Any

import pytest
from mutations import template

from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.frontends.yaml_text import parse

SQS = "arn:aws:sqs:us-east-1:123456789012:q"
DURABLE = "DURABLE_FUNCTION_{}_UNSUPPORTED"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/r@sha256:" + "0" * 64


def compiled(
    function: str, provider: str = "runtime: python3.13", durable: str = "executionTimeout: 901"
) -> dict[str, Any]:
    text = f"""service: shop
plugins: [serverless-iam-roles-per-function]
provider: {{name: aws, {provider}}}
functions:
  one:
    durableConfig: {{{durable}}}
    {function}
"""
    return template(parse("serverless.yml", text, core_schema=True)[0])


REFUSED = [
    ("handler: a.b\n    runtime: nodejs20.x", "DURABLE_FUNCTION_UNSUPPORTED_RUNTIME", 8),
    ("handler: a.b\n    runtime: provided.al2023", "DURABLE_FUNCTION_UNSUPPORTED_RUNTIME", 8),
    (f"handler: a.b\n    destinations: {{onFailure: '{SQS}'}}", DURABLE.format("DESTINATIONS"), 8),
    ("handler: a.b\n    maximumRetryAttempts: 0", DURABLE.format("MAXIMUM_RETRY_ATTEMPTS"), 8),
    (f"handler: a.b\n    events: [{{sns: x}}, {{sqs: '{SQS}'}}]", DURABLE.format("ESM_TIMEOUT"), 6),
    (f"handler: a.b\n    events: [{{activemq: {{arn: '{SQS}', queue: q, basicAuthArn: '{SQS}'}}}}]", DURABLE.format("ESM_TIMEOUT"), 6),
    ("handler: a.b\n    events: [{cloudFront: {eventType: viewer-request, origin: 's3://b.s3.amazonaws.com/x'}}]", DURABLE.format("LAMBDA_EDGE"), 8),
    ("handler: a.b\n    runtime: nodejs22.x\n    snapStart: true", DURABLE.format("SNAPSTART"), 9),
    ("handler: a.b\n    snapStart: true\n    ephemeralStorageSize: 513", DURABLE.format("SNAPSTART"), 8),
    (f"image: '{IMAGE}'\n    snapStart: true", DURABLE.format("SNAPSTART"), 8),
]  # fmt: skip


@pytest.mark.parametrize(("function", "known_as", "line"), REFUSED)
def test_what_a_durable_function_cannot_have_is_an_error_at_its_place(function: str, known_as: str, line: int) -> None:
    with pytest.raises(LambdaBuildError) as raised:
        compiled(function)
    error = raised.value
    assert (error.known_as, error.where[0].line) == (known_as, line)
    assert error.help


@pytest.mark.parametrize(
    ("function", "provider", "durable"),
    [
        (f"image: '{IMAGE}'", "stage: dev", "executionTimeout: 901"),
        (f"handler: a.b\n    events: [{{sqs: '{SQS}'}}]", "runtime: java21", "executionTimeout: 900"),
        ("handler: a.b\n    events: [{schedule: rate(1 day)}]", "runtime: nodejs24.x", "executionTimeout: 901"),
        ("handler: a.b\n    snapStart: true\n    maximumEventAge: 60", "runtime: java25", "executionTimeout: 1, retentionPeriodInDays: 7"),
    ],
)  # fmt: skip
def test_a_durable_function_is_called_by_its_alias(function: str, provider: str, durable: str) -> None:
    resources = compiled(function, provider, durable)["Resources"]
    assert resources["OneLambdaFunction"]["Properties"]["DurableConfig"]["ExecutionTimeout"] > 0
    assert resources["OneDurableLambdaAlias"]["Properties"]["Name"] == "durable"
    assert any(one["Type"] == "AWS::Lambda::Version" for one in resources.values())


def test_a_durable_function_with_a_role_of_its_own_has_its_rights_there() -> None:
    resources = compiled("handler: a.b\n    iamRoleStatements: []")["Resources"]
    roles = [key for key, one in resources.items() if one["Type"] == "AWS::IAM::Role"]
    (own,) = [resources[key] for key in roles if key != "IamRoleLambdaExecution"]
    actions = [one["Action"] for one in own["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]]
    assert ["lambda:CheckpointDurableExecution", "lambda:GetDurableExecutionState"] in actions


@pytest.mark.parametrize("durable", ["", "executionTimeout: null", "retentionPeriodInDays: 3"])
def test_a_configuration_without_a_time_is_an_error_in_every_mode(durable: str) -> None:
    with pytest.raises(LambdaBuildError, match=r"durableConfig(\.executionTimeout)? is"):
        compiled("handler: a.b", "runtime: python3.13", durable)
