"""A run with nothing to do, answered before anything else is imported: no parser, no settings, no doit.

Only the plainest command lines are understood here. Whatever else there is on one, the parser is asked.
"""

from __future__ import annotations

import os
import sys

from lambdabuild.cli import project_folder

VALUES = {"--format": "format", "--stage": "stage", "--region": "region"}
FLAGS = {"-q": "quiet", "--quiet": "quiet", "--offline": "offline"}


def plain_build(arguments: list[str]) -> tuple[dict[str, str], list[str]] | None:
    """Return the settings and names of a plain build, None when the command line is anything else."""
    is_build = arguments[:1] == ["build"]
    settings: dict[str, str] = {}
    names: list[str] = []
    words = iter(arguments[is_build:])
    for word in words:
        if word in FLAGS:
            settings[FLAGS[word]] = "true"
        elif word in VALUES:
            settings[VALUES[word]] = next(words, "")
        elif word.startswith("-"):
            return None
        elif "=" in word:
            name, _, settings[name] = word.partition("=")
        elif is_build:
            names.append(word)
        else:
            return None
    return settings, names


def is_done(settings: dict[str, str], names: list[str]) -> bool:
    """Say that there is nothing to do, if that can be known without loading the project."""
    from lambdabuild.project import nothing_to_do

    here = os.getcwd()
    folder = project_folder.find(here, os.environ, settings.get("template", ""))
    text = nothing_to_do(folder, project_folder.from_there(settings, here, folder), names)
    if text is None:
        return False
    sys.stdout.write(text)
    return True
