"""Keys of callers, and plans that say how much they may call."""

from __future__ import annotations

from lambdabuild.cloudformation.events.rest_api.api import Api
from lambdabuild.cloudformation.fragment import Json, without_nothing


def compile(api: Api, deployment_id: str) -> dict[str, Json]:
    keys, plans = api.config.get("apiKeys"), api.config.get("usagePlan")
    if keys is None and not plans:
        return {}
    named = (
        {name: plan for plan_of_name in plans for name, plan in plan_of_name.items()} if isinstance(plans, list) else {}
    )
    resources: dict[str, Json] = {}
    number = 0
    for given in keys or ():
        name = next(iter(given)) if isinstance(given, dict) and given else ""
        if isinstance(given, dict) and isinstance(given.get(name), list):
            if name not in named:
                raise api.bad(
                    f"the API keys {name!r} have no usage plan of that name",
                    "add the plan to provider.apiGateway.usagePlan",
                    "API_GATEWAY_KEY_WITHOUT_USAGE_PLAN",
                )  # fmt: skip
            for number, key in enumerate(given[name], 1):
                resources |= _key(api, deployment_id, key, f"{_raised(name)}{number}", _plan_id(name))
        else:
            number += 1
            resources |= _key(api, deployment_id, given, str(number), _plan_id(""))
    if isinstance(plans, list):
        return resources | {_plan_id(name): _plan(api, deployment_id, name, plan or {}) for name, plan in named.items()}
    return resources | {_plan_id(""): _plan(api, deployment_id, "", plans or {})}


def _raised(name: str) -> str:
    return name[:1].upper() + name[1:]


def _plan_id(name: str) -> str:
    return "ApiGatewayUsagePlan" + _raised(name)


def _key(api: Api, deployment_id: str, given: object, end: str, plan_id: str) -> dict[str, Json]:
    options = given if isinstance(given, dict) else {"name": given}
    enabled = options.get("enabled")
    properties = without_nothing({
        "Enabled": True if enabled is None else enabled,
        "Name": options.get("name"),
        "Value": options.get("value") or None,
        "Description": options.get("description"),
        "CustomerId": options.get("customerId"),
        "StageKeys": [{"RestApiId": api.id, "StageName": api.stage}],
    })  # fmt: skip
    link = {"KeyId": {"Ref": f"ApiGatewayApiKey{end}"}, "KeyType": "API_KEY", "UsagePlanId": {"Ref": plan_id}}
    return {
        f"ApiGatewayApiKey{end}": {
            "Type": "AWS::ApiGateway::ApiKey", "Properties": properties, "DependsOn": deployment_id,
        },
        f"ApiGatewayUsagePlanKey{end}": {"Type": "AWS::ApiGateway::UsagePlanKey", "Properties": link},
    }  # fmt: skip


def _plan(api: Api, deployment_id: str, name: str, given: Json) -> Json:
    service, stage = api.context.service, api.context.stage
    words = f'"{name}" ' if name else ""
    quota, throttle = given.get("quota"), given.get("throttle")
    properties = without_nothing({
        "ApiStages": [{"ApiId": api.id, "Stage": api.stage}],
        "Description": f"Usage plan {words}for {service} {stage} stage",
        "UsagePlanName": f"{service}-{name}-{stage}" if name else f"{service}-{stage}",
        "Quota": without_nothing({
            "Limit": quota.get("limit"), "Offset": quota.get("offset"), "Period": quota.get("period"),
        }) if quota else None,
        "Throttle": without_nothing({
            "BurstLimit": throttle.get("burstLimit"), "RateLimit": throttle.get("rateLimit"),
        }) if throttle else None,
    })  # fmt: skip
    return {"Type": "AWS::ApiGateway::UsagePlan", "Properties": properties, "DependsOn": deployment_id}
