"""serverless-python-requirements (and its successor inside version 4): ``custom.pythonRequirements``."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lambdabuild.core import regular
from lambdabuild.core.errors import BadPluginOption, LambdaBuildError, NoInclude, PluginNeeds, PluginOptionsClash
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.records import Struct
from lambdabuild.core.spans import Node
from lambdabuild.frontends.serverless.plugins import pip_arguments
from lambdabuild.frontends.serverless.plugins.options import Option, Packing, Service, Table, container, texts

NAME, SECTION = "serverless-python-requirements", "pythonRequirements"
LAYER = "pythonRequirements"
"""The layer's key, from which its logical id comes: PythonRequirementsLambdaLayer."""

CACHED = "what was fetched or built is kept anyway, and a changed input is always seen"

OPTIONS: Mapping[str, Option] = {
    "fileName": Option(("text",), "mapped", "the manifest, when none of Poetry, Pipenv and uv goes before it"),
    "usePoetry": Option(("flag",), "mapped", "rule `python_poetry`, when Poetry builds the `pyproject.toml`"),
    "requirePoetryLockFile": Option(("flag",), "mapped", "LB114 when there is no `poetry.lock`"),
    "poetryWithGroups": Option(("texts",), "mapped", "option `groups`, in addition to the main one"),
    "poetryWithoutGroups": Option(("texts",), "mapped", "option `groups`, without these"),
    "poetryOnlyGroups": Option(("texts",), "mapped", "option `groups`, these alone"),
    "usePipenv": Option(("flag",), "mapped", "rule `python_pipenv`, when the service has a `Pipfile`"),
    "useUv": Option(("flag",), "mapped", "rule `python_uv`, when there is a `uv.lock`"),
    "uvWithGroups": Option(("texts",), "mapped", "option `groups`"),
    "uvWithoutGroups": Option(("texts",), "mapped", "option `groups`, without these"),
    "uvOnlyGroups": Option(("texts",), "mapped", "option `groups`"),
    "uvOptionalDependencies": Option(("texts",), "mapped", "option `extras`"),
    "installer": Option(("text",), "mapped", "`pip`: setting `resolver`; `uv` is the default anyway"),
    "noDeploy": Option(("texts",), "mapped", "option `without`, and setting `exclude_dependencies`"),
    "slim": Option(("flag",), "mapped", "setting `exclude_dependencies`: bytecode, and `*.dist-info`"),
    "slimPatterns": Option(("texts", "flag"), "mapped", "more of `exclude_dependencies`, when `slim`"),
    "slimPatternsAppendDefaults": Option(("flag",), "mapped", "`false`: `slimPatterns` alone"),
    "strip": Option(("flag",), "mapped", "setting `strip`, when it is written and `slim` is"),
    "zip": Option(("flag",), "mapped", "setting `zip_dependencies`"),
    "cleanupZipHelper": Option(("flag",), "no effect", "nothing is written into your folders"),
    "layer": Option(("flag", "mapping"), "mapped", "a layer `pythonRequirements`; functions: `dependencies = false`"),
    "vendor": Option(("text",), "mapped", "setting `include`, for the service and for a function"),
    "pipCmdExtraArgs": Option(("texts",), "mapped", "option `requirement_options`; [which of them](#pips-arguments)"),
    "dockerizePip": Option(("flag", "text"), "mapped", "setting `use_container`: `auto`, if no wheel fits Lambda"),
    "dockerImage": Option(("text",), "mapped", "setting `image`"),
    "dockerFile": Option(("text",), "mapped", "setting `dockerfile`"),
    "dockerSsh": Option(("flag",), "no effect", "git runs on this machine, with your own agent"),
    "dockerPrivateKey": Option(("text",), "no effect", "git runs on this machine, with your own agent"),
    "dockerEnv": Option(("texts", "flag"), "mapped", "setting `container`: `environment`, `pass_environment`"),
    "dockerBuildCmdExtraArgs": Option(("texts",), "told", "say in the Dockerfile what it needs"),
    "dockerRunCmdExtraArgs": Option(("texts",), "told", "say in the setting container what it needs"),
    "dockerExtraFiles": Option(("texts",), "told", "nothing is taken from an image; name files of yours in include"),
    "dockerRootless": Option(("flag",), "no effect", "files come back as yours with either engine"),
    "pythonBin": Option(("text",), "no effect", "no interpreter of the runtime's version is needed"),
    "useStaticCache": Option(("flag",), "no effect", CACHED),
    "useDownloadCache": Option(("flag",), "no effect", CACHED),
    "cacheLocation": Option(("text", "flag"), "no effect", CACHED + "; XDG_CACHE_HOME says where"),
    "staticCacheMaxVersions": Option(("number", "text"), "no effect", CACHED),
    "invalidateCaches": Option(("flag",), "no effect", CACHED),
    "invalidateCache": Option(("flag",), "no effect", CACHED),
}  # fmt: skip

SLIM = ("**/*.py[c|o]", "**/__pycache__*", "**/*.dist-info*")


class PythonRequirements(Struct, frozen=True):
    """The plugin's options in one service. ``raw`` is their text before variables were filled in."""

    service: Service
    table: Table
    raw: Node | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        return self.table.values

    @property
    def _pip_arguments(self) -> tuple[pip_arguments.Argument, ...]:
        raw = self.raw.get(pip_arguments.KEY) if self.raw is not None else None
        return pip_arguments.arguments(self.options.get(pip_arguments.KEY), raw)

    def errors(self) -> list[LambdaBuildError]:
        return [*self.table.errors(), *self._clashes(), *self._missing(), *self._credentials()]

    def notes(self) -> list[str]:
        notes = self.table.notes()
        unknown = pip_arguments.not_passed_on(self._pip_arguments)
        if unknown:
            place = self.table.place(pip_arguments.KEY)
            notes.append(
                f"{place}: pipCmdExtraArgs: {', '.join(unknown)} is not passed on, because pip installs nothing"
            )
        return notes

    def layers(self) -> dict[str, Any]:
        """Return the layer that holds all packages, if the service wants one."""
        wanted = self.options.get("layer")
        if not wanted:
            return {}
        about = {
            "name": f"{self.service.data.get('service')}-{self.service.stage}-python-requirements",
            "description": "Python requirements generated by serverless-python-requirements.",
            "compatibleRuntimes": [self.service.provider.get("runtime")],
            **(wanted if isinstance(wanted, dict) else {}),
        }
        return {LAYER: about if about.get("artifact") else {"path": ".", **about}}

    def packing_of_layer(self) -> Packing:
        return Packing(self._settings("", {}))

    def packing(self, config: Mapping[str, Any], is_alone: bool) -> Packing:
        """Return how a Python function is packed: the meaning of ``module``, and the origin of its packages."""
        source = str(config.get("module") or ".") if is_alone else "."
        if self.options.get("layer"):
            return Packing(FunctionSettings(dependencies=False), self.service.local(source))
        module = source if self.service.package.get("individually") or is_alone else "."
        return Packing(self._settings(module, config), self.service.local(source))

    def _settings(self, module: str, config: Mapping[str, Any]) -> FunctionSettings:
        options = self.options
        rule, manifest = _manifest(self.service, options, module or ".")
        return FunctionSettings(
            rule=rule,
            manifest=manifest,
            dependencies=None if manifest else False,
            exclude_dependencies=(*_slimmed(options), *_not_deployed(options)),
            resolver="pip" if options.get("installer") == "pip" else "",
            options=dict(self._rule_options(rule)),
            include=tuple(self.service.local(path) for path in (config.get("vendor"), options.get("vendor")) if path),
            zip_dependencies=True if options.get("zip") and not options.get("layer") else None,
            strip=True if options.get("slim") and options.get("strip") else None,
            **_container(self.service, options),
        )

    def _rule_options(self, rule: str) -> Iterator[tuple[str, Any]]:
        options = self.options
        if options.get("noDeploy"):
            yield "without", sorted({name.partition("[")[0] for name in texts(options["noDeploy"])})
        if rule == "python_poetry":
            groups = _groups(["main"], "poetry", options)
            yield from [("groups", groups)] if groups != ["main"] else []
        if rule == "python_uv":
            groups = _groups([], "uv", options)
            yield from [("groups", groups)] if groups else []
            yield from (
                [("extras", texts(options["uvOptionalDependencies"]))] if options.get("uvOptionalDependencies") else []
            )
        lines = list(pip_arguments.lines(self._pip_arguments, self.service.local)) if rule == "python_pip" else []
        yield from [("requirement_options", lines)] if lines else []

    def _credentials(self) -> Iterator[LambdaBuildError]:
        for argument in pip_arguments.with_passwords(self._pip_arguments):
            yield BadPluginOption(
                f"{self.table.at}.{pip_arguments.KEY}: the address after {argument.name} holds a password",
                where=self.table.place(pip_arguments.KEY),
                help="write it as https://${env:USER}:${env:PASSWORD}@host/simple, or set PIP_INDEX_URL, for no "
                "secret may stand in a plan",
            )

    def _clashes(self) -> Iterator[LambdaBuildError]:
        if self.options.get("dockerImage") and self.options.get("dockerFile"):
            yield PluginOptionsClash(
                f"{self.table.at} has both dockerImage and dockerFile",
                where=(self.table.place("dockerImage"), self.table.place("dockerFile")),
                help="keep one of them",
            )

    def _missing(self) -> Iterator[LambdaBuildError]:
        service, options = self.service, self.options
        python = [config for config in service.functions.values() if service.is_python(config)]
        modules = {str(config.get("module") or ".") for config in python}
        for module in sorted(modules) if options.get("requirePoetryLockFile") else ():
            if _is_poetrys(service, f"{module}/pyproject.toml") and not service.is_there(f"{module}/poetry.lock"):
                yield PluginNeeds(
                    f"{service.local(f'{module}/poetry.lock')} does not exist, but requirePoetryLockFile requires it",
                    where=self.table.place("requirePoetryLockFile"),
                    help="make it with: poetry lock",
                    known_as="MISSING_REQUIRED_POETRY_LOCK",
                )
        vendor = options.get("vendor")
        if isinstance(vendor, str) and vendor and service.files.kind(service.local(vendor)) != "folder":
            yield NoInclude(
                f"{self.table.at}.vendor: there is no folder {vendor}",
                where=self.table.place("vendor"),
                help="correct the path; it is relative to the service's folder",
            )


def _slimmed(options: Mapping[str, Any]) -> tuple[str, ...]:
    if not options.get("slim"):
        return ()
    own = tuple(texts(options.get("slimPatterns")))
    patterns = own if own and options.get("slimPatternsAppendDefaults") is False else (*SLIM, *own)
    return tuple(anchored for pattern in patterns for anchored in _anchored(pattern))


def _not_deployed(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return patterns of files by the first part of their path, as the plugin excludes them from zips."""
    if options.get("layer") or options.get("zip"):
        return ()
    names = texts(options.get("noDeploy"))
    return tuple(pattern for name in names for pattern in (f"/{name}/", f"/{name}.py", f"/{name}-*"))


def _container(service: Service, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the container in which packages without wheels are built."""
    if not options.get("dockerizePip"):
        return {}
    dockerfile = options.get("dockerFile")
    return {
        "use_container": "auto",
        "image": options.get("dockerImage") or "",
        "dockerfile": service.local(dockerfile) if dockerfile else "",
        "container": container(options.get("dockerEnv")),
    }


def _manifest(service: Service, options: Mapping[str, Any], module: str) -> tuple[str, str]:
    """Return (rule, manifest) in the plugin's order; both "" when there is none, because no other folder counts."""
    local, there = service.local, service.is_there
    if options.get("usePoetry") is not False and _is_poetrys(service, f"{module}/pyproject.toml"):
        lock = f"{module}/poetry.lock"
        return "python_poetry", local(lock if there(lock) else f"{module}/pyproject.toml")
    if options.get("usePipenv") is not False and there("Pipfile"):
        return "python_pipenv", local("Pipfile")
    if options.get("useUv") is not False and there(f"{module}/uv.lock") and there(f"{module}/pyproject.toml"):
        return "python_uv", local(f"{module}/pyproject.toml")
    file = f"{module}/{options.get('fileName') or 'requirements.txt'}"
    if there(file):
        return "python_pip", local(file)
    # The plugin would install nothing, so nobody has a file there that it should not read.
    return ("python_uv", local(f"{module}/pyproject.toml")) if there(f"{module}/pyproject.toml") else ("", "")


def _is_poetrys(service: Service, path: str) -> bool:
    """Return whether the project is built by Poetry, as the plugin decides."""
    if not service.is_there(path):
        return False
    try:
        data = regular.toml(service.files.read(service.local(path)))
        return any(str(name).startswith("poetry") for name in data.get("build-system", {}).get("requires", ()))
    except (OSError, ValueError, AttributeError, TypeError):
        return False  # the rule that reads it says what is wrong with it


def _groups(default: list[str], tool: str, options: Mapping[str, Any]) -> list[str]:
    only = texts(options.get(f"{tool}OnlyGroups"))
    wanted = only or [*default, *texts(options.get(f"{tool}WithGroups"))]
    without = texts(options.get(f"{tool}WithoutGroups"))
    return list(dict.fromkeys(name for name in wanted if name not in without))


def _anchored(pattern: str) -> Iterator[str]:
    """Return a glob as gitignore patterns: from the top unless it says not to, one for each alternative."""
    choice = re.search(r"\{([^{}]*,[^{}]*)\}", pattern)
    if choice:
        for alternative in choice[1].split(","):
            yield from _anchored(pattern[: choice.start()] + alternative + pattern[choice.end() :])
        return
    sign, body = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    body = posixpath.normpath(body)
    yield sign + (body if body.startswith(("**/", "/")) else f"/{body}")
