"""``lambdabuild init``, ``completion`` and ``help``: what needs no project."""

from __future__ import annotations

import os
import sys

from lambdabuild.cli.parser import Arguments, Command, closest, parser_of, wrong

DODO = """\
from lambdabuild.project import doit_project

globals().update(doit_project(__file__))
"""


def init(arguments: Arguments) -> int:
    """Write a dodo.py where the user stands."""
    if os.path.lexists("dodo.py"):
        raise wrong("dodo.py already exists", f"add these lines to it:\n\n{DODO}")
    with open("dodo.py", "x", encoding="utf-8") as stream:
        stream.write(DODO)
    sys.stdout.write("wrote dodo.py; now type doit\n")
    return 0


def completion(arguments: Arguments) -> int:
    """Print the script for a shell."""
    from lambdabuild.cli.completion import SCRIPTS

    shell = arguments.words[0] if len(arguments.words) == 1 else ""
    if shell not in SCRIPTS:
        shells = ", ".join(SCRIPTS)
        given = f"has no script for {' '.join(arguments.words)!r}" if arguments.words else "needs the name of a shell"
        raise wrong(f"lambdabuild completion {given}", closest(shell, SCRIPTS, f"one of {shells}"))
    sys.stdout.write(SCRIPTS[shell])
    return 0


def show_help(arguments: Arguments) -> int:
    """Print the page of a command, or of all."""
    from lambdabuild.cli import commands

    if not arguments.words:
        sys.stdout.write(commands.overview())
    for name in arguments.words:
        if name not in commands.MODULES:
            hint = commands.hint(name)
            raise wrong(f"lambdabuild has no command {name!r}", hint)
        parser_of(commands.command(name)).print_help(sys.stdout)
    return 0


COMMANDS = {
    "init": Command(
        "init",
        "Write a dodo.py, so that doit itself can be used",
        init,
        examples=(("lambdabuild init", "in the current folder"), ("lambdabuild -C service init", "in another")),
        is_of_project=False,
    ),
    "completion": Command(
        "completion",
        "Print a script that completes commands, options and names of functions in a shell",
        completion,
        words="bash|zsh|fish",
        takes="bash zsh fish",
        examples=(
            ('eval "$(lambdabuild completion bash)"', "in ~/.bashrc; with zsh in ~/.zshrc"),
            ("lambdabuild completion fish | source", "in ~/.config/fish/config.fish"),
        ),
        is_of_project=False,
    ),
    "help": Command(
        "help",
        "Show the page of a command",
        show_help,
        words="[COMMAND]",
        takes="commands",
        examples=(("lambdabuild help", "all commands"), ("lambdabuild help build", "one of them")),
        is_of_project=False,
    ),
}
