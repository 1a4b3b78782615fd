"""Every known difference from the Serverless Framework's templates, each with its reason.

``both`` takes away what must differ (where an artifact lies, what its bytes are) from either template; ``PEER`` are
corrections made to the Serverless Framework's, where it is plainly wrong.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

Json = Any


def both(template: Json) -> Json:
    """A template without what is not compared."""
    text = json.dumps(template)
    # Keys hold a digest here and the time there; the zips' bytes differ with the compressor.
    text = re.sub(r'"(S3Key|CodeSha256)": "[^"]*"', r'"\1": "..."', text)
    # A version's id is a digest of the zip and more. Base64 without its signs has no fixed length.
    text = re.sub(r"LambdaVersion[0-9A-Za-z]{20,43}\b", "LambdaVersion", text)
    # That of a REST API's deployment is the time of the day.
    text = re.sub(r"ApiGatewayDeployment[0-9A-Za-z]{10,43}\b", "ApiGatewayDeployment", text)
    # So is that of what a WebSocket API deploys; the Serverless Framework takes its digest before the whole is known.
    text = re.sub(r"WebsocketsDeployment[0-9A-Za-z]{20,43}\b", "WebsocketsDeployment", text)
    # A layer's digest, and the ids of retained layers, hold that of its zip.
    text = re.sub(r"[0-9a-f]{40}", "sha1", text)
    found = json.loads(text)
    for output, value in found.get("Outputs", {}).items():
        if output.endswith("LambdaLayerS3Key"):
            value["Value"] = "..."
    for resource in found["Resources"].values():
        _mask_default_mappings(resource)
        _mask_helpers(resource)
    return _sorted(found)


def _mask_default_mappings(resource: Json) -> None:
    """What a function gets that is no proxy is put together by a template of our own; test_mappings.py runs it."""
    integration = resource.get("Properties", {}).get("Integration")
    templates = integration.get("RequestTemplates") if isinstance(integration, dict) else None
    for kind, text in (templates or {}).items():
        if "cognitoPoolClaims" in text:
            templates[kind] = "the event"


def _mask_helpers(resource: Json) -> None:
    """Functions that do at deployment what CloudFormation cannot are our own, in Python; test_helpers.py runs them."""
    properties = resource.get("Properties", {})
    if "-custom-resource-" in str(properties.get("FunctionName")) or len(str(properties.get("FunctionName"))) == 64:
        properties |= {"Code": "...", "Handler": "...", "Runtime": "..."}
    if resource.get("Type", "").startswith("Custom::"):
        resource.pop("Version", None)  # CloudFormation knows no such attribute
        properties.pop("ForceDeploy", None)  # the clock there, the code's digest here


def _sorted(value: Json, key: str = "") -> Json:
    if isinstance(value, dict):
        # An empty DependsOn says as much as none.
        kept = {name: one for name, one in value.items() if not (name == "DependsOn" and one == [])}
        return {name: _sorted(one, name) for name, one in sorted(kept.items())}
    if isinstance(value, list):
        items = [_sorted(one) for one in value]
        if key == "DependsOn":
            return sorted(set(items))  # the Serverless Framework names a function once for each of its events
        return items
    # DependsOn may be a text or a list of one.
    return [value] if key == "DependsOn" else value


def _dates_stay_text(template: Json) -> Json:
    """``Version: 2012-10-17`` unquoted becomes a moment in time with the Serverless Framework, which IAM refuses."""
    return json.loads(re.sub(r"(\d{4}-\d\d-\d\d)T00:00:00\.000Z", r"\1", json.dumps(template)))


def _no_empty_log_statements(template: Json) -> Json:
    """When no function logs, the Serverless Framework leaves statements with an empty Resource, which IAM refuses."""
    role = template["Resources"].get("IamRoleLambdaExecution")
    if role:
        for policy in role["Properties"].get("Policies", []):
            document = policy.get("PolicyDocument", {})
            document["Statement"] = [s for s in document.get("Statement", []) if s.get("Resource") != []]
        policies = [p for p in role["Properties"]["Policies"] if p.get("PolicyDocument", {}).get("Statement")]
        if not policies:
            del role["Properties"]["Policies"]
    return template


def _dead_letters_of_a_new_topic(template: Json) -> Json:
    """The queue's policy names no topic when the topic is made here, so nothing may be sent to it."""
    for name, resource in template["Resources"].items():
        if name.endswith("DLQPolicy"):
            condition = resource["Properties"]["PolicyDocument"]["Statement"][0]["Condition"]["ArnEquals"]
            condition.setdefault("aws:SourceArn", {"Ref": "SNSTopic" + name.partition("ToOne")[0]})
    return template


PEER: tuple[Callable[[Json], Json], ...] = (
    _dates_stay_text, _no_empty_log_statements,
    _dead_letters_of_a_new_topic,
)  # fmt: skip


def corrected(template: Json) -> Json:
    """The Serverless Framework's template with all corrections."""
    found = copy.deepcopy(template)
    for correct in PEER:
        found = correct(found)
    return found


def of_the_roles_plugin(template: Json) -> Json:
    """What serverless-iam-roles-per-function leaves that nobody wants."""
    for name, role in template["Resources"].items():
        if not name.endswith("IamRoleLambdaExecution"):
            continue
        for statement in role["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]:
            if statement["Action"] == ["sns:Publish"]:
                statement["Resource"] = (
                    [statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"]
                )
    # What one function needs stays on the role that it no longer has.
    shared = template["Resources"].get("IamRoleLambdaExecution")
    if shared:
        document = shared["Properties"]["Policies"][0]["PolicyDocument"]
        document["Statement"] = [one for one in document["Statement"] if one["Action"] != ["sns:Publish"]]
    return template


def differing(ours: Json, theirs: Json, path: str = "") -> list[str]:
    """Where two templates differ, for people."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys = sorted({*ours, *theirs})
        return [line for key in keys for line in differing(ours.get(key), theirs.get(key), f"{path}.{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [line for position, (a, b) in pairs for line in differing(a, b, f"{path}.{position}")]
    return [] if ours == theirs else [f"{path}: {json.dumps(ours)} here, {json.dumps(theirs)} there"]
