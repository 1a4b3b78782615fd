"""SNS topics: one that is there is subscribed to, one that is only named is made.

https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from lambdabuild.cloudformation.context import Context
from lambdabuild.cloudformation.events.event import Event, after_alias, each, permission
from lambdabuild.cloudformation.fragment import Fragment, Json, joined, without_nothing
from lambdabuild.core import naming

SNS = "sns.amazonaws.com"


def sns(context: Context, events: Sequence[Event]) -> Fragment:
    subscriptions = each(events, lambda event: _subscribed(context, event))
    return joined([subscriptions, Fragment(_topics(events))])


def _subscribed(context: Context, event: Event) -> Fragment:
    function, (arn, name) = event.function, _topic(event)
    resources: dict[str, Json] = {}
    redrive = _redrive(event, name, arn, resources)
    own = naming.normal(function.key)
    filters = {"FilterPolicy": event.get("filterPolicy"), "FilterPolicyScope": event.get("filterPolicyScope")}
    given = {"Protocol": "lambda", "Endpoint": function.target, **filters, "RedrivePolicy": redrive}
    subscription_id = f"{own}SnsSubscription{naming.letters(name)}"
    if arn is not None:
        properties = without_nothing({"TopicArn": arn, **given, "Region": _elsewhere(context, event, arn)})
        resource = {"Type": "AWS::SNS::Subscription", "Properties": properties}
        resources[subscription_id] = after_alias(function, resource)
    elif _is_apart(event):
        properties = without_nothing({"TopicArn": {"Ref": _topic_id(name)}, **given})
        resources[subscription_id] = {"Type": "AWS::SNS::Subscription", "Properties": properties}
    source = _made_arn(name) if arn is None else arn
    resources[f"{own}LambdaPermission{naming.letters(name)}SNS"] = permission(function, SNS, SourceArn=source)
    return Fragment(resources, where=event.where)


def _topics(events: Sequence[Event]) -> dict[str, Json]:
    """Return the topics to create, with the subscriptions that need no resource of their own."""
    resources: dict[str, Json] = {}
    about: dict[str, list[Event]] = defaultdict(list)
    made = [(event, name) for event in events for arn, name in (_topic(event),) if arn is None]
    for event, name in made:
        about[name].append(event)
    for event, name in made:
        topic_id = _topic_id(name)
        if topic_id not in resources:
            options = {option: _said(about[name], name, option) for option in ("displayName", "kmsMasterKeyId")}
            properties = without_nothing(
                {"TopicName": name, "DisplayName": options["displayName"], "KmsMasterKeyId": options["kmsMasterKeyId"]}
            )
            resources[topic_id] = after_alias(event.function, {"Type": "AWS::SNS::Topic", "Properties": properties})
        if not _is_apart(event):
            subscriptions = resources[topic_id]["Properties"].setdefault("Subscription", [])
            subscriptions.append({"Endpoint": event.function.target, "Protocol": "lambda"})
    return resources


def _said(events: Sequence[Event], name: str, option: str) -> Any:
    """Return an option of a topic to create; one of its events may set it for all."""
    with_option = [event for event in events if event.get(option)]
    for event in with_option:
        if event.get(option) != with_option[0].get(option):
            raise event.bad(f"the topic {name} already has a different {option}", "keep one", beside=with_option[0])
    return with_option[0].get(option) if with_option else None


def _topic(event: Event) -> tuple[Any, str]:
    """Return the ARN of an existing topic, None for one to create, and its name."""
    if isinstance(event.options, str):
        is_arn = event.options.startswith("arn:")
        return (event.options, event.options.rpartition(":")[2]) if is_arn else (None, event.options)
    arn = event.get("arn")
    name = event.get("topicName") or (re.split(r"(?<!:):(?!:)", arn)[-1] if isinstance(arn, str) else "")
    if not name:
        raise event.bad(
            "the arn is known to CloudFormation only, and no topicName is given",
            "add topicName",
            "SNS_MISSING_TOPIC_NAME",
        )
    return arn, name


def _topic_id(name: str) -> str:
    return "SNSTopic" + naming.letters(name)


def _made_arn(name: str) -> Json:
    parts = [
        "arn:",
        {"Ref": "AWS::Partition"},
        ":sns:",
        {"Ref": "AWS::Region"},
        ":",
        {"Ref": "AWS::AccountId"},
        ":",
        name,
    ]
    return {"Fn::Join": ["", parts]}


def _is_apart(event: Event) -> bool:
    return bool(event.get("filterPolicy") or event.get("redrivePolicy"))


def _elsewhere(context: Context, event: Event, arn: object) -> str | None:
    """Return the region of a topic that is in a different region."""
    if not isinstance(arn, str) or isinstance(event.options, str):
        return None
    region = re.split(r"(?<!:):(?!:)", arn)[3:4]
    return region[0] if region and region[0] != context.region else None


def _redrive(event: Event, name: str, arn: object, resources: dict[str, Json]) -> Json | None:
    """Return where undeliverable messages go; the queue's policy allows it."""
    given = event.get("redrivePolicy")
    if not given:
        return None
    target, url = _queue(event, given)
    policy_id = f"{naming.letters(name)}To{naming.normal(event.function.key)}DLQPolicy"
    source = {"Ref": _topic_id(name)} if arn is None else arn
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": SNS},
        "Action": "sqs:SendMessage",
        "Resource": target,
        "Condition": {"ArnEquals": {"aws:SourceArn": source}},
    }
    document = {"Version": "2012-10-17", "Id": policy_id, "Statement": [statement]}
    resources[policy_id] = {
        "Type": "AWS::SQS::QueuePolicy",
        "Properties": {"PolicyDocument": document, "Queues": [url]},
    }
    return {"deadLetterTargetArn": target}


def _queue(event: Event, given: Json) -> tuple[Any, Any]:
    """Return the ARN and the address of a queue."""
    arn, reference = given.get("deadLetterTargetArn"), given.get("deadLetterTargetRef")
    if arn:
        region, account, name = (event.part_of_arn(arn, ":", position) for position in (3, 4, 5))
        address = [f"https://sqs.{region}.", {"Ref": "AWS::URLSuffix"}, f"/{account}/{name}"]
        return arn, {"Fn::Join": ["", address]}
    if reference:
        return {"Fn::GetAtt": [reference, "Arn"]}, {"Ref": reference}
    imported = given.get("deadLetterTargetImport")
    if not imported:
        raise event.bad("redrivePolicy names no queue", "give deadLetterTargetArn, -Ref or -Import")
    return {"Fn::ImportValue": imported["arn"]}, {"Fn::ImportValue": imported["url"]}
