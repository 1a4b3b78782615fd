"""A run with nothing to do, answered before anything else is imported: no parser, no settings, no doit.

Only the plainest command lines are understood here. Whatever else there is on one, the parser is asked.
"""

from __future__ import annotations

import os
import sys

from lambdabuild.cli import project_folder

TYPE_CHECKING = False  # as typing has it, without what typing imports at every start
if TYPE_CHECKING:
    from lambdabuild.project import Snapshot

VALUES = {"--format": "format", "--stage": "stage", "--region": "region"}
FLAGS = {"-q": "quiet", "--quiet": "quiet", "--offline": "offline"}


def plain_build(arguments: list[str]) -> tuple[dict[str, str], list[str]] | None:
    """Return the settings and names of a plain build, None when the command line is anything else."""
    is_build = arguments[:1] == ["build"]
    settings: dict[str, str] = {}
    options: dict[str, str] = {}
    names: list[str] = []
    words = iter(arguments[is_build:])
    for word in words:
        if word in FLAGS:
            options[FLAGS[word]] = "true"
        elif word in VALUES:
            options[VALUES[word]] = next(words, "")
        elif word.startswith("-"):
            return None
        elif "=" in word:
            name, _, settings[name] = word.partition("=")
        elif is_build:
            names.append(word)
        else:
            return None
    return settings | options, names


class Answer:
    """Whether it was said that there is nothing to do, and the last run's snapshot, which has looked at the files."""

    def __init__(self, is_done: bool = False, last_run: Snapshot | None = None) -> None:
        self.is_done, self.last_run = is_done, last_run


def ask(settings: dict[str, str], names: list[str]) -> Answer:
    """Say that there is nothing to do, if that can be known without loading the project."""
    from lambdabuild.project import nothing_to_do

    here = os.getcwd()
    folder = project_folder.find(here, os.environ, settings.get("template", ""))
    text, last_run = nothing_to_do(folder, project_folder.from_there(settings, here, folder), names)
    sys.stdout.write(text or "")
    return Answer(text is not None, last_run)
