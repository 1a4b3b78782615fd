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
from lambdabuild.core.errors import LambdaBuildError, raise_all

COMPILERS: Mapping[str, Callable[[Context, Sequence[Event]], Fragment]] = {
    "schedule": rules.schedule,
    "s3": on_resource.s3,
    "http": rest_api.compile,
    "websocket": websocket.compile,
    "sns": topics.sns,
    "stream": source_mapping.stream,
    "kafka": source_mapping.kafka,
    "activemq": source_mapping.activemq,
    "rabbitmq": source_mapping.rabbitmq,
    "msk": source_mapping.msk,
    "alb": alb.compile,
    "alexaSkill": permission.alexa_skill,
    "alexaSmartHome": permission.alexa_smart_home,
    "iot": permission.iot,
    "iotFleetProvisioning": permission.iot_fleet_provisioning,
    "cloudwatchEvent": rules.cloudwatch_event,
    "cloudwatchLog": permission.cloudwatch_log,
    "cognitoUserPool": on_resource.cognito_user_pool,
    "eventBridge": rules.event_bridge,
    "sqs": source_mapping.sqs,
    "cloudFront": cloudfront.compile,
    "httpApi": http_api.compile,
}
"""In the order in which the Serverless Framework compiles them: a role's statements follow it."""


def compile(context: Context) -> Fragment:
    """All events of a service; all that is wrong with them is told together.

    An event that only a plugin knows is not compiled, as with the Serverless Framework; what checks the file tells of
    it.
    """
    errors: list[LambdaBuildError] = []
    fragments = [cloudfront.cache_policies(context)]
    listed = events_of(context)
    for kind, compile_kind in COMPILERS.items():
        if kind not in listed:
            continue
        try:
            fragments.append(compile_kind(context, listed[kind]))
        except LambdaBuildError as error:
            errors += getattr(error, "errors", (error,))
    raise_all(errors)
    return joined(fragments)
