"""How a plugin's options are read: one table for each plugin says what becomes of every one of them."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from lambdabuild.config.settings import nearest
from lambdabuild.core.errors import BadPluginOption, LambdaBuildError
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.records import Struct, field
from lambdabuild.core.spans import Node, Span, to_data

Kind = Literal["flag", "text", "texts", "number", "mapping"]
KINDS: Mapping[Kind, tuple[type, ...]] = {
    "flag": (bool,), "text": (str,), "texts": (list,), "number": (int, float), "mapping": (dict,),
}  # fmt: skip
A_OR_AN: Mapping[Kind, str] = {
    "flag": "true or false", "text": "a text", "texts": "a list of texts", "number": "a number", "mapping": "a mapping",
}  # fmt: skip

Becomes = Literal["mapped", "no effect", "told"]
"""``mapped`` to something of lambdabuild's; accepted with ``no effect``, since there is no use for it; or it asks for
what lambdabuild does not do, which is ``told`` by a note."""


class Option(Struct, frozen=True):
    """The values that an option may have, what becomes of it, and its words in docs/guides/plugins.md."""

    kinds: tuple[Kind, ...]
    becomes: Becomes
    words: str


class Files(Protocol):
    def kind(self, path: str) -> Literal["file", "folder", ""]: ...

    def read(self, path: str) -> str: ...


class Packing(Struct, frozen=True):
    """How one function or layer is packed."""

    settings: FunctionSettings = field(default_factory=FunctionSettings)
    source: str = ""
    """The folder whose content is the root of its zip; "" when no plugin says so."""
    is_whole: bool = False
    """Package patterns are not about it: all of its source goes in."""
    is_made: bool = False
    """Its ``package.artifact`` is what is made, and not one to be found."""
    bundled: Mapping[str, Any] | None = None
    """Options of a bundle, when it is one."""
    extras: tuple[str, ...] = ()
    """Globs of what goes in beside a bundle."""


class Table(Struct, frozen=True):
    """One plugin's options as they are written: ``at`` is where they stand (``custom.pythonRequirements``)."""

    at: str
    node: Node | None
    known: Mapping[str, Option]
    where: Span

    @property
    def values(self) -> dict[str, Any]:
        """Return the value of each known option. ``"true"`` is true, as variables give it."""
        return {name: _typed(value, self.known[name]) for name, value in self.written.items() if name in self.known}

    @property
    def written(self) -> dict[str, Any]:
        """Return all options as they are written."""
        values = to_data(self.node) if self.node is not None else {}
        return values if isinstance(values, dict) else {}

    def place(self, name: str) -> Span:
        if self.node is None:
            return self.where
        return self.node.keys.get(name, self.node.span)

    def errors(self) -> list[LambdaBuildError]:
        """Return an error for each value that is not allowed (LB112)."""
        if self.node is None or self.node.value is None:
            return []
        if not isinstance(self.node.value, dict):
            return [BadPluginOption(f"{self.at} is not a mapping", where=self.node.span, help="name each option")]
        return [
            BadPluginOption(
                f"{self.at}.{name} is {value!r}, and must be {' or '.join(A_OR_AN[kind] for kind in option.kinds)}",
                where=self.place(name),
                help="correct it, or leave it out",
            )
            for name, value in self.values.items()
            if not _fits(value, option := self.known[name])
        ]

    def notes(self, passes_others: bool = False) -> list[str]:
        """Return notes about options without effect, unless no effect is wanted."""
        notes = []
        for name in self.written:
            if name not in self.known:
                near = nearest(name, self.known)
                hint = f"; did you mean {near}?" if near else ""
                notes += [] if passes_others else [f"{self.place(name)}: {self.at}.{name} is not known{hint}"]
            elif self.known[name].becomes == "told" and self.values[name]:
                notes.append(f"{self.place(name)}: {self.at}.{name}: {self.known[name].words}")
        return notes


def _typed(value: object, option: Option) -> Any:
    if "flag" in option.kinds and value in ("true", "false"):
        return value == "true"
    if "texts" in option.kinds and "text" not in option.kinds and isinstance(value, str):
        return [value]
    return value


def _fits(value: object, option: Option) -> bool:
    if value is None:
        return True
    if isinstance(value, list) and "texts" in option.kinds:
        return all(isinstance(item, str | int | float) for item in value)
    if isinstance(value, bool):
        return "flag" in option.kinds
    return isinstance(value, tuple(kind for name in option.kinds for kind in KINDS[name]))


class Service(Struct, frozen=True):
    """What a plugin may know of the service. Paths that it is given are relative to the service's folder."""

    data: Mapping[str, Any]
    base: str
    stage: str
    files: Files
    build_dir: str = "build"
    """The folder for zips, relative to the project."""

    @property
    def provider(self) -> Mapping[str, Any]:
        given = self.data.get("provider")
        return given if isinstance(given, dict) else {}

    @property
    def package(self) -> Mapping[str, Any]:
        given = self.data.get("package")
        return given if isinstance(given, dict) else {}

    @property
    def functions(self) -> Mapping[str, Mapping[str, Any]]:
        given = self.data.get("functions")
        items = given.items() if isinstance(given, dict) else ()
        return {key: config for key, config in items if isinstance(config, dict)}

    def local(self, path: str) -> str:
        """Return a path of the service relative to the project."""
        return posixpath.normpath(posixpath.join(self.base, path))

    def runtime(self, function: Mapping[str, Any]) -> str:
        return str(function.get("runtime") or self.provider.get("runtime") or "")

    def is_python(self, function: Mapping[str, Any]) -> bool:
        """Return whether a function is Python, as the plugins decide: only a runtime that is named counts."""
        return self.runtime(function).startswith("python") and not function.get("image")

    def is_there(self, path: str) -> bool:
        return bool(self.files.kind(self.local(path)))


def container(variables: object, name: object = None) -> dict[str, Any]:
    """What of the setting ``container`` options say: ``NAME=value`` is told it, ``NAME`` is passed on as it is here."""
    given = texts(variables)
    told = dict(variable.split("=", 1) for variable in given if "=" in variable)
    passed = tuple(variable for variable in given if "=" not in variable)
    settings = {"name": name, "environment": told, "pass_environment": passed}
    return {key: value for key, value in settings.items() if value}


def texts(value: object) -> list[str]:
    """Return a list of texts that may be written as one text, or be missing."""
    if not value:
        return []
    given: Sequence[Any] = value if isinstance(value, list) else [value]
    return [str(item) for item in given]
