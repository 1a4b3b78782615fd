"""What CI asks: ``lambdabuild affected``, ``lambdabuild plan --shard``, ``lambdabuild costs``."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lambdabuild import project
from lambdabuild.project_loader import write_file


def affected(settings: dict[str, str], flags: Sequence[str], words: Sequence[str]) -> int:
    """Print what a change touches; gives the exit code."""
    given = dict(flag.split("=", 1) for flag in flags if "=" in flag)
    form = settings.pop("format", "text")
    if words or given.keys() != {"--since"} or len(given) != len(flags) or form not in FORMATS or not given["--since"]:
        sys.stderr.write("lambdabuild affected --since REF [--format text|json|gitlab]\n")
        return 2
    sys.stdout.write(FORMATS[form](project.affected(os.getcwd(), settings, given["--since"])))
    return 0


def shard(settings: Mapping[str, str], flags: Sequence[str], words: Sequence[str]) -> int:
    """Print the tasks of one machine's share."""
    given = dict(flag.split("=", 1) for flag in flags if "=" in flag)
    found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", given["--shard"])
    if words or not given.keys() <= {"--shard", "--costs"} or len(given) != len(flags) or found is None:
        sys.stderr.write("lambdabuild plan --shard 2/5 [--costs FILE] [--format json]\n")
        return 2
    number, count = int(found[1]), int(found[2])
    if number > count:
        sys.stderr.write(f"there is no shard {number} of {count}\n")
        return 2
    site = project.open_project(os.getcwd(), settings)
    shards = project.shards(site, count, project.costs(site, given.get("--costs", "")))
    mine = shards[number - 1]
    if site.settings.format == "json":
        said: dict[str, Any] = {"shard": number, "of": count, "tasks": mine.tasks}
        said["expected_seconds"] = mine.milliseconds / 1000
        said["all_expected_seconds"] = [one.milliseconds / 1000 for one in shards]
        sys.stdout.write(json.dumps(said) + "\n")
    else:
        sys.stdout.write("".join(f"{task}\n" for task in mine.tasks))
    return 0


def costs(settings: Mapping[str, str], flags: Sequence[str], words: Sequence[str]) -> int:
    """Print how long the steps took, or write it to a file."""
    output = next((flag.partition("=")[2] for flag in flags if flag.startswith("--output=")), "")
    if words or len(flags) > 1 or (flags and not output):
        sys.stderr.write("lambdabuild costs [--output FILE]\n")
        return 2
    text = project.costs_text(project.open_project(os.getcwd(), settings))
    if output in ("", "-"):
        sys.stdout.write(text)
    else:
        write_file(os.path.abspath(output), text, project.cache_dir(os.environ))
    return 0


def _names(touched: Sequence[Any]) -> str:
    return "".join(f"{one.name}\n" for one in touched)


def _github(touched: Sequence[Any]) -> str:
    """``strategy.matrix`` of GitHub Actions; any key beside include would be an axis of it."""
    return json.dumps({"include": [_described(one) for one in touched]}) + "\n"


def _gitlab(touched: Sequence[Any]) -> str:
    """``parallel:matrix`` of GitLab CI: its keys are variables of the jobs, its values stand in their names."""
    return json.dumps([_variables(one) for one in touched]) + "\n"


def _variables(one: Any) -> Mapping[str, str]:
    return {name.upper(): value for name, value in _described(one).items() if value and name != "because"}


def _described(one: Any) -> Mapping[str, str]:
    return {name: getattr(one, name) for name in ("name", "kind", "runtime", "task", "because")}


FORMATS: Mapping[str, Callable[[Sequence[Any]], str]] = {"text": _names, "json": _github, "gitlab": _gitlab}
