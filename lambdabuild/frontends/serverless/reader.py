"""A serverless.yml -> Service: resolve its variables, check it against its schema, and read what is built."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from lambdabuild.core.errors import BadConfiguration, LambdaBuildError, SourceFailed, raise_all
from lambdabuild.core.model import Definition, Service
from lambdabuild.core.records import Struct, replace
from lambdabuild.core.spans import Node, Span, from_data, to_data
from lambdabuild.frontends import loops
from lambdabuild.frontends.scopes import scope
from lambdabuild.frontends.serverless import functions, sections
from lambdabuild.frontends.serverless.configuration import Collected, Configuration
from lambdabuild.frontends.serverless.plugins import before, known
from lambdabuild.frontends.serverless.plugins import read as plugins
from lambdabuild.frontends.serverless.plugins.options import Files
from lambdabuild.frontends.serverless.schema import Mistake, check
from lambdabuild.frontends.serverless.variables.resolver import Resolver
from lambdabuild.frontends.serverless.variables.sources import JAVASCRIPT, sources
from lambdabuild.frontends.yaml_text import parse

DEFAULT_STAGE, DEFAULT_REGION = "dev", "us-east-1"
"""The Serverless Framework's defaults."""

UNNEEDED = ("custom", "params", "stages")
"""Sections that exist to be referred to; variables in them are resolved only where something refers to them."""


class RunOptions(Struct, frozen=True):
    """The options of this run; ``stage`` and ``region`` are "" when they were not set."""

    stage: str = ""
    region: str = ""
    options: Mapping[str, str] | None = None
    params: Mapping[str, str] | None = None
    build_dir: str = "build"
    """The folder zips are written to, relative to the project."""
    plugins_ignored: tuple[str, ...] = ()
    """Plugins whose work the template does not need; ``*`` stands for any text."""
    artifacts_only: bool = False
    """The Serverless Framework makes the template, and runs the plugins."""


def load(path: str, text: str, files: Files, outside: before.Outside, run_options: RunOptions) -> Service:
    """Read a serverless.yml (or .json, .js, .ts). Raise all mistakes of a kind together."""
    return read(path, _parsed(path, text, outside), files, outside, run_options)


def read(path: str, root: Node, files: Files, outside: before.Outside, run_options: RunOptions) -> Service:
    """Read a parsed serverless.yml. Raise all mistakes of a kind together."""
    return _Reading(path, root, files, outside, run_options).service()


def _parsed(path: str, text: str, outside: before.Outside) -> Node:
    if not path.endswith(JAVASCRIPT):
        return parse(path, text, core_schema=True)[0]
    try:
        data = outside.javascript(path, "", lambda kind, what: None)
    except SourceFailed as error:
        raise BadConfiguration(f"{path}: {error.message}", where=Span(path), help=error.help) from error
    if not isinstance(data, dict):
        raise BadConfiguration(f"{path} does not export a mapping", where=Span(path), help="export the configuration")
    return from_data(data, Span(path))


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of a serverless.yml, for checks and for editors; nobody may change it."""
    return cast("dict[str, Any]", json.loads(schema_text()))


def schema_text() -> str:
    """Return the JSON Schema of a serverless.yml as text."""
    with open(os.path.join(os.path.dirname(__file__), "schema.json"), encoding="utf-8") as stream:
        return stream.read()


class _Reading:
    """One serverless.yml being read."""

    def __init__(self, path: str, root: Node, files: Files, outside: before.Outside, run_options: RunOptions) -> None:
        self.path, self.files, self.outside, self.run_options = path, files, outside, run_options
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.resolver = Resolver(root, sources(outside, self))

    # Variables ask for these.

    @property
    def options(self) -> Mapping[str, str]:
        named = {"stage": self.run_options.stage, "region": self.run_options.region}
        return {**(self.run_options.options or {}), **{name: value for name, value in named.items() if value}}

    @property
    def params(self) -> Mapping[str, str]:
        return self.run_options.params or {}

    def stage(self) -> str:
        return self.run_options.stage or self._provider_text("stage") or DEFAULT_STAGE

    def region(self) -> str:
        return self.run_options.region or self._provider_text("region") or DEFAULT_REGION

    def _provider_text(self, key: str) -> str:
        node = self.resolver.at(("provider", key))
        return node.value if node is not None and isinstance(node.value, str) else ""

    # The story.

    def service(self) -> Service:
        """Return the Service. Raise all mistakes of a kind together."""
        self._load_dotenv()
        raw = self.resolver.root
        root = sections.merged(self.resolver.whole(UNNEEDED))
        sections.refuse_what_is_no_service(root)
        root, notes = before.changed(
            root,
            self.resolver.at,
            self.run_options.plugins_ignored,
            self.outside,
            self.options,
            self.run_options.artifacts_only,
        )
        self.notes += notes
        configuration = self._with_plugins(self._checked(root), raw)
        root = configuration.root
        raise_all([*sections.functions_without_handler(root), *self._wrong_loops(root)])
        collected = functions.collect(configuration)
        raise_all(collected.errors)
        return self._service(configuration, collected)

    def _load_dotenv(self) -> None:
        """Load .env files: version 3 loads one when it is asked to, version 4 both unless it is told not to."""
        files = [f".env.{self.stage()}", ".env"]
        wanted = self.resolver.at(("useDotenv",))
        if wanted is None and sections.is_version_4(self.resolver.root):
            self.outside.load_dotenv(*files)
        elif wanted is not None and wanted.value is True:
            self.outside.load_dotenv(next((file for file in files if self.outside.text(file) is not None), ".env"))

    def _with_plugins(self, root: Node, raw: Node) -> Configuration:
        """Return the configuration with what plugins add; ``raw`` is the file before variables were resolved."""
        folder, build_dir = posixpath.dirname(self.path), self.run_options.build_dir
        counting = plugins.read(root, raw, self.resolver.at, folder, self.stage(), self.files, build_dir)
        raise_all(counting.errors())
        with_layers = counting.with_layers(root)
        root = counting.with_source_maps(root if with_layers is root else self._checked(with_layers))
        return Configuration(self.path, root, self.stage(), counting, self.files)

    def _service(self, configuration: Configuration, collected: Collected) -> Service:
        artifacts = dict(sorted(collected.artifacts.items()))
        notes = [*self.notes, *configuration.plugins.notes(), *collected.notes]
        return Service(
            documents=(),
            functions=tuple(collected.functions),
            layers=tuple(collected.layers),
            images=tuple(collected.images),
            assets=tuple(collected.assets),
            skipped=tuple(collected.skipped),
            warnings=tuple(dict.fromkeys(self.warnings)),
            notes=tuple(dict.fromkeys(notes)),
            settings=dict(sorted(collected.settings.items())),
            definition=Definition(self.path, configuration.root, self.stage(), self.region(), artifacts),
        )

    def _checked(self, root: Node) -> Node:
        """Return the configuration with every value in the type its schema wants.

        ``configValidationMode`` decides whether a mistake is a warning (the default), an error, or ignored. A mistake
        that leaves no way to write a template is always an error: nobody would know what is missing in it.
        """
        provider = root.get("provider")
        if provider is not None and isinstance(provider.value, str):  # provider: aws
            root = sections.with_members(root, provider=replace(provider, value={"name": provider}))
        checked, mistakes = check(root, schema())
        mode, listed = root.get("configValidationMode"), known.listed(root)
        unused = list(known.not_listed(root, listed, [known.ROLES] if sections.is_version_4(root) else []))
        mistakes = (*mistakes, *unused)
        foreign = [m for m in mistakes if known.is_of_a_plugin(m.path, bool(m.unknown), listed)]
        own = [mistake for mistake in mistakes if mistake not in foreign]
        is_strict, is_silent = (mode is not None and mode.value == word for word in ("error", "off"))
        raise_all(_as_error(mistake) for mistake in own if is_strict or mistake.is_structural)
        if not is_silent and not self.run_options.artifacts_only:  # else the Framework itself says so
            self.warnings += map(_as_text, own)
            self.notes += map(_as_text, foreign)
        for mistake in (*unused, *(mistake for mistake in foreign if not mistake.unknown)):
            checked = known.without(checked, mistake.path)
        return checked

    def _wrong_loops(self, root: Node) -> list[LambdaBuildError]:
        """Return the mistakes in each Fn::ForEach of the service's own resources; the loops themselves stay."""
        own = root.get("resources")
        if own is None or loops.first_loop(own) is None:
            return []
        node = own.get("Transform")
        transforms = to_data(node) if node is not None else []
        names = scope(self.path, own, {}, region=self.region())
        return loops.mistakes(own, names, transforms if isinstance(transforms, list) else [transforms])


def _as_error(mistake: Mistake) -> BadConfiguration:
    return BadConfiguration(
        f"{'.'.join(mistake.path) or 'the file'} {mistake.message}",
        where=mistake.where,
        help=mistake.help
        or ("correct it" if mistake.is_structural else "correct it, or set configValidationMode: warn"),
        known_as="INVALID_NON_SCHEMA_COMPLIANT_CONFIGURATION",
    )


def _as_text(mistake: Mistake) -> str:
    text = f"{mistake.where}: {'.'.join(mistake.path) or 'the file'} {mistake.message}"
    return f"{text}; {mistake.help}" if mistake.help else text
