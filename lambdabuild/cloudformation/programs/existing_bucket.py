# A bucket that exists already tells a function of what happens in it; what it tells others stays as it is.
import boto3


def physical_id(event):
    properties = event["ResourceProperties"]
    return f"{properties['FunctionName']}-{properties['BucketName']}"


def change(event, context):
    now, before = event["ResourceProperties"], event.get("OldResourceProperties") or {}
    if event["RequestType"] == "Delete":
        _remove(now, context)
        return
    if before and before["BucketName"] != now["BucketName"]:
        _remove(before, context)
    _permit(now, context)
    arn = _function_arn(now, context)
    configs = [
        {"LambdaFunctionArn": arn, "Events": [config["Event"]], **_filter(config.get("Rules"))}
        for config in now["BucketConfigs"]
    ]
    _put(now, arn, configs)


def _filter(rules):
    named = [{"Name": name.lower(), "Value": value} for rule in rules or [] for name, value in rule.items()]
    return {"Filter": {"Key": {"FilterRules": named}}} if named else {}


def _function_arn(properties, context):
    start = ":".join(context.invoked_function_arn.split(":")[:6])
    return f"{start}:{properties['FunctionName']}"


def _put(properties, arn, configs):
    s3 = boto3.client("s3")
    bucket = properties["BucketName"]
    found = s3.get_bucket_notification_configuration(Bucket=bucket)
    found.pop("ResponseMetadata", None)
    others = [one for one in found.get("LambdaFunctionConfigurations", []) if one["LambdaFunctionArn"] != arn]
    found["LambdaFunctionConfigurations"] = others + configs
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=found)


def _statement_id(properties):
    name = "".join(sign if sign.isalnum() else "-" for sign in properties["BucketName"])
    return f"{name}-events"[:100]


def _permit(properties, context):
    client = boto3.client("lambda")
    partition = context.invoked_function_arn.split(":")[1]
    try:
        client.add_permission(
            FunctionName=properties["FunctionName"],
            StatementId=_statement_id(properties),
            Action="lambda:InvokeFunction",
            Principal="s3.amazonaws.com",
            SourceArn=f"arn:{partition}:s3:::{properties['BucketName']}",
            SourceAccount=context.invoked_function_arn.split(":")[4],
        )
    except client.exceptions.ResourceConflictException:
        pass  # it may already


def _remove(properties, context):
    client = boto3.client("lambda")
    try:
        client.remove_permission(FunctionName=properties["FunctionName"], StatementId=_statement_id(properties))
    except client.exceptions.ResourceNotFoundException:
        pass  # the function, or its right, is gone already
    s3 = boto3.client("s3")
    try:
        _put(properties, _function_arn(properties, context), [])
    except s3.exceptions.NoSuchBucket:
        pass
