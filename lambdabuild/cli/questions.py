"""``lambdabuild plan`` and ``lambdabuild why``: what would be done, and because of what. Nothing is built."""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
from collections.abc import Sequence

from lambdabuild import project
from lambdabuild.cli import ci
from lambdabuild.cli.builds import check_name
from lambdabuild.cli.parser import Arguments, Command, wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lambdabuild.project import Run

WORDS_AT_ONCE = 10_000
SHARD = re.compile(r"([1-9]\d*)/([1-9]\d*)")


def plan(arguments: Arguments) -> int:
    """Print the plan, or one machine's share of its tasks."""
    if arguments.options.shard:
        return _shard(arguments)
    if arguments.options.costs:
        raise wrong("lambdabuild plan: --costs goes with --shard", "lambdabuild plan --shard 2/5 --costs FILE")
    run = _open(arguments)
    if run.project.settings.format == "json":
        _write_json(project.plan_data(run))
    else:
        sys.stdout.write(project.plan_text(run))
    return 0


def _write_json(data: dict[str, object]) -> None:
    """Write it piece by piece: the text of 20,000 functions, made of millions of words, would take 270 MB at once."""
    words = json.JSONEncoder(indent=2).iterencode(data)
    while text := "".join(itertools.islice(words, WORDS_AT_ONCE)):
        sys.stdout.write(text)
    sys.stdout.write("\n")


def _open(arguments: Arguments, tasks: Sequence[str] = ()) -> Run:
    return project.open_for(arguments.folder, arguments.settings, tasks, is_run=False, keeps_going=False, settles=False)


def _shard(arguments: Arguments) -> int:
    number, count = _share(arguments.options.shard)
    run = _open(arguments)
    file = arguments.options.costs
    shards = project.shards(run.index, count, project.costs(run, arguments.path(file) if file else ""))
    sys.stdout.write(ci.shard_text(shards, number, as_json=run.project.settings.format == "json"))
    return 0


def _share(text: str) -> tuple[int, int]:
    """The numbers of ``2/5``. Raises WrongUse."""
    match = SHARD.fullmatch(text)
    if match is None:
        raise wrong(f"option --shard: {text!r} is not a share", "write it as 2/5, the second of five")
    number, count = int(match[1]), int(match[2])
    if number > count:
        raise wrong(f"there is no shard {number} of {count}", f"shards are numbered 1/{count} to {count}/{count}")
    return number, count


def why(arguments: Arguments) -> int:
    """Print for each step whether it would run, and because of what."""
    names = arguments.words
    tasks = [f"why:{name}" for name in names]
    run = _open(arguments, tasks)
    known = run.index.plan.users
    if names:
        project.refuse_left_out(run.index, names)
    for name in names:
        check_name(name, known)
    for name in names or known:
        sys.stdout.write(project.why(run, name))
    return 0


def _plan_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shard", metavar="N/M", default="", help="the Nth of M shares of about equal time, as tasks")
    parser.add_argument("--costs", metavar="FILE", default="", help="what steps cost, as `lambdabuild costs` wrote it")


COMMANDS = {
    "plan": Command(
        "plan",
        "Show what would be built, by which rule, and what shares what; build nothing",
        plan,
        options=_plan_options,
        examples=(
            ("lambdabuild plan", "for people"),
            ("lambdabuild plan --format json", "for programs"),
            ("lambdabuild plan --shard 2/5", "the tasks of the second of five machines"),
        ),
    ),
    "why": Command(
        "why",
        "Say for each step whether it would run, and because of what; run nothing",
        why,
        words="[NAME ...]",
        takes="functions",
        examples=(("lambdabuild why Orders", "one function"), ("lambdabuild why stage=prod", "everything")),
    ),
}
