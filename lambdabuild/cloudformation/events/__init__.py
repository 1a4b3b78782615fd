"""The visible table: event type -> compile(context, events) -> Fragment; ``events`` are all of that type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lambdabuild.cloudformation.context import Context
from lambdabuild.cloudformation.events import (
    alb,
    cloudfront,
    http_api,
    on_resource,
    permission,
    rest_api,
    rules,
    source_mapping,
    topics,
    websocket,
)
from lambdabuild.cloudformation.events.event import Event, events_of
from lambdabuild.cloudformation.fragment import Fragment, joined
from lambdabuild.errors import LambdaBuildError, raise_all

COMPILERS: Mapping[str, Callable[[Context, Sequence[Event]], Fragment]] = {
    "activemq": source_mapping.activemq,
    "alb": alb.compile,
    "alexaSkill": permission.alexa_skill,
    "alexaSmartHome": permission.alexa_smart_home,
    "cloudFront": cloudfront.compile,
    "cloudwatchEvent": rules.cloudwatch_event,
    "cloudwatchLog": permission.cloudwatch_log,
    "cognitoUserPool": on_resource.cognito_user_pool,
    "eventBridge": rules.event_bridge,
    "http": rest_api.compile,
    "httpApi": http_api.compile,
    "iot": permission.iot,
    "iotFleetProvisioning": permission.iot_fleet_provisioning,
    "kafka": source_mapping.kafka,
    "msk": source_mapping.msk,
    "rabbitmq": source_mapping.rabbitmq,
    "s3": on_resource.s3,
    "schedule": rules.schedule,
    "sns": topics.sns,
    "sqs": source_mapping.sqs,
    "stream": source_mapping.stream,
    "websocket": websocket.compile,
}


def compile(context: Context) -> Fragment:
    """All events of a service; all that is wrong with them is told together.

    An event that only a plugin knows is not compiled, as with the peer; what checks the file tells of it.
    """
    errors: list[LambdaBuildError] = []
    found = [cloudfront.cache_policies(context)]
    for kind, events in events_of(context).items():
        if kind not in COMPILERS:
            continue
        try:
            found.append(COMPILERS[kind](context, events))
        except LambdaBuildError as error:
            errors += getattr(error, "errors", (error,))
    raise_all(errors)
    return joined(found)
