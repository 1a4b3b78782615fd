"""What a serverless.yml says of its stack: build/deploy.json, and the command that the end of a run shows."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from lambdabuild.cloudformation import stack
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.model import Definition
from lambdabuild.core.spans import Span, from_data
from lambdabuild.engine.steps.delivery import serverless_outputs

TOPIC, ROLE = "arn:aws:sns:us-east-1:123456789012:told", "arn:aws:iam::123456789012:role/deployer"


def definition(**provider: Any) -> Definition:
    data = {"service": "shop", "provider": {"name": "aws", **provider}}
    return Definition("serverless.yml", from_data(data, Span("serverless.yml")), "prod", "eu-west-1", {})


def settings(template: dict[str, Any] | None = None, **provider: Any) -> dict[str, Any]:
    return stack.settings(definition(**provider), template or {})


def words(command: str) -> list[str]:
    """What a shell makes of it."""
    ran = subprocess.run(
        ["sh", "-c", f"set -- {command}; printf '%s\\n' \"$@\""], capture_output=True, text=True, check=True
    )
    return ran.stdout.splitlines()


def test_a_service_that_says_nothing_of_its_stack_has_its_stage_as_a_tag() -> None:
    assert settings() == {
        "StackName": "shop-prod", "Region": "eu-west-1", "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        "Tags": [{"Key": "STAGE", "Value": "prod"}], "Parameters": [], "NotificationARNs": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ({"stackName": "mine"}, {"StackName": "mine"}),
        ({"stackTags": {"team": "a"}}, {"Tags": [{"Key": "STAGE", "Value": "prod"}, {"Key": "team", "Value": "a"}]}),
        ({"stackTags": {"Stage": "x"}}, {"Tags": [{"Key": "Stage", "Value": "x"}]}),
        ({"tags": {"of": "resources"}}, {"Tags": [{"Key": "STAGE", "Value": "prod"}]}),
        ({"notificationArns": [TOPIC]}, {"NotificationARNs": [TOPIC]}),
        ({"iam": {"deploymentRole": ROLE}}, {"RoleARN": ROLE}),
        ({"cfnRole": ROLE}, {"RoleARN": ROLE}),
        ({"disableRollback": True}, {"DisableRollback": True}),
        ({"deploymentMethod": "direct"}, {"DeploymentMethod": "direct"}),
        ({"rollbackConfiguration": {"MonitoringTimeInMinutes": 5}}, {"RollbackConfiguration": {"MonitoringTimeInMinutes": 5}}),
        ({"stackPolicy": [{"Effect": "Allow"}]}, {"StackPolicy": {"Statement": [{"Effect": "Allow"}]}}),
        ({"stackParameters": [{"ParameterKey": "A", "ParameterValue": "b"}]}, {"Parameters": [{"ParameterKey": "A", "ParameterValue": "b"}]}),
    ],
)  # fmt: skip
def test_each_setting_of_the_stack_is_told_by_cloudformations_name(provider: dict[str, Any], expected: Any) -> None:
    assert settings(**provider) == settings() | expected


def test_a_template_with_a_transform_needs_one_more_capability() -> None:
    assert settings({"Transform": "AWS::LanguageExtensions"})["Capabilities"][-1] == "CAPABILITY_AUTO_EXPAND"


def test_the_command_says_to_a_shell_what_the_settings_say() -> None:
    said = settings(
        stackTags={"owner": "a \"b\" $c"}, notificationArns=[TOPIC, TOPIC + "2"], cfnRole=ROLE, disableRollback=True,
        stackParameters=[{"ParameterKey": "A", "ParameterValue": "it's"}, {"ParameterKey": "Kept", "UsePreviousValue": True}],
    )  # fmt: skip
    assert words(stack.command(said, "build/t.json", set(), "large")) == [
        "aws", "cloudformation", "deploy", "--template-file", "build/t.json", "--stack-name", "shop-prod",
        "--region", "eu-west-1", "--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM",
        "--tags", "STAGE=prod", 'owner=a "b" $c', "--parameter-overrides", "A=it's", "--role-arn", ROLE,
        "--notification-arns", TOPIC, TOPIC + "2", "--disable-rollback", "--s3-bucket", "large",
    ]  # fmt: skip


def test_a_stack_policy_is_set_by_a_command_of_its_own() -> None:
    deploy, _, policy = stack.command(settings(stackPolicy=[{"Effect": "Allow"}]), "t.json", set()).partition(" && ")
    assert "policy" not in deploy
    assert policy == (
        "aws cloudformation set-stack-policy --stack-name shop-prod --region eu-west-1"
        """ --stack-policy-body '{"Statement":[{"Effect":"Allow"}]}'"""
    )


def test_a_rollback_configuration_that_no_option_takes_is_a_note() -> None:
    said = settings(rollbackConfiguration={"MonitoringTimeInMinutes": 5})
    (note,) = stack.notes(said)
    assert "rollbackConfiguration" in note
    assert "MonitoringTime" not in stack.command(said, "t.json", set())
    assert stack.notes(settings()) == []


@pytest.mark.parametrize(
    ("provider", "variable"),
    [
        ({"stackParameters": [{"ParameterKey": "Db", "ParameterValue": "hush"}]}, "Db"),
        ({"stackTags": {"cost:center": "hush"}}, "cost_center"),
        ({"stackTags": {"1st": "hush"}}, "_1st"),
        ({"cfnRole": "hush"}, "ROLE_ARN"),
        ({"notificationArns": [TOPIC, "hush"]}, "NOTIFICATION_ARN_2"),
        ({"stackPolicy": [{"Principal": "hush"}]}, "STACK_POLICY"),
    ],
)
def test_a_secret_is_a_variable_without_which_the_shell_stops(provider: dict[str, Any], variable: str) -> None:
    command = stack.command(settings(**provider), "t.json", {"hush"})
    assert "hush" not in command
    stopped = subprocess.run(
        ["sh", "-c", command.replace("aws cloudformation", "true")], capture_output=True, text=True, check=False
    )
    assert stopped.returncode != 0
    assert f"{variable}: is a secret, see deploy.json" in stopped.stderr


def test_what_a_deployment_reads_of_the_state_is_there_but_for_secrets() -> None:
    bucket = {"name": "artifacts", "maxPreviousDeploymentArtifacts": 2}
    known = stack.provider_keys(
        definition(deploymentBucket=bucket, iam={"deploymentRole": ROLE, "role": "x"}, stackTags={"a": "b"})
    )
    assert known == {"iam": {"deploymentRole": ROLE}, "stackTags": {"a": "b"}, "deploymentBucket": "artifacts", "deploymentBucketObject": bucket}  # fmt: skip
    state = {
        "service": {
            "provider": {**known, "stackTags": {"a": "hush"}},
            "functions": {"f": {"events": [{"sns": "x-hush-y"}, {"sns": "x"}]}},
        }
    }
    open_, left_out = serverless_outputs.without_secrets(state, {"hush"})
    assert left_out == ["stackTags"]
    assert open_["service"]["functions"]["f"]["events"] == [{"sns": "x"}]
    assert "hush" not in json.dumps(open_)


@pytest.mark.parametrize("setting", [{"notificationArns": {"a": "b"}}, {"stackTags": ["a"]}, {"stackPolicy": {"a": "b"}}, {"rollbackConfiguration": [1, 2]}])  # fmt: skip
def test_a_setting_of_the_wrong_kind_is_an_error_with_its_place(setting: dict[str, Any]) -> None:
    from mutations import template

    data = {"service": "shop", "provider": {"name": "aws", "runtime": "python3.13", **setting}}
    with pytest.raises(LambdaBuildError, match=next(iter(setting))):
        template(from_data(data, Span("serverless.yml", 3, 5)))
