"""``lambdabuild rpc [REQUEST]``: its argument is somebody's JSON, so no parser reads it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lambdabuild.cli.parser import Arguments, Command, parser_of


def run(words: Sequence[str]) -> int:
    """Answer one request, or print the page of help."""
    if {"-h", "--help"} & {*words}:
        parser_of(COMMANDS["rpc"]).print_help(sys.stdout)
        return 0
    from lambdabuild.api import json_rpc

    return json_rpc.main(words)


def _run(arguments: Arguments) -> int:
    return run(arguments.words)


COMMANDS = {
    "rpc": Command(
        "rpc",
        "Answer one request of Lambda Builders' JSON-RPC, from the argument or standard input",
        _run,
        words="[REQUEST]",
        takes="files",
        examples=(
            ("lambdabuild rpc < request.json", "from standard input"),
            ('lambdabuild rpc "$(cat request.json)"', "from the argument"),
        ),
        exits={1: "the answer is an error"},
        is_of_project=False,
    ),
}
