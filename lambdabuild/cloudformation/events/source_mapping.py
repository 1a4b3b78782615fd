"""Queues and streams that Lambda polls: one event source mapping each, and the right to read them.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from lambdabuild.cloudformation.context import Context
from lambdabuild.cloudformation.events.event import Event, by_function, each, role_id
from lambdabuild.cloudformation.fragment import Fragment, Json, Need, allow, compact, without_nothing
from lambdabuild.core import naming

TRIM_HORIZON, AT_TIMESTAMP = "TRIM_HORIZON", "AT_TIMESTAMP"
NETWORK = (
    "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeVpcs", "ec2:DeleteNetworkInterface",
    "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups",
)  # fmt: skip
"""Rights of a poller that works inside a VPC."""

DYNAMODB = ("dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream", "dynamodb:ListStreams")
KINESIS = ("kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:DescribeStream", "kinesis:ListStreams")
KINESIS_CONSUMER = (
    "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:DescribeStreamSummary", "kinesis:ListShards",
)  # fmt: skip
SUBSCRIBE = ("kinesis:SubscribeToShard",)
PUBLISH, SEND = ("sns:Publish",), ("sqs:ListQueues", "sqs:SendMessage")
STREAM_RIGHTS = (DYNAMODB, KINESIS, KINESIS_CONSUMER, SUBSCRIBE, PUBLISH, SEND)
"""In the order in which deployed stacks have them."""
SQS = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")


def sqs(context: Context, events: Sequence[Event]) -> Fragment:
    """Compile SQS queues; a role gets one statement for all."""
    resources: dict[str, list[Any]] = defaultdict(list)
    for event in events:
        resources[context.roles.owner(event.function)].append(_arn(event))
    fragments = each(events, lambda event: _sqs(context, event))
    needs = tuple(Need(owner, allow(list(SQS), arns)) for owner, arns in resources.items())
    return Fragment(fragments.resources, needs=needs)


def _sqs(context: Context, event: Event) -> Fragment:
    concurrency = event.get("maximumConcurrency")
    properties = {
        "EventSourceArn": _arn(event),
        "BatchSize": event.get("batchSize") or 10,
        "Enabled": event.as_written("enabled", True),
        "MaximumBatchingWindowInSeconds": event.get("maximumBatchingWindow"),
        "FunctionResponseTypes": _list(event.get("functionResponseType")),
        "FilterCriteria": _filters(event),
        "ScalingConfig": {"MaximumConcurrency": concurrency} if concurrency else None,
    }
    return _mapping(context, event, "SQS" + naming.letters(_name(_arn(event))), properties)


def stream(context: Context, events: Sequence[Event]) -> Fragment:
    """Compile streams of DynamoDB and Kinesis; each function has its own statements."""
    fragments = each(events, lambda event: _stream(context, event))
    needs: list[Need] = []
    for group in by_function(events).values():
        allowed: dict[tuple[str, ...], list[Any]] = {actions: [] for actions in STREAM_RIGHTS}
        for event in group:
            for actions, arn in _stream_rights(context, event):
                allowed[actions].append(arn)
        needs += context.roles.needs(group[0].function, *(allow(list(a), arns) for a, arns in allowed.items() if arns))
    return Fragment(fragments.resources, needs=tuple(needs))


def _stream(context: Context, event: Event) -> Fragment:
    arn, kind = _arn(event), _stream_kind(event)
    position = event.get("startingPosition") or TRIM_HORIZON
    moment = _moment(event, position, "FUNCTION_STREAM_STARTING_POSITION_TIMESTAMP_INVALID")
    consumer, extra, after = event.get("consumer"), dict[str, Json](), list[str]()
    source = arn
    if consumer and kind == "kinesis":
        source = consumer
        if consumer is True:
            name = _consumer_name(context, event, _stream_name(arn))
            logical_id = naming.normal(name) + "StreamConsumer"
            extra[logical_id] = {
                "Type": "AWS::Kinesis::StreamConsumer",
                "Properties": {"StreamARN": arn, "ConsumerName": name},
            }
            source, after = {"Ref": logical_id}, [logical_id]
    failure = (event.get("destinations") or {}).get("onFailure")
    properties = {
        "EventSourceArn": source,
        "BatchSize": event.get("batchSize") or 10,
        "Enabled": event.as_written("enabled", True),
        "StartingPosition": position,
        "StartingPositionTimestamp": moment,
        "ParallelizationFactor": event.get("parallelizationFactor") or None,
        "MaximumBatchingWindowInSeconds": event.get("batchWindow"),
        "MaximumRetryAttempts": event.get("maximumRetryAttempts"),
        "BisectBatchOnFunctionError": event.get("bisectBatchOnFunctionError"),
        "FunctionResponseTypes": _list(event.get("functionResponseType")),
        "MaximumRecordAgeInSeconds": event.get("maximumRecordAgeInSeconds") or None,
        "TumblingWindowInSeconds": event.get("tumblingWindowInSeconds"),
        "DestinationConfig": {"OnFailure": {"Destination": _failure_arn(failure)}} if failure else None,
        "FilterCriteria": _filters(event),
    }
    name = naming.normal(kind) + naming.letters(_stream_name(arn))
    fragment = _mapping(context, event, name, properties, after)
    return Fragment({**fragment.resources, **extra}, where=event.where)


def _stream_rights(context: Context, event: Event) -> list[tuple[tuple[str, ...], Any]]:
    """Return (actions, resources) for reading the stream and reporting failures."""
    arn, consumer = _arn(event), event.get("consumer")
    rights: list[tuple[tuple[str, ...], Any]] = []
    if _stream_kind(event) == "dynamodb":
        rights.append((DYNAMODB, arn))
    elif consumer:
        name = _consumer_name(context, event, _stream_name(arn))
        rights.append((KINESIS_CONSUMER, arn))
        reference = {"Ref": naming.normal(name) + "StreamConsumer"} if consumer is True else consumer
        rights.append((SUBSCRIBE, reference))
    else:
        rights.append((KINESIS, arn))
    failure = (event.get("destinations") or {}).get("onFailure")
    if failure:
        target = _failure_arn(failure)
        kind = (failure.get("type") if isinstance(failure, dict) else None) or event.part_of_arn(target, ":", 2)
        rights.append((PUBLISH if kind == "sns" else SEND, target))
    return rights


def _stream_kind(event: Event) -> str:
    return str(event.get("type") or event.part_of_arn(_arn(event), ":", 2))


def _stream_name(arn: object) -> str:
    if isinstance(arn, dict):
        return _intrinsic_name(arn).rpartition("/")[2] if "Fn::Join" in arn else _intrinsic_name(arn)
    parts = str(arn).split("/")
    return parts[1] if len(parts) > 1 else parts[0]


def _consumer_name(context: Context, event: Event, stream_name: str) -> str:
    mode = (context.provider.get("kinesis") or {}).get("consumerNamingMode")
    more = f"{context.service}{context.stage}" if mode == "serviceSpecific" else ""
    name = f"{event.function.key}{stream_name}{more}Consumer"
    if len(name) > 128 and more:
        # https://docs.aws.amazon.com/kinesis/latest/APIReference/API_RegisterStreamConsumer.html
        return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return name


def _failure_arn(failure: object) -> Any:
    return failure["arn"] if isinstance(failure, dict) else failure


# brokers


def msk(context: Context, events: Sequence[Event]) -> Fragment:
    """Compile topics of Amazon's managed Kafka."""
    fragments = each(events, lambda event: _msk(context, event))
    needs: list[Need] = []
    for group in by_function(events).values():
        arns = [_arn(event) for event in group]
        rights = allow(["kafka:DescribeCluster", "kafka:GetBootstrapBrokers"], arns)
        needs += context.roles.needs(group[0].function, rights, allow(list(NETWORK), "*"))
    return Fragment(fragments.resources, needs=tuple(needs))


def _msk(context: Context, event: Event) -> Fragment:
    arn, topic = _arn(event), event.get("topic")
    position = event.get("startingPosition") or TRIM_HORIZON
    group, secret = event.get("consumerGroupId"), event.get("saslScram512")
    properties = {
        "EventSourceArn": arn,
        "StartingPosition": position,
        "StartingPositionTimestamp": _moment(event, position, "FUNCTION_MSK_STARTING_POSITION_TIMESTAMP_INVALID"),
        "Topics": [topic],
        **_batches(event),
        "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": group} if group else None,
        "SourceAccessConfigurations": [{"Type": "SASL_SCRAM_512_AUTH", "URI": secret}] if secret else None,
        "ProvisionedPollerConfig": _pollers(event),
    }
    cluster = _intrinsic_name(arn) if isinstance(arn, dict) else event.part_of_arn(arn, "/", 1)
    return _mapping(context, event, f"MSK{naming.letters(cluster)[:79]}{naming.letters(topic)[:79]}", properties)


ACCESS: Mapping[str, tuple[str, str]] = {
    "vpcSubnet": ("VPC_SUBNET", "subnet:"),
    "vpcSecurityGroup": ("VPC_SECURITY_GROUP", "security_group:"),
    "saslPlainAuth": ("BASIC_AUTH", ""),
    "saslScram256Auth": ("SASL_SCRAM_256_AUTH", ""),
    "saslScram512Auth": ("SASL_SCRAM_512_AUTH", ""),
    "clientCertificateTlsAuth": ("CLIENT_CERTIFICATE_TLS_AUTH", ""),
    "serverRootCaCertificate": ("SERVER_ROOT_CA_CERTIFICATE", ""),
}
"""How a broker is reached: the type that Lambda knows, and what its address begins with."""


def kafka(context: Context, events: Sequence[Event]) -> Fragment:
    """Compile topics of self-managed Kafka."""
    fragments = each(events, lambda event: _kafka(context, event))
    needs: list[Need] = []
    for group in by_function(events).values():
        secrets = [
            value for event in group for key, values in _access(event).items() for value in values if not ACCESS[key][1]
        ]
        in_vpc = any(ACCESS[key][1] for event in group for key in _access(event))
        rights = [allow(["secretsmanager:GetSecretValue"], secrets)] if secrets else []
        rights += [allow(list(NETWORK), "*")] if in_vpc else []
        needs += context.roles.needs(group[0].function, *rights)
    return Fragment(fragments.resources, needs=tuple(needs))


def _kafka(context: Context, event: Event) -> Fragment:
    access, topic = _access(event), event.get("topic")
    if bool(access.get("vpcSubnet")) != bool(access.get("vpcSecurityGroup")):
        missing = "vpcSubnet" if access.get("vpcSecurityGroup") else "vpcSecurityGroup"
        raise event.bad(
            f"accessConfigurations has no {missing}",
            f"add {missing}: a VPC is reached by both",
            "FUNCTION_KAFKA_VPC_ACCESS_CONFIGURATION_INVALID",
        )
    position = event.get("startingPosition") or TRIM_HORIZON
    group, failure = event.get("consumerGroupId"), event.get("onFailureDestination")
    properties = {
        "StartingPosition": position,
        "StartingPositionTimestamp": _moment(event, position, "FUNCTION_KAFKA_STARTING_POSITION_TIMESTAMP_INVALID"),
        "SelfManagedEventSource": {"Endpoints": {"KafkaBootstrapServers": event.get("bootstrapServers")}},
        "Topics": [topic],
        **_batches(event),
        "SourceAccessConfigurations": [
            {"Type": ACCESS[key][0], "URI": ACCESS[key][1] + value}
            for key, values in access.items()
            for value in values
        ],
        "SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": group} if group else None,
        "DestinationConfig": {"OnFailure": {"Destination": failure}} if failure else None,
        "ProvisionedPollerConfig": _pollers(event),
    }
    return _mapping(context, event, "Kafka" + naming.letters(topic)[:158], properties)


def _access(event: Event) -> Mapping[str, Sequence[str]]:
    """Return how its brokers are reached; entries without content are dropped."""
    configurations = {key: values for key, values in event.get("accessConfigurations").items() if values is not None}
    for key in configurations:
        if key not in ACCESS:
            raise event.bad(f"there is no accessConfigurations.{key}", f"there are: {', '.join(ACCESS)}")
    return configurations


def activemq(context: Context, events: Sequence[Event]) -> Fragment:
    return _brokers(context, events, "ActiveMQ")


def rabbitmq(context: Context, events: Sequence[Event]) -> Fragment:
    return _brokers(context, events, "RabbitMQ")


def _brokers(context: Context, events: Sequence[Event], name: str) -> Fragment:
    """Compile queues of Amazon MQ."""
    fragments = each(events, lambda event: _broker(context, event, name))
    needs: list[Need] = []
    for group in by_function(events).values():
        needs += context.roles.needs(
            group[0].function,
            allow(["secretsmanager:GetSecretValue"], [event.get("basicAuthArn") for event in group]),
            allow(["mq:DescribeBroker"], [_arn(event) for event in group]),
            allow(list(NETWORK), "*"),
        )
    return Fragment(fragments.resources, needs=tuple(needs))


def _broker(context: Context, event: Event, name: str) -> Fragment:
    queue, host = event.get("queue"), event.get("virtualHost")
    access = [{"Type": "BASIC_AUTH", "URI": event.get("basicAuthArn")}]
    access += [{"Type": "VIRTUAL_HOST", "URI": host}] if host else []
    properties = {
        "EventSourceArn": _arn(event),
        "Queues": [queue],
        "SourceAccessConfigurations": access,
        **_batches(event),
    }
    return _mapping(context, event, name + naming.letters(queue)[:150], properties)


# what they have in common


def _mapping(
    context: Context, event: Event, name: str, properties: Mapping[str, Any], after: Sequence[str] = ()
) -> Fragment:
    function = event.function
    depends = [dependency for dependency in (role_id(context, function), function.alias_id, *after) if dependency]
    resource: Json = {
        "Type": "AWS::Lambda::EventSourceMapping",
        "Properties": without_nothing({"FunctionName": function.target, **properties}),
    }
    resource |= {"DependsOn": depends} if depends else {}
    logical_id = f"{naming.normal(function.key)}EventSourceMapping{name}"
    return Fragment({logical_id: resource}, where=event.where)


def _arn(event: Event) -> Any:
    return event.options if isinstance(event.options, str) else event.get("arn")


def _name(arn: object) -> str:
    return _intrinsic_name(arn) if isinstance(arn, dict) else str(arn).rpartition(":")[2]


def _intrinsic_name(value: Json) -> str:
    """Return a name from a CloudFormation function: what it refers to, or the last part of what it joins."""
    match value:
        case {"Fn::GetAtt": [first, *_]}:
            name = first
        case {"Fn::Join": [_, [*_, last]]}:
            name = last
        case _:
            name = value.get("Fn::ImportValue", value.get("Ref", value.get("Fn::Sub", value)))
    return name if isinstance(name, str) else compact(name)


def _moment(event: Event, position: str, known_as: str) -> Any:
    moment = event.get("startingPositionTimestamp")
    if position == AT_TIMESTAMP and moment is None:
        raise event.bad(
            "it starts AT_TIMESTAMP, and no startingPositionTimestamp is given",
            "add startingPositionTimestamp, in seconds since 1970",
            known_as,
        )
    return moment


def _batches(event: Event) -> Json:
    return {
        "BatchSize": event.get("batchSize") or None,
        "MaximumBatchingWindowInSeconds": event.get("maximumBatchingWindow") or None,
        "Enabled": event.get("enabled"),
        "FilterCriteria": _filters(event),
    }


def _pollers(event: Event) -> Json | None:
    given = event.get("provisionedPollerConfig")
    if not given:
        return None
    return without_nothing(
        {"MinimumPollers": given.get("minimumPollers"), "MaximumPollers": given.get("maximumPollers")}
    )


def _filters(event: Event) -> Json | None:
    patterns = event.get("filterPatterns")
    return {"Filters": [{"Pattern": compact(pattern)} for pattern in patterns]} if patterns else None


def _list(value: object) -> list[Any] | None:
    return None if value is None else [value]
