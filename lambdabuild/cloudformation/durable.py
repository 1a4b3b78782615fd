"""Functions whose executions outlive a call (``durableConfig``): what they are, what they must not have, their rights.

https://docs.aws.amazon.com/lambda/latest/dg/durable-functions.html
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from lambdabuild.cloudformation.context import Context, Lambda
from lambdabuild.cloudformation.fragment import Fragment, Json, Need, allow, without_nothing
from lambdabuild.core import naming
from lambdabuild.core.errors import BadFunction, LambdaBuildError, raise_all

SNAP_START_RUNTIMES = ("python3.13", "python3.14", "java17", "java21", "java25")
RUNTIMES = ("nodejs22.x", "nodejs24.x", *SNAP_START_RUNTIMES)
"""https://docs.aws.amazon.com/lambda/latest/dg/durable-supported-runtimes.html"""

MAPPED = ("activemq", "kafka", "msk", "rabbitmq", "sqs", "stream")
"""Events that Lambda fetches, and waits for what it hands them to."""

MAPPED_SECONDS = 900
SNAP_START_STORAGE_MEGABYTES = 512


def properties(function: Lambda) -> Json | None:
    """Return the value of the property DurableConfig; None for an ordinary function."""
    given = function.config.get("durableConfig")
    if given is None:
        return None
    return without_nothing(
        {
            "ExecutionTimeout": given["executionTimeout"],
            "RetentionPeriodInDays": given.get("retentionPeriodInDays"),
        }
    )


def compile(context: Context) -> Fragment:
    """Return the permissions for roles: one statement for all functions that share a role."""
    errors = list[LambdaBuildError]()
    arns: dict[str, list[Json]] = defaultdict(list)
    for function in context.functions.values():
        if not function.is_durable:
            continue
        errors += _mistakes(context, function)
        if context.roles.has_own(function) or context.roles.existing(function) in (None, naming.ROLE):
            arn = naming.function_arn(f"{function.name}:*/durable-execution/*/*")
            arns[context.roles.owner(function)].append({"Fn::Sub": arn})
    raise_all(errors)
    actions = ["lambda:CheckpointDurableExecution", "lambda:GetDurableExecutionState"]
    return Fragment(needs=tuple(Need(owner, allow(actions, listed)) for owner, listed in arns.items()))


def _mistakes(context: Context, function: Lambda) -> Iterator[BadFunction]:
    """Yield everything a durable function must not have, with its place."""
    config = function.config

    def bad(option: str, why: str, help: str, known_as: str) -> BadFunction:
        return BadFunction(
            f"function {function.key!r} has a durableConfig, and {why}",
            where=context.definition.at("functions", function.key, *option.split(".")),
            help=help,
            known_as=f"DURABLE_FUNCTION_{known_as}_UNSUPPORTED",
        )

    runtime = "" if config.get("image") else context.runtime_of(function)
    if runtime and runtime not in RUNTIMES:
        yield BadFunction(
            f"function {function.key!r} has a durableConfig, which Lambda has not for {runtime}",
            where=context.definition.at(
                "functions", function.key, "runtime" if "runtime" in config else "durableConfig"
            ),
            help=f"take one of {', '.join(RUNTIMES)}, or an image",
            known_as="DURABLE_FUNCTION_UNSUPPORTED_RUNTIME",
        )
    if config.get("destinations") is not None:
        yield bad("destinations", "durable functions have no destinations", "remove destinations", "DESTINATIONS")
    if config.get("maximumRetryAttempts") is not None:
        why = "what it does is retried in other ways than by maximumRetryAttempts"
        yield bad("maximumRetryAttempts", why, "remove it", "MAXIMUM_RETRY_ATTEMPTS")
    kinds = [kind for event in config.get("events") or () if isinstance(event, Mapping) for kind in event]
    seconds = config["durableConfig"]["executionTimeout"]
    mapped = next((kind for kind in kinds if kind in MAPPED), None)
    if mapped and isinstance(seconds, int | float) and seconds > MAPPED_SECONDS:
        why = f"its events of {mapped} wait for it, which they do for {MAPPED_SECONDS} seconds at most"
        help = f"lower executionTimeout to {MAPPED_SECONDS}, or let another function start it"
        yield bad("durableConfig.executionTimeout", why, help, "ESM_TIMEOUT")
    if function.is_at_edge:
        yield bad("events", "Lambda@Edge has no durable functions", "remove one of the two", "LAMBDA_EDGE")
    if config.get("snapStart"):
        yield from (bad("snapStart", why, "remove snapStart", "SNAPSTART") for why in _no_snap_start(config, runtime))


def _no_snap_start(config: Mapping[str, Any], runtime: str) -> Iterator[str]:
    storage = config.get("ephemeralStorageSize")
    if not runtime:
        yield "SnapStart has no images"
    elif runtime not in SNAP_START_RUNTIMES:
        yield f"SnapStart is not for durable functions of {runtime}"
    if config.get("fileSystemConfig"):
        yield "SnapStart has no file systems"
    if isinstance(storage, int | float) and storage > SNAP_START_STORAGE_MEGABYTES:
        yield f"SnapStart has {SNAP_START_STORAGE_MEGABYTES} MB of storage at most"
