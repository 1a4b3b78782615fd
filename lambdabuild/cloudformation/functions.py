"""Functions: the resource itself, its url, its asynchronous invocation, and what the shared role must allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lambdabuild.cloudformation import durable, images, versions
from lambdabuild.cloudformation.context import Context, Lambda, Role
from lambdabuild.cloudformation.fragment import Fragment, Json, Need, allow, without_nothing
from lambdabuild.core import naming
from lambdabuild.core.errors import BadFunction

MEMORY_SIZE, TIMEOUT = 1024, 6
"""MB and seconds when nothing is said; the Serverless Framework's, so that a deployed function is not changed."""
EDGE_MEMORY_SIZE, EDGE_TIMEOUT = 128, 5
"""The same at the edge, where the provider's do not count: what every event type of CloudFront allows."""

UPDATES = {"onFunctionUpdate": "FunctionUpdate", "manual": "Manual"}

LOGGING = {"applicationLogLevel": "ApplicationLogLevel", "logFormat": "LogFormat", "logGroup": "LogGroup",
           "systemLogLevel": "SystemLogLevel"}  # fmt: skip


def compile(context: Context, function: Lambda) -> Fragment:
    """Return the function and its version; events and urls are compiled separately."""
    config = function.config
    if config.get("provisionedConcurrency") and config.get("snapStart"):
        raise BadFunction(
            f"function {function.key!r} has both provisionedConcurrency and snapStart, which exclude each other",
            where=context.definition.at("functions", function.key, "snapStart"),
            help="remove one of them",
            known_as="FUNCTION_BOTH_PROVISIONED_CONCURRENCY_AND_SNAPSTART_ENABLED_ERROR",
        )
    code, code_sha256 = _code(context, function)
    properties = code | _settings(context, function)
    role = context.roles.of(function)
    if context.roles.has_own(function) and config.get("role"):
        raise BadFunction(
            f"function {function.key!r} has both a role and statements for a role of its own",
            where=context.definition.at("functions", function.key, "role"),
            help="remove one of them",
        )
    depends = [] if config.get("disableLogs") else [naming.log_group(function.key)]
    depends += [*(config.get("dependsOn") or ()), *_depends_on_role(role)]
    resource: Json = {"Type": "AWS::Lambda::Function", "Properties": _without_unset(properties)}
    resource |= {"DependsOn": depends} if depends else {}
    resource |= {"DeletionPolicy": "Retain"} if function.is_at_edge else {}  # replicas outlive the stack
    resource |= {"Condition": config["condition"]} if config.get("condition") else {}
    version = versions.compile(context, function, properties, code_sha256)
    return Fragment(
        {function.logical_id: resource, **version.resources},
        version.outputs,
        tuple(_needs(context, function, properties)),
        where=function.where,
    )


def version_of(context: Context, function: Lambda) -> Json:
    """Return a reference to the version of a versioned function."""
    version: Json = compile(context, function).outputs[naming.version_output(function.key)]["Value"]
    return version


def _code(context: Context, function: Lambda) -> tuple[Json, str]:
    """Return the code's properties, and the digest that its version records."""
    config = function.config
    if config.get("image"):
        uri, sha256, settings = images.of(context, function)
        return {"Code": {"ImageUri": uri}, "PackageType": "Image", **settings}, sha256
    artifact = context.artifacts[f"function:{function.key}"]
    properties = {
        "Code": context.place(artifact),
        "Handler": config["handler"],
        "Runtime": context.runtime_of(function),
    }
    management = {**_management(context.provider), **_management(config)}
    if management.get("mode") in UPDATES:
        code: Json = {"UpdateRuntimeOn": UPDATES[management["mode"]]}
        code |= {"RuntimeVersionArn": management.get("arn")} if management["mode"] == "manual" else {}
        properties["RuntimeManagementConfig"] = without_nothing(code)
    return properties, artifact.code_sha256


def _management(config: Mapping[str, Any]) -> Json:
    given = config.get("runtimeManagement")
    return {"mode": given} if isinstance(given, str) else dict(given or {})


def _settings(context: Context, function: Lambda) -> Json:
    """Return all properties except the code's. Lambda@Edge supports neither variables nor networks."""
    config, provider, at_edge = function.config, context.provider, function.is_at_edge
    architecture = config.get("architecture") or provider.get("architecture")
    tracing = config.get("tracing") or (provider.get("tracing") or {}).get("lambda")
    layers = _first(config.get("layers"), provider.get("layers"))
    memory_size = EDGE_MEMORY_SIZE if at_edge else provider.get("memorySize") or MEMORY_SIZE
    timeout = EDGE_TIMEOUT if at_edge else provider.get("timeout") or TIMEOUT
    storage, reserved = config.get("ephemeralStorageSize"), config.get("reservedConcurrency")
    return without_nothing(
        {
            "FunctionName": function.name,
            "MemorySize": config.get("memorySize") or memory_size,
            "Timeout": config.get("timeout") or timeout,
            "Architectures": [architecture] if architecture else None,
            "Description": config.get("description") or None,
            "Tags": _tags(provider, config),
            "EphemeralStorage": {"Size": storage} if storage else None,
            "DeadLetterConfig": {"TargetArn": config["onError"]} if config.get("onError") else None,
            "KmsKeyArn": config.get("kmsKeyArn") or provider.get("kmsKeyArn"),
            "TracingConfig": {"Mode": tracing if isinstance(tracing, str) else "Active"} if tracing else None,
            "Environment": None if at_edge else _environment(provider, config),
            "Role": role_property(context.roles.of(function)),
            "VpcConfig": None if at_edge else _vpc(provider, config),
            "FileSystemConfigs": _file_systems(context, function),
            "ReservedConcurrentExecutions": reserved,
            "Layers": list(layers) if layers is not None else None,
            "SnapStart": {"ApplyOn": "PublishedVersions"} if config.get("snapStart") else None,
            "LoggingConfig": _logging(provider, config),
            "DurableConfig": durable.properties(function),
            "RecursiveLoop": config.get("recursiveLoop"),
        }
    )


def _first(*values: Any) -> Any:
    """Return the first value that is not None; an empty list counts."""
    return next((value for value in values if value is not None), None)


def _tags(provider: Json, config: Mapping[str, Any]) -> list[Json] | None:
    if config.get("tags") is None and provider.get("tags") is None:
        return None
    tags = {**(provider.get("tags") or {}), **(config.get("tags") or {})}
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _environment(provider: Json, config: Mapping[str, Any]) -> Json | None:
    """Return the variables. A function removes one of the provider's by giving it no value."""
    if config.get("environment") is None and provider.get("environment") is None:
        return None
    return {"Variables": {**(provider.get("environment") or {}), **(config.get("environment") or {})}}


def role_property(role: Role) -> str | Json:
    """Return a role as a property's value: an ARN, or a reference to a resource of the stack."""
    if role is None:
        return {"Fn::GetAtt": [naming.ROLE, "Arn"]}
    is_logical_id = isinstance(role, str) and not role.startswith("arn:")
    return {"Fn::GetAtt": [role, "Arn"]} if is_logical_id else role


def _depends_on_role(role: Role) -> list[str]:
    if isinstance(role, str):
        return [] if role.startswith("arn:") or role == naming.ROLE else [role]
    match role:
        case {"Fn::GetAtt": [str(logical_id), *_]}:
            return [logical_id]
        case {"Fn::GetAtt": str(text)}:
            return [text.partition(".")[0]]
    return []


def _vpc(provider: Json, config: Mapping[str, Any]) -> Json | None:
    if "vpc" in config and not config["vpc"]:
        return None  # said in so many words
    own, common = config.get("vpc") or {}, provider.get("vpc") or {}
    groups = _first(own.get("securityGroupIds"), common.get("securityGroupIds"))
    subnets = _first(own.get("subnetIds"), common.get("subnetIds"))
    if groups is None or subnets is None:
        return None
    dual = own.get("ipv6AllowedForDualStack", common.get("ipv6AllowedForDualStack"))
    return without_nothing({"SecurityGroupIds": groups, "SubnetIds": subnets, "Ipv6AllowedForDualStack": dual})


def _file_systems(context: Context, function: Lambda) -> list[Json] | None:
    given = function.config.get("fileSystemConfig")
    if not given:
        return None
    if _vpc(context.provider, function.config) is None:
        raise BadFunction(
            f"function {function.key!r} has a fileSystemConfig, which needs a vpc",
            where=context.definition.at("functions", function.key, "fileSystemConfig"),
            help="give the function or the provider a vpc with securityGroupIds and subnetIds",
            known_as="LAMBDA_FILE_SYSTEM_CONFIG_MISSING_VPC",
        )
    return [{"Arn": given["arn"], "LocalMountPath": given["localMountPath"]}]


def _logging(provider: Json, config: Mapping[str, Any]) -> Json | None:
    given = config.get("logs") or (provider.get("logs") or {}).get("lambda")
    return {LOGGING[key]: value for key, value in given.items() if key in LOGGING} if given else None


def _without_unset(properties: Json) -> Json:
    """Drop variables without a value, which were kept until now because they remove the provider's."""
    kept = dict(properties)
    if "Environment" in kept:
        variables = kept["Environment"]["Variables"]
        kept["Environment"] = {"Variables": without_nothing(variables)}
    return kept


def _needs(context: Context, function: Lambda, properties: Json) -> Iterator[Need]:
    """Return the permissions its role needs. The user has to allow an ARN that only CloudFormation knows."""
    on_error, key = function.config.get("onError"), properties.get("KmsKeyArn")
    if isinstance(on_error, str):
        yield from context.roles.needs(function, allow(["sns:Publish"], [on_error]))
    if isinstance(key, str):
        yield from context.roles.needs(function, allow(["kms:Decrypt"], [key]), once=True)
    if "TracingConfig" in properties:
        tracing = allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["*"])
        yield from context.roles.needs(function, tracing, once=True)
    if "FileSystemConfigs" in properties:
        arn = properties["FileSystemConfigs"][0]["Arn"]
        mount = allow(["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"], [arn])
        yield from context.roles.needs(function, mount)


# urls

URL_CORS = {
    "allowedOrigins": ["*"],
    "allowedHeaders": [
        "Content-Type", "X-Amz-Date", "Authorization", "X-Api-Key", "X-Amz-Security-Token", "X-Amzn-Trace-Id",
    ],
    "allowedMethods": ["*"],
}  # fmt: skip


def url(context: Context, function: Lambda) -> Fragment:
    """Return the function's own address, and who may call it."""
    given = function.config.get("url")
    if not given:
        return Fragment()
    options = given if isinstance(given, dict) else {}
    auth = "AWS_IAM" if options.get("authorizer") == "aws_iam" else "NONE"
    logical_id = naming.url(function.key)
    properties: Json = {"AuthType": auth, "TargetFunctionArn": function.target}
    if options.get("cors"):
        properties["Cors"] = _cors(options["cors"])
    if options.get("invokeMode") == "RESPONSE_STREAM":
        properties["InvokeMode"] = "RESPONSE_STREAM"
    resources = {logical_id: _after_alias(function, {"Type": "AWS::Lambda::Url", "Properties": properties})}
    if auth == "NONE":
        permission = {
            "FunctionName": function.target,
            "Action": "lambda:InvokeFunctionUrl",
            "Principal": "*",
            "FunctionUrlAuthType": auth,
        }
        resources[naming.url_permission(function.key)] = _after_alias(
            function, {"Type": "AWS::Lambda::Permission", "Properties": permission}
        )
    output = {"Description": "Lambda Function URL", "Value": {"Fn::GetAtt": [logical_id, "FunctionUrl"]}}
    return Fragment(resources, {logical_id: output}, where=function.where)


def _cors(given: object) -> Json:
    """Return the CORS settings: a list replaces the default, null removes it."""
    own = given if isinstance(given, dict) else {}
    lists = {key: list(dict.fromkeys(own[key])) if own.get(key) else default for key, default in URL_CORS.items()}
    lists = {key: value for key, value in lists.items() if key not in own or own[key] is not None}
    exposed = own.get("exposedResponseHeaders")
    return without_nothing(
        {
            "AllowCredentials": True if own.get("allowCredentials") else None,
            "AllowHeaders": lists.get("allowedHeaders"),
            "AllowMethods": lists.get("allowedMethods"),
            "AllowOrigins": lists.get("allowedOrigins"),
            "ExposeHeaders": list(dict.fromkeys(exposed)) if exposed else None,
            "MaxAge": own.get("maxAge"),
        }
    )


def _after_alias(function: Lambda, resource: Json) -> Json:
    return resource | ({"DependsOn": function.alias_id} if function.alias_id else {})


# asynchronous invocation


def asynchronous(context: Context, function: Lambda) -> Fragment:
    """Return how often and how long an event is retried, and where it or its result is sent."""
    config = function.config
    destinations, age, attempts = (
        config.get("destinations"),
        config.get("maximumEventAge"),
        config.get("maximumRetryAttempts"),
    )
    if not destinations and not age and attempts is None:
        return Fragment()
    configuration, statements = dict[str, Json](), list[Json]()
    after = [function.alias_id] if function.alias_id else []
    for given, name in (("onSuccess", "OnSuccess"), ("onFailure", "OnFailure")):
        destination = (destinations or {}).get(given)
        if destination:
            where = (function.key, "destinations", given)
            configuration[name] = {"Destination": _destination(context, destination, where)}
            after += _alias_of(context, destination)
            if not context.roles.existing(function):
                statements.append(_reach(context, destination, where))
    properties = without_nothing(
        {
            "FunctionName": {"Ref": function.logical_id},
            "DestinationConfig": configuration,
            "Qualifier": function.alias or "$LATEST",
            "MaximumEventAgeInSeconds": age or None,
            "MaximumRetryAttempts": attempts,
        }
    )
    resource: Json = {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": properties}
    resource |= {"DependsOn": after[0] if len(after) == 1 else list(dict.fromkeys(after))} if after else {}
    needs = context.roles.needs(function, *statements, once=True)
    return Fragment({naming.event_config(function.key): resource}, {}, needs, where=function.where)


ACTIONS = {
    "function": "lambda:InvokeFunction",
    "sqs": "sqs:SendMessage",
    "sns": "sns:Publish",
    "eventBus": "events:PutEvents",
}
IN_ARN: Mapping[str, str] = {":function:": "function", ":sqs:": "sqs", ":sns:": "sns", ":event-bus/": "eventBus"}


def _destination(context: Context, given: Any, where: tuple[str, ...]) -> Any:
    if isinstance(given, dict):
        return given["arn"]
    return given if given.startswith("arn:") else function_of(context, given, where).target


def _alias_of(context: Context, given: object) -> list[str]:
    """Return the alias of a durable function of this service, which must be created first."""
    target = context.functions.get(given) if isinstance(given, str) else None
    return [target.alias_id] if target is not None and target.is_durable else []


def _reach(context: Context, given: Any, where: tuple[str, ...]) -> Json:
    if isinstance(given, dict):
        return allow(ACTIONS[_type_of(context, given, where)], given["arn"])
    if not given.startswith("arn:"):
        # By name, for the role and the function would each need the other's ARN first.
        target = function_of(context, given, where)
        name = f"{target.name}:{target.alias}" if target.is_durable else target.name
        return allow(ACTIONS["function"], {"Fn::Sub": naming.function_arn(name)})
    return allow(ACTIONS[_type_of(context, given, where)], given)


def _type_of(context: Context, given: Any, where: tuple[str, ...]) -> str:
    """Return the kind of destination, as ``ACTIONS`` names it."""
    if isinstance(given, dict):
        kind = given["type"]
    else:
        kind = next((kind for sign, kind in IN_ARN.items() if sign in given), "")
    if kind not in ACTIONS:
        raise BadFunction(
            f"function {where[0]!r}: events cannot be sent to {given!r}",
            where=context.definition.at("functions", *where),
            help="give the ARN of a function, an SQS queue, an SNS topic or an event bus",
            known_as="UNSUPPORTED_DESTINATION_TARGET",
        )
    return str(kind)


def function_of(context: Context, key: str, where: tuple[str, ...]) -> Lambda:
    """Return the service's own function with that key."""
    if key not in context.functions:
        import difflib

        near = difflib.get_close_matches(key, list(context.functions), 1, 0.6)
        raise BadFunction(
            f"function {where[0]!r} names {key!r}, which is neither an ARN nor a function of this service",
            where=context.definition.at("functions", *where),
            help=f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(context.functions)}",
            known_as="FUNCTION_MISSING_IN_SERVICE",
        )
    return context.functions[key]


PARTS: tuple[Callable[[Context, Lambda], Fragment], ...] = (compile, url, asynchronous)
"""All that is made of one function, its log group and events apart."""
