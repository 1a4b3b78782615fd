"""serverless-esbuild (``custom.esbuild``), and version 4's own ``build.esbuild``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lambdabuild.core.errors import LambdaBuildError, PluginOptionsClash
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.records import Struct
from lambdabuild.frontends.serverless.plugins.options import Option, Packing, Service, Table, texts

NAME, SECTION = "serverless-esbuild", "esbuild"

OPTIONS: Mapping[str, Option] = {
    "external": Option(("texts",), "mapped", "option `ship`: not bundled, packed next to the bundle"),
    "exclude": Option(("texts", "text"), "mapped", "option `external`: not bundled, not shipped; `*`: nothing is"),
    "outputFileExtension": Option(("text",), "mapped", "option `out_extension`"),
    "packagePath": Option(("text",), "mapped", "setting `manifest`"),
    "packager": Option(("text",), "no effect", "the lock file decides who installs: npm, pnpm or Yarn"),
    "bundle": Option(("flag",), "mapped", "`false` gets a note: a function is always one bundle"),
    "platform": Option(("text",), "mapped", "anything but `node` gets a note: the bundle is for Lambda's Node.js"),
    "plugins": Option(("text", "texts"), "told", "esbuild plugins are not run"),
    "config": Option(("text",), "told", "options are read from serverless.yml only"),
    "nodeExternals": Option(("mapping",), "told", "name the packages in external"),
    "packagerOptions": Option(("mapping",), "told", "say in the setting options what the packager is to do"),
    "installExtraArgs": Option(("texts",), "told", "packages are installed as the lock file says"),
    "skipBuild": Option(("flag",), "no effect", "what did not change is not built"),
    "skipBuildExcludeFns": Option(("texts",), "no effect", "what did not change is not built"),
    "skipRebuild": Option(("flag",), "no effect", "what did not change is not built"),
    "stripEntryResolveExtensions": Option(("flag",), "told", "name the entry point in the setting options"),
    "concurrency": Option(("number", "text"), "no effect", "the setting `jobs` limits how many steps run at once"),
    "zipConcurrency": Option(("number", "text"), "no effect", "the setting `jobs` limits how many steps run at once"),
    "nativeZip": Option(("flag",), "no effect", "zips are the same on every machine"),
    "keepOutputDirectory": Option(("flag",), "no effect", "outputs are stored in the build folder"),
    "outputBuildFolder": Option(("text",), "no effect", "outputs are stored in the build folder"),
    "outputWorkFolder": Option(("text",), "no effect", "outputs are stored in the build folder"),
    "disposeContext": Option(("flag",), "no effect", "esbuild ends with each bundle"),
    "watch": Option(("mapping",), "no effect", "it is about serverless-offline"),
    "setNodeOptions": Option(("flag",), "no effect", "set NODE_OPTIONS in the function's environment"),
    "buildConcurrency": Option(("number", "text"), "no effect", "the setting `jobs` limits how many steps run at once"),
}  # fmt: skip
"""Beside esbuild's own, which are options of the rule ``nodejs_npm_esbuild`` as they are."""


class Esbuild(Struct, frozen=True):
    """The plugin's options in one service."""

    service: Service
    table: Table

    @property
    def options(self) -> Mapping[str, Any]:
        return self.table.values

    def errors(self) -> list[LambdaBuildError]:
        return [*self.table.errors(), *self._clashes()]

    def notes(self) -> list[str]:
        notes, options = self.table.notes(passes_others=True), self.options
        if options.get("bundle") is False:
            notes.append(f"{self.table.place('bundle')}: {self.table.at}.bundle: a function is always one bundle")
        if options.get("platform", "node") != "node":
            notes.append(f"{self.table.place('platform')}: {self.table.at}.platform: the bundle is for node")
        return notes

    def packing(self, config: Mapping[str, Any], is_alone: bool) -> Packing:
        """Return a bundle, with the files that patterns add to it."""
        if config.get("skipEsbuild"):
            return Packing()
        manifest = self.options.get("packagePath")
        return Packing(
            FunctionSettings(manifest=self.service.local(manifest) if manifest else ""),
            bundled=self._bundled(),
            extras=tuple(self._extras(config if is_alone else {})),
        )

    def _bundled(self) -> dict[str, Any]:
        options, written = self.options, self.table.written
        extension, excluded = options.get("outputFileExtension"), options.get("exclude", ["aws-sdk"])
        is_nothing_shipped = excluded in ("*", ["*"])
        return {
            "minify": False,
            **({"outExtension": {".js": extension}} if extension not in (None, ".js") else {}),
            **{name: value for name, value in written.items() if name not in OPTIONS},
            "outbase": ".",  # each bundle lies where its handler says
            "external": texts(options.get("external")) if is_nothing_shipped else texts(excluded),
            "ship": [] if is_nothing_shipped else texts(options.get("external")),
        }

    def _extras(self, config: Mapping[str, Any]) -> Iterator[str]:
        """Return the files that patterns add; patterns remove nothing from a bundle."""
        for package in (self.service.package, config.get("package") or {}):
            yield from texts(package.get("include"))
            yield from (f"!{line}" for line in texts(package.get("exclude")))
            yield from texts(package.get("patterns"))

    def _clashes(self) -> Iterator[LambdaBuildError]:
        options, written = self.options, self.table.written
        is_module = written.get("format") == "esm" or options.get("platform") == "neutral"
        if options.get("outputFileExtension") == (".cjs" if is_module else ".mjs"):
            yield PluginOptionsClash(
                f"{self.table.at}: {'ES modules' if is_module else 'CommonJS'} cannot be in files that end in "
                f"{options['outputFileExtension']}",
                where=(self.table.place("outputFileExtension"), self.table.place("format")),
                help="set format: esm" if not is_module else "leave outputFileExtension out",
            )
