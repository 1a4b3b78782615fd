"""What version 3 of the framework takes with a warning, and what it makes of what is commented out.

Each expectation is what serverless 3.40 gave for the same file.
"""

from __future__ import annotations

from typing import Any

import pytest
from mutations import read, template

from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.frontends.yaml_text import parse

HEAD = "service: shop\nprovider: {name: aws, runtime: nodejs18.x}\n"


def function(text: str) -> str:
    return f"{HEAD}functions: {{one: {{handler: app.one, {text}}}}}\n"


def events(text: str) -> str:
    return function(f"events: [{text}]")


def at(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


PROPERTIES = "Resources.OneLambdaFunction.Properties"
WARNED: dict[str, tuple[str, str, Any]] = {
    "functions.one.memorySize": (function("memorySize: 1536MB"), f"{PROPERTIES}.MemorySize", "1536MB"),
    "functions.one.timeout": (function("timeout: 30s"), f"{PROPERTIES}.Timeout", "30s"),
    "functions.one.description": (function("description: {a: b}"), f"{PROPERTIES}.Description", {"a": "b"}),
    "functions.one.runtime": (function("runtime: foo"), f"{PROPERTIES}.Runtime", "foo"),
    "functions.one.environment.B": (function("environment: {B: [a, b]}"), f"{PROPERTIES}.Environment.Variables.B", ["a", "b"]),
    "functions.one.events.0.http": (events("{http: get posts}"), "Resources.ApiGatewayMethodPostsGet.Type", "AWS::ApiGateway::Method"),
    "functions.one.events.0.http.foo": (events("{http: {path: a, method: get, foo: b}}"), "Resources.ApiGatewayMethodAGet.Type", "AWS::ApiGateway::Method"),
    "functions.one.events.0": (events("{http: {path: a, method: get}, schedule: rate(1 day)}"), "Resources.OneEventsRuleSchedule1.Type", "AWS::Events::Rule"),
    "functions.one.events.0.htpp": (events("{htpp: {path: a}}"), f"{PROPERTIES}.Timeout", 6),
    "functions.one.events.0.s3.rules.0": (
        events("{s3: {bucket: my-bucket, rules: [{prefix: a, suffix: b}]}}"),
        "Resources.S3BucketMybucket.Properties.NotificationConfiguration.LambdaConfigurations.0.Filter.S3Key.Rules",
        [{"Name": "prefix", "Value": "a"}],
    ),
    "tenant": ("tenant: acme\n" + function("timeout: 7"), f"{PROPERTIES}.Timeout", 7),
    "resources.Resources.OneLambdaFunction.Type": (
        function("timeout: 7") + "resources: {Resources: {OneLambdaFunction: {Properties: {Timeout: 9}}}}\n", f"{PROPERTIES}.Timeout", 9,
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", WARNED)
def test_a_value_that_is_only_copied_goes_into_the_template_with_a_warning(place: str) -> None:
    text, path, expected = WARNED[place]
    root = parse("serverless.yml", text, core_schema=True)[0]
    _, warnings = read(root)
    assert any(f": {place} " in warning for warning in warnings), warnings
    assert at(template(root), path) == expected


RICH = """\
service: shop
provider: {name: aws, httpApi: {authorizers: {j: {identitySource: x, issuerUrl: y, audience: [z]}}}}
functions: {one: {handler: app.one, events: [{http: {path: a, method: get, request: {schemas: {application/json: {type: object}}}}}]}}
resources:
  Conditions: {C: !Equals [a, b]}
  Resources: {T: {Type: AWS::SNS::Topic, DependsOn: [U]}, U: {Type: AWS::SNS::Topic, Metadata: {a: b}}}
  Outputs: {O: {Value: x}}
  Parameters: {P: {Type: String}}
"""
EMPTIED = {
    "Resources: {T: {Type: AWS::SNS::Topic, DependsOn: [U]}, U: {Type: AWS::SNS::Topic, Metadata: {a: b}}}": "Resources:",
    "Outputs: {O: {Value: x}}": "Outputs:",
    "Conditions: {C: !Equals [a, b]}": "Conditions:",
    "Parameters: {P: {Type: String}}": "Parameters:",
    "DependsOn: [U]": "DependsOn:",
    "Metadata: {a: b}": "Metadata:",
    "authorizers: {j: {identitySource: x, issuerUrl: y, audience: [z]}}": "authorizers:",
    "schemas: {application/json: {type: object}}": "schemas:",
}


@pytest.mark.parametrize("old", EMPTIED)
def test_a_section_whose_content_is_commented_out_is_as_if_it_were_not_written(old: str) -> None:
    assert RICH.count(old) == 1
    name = EMPTIED[old]
    gone = RICH.replace(f"  {old}\n", "").replace(f", {old}", "").replace(old, "")
    emptied, without = (
        parse("serverless.yml", text, core_schema=True)[0] for text in (RICH.replace(old, f"{name} null"), gone)
    )
    found = template(emptied)
    assert found == template(without)
    assert "OneLambdaFunctionQualifiedArn" in found["Outputs"]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("j: {identitySource: x, issuerUrl: y, audience: [z]}", "j: null", "provider.httpApi.authorizers.j"),
        ("application/json: {type: object}", "application/json: null", "functions.one.events.0.http.request.schemas.application/json"),
        ("O: {Value: x}", "O: null", "resources.Outputs.O"),
        ("Value: x", "Value: null", "resources.Outputs.O.Value"),
        ("P: {Type: String}", "P: null", "resources.Parameters.P"),
        ("{http: {path: a, method: get, request: {schemas: {application/json: {type: object}}}}}", "{http: null, path: a, method: get}", "event http"),
    ],
)  # fmt: skip
def test_a_name_with_nothing_below_it_is_an_error_with_its_place(old: str, new: str, place: str) -> None:
    root = parse("serverless.yml", RICH.replace(old, new), core_schema=True)[0]
    with pytest.raises(LambdaBuildError) as raised:
        template(root)
    assert place in str(raised.value)
    assert "at serverless.yml:" in str(raised.value)


@pytest.mark.parametrize("ttl", ["soon", ".inf", "[]"])
def test_a_time_that_is_no_number_is_an_error_where_the_schema_is_only_advice(ttl: str) -> None:
    authorizer = f"authorizer: {{name: two, resultTtlInSeconds: {ttl}}}"
    text = RICH.replace("functions: {", "configValidationMode: off\nfunctions: {two: {handler: app.two}, ")
    root = parse("serverless.yml", text.replace("method: get,", f"method: get, {authorizer},"), core_schema=True)[0]
    with pytest.raises(LambdaBuildError, match=r"resultTtlInSeconds") as raised:
        template(root)
    assert "at serverless.yml:" in str(raised.value)
