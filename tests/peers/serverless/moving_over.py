"""A stack that the Serverless Framework deployed and lambdabuild updates: what its change set has, and why."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import boto3
from moto import mock_aws
from peers.serverless.differences import differing

Json = dict[str, Any]

REPLACED = ("AWS::Lambda::Version", "AWS::ApiGateway::Deployment", "AWS::ApiGatewayV2::Deployment")
"""Their ids follow the code and the API: one is added and one removed."""
NAMED = {
    "the zips' bytes": r"\.Properties\.(Code|Content)\.S3Key: ",
    "versions' ids": r'\.Properties\.FunctionVersion\.Fn::GetAtt\.0: "\w+LambdaVersion\w+" here',
    "deployments' ids": r'\.Properties\.DeploymentId\.Ref: "\w*WebsocketsDeployment\w+" here',
    "dates": r'.*: "(?P<date>\d{4}-\d\d-\d\d)" here, "(?P=date)T00:00:00\.000Z" there',
}
"""What docs/guides/serverless.md names of resources that stay, and how it shows in one place."""


@dataclass(frozen=True)
class Change:
    """One resource of a change set, and the places in it that differ (none in one that moto takes for changed)."""

    action: str
    type: str
    logical_id: str
    differing: tuple[str, ...] = ()

    @property
    def is_named(self) -> bool:
        """Whether docs/guides/serverless.md says that this changes."""
        if self.action != "Modify":
            return self.type in REPLACED
        return all(re.match("|".join(NAMED.values()), place) for place in self.differing)


def changes(theirs: Json, ours: Json) -> list[Change]:
    """Deploy the framework's template to moto, and ask for a change set with ours."""
    region = {"region_name": "us-east-1", "aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    with mock_aws(config={"lambda": {"use_docker": False}}):
        client = boto3.client("cloudformation", **region)
        client.create_stack(StackName="shop-dev", TemplateBody=json.dumps(theirs))
        names = {"StackName": "shop-dev", "ChangeSetName": "moving-over"}
        client.create_change_set(**names, ChangeSetType="UPDATE", TemplateBody=json.dumps(ours))
        found = client.describe_change_set(**names)["Changes"]
    before, after = theirs["Resources"], ours["Resources"]
    other = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert other <= {change["ResourceChange"]["LogicalResourceId"] for change in found}  # moto looked at all of them
    return [_change(change["ResourceChange"], theirs["Resources"], ours["Resources"]) for change in found]


def _change(change: Json, theirs: Json, ours: Json) -> Change:
    action, logical_id = change["Action"], change["LogicalResourceId"]
    places = differing(ours[logical_id], theirs[logical_id]) if action == "Modify" else []
    # CloudFormation takes no resource for changed that only waits for others.
    places = [place for place in places if not place.startswith(".DependsOn")]
    return Change(action, (ours | theirs)[logical_id]["Type"], logical_id, tuple(places))
