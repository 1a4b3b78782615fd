"""Give money back."""

import orjson


def handler(event, context):
    refund = orjson.loads(event["body"])
    return {"statusCode": 202, "body": orjson.dumps({"refunded": refund["id"]}).decode()}
