"""The entry point of ``lambdabuild``: what is up to date is said at once, everything else is parsed and run."""

from __future__ import annotations

import atexit
import gc
import itertools
import os
import sys

from lambdabuild.cli import quick

TYPE_CHECKING = False  # as typing has it, without what typing imports at every start
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from lambdabuild.core.errors import LambdaBuildError


class Output:
    """Standard output, until nobody reads it: then what is written goes nowhere, and the command goes on."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a file's name may be no text

    def write(self, text: str) -> int:
        return int(self._unless_closed(lambda: self.stream.write(text)) or 0)

    def flush(self) -> None:
        self._unless_closed(self.stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def _unless_closed(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except BrokenPipeError:  # as head does when it has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
            return act()


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code.

    0: done, 1: a step failed, 2: the command line is wrong, 3: nothing was started, 130: interrupted.
    """
    gc.set_threshold(200_000)  # nearly all that a run makes lives to its end
    atexit.register(gc.freeze)  # and need not be searched for garbage then
    arguments = list(sys.argv[1:] if argv is None else argv)
    output: Any = Output(sys.stdout) if sys.stdout is not None else None
    sys.stdout = output
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        from lambdabuild.cli.parser import WrongUse
        from lambdabuild.core.errors import LambdaBuildError

        if isinstance(error, WrongUse):
            _tell(error.error, arguments)
            return 2
        if not isinstance(error, LambdaBuildError):
            raise
        _tell(error, arguments)
        return 3
    finally:
        if output is not None:
            output.flush()
            sys.stdout = output.stream


def _run(arguments: list[str]) -> int:
    plain = quick.plain_build(arguments)
    answer = quick.ask(*plain) if plain is not None else None
    if answer is not None and answer.is_done:
        return 0
    if arguments[:1] == ["__complete"]:  # a shell asks, while somebody types
        from lambdabuild.cli import completion

        return completion.answer(arguments[1:])
    from lambdabuild.cli import commands

    return commands.run(arguments, answer)


def _tell(error: LambdaBuildError, arguments: list[str]) -> None:
    """Print a mistake met before anything was started, in the format that was asked for."""
    if _wants_json(arguments):
        import json

        for one in getattr(error, "errors", (error,)):
            sys.stdout.write(json.dumps({"event": "error", "error": one.as_dict()}) + "\n")
    else:
        from lambdabuild.core.messages import report

        report(error)


def _wants_json(arguments: list[str]) -> bool:
    """Return whether errors are to be JSON; asked of the words themselves, for they may be what is wrong."""
    words = [word.removeprefix("--") for word in arguments]
    given = [word.partition("=")[2] for word in words if word.startswith("format=")]
    given += [after for word, after in itertools.pairwise(arguments) if word == "--format"]
    return (given[-1] if given else os.environ.get("LAMBDABUILD_FORMAT")) == "json"
