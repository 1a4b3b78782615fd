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

IN_FILES = frozenset({
    "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index", "-c", "--constraint",
    "--trusted-host", "--no-binary", "--only-binary", "--pre", "--no-deps",
})  # fmt: skip
"""Of pip's arguments those that change what is chosen."""
PATHS = frozenset({"-c", "--constraint", "-f", "--find-links"})
TAKES_NONE = frozenset({"--no-index", "--pre", "--no-deps"})
POINTLESS = frozenset({
    "--no-cache-dir", "--cache-dir", "--upgrade", "-U", "--quiet", "-q", "--verbose", "-v",
    "--disable-pip-version-check",
    "--no-warn-script-location", "--no-warn-conflicts", "--no-compile", "--compile", "--prefer-binary", "--isolated",
    "--no-input", "--progress-bar", "--root-user-action", "--timeout", "--retries", "--system", "--use-pep517",
    "--platform", "--python-version", "--implementation", "--abi", "--force-reinstall", "--ignore-installed", "-I",
    "--no-color", "--no-build-isolation", "--use-feature", "--exists-action", "--no-python-version-warning",
})  # fmt: skip
"""Arguments that change nothing of what is in the zip, or name the platform, which the runtime says."""


class PythonRequirements(Struct, frozen=True):
    """The plugin's options in one service. ``raw`` is their text before variables were filled in."""

    service: Service
    table: Table
    raw: Node | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        return self.table.values

    def errors(self) -> list[LambdaBuildError]:
        return [*self.table.errors(), *self._clashes(), *self._missing(), *self._credentials()]

    def notes(self) -> list[str]:
        found = self.table.notes()
        unknown = [word for word, _ in arguments(self.options) if word not in IN_FILES | POINTLESS]
        if unknown:
            place = self.table.place("pipCmdExtraArgs")
            found.append(
                f"{place}: pipCmdExtraArgs: {', '.join(unknown)} is not passed on, because pip installs nothing"
            )
        return found

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
        rule, manifest = self._manifest(module or ".")
        options = self.options
        return FunctionSettings(
            rule=rule,
            manifest=manifest,
            dependencies=None if manifest else False,
            exclude_dependencies=(*self._slimmed(), *self._not_deployed()),
            resolver="pip" if options.get("installer") == "pip" else "",
            options=dict(self._rule_options(rule)),
            include=tuple(self.service.local(path) for path in (config.get("vendor"), options.get("vendor")) if path),
            zip_dependencies=True if options.get("zip") and not options.get("layer") else None,
            strip=True if options.get("slim") and options.get("strip") else None,
            **self._container(),
        )

    def _container(self) -> dict[str, Any]:
        """Return the container in which packages without wheels are built."""
        options = self.options
        if not options.get("dockerizePip"):
            return {}
        dockerfile = options.get("dockerFile")
        return {
            "use_container": "auto",
            "image": options.get("dockerImage") or "",
            "dockerfile": self.service.local(dockerfile) if dockerfile else "",
            "container": container(options.get("dockerEnv")),
        }

    def _manifest(self, module: str) -> tuple[str, str]:
        """Return (rule, manifest) in the plugin's order; both "" when there is none, because no other folder counts."""
        service, options = self.service, self.options
        local, there = service.local, service.is_there
        if options.get("usePoetry") is not False and self._is_poetrys(f"{module}/pyproject.toml"):
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

    def _is_poetrys(self, path: str) -> bool:
        """Return whether the project is built by Poetry, as the plugin decides."""
        if not self.service.is_there(path):
            return False
        try:
            data = regular.toml(self.service.files.read(self.service.local(path)))
            return any(str(name).startswith("poetry") for name in data.get("build-system", {}).get("requires", ()))
        except (OSError, ValueError, AttributeError, TypeError):
            return False  # the rule that reads it says what is wrong with it

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
        lines = list(self._lines()) if rule == "python_pip" else []
        yield from [("requirement_options", lines)] if lines else []

    def _lines(self) -> Iterator[str]:
        """Return pip's arguments as lines of a requirements file, with variables in place of credentials."""
        for (word, value), (_, raw) in zip(arguments(self.options), self._raw_arguments(), strict=True):
            if word in PATHS and "://" not in value:
                yield f"{word} {self.service.local(value)}"
            elif word in IN_FILES:
                yield f"{word} {_by_name(value, raw)}".rstrip()

    def _raw_arguments(self) -> list[tuple[str, str]]:
        """Return the arguments before variables were resolved, or as they are if the file has a different shape."""
        node = self.raw.get("pipCmdExtraArgs") if self.raw is not None else None
        found = arguments({"pipCmdExtraArgs": texts(_raw_data(node))})
        known = arguments(self.options)
        return found if [word for word, _ in found] == [word for word, _ in known] else known

    def _credentials(self) -> Iterator[LambdaBuildError]:
        for (word, value), (_, raw) in zip(arguments(self.options), self._raw_arguments(), strict=True):
            if word in IN_FILES and _secret(_by_name(value, raw)):
                yield BadPluginOption(
                    f"{self.table.at}.pipCmdExtraArgs: the address after {word} holds a password",
                    where=self.table.place("pipCmdExtraArgs"),
                    help="write it as https://${env:USER}:${env:PASSWORD}@host/simple, or set PIP_INDEX_URL, for no "
                    "secret may stand in a plan",
                )

    def _slimmed(self) -> tuple[str, ...]:
        options = self.options
        if not options.get("slim"):
            return ()
        own = tuple(texts(options.get("slimPatterns")))
        patterns = own if own and options.get("slimPatternsAppendDefaults") is False else (*SLIM, *own)
        return tuple(anchored for pattern in patterns for anchored in _anchored(pattern))

    def _not_deployed(self) -> tuple[str, ...]:
        """Return patterns of files by the first part of their path, as the plugin excludes them from zips."""
        if self.options.get("layer") or self.options.get("zip"):
            return ()
        names = texts(self.options.get("noDeploy"))
        return tuple(pattern for name in names for pattern in (f"/{name}/", f"/{name}.py", f"/{name}-*"))

    def _clashes(self) -> Iterator[LambdaBuildError]:
        if self.options.get("dockerImage") and self.options.get("dockerFile"):
            yield PluginOptionsClash(
                f"{self.table.at} has both dockerImage and dockerFile",
                where=(self.table.place("dockerImage"), self.table.place("dockerFile")),
                help="keep one of them",
            )

    def _missing(self) -> Iterator[LambdaBuildError]:
        service, options = self.service, self.options
        modules = {str(one.get("module") or ".") for one in service.functions.values() if service.is_python(one)}
        for module in sorted(modules) if options.get("requirePoetryLockFile") else ():
            if self._is_poetrys(f"{module}/pyproject.toml") and not service.is_there(f"{module}/poetry.lock"):
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


def _groups(default: list[str], tool: str, options: Mapping[str, Any]) -> list[str]:
    only = texts(options.get(f"{tool}OnlyGroups"))
    wanted = only or [*default, *texts(options.get(f"{tool}WithGroups"))]
    without = texts(options.get(f"{tool}WithoutGroups"))
    return list(dict.fromkeys(name for name in wanted if name not in without))


def arguments(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return pip's extra arguments, each with its value; ``--a=b`` is ``--a b``."""
    found: list[tuple[str, str]] = []
    for word in " ".join(texts(options.get("pipCmdExtraArgs"))).split():
        if word.startswith("-"):
            name, _, value = word.partition("=")
            found.append((name, value))
        elif found and not found[-1][1] and found[-1][0] not in TAKES_NONE:
            found[-1] = (found[-1][0], word)
        else:
            found.append((word, ""))
    return found


def _raw_data(node: Node | None) -> Any:
    if node is None:
        return []
    # ${env: NAME} holds no blank, or words would be counted otherwise.
    items = node.value if isinstance(node.value, list) else [node]
    return [re.sub(r"\$\{\s*env:\s*(\w+)\s*\}", r"${env:\1}", str(item.value)) for item in items]


USER = re.compile(r"^(?P<scheme>[\w+]+://)(?P<user>[^/@]*)@(?P<rest>.*)$")


def _by_name(value: str, raw: str) -> str:
    """Return an address with variables in place of user and password: ``https://${USER}@host``."""
    said, written = USER.match(value), USER.match(raw)
    if said is None or written is None:
        return value
    user = re.sub(r"[$][{]env:([A-Z_][A-Z0-9_]*)[}]", r"${\1}", written["user"])
    return f"{said['scheme']}{user}@{said['rest']}"


def _secret(address: str) -> bool:
    """Return whether a password is written out."""
    match = USER.match(address)
    if match is None or match["scheme"].startswith("git"):
        return False
    _, _, password = match["user"].partition(":")
    return bool(re.sub(r"[$][{][A-Z0-9_]+[}]", "", password))


def _anchored(pattern: str) -> Iterator[str]:
    """Return a glob as gitignore patterns: from the top unless it says not to, one for each alternative."""
    choice = re.search(r"\{([^{}]*,[^{}]*)\}", pattern)
    if choice:
        for one in choice[1].split(","):
            yield from _anchored(pattern[: choice.start()] + one + pattern[choice.end() :])
        return
    sign, body = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    body = posixpath.normpath(body)
    yield sign + (body if body.startswith(("**/", "/")) else f"/{body}")
