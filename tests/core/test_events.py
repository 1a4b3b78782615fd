"""What holds for the events of every kind: order in the file, compiling again, and two that would be one resource."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from peers.serverless.event_services import EVENTS, MSK, SQS, events

from lambdabuild.cloudformation import compiler
from lambdabuild.cloudformation.context import Artifact
from lambdabuild.cloudformation.template_text.write import as_text
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.model import Definition
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Span, from_data
from lambdabuild.project_loader import load_service
from lambdabuild.project_settings import read_settings

NUMBERED = re.compile(
    r"(Schedule|CloudWatchEvent|EventBridge[A-Za-z]*|AlexaSkill|AlexaSmartHome|IotTopicRule|CloudWatchLog|rule-?)\d+"
)
"""Rules that have no name of their own are told apart by where they stand, as in the stacks that are deployed."""


def read(folder: Path, text: str) -> Definition:
    folder.joinpath("serverless.yml").write_text(text)
    folder.joinpath("app.py").write_text("")
    found = load_service(str(folder), read_settings(str(folder), {}, {}), environment={}).definition
    assert found is not None
    return found


def compiled(definition: Definition, **changed: Any) -> dict[str, Any]:
    if changed:
        definition = replace(definition, root=from_data({**definition.data, **changed}, Span(definition.path)))
    return compiler.compile(definition, dict.fromkeys(definition.artifacts, Artifact("key.zip", "c2hh")))


def shuffled(functions: dict[str, Any], seed: int) -> dict[str, Any]:
    """The functions and the events of each in some other order."""
    chance = random.Random(seed)
    found = {}
    for key in chance.sample(list(functions), len(functions)):
        events = functions[key].get("events") or []
        found[key] = {**functions[key], "events": chance.sample(events, len(events))}
    return found


DEPLOYMENT = re.compile(r"(ApiGatewayDeployment)\w{30,43}\b")
NAMED_BY_DIGEST = {"event_bridge_with_long_names", "event_bridge_by_a_program_beside_others"}
ORDER_COUNTS = {"http_with_cors", "http_with_authorizers", "s3_existing", "cognito_existing"}
"""Of several origins of one path, and of what is said of one authorizer, the last in the file counts; those that change
one bucket or user pool wait for one another in the order of the file. All as with the Serverless Framework."""
ORDERED = [
    name for name, text in EVENTS.items()
    if isinstance(text, str) and not name.startswith("cloudfront_") and name not in NAMED_BY_DIGEST | ORDER_COUNTS
]  # fmt: skip


@pytest.mark.parametrize("name", ORDERED)
def test_the_order_of_functions_and_events_changes_lists_alone(name: str, tmp_path: Path) -> None:
    definition = read(tmp_path, EVENTS[name])  # type: ignore[arg-type]
    once = compiled(definition)
    assert as_text(once) == as_text(compiled(definition)), "compiling twice is equal"
    for seed in range(3):
        other = compiled(definition, functions=shuffled(definition.data["functions"], seed))
        assert without_numbers(once) == without_numbers(other)


def without_numbers(template: dict[str, Any]) -> list[str]:
    """Nor a deployment's digest of an API that tells of methods in an order."""
    resources = [as_text({key: without_order(one)}) for key, one in template["Resources"].items()]
    texts = [NUMBERED.sub(r"\1N", text) for text in [*resources, as_text(template["Outputs"])]]
    tells = any("Access-Control-Allow-Methods" in text for text in texts)
    return sorted(DEPLOYMENT.sub(r"\1N", text) if tells else text for text in texts)


def without_order(value: Any, key: str = "") -> Any:
    """Lists, and what a browser is told of methods and headers, are in the order of the file, as in deployed stacks."""
    if isinstance(value, str) and re.search(r"Access-Control-Allow-(Methods|Headers)$", key):
        return ",".join(sorted(value.strip("'").split(",")))
    if isinstance(value, dict):
        return {name: without_order(one, name) for name, one in value.items()}
    return sorted(map(without_order, value), key=json.dumps) if isinstance(value, list) else value


def test_cloudfront_tries_patterns_in_the_order_of_the_file(tmp_path: Path) -> None:
    definition = read(tmp_path, EVENTS["cloudfront_with_everything"])  # type: ignore[arg-type]
    functions = definition.data["functions"]

    def patterns(template: dict[str, Any]) -> list[str]:
        config = template["Resources"]["CloudFrontDistribution"]["Properties"]["DistributionConfig"]
        return [one["PathPattern"] for one in config["CacheBehaviors"]]

    assert patterns(compiled(definition)) == ["/docs*", "/a", "/b"]
    turned = dict(reversed(functions.items()))
    assert patterns(compiled(definition, functions=turned)) == ["/docs*", "/b", "/a"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"sqs: {SQS}", f"sqs: {{arn: '{SQS}', batchSize: 1}}"),
        (f"msk: {{arn: '{MSK}', topic: t}}", f"msk: {{arn: '{MSK}', topic: t, batchSize: 1}}"),
        ("sns: {topicName: topic, displayName: x}", "sns: {topicName: topic, displayName: y}"),
        (
            "cloudFront: {origin: 'https://a.b', eventType: viewer-request}",
            "cloudFront: {origin: 'https://c.d', eventType: viewer-request}",
        ),
        ("http: GET /a", "http: {method: get, path: a, private: true}"),
        ("httpApi: GET /a", "httpApi: {path: /a, method: get, authorizer: {type: aws_iam}}"),
        ("websocket: a", "websocket: {route: a, routeResponseSelectionExpression: $default}"),
    ],
)
def test_two_events_that_would_be_one_resource_are_told_with_both_places(one: str, other: str, tmp_path: Path) -> None:
    head = "service: shop\nprovider: {name: aws, runtime: python3.13}\nfunctions:\n"
    with pytest.raises(LambdaBuildError) as raised:
        compiled(read(tmp_path, f"{head}  one:\n    handler: app.one\n    events:\n      - {one}\n      - {other}\n"))
    assert {span.line for span in raised.value.where} == {7, 8}, str(raised.value)


def test_an_integration_with_templates_cannot_be_streamed(tmp_path: Path) -> None:
    text = events("http: {method: get, path: a, integration: lambda, response: {transferMode: STREAM}}")
    with pytest.raises(LambdaBuildError, match="API_GATEWAY_TRANSFER_MODE_UNSUPPORTED_INTEGRATION"):
        compiled(read(tmp_path, text))


def test_a_topic_is_encrypted_by_the_key_that_one_of_its_events_names(tmp_path: Path) -> None:
    text = events("sns: topic", "sns: {topicName: topic, kmsMasterKeyId: alias/mine}")
    assert compiled(read(tmp_path, text))["Resources"]["SNSTopicTopic"]["Properties"]["KmsMasterKeyId"] == "alias/mine"
