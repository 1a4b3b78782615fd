"""A project's folder, the environment and the command line -> Settings. Reads no template."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from lambdabuild.config import samconfig
from lambdabuild.config.loader import load as load_settings
from lambdabuild.config.loader import sam_config
from lambdabuild.config.samconfig import SamConfig
from lambdabuild.config.settings import Settings
from lambdabuild.core.errors import BadSettings
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Span
from lambdabuild.frontends.kinds import DESCRIPTIONS, SAM, is_serverless, kind_of
from lambdabuild.project_files import ProjectFiles

SETTINGS_FILE = "lambdabuild.toml"


def read_settings(
    folder: str, environment: Mapping[str, str], variables: Mapping[str, str], files: ProjectFiles | None = None
) -> Settings:
    """Return a project's settings.

    They come from lambdabuild.toml, otherwise from [tool.lambdabuild] of pyproject.toml, then from the environment and
    the command line.
    """
    files = files or ProjectFiles(folder)
    text, pyproject = _text(files, SETTINGS_FILE), _text(files, "pyproject.toml")
    in_pyproject = pyproject is not None and re.search(r"(?m)^\s*\[tool\.lambdabuild\b", pyproject)
    if text is not None and in_pyproject:
        raise BadSettings(
            f"there are settings in both {SETTINGS_FILE} and pyproject.toml",
            where=(Span(SETTINGS_FILE), Span("pyproject.toml")),
            help="keep one of them",
        )
    file, content, table = (
        ("pyproject.toml", pyproject, ("tool", "lambdabuild")) if in_pyproject else (SETTINGS_FILE, text, ())
    )
    settings = load_settings(file, content or "", environment, variables, table=table)
    sam, looked_for = _sam_config(files, settings)
    if sam is not None:
        settings = load_settings(file, content or "", environment, variables, table=table, sam=sam)
    settings = replace(settings, read_files=looked_for)
    names_one = (
        "build_dir" in variables or "LAMBDABUILD_BUILD_DIR" in environment or "build_dir" in f"{text}{pyproject}"
    )
    return settings if names_one else replace(settings, build_dir=_build_dir(folder, settings, files))


def _sam_config(files: ProjectFiles, settings: Settings) -> tuple[SamConfig | None, tuple[str, ...]]:
    """Return what the samconfig.toml of a SAM template sets, None if there is none; and every file looked for."""
    if samconfig.NONE in (settings.config_file, settings.template):
        return None, ()
    folder = os.path.dirname(settings.template)
    usual = tuple(os.path.join(folder, name) for name in samconfig.NAMES)
    path = settings.config_file or next((name for name in usual if files.kind(name) == "file"), "")
    if not path:
        return None, usual
    looked_for = [path] if settings.config_file else list(usual)

    def read(name: str) -> str:
        looked_for.append(name)
        return files.read(name)

    try:
        sam = sam_config(path, settings.config_env, read)
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"cannot read {path}: {error}", where=Span(path), help="make it a readable file") from error
    templates = [str(value) for setting, value, _ in sam.settings if setting == ["template"]]
    usually = next((name for name in DESCRIPTIONS if files.kind(name)), "")
    template = settings.template or (templates or [usually])[-1]
    is_of_sam = bool(template) and kind_of(files, template) == SAM
    return sam if is_of_sam else None, tuple(dict.fromkeys(looked_for))


def _build_dir(folder: str, settings: Settings, files: ProjectFiles) -> str:
    """Return the build folder of a project that names none.

    A serverless.yml packs its whole folder, so existing files of others in build/ are its code as well. Only if there
    are any is the template read to find out what it is.
    """
    from lambdabuild.engine.base import snapshot

    usual = os.path.join(folder, snapshot.BUILD_DIR)
    if not snapshot.is_built_apart(folder):
        if os.path.lexists(os.path.join(usual, snapshot.STATE)) or not _has_files(usual):
            return snapshot.BUILD_DIR
        templates = (settings.template,) if settings.template else DESCRIPTIONS
        path = next((template for template in templates if files.kind(template)), "")
        if not path or not is_serverless(files, path):
            return snapshot.BUILD_DIR
    return snapshot.APART


def _has_files(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def _text(files: ProjectFiles, name: str) -> str | None:
    try:
        return files.read(name)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(
            f"cannot read {name}: {error}", where=Span(name), help="make it a readable text file"
        ) from error
