"""Rules of EventBridge that a helper makes at deployment, as ``provider.eventBridge.useCloudFormation: false`` asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lambdabuild.cloudformation.context import Context
from lambdabuild.cloudformation.events import existing
from lambdabuild.cloudformation.events.event import Event, each, state
from lambdabuild.cloudformation.fragment import Fragment, Helper, allow, arn_here, joined, without_nothing
from lambdabuild.core import naming

WITHOUT = {
    "retryPolicy": "ERROR_INVALID_RETRY_POLICY_TO_EVENT_BUS_CUSTOM_RESOURCE",
    "deadLetterQueueArn": "ERROR_INVALID_DEAD_LETTER_CONFIG_TO_EVENT_BUS_CUSTOM_RESOURCE",
}
"""Options that the helper cannot do, with the names of the Serverless Framework's errors."""


def is_asked(context: Context) -> bool:
    """Return whether a helper creates the rules: a mapping without ``useCloudFormation: true`` counts as false."""
    given = context.provider.get("eventBridge")
    return given is not None and not given.get("useCloudFormation")


def compile(context: Context, events: Sequence[tuple[Event, str]]) -> Fragment:
    """Return a custom resource for each event, with its rule's name, and the helper that creates the rules."""
    if not events:
        return Fragment()
    made = each(events, lambda numbered_rule: _rule(*numbered_rule))
    rule = ["events:PutRule", "events:RemoveTargets", "events:PutTargets", "events:DeleteRule"]
    statements = [
        allow(rule, arn_here("events", "rule/*")),
        allow(["lambda:AddPermission", "lambda:RemovePermission"], arn_here("lambda", "function", "*")),
    ]
    if any(bus_name(event.get("eventBus")) not in (None, "default") for event, _ in events):
        make = allow(["events:CreateEventBus", "events:DeleteEventBus"], arn_here("events", "event-bus/*"))
        statements.insert(0, make)
    return joined([made, Fragment(helpers=(Helper("event_bridge", tuple(statements)),))])


def bus_name(bus: object) -> Any:
    """Return the name of a bus from its ARN; anything else unchanged."""
    return bus.partition("/")[2] if isinstance(bus, str) and bus.startswith("arn") else bus or None


def _rule(event: Event, name: str) -> Fragment:
    for option, known_as in WITHOUT.items():
        if event.get(option):
            raise event.bad(f"{option} needs a rule that CloudFormation makes", MEND, known_as)
    if isinstance(event.get("eventBus"), dict):
        known_as = "ERROR_INVALID_REFERENCE_TO_EVENT_BUS_CUSTOM_RESOURCE"
        raise event.bad("a bus that CloudFormation resolves needs a rule that CloudFormation makes", MEND, known_as)
    transformer = event.get("inputTransformer")
    config = without_nothing(
        {
            "RuleName": name,
            "State": state(event),
            "EventBus": event.get("eventBus"),
            "Schedule": event.get("schedule"),
            "Pattern": event.get("pattern"),
            "Input": event.get("input"),
            "InputPath": event.get("inputPath"),
            "InputTransformer": existing.raised(transformer) if transformer else None,
        }
    )
    resource = existing.custom("Custom::EventBridge", "event_bridge", event, {"EventBridgeConfig": config})
    return Fragment({f"{naming.normal(event.function.key)}CustomEventBridge{event.index}": resource}, where=event.where)


MEND = "remove provider.eventBridge, so that CloudFormation makes the rules"
