"""A command and its parser: argparse, with our help pages, our errors, and the closest name for what is unknown."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NoReturn

from lambdabuild.cli import project_folder
from lambdabuild.cli.quick import Answer
from lambdabuild.core.errors import BadCommandLine, LambdaBuildError
from lambdabuild.core.records import Struct, field


class WrongUse(Exception):
    """The command line asks for what does not exist: exit code 2, and nothing is started."""

    def __init__(self, error: LambdaBuildError) -> None:
        super().__init__(str(error))
        self.error = error


def wrong(message: str, help: str = "") -> WrongUse:
    """Return the exception for a command line that cannot be understood (LB100)."""
    return WrongUse(BadCommandLine(message, help=help))


def closest(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return a hint: the known name that is most like this one, else ``otherwise``."""
    from lambdabuild.config.settings import nearest

    near = nearest(name, known)
    return f"did you mean {near!r}?" if near else otherwise


class Arguments(Struct, frozen=True):
    """A command line that was understood."""

    settings: dict[str, str]
    """``key=value`` arguments and options that stand for settings, paths as seen from ``folder``."""
    words: list[str]
    options: argparse.Namespace
    here: str
    """The folder that the user is in."""
    folder: str
    """The project's folder, which is the current one now."""
    answer: Answer | None = None
    """What the last run's snapshot said, if it was asked already: there is something to do."""

    @property
    def doit_flags(self) -> list[str]:
        flags: list[str] = self.options.doit
        return flags

    def path(self, file: str) -> str:
        """A path that was given from where the user stands, absolute."""
        return os.path.normpath(os.path.join(self.here, file))


class Command(Struct, frozen=True):
    """What ``lambdabuild NAME`` is: its page of help, its options, and what it does."""

    name: str
    summary: str
    run: Callable[[Arguments], int]
    words: str = ""
    """How its words are shown in the usage; "" when it takes none."""
    takes: str = ""
    """What its words are: functions, tasks, commands, files, or the choices themselves, separated by blanks."""
    options: Callable[[argparse.ArgumentParser], object] = lambda parser: None
    about: str = ""
    examples: tuple[tuple[str, str], ...] = ()
    exits: Mapping[int, str] = field(default_factory=dict)
    is_of_project: bool = True
    """True if it takes settings, and works in the project's folder."""

    @property
    def usage(self) -> str:
        words = f"{self.words} " if self.words else ""
        return f"lambdabuild {self.name} {words}[OPTIONS]{' [key=value ...]' if self.is_of_project else ''}"


EXITS = {0: "done", 2: "the command line is wrong", 3: "nothing was started: a mistake in the project or its settings"}


class Parser(argparse.ArgumentParser):
    """argparse's, whose mistakes are ours and whose words are read apart from its options."""

    def __init__(self, command: Command) -> None:
        shown = [("Examples", list(command.examples))]
        shown.append(("Exit codes", [(str(code), text) for code, text in sorted({**EXITS, **command.exits}.items())]))
        super().__init__(
            prog=f"lambdabuild {command.name}".strip(),
            usage=command.usage,
            description=f"{command.summary}.\n{command.about}".strip(),
            epilog="\n\n".join(f"{title}:\n{columns(rows)}" for title, rows in shown if rows),
            formatter_class=Formatter,
            allow_abbrev=False,
            add_help=False,
        )
        self.command = command

    def error(self, message: str) -> NoReturn:
        for pattern, text in MISTAKES:
            message = re.sub(pattern, text, message, flags=re.DOTALL)
        raise wrong(f"{self.prog}: {message}", f"{self.prog} --help shows its options")

    @property
    def flags(self) -> list[str]:
        """Every option, as it is typed."""
        return list(self._option_string_actions)

    def split(self, arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """Return the options and the other words, in whatever order they were given."""
        options, words = self.parse_known_args(_as_before(arguments))
        for word in words:
            if word.startswith("-") and word not in ("-", "--"):
                flag = word.partition("=")[0]
                known = [name for name in self.flags if name.startswith("--")]
                raise wrong(
                    f"{self.prog} has no option {flag!r}",
                    closest(flag, known, f"{self.prog} --help shows its options"),
                )
        return options, [word for word in words if word != "--"]


MISTAKES = (
    (r"^argument (\S+): ", r"option \1 "),
    (r"expected one argument$", "needs a value"),
    (r"invalid int value: (.*)$", r"takes a whole number, not \1"),
    (r"invalid choice: (.*) \(choose from (.*)\)$", r"takes one of \2, not \1"),
    (r"not allowed with argument (\S+)$", r"does not go with \1"),
)
"""argparse's words -> ours."""


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as 100 columns, its headings as uv and cargo write them."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """``-n, --process N``, the value once."""
        flags = ", ".join(action.option_strings)
        return flags if action.nargs == 0 else f"{flags} {action.metavar or '|'.join(map(str, action.choices or ()))}"

    def start_section(self, heading: str | None) -> None:
        super().start_section((heading or "").capitalize())

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None = None,
    ) -> None:
        super().add_usage(usage, actions, groups, prefix or "Usage: ")


class SettingFlag(argparse.Action):
    """An option that stands for a setting: ``--stage prod`` is ``stage=prod``."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        namespace.settings = {**namespace.settings, self.dest: "true" if self.nargs == 0 else str(values)}


class Parameter(argparse.Action):
    """``--param Stage=prod``, a parameter of the template."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        name, _, value = str(values).partition("=")
        namespace.settings = {**namespace.settings, f"param.{name}": value}


class DoitFlag(argparse.Action):
    """An option of doit's, handed on to it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        more = [] if self.nargs == 0 else [str(values)]
        namespace.doit = [*namespace.doit, self.option_strings[-1], *more]


def parser_of(command: Command) -> Parser:
    """Return the parser of a command: its own options, then those that every command has."""
    parser = Parser(command)
    parser.set_defaults(settings={}, doit=[], verbose=False, directory="")
    command.options(parser)
    general = parser.add_argument_group("General options")
    if command.is_of_project:
        _settings_options(general)
    if "--format" not in parser.flags:
        general.add_argument(
            "--format",
            action=SettingFlag,
            choices=("text", "json"),
            help="lines for people, or one JSON object a line; errors too",
        )
    amount = general.add_mutually_exclusive_group()
    amount.add_argument("-v", "--verbose", action="store_true", help="say more: the project, and why steps run")
    amount.add_argument("-q", "--quiet", action=SettingFlag, nargs=0, help="print nothing but errors")
    general.add_argument("-C", "--directory", metavar="DIR", help="work as if started in DIR")
    general.add_argument("-h", "--help", action="store_true", help="show this page")
    if not command.name:
        general.add_argument("--version", action="store_true", help="print the version")
    return parser


def output_option(parser: argparse.ArgumentParser) -> None:
    """Add the option of commands that print a text, or write it to a file."""
    parser.add_argument("--output", metavar="FILE", default="", help="write to FILE, or print when it is -")


def _settings_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--stage", action=SettingFlag, metavar="NAME", help="the stage, as stage=NAME")
    group.add_argument("--region", action=SettingFlag, metavar="NAME", help="the region, as region=NAME")
    group.add_argument("--param", action=Parameter, metavar="NAME=VALUE", help="a parameter, as param.NAME=VALUE")
    group.add_argument("--config-env", action=SettingFlag, metavar="NAME", help="the environment of a samconfig.toml")
    group.add_argument("--config-file", action=SettingFlag, metavar="FILE", help="the samconfig.toml; none for none")
    group.add_argument("--offline", action=SettingFlag, nargs=0, help="use no network: only what is on this machine")
    group.add_argument("--paranoid", action=SettingFlag, nargs=0, help="hash every file, whatever its times say")


def parse(command: Command, arguments: Sequence[str], answer: Answer | None = None) -> Arguments | None:
    """Understand a command line, and go to the project's folder; None when help was asked for, which is printed.

    Raises WrongUse.
    """
    parser = parser_of(command)
    if {"-h", "--help"} & {*arguments}:
        parser.print_help(sys.stdout)
        return None
    options, others = parser.split(arguments)
    _go_to(options.directory)
    settings = dict(word.split("=", 1) for word in others if "=" in word) if command.is_of_project else {}
    words = [word for word in others if "=" not in word] if command.is_of_project else others
    if words and not command.takes:
        raise wrong(f"{parser.prog} takes no {words[0]!r}", f"{parser.prog} --help shows what it takes")
    here = folder = _current_folder()
    settings |= options.settings
    if command.is_of_project:
        folder = project_folder.find(here, os.environ, settings.get("template", ""))
        settings = project_folder.from_there(settings, here, folder)
        os.chdir(folder)
    if options.verbose and command.is_of_project:
        sys.stderr.write(f"project: {folder}\n")
    return Arguments(settings, words, options, here, folder, answer)


def _go_to(directory: str) -> None:
    try:
        os.chdir(directory or ".")
    except OSError as error:
        raise wrong(f"cannot work in {directory!r}: {error.strerror}", "name a folder that exists") from error


def _current_folder() -> str:
    try:
        return os.getcwd()
    except OSError as error:
        raise wrong("the current folder does not exist any more", "go to another one with cd") from error


def _as_before(arguments: Sequence[str]) -> list[str]:
    """``-v 2``, which is doit's verbosity, beside our ``-v``."""
    words: list[str] = []
    for word in arguments:
        if words[-1:] == ["-v"] and word in ("0", "1", "2"):
            words[-1] = "--verbosity"
        words += ["--verbosity", word[2:]] if word in ("-v0", "-v1", "-v2") else [word]
    return words


def columns(rows: Iterable[tuple[str, str]]) -> str:
    """Lines of two columns, indented."""
    rows = list(rows)
    width = max((len(left) for left, _ in rows), default=0)
    return "\n".join(f"  {left:{width}}  {right}".rstrip() for left, right in rows)
