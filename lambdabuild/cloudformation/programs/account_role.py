# The account's role by which API Gateway writes logs: one that is set already stays, unless another is asked for.
import json
import time

import boto3

NAME = "serverlessApiGatewayCloudWatchRole"
POLICY = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"


def physical_id(event):
    return "api-gateway-account-role"


def change(event, context):
    if event["RequestType"] == "Delete":
        return  # other stacks of the account write logs too
    wanted = event["ResourceProperties"].get("RoleArn")
    gateway = boto3.client("apigateway")
    current = gateway.get_account().get("cloudwatchRoleArn")
    if current and wanted in (None, current):
        return
    _set(gateway, wanted or _role(context))


def _role(context):
    iam = boto3.client("iam")
    partition, account = (context.invoked_function_arn.split(":")[place] for place in (1, 4))
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "apigateway.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    try:
        iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=json.dumps(trust))
    except iam.exceptions.EntityAlreadyExistsException:
        pass
    iam.attach_role_policy(RoleName=NAME, PolicyArn=f"arn:{partition}:iam::aws:policy/{POLICY}")
    return f"arn:{partition}:iam::{account}:role/{NAME}"


def _set(gateway, arn):
    operation = {"op": "replace", "path": "/cloudwatchRoleArn", "value": arn}
    for seconds in (2, 4, 8, 16, 32, 0):
        try:
            gateway.update_account(patchOperations=[operation])
            return
        except gateway.exceptions.BadRequestException:  # a new role takes a while to be known everywhere
            if not seconds:
                raise
            time.sleep(seconds)
