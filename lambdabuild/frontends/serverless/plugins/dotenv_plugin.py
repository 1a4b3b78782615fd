"""serverless-dotenv-plugin (``custom.dotenv``): variables of .env files that every function gets.

https://github.com/neverendingqs/serverless-dotenv-plugin
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from lambdabuild.core.errors import BadPluginOption, LambdaBuildError, PluginNeeds, raise_all
from lambdabuild.core.records import Struct, replace
from lambdabuild.core.spans import Node, from_data
from lambdabuild.frontends.serverless.plugins.options import Option, Table, texts

NAME, SECTION = "serverless-dotenv-plugin", "dotenv"

OPTIONS: Mapping[str, Option] = {
    "path": Option(("text", "texts"), "mapped", "the files that are read, and no others"),
    "basePath": Option(("text",), "mapped", "what the files' names begin with"),
    "include": Option(("texts", "text"), "mapped", "these variables alone"),
    "exclude": Option(("texts", "text"), "mapped", "all but these, when nothing is included by name"),
    "required": Option(("mapping",), "mapped", "`env`, `file`: LB114 when a variable or a file is missing"),
    "variableExpansion": Option(("flag",), "mapped", "`false`: `$NAME` stays as it is"),
    "logging": Option(("flag",), "mapped", "`false`: no note names the variables"),
    "v4BreakingChanges": Option(("flag",), "no effect", "mistakes are errors anyway"),
    "dotenvParser": Option(("text",), "mapped", "LB112: a program of your own is not run"),
}

Load = Callable[..., dict[str, str]]
"""Load .env files, in order, into the environment; gives what they bring."""


class Dotenv(Struct, frozen=True):
    """The plugin in one service. ``name`` is what the environment is called: NODE_ENV, ``env`` or the stage."""

    table: Table
    name: str
    is_there: Callable[[str], bool]

    @property
    def options(self) -> Mapping[str, Any]:
        return self.table.values

    def files(self) -> list[str]:
        """Return the files that exist, the most specific first."""
        if self.options.get("path"):
            return texts(self.options["path"])
        names = [f".env.{self.name}.local", f".env.{self.name}", ".env.local", ".env"]
        base = self.options.get("basePath") or ""
        paths = [base + name for name in names if name != ".env.local" or self.name != "test"]
        return [path for path in paths if self.is_there(posixpath.normpath(path))]

    def with_variables(self, root: Node, load: Load, environment: Callable[[str], Any]) -> tuple[Node, list[str]]:
        """Return the service with the variables, and notes. Raises LB112 and LB114."""
        raise_all(self.errors())
        files = self.files()
        variables = load(*map(posixpath.normpath, files), expands=self.options.get("variableExpansion") is not False)
        raise_all(self.missing(files, variables, environment))
        chosen = {name: value for name, value in variables.items() if self.is_chosen(name)}
        return self._with(root, chosen), [*self.table.notes(), *self.told(files, chosen)]

    def errors(self) -> Iterator[LambdaBuildError]:
        yield from self.table.errors()
        if self.options.get("dotenvParser"):
            yield BadPluginOption(
                f"{self.table.at}.dotenvParser is a program, and it is not run",
                where=self.table.place("dotenvParser"),
                help="write what it gives into provider.environment, or into a .env file before the build",
            )

    def missing(
        self, files: list[str], variables: Mapping[str, str], environment: Callable[[str], Any]
    ) -> Iterator[LambdaBuildError]:
        required = self.options.get("required") or {}
        where = self.table.place("required")
        if required.get("file") is True and not files:
            yield PluginNeeds(f"{self.table.at}.required.file: there is no .env file", where=where, help="add one")
        names = [name for name in texts(required.get("env")) if not variables.get(name) and not environment(name)]
        if names:
            yield PluginNeeds(
                f"{self.table.at}.required.env: {', '.join(names)} {'is' if len(names) == 1 else 'are'} not set",
                where=where,
                help="set it in the environment or in a .env file",
            )

    def is_chosen(self, name: str) -> bool:
        include, exclude = self.options.get("include", "*"), self.options.get("exclude") or []
        return name not in exclude if include == "*" else name in (include or [])

    def told(self, files: list[str], chosen: Mapping[str, str]) -> Iterator[str]:
        if self.options.get("logging") is False:
            return
        if chosen:
            yield f"{self.table.where}: every function gets of {', '.join(files)}: {', '.join(chosen)}"
        elif not files:
            yield f"{self.table.where}: {NAME}: there is no .env file"

    def _with(self, root: Node, variables: Mapping[str, str]) -> Node:
        """They win over what ``provider.environment`` says; that is there from now on, as with the plugin."""
        provider = cast("Node", root.get("provider"))
        if not isinstance(provider.value, dict):  # provider: aws
            provider = replace(provider, value={"name": provider})
        members = cast("dict[str, Node]", provider.value)
        own = members.get("environment")
        there = own.value if own is not None and isinstance(own.value, dict) else {}
        added = from_data(dict(variables), self.table.where, "secret")
        environment = Node({**there, **cast("dict[str, Node]", added.value)}, own.span if own else self.table.where)
        provider = replace(provider, value={**members, "environment": environment})
        return replace(root, value={**cast("dict[str, Node]", root.value), "provider": provider})
