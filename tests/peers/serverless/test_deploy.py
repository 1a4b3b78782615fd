"""The framework itself deploys what lambdabuild left in ``serverless_dir``, with the stack's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
from s3_server import S3Server
from sandbox import Sandbox

pytestmark = pytest.mark.slow

TOPIC = "arn:aws:sns:us-east-1:123456789012:told"
SERVICE = f"""service: shop
configValidationMode: "off"
provider:
  name: aws
  runtime: python3.11
  stackName: shop-of-mine
  stackTags: {{team: a b}}
  notificationArns: [{TOPIC}]
  stackParameters: [{{ParameterKey: Size, ParameterValue: large}}]
  iam: {{deploymentRole: 'arn:aws:iam::123456789012:role/deployer'}}
functions:
  one: {{handler: app.one, layers: [{{Ref: LibLambdaLayer}}]}}
  two: {{handler: app.one, environment: {{SIZE: !Ref Size}}}}
layers: {{lib: {{path: lib}}}}
resources: {{Parameters: {{Size: {{Type: String}}}}}}
"""


def test_the_framework_deploys_our_package_with_the_stacks_settings(serverless: Path, tmp_path: Path) -> None:
    place = Sandbox(tmp_path / "project").write(
        {"serverless.yml": SERVICE, "app.py": "def one(event, context): ...\n", "lib/x.txt": "1"}
    )
    place.build("serverless_dir=out")
    with S3Server() as server:
        script, sdk = tmp_path / "loopback.cjs", serverless.parents[2] / "aws-sdk"
        script.write_text(
            f"require({str(sdk)!r}).config.update({{endpoint: {server.url!r}, s3ForcePathStyle: true}});\n"
        )
        env = server.environment | {"NODE_OPTIONS": f"--require {script}", "SLS_TELEMETRY_DISABLED": "1",
                                    "SLS_NOTIFICATIONS_MODE": "off", "SLS_AWS_MONITORING_FREQUENCY": "100", "HOME": str(tmp_path)}  # fmt: skip

        def client(name: str) -> Any:
            return boto3.client(name, endpoint_url=server.url, region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")  # fmt: skip

        client("sns").create_topic(Name="told")
        ran = place.command(["node", str(serverless), "deploy", "--package", "out"], env=env)
        assert ran.code == 0, ran.said

        (stack,) = client("cloudformation").describe_stacks(StackName="shop-of-mine")["Stacks"]
        functions = [one["FunctionName"] for one in client("lambda").list_functions()["Functions"]]

    assert {one["Key"]: one["Value"] for one in stack["Tags"]} == {"STAGE": "dev", "team": "a b"}
    assert stack["NotificationARNs"] == [TOPIC]
    assert stack["RoleARN"] == "arn:aws:iam::123456789012:role/deployer"
    assert [(one["ParameterKey"], one["ParameterValue"]) for one in stack["Parameters"]] == [("Size", "large")]
    assert sorted(functions) == ["shop-dev-one", "shop-dev-two"]
