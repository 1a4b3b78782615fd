"""``lambdabuild cache stats|verify|gc|export FILE|import FILE``: the machine's folder of built steps."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from lambdabuild.api.cache_upkeep import CacheUpkeep, cache_upkeep

USAGE = """\
lambdabuild cache stats               how much is in the machine's cache of built steps
lambdabuild cache verify              read all of it; what is broken is taken away, and named (exit code 1)
lambdabuild cache gc [--older-than DAYS] [cache.max_size=SIZE]
                                      remove what was not used for so long, then what is too much
lambdabuild cache export FILE         write all of it to a file, for a machine that is not on the network
lambdabuild cache import FILE         take such a file in
    --format text|json
"""


def main(settings: Mapping[str, str], flags: list[str], words: list[str]) -> int:
    """Run one of them; gives the exit code."""
    older_than = next((flag.partition("=")[2] for flag in flags if flag.startswith("--older-than=")), "")
    wrong = [flag for flag in flags if not flag.startswith("--older-than=")]
    action, arguments = words[0] if words else "", words[1:]
    if wrong or action not in ACTIONS or len(arguments) != TAKES[action] or (older_than and not older_than.isdigit()):
        sys.stderr.write(USAGE)
        return 2
    upkeep = cache_upkeep(os.getcwd(), settings)
    said = ACTIONS[action](upkeep, *arguments) if action != "gc" else upkeep.gc(int(older_than or 0))
    sys.stdout.write(json.dumps(dict(said), indent=2) + "\n" if upkeep.as_json else _text(said))
    return 1 if said.get("broken") or said.get("refused") else 0


def _text(said: Mapping[str, Any]) -> str:
    width = max(map(len, said))
    return "".join(f"{name.replace('_', ' '):{width}}  {_shown(name, value)}\n" for name, value in said.items())


def _shown(name: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return f"{value:,}" if name.endswith("bytes") else str(value)


ACTIONS: Mapping[str, Callable[..., Mapping[str, Any]]] = {
    "stats": CacheUpkeep.stats,
    "verify": CacheUpkeep.verify,
    "gc": CacheUpkeep.gc,
    "export": CacheUpkeep.export,
    "import": CacheUpkeep.import_,
}
TAKES = {"stats": 0, "verify": 0, "gc": 0, "export": 1, "import": 1}
