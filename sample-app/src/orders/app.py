"""Take an order, and show one."""

import json
import os

import money
import orjson

CATALOG = os.environ.get("CATALOG", "/opt/catalog/prices.json")


def create(event, context):
    order = orjson.loads(event["body"])
    with open(CATALOG, encoding="utf-8") as stream:
        prices = json.load(stream)
    cents = sum(prices[item["sku"]] * item["count"] for item in order["items"])
    total = money.text(cents, os.environ.get("CURRENCY", "EUR"))
    return {"statusCode": 201, "body": orjson.dumps({"id": order["id"], "total": total}).decode()}


def get(event, context):
    return {"statusCode": 200, "body": orjson.dumps({"id": event["pathParameters"]["id"]}).decode()}
