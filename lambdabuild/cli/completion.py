"""Completion in shells: a short script for each, which asks ``lambdabuild __complete WORDS`` what may come next.

So all knowledge is that of the parsers, and names are those of the last run's snapshot; no project is loaded.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence

from lambdabuild.cli import builds, commands, project_folder
from lambdabuild.cli.parser import Command, Parser, parser_of

Candidate = tuple[str, str]
"""A word, and what it is."""


def answer(words: Sequence[str]) -> int:
    """Print what the last of these words may become, a line each: the word, a tab, what it is."""
    try:
        offers = [one for one in candidates(words) if one[0].startswith(words[-1])] if words else []
    except Exception:  # a shell has no place for messages, and what a person types is often half a word
        return 1
    sys.stdout.write("".join(f"{word}\t{text}\n" for word, text in offers))
    return 0


def candidates(words: Sequence[str]) -> Iterator[Candidate]:
    """Yield what may stand in place of the last word, whatever it begins with."""
    *before, current = words
    position = commands.first_word(before)
    name = before[position] if position is not None else ""
    chosen = commands.command(name) if name in commands.MODULES else builds.TASKS
    parser = parser_of(chosen)
    option = parser._option_string_actions.get(before[-1]) if before else None
    if option is not None and option.nargs != 0 and not isinstance(option, argparse._StoreTrueAction):
        yield from ((str(choice), "") for choice in option.choices or ())
    elif current.startswith("-"):
        yield from _options(parser)
    elif position is None:
        yield from ((name, commands.command(name).summary) for name in commands.MODULES)
        yield from _words(chosen)
    else:
        yield from _words(chosen)


def _options(parser: Parser) -> Iterator[Candidate]:
    for action in parser._actions:
        if action.help != argparse.SUPPRESS:
            yield from ((flag, action.help or "") for flag in action.option_strings)


def _words(command: Command) -> Iterator[Candidate]:
    if command.takes == "functions":
        yield from ((task.partition(":")[2], task.partition(":")[0]) for task in _known() if ":" in task)
    elif command.takes == "tasks":
        yield from ((task, "") for task in _known())
    elif command.takes == "commands":
        yield from ((name, commands.command(name).summary) for name in commands.MODULES)
    elif command.takes != "files":
        yield from ((choice, "") for choice in command.takes.split())


def _known() -> Sequence[str]:
    from lambdabuild.project import known_tasks

    return sorted(known_tasks(project_folder.find(os.getcwd(), os.environ)))


BASH = r"""_lambdabuild() {
    local line=${COMP_LINE:0:COMP_POINT} words word current
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current=${words[${#words[@]}-1]}
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        # Readline takes a colon for the end of a word, and wants only what follows the last one.
        [[ $current == *:* ]] && word=${word#"${current%"${current##*:}"}"}
        COMPREPLY+=("$word")
    done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
}
complete -o default -F _lambdabuild lambdabuild
"""

ZSH = r"""#compdef lambdabuild
_lambdabuild() {
    local -a names shown
    local name text
    while IFS=$'\t' read -r name text; do
        names+=("$name")
        shown+=("$name${text:+  -- $text}")
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( $#names )); then compadd -l -d shown -a names; else _files; fi
}
if [[ $funcstack[1] == _lambdabuild ]]; then _lambdabuild "$@"; else compdef _lambdabuild lambdabuild; fi
"""

FISH = r"""function __lambdabuild
    lambdabuild __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null
end
complete -c lambdabuild -f -a '(__lambdabuild)'
complete -c lambdabuild -n '__fish_prev_arg_in --output --costs -C --directory export import' -F
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
