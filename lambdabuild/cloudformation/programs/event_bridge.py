# A rule of EventBridge, its function as the target, the function's consent, and the bus when it is only named.
import hashlib
import json

import boto3

ON_A_BUS_OF_OTHERS = "-on-a-bus-of-others"


def physical_id(event):
    # Another name, bus or function is another rule: CloudFormation then deletes the former one, told by its own id.
    properties = event["ResourceProperties"]
    name = f"{properties['FunctionName']}-{_digest(properties)}"
    return name + (ON_A_BUS_OF_OTHERS if event.get("IsBusOfOthers") else "")


def change(event, context):
    now, before = event["ResourceProperties"], event.get("OldResourceProperties") or {}
    if event["RequestType"] == "Delete":
        _remove(now, keeps_bus=event["PhysicalResourceId"].endswith(ON_A_BUS_OF_OTHERS))
        return
    is_same = bool(before) and _digest(before) == _digest(now)
    if not is_same:
        event["IsBusOfOthers"] = _is_there_already(now)
        if before:
            event["PhysicalResourceId"] = physical_id(event)
    _put(now, context)
    if not is_same:
        _permit(now, context)


def _digest(properties):
    config = properties["EventBridgeConfig"]
    named = [properties["FunctionName"], config.get("EventBus") or "default", config["RuleName"]]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]


def _bus(config):
    bus = config.get("EventBus") or "default"
    return bus.partition("/")[2] if bus.startswith("arn") else bus


def _makes_bus(config):
    return (config.get("EventBus") or "default") != "default" and not config["EventBus"].startswith("arn")


def _is_there_already(properties):
    config, client = properties["EventBridgeConfig"], boto3.client("events")
    if not _makes_bus(config):
        return False
    try:
        client.create_event_bus(Name=config["EventBus"])
    except client.exceptions.ResourceAlreadyExistsException:
        return True  # another function's rule made it, or somebody else
    return False


def _put(properties, context):
    config, client = properties["EventBridgeConfig"], boto3.client("events")
    when = {"ScheduleExpression": config["Schedule"]} if config.get("Schedule") else {}
    when |= {"EventPattern": json.dumps(config["Pattern"])} if config.get("Pattern") else {}
    client.put_rule(Name=config["RuleName"], EventBusName=_bus(config), State=config["State"], **when)
    target = {"Id": _target_id(config), "Arn": _function_arn(properties, context)}
    if config.get("Input"):
        target["Input"] = json.dumps(config["Input"])
    for key in ("InputPath", "InputTransformer"):
        if config.get(key):
            target[key] = config[key]
    answer = client.put_targets(Rule=config["RuleName"], EventBusName=_bus(config), Targets=[target])
    if answer["FailedEntryCount"]:
        raise ValueError(f"the rule takes no target: {answer['FailedEntries'][0].get('ErrorMessage')}")


def _target_id(config):
    name = f"{config['RuleName']}-target"
    if len(name) <= 64:
        return name
    return f"{name[:25]}{hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()}-target"


def _function_arn(properties, context):
    start = ":".join(context.invoked_function_arn.split(":")[:6])
    return f"{start}:{properties['FunctionName']}"


def _statement_ids(properties):
    # The second is what rules have that the Serverless Framework's program made.
    name = properties["EventBridgeConfig"]["RuleName"].lower()
    framework = "".join(sign for sign in name if sign not in ".:*")
    return f"rule-{_digest(properties)}", f"{properties['FunctionName']}-{framework}"[:100]


def _permit(properties, context):
    config, client = properties["EventBridgeConfig"], boto3.client("lambda")
    bus = _bus(config)
    place = ":".join(context.invoked_function_arn.split(":")[3:5])
    path = "/".join(["rule", *([bus] if bus != "default" else []), config["RuleName"]])
    try:
        client.add_permission(
            FunctionName=properties["FunctionName"],
            StatementId=_statement_ids(properties)[0],
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=f"arn:{context.invoked_function_arn.split(':')[1]}:events:{place}:{path}",
        )
    except client.exceptions.ResourceConflictException:
        pass  # it may already


def _remove(properties, keeps_bus):
    config, client = properties["EventBridgeConfig"], boto3.client("lambda")
    for statement in _statement_ids(properties):
        try:
            client.remove_permission(FunctionName=properties["FunctionName"], StatementId=statement)
        except client.exceptions.ResourceNotFoundException:
            pass  # the function, or its right, is gone already
    events, bus = boto3.client("events"), _bus(config)
    try:
        events.remove_targets(Rule=config["RuleName"], EventBusName=bus, Ids=[_target_id(config)])
        events.delete_rule(Name=config["RuleName"], EventBusName=bus)
    except events.exceptions.ResourceNotFoundException:
        pass
    if _makes_bus(config) and not keeps_bus:
        try:
            events.delete_event_bus(Name=bus)
        except events.exceptions.ClientError as error:
            print(f"the bus {bus} stays: {error}")  # noqa: T201  # rules of others are on it
