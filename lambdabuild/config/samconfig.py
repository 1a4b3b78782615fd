"""A samconfig.toml -> settings, as ``sam build`` and ``sam package`` read it. Pure given how to read files.

``[ENV.COMMAND.parameters]`` is read over ``[ENV.global.parameters]``:
https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-config.html
What is set in lambdabuild.toml, in a variable or on the command line takes precedence.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lambdabuild.config.settings import nearest
from lambdabuild.core import regular
from lambdabuild.core.errors import BadSettings
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span

NAMES = ("samconfig.toml", "samconfig.yaml", "samconfig.yml")
"""Sought in this order, next to the template; the first is read."""
NONE = "none"
"""The setting ``config_file`` of a project whose samconfig.toml is not read."""
COMMANDS = ("global", "build", "deploy", "package")
"""The sections that are read; a later one takes precedence."""
DEFAULT_ENV = "default"

Read = Callable[[str], str]
Setting = tuple[list[str], Any]
"""The path of a setting, and its value."""


class SamConfig(Struct, frozen=True):
    """What a samconfig.toml sets, and what it has that nobody reads."""

    settings: tuple[tuple[list[str], Any, Span], ...] = ()
    notes: tuple[str, ...] = ()


def load(path: str, env: str, read: Read, place: Callable[[tuple[str, ...]], Span]) -> SamConfig:
    """Return the settings of a file for an environment, ``default`` when it is "". Raise BadSettings (LB107).

    ``place`` returns the place of a key in the file.
    """
    data = _parsed(path, read(path))
    version = data.get("version")
    if not isinstance(version, float):
        raise BadSettings(
            f"the version of {path} is {version!r}; SAM wants a number with a point" if version is not None
            else f"{path} has no version, without which SAM does not read it",
            where=place(("version",)),
            help='write at the top of the file: version = 0.1',
        )  # fmt: skip
    sections = data.get(env or DEFAULT_ENV)
    if not isinstance(sections, dict):
        if env:  # SAM says nothing, and builds for its defaults
            raise _no_environment(path, env, sorted(name for name, value in data.items() if isinstance(value, dict)))
        return SamConfig()
    settings: list[tuple[list[str], Any, Span]] = []
    notes: list[str] = []
    for command in COMMANDS:
        section = sections.get(command)
        parameters = section.get("parameters") if isinstance(section, dict) else None
        for key, value in (parameters if isinstance(parameters, dict) else {}).items():
            where = place((env or DEFAULT_ENV, command, "parameters", key))
            if key not in KEYS:
                notes += _unknown(path, key, where)
                continue
            try:
                settings += [(setting, content, where) for setting, content in KEYS[key](value, read)]
            except (ValueError, OSError) as error:
                raise BadSettings(
                    f"{key} of {path} is {value!r}: {error}", where=where, help="write it as SAM reads it"
                ) from error
    return SamConfig(tuple(settings), tuple(dict.fromkeys(notes)))


def _parsed(path: str, text: str) -> Mapping[str, Any]:
    try:
        data = regular.toml(text) if path.endswith(".toml") else _yaml(text)
    except ValueError as error:
        raise BadSettings(f"cannot read {path}: {error}", where=Span(path), help="correct the text") from error
    if not isinstance(data, dict):
        raise BadSettings(f"{path} is not a table of environments", where=Span(path), help="begin with [default]")
    return data


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"not YAML: {error}") from error


def _no_environment(path: str, env: str, names: list[str]) -> BadSettings:
    near = nearest(env, names)
    known = f"did you mean {near!r}?" if near else f"there are: {', '.join(names) or 'none'}"
    return BadSettings(f"{path} has no environment {env!r}", where=Span(path), help=known)


def _unknown(path: str, key: str, where: Span) -> Iterator[str]:
    """Yield a note for a key that is a slip of the pen, which SAM passes over without a word."""
    near = nearest(key.replace("-", "_"), [*KEYS, *OTHERS])
    if key not in OTHERS and near:
        yield f"{where}: SAM knows no {key!r}, so it has no effect; did you mean {near!r}?"


# values


def _text(setting: str) -> Callable[[Any, Read], Iterator[Setting]]:
    def settings(value: Any, read: Read) -> Iterator[Setting]:
        if not isinstance(value, str | int | float):
            raise ValueError("it is not a text")
        yield setting.split("."), str(value)

    return settings


def _flag(setting: str) -> Callable[[Any, Read], Iterator[Setting]]:
    def settings(value: Any, read: Read) -> Iterator[Setting]:
        if isinstance(value, str) and value.lower() in WORDS:
            value = WORDS[value.lower()]
        if not isinstance(value, bool):
            raise ValueError("it is neither true nor false")
        yield [setting], value

    return settings


WORDS = {"true": True, "1": True, "yes": True, "y": True, "on": True, "t": True,
         "false": False, "0": False, "no": False, "n": False, "off": False, "f": False}  # fmt: skip
"""What click takes for a flag."""


def _nothing(value: Any, read: Read) -> Iterator[Setting]:
    """Yield nothing: lambdabuild always does so."""
    return iter(())


def _listed(value: Any) -> list[str]:
    """Return the items of a repeatable option, for which SAM takes a single value, too."""
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in items):
        raise ValueError("it is not a list of texts")
    return items


def _build_image(value: Any, read: Read) -> Iterator[Setting]:
    for item in _listed(value):
        name, is_own, image = item.partition("=")
        yield (["functions", name, "image"], image) if is_own else (["image"], name)


def _container_variables(value: Any, read: Read) -> Iterator[Setting]:
    for item in _listed(value):
        name, _, content = item.partition("=")
        owner, is_own, variable = name.partition(".")
        yield (
            (["functions", owner, "container", "environment", variable], content)
            if is_own
            else (["container", "environment", name], content)
        )


def _repositories(value: Any, read: Read) -> Iterator[Setting]:
    for item in _listed(value):
        name, has_uri, uri = item.partition("=")
        if not has_uri:
            raise ValueError("it is no list of FUNCTION=URI")
        yield ["functions", name, "repository"], uri


def _parameters(value: Any, read: Read) -> Iterator[Setting]:
    for name, content in parameters_of(value, read).items():
        yield ["parameters", name], content


QUOTED = r"""(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s"']\S*))"""
LONG = re.compile(rf"ParameterKey=([A-Za-z0-9\"]+)\s*,\s*ParameterValue={QUOTED}")
EMPTY = re.compile(r"(?:^|\s)[A-Za-z0-9]+=(?=\s|$)")
SHORT = re.compile(rf"(?:^|\s)([A-Za-z0-9]+)={QUOTED}")


def parameters_of(value: Any, read: Read) -> dict[str, str]:
    """Return the parameters that ``parameter_overrides`` sets: a text, a table, a file, or a list of these."""
    if isinstance(value, list):
        return {name: content for item in value for name, content in parameters_of(item, read).items()}
    if isinstance(value, dict):
        included = parameters_of(value["$include"], read) if "$include" in value else {}
        return included | {name: _of_table(content) for name, content in value.items() if name != "$include"}
    if not isinstance(value, str):
        raise ValueError("parameters are a text or a table")
    if value.startswith("file://"):
        path = posixpath.normpath(value.removeprefix("file://"))
        return parameters_of(_parsed(path, read(path)), read)
    if EMPTY.search(value):
        raise ValueError('a parameter has no value; an empty one is ""')
    pattern = LONG if "ParameterKey=" in value else SHORT
    pairs = {
        name.strip('"'): re.sub(r"\\(.)", r"\1", double or single) or plain
        for name, double, single, plain in pattern.findall(value)
    }
    if value.strip() and not pairs:
        raise ValueError("it has no NAME=VALUE")
    return pairs


def _of_table(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_of_table, value))
    return "" if value is None else str(value)


KEYS: Mapping[str, Callable[[Any, Read], Iterator[Setting]]] = {
    "template": _text("template"),
    "template_file": _text("template"),
    "base_dir": _text("code_root"),
    "parameter_overrides": _parameters,
    "region": _text("region"),
    "profile": _text("profile"),
    "s3_bucket": _text("bucket"),
    "s3_prefix": _text("prefix"),
    "kms_key_id": _text("kms_key_id"),
    "image_repository": _text("repository"),
    "image_repositories": _repositories,
    "manifest": _text("functions.*.manifest"),
    "use_container": _flag("use_container"),
    "build_image": _build_image,
    "container_env_var": _container_variables,
    "docker_network": _text("container.network"),
    "cached": _nothing,
    "parallel": _nothing,
}
"""SAM's option -> the settings that it stands for."""

OTHERS = frozenset({
    "beta_features", "build_dir", "build_in_source", "cache_dir", "capabilities", "confirm_changeset",
    "container_env_var_file", "debug", "disable_rollback", "exclude", "express", "fail_on_empty_changeset",
    "force_upload", "guided", "hook_name", "language_extensions", "max_wait_duration", "metadata", "mount_symlinks",
    "mount_with", "no_execute_changeset", "no_progressbar", "notification_arns", "on_failure", "output",
    "output_template_file", "resolve_image_repos", "resolve_s3", "resource_logical_id", "role_arn", "save_params",
    "signing_profiles", "skip_prepare_infra", "skip_pull_image", "stack_name", "tags", "terraform_plan_file",
    "terraform_project_root_path", "use_buildkit", "use_json",
})  # fmt: skip
"""SAM's other options of these commands, which say nothing about what is built, or are for a deployment."""
