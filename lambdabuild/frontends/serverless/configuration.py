"""A checked serverless.yml, and the functions, layers, images and files collected from it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, cast

from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.model import Asset, Function, Image, Layer, Skipped
from lambdabuild.core.spans import Node, Span, to_data
from lambdabuild.frontends.serverless.plugins.options import Files
from lambdabuild.frontends.serverless.plugins.read import Plugins

DEFAULT_RUNTIME = "nodejs16.x"
"""The Serverless Framework's default."""

Section = Mapping[str, Any]
"""A mapping of the configuration as plain data."""


@dataclass(frozen=True)
class Configuration:
    """A serverless.yml in which every variable is resolved and every value has the type its schema wants."""

    path: str
    root: Node
    stage: str
    plugins: Plugins
    files: Files

    @cached_property
    def data(self) -> dict[str, Any]:
        """The whole as plain data; nobody may change it."""
        return cast("dict[str, Any]", to_data(self.root))

    @cached_property
    def folder(self) -> str:
        """The service's folder; every path in the file is relative to it."""
        return posixpath.dirname(self.path) or "."

    def local(self, path: str) -> str:
        """Return a path of the file relative to the project."""
        return posixpath.normpath(posixpath.join(self.folder, path))

    @property
    def functions(self) -> Section:
        return self.data.get("functions") or {}

    @property
    def layers(self) -> Section:
        return self.data.get("layers") or {}

    @property
    def provider(self) -> Section:
        return cast("Section", self.data["provider"])

    @property
    def package(self) -> Section:
        return self.data.get("package") or {}

    def runtime(self, function: Section) -> str:
        return function.get("runtime") or self.provider.get("runtime") or DEFAULT_RUNTIME

    def architecture(self, function: Section) -> Literal["x86_64", "arm64"]:
        architecture = function.get("architecture") or self.provider.get("architecture") or "x86_64"
        return cast("Literal['x86_64', 'arm64']", architecture)  # the schema allows no other

    def layer_name(self, key: str) -> str:
        """Return a layer's name in the plan: its key, with ``Layer`` added while a function has that name."""
        name = key
        while name in self.functions:
            name += "Layer"
        return name

    def place(self, section: str, key: str) -> Span:
        """Return where a function or layer begins."""
        node = self.root.get(section)
        return node.keys.get(key, node.span) if node is not None else self.root.span

    def at(self, *path: str) -> Node | None:
        """Return the node at a path of keys; None when there is none."""
        node: Node | None = self.root
        for key in path:
            node = node.get(key) if node is not None else None
        return node


@dataclass
class Collected:
    """Everything read of a configuration so far."""

    functions: list[Function] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    assets: list[Asset] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    artifacts: dict[str, str] = field(default_factory=dict)
    """``function:KEY``, ``layer:KEY`` or ``image:KEY`` -> the name in the plan, or an ``s3://`` address."""
    settings: dict[str, FunctionSettings] = field(default_factory=dict)
    errors: list[LambdaBuildError] = field(default_factory=list)
