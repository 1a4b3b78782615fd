"""``lambdabuild cache stats|verify|gc|export FILE|import FILE``: the machine's folder of built steps."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from lambdabuild.api.cache_upkeep import CacheUpkeep, cache_upkeep
from lambdabuild.cli.parser import Arguments, Command, closest, wrong

ACTIONS: Mapping[str, Callable[..., Mapping[str, Any]]] = {
    "stats": CacheUpkeep.stats,
    "verify": CacheUpkeep.verify,
    "gc": CacheUpkeep.gc,
    "export": CacheUpkeep.export,
    "import": CacheUpkeep.import_,
}
TAKES_FILE = ("export", "import")


def run(arguments: Arguments) -> int:
    """Do one of the actions, and print what it found."""
    action, *files = arguments.words or [""]
    _check(action, files, arguments.options.older_than)
    upkeep = cache_upkeep(arguments.folder, arguments.settings)
    days = int(arguments.options.older_than or 0)
    given = [days] if action == "gc" else map(arguments.path, files)
    report = ACTIONS[action](upkeep, *given)
    sys.stdout.write(json.dumps(dict(report), indent=2) + "\n" if upkeep.as_json else _text(report))
    return 1 if report.get("broken") or report.get("refused") else 0


def _check(action: str, files: list[str], older_than: str) -> None:
    """Raise WrongUse for what is no action, or does not go with it."""
    if not action:
        raise wrong("lambdabuild cache needs an action", f"one of {', '.join(ACTIONS)}")
    if action not in ACTIONS:
        raise wrong(
            f"lambdabuild cache has no action {action!r}", closest(action, ACTIONS, f"one of {', '.join(ACTIONS)}")
        )
    if len(files) != (action in TAKES_FILE):
        raise wrong(f"lambdabuild cache {action} takes {'one file' if action in TAKES_FILE else 'nothing more'}")
    if older_than and (action != "gc" or not older_than.isdigit()):
        raise wrong("option --older-than: a number of days, for `lambdabuild cache gc`", "--older-than 30")


def _text(report: Mapping[str, Any]) -> str:
    width = max(map(len, report))
    return "".join(f"{name.replace('_', ' '):{width}}  {_shown(name, value)}\n" for name, value in report.items())


def _shown(name: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return f"{value:,}" if name.endswith("bytes") else str(value)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--older-than", metavar="DAYS", default="", help="gc: also remove what was not used for so long"
    )


COMMANDS = {
    "cache": Command(
        "cache",
        "Look after the machine's cache of built steps",
        run,
        words="stats|verify|gc|export FILE|import FILE",
        takes=" ".join(ACTIONS),
        options=_options,
        about="""
Actions:
  stats        how much is in it
  verify       read all of it; what is broken is removed, and named
  gc           remove what was not used for long (--older-than), then what is too much (cache.max_size=SIZE)
  export FILE  write all of it to a file, for a machine that is not on the network
  import FILE  take such a file in""",
        examples=(
            ("lambdabuild cache stats", "how much is in it"),
            ("lambdabuild cache gc --older-than 30", "remove what was not used for 30 days"),
        ),
        exits={1: "something was broken or refused"},
    ),
}
