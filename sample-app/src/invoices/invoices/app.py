"""Write the invoice of an order as text."""

import money
from tabulate import tabulate


def handler(event, context):
    rows = [[line["name"], line["count"], money.text(line["cents"], "EUR")] for line in event["lines"]]
    return {"invoice": tabulate(rows, headers=["item", "count", "price"], tablefmt="plain")}
