import sys
from importlib.metadata import version
from importlib.resources import files


def handler(event, context):
    greeting = files("greeter").joinpath("greeting.txt").read_text().strip()
    return f"{greeting} {event} from {version('greeter')}"


def main():
    sys.stdout.write(handler("you", None) + "\n")
