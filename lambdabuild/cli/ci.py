"""Commands for CI: ``lambdabuild affected``, ``lambdabuild costs``, and the shares of ``lambdabuild plan --shard``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from lambdabuild import project
from lambdabuild.cli.parser import Arguments, Command, output_option, wrong
from lambdabuild.project_loader import write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lambdabuild.project import Shard, Touched


def affected(arguments: Arguments) -> int:
    """Print what a change touches."""
    since, form = arguments.options.since, arguments.options.matrix or arguments.settings.pop("format", "text")
    if not since:
        raise wrong("lambdabuild affected needs --since REF", "lambdabuild affected --since origin/main")
    if form not in FORMATS:
        raise wrong(f"format {form!r} is not one of {', '.join(FORMATS)}", "lambdabuild affected --help")
    sys.stdout.write(FORMATS[form](project.affected(arguments.folder, arguments.settings, since)))
    return 0


def costs(arguments: Arguments) -> int:
    """Print how long the steps took, or write it to a file."""
    output = arguments.options.output
    text = project.costs_text(
        project.open_for(arguments.folder, arguments.settings, (), is_run=False, keeps_going=False, settles=False)
    )
    if output in ("", "-"):
        sys.stdout.write(text)
    else:
        write_file(arguments.path(output), text, project.cache_dir(os.environ))
    return 0


def shard_text(shards: Sequence[Shard], number: int, *, as_json: bool) -> str:
    """Return the tasks of one machine's share, a line each or as JSON."""
    shard = shards[number - 1]
    if not as_json:
        return "".join(f"{task}\n" for task in shard.tasks)
    data = {
        "shard": number,
        "of": len(shards),
        "tasks": shard.tasks,
        "expected_seconds": shard.milliseconds / 1000,
        "all_expected_seconds": [one.milliseconds / 1000 for one in shards],
    }
    return json.dumps(data) + "\n"


def _names(touched: Sequence[Touched]) -> str:
    return "".join(f"{one.name}\n" for one in touched)


def _github(touched: Sequence[Touched]) -> str:
    """``strategy.matrix`` of GitHub Actions; any key beside include would be an axis of it."""
    return json.dumps({"include": [_described(one) for one in touched]}) + "\n"


def _gitlab(touched: Sequence[Touched]) -> str:
    """``parallel:matrix`` of GitLab CI: its keys are variables of the jobs, its values stand in their names."""
    return json.dumps([_variables(one) for one in touched]) + "\n"


def _variables(one: Touched) -> Mapping[str, str]:
    return {name.upper(): value for name, value in _described(one).items() if value and name != "because"}


def _described(one: Touched) -> Mapping[str, str]:
    return {name: getattr(one, name) for name in ("name", "kind", "runtime", "task", "because")}


FORMATS: Mapping[str, Callable[[Sequence[Touched]], str]] = {"text": _names, "json": _github, "gitlab": _gitlab}


def _affected_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", metavar="REF", default="", help="count changes from where the history left REF")
    parser.add_argument("--format", dest="matrix", choices=tuple(FORMATS), default="",
                        help="names, or a matrix of GitHub Actions (json) or of GitLab CI")  # fmt: skip


COMMANDS = {
    "affected": Command(
        "affected",
        "Show which functions, layers and sources a change touches: names, or a CI matrix",
        affected,
        options=_affected_options,
        examples=(
            ("lambdabuild affected --since origin/main", "names, a line each"),
            ("lambdabuild affected --since HEAD~1 --format json", "a matrix for GitHub Actions"),
        ),
    ),
    "costs": Command(
        "costs",
        "Show how long each step took, for `lambdabuild plan --shard`",
        costs,
        options=output_option,
        examples=(("lambdabuild costs", "print it"), ("lambdabuild costs --output costs.json", "keep it for CI")),
    ),
}
