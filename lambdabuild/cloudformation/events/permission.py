"""Events that need the right to call the function, and little more: Alexa, IoT, log groups."""

from __future__ import annotations

import os.path
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from lambdabuild.cloudformation.context import Context
from lambdabuild.cloudformation.events.event import Event, after_alias, by_function, each, permission
from lambdabuild.cloudformation.fragment import Fragment, Json, compact, without_nothing
from lambdabuild.core import naming

FILTERS_OF_A_GROUP = 2
"""https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html"""


def alexa_skill(context: Context, events: Sequence[Event]) -> Fragment:
    return each(events, lambda event: _alexa(event, "AlexaSkill", "alexa-appkit.amazon.com"))


def alexa_smart_home(context: Context, events: Sequence[Event]) -> Fragment:
    return each(events, lambda event: _alexa(event, "AlexaSmartHome", "alexa-connectedhome.amazon.com"))


def _alexa(event: Event, name: str, principal: str) -> Fragment:
    app = event.options if isinstance(event.options, str) else event.get("appId")
    action = "lambda:DisableInvokeFunction" if event.get("enabled") is False else "lambda:InvokeFunction"
    more = {"Action": action} | ({"EventSourceToken": app} if app else {})
    logical_id = f"{naming.normal(event.function.key)}LambdaPermission{name}{event.number}"
    return Fragment({logical_id: permission(event.function, principal, **more)}, where=event.where)


def iot(context: Context, events: Sequence[Event]) -> Fragment:
    """Compile rules on messages of things."""
    return each(events, _iot)


def _iot(event: Event) -> Fragment:
    own = naming.normal(event.function.key)
    rule_id, function = f"{own}IotTopicRule{event.number}", event.function
    payload = without_nothing(
        {
            "RuleDisabled": event.get("enabled") is False,
            "Sql": _one_line(event.get("sql")),
            "Actions": [{"Lambda": {"FunctionArn": function.target}}],
            "Description": _one_line(event.get("description")) or None,
            "AwsIotSqlVersion": event.get("sqlVersion") or None,
        }
    )
    properties = without_nothing({"TopicRulePayload": payload, "RuleName": _one_line(event.get("name")) or None})
    arn = [
        "arn:",
        {"Ref": "AWS::Partition"},
        ":iot:",
        {"Ref": "AWS::Region"},
        ":",
        {"Ref": "AWS::AccountId"},
        ":rule/",
        {"Ref": rule_id},
    ]
    return Fragment(
        {
            rule_id: after_alias(function, {"Type": "AWS::IoT::TopicRule", "Properties": properties}),
            f"{own}LambdaPermissionIotTopicRule{event.number}": permission(
                function, "iot.amazonaws.com", SourceArn={"Fn::Join": ["", arn]}
            ),
        },
        where=event.where,
    )


def iot_fleet_provisioning(context: Context, events: Sequence[Event]) -> Fragment:
    """Compile the function that is asked before a thing is registered; a function can have this role once."""
    for group in by_function(events).values():
        if len(group) > 1:
            raise group[1].bad(
                "a function can be the hook of one template only",
                "give the other template a function of its own",
                "MULTIPLE_IOT_PROVISIONING_TEMPLATE_HOOK",
                beside=group[0],
            )
    return each(events, _fleet)


def _fleet(event: Event) -> Fragment:
    function, own = event.function, naming.normal(event.function.key)
    allowed = f"{own}LambdaPermissionIotProvisioningTemplate"
    properties = without_nothing(
        {
            "Enabled": event.get("enabled", True),
            "PreProvisioningHook": {"TargetArn": function.target},
            "ProvisioningRoleArn": event.get("provisioningRoleArn"),
            "TemplateBody": compact(event.get("templateBody")),
            "TemplateName": event.get("templateName") or None,
        }
    )
    depends = [allowed, function.alias_id] if function.alias_id else [allowed]
    resource = {"Type": "AWS::IoT::ProvisioningTemplate", "Properties": properties, "DependsOn": depends}
    return Fragment(
        {f"{own}IotProvisioningTemplate": resource, allowed: permission(function, "iot.amazonaws.com")},
        where=event.where,
    )


def cloudwatch_log(context: Context, events: Sequence[Event]) -> Fragment:
    """Compile log groups; all of a function's share one permission."""
    count: Counter[str] = Counter()
    for event in events:
        count[_group(event)] += 1
        if count[_group(event)] > FILTERS_OF_A_GROUP:
            raise event.bad(
                f"the log group {_group(event)} has more than {FILTERS_OF_A_GROUP} filters, which is all it can have",
                "let one function hand on to the others",
                "CLOUDWATCHLOG_LOG_GROUP_EVENT_PER_FUNCTION_LIMIT_EXCEEDED",
            )
    resources: dict[str, Json] = {}
    for group in by_function(events).values():
        resources |= _logs_of_one(group)
    return Fragment(resources)


def _logs_of_one(events: Sequence[Event]) -> dict[str, Json]:
    function, own = events[0].function, naming.normal(events[0].function.key)
    allowed = f"{own}LambdaPermissionLogsSubscriptionFilterCloudWatchLog"
    depends = [allowed, function.alias_id] if function.alias_id else [allowed]
    resources: dict[str, Json] = {}
    for event in events:
        resources[f"{own}LogsSubscriptionFilterCloudWatchLog{event.number}"] = {
            "Type": "AWS::Logs::SubscriptionFilter",
            "DependsOn": depends,
            "Properties": {
                "LogGroupName": _group(event),
                "FilterPattern": _filter(event),
                "DestinationArn": function.target,
            },
        }
    groups = [_group(event) for event in events]
    common = groups[0] if len(groups) == 1 else os.path.commonprefix(groups)  # noqa: RUF071  # of letters, not of folders
    common += "*" if len(groups) > 1 and not common.endswith("*") else ""
    arn = [
        "arn:",
        {"Ref": "AWS::Partition"},
        ":logs:",
        {"Ref": "AWS::Region"},
        ":",
        {"Ref": "AWS::AccountId"},
        ":log-group:",
        common,
        ":*",
    ]
    principal = {"Fn::Join": ["", ["logs.", {"Ref": "AWS::Region"}, ".amazonaws.com"]]}
    resources[allowed] = permission(function, principal, SourceArn={"Fn::Join": ["", arn]})
    return resources


def _group(event: Event) -> str:
    return _one_line(event.options if isinstance(event.options, str) else event.get("logGroup"))


def _filter(event: Event) -> str:
    """Unescape quotes that were escaped once too often."""
    pattern = _one_line(event.get("filter"))
    if 0 <= pattern.find("\\") < pattern.find('"'):
        return re.sub(r"\\([\"\\'])", r"\1", pattern)
    return pattern


def _one_line(text: Any) -> str:
    return re.sub(r"\r?\n", "", text or "")
