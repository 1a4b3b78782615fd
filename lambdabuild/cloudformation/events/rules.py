"""Rules of EventBridge, and schedules: what they match, and the function that they call.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rules.html
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from lambdabuild.cloudformation.context import Context, Lambda
from lambdabuild.cloudformation.events import bridge
from lambdabuild.cloudformation.events.event import Event, after_alias, by_function, each, permission, state
from lambdabuild.cloudformation.fragment import Fragment, Json, Need, allow, arn_here, compact, joined, without_nothing
from lambdabuild.cloudformation.functions import role_property
from lambdabuild.core import naming

EVENTS = "events.amazonaws.com"
SCHEDULER = "scheduler.amazonaws.com"
ID_LENGTH = 64


def schedule(context: Context, events: Sequence[Event]) -> Fragment:
    """Compile rules that call at a rate, and schedules of EventBridge Scheduler (``method: scheduler``)."""
    numbered: list[tuple[Event, int]] = []
    for group in by_function(events).values():
        position = 0
        for event in group:
            numbered.append((event, position))
            position += len(_rates(event))
    made = each(numbered, lambda numbered_event: _schedule(context, *numbered_event))
    owners: dict[str, list[Lambda]] = defaultdict(list)
    for group in by_function([event for event in events if _is_scheduler(event)]).values():
        owners[context.roles.owner(group[0].function)].append(group[0].function)
    needs, services = list[Need](), list[tuple[str, str]]()
    for owner, functions in owners.items():
        names = [name for numbered_event in functions for name in (numbered_event.name, f"{numbered_event.name}:*")]
        arns = [{"Fn::Sub": naming.function_arn(name)} for name in names]
        needs += context.roles.needs(functions[0], allow(["lambda:InvokeFunction"], arns))
        services.append((owner, SCHEDULER))
    return joined([made, Fragment(needs=tuple(needs), services=tuple(services))])


def _is_scheduler(event: Event) -> bool:
    return bool(event.get("method") == "scheduler")


def _rates(event: Event) -> list[Any]:
    return [event.options] if isinstance(event.options, str) else list(event.get("rate", ()))


def _schedule(context: Context, event: Event, first: int) -> Fragment:
    rates = _rates(event)
    if len(rates) > 1 and event.get("name"):
        raise event.bad(
            "one name cannot be that of several rates",
            "give each rate an event of its own",
            "SCHEDULE_NAME_NOT_ALLOWED_MULTIPLE_RATES",
        )
    unfit = ("inputTransformer", "inputPath") if _is_scheduler(event) else ("timezone", "groupName", "roleArn")
    for key in unfit:
        if event.get(key):
            method = "eventBus" if _is_scheduler(event) else "scheduler"
            raise event.bad(
                f"{key} is for method: {method} only",
                f"remove it, or set method: {method}",
                "SCHEDULE_PARAMETER_NOT_SUPPORTED",
            )
    make = _scheduler if _is_scheduler(event) else _rate_rule
    parts = [make(context, event, rate, first + position) for position, rate in enumerate(rates, 1)]
    return Fragment({key: resource for part in parts for key, resource in part.items()}, where=event.where)


def _scheduler(context: Context, event: Event, rate: object, number: int) -> dict[str, Json]:
    function = event.function
    role = event.get("roleArn") or role_property(context.roles.of(function))
    target = without_nothing({"Arn": function.target, "RoleArn": role, "Input": _input(event)})
    properties = without_nothing(
        {
            "ScheduleExpression": rate,
            "State": state(event),
            "Target": target,
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Name": event.get("name"),
            "Description": event.get("description"),
            "ScheduleExpressionTimezone": event.get("timezone"),
            "GroupName": event.get("groupName"),
        }
    )
    resource = after_alias(function, {"Type": "AWS::Scheduler::Schedule", "Properties": properties})
    return {f"{naming.normal(function.key)}SchedulerSchedule{number}": resource}


def _rate_rule(context: Context, event: Event, rate: object, number: int) -> dict[str, Json]:
    key = event.function.key
    logical_id = f"{naming.normal(key)}EventsRuleSchedule{number}"
    given = {
        "ScheduleExpression": rate,
        "State": state(event),
        "Name": event.get("name") or None,
        "Description": event.get("description") or None,
    }
    target = _target(event, f"{key}Schedule")
    return {
        logical_id: _rule(event.function, without_nothing({**given, "Targets": [target]})),
        f"{naming.normal(key)}LambdaPermissionEventsRuleSchedule{number}": _rule_permission(event.function, logical_id),
    }


def cloudwatch_event(context: Context, events: Sequence[Event]) -> Fragment:
    """Compile rules on the default bus that match events."""
    return each(events, _cloudwatch_event)


def _cloudwatch_event(event: Event) -> Fragment:
    _refuse_several_inputs(event, "CLOUDWATCH_MULTIPLE_INPUT_PROPERTIES")
    key = event.function.key
    logical_id = f"{naming.normal(key)}EventsRuleCloudWatchEvent{event.number}"
    given = {
        "EventPattern": event.get("event"),
        "State": state(event),
        "Name": event.get("name") or None,
        "Description": event.get("description") or None,
    }
    target = _target(event, f"{key}CloudWatchEvent")
    allowed = f"{naming.normal(key)}LambdaPermissionEventsRuleCloudWatchEvent{event.number}"
    return Fragment(
        {
            logical_id: _rule(event.function, without_nothing({**given, "Targets": [target]})),
            allowed: _rule_permission(event.function, logical_id),
        },
        where=event.where,
    )


def event_bridge(context: Context, events: Sequence[Event]) -> Fragment:
    """Compile rules on any bus that match events or times; a bus that is only named is created."""
    if not bridge.is_asked(context):
        return each(events, _event_bridge)
    for event in events:
        _refuse_several_inputs(event, "EVENTBRIDGE_MULTIPLE_INPUT_PROPERTIES")
    return bridge.compile(context, [(event, _rule_name(event)) for event in events])


def _rule_name(event: Event) -> str:
    return event.get("name") or _short(_rule_stub(event), f"rule-{event.index}")


def _rule_stub(event: Event) -> str:
    return f"{event.function.name}-rule-{event.index}"


def _event_bridge(event: Event) -> Fragment:
    _refuse_several_inputs(event, "EVENTBRIDGE_MULTIPLE_INPUT_PROPERTIES")
    function, bus = event.function, event.get("eventBus")
    is_made = isinstance(bus, str) and not bus.startswith("arn") and bus != "default"
    name_of_bus = bridge.bus_name(bus)
    name_of_bus = None if name_of_bus == "default" else name_of_bus
    name = _rule_name(event)
    resources: dict[str, Json] = {}
    after: Json = {"DependsOn": function.alias_id} if function.alias_id else {}
    if is_made:
        bus_id = naming.normal(bus) + "EventBridgeEventBus"
        resources[bus_id] = {"Type": "AWS::Events::EventBus", "Properties": {"Name": bus}}
        after = {"DependsOn": [bus_id, function.alias_id] if function.alias_id else bus_id}
    retry, dead = event.get("retryPolicy"), event.get("deadLetterQueueArn")
    target = _target(event, _short(f"{name}-target", "target")) | without_nothing(
        {
            "RetryPolicy": without_nothing(
                {
                    "MaximumEventAgeInSeconds": retry.get("maximumEventAge"),
                    "MaximumRetryAttempts": retry.get("maximumRetryAttempts"),
                }
            )
            if retry
            else None,
            "DeadLetterConfig": {"Arn": dead} if dead else None,
        }
    )
    properties = without_nothing(
        {
            "Description": event.get("description"),
            "EventBusName": name_of_bus,
            "EventPattern": event.get("pattern"),
            "Name": name,
            "ScheduleExpression": event.get("schedule"),
            "State": state(event),
            "Targets": [target],
        }
    )
    resources[naming.letters(_rule_stub(event)) + "EventBridgeRule"] = {
        "Type": "AWS::Events::Rule",
        "Properties": properties,
        **after,
    }
    path = {"Fn::Join": ["/", ["rule", *([name_of_bus] if name_of_bus else []), name]]}
    allowed = f"{naming.normal(function.key)}EventBridgeLambdaPermission{event.index}"
    resources[allowed] = permission(function, EVENTS, SourceArn=arn_here("events", path))
    return Fragment(resources, where=event.where)


def _short(name: str, end: str) -> str:
    """Return a name of at most 64 characters: a longer one is cut, and a digest keeps it unique."""
    if len(name) <= ID_LENGTH:
        return name
    return f"{name[: 31 - len(end)]}{hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()}-{end}"


# what they have in common


def _rule(function: Lambda, properties: Json) -> Json:
    return after_alias(function, {"Type": "AWS::Events::Rule", "Properties": properties})


def _rule_permission(function: Lambda, rule: str) -> Json:
    return permission(function, EVENTS, SourceArn={"Fn::GetAtt": [rule, "Arn"]})


def _target(event: Event, target_id: str) -> Json:
    transformer = event.get("inputTransformer")
    return without_nothing(
        {
            "Arn": event.function.target,
            "Id": target_id,
            "Input": _input(event),
            "InputPath": event.get("inputPath") or None,
            "InputTransformer": without_nothing(
                {
                    "InputTemplate": transformer["inputTemplate"],
                    "InputPathsMap": transformer.get("inputPathsMap"),
                }
            )
            if transformer
            else None,
        }
    )


def _input(event: Event) -> str | None:
    """Return the function's input as JSON text. A schedule's ``body`` may be JSON text itself."""
    given = event.get("input")
    if not given:
        return None
    if not isinstance(given, dict):
        return str(given)
    if event.kind == "schedule" and isinstance(given.get("body"), str):
        try:
            given = {**given, "body": json.loads(given["body"])}
        except ValueError as error:
            raise event.bad(f"input.body is not JSON: {error}", "write JSON text, or a mapping") from error
    return compact(given)


def _refuse_several_inputs(event: Event, known_as: str) -> None:
    given = [key for key in ("input", "inputPath", "inputTransformer") if event.get(key)]
    if len(given) > 1:
        raise event.bad(f"{' and '.join(given)} exclude each other", "keep one of them", known_as)
