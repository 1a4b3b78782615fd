"""The table of commands: each name, and the module that has it. Adding a command is one row."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence

from lambdabuild.cli.parser import Arguments, Command, closest, columns, parse, wrong
from lambdabuild.cli.quick import Answer
from lambdabuild.project import task_groups

MODULES: Mapping[str, str] = {
    "build": "builds",
    "run": "builds",
    "output": "outputs",
    "plan": "questions",
    "why": "questions",
    "affected": "ci",
    "costs": "ci",
    "list": "tasks",
    "info": "tasks",
    "clean": "tasks",
    "forget": "tasks",
    "compile": "templates",
    "schema": "templates",
    "cache": "cache",
    "rpc": "rpc",
    "init": "basics",
    "completion": "basics",
    "help": "basics",
}
"""A command -> the module of this package whose COMMANDS have it."""

VALUE_FLAGS = frozenset({"-C", "--directory", "--format", "--stage", "--region", "--param", "--config-env",
                         "--config-file", "-n", "--process", "-P",
                         "--parallel-type", "-o", "--output-file", "-r", "--reporter", "--verbosity"})  # fmt: skip
"""Options that may stand before a command, and that take the next word."""

HABITS: Mapping[str, str] = {
    "deploy": "lambdabuild builds and uploads, others deploy: `lambdabuild bucket=NAME`, then"
    " `sam deploy -t build/packaged-template.yaml` (for a serverless.yml the build prints the command)",
    "package": "`lambdabuild bucket=NAME` uploads what changed and writes build/packaged-template.yaml",
    "invoke": "`lambdabuild`, then `sam local invoke NAME -t build/built-template.yaml`",
    "sync": "`lambdabuild bucket=NAME` builds and uploads only what changed, then"
    " `sam deploy -t build/packaged-template.yaml`",
    "validate": "`lambdabuild plan` reads the whole project and reports every mistake; nothing is built",
}
"""Commands of SAM and of the Serverless Framework, and what does their work here."""

OF_DOIT: Mapping[str, str] = {
    "dumpdb": "`lambdabuild info TASK` and `lambdabuild why NAME` show what is recorded of a step",
    "strace": "`lambdabuild why NAME` shows what a step depends on",
    "tabcompletion": "`lambdabuild completion bash|zsh|fish` prints the script for a shell",
    "ignore": "with a dodo.py (`lambdabuild init`) it is `doit ignore TASK`",
    "reset-dep": "with a dodo.py (`lambdabuild init`) it is `doit reset-dep`",
    "auto": "`lambdabuild` again costs next to nothing when little changed",
}
"""doit's own commands that are not offered, and what to use instead."""

OVERVIEW = (
    ("Build", ("build", "run", "output")),
    ("Ask", ("plan", "why", "list", "info", "affected", "costs")),
    ("Write", ("compile", "schema", "init")),
    ("Look after", ("clean", "forget", "cache")),
    ("Others", ("rpc", "completion", "help")),
)


def command(name: str) -> Command:
    """Return a command, from its module."""
    module = importlib.import_module(f"lambdabuild.cli.{MODULES[name]}")
    commands: Mapping[str, Command] = module.COMMANDS
    return commands[name]


def run(arguments: list[str], answer: Answer | None = None) -> int:
    """Run the command that a command line names, else its tasks; return the exit code. Raises WrongUse."""
    position = first_word(arguments)
    name = arguments[position] if position is not None else ""
    if position is None and {"-h", "--help"} & {*arguments}:
        sys.stdout.write(overview())
        return 0
    if position is None and {"-V", "--version"} & {*arguments}:
        return version()
    if name == "rpc" and position == 0:  # its words are somebody's JSON, whatever they look like
        from lambdabuild.cli import rpc

        return rpc.run(arguments[1:])
    if position is not None and name in MODULES:
        return _run(command(name), [*arguments[:position], *arguments[position + 1 :]], answer)
    _check_first_word(name)
    from lambdabuild.cli import builds

    return _run(builds.TASKS, arguments, answer)


def _run(chosen: Command, words: Sequence[str], answer: Answer | None) -> int:
    understood: Arguments | None = parse(chosen, words, answer)
    return chosen.run(understood) if understood is not None else 0


def first_word(arguments: Sequence[str]) -> int | None:
    """Return where the first word is that is neither an option, nor the value of one, nor a setting."""
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if word in VALUE_FLAGS or (word == "-v" and arguments[position + 1 : position + 2] in (["0"], ["1"], ["2"])):
            position += 2
        elif word.startswith("-") or ("=" in word and not word.startswith("{")):
            position += 1
        else:
            return position
    return None


def _check_first_word(name: str) -> None:
    """Raise WrongUse for a word that can be neither a command nor a task, before a project is looked for."""
    can_be_task = not name or bool({*":/*?["} & {*name})
    if name in HABITS or name in OF_DOIT or not (can_be_task or name in task_groups()):
        raise wrong(f"lambdabuild has no command {name!r}", hint(name))


def hint(name: str) -> str:
    """Return what to type instead of a command that does not exist."""
    instead = HABITS.get(name) or OF_DOIT.get(name)
    if instead:
        return instead
    groups = task_groups()
    if name in groups:
        return f"{name!r} is a group of tasks: `lambdabuild info {name}` shows them"
    return closest(name, [*MODULES, *groups, *HABITS], "lambdabuild --help shows all of them")


def version() -> int:
    """Print the version."""
    from lambdabuild._version import __version__

    sys.stdout.write(f"lambdabuild {__version__}\n")
    return 0


def overview() -> str:
    """Return the page of help about all commands."""
    rows = [
        (title, [(name, command(name).summary[:1].lower() + command(name).summary[1:]) for name in names])
        for title, names in OVERVIEW
    ]
    width = max(map(len, MODULES))
    commands = "\n\n".join(
        f"{title}:\n{columns((f'{name:{width}}', summary) for name, summary in group)}" for title, group in rows
    )
    return HEAD + commands + "\n" + TAIL


HEAD = """\
An incremental, reproducible build system for AWS Lambda.

Usage: lambdabuild [COMMAND] [OPTIONS] [key=value ...]

"""

TAIL = """
  lambdabuild                 build everything that changed
  lambdabuild zip:F upload:F  run single steps, by the names that `lambdabuild list` shows
  lambdabuild publish[:L]     publish every layer, or L, as a version in Lambda, if it changed

General options:
  -C, --directory DIR   work as if started in DIR
  --format text|json    lines for people, or one JSON object a line; errors too
  -v, --verbose         say more
  -q, --quiet           print nothing but errors
  -h, --help            show this page, or that of a command
  --version             print the version

Settings are given as key=value (`lambdabuild stage=prod bucket=my-bucket`), in lambdabuild.toml or in
LAMBDABUILD_* variables. The project is found from the current folder upwards.
`lambdabuild help COMMAND` shows the options, examples and exit codes of a command.
"""
