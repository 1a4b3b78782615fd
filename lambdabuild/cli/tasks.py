"""``lambdabuild list``, ``info``, ``clean`` and ``forget``: what doit knows of tasks, with our help and errors."""

from __future__ import annotations

import argparse

from lambdabuild import project
from lambdabuild.cli.builds import run_doit
from lambdabuild.cli.parser import Arguments, Command, DoitFlag, wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lambdabuild.project import Run


def _open(arguments: Arguments, *, settles: bool = True) -> Run:
    return project.open_for(
        arguments.folder, arguments.settings, arguments.words, is_run=False, keeps_going=False, settles=settles
    )


def list_tasks(arguments: Arguments) -> int:
    """Print the tasks."""
    asks_steps = bool(arguments.doit_flags or arguments.words)
    flags = [*arguments.doit_flags, *(["--quiet"] if arguments.settings.pop("quiet", "") else [])]
    arguments.options.doit = flags
    return run_doit("list", arguments, arguments.words, _open(arguments, settles=asks_steps))


def info(arguments: Arguments) -> int:
    """Print what is known of one task."""
    if len(arguments.words) != 1:
        raise wrong("lambdabuild info takes one task", "lambdabuild list --all shows all of them")
    return run_doit("info", arguments, arguments.words, _open(arguments))


def forget(arguments: Arguments) -> int:
    """Forget that tasks have run."""
    return run_doit("forget", arguments, arguments.words, _open(arguments))


def clean(arguments: Arguments) -> int:
    """Remove what tasks made, and say what that was."""
    return run_doit("clean", arguments, arguments.words, _open(arguments))


def _list_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action=DoitFlag, nargs=0, help="every step, not only the groups")
    parser.add_argument("-s", "--status", action=DoitFlag, nargs=0,
                        help="show before each name whether it would (R)un or is (U)p to date")  # fmt: skip
    parser.add_argument("--deps", action=DoitFlag, nargs=0, help="show which files a task depends on")
    parser.add_argument("-p", "--private", action=DoitFlag, nargs=0, help=argparse.SUPPRESS)
    parser.add_argument("--template", action=DoitFlag, metavar="TEXT", help="a line for each, such as '{name}: {doc}'")
    parser.add_argument("--sort", action=DoitFlag, choices=("name", "definition"), help="the order of the lines")


def _info_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-status", action=DoitFlag, nargs=0, help="do not look whether it is up to date")


def _clean_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n", "--dry-run", action=DoitFlag, nargs=0, help="say what would be removed, and remove nothing"
    )
    parser.add_argument("-c", "--clean-dep", action=DoitFlag, nargs=0, help="clean what the tasks need too")
    parser.add_argument("-a", "--clean-all", action=DoitFlag, nargs=0, help="clean all tasks")
    parser.add_argument("--forget", action=DoitFlag, nargs=0, help="also forget that they ran")


def _forget_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-s", "--follow-sub", action=DoitFlag, nargs=0, help="forget what the tasks need too")
    parser.add_argument("-a", "--all", action=DoitFlag, nargs=0, help="forget all tasks")
    for flag in ("--disable-default", "--enable-default"):
        parser.add_argument(flag, action=DoitFlag, nargs=0, help=argparse.SUPPRESS)


COMMANDS = {
    "list": Command(
        "list",
        "List the tasks of the project",
        list_tasks,
        words="[TASK ...]",
        takes="tasks",
        options=_list_options,
        examples=(
            ("lambdabuild list", "the groups"),
            ("lambdabuild list --all --status", "every step, and whether it would run"),
        ),
    ),
    "info": Command(
        "info",
        "Show what is known of one task: its files, what it needs, whether it is up to date",
        info,
        words="TASK",
        takes="tasks",
        options=_info_options,
        examples=(
            ("lambdabuild info zip:Orders", "one step"),
            ("lambdabuild info build:Orders --no-status", "a group"),
        ),
        exits={1: "the task is not up to date"},
    ),
    "clean": Command(
        "clean",
        "Remove what tasks made, and nothing else",
        clean,
        words="[TASK ...]",
        takes="tasks",
        options=_clean_options,
        examples=(
            ("lambdabuild clean", "everything that was built"),
            ("lambdabuild clean build:Orders --dry-run", "say what would be removed of one function"),
        ),
    ),
    "forget": Command(
        "forget",
        "Forget that tasks have run, so that they run again",
        forget,
        words="[TASK ...]",
        takes="tasks",
        options=_forget_options,
        examples=(("lambdabuild forget zip:Orders", "one step"), ("lambdabuild forget --all", "all of them")),
    ),
}
