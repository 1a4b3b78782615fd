# A user pool that exists already asks a function; its other triggers and settings stay as they are.
import boto3

KEPT = (
    "Policies", "DeletionProtection", "AutoVerifiedAttributes", "SmsVerificationMessage", "EmailVerificationMessage",
    "EmailVerificationSubject", "VerificationMessageTemplate", "SmsAuthenticationMessage",
    "UserAttributeUpdateSettings", "MfaConfiguration", "DeviceConfiguration", "EmailConfiguration", "SmsConfiguration",
    "UserPoolTags",
    "AdminCreateUserConfig", "UserPoolAddOns", "AccountRecoverySetting",
)  # fmt: skip
# UpdateUserPool sets back to its default what it is not given:
# https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UpdateUserPool.html


def physical_id(event):
    properties = event["ResourceProperties"]
    return f"{properties['FunctionName']}-{properties['UserPoolName']}"


def change(event, context):
    now, before = event["ResourceProperties"], event.get("OldResourceProperties") or {}
    if event["RequestType"] == "Delete":
        _remove(now, context)
        return
    if before and before["UserPoolName"] != now["UserPoolName"]:
        _remove(before, context)
    pool, arn = _pool(now["UserPoolName"]), _function_arn(now, context)
    _permit(now, pool, context)
    triggers = _others(pool, arn)
    for config in now["UserPoolConfigs"]:
        if "LambdaVersion" in config:
            triggers[config["Trigger"]] = {"LambdaArn": arn, "LambdaVersion": config["LambdaVersion"]}
            triggers["KMSKeyID"] = config["KMSKeyID"]
        else:
            triggers[config["Trigger"]] = arn
    _update(pool, triggers)


def _function_arn(properties, context):
    start = ":".join(context.invoked_function_arn.split(":")[:6])
    return f"{start}:{properties['FunctionName']}"


def _pool(name):
    client = boto3.client("cognito-idp")
    for page in client.get_paginator("list_user_pools").paginate(MaxResults=60):
        for found in page["UserPools"]:
            if found["Name"] == name:
                return client.describe_user_pool(UserPoolId=found["Id"])["UserPool"]
    raise ValueError(f"there is no user pool {name!r}")


def _others(pool, arn):
    """The triggers that are not this function's."""
    return {
        key: value
        for key, value in (pool.get("LambdaConfig") or {}).items()
        if value != arn and not (isinstance(value, dict) and value.get("LambdaArn") == arn)
    }


def _update(pool, triggers):
    kept = {key: pool[key] for key in KEPT if pool.get(key) not in (None, "", [], {})}
    # What the password policy says takes the place of this older setting, and both together are refused.
    kept.get("AdminCreateUserConfig", {}).pop("UnusedAccountValidityDays", None)
    boto3.client("cognito-idp").update_user_pool(UserPoolId=pool["Id"], LambdaConfig=triggers, **kept)


def _permit(properties, pool, context):
    client = boto3.client("lambda")
    try:
        client.add_permission(
            FunctionName=properties["FunctionName"],
            StatementId=f"{pool['Id']}-triggers",
            Action="lambda:InvokeFunction",
            Principal="cognito-idp.amazonaws.com",
            SourceArn=pool["Arn"],
        )
    except client.exceptions.ResourceConflictException:
        pass  # it may already


def _remove(properties, context):
    try:
        pool = _pool(properties["UserPoolName"])
    except ValueError:
        return
    client = boto3.client("lambda")
    try:
        client.remove_permission(FunctionName=properties["FunctionName"], StatementId=f"{pool['Id']}-triggers")
    except client.exceptions.ResourceNotFoundException:
        pass
    _update(pool, _others(pool, _function_arn(properties, context)))
