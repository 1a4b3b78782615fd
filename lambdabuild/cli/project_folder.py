"""Find the project that a person who stands somewhere in it means. Imported at every start: it imports only os."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False  # as typing has it, without what typing imports at every start
if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = "lambdabuild.toml"
DESCRIPTIONS = frozenset(
    {SETTINGS, "template.yaml", "template.yml", "template.json", "terraform.json", "cdk.out"}
    | {f"serverless.{extension}" for extension in ("yml", "yaml", "json", "js", "cjs", "mjs", "ts")}
)
"""A folder with one of these is a project; so is one whose pyproject.toml has a table [tool.lambdabuild]."""

NO_TEMPLATE = "none"
"""A template that is not to be looked for."""

PATHS = (
    "template",
    "build_dir",
    "code_root",
    "root",
    "project_root",
    "store",
    "serverless_dir",
    "config_file",
    "dockerfile",
    "cache.dir",
)
"""Settings that are paths: a person gives them from where they stand."""

TABLES_WITH_PATH = ("functions.", "layers.", "sources.")
"""The tables whose items have a ``path``, which is one of these paths too."""


def find(here: str, environment: Mapping[str, str], template: str = "") -> str:
    """Return the nearest folder, from ``here`` upwards, that is a project; ``here`` itself when there is none.

    So it is when there is to be no template. The search ends at the top of a git checkout. Outside of one it ends below
    the home folder, and before a folder that is on another file system, belongs to somebody else, or in which everybody
    may write: what lies in /tmp may have been put there by anybody.
    """
    folder = here
    if template == NO_TEMPLATE or (template and os.path.isfile(os.path.join(here, template))):
        return here
    while not is_project(folder, environment):
        parent = os.path.dirname(folder)
        is_top = parent == folder or os.path.lexists(os.path.join(folder, ".git"))
        if is_top or not _is_searched(parent, folder, environment):
            return here
        folder = parent
    return folder


def from_there(settings: Mapping[str, str], here: str, folder: str) -> dict[str, str]:
    """Return the settings with paths that were given from ``here`` as they are called from the project's folder."""
    if here == folder:
        return dict(settings)
    return {
        name: os.path.relpath(os.path.join(here, value), folder)
        if _is_path(name) and value not in ("", "none") and not os.path.isabs(value)
        else value
        for name, value in settings.items()
    }


def _is_path(name: str) -> bool:
    return name in PATHS or (name.startswith(TABLES_WITH_PATH) and name.endswith(".path"))


def is_project(folder: str, environment: Mapping[str, str]) -> bool:
    """Return whether a folder has a description of functions, or settings."""
    template = environment.get("LAMBDABUILD_TEMPLATE", "")
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return (
        not DESCRIPTIONS.isdisjoint(names)
        or ("pyproject.toml" in names and _has_settings(os.path.join(folder, "pyproject.toml")))
        or bool(template and os.path.isfile(os.path.join(folder, template)))
    )


def _has_settings(file: str) -> bool:
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            return any(line.lstrip().startswith("[tool.lambdabuild") for line in stream)
    except OSError:
        return False


def _is_searched(parent: str, folder: str, environment: Mapping[str, str]) -> bool:
    try:
        outer, inner = os.stat(parent), os.stat(folder)
    except OSError:
        return False
    return (
        (outer.st_dev, outer.st_uid) == (inner.st_dev, inner.st_uid)
        and not outer.st_mode & stat.S_IWOTH
        and parent != environment.get("HOME")
    )
