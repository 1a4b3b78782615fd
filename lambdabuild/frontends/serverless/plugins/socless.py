"""socless_integration_packager: ``custom.soclessPackager``, and what functions' ``package.include`` means with it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lambdabuild.config.settings import nearest
from lambdabuild.core.errors import LambdaBuildError, NoInclude, PluginNeeds
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Span
from lambdabuild.frontends.serverless.plugins.options import Option, Packing, Service, Table, container, texts

NAME, SECTION = "socless_integration_packager", "soclessPackager"

OPTIONS: Mapping[str, Option] = {
    "buildDir": Option(("text",), "mapped", "which `package.artifact` is made here; a note says where"),
    "requirementsFile": Option(("text",), "mapped", "the manifest, by its name in the function's folder"),
    "globalRequirements": Option(("texts",), "mapped", "setting `requirements`"),
    "globalIncludes": Option(("texts",), "mapped", "setting `include`; files too"),
    "cleanup": Option(("flag",), "no effect", "`doit clean` removes what was made"),
    "useDocker": Option(("flag",), "mapped", "setting `use_container`: `auto`, if no wheel fits; not when `false`"),
    "dockerImage": Option(("text",), "mapped", "setting `image`"),
    "containerName": Option(("text",), "mapped", "setting `container.name`"),
    "dockerEnvs": Option(("texts",), "mapped", "setting `container`: `environment`, `pass_environment`"),
    "mountSSH": Option(("flag",), "no effect", "git runs on this machine, with your own agent"),
    "abortOnPackagingErrors": Option(("flag",), "no effect", "what needs a failed step never runs; nobody is asked"),
}  # fmt: skip

REQUIREMENTS, GLOBAL_REQUIREMENTS, GLOBAL_INCLUDES = (
    "requirements.txt",
    ["./functions/requirements.txt"],
    ["./common_files"],
)
"""The plugin's defaults; the last two count only if they exist."""
SHOWN = 3
"""How many zips a note names."""


class Socless(Struct, frozen=True):
    """The plugin's options in one service."""

    service: Service
    table: Table
    places: Mapping[str, Span]
    """The place of each function."""

    @property
    def options(self) -> Mapping[str, Any]:
        return self.table.values

    def errors(self) -> list[LambdaBuildError]:
        errors = self.table.errors()
        packed = [key for key, config in self.service.functions.items() if self.packs(config)]
        if packed and not self.options.get("buildDir"):
            errors.append(
                PluginNeeds(
                    f"{self.table.at}.buildDir is missing",
                    where=self.table.where,
                    help="name the folder that package.artifact of the functions is in, such as buildDir: _build",
                )
            )
        return [*errors, *(error for key in packed for error in self._includes_missing(key))]

    def notes(self) -> list[str]:
        notes = self.table.notes()
        for option in ("globalRequirements", "globalIncludes"):
            for path in texts(self.options.get(option)):
                if not self.service.is_there(path):
                    notes.append(f"{self.table.place(option)}: {self.table.at}.{option}: {path} does not exist")
        notes += self._elsewhere()
        for config in filter(self.packs, self.service.functions.values()):
            notes += [
                f"{self.table.where}: package.include {line}: lines that leave out are for the setting exclude"
                for line in texts(config["package"]["include"])
                if line.startswith("!")
            ]
        return list(dict.fromkeys(notes))

    def _elsewhere(self) -> list[str]:
        """Return a note that says where the zips are, which the plugin would write to ``buildDir``."""
        folder, build_dir = str(self.options.get("buildDir")), posixpath.normpath(self.service.build_dir)
        moved = []
        for key, config in self.service.functions.items():
            if self.packs(config):
                theirs = str(config["package"].get("artifact") or f"{folder}/{config.get('name') or key}.zip")
                ours = f"{build_dir}/{key}.zip"
                moved += [f"{theirs} is written as {ours}"] if self.service.local(theirs) != ours else []
        if not moved:
            return []
        more = f", and {len(moved) - SHOWN} more likewise" if len(moved) > SHOWN else ""
        wanted = self.service.local(folder)
        hint = f'; for that folder say build_dir = "{wanted}" in lambdabuild.toml' if wanted != build_dir else ""
        return [f"{self.table.place('buildDir')}: {self.table.at}.buildDir: {', '.join(moved[:SHOWN])}{more}{hint}"]

    def packs(self, config: Mapping[str, Any]) -> bool:
        """Return whether the plugin packs a function: a Python function that says what it includes."""
        package = config.get("package")
        if not isinstance(package, dict) or not package.get("include") or not self.service.is_python(config):
            return False
        artifact, folder = package.get("artifact"), self.options.get("buildDir")
        return not artifact or not folder or _is_below(str(artifact), str(folder))

    def packing(self, config: Mapping[str, Any]) -> Packing:
        """Return the packing: the handler's folder is the root of the zip, and other files are next to it."""
        source, *others = self._included(config)
        manifest = self._manifest([source, *others])
        common = self._there("globalRequirements", GLOBAL_REQUIREMENTS)
        requirements = tuple(path for path in common if path != manifest)
        if not manifest and requirements:
            manifest, *rest = requirements
            requirements = tuple(rest)
        return Packing(
            FunctionSettings(
                rule="python_pip",
                manifest=manifest,
                dependencies=None if manifest else False,
                requirements=requirements,
                include=(*others, *self._there("globalIncludes", GLOBAL_INCLUDES)),
                # The plugin ships the file too.
                exclude=(f"!/{self._requirements_file}",),
                **self._container(),
            ),
            source=source,
            is_whole=True,
            is_made=True,
        )

    def _container(self) -> dict[str, Any]:
        """Return the container in which packages without wheels are built."""
        options = self.options
        if options.get("useDocker") is False:
            return {}
        named = container(options.get("dockerEnvs"), options.get("containerName"))
        return {"use_container": "auto", "image": options.get("dockerImage") or "", "container": named}

    @property
    def _requirements_file(self) -> str:
        return str(self.options.get("requirementsFile") or REQUIREMENTS)

    def _included(self, config: Mapping[str, Any]) -> list[str]:
        """Return what the function includes, the handler's folder first; paths of the project."""
        paths = [self.service.local(path) for path in _paths(config)]
        module = str(config.get("handler") or "").rpartition(".")[0]
        folders = [path for path in paths if self.service.files.kind(path) == "folder"]
        holds = [path for path in folders if self.service.files.kind(f"{path}/{module}.py") == "file"]
        source = next(iter([*holds, *folders, *paths]))
        return [source, *(path for path in paths if path != source)]

    def _manifest(self, included: list[str]) -> str:
        """Return the function's requirements, which may come with other files at the root."""
        folders = [*included, *self._there("globalIncludes", GLOBAL_INCLUDES)]
        files = (posixpath.join(folder, self._requirements_file) for folder in folders)
        return next((file for file in files if self.service.files.kind(file) == "file"), "")

    def _there(self, option: str, default: list[str]) -> tuple[str, ...]:
        """Return the paths that exist; the plugin ignores the others, too."""
        given = texts(self.options.get(option)) or default
        return tuple(self.service.local(path) for path in given if self.service.is_there(path))

    def _includes_missing(self, key: str) -> Iterator[LambdaBuildError]:
        for path in _paths(self.service.functions[key]):
            if not self.service.is_there(path):
                near = self._nearest(path)
                yield NoInclude(
                    f"{path}, which function {key!r} includes, does not exist",
                    where=self.places.get(key),
                    help=f"did you mean {near}?" if near else "correct package.include",
                )

    def _nearest(self, path: str) -> str:
        """Return the closest path that other functions include or have in their folders."""
        others = [path for config in self.service.functions.values() if self.packs(config) for path in _paths(config)]
        there = [posixpath.normpath(other) for other in others if self.service.is_there(other)]
        heads = {posixpath.dirname(other) for other in there}
        candidates = {posixpath.join(head, posixpath.basename(path)) for head in heads} | set(there)
        return nearest(
            posixpath.normpath(path), sorted(candidate for candidate in candidates if self.service.is_there(candidate))
        )


def _paths(config: Mapping[str, Any]) -> list[str]:
    """Return folders without wildcards: ``functions/one/**`` is functions/one."""
    lines = texts(config["package"]["include"])
    return [re.sub(r"(/\*\*?)+$", "", line) for line in lines if not line.startswith("!")]


def _is_below(path: str, folder: str) -> bool:
    top = posixpath.normpath(folder)
    return posixpath.normpath(path).startswith(f"{top}/")
