"""The programs that wire what exists already, run against moto's S3, Cognito, Lambda and API Gateway."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lambdabuild.cloudformation.helpers import KINDS, code

REGION, ACCOUNT = "us-east-1", "123456789012"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"


class Context:
    invoked_function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:helper"


def arn(name: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {"AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        role = boto3.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        empty = io.BytesIO()
        with zipfile.ZipFile(empty, "w") as archive:
            archive.writestr("a.py", "")
        for name in ("mine", "other"):
            boto3.client("lambda").create_function(
                FunctionName=name, Role=role, Handler="a.b", Runtime="python3.13", Code={"ZipFile": empty.getvalue()}
            )
        yield


@pytest.fixture
def answers() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Where CloudFormation waits for an answer, and what it was told."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:  # the base class asks for this name
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/answer", told
    server.shutdown()
    server.server_close()


def call(kind: str, answers: Any, request: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Run a helper as Lambda does; gives what CloudFormation was told."""
    program: dict[str, Any] = {}
    exec(compile(code(kind), f"{kind}.py", "exec"), program)
    address, told = answers
    event = {"RequestType": request, "ResponseURL": address, "ResourceProperties": properties, "StackId": "s", "RequestId": "r",
             "LogicalResourceId": "l", **more}  # fmt: skip
    program["handler"](event, Context())
    return told[-1]


def test_a_buckets_other_notifications_stay(aws: None, answers: Any) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="there")
    other = {"LambdaFunctionArn": arn("other"), "Events": ["s3:ObjectRemoved:*"]}
    s3.put_bucket_notification_configuration(
        Bucket="there", NotificationConfiguration={"LambdaFunctionConfigurations": [other]}
    )
    properties = {"FunctionName": "mine", "BucketName": "there",
                  "BucketConfigs": [{"Event": "s3:ObjectCreated:*", "Rules": [{"Prefix": "a/"}, {"Suffix": ".b"}]}]}  # fmt: skip

    def listed() -> dict[str, list[str]]:
        found = s3.get_bucket_notification_configuration(Bucket="there").get("LambdaFunctionConfigurations", [])
        return {one["LambdaFunctionArn"].rpartition(":")[2]: one["Events"] for one in found}

    created = call("existing_bucket", answers, "Create", properties)
    assert created["Status"] == "SUCCESS", created
    assert listed() == {"mine": ["s3:ObjectCreated:*"], "other": ["s3:ObjectRemoved:*"]}
    policy = json.loads(boto3.client("lambda").get_policy(FunctionName="mine")["Policy"])
    assert policy["Statement"][0]["Principal"] == {"Service": "s3.amazonaws.com"}

    changed = {**properties, "BucketConfigs": [{"Event": "s3:ObjectCreated:Put"}]}
    assert call("existing_bucket", answers, "Update", changed, OldResourceProperties=properties)["Status"] == "SUCCESS"
    assert listed()["mine"] == ["s3:ObjectCreated:Put"]

    assert call("existing_bucket", answers, "Delete", changed)["Status"] == "SUCCESS"
    assert listed() == {"other": ["s3:ObjectRemoved:*"]}


def test_a_user_pools_other_triggers_and_settings_stay(aws: None, answers: Any) -> None:
    cognito = boto3.client("cognito-idp")
    pool = cognito.create_user_pool(
        PoolName="there", LambdaConfig={"PostConfirmation": arn("other")}, AutoVerifiedAttributes=["email"]
    )["UserPool"]["Id"]
    properties = {"FunctionName": "mine", "UserPoolName": "there", "UserPoolConfigs": [
        {"Trigger": "PreSignUp"}, {"Trigger": "CustomSMSSender", "LambdaVersion": "V1_0", "KMSKeyID": KEY}]}  # fmt: skip

    def described() -> dict[str, Any]:
        return cognito.describe_user_pool(UserPoolId=pool)["UserPool"]

    created = call("existing_user_pool", answers, "Create", properties)
    assert created["Status"] == "SUCCESS", created
    triggers = described()["LambdaConfig"]
    assert triggers["PreSignUp"] == arn("mine")
    assert triggers["PostConfirmation"] == arn("other")
    assert triggers["CustomSMSSender"] == {"LambdaArn": arn("mine"), "LambdaVersion": "V1_0"}
    assert described()["AutoVerifiedAttributes"] == ["email"]

    assert call("existing_user_pool", answers, "Delete", properties)["Status"] == "SUCCESS"
    triggers = described()["LambdaConfig"]
    assert "PreSignUp" not in triggers
    assert triggers["PostConfirmation"] == arn("other")


def rule(**config: Any) -> dict[str, Any]:
    return {"FunctionName": "mine", "EventBridgeConfig": {"RuleName": "shop-rule.1", "State": "ENABLED", **config}}


def permissions() -> list[str]:
    """The rules that may call the function."""
    try:
        policy = boto3.client("lambda").get_policy(FunctionName="mine")["Policy"]
    except boto3.client("lambda").exceptions.ResourceNotFoundException:
        return []
    return [one["Condition"]["ArnLike"]["AWS:SourceArn"] for one in json.loads(policy)["Statement"]]


BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/far"


@pytest.mark.parametrize(
    ("config", "bus", "source"),
    [
        ({"Schedule": "rate(1 day)", "Input": {"a": {"b": ["c"]}}}, "default", "rule/shop-rule.1"),
        ({"Pattern": {"source": ["a"]}, "InputPath": "$.x", "EventBus": "default"}, "default", "rule/shop-rule.1"),
        ({"Pattern": {"source": ["a"]}, "EventBus": "near", "State": "DISABLED"}, "near", "rule/near/shop-rule.1"),
        ({"Pattern": {"source": ["a"]}, "EventBus": BUS,
          "InputTransformer": {"InputTemplate": "<t>", "InputPathsMap": {"t": "$.time"}}}, "far", "rule/far/shop-rule.1"),
    ],
)  # fmt: skip
def test_a_rule_is_made_changed_and_removed(
    aws: None, answers: Any, config: dict[str, Any], bus: str, source: str
) -> None:
    events = boto3.client("events")
    events.create_event_bus(Name="far")
    properties = rule(**config)
    created = call("event_bridge", answers, "Create", properties)
    assert created["Status"] == "SUCCESS", created
    (made,) = events.list_rules(EventBusName=bus)["Rules"]
    assert made["State"] == config.get("State", "ENABLED")
    assert made.get("ScheduleExpression") == config.get("Schedule")
    assert json.loads(made.get("EventPattern", "null")) == config.get("Pattern")
    (target,) = events.list_targets_by_rule(Rule="shop-rule.1", EventBusName=bus)["Targets"]
    assert (target["Id"], target["Arn"]) == ("shop-rule.1-target", arn("mine"))
    assert json.loads(target.get("Input", "null")) == config.get("Input")
    assert target.get("InputPath") == config.get("InputPath")
    assert target.get("InputTransformer") == config.get("InputTransformer")
    assert permissions() == [f"arn:aws:events:{REGION}:{ACCOUNT}:{source}"]

    known_as = created["PhysicalResourceId"]
    changed = rule(**{**config, "State": "DISABLED"})
    told = call(
        "event_bridge", answers, "Update", changed, OldResourceProperties=properties, PhysicalResourceId=known_as
    )
    assert (told["Status"], told["PhysicalResourceId"]) == ("SUCCESS", known_as)
    assert [one["State"] for one in events.list_rules(EventBusName=bus)["Rules"]] == ["DISABLED"]
    assert len(permissions()) == 1

    removed = call("event_bridge", answers, "Delete", changed, PhysicalResourceId=known_as)
    assert removed["Status"] == "SUCCESS", removed
    assert permissions() == []
    assert {one["Name"] for one in events.list_event_buses()["EventBuses"]} == {"default", "far"}
    assert events.list_rules()["Rules"] == []
    again = call("event_bridge", answers, "Delete", changed, PhysicalResourceId=known_as)
    assert again["Status"] == "SUCCESS", "what is gone already can be removed"


def test_a_rule_of_another_name_takes_the_formers_place(aws: None, answers: Any) -> None:
    before, now = rule(Schedule="rate(1 day)"), rule(Schedule="rate(1 day)", RuleName="other")
    known_as = call("event_bridge", answers, "Create", before)["PhysicalResourceId"]
    told = call("event_bridge", answers, "Update", now, OldResourceProperties=before, PhysicalResourceId=known_as)
    assert told["PhysicalResourceId"] != known_as, "so that CloudFormation removes the former one"
    call("event_bridge", answers, "Delete", before, PhysicalResourceId=known_as)
    assert [one["Name"] for one in boto3.client("events").list_rules()["Rules"]] == ["other"]
    assert permissions() == [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/other"]


def test_a_bus_that_somebody_else_made_stays(aws: None, answers: Any) -> None:
    events = boto3.client("events")
    events.create_event_bus(Name="near")
    properties = rule(Pattern={"source": ["a"]}, EventBus="near")
    known_as = call("event_bridge", answers, "Create", properties)["PhysicalResourceId"]
    assert call("event_bridge", answers, "Delete", properties, PhysicalResourceId=known_as)["Status"] == "SUCCESS"
    assert "near" in {one["Name"] for one in events.list_event_buses()["EventBuses"]}


def test_a_rule_that_the_frameworks_program_made_is_kept_and_can_be_removed(aws: None, answers: Any) -> None:
    properties = rule(Schedule="rate(1 day)")
    boto3.client("events").put_rule(Name="shop-rule.1", ScheduleExpression="rate(1 day)")
    boto3.client("lambda").add_permission(
        FunctionName="mine", StatementId="mine-shop-rule1", Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com", SourceArn="arn:x",
    )  # fmt: skip
    known = {"PhysicalResourceId": "of theirs"}
    told = call(
        "event_bridge", answers, "Update", rule(Schedule="rate(2 days)"), OldResourceProperties=properties, **known
    )
    assert (told["Status"], told["PhysicalResourceId"]) == ("SUCCESS", "of theirs")
    assert call("event_bridge", answers, "Delete", properties, **known)["Status"] == "SUCCESS"
    assert (permissions(), boto3.client("events").list_rules()["Rules"]) == ([], [])


def test_a_pool_that_is_not_there_fails_the_deployment_with_its_name(aws: None, answers: Any) -> None:
    properties = {"FunctionName": "mine", "UserPoolName": "nowhere", "UserPoolConfigs": [{"Trigger": "PreSignUp"}]}
    told = call("existing_user_pool", answers, "Create", properties)
    assert told["Status"] == "FAILED"
    assert "nowhere" in told["Reason"]
    assert call("existing_user_pool", answers, "Delete", properties)["Status"] == "SUCCESS", "a stack can be removed"


def test_the_programs_fit_into_a_template() -> None:
    for kind in KINDS:
        compile(code(kind), kind, "exec")
        assert len(code(kind)) < 16_000
