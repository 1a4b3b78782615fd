"""Which plugins count in a service, and what they say of each function and layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.records import Struct, replace
from lambdabuild.core.spans import Node, from_data, to_data
from lambdabuild.frontends.serverless.plugins import built_in, esbuild, known, python_requirements, socless
from lambdabuild.frontends.serverless.plugins.built_in import BuiltIn, TypeScript
from lambdabuild.frontends.serverless.plugins.esbuild import Esbuild
from lambdabuild.frontends.serverless.plugins.options import Files, Packing, Service, Table
from lambdabuild.frontends.serverless.plugins.python_requirements import PythonRequirements
from lambdabuild.frontends.serverless.plugins.socless import Socless

Value = Callable[[tuple[str, ...]], Node | None]
"""Returns the value at a path of the file with its variables resolved."""


class Plugins(Struct, frozen=True):
    """The plugins of one service; None for those that do not count."""

    python: PythonRequirements | None = None
    socless: Socless | None = None
    esbuild: Esbuild | None = None
    built_in: BuiltIn | None = None
    typescript: TypeScript | None = None

    def errors(self) -> list[LambdaBuildError]:
        return [error for plugin in self._counting for error in plugin.errors()]

    def notes(self) -> list[str]:
        return [note for plugin in self._counting for note in plugin.notes()]

    @property
    def _counting(self) -> list[PythonRequirements | Socless | Esbuild | BuiltIn | TypeScript]:
        every = (self.python, self.socless, self.esbuild, self.built_in, self.typescript)
        return [plugin for plugin in every if plugin is not None]

    def with_source_maps(self, root: Node) -> Node:
        """Return the configuration with NODE_OPTIONS for functions that version 4 bundles with source maps."""
        functions = root.get("functions")
        if self.built_in is None or not self.built_in.node_options() or functions is None or not functions.value:
            return root
        provider = cast("Mapping[str, Any]", to_data(root.get("provider") or Node({}, root.span)))
        there = cast("dict[str, Node]", functions.value)
        named = {key: self._with_node_options(node, provider) for key, node in there.items()}
        return replace(
            root, value={**cast("dict[str, Node]", root.value), "functions": replace(functions, value=named)}
        )

    def _with_node_options(self, function: Node, provider: Mapping[str, Any]) -> Node:
        config = cast("Mapping[str, Any]", to_data(function))
        runtime = str(config.get("runtime") or provider.get("runtime") or "")
        if not runtime.startswith("nodejs") or self.of_function(config, runtime, False).bundled is None:
            return function
        environment = {**(provider.get("environment") or {}), **(config.get("environment") or {})}
        options_text = environment.get("NODE_OPTIONS", "")
        if not isinstance(options_text, str) or built_in.FLAG in options_text.split():
            return function
        own = function.get("environment") or Node({}, function.span)
        options = from_data(f"{options_text} {built_in.FLAG}".strip(), own.span)
        own = replace(own, value={**cast("dict[str, Node]", own.value or {}), "NODE_OPTIONS": options})
        return replace(function, value={**cast("dict[str, Node]", function.value), "environment": own})

    def with_layers(self, root: Node) -> Node:
        """Return the configuration with the layers that plugins add, which win over layers of the same name."""
        added = self.python.layers() if self.python is not None else {}
        if self.python is None or not added:
            return root
        node = from_data(added, self.python.table.place("layer"))
        there = root.get("layers")
        members = there.value if there is not None and isinstance(there.value, dict) else {}
        layers = replace(there or node, value={**members, **cast("dict[str, Node]", node.value)})
        return replace(root, value={**cast("dict[str, Node]", root.value), "layers": layers})

    def makes_layer(self, key: str) -> bool:
        return self.python is not None and "path" in self.python.layers().get(key, {})

    def of_layer(self, key: str) -> Packing:
        return self.python.packing_of_layer() if self.python is not None and self.makes_layer(key) else Packing()

    def of_function(self, config: Mapping[str, Any], runtime: str, is_alone: bool) -> Packing:
        """Return how a function is packed. ``is_alone`` means that it has a zip of its own."""
        if self.socless is not None and self.socless.packs(config):
            return self.socless.packing(config)
        if self.python is not None and runtime.startswith("python"):
            return self.python.packing(config, is_alone)
        if self.esbuild is not None and runtime.startswith("nodejs"):
            return self.esbuild.packing(config, is_alone)
        for bundler in (self.built_in, self.typescript):
            if bundler is not None and runtime.startswith("nodejs"):
                return bundler.packing(config, runtime, is_alone)
        return Packing()


def read(root: Node, raw: Node, value: Value, base: str, stage: str, files: Files, build_dir: str = "build") -> Plugins:
    """Return the plugins that are listed or configured. ``raw`` is the file before variables were resolved."""
    data = to_data(root)
    listed = [entry.name for entry in known.listed(root)]
    service = Service(data, base, stage, files, build_dir)
    where = (root.get("plugins") or root).span

    def table(name: str, at: tuple[str, ...], known: Mapping[str, Any]) -> Table | None:
        node = value(at) if _has(root, at) else None
        return Table(".".join(at), node, known, where) if node is not None or name in listed else None

    python = table(python_requirements.NAME, ("custom", python_requirements.SECTION), python_requirements.OPTIONS)
    of_socless = table(socless.NAME, ("custom", socless.SECTION), socless.OPTIONS)
    build = data.get("build")
    of_build = build.get(esbuild.SECTION) if isinstance(build, dict) else build == esbuild.SECTION
    bundler = table(esbuild.NAME, ("custom", esbuild.SECTION), esbuild.OPTIONS)
    node = value(("build", esbuild.SECTION)) if isinstance(of_build, dict) else None
    place = (root.get("build") or root).span
    has_build_key = any(entry.get("build") == esbuild.SECTION for entry in service.functions.values())
    is_silent = not of_build and (built_in.bundles_by_itself(data, listed) or has_build_key)
    typescript = table(built_in.NAME, ("custom", built_in.SECTION), built_in.TYPESCRIPT_OPTIONS)
    counts = of_build or (is_silent and not bundler and not typescript)
    functions = root.get("functions")
    return Plugins(
        PythonRequirements(service, python, _at(raw, ("custom", python_requirements.SECTION))) if python else None,
        Socless(service, of_socless, functions.keys if functions is not None else {}) if of_socless else None,
        Esbuild(service, bundler) if bundler and not of_build else None,
        BuiltIn(service, Table("build.esbuild", node, built_in.OPTIONS, place), is_silent) if counts else None,
        TypeScript(service, typescript) if typescript else None,
    )


def _has(root: Node, path: tuple[str, ...]) -> bool:
    return _at(root, path) is not None


def _at(node: Node | None, path: tuple[str, ...]) -> Node | None:
    for key in path:
        node = node.get(key) if node is not None else None
    return node
