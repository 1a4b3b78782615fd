"""``lambdabuild build``, ``run``, and names of tasks alone: what makes something."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from lambdabuild import project
from lambdabuild.cli import quick
from lambdabuild.cli.parser import Arguments, Command, DoitFlag, WrongUse, closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lambdabuild.project import Run

TEMPLATE = "template"
ALL_AGAIN = frozenset({"--always-execute", "--single"})
"""Flags with which what is up to date is run."""


def options(parser: argparse.ArgumentParser) -> None:
    """Add doit's options of a run; those that few people need are accepted, and not shown."""
    parser.add_argument("-n", "--process", action=DoitFlag, type=int, metavar="N", help="run N steps side by side")
    parser.add_argument("-a", "--always-execute", action=DoitFlag, nargs=0, help="run steps that are up to date too")
    parser.add_argument("-c", "--continue", action=DoitFlag, nargs=0, help="go on with the others when a step fails")
    parser.add_argument("-s", "--single", action=DoitFlag, nargs=0, help="run the named tasks without what they need")
    parser.add_argument("-P", "--parallel-type", action=DoitFlag, choices=("thread", "process"),
                        help="run steps in threads (the default) or in processes")  # fmt: skip
    for flag in ("--no-continue", "--pdb", "--auto-delayed-regex"):
        parser.add_argument(flag, action=DoitFlag, nargs=0, help=argparse.SUPPRESS)
    for flags in (("-o", "--output-file"), ("-r", "--reporter"), ("--db-file",), ("--backend",)):
        parser.add_argument(*flags, action=DoitFlag, help=argparse.SUPPRESS)
    for flag in ("--verbosity", "--failure-verbosity"):
        parser.add_argument(flag, action=DoitFlag, type=int, help=argparse.SUPPRESS)


def build(arguments: Arguments) -> int:
    """Build what is named, or everything."""
    answer = _answer(arguments, arguments.words)
    if answer.is_done:
        return 0
    tasks = [name if name == TEMPLATE else f"build:{name}" for name in arguments.words]
    run = _open(arguments, tasks, answer)
    project.refuse_left_out(run.index, arguments.words) if arguments.words else None
    groups = _groups(run)
    selected = [name if name == TEMPLATE and name not in groups else _task(name, groups) for name in arguments.words]
    return run_doit("run", arguments, selected, run)


def build_named(arguments: Arguments, more: Callable[[Run, Sequence[str]], Sequence[str]]) -> tuple[int, Run]:
    """Build what is named and ``more`` tasks that this needs; return the exit code and the run."""
    run = _open(arguments, [f"build:{name}" for name in arguments.words], quick.Answer())
    project.refuse_left_out(run.index, arguments.words)
    groups = _groups(run)
    selected = dict.fromkeys((*(_task(name, groups) for name in arguments.words), *more(run, arguments.words)))
    return run_doit("run", arguments, list(selected), run), run


def run_tasks(arguments: Arguments) -> int:
    """Run the tasks that are named, or all."""
    answer = quick.Answer() if arguments.words else _answer(arguments, [])
    if answer.is_done:
        return 0
    return run_doit("run", arguments, arguments.words, _open(arguments, arguments.words, answer))


def run_doit(command: str, arguments: Arguments, tasks: Sequence[str], run: Run) -> int:
    """Run a command of doit's; return its exit code. Raises WrongUse for a task that does not exist."""
    from lambdabuild.core.errors import UnknownName

    try:
        return project.run_doit(lambda: run, command, arguments.doit_flags, tasks)
    except UnknownName as error:
        raise WrongUse(error) from error


def check_name(name: str, known: Sequence[str]) -> None:
    """Raise WrongUse (LB108) for a function, layer or source that does not exist."""
    from lambdabuild.core.errors import UnknownName

    if name not in known:
        hint = closest(name, known, f"there are: {', '.join(known)}")
        raise WrongUse(UnknownName(f"there is no function, layer or source {name!r} to build", help=hint))


def _answer(arguments: Arguments, names: list[str]) -> quick.Answer:
    """Return what the last run's snapshot says, which is not asked twice, nor if all steps are to run."""
    if arguments.answer is not None:
        return arguments.answer
    is_plain = ALL_AGAIN.isdisjoint(arguments.doit_flags) and not arguments.options.verbose
    return quick.ask(arguments.settings, names) if is_plain else quick.Answer()


def _open(arguments: Arguments, tasks: Sequence[str], answer: quick.Answer) -> Run:
    keeps_going = "--continue" in arguments.doit_flags

    def opened() -> Run:
        return project.open_for(
            arguments.folder, arguments.settings, tasks, is_run=True, keeps_going=keeps_going, last_run=answer.last_run
        )

    if arguments.options.verbose:
        sys.stderr.write(project.why_text(opened(), [task.partition(":")[2] for task in tasks]))
    return opened()


def _groups(run: Run) -> dict[str, str]:
    """The kind of task by which each function, layer and source is named."""
    groups = {user: unit.group(user) for unit in run.index.plan.made for user in unit.users}
    groups |= {pinned.function: "build" for pinned in run.index.plan.pinned}
    groups |= {published.name: "layer" for published in run.index.plan.publications}
    return groups | {one.name: "layer" if one.kind == "layer" else "build" for one in run.index.plan.broken}


def _task(name: str, groups: dict[str, str]) -> str:
    check_name(name, sorted(groups))
    return f"{groups[name]}:{name}"


RAN = {1: "a step failed"}

COMMANDS = {
    "build": Command(
        "build",
        "Build functions, layers and sources: all that changed, or those that are named",
        build,
        words="[NAME ...]",
        takes="functions",
        options=options,
        examples=(
            ("lambdabuild build", "everything, and the template"),
            ("lambdabuild build Orders -n 4", "one function and what it needs, four steps at a time"),
            ("lambdabuild build stage=prod bucket=my-bucket", "with settings"),
        ),
        exits=RAN,
    ),
    "run": Command(
        "run",
        "Run tasks by name, with what they need; all of them when none is named",
        run_tasks,
        words="[TASK ...]",
        takes="tasks",
        options=options,
        about="`run` may be left out: `lambdabuild zip:Orders` is the same as `lambdabuild run zip:Orders`.",
        examples=(
            ("lambdabuild run zip:Orders", "the zip of one function"),
            ("lambdabuild run upload -c", "every upload, even if some fail"),
        ),
        exits=RAN,
    ),
}

TASKS = Command(
    "", "Run tasks", run_tasks, words="[TASK ...]", takes="tasks", options=options, exits=RAN, examples=(),
)  # fmt: skip
"""Without a command."""
