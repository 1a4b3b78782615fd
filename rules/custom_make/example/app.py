from pathlib import Path


def handler(event, context):
    return Path(__file__).with_name("word.txt").read_text()
