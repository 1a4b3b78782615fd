"""Bundles of the framework itself: version 4's ``build.esbuild`` and its TypeScript handlers, which need no word; and
those of serverless-plugin-typescript, which are bundled where the plugin compiles file by file.

https://www.serverless.com/framework/docs/providers/aws/guide/building
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span
from lambdabuild.frontends.serverless.plugins.options import Option, Packing, Service, Table, texts

NAME, SECTION = "serverless-plugin-typescript", "serverlessPluginTypescript"
ESBUILD_VERSION = "0.25.12"
"""The version of esbuild if package.json names none: the framework brings its own."""
ENDINGS = (".js", ".ts", ".cjs", ".mjs", ".cts", ".mts", ".jsx", ".tsx")
"""Of a handler's file, in the order in which version 4 looks for it."""
TYPESCRIPT = (".ts", ".cts", ".mts", ".tsx")
BUILDERS = (
    "esbuild", "webpack", "bundle", "plugin-typescript", "rollup", "vite", "parcel", "swc", "babel", "tsc", "optimize",
)  # fmt: skip
"""What names of plugins hold that compile: with one of them nothing is bundled that nobody asks for."""
OLD = re.compile(r"^[\s^~=v<>]*[123](\.|\s|$)")
"""A ``frameworkVersion`` that is not the fourth."""
FLAG = "--enable-source-maps"

OPTIONS: Mapping[str, Option] = {
    "external": Option(("texts",), "mapped", "option `ship`: not bundled, packed next to the bundle"),
    "exclude": Option(("texts",), "mapped", "option `external`: not bundled, not shipped"),
    "packages": Option(
        ("text",), "mapped", "`external`: everything package.json names is packed next to the bundle if it is imported"
    ),
    "bundle": Option(("flag",), "mapped", "`false` gets a note: a function is always one bundle"),
    "sourcemap": Option(("flag", "mapping"), "mapped", "option `sourcemap`, and NODE_OPTIONS"),
    "configFile": Option(("text",), "told", "options are read from serverless.yml only"),
    "buildConcurrency": Option(("number", "text"), "no effect", "the setting `jobs` limits how many steps run at once"),
}  # fmt: skip


def ending(service: Service, handler: str) -> str:
    """Return the extension of the handler's file, "" when there is none."""
    stem = handler.rpartition(".")[0]
    return next((end for end in ENDINGS if service.files.kind(service.local(stem + end)) == "file"), "")


def has_builder(plugins: list[str]) -> bool:
    """Return whether a listed plugin makes JavaScript of the handlers' files."""
    return any(word in name for name in plugins for word in BUILDERS)


def bundles_by_itself(data: Mapping[str, Any], plugins: list[str]) -> bool:
    """Return whether the Serverless Framework bundles TypeScript without configuration; version 3 packs it as it is."""
    return (
        not data.get("build") and not has_builder(plugins) and not OLD.match(str(data.get("frameworkVersion") or "4"))
    )


class BuiltIn(Struct, frozen=True):
    """Version 4's bundles. ``is_silent``: nothing is said of them, so only TypeScript is bundled."""

    service: Service
    table: Table
    is_silent: bool

    def errors(self) -> list[LambdaBuildError]:
        return self.table.errors()

    def notes(self) -> list[str]:
        notes = self.table.notes(passes_others=True)
        if self.table.values.get("bundle") is False:
            notes.append(f"{self.table.place('bundle')}: {self.table.at}.bundle: a function is always one bundle")
        return notes

    def packing(self, config: Mapping[str, Any], runtime: str, is_alone: bool) -> Packing:
        build = config.get("build")
        if build not in (None, "esbuild") or not config.get("handler"):
            return Packing()
        if self.is_silent and build is None and ending(self.service, config["handler"]) not in TYPESCRIPT:
            return Packing()
        patterns = self.service.package, (config.get("package") or {}) if is_alone else {}
        extras = tuple(line for package in patterns for line in texts(package.get("patterns")))
        return Packing(bundled=self._bundled(runtime), extras=extras)

    def node_options(self) -> bool:
        """Return whether functions get ``NODE_OPTIONS: --enable-source-maps``."""
        sourcemap = self.table.written.get("sourcemap", True)
        return sourcemap is True or (isinstance(sourcemap, dict) and sourcemap.get("setNodeOptions") is True)

    def _bundled(self, runtime: str) -> dict[str, Any]:
        written, maps = self.table.written, self.table.written.get("sourcemap", True)
        kind = maps.get("type", "linked") if isinstance(maps, dict) else maps
        excluded = [*sdk_of(runtime), *texts(written.get("exclude"))]
        about = _package_json(self.service)
        is_apart = written.get("packages") == "external"
        every = [*(about.get("dependencies") or {})] if is_apart else []
        return {
            "minify": False,
            **({"format": "esm"} if about.get("type") == "module" else {}),
            **{name: value for name, value in written.items() if name not in OPTIONS},
            **({"packages": "external"} if is_apart else {}),
            "sourcemap": kind in (True, "linked") or kind,
            "external": [name for name in excluded if not name.startswith("!") and f"!{name}" not in excluded],
            "ship": [*texts(written.get("external")), *every],
            **OURS,
        }


OURS: Mapping[str, Any] = {"outbase": ".", "esbuild_version": ESBUILD_VERSION}


def sdk_of(runtime: str) -> list[str]:
    """Return the packages a runtime provides: version 2 of the SDK up to Node.js 16, then version 3."""
    number = int("".join(filter(str.isdigit, runtime.partition(".")[0])) or 18)
    return ["@aws-sdk/*"] if number >= 18 else ["aws-sdk"]


def _package_json(service: Service) -> Mapping[str, Any]:
    path = service.local("package.json")
    try:
        content = json.loads(service.files.read(path)) if service.files.kind(path) == "file" else {}
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


class TypeScript(Struct, frozen=True):
    """serverless-plugin-typescript in one service."""

    service: Service
    table: Table

    def errors(self) -> list[LambdaBuildError]:
        return self.table.errors()

    def notes(self) -> list[str]:
        return [*self.table.notes(), *self._metadata()]

    def packing(self, config: Mapping[str, Any], runtime: str, is_alone: bool) -> Packing:
        if ending(self.service, config.get("handler") or "") not in TYPESCRIPT:
            return Packing()
        patterns = self.service.package, (config.get("package") or {}) if is_alone else {}
        extras = (line for one in patterns for key in ("include", "patterns") for line in texts(one.get(key)))
        about = _package_json(self.service)
        named = {*(about.get("dependencies") or {}), *(about.get("devDependencies") or {})}
        provided = [name for name in sdk_of(runtime) if not any(own.startswith(name.rstrip("*")) for own in named)]
        tsconfig = {"tsconfig": self.tsconfig} if self.tsconfig else {}
        bundled = {"minify": False, "external": provided, "ship": [], **tsconfig, **OURS}
        return Packing(FunctionSettings(), bundled=bundled, extras=tuple(extras))

    @property
    def tsconfig(self) -> str:
        return str(self.table.values.get("tsConfigFileLocation") or "").removeprefix("./")

    def _metadata(self) -> Iterator[str]:
        path = self.service.local(self.tsconfig or "tsconfig.json")
        try:
            text = self.service.files.read(path) if self.service.files.kind(path) == "file" else ""
        except (OSError, UnicodeDecodeError):
            return
        if re.search(r'"emitDecoratorMetadata"\s*:\s*true', text):
            yield f"{Span(path)}: esbuild, which bundles here, has no emitDecoratorMetadata"


TYPESCRIPT_OPTIONS: Mapping[str, Option] = {
    "tsConfigFileLocation": Option(("text",), "mapped", "option `tsconfig`"),
}
