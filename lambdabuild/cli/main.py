"""The ``lambdabuild`` command: init, build, plan, why, and every doit command without a dodo.py."""

from __future__ import annotations

import gc
import itertools
import os
import sys

TYPE_CHECKING = False  # as typing has it, without what typing imports at every start
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from lambdabuild.core.errors import LambdaBuildError

USAGE = """\
lambdabuild: an incremental, reproducible build system for AWS Lambda

  lambdabuild                     build everything in the project here (as plain doit does with a dodo.py)
  lambdabuild build [F ...]       build everything, or the functions, layers and sources named
      --offline                   use no network: only what the machine's store holds
      --format text|json          lines for people, or one JSON object a line
      -q, --quiet                 print nothing but errors
      -n N                        run N steps side by side
  lambdabuild build:F upload:F    any task of doit's list, by name
  lambdabuild publish[:L]         publish every layer, or L, as a version in Lambda, if it changed
  lambdabuild plan [--format json]
  lambdabuild plan --shard 2/5 [--costs FILE] [--format json]
                                  the second of five shares of the work, of about equal time: names of tasks
  lambdabuild costs [--output FILE]
                                  how long each step took, for plan --shard
  lambdabuild why F               say for each step of F whether it would run, and because of what
  lambdabuild affected --since REF [--format text|json|gitlab]
                                  what a change touches, from where the history parted from REF: names, or a CI matrix
  lambdabuild compile [--output FILE] [--stage S] [--region R]
                                  write the template of a serverless.yml alone, with nothing built
  lambdabuild schema [settings]   print the JSON Schema of a serverless.yml, or of the settings, for editors
  lambdabuild rpc [REQUEST]       answer one request of Lambda Builders' JSON-RPC, from the argument or standard input
  lambdabuild cache stats|verify|gc|export FILE|import FILE
                                  look after the machine's cache of built steps
  lambdabuild init                write a dodo.py, so that doit itself can be used
  lambdabuild list|info|clean|forget|...    doit's own commands

Settings are given as key=value: lambdabuild build stage=prod param.Size=3 bucket=my-bucket
"""

DODO = """\
from lambdabuild.project import doit_project

globals().update(doit_project(__file__))
"""


class Output:
    """Standard output, until nobody reads it: then what is written goes nowhere, and the command goes on."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a file's name may be no text

    def write(self, text: str) -> int:
        return int(self._unless_closed(lambda: self.stream.write(text)) or 0)

    def flush(self) -> None:
        self._unless_closed(self.stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def _unless_closed(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except BrokenPipeError:  # as head does when it has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
            return act()


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; gives its exit code: 0 done, 1 a step failed, 2 unmet or wrong use, 3 nothing was started."""
    gc.set_threshold(200_000)  # nearly all that a run makes lives to its end
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments[0] if arguments else ""
    asks_for_help = command in ("-h", "--help", "help") and len(arguments) == 1
    if asks_for_help or (command in COMMANDS and {"-h", "--help"} & set(arguments)):
        sys.stdout.write(USAGE)
        return 0
    if command == "--version":
        from lambdabuild._version import __version__

        sys.stdout.write(f"lambdabuild {__version__}\n")
        return 0
    output: Any = Output(sys.stdout) if sys.stdout is not None else None
    sys.stdout = output
    try:
        return COMMANDS.get(command, _doit)(arguments)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        from lambdabuild.core.errors import LambdaBuildError

        if not isinstance(error, LambdaBuildError):
            raise
        _tell(error, arguments)
        return 3
    finally:
        if output is not None:
            output.flush()
            sys.stdout = output.stream


def _tell(error: LambdaBuildError, arguments: list[str]) -> None:
    """A mistake met before anything was started, in the format that was asked for."""
    wanted = _split(arguments)[0].get("format") or os.environ.get("LAMBDABUILD_FORMAT")
    if wanted == "json":
        import json

        for one in getattr(error, "errors", (error,)):
            sys.stdout.write(json.dumps({"event": "error", "error": one.as_dict()}) + "\n")
    else:
        from lambdabuild.core.messages import report

        report(error)


def _init(arguments: list[str]) -> int:
    if os.path.lexists("dodo.py"):
        sys.stderr.write("dodo.py is there already; these are the lines it needs:\n\n" + DODO)
        return 2
    with open("dodo.py", "x", encoding="utf-8") as stream:
        stream.write(DODO)
    sys.stdout.write("wrote dodo.py; now type doit\n")
    return 0


def _plan(arguments: list[str]) -> int:
    import json

    from lambdabuild.project import plan_data, plan_text

    settings, flags, names = _split(arguments[1:])
    if any(flag.startswith("--shard=") for flag in flags):
        from lambdabuild.cli import ci

        return ci.shard(settings, flags, names)
    if flags or names:
        return _wrong(f"plan takes no {[*flags, *names][0]!r}")
    site = _open(settings)
    as_json = site.settings.format == "json"
    sys.stdout.write(json.dumps(plan_data(site), indent=2) + "\n" if as_json else plan_text(site))
    return 0


def _affected(arguments: list[str]) -> int:
    from lambdabuild.cli import ci

    return ci.affected(*_split(arguments[1:]))


def _costs(arguments: list[str]) -> int:
    from lambdabuild.cli import ci

    return ci.costs(*_split(arguments[1:]))


def _why(arguments: list[str]) -> int:
    from lambdabuild.project import why

    settings, flags, names = _split(arguments[1:])
    if flags:
        return _wrong(f"why takes no {flags[0]!r}")
    site = _open(settings, [f"why:{name}" for name in names])
    known = site.plan.users
    _refuse_left_out(site, names)
    for name in names or known:
        _check_name(name, known)
    for name in names or known:
        sys.stdout.write(why(site, name))
    return 0


def _compile(arguments: list[str]) -> int:
    from lambdabuild.project import cache_dir
    from lambdabuild.project_loader import compile_text, write_file

    settings, flags, names = _split(arguments[1:])
    output = next((flag.partition("=")[2] for flag in flags if flag.startswith("--output=")), "")
    wrong = [flag for flag in flags if not flag.startswith("--output=")] + names
    if wrong:
        return _wrong(f"compile takes no {wrong[0]!r}")
    text, refused = compile_text(os.getcwd(), settings, lambda line: sys.stderr.write(f"{line}\n"))
    if output in ("", "-"):
        sys.stdout.write(text)
    else:
        write_file(os.path.abspath(output), text, cache_dir(os.environ))
    if refused is not None:
        raise refused
    return 0


def _schema(arguments: list[str]) -> int:
    from lambdabuild.project_loader import schema_text

    text = schema_text(arguments[1:])
    if text is None:
        return _wrong(f"schema takes no {' '.join(arguments[1:])!r}")
    sys.stdout.write(text)
    return 0


def _cache(arguments: list[str]) -> int:
    from lambdabuild.cli import cache

    return cache.main(*_split(arguments[1:]))


def _rpc(arguments: list[str]) -> int:
    from lambdabuild.cli import rpc

    return rpc.main(arguments[1:])


def _build(arguments: list[str]) -> int:
    settings, flags, names = _split(arguments[1:])
    unknown = [flag for flag in flags if flag.startswith("-") and flag.partition("=")[0] not in BUILD_FLAGS]
    if unknown:
        return _wrong(f"build has no option {unknown[0]!r}")
    if not any(flag in ALL_AGAIN for flag in flags) and _is_done(settings, names):
        return 0
    tasks = [name if name == TEMPLATE else f"build:{name}" for name in names]
    site = _open(settings, tasks, flags, is_run=True)
    _refuse_left_out(site, names)
    groups = {user: unit.group(user) for unit in site.plan.made for user in unit.users}
    groups |= {pinned.function: "build" for pinned in site.plan.pinned}
    groups |= {published.name: "layer" for published in site.plan.publications}
    groups |= {one.name: "layer" if one.kind == "layer" else "build" for one in site.plan.broken}
    selected = []
    for name in names:
        if name == TEMPLATE and name not in groups:  # as affected names it
            selected.append(name)
            continue
        _check_name(name, sorted(groups))
        selected.append(f"{groups[name]}:{name}")
    return _run_doit(["run", *flags, *selected], lambda: site)


def _doit(arguments: list[str]) -> int:
    """Anything else is doit's: a command, or task names with settings."""
    settings, flags, words = _split(arguments)
    command = words[:1] if words[:1] and words[0] in DOIT_COMMANDS else []
    doit_arguments = [*command, *flags, *words[len(command) :]]
    if command == ["help"]:
        return _run_doit(doit_arguments, lambda: _open(settings))  # asks for a project only when it needs one
    if not doit_arguments and _is_done(settings, []):
        return 0
    site = _open(settings, words[len(command) :], flags, is_run=command in ([], ["run"]))
    return _run_doit(doit_arguments, lambda: site)


def _is_done(settings: dict[str, str], names: list[str]) -> bool:
    """Say that there is nothing to do, if that can be told without loading the project."""
    from lambdabuild.project import nothing_to_do

    said = nothing_to_do(os.getcwd(), settings, names)
    if said is None:
        return False
    sys.stdout.write(said)
    return True


def _run_doit(arguments: list[str], open_site: Callable[[], Any]) -> int:
    from doit.doit_cmd import DoitMain

    from lambdabuild.project import task_loader

    return int(DoitMain(task_loader(open_site), config_filenames=()).run(arguments) or 0)


def _split(arguments: list[str]) -> tuple[dict[str, str], list[str], list[str]]:
    """Settings (``key=value`` and our own options), doit's flags, and the other words."""
    settings: dict[str, str] = {}
    flags: list[str] = []
    names: list[str] = []
    words = iter(arguments)
    for word in words:
        name, sign, value = word.partition("=")
        if word in OWN_FLAGS:
            settings[OWN_FLAGS[word]] = "true"
        elif name in SETTING_FLAGS:
            settings[SETTING_FLAGS[name]] = value if sign else next(words, "")
        elif name in COMMAND_FLAGS and arguments[:1] != ["run"]:
            flags.append(f"{name}={value if sign else next(words, '')}")
        elif name == "--param":
            key, _, given = (value if sign else next(words, "")).partition("=")
            settings[f"param.{key}"] = given
        elif word in FLAGS_WITH_VALUE:
            flags += [word, *itertools.islice(words, 1)]
        elif word.startswith("-"):
            flags.append(word)
        elif sign:
            settings[name] = value
        else:
            names.append(word)
    return settings, flags, names


def _open(
    variables: dict[str, str], tasks: Sequence[str] = (), flags: Sequence[str] = (), *, is_run: bool = False
) -> Any:
    """The project, without mistakes in what is asked for."""
    from lambdabuild.project import open_for

    return open_for(os.getcwd(), variables, tasks, is_run=is_run, keeps_going=not KEEP_GOING.isdisjoint(flags))


def _refuse_left_out(site: Any, names: Sequence[str]) -> None:
    if names:
        from lambdabuild.project import refuse_left_out

        refuse_left_out(site, names)


def _check_name(name: str, known: Sequence[str]) -> None:
    if name not in known:
        from lambdabuild.config.settings import nearest
        from lambdabuild.core.errors import UnknownName

        near = nearest(name, known)
        raise UnknownName(
            f"there is no function, layer or source {name!r} to build",
            help=f"did you mean {near!r}?" if near else f"there are: {', '.join(known)}",
        )


def _wrong(message: str) -> int:
    sys.stderr.write(f"{message}\n\n{USAGE}")
    return 2


TEMPLATE = "template"

SETTING_FLAGS = {"--format": "format", "--stage": "stage", "--region": "region"}
OWN_FLAGS = {"-q": "quiet", "--quiet": "quiet", "--offline": "offline", "--paranoid": "paranoid"}
FLAGS_WITH_VALUE = ("-n", "-P", "-v", "-o", "-r", "--process", "--parallel-type", "--verbosity", "--reporter", "--sort")
"""Those of doit's flags that take the next word."""

COMMAND_FLAGS = ("--output", "--since", "--shard", "--costs", "--older-than")
"""Those of our own commands that take the next word."""

BUILD_FLAGS = (*FLAGS_WITH_VALUE, "-c", "--continue", "-a", "--always-execute", "-s", "--single", "--pdb")

KEEP_GOING = frozenset({"-c", "--continue"})

ALL_AGAIN = frozenset({"-a", "--always-execute", "-s", "--single"})
"""Flags with which what is up to date is run."""

DOIT_COMMANDS = frozenset(
    {"run", "list", "info", "clean", "forget", "ignore", "help", "dumpdb", "strace", "tabcompletion", "reset-dep"}
)

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "init": _init,
    "plan": _plan,
    "why": _why,
    "affected": _affected,
    "costs": _costs,
    "build": _build,
    "compile": _compile,
    "schema": _schema,
    "cache": _cache,
    "rpc": _rpc,
}
