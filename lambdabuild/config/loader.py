"""Text -> Settings: the file, then LAMBDABUILD_* variables, then ``key=value`` arguments.

The later wins. Pure given what was read. A key is dotted (``parameters.Stage``, ``functions.Orders.exclude``); in the
environment a dot is ``__`` and the case of the first part does not matter (``LAMBDABUILD_PARAMETERS__Stage``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lambdabuild.config import samconfig
from lambdabuild.config.samconfig import SamConfig
from lambdabuild.config.settings import (
    CacheSettings,
    Container,
    ExecutorSettings,
    Settings,
    annotation_of,
    keys_of,
    nearest,
    size_of,
)
from lambdabuild.config.tables import Command, FunctionTable, LayerSettings, SourceSettings
from lambdabuild.core import regular
from lambdabuild.core.errors import BadSettings, LambdaBuildError, raise_all
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.records import Struct, replace
from lambdabuild.core.spans import Span

RENAMED = {
    "native": "use_container",
    "root": "code_root",
    "opt": "serverless_options",
    "param": "parameters",
}
"""Old spellings and what they are called now, for the hint of an unknown setting."""
SHORTHANDS = {"param": "parameters", "opt": "serverless_options"}
"""Short names on the command line: ``param.Size=3``, ``opt.colour=red``."""
NOT_SETTINGS = frozenset({"LAMBDABUILD_RULES_PATH"})
CACHES = ("s3://", "http://", "https://", "grpc://", "grpcs://")
EXECUTORS = ("grpc://", "grpcs://")
MOST_MISTAKES = 100
"""So many are told at once."""
EXECUTED = frozenset({"compile", "zip"})
FOLLOWED = frozenset({"parameters", "serverless_options", "tags", "images", "container", "cache", "executor"})
"""Tables whose keys are settings by themselves."""
CHOICES = {
    "format": ("text", "json"), "resolver": ("uv", "pip"), "missing_tools": ("fail", "skip"),
    "use_container": ("true", "false", "auto"), "pull": ("missing", "always", "never"),
    "transfer": ("auto", "mount", "archive"), "architecture": ("x86_64", "arm64"),
}  # fmt: skip
MAPPINGS = ("parameters", "serverless_options", "tags", "options", "images")
TEXTS = ("tags", "metadata")


class Table(Struct, frozen=True):
    """A setting that holds named items, each with fields of its own: ``[sources.NAME]``."""

    item: type[FunctionSettings | Command | SourceSettings]
    example: str
    short: str = ""
    """The field that a value stands for which is given in place of an item's table."""


TABLES: Mapping[str, Table] = {
    "functions": Table(FunctionTable, "a table such as [functions.Orders]"),
    "layers": Table(LayerSettings, "a table such as [layers.deps]"),
    "commands": Table(Command, "a table [commands], with a command for a function or a runtime", short="run"),
    "sources": Table(SourceSettings, "a table such as [sources.app]"),
}


def load(
    file: str,
    text: str,
    environment: Mapping[str, str],
    variables: Mapping[str, str],
    *,
    table: tuple[str, ...] = (),
    sam: SamConfig | None = None,
) -> Settings:
    """Settings from a TOML text (``table`` is where in it they stand), the environment and the command line.

    What a samconfig.toml says comes first, so everything else takes precedence.

    All mistakes are raised together (LB107), each with its place in the file when it has one.
    """
    errors: list[LambdaBuildError] = []
    settings = Settings(notes=sam.notes if sam is not None else ())
    for source in (
        _from_sam(sam),
        _from_toml(file, text, table),
        _from_environment(environment),
        _from_arguments(variables),
    ):
        for given in source:
            try:
                _check_texts(given)
                settings = _set(settings, given)
            except BadSettings as error:
                errors.append(error)
                if len(errors) == MOST_MISTAKES:
                    raise_all(errors)
    raise_all(errors)
    return settings


class _Given(Struct, frozen=True):
    """One setting as somebody gave it. Values from outside TOML are text."""

    path: list[str]
    value: Any
    source: str
    where: Span | None = None
    item: Span | None = None
    """Return the place of the named item that a key is about."""

    @property
    def key(self) -> str:
        return ".".join(self.path)


def _from_sam(sam: SamConfig | None) -> Iterable[_Given]:
    for path, value, where in sam.settings if sam is not None else ():
        yield _Given(path, value, where.file, where)


def sam_config(path: str, env: str, read: Callable[[str], str]) -> SamConfig:
    """Return what a samconfig.toml or .yaml sets. Raises OSError, BadSettings (LB107)."""
    text = read(path)
    places = _places(path, text) if path.endswith(".toml") else {}
    return samconfig.load(path, env, read, lambda key: _place(path, places, key))


def _from_toml(file: str, text: str, table: tuple[str, ...]) -> Iterable[_Given]:
    if not text:
        return
    import tomllib

    try:
        data: Any = regular.toml(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        where = Span(file, int(place[1]), int(place[2])) if place else Span(file)
        raise BadSettings(f"not TOML: {error}", where=where, help="correct the text at that place") from error
    for name in table:
        data = data.get(name, {})
    places = _places(file, text)
    for path, value in _leaves(data):
        whole = (*table, *path)
        item = whole[: len(table) + 2]
        yield _Given(path, value, file, _place(file, places, whole), _place(file, places, item))


def _leaves(data: Any, path: tuple[str, ...] = ()) -> Iterable[tuple[list[str], Any]]:
    """Every (dotted path, value); tables that are settings of their own are followed, ``options`` are not."""
    for key, value in data.items():
        here = (*path, key)
        follow = isinstance(value, dict) and (len(here) < 3) and here[-1] not in ("options",)
        if follow and (here[0] in FOLLOWED or here[0] in TABLES):
            yield from _leaves(value, here)
            if len(here) == 2 and not value:
                yield [*here], value
        else:
            yield list(here), value


def _places(file: str, text: str) -> dict[tuple[str, ...], Span]:
    """Return the first place of each key; TOML's parser keeps no places."""
    places: dict[tuple[str, ...], Span] = {}
    position = 0
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        header, key = re.match(HEADER, line), re.match(KEY, line)
        match = header or key
        if match:
            name = _parts(match[1])
            table, whole = (name, name) if header else (table, (*table, *name))
            start, end = (position + place for place in match.span(1))
            places.setdefault(whole, Span(file, number, match.start(1) + 1, start, end))
        position += len(line)
    return places


def _place(file: str, places: Mapping[tuple[str, ...], Span], path: tuple[str, ...]) -> Span:
    """Return the place of a key, or of the nearest thing around it."""
    above = (path[:count] for count in range(len(path), 0, -1))
    return next((places[name] for name in above if name in places), Span(file))


WORD = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
DOTTED = rf"{WORD}(?:\s*\.\s*{WORD})*"
HEADER = rf"\s*\[+\s*({DOTTED})\s*\]"
KEY = rf"\s*({DOTTED})\s*="


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(word.strip("\"'") for word in re.findall(WORD, dotted))


def _from_environment(environment: Mapping[str, str]) -> Iterable[_Given]:
    for name in sorted(environment):
        if name.startswith("LAMBDABUILD_") and name not in NOT_SETTINGS:
            first, *rest = name.removeprefix("LAMBDABUILD_").split("__")
            yield _Given([first.lower(), *rest], environment[name], f"the variable {name}")


def _from_arguments(variables: Mapping[str, str]) -> Iterable[_Given]:
    for key, value in variables.items():
        first, *rest = key.split(".")
        yield _Given([SHORTHANDS.get(first, first), *rest], value, f"the argument {key}={value}")


def _check_texts(given: _Given) -> None:
    """No text of a setting can be a path, a pattern or a name when it holds a NUL or half a character."""
    for text in (*given.path, *_all_texts(given.value)):
        try:
            is_text = b"\0" not in text.encode()
        except UnicodeEncodeError:
            is_text = False
        if not is_text:
            raise BadSettings(
                f"setting {given.key!a} holds {text!a}, which is not a text",
                where=given.where,
                help=f"change it in {ascii(given.source)[1:-1]}",
            )


def _all_texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value:
            yield from _all_texts(item)
        for item in value.values() if isinstance(value, dict) else ():
            yield from _all_texts(item)


def _set(settings: Settings, given: _Given) -> Settings:
    first, *rest = given.path
    known = keys_of(Settings)
    if first not in known:
        raise _unknown(given, first, [*known, "param.NAME"])
    if first in TABLES:
        items = {**getattr(settings, first), **_item(getattr(settings, first), given, first, rest)}
        return _with(settings, first, items)
    if first == "container":
        old = {"environment": settings.container.environment}
        return replace(settings, container=replace(settings.container, **_container(old, given, rest)))
    if first == "cache":
        return replace(settings, cache=_cache(settings.cache, given, rest))
    if first == "executor":
        return replace(settings, executor=_executor(settings.executor, given, rest))
    if first in MAPPINGS:
        old_map = getattr(settings, first)
        if rest:
            value = given.value if first == "options" else _text(given)
            return _with(settings, first, {**old_map, ".".join(rest): value})
        if not isinstance(given.value, dict):
            raise _bad(given, f"a table, or {first}.NAME=value")
        return _with(settings, first, {**old_map, **given.value})
    if rest:
        raise _unknown(given, given.key, known)
    return _with(settings, first, _typed(given, first, Settings))


def _item(items: Mapping[str, Any], given: _Given, name: str, rest: list[str]) -> dict[str, Any]:
    """The named item of a table with the value in it: ``{NAME: item}``."""
    table = TABLES[name]
    is_whole = len(rest) == 1 and given.value == {}
    key = rest[1] if rest[1:] else table.short
    known = keys_of(table.item)
    if not rest or not (key or is_whole) or len(rest) > (3 if key in TEXTS else 4 if key == "container" else 2):
        raise _bad(given, table.example)
    old = items.get(rest[0]) or table.item()
    changes: dict[str, Any] = {"where": given.item} if hasattr(old, "where") and given.item else {}
    if not is_whole:
        if key not in known:
            raise _unknown(given, key, known)
        changes[key] = _value(given, key, old, table.item, rest[2:])
    return {rest[0]: replace(old, **changes)}


def _value(given: _Given, key: str, old: Any, kind: type[Struct], rest: list[str]) -> Any:
    if key == "container":
        return {**old.container, **_container(old.container, given, rest)}
    return _texts(given, getattr(old, key), rest) if key in TEXTS else _typed(given, key, kind)


def _texts(given: _Given, old: Mapping[str, str], rest: list[str]) -> dict[str, str]:
    """A table of texts, given whole or name by name."""
    if rest:
        return {**old, rest[0]: _text(given)}
    if not isinstance(given.value, dict):
        raise _bad(given, f"a table, or {given.key}.NAME=value")
    return {**old, **{name: _text(replace(given, value=value)) for name, value in given.value.items()}}


def _container(old: Mapping[str, Any], given: _Given, rest: list[str]) -> dict[str, Any]:
    """Return the given part of a [container] table, as a whole table or one key of it."""
    if not rest:
        if not isinstance(given.value, dict):
            raise _bad(given, "a table")
        parts = [(key, replace(given, path=[*given.path, key], value=value)) for key, value in given.value.items()]
        return {name: value for key, part in parts for name, value in _container(old, part, [key]).items()}
    known = keys_of(Container)
    name = rest[0].lower()  # a variable of the environment writes it large
    if name not in known:
        raise _unknown(given, rest[0], known)
    if name == "environment":
        return {"environment": _texts(given, old.get("environment", {}), rest[1:])}
    if rest[1:]:
        raise _unknown(given, given.key, known)
    return {name: _typed(given, name, Container)}


def _cache(settings: CacheSettings, given: _Given, rest: list[str]) -> CacheSettings:
    key, value = _of_table(settings, given, rest)
    if key == "max_size" and size_of(value) is None:
        raise _bad(given, 'a size such as "500 MB" or "10 GB"')
    if key == "remotes" and not all(address.startswith(CACHES) for address in value):
        raise _bad(given, f"addresses that begin with {', '.join(CACHES)}")
    changes: dict[str, Any] = {key: value}
    return replace(settings, **changes)


def _executor(settings: ExecutorSettings, given: _Given, rest: list[str]) -> ExecutorSettings:
    """A whole address stands for the table that has no more."""
    key, value = _of_table(settings, given, rest or ["address"])
    if key == "address" and value and not value.startswith(EXECUTORS):
        raise _bad(given, f"an address that begins with {' or '.join(EXECUTORS)}")
    if key == "steps" and not set(value) <= EXECUTED:
        raise _bad(given, f"a list of {', '.join(sorted(EXECUTED))}")
    changes: dict[str, Any] = {key: value}
    return replace(settings, **changes)


def _of_table(settings: Any, given: _Given, rest: list[str]) -> tuple[str, Any]:
    """The key of a table that a setting is about, and its value; in tables within it, name by name."""
    known = keys_of(type(settings))
    key = rest[0].lower() if rest else ""
    if not rest:
        raise _bad(given, f"a table [{given.key}]")
    old = getattr(settings, key, None)
    if key not in known or (rest[1:] and not isinstance(old, Mapping)):
        raise _unknown(given, key, known)
    if rest[1:]:
        return key, {**(old or {}), ".".join(rest[1:]): _text(given)}
    return key, _typed(given, key, type(settings))


def _with(settings: Settings, name: str, value: Any) -> Settings:
    changes: dict[str, Any] = {name: value}
    return replace(settings, **changes)


def _typed(given: _Given, name: str, kind: type[Struct]) -> Any:
    """Return the value of a field as its class wants it."""
    value = given.value
    default = getattr(kind(), name)
    if isinstance(default, bool) or annotation_of(kind, name) == "bool | None":
        if isinstance(value, str) and value.lower() in ("true", "1", "yes", "on", "false", "0", "no", "off", ""):
            return value.lower() in ("true", "1", "yes", "on")
        if isinstance(value, bool):
            return value
        raise _bad(given, "true or false")
    if isinstance(default, int):
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        if isinstance(value, str) and value.isdigit():
            return int(value)
        raise _bad(given, "a whole number, 0 or more")
    if isinstance(default, tuple):
        if isinstance(value, str):
            value = [part for part in value.split(",") if part]
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            return tuple(value)
        raise _bad(given, "a list of texts")
    if isinstance(default, dict):
        if isinstance(value, dict):
            return value
        raise _bad(given, "a table")
    if name == "use_container" and isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str):
        raise _bad(given, "a text in quotes")
    allowed = CHOICES.get(name)
    if allowed and value not in allowed:
        raise _bad(given, f"one of {', '.join(allowed)}")
    return value


def _text(given: _Given) -> str:
    if isinstance(given.value, bool):
        return str(given.value).lower()
    if isinstance(given.value, str | int | float):
        return str(given.value)
    if isinstance(given.value, list):
        return ",".join(map(str, given.value))
    raise _bad(given, "a text or a number")


def _bad(given: _Given, expected: str) -> BadSettings:
    return BadSettings(
        f"setting {given.key!r} is {given.value!r}, expected {expected}",
        where=given.where,
        help=f"change it in {given.source}",
    )


def _unknown(given: _Given, name: str, known: list[str]) -> BadSettings:
    new = RENAMED.get(name, "")
    near = new if new in known else nearest(name, known)
    return BadSettings(
        f"unknown setting {given.key!r} in {given.source}",
        where=given.where,
        help=f"did you mean {near!r}?" if near else f"known settings: {', '.join(sorted(known))}",
    )
