"""Show the terms of sale, which the Makefile wrote."""

from pathlib import Path

TERMS = Path(__file__).with_name("terms.txt")


def handler(event, context):
    return {"statusCode": 200, "body": TERMS.read_text(encoding="utf-8").splitlines()[0]}
