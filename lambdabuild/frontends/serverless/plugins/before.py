"""Changes that plugins make to a service before it is checked: .env files' variables, and conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lambdabuild.core.errors import raise_all
from lambdabuild.core.spans import Node, Span
from lambdabuild.frontends.serverless.plugins import dotenv_plugin, known, switches
from lambdabuild.frontends.serverless.plugins.options import Table
from lambdabuild.frontends.serverless.plugins.read import Value
from lambdabuild.frontends.serverless.variables.sources import World


class Outside(World, Protocol):
    def load_dotenv(self, *names: str, expands: bool = True) -> dict[str, str]:
        """Load these .env files; what the environment has already wins."""
        ...

    def conditions(self, conditions: Sequence[str], service: object) -> Sequence[Mapping[str, Any]]:
        """Evaluate JavaScript conditions of plugins: ``{holds: bool}`` or ``{error: text}`` for each."""
        ...


def changed(
    root: Node,
    value: Value,
    ignored: Sequence[str],
    outside: Outside,
    options: Mapping[str, str],
    artifacts_only: bool = False,
) -> tuple[Node, list[str]]:
    """Return the service as its plugins change it, and notes. ``options`` are those of the command line.

    Plugins whose work would be lost are an error (LB115); other plugins that are not run get a note.
    """
    listed = known.listed(root)
    raise_all(known.not_run(listed, ignored, artifacts_only))
    notes = list(known.notes(listed, ignored, artifacts_only))
    done = {plugin.name: plugin.where for plugin in listed if not known.is_ignored(plugin.name, ignored)}
    if dotenv_plugin.NAME in done:
        root, told = _with_dotenv(root, value, outside, options, done[dotenv_plugin.NAME])
        notes += told
    conditions = value(switches.SECTION) if switches.IF_ELSE in done else None
    changes = switches.Switches(root, conditions, outside.conditions)
    return changes.apply([*done]), [*notes, *changes.notes]


def _with_dotenv(
    root: Node, value: Value, outside: Outside, options: Mapping[str, str], where: Span
) -> tuple[Node, list[str]]:
    at = ("custom", dotenv_plugin.SECTION)
    name = outside.variable("NODE_ENV") or options.get("env") or options.get("stage") or "development"
    table = Table(".".join(at), value(at), dotenv_plugin.OPTIONS, where)
    plugin = dotenv_plugin.Dotenv(table, name, lambda path: outside.text(path) is not None)
    return plugin.with_variables(root, outside.load_dotenv, outside.variable)
