"""``lambdabuild init``, ``completion`` and ``help``: what needs no project."""

from __future__ import annotations

import argparse
import os
import sys

from lambdabuild.cli import project_folder
from lambdabuild.cli.parser import Arguments, Command, closest, parser_of, wrong
from lambdabuild.core import regular
from lambdabuild.core.errors import CannotWrite
from lambdabuild.core.spans import Span

MODULE_FOLDER = "lambdabuild"
MODULE = ("main.tf", "manifest/main.tf")
"""The files of the Terraform module."""

DODO = """\
from lambdabuild.project import doit_project

globals().update(doit_project(__file__))
"""


def init(arguments: Arguments) -> int:
    """Write what a project needs where the user stands: settings if nothing describes it, else a dodo.py."""
    if arguments.options.terraform:
        return _write_module()
    if not project_folder.is_project(".", os.environ):
        return _write_settings()
    if os.path.lexists("dodo.py"):
        raise wrong("dodo.py already exists", f"add these lines to it:\n\n{DODO}")
    _write_new("dodo.py", DODO)
    sys.stdout.write("wrote dodo.py; now type doit\n")
    return 0


def _write_settings() -> int:
    """Write a lambdabuild.toml for the functions in the folder."""
    from lambdabuild.starters import detect, settings_file

    functions = detect.functions_in(".")
    if not functions:
        raise wrong(
            f"there is no function to be found in {os.getcwd()}: no template, no serverless.yml, no handler in a file",
            "describe one in lambdabuild.toml: [functions.NAME] with path, runtime and handler",
        )
    _write_new(project_folder.SETTINGS, settings_file.text_of(functions))
    found = "".join(f"  {one.name}: {one.runtime}, {one.handler}, in {one.path}\n" for one in functions)
    sys.stdout.write(f"wrote {project_folder.SETTINGS}; look whether it is right, then type lambdabuild\n{found}")
    return 0


def _write_module() -> int:
    """Write the Terraform module, unless other files are in its place."""
    from importlib import resources

    texts = {name: (resources.files("lambdabuild.starters") / "terraform" / name).read_text() for name in MODULE}
    for name, text in texts.items():
        path = os.path.join(MODULE_FOLDER, name)
        if os.path.lexists(path) and _text_of(path) != text:
            raise wrong(f"{path} already exists, with another content", "move it away to have the module written anew")
    for name, text in texts.items():
        path = os.path.join(MODULE_FOLDER, name)
        if not os.path.lexists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            _write_new(path, text)
    example = 'module "orders" { source = "./lambdabuild" name = "Orders" }'
    sys.stdout.write(f"wrote the module {MODULE_FOLDER}/; use it so: {example}\n")
    return 0


def _text_of(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", opener=regular.opener) as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError):
        return None


def _write_new(path: str, text: str) -> None:
    """Write a file that is not there yet. Raises CannotWrite (LB504)."""
    try:
        with open(path, "x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise CannotWrite(
            f"cannot write {path}: {error.strerror}", where=Span(path), help="write where you may"
        ) from error


def _init_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--terraform", action="store_true", help="write a Terraform module into lambdabuild/ instead")


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
        "Write a lambdabuild.toml for a folder that nothing describes, else a dodo.py, so that doit can be used",
        init,
        options=_init_options,
        about="Asks nothing: functions are looked for in the folder's files. No existing file is changed.",
        examples=(
            ("lambdabuild init", "in the current folder"),
            ("lambdabuild -C service init", "in another"),
            ("lambdabuild init --terraform", "a module for Terraform and OpenTofu"),
        ),
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
