"""Settings: the file, then LAMBDABUILD_* variables, then doit's own ``key=value`` arguments; the later wins.

Pure given what was read. A key is dotted (``parameters.Stage``, ``functions.Orders.exclude``); in the environment a dot
is ``__`` and the case of the first part does not matter (``LAMBDABUILD_PARAMETERS__Stage``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from lambdabuild.errors import BadSettings, LambdaBuildError, raise_all
from lambdabuild.spans import Span

DEFAULT_EXCLUDE = (
    ".git/", ".hg/", ".svn/", ".gitignore", ".lambdabuild/", ".lambdabuildignore", ".aws-sam/", ".serverless/",
    "__pycache__/", "*.pyc", "*.pyo", "*.egg-info/", ".venv/", ".env", ".python-version", ".tox/", ".nox/",
    ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".hypothesis/", ".coverage", "htmlcov/", ".idea/", ".vscode/",
    ".DS_Store", "*.swp", "*~",
)  # fmt: skip
"""What is left out of every source folder unless a later pattern brings it back (``!.env``)."""

NOT_SETTINGS = frozenset({"LAMBDABUILD_RULES_PATH"})


@dataclass(frozen=True)
class Container:
    """How containers are run in which tools build (``native``). None of it is about which image."""

    name: str = ""
    """What it is called; "" lets the engine choose."""
    network: str = ""
    """``host``, ``none`` or a network of the engine; "" is the engine's own default."""
    environment: Mapping[str, str] = field(default_factory=dict)
    pass_environment: tuple[str, ...] = ()
    """Names of variables that tools get as they are here; their values are written nowhere."""
    mounts: tuple[str, ...] = ()
    """``source[:target][:ro|rw]``: files and folders of this machine; read-only unless said."""
    platform: str = ""
    """``linux/arm64``; "" is the function's architecture."""
    pull: str = "missing"
    transfer: str = "auto"


@dataclass(frozen=True)
class FunctionSettings:
    """What one function or layer has of its own; the key is its name, ``Child/Orders`` in a nested stack."""

    rule: str = ""
    manifest: str = ""
    exclude: tuple[str, ...] = ()
    exclude_dependencies: tuple[str, ...] = ()
    exclude_provided: bool | None = None
    slim: bool | None = None
    strip: bool | None = None
    bytecode: bool | None = None
    auto_layers: bool | None = None
    resolver: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    native: str = ""
    image: str = ""
    dockerfile: str = ""
    container: Mapping[str, Any] = field(default_factory=dict)
    """What of ``Settings.container`` it has of its own."""
    packaged: bool = False
    """Its code is the distribution that its folder belongs to, installed, instead of the folder's files."""
    source: str = ""
    """The name of a source whose artifact is its code."""
    source_version: str = ""
    """A version of it that was published before; "" means the one built here."""
    include: tuple[str, ...] = ()
    """Files, and folders whose content, that go in beside the source; those of the service come after them."""
    requirements: tuple[str, ...] = ()
    """Requirements files beside its manifest; those of the service come after them."""
    dependencies: bool | None = None
    """Whether its packages go into its artifact; False when a layer has them."""
    zip_dependencies: bool | None = None
    """Whether they go in as one zip, which is unpacked where the function runs."""
    repository: str = ""
    image_tags: tuple[str, ...] = ()
    """Tags that its image gets in the repository."""

    def under(self, other: FunctionSettings) -> FunctionSettings:
        """These, where the other does not say something else. Lists of the other come after these."""
        nothing = FunctionSettings()
        said = {
            item.name: value
            for item in fields(self)
            if (value := getattr(other, item.name)) != getattr(nothing, item.name)
        }
        for name in {"exclude", "exclude_dependencies"} & said.keys():
            said[name] = (*getattr(self, name), *said[name])
        if {"rule", "manifest"} & said.keys():  # these go together
            said = {"rule": "", "manifest": "", "dependencies": None, **said}
        joined = {name: {**getattr(self, name), **getattr(other, name)} for name in ("options", "container")}
        return replace(self, **{**said, **joined})


@dataclass(frozen=True)
class SourceSettings:
    """A distribution of the project's own that is published under its version; the key names its tasks."""

    path: str = "."
    """The folder with its pyproject.toml or setup.py."""
    prefix: str | None = None
    """What the keys of its versions begin with; None means as the settings' ``prefix`` says."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Added to the settings' ``tags``."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Of the object in S3, beside its sha256."""
    overwrite: bool = False
    """A development version (PEP 440: ``.devN`` or ``+local``) is replaced by other bytes. No other ever is."""
    where: Span | None = field(default=None, compare=False)
    """Where its table begins; None when that is in no file."""


@dataclass(frozen=True)
class LayerSettings(FunctionSettings):
    """A layer of the settings' own, or what a template's layer has beside what the template says of it."""

    path: str = ""
    """Its folder; "" with a manifest: only what the manifest names."""
    runtimes: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    name: str = ""
    """What Lambda calls it; "" is the table's name, or the template's."""
    description: str = ""
    license: str = ""
    accounts: tuple[str, ...] = ()
    """Accounts that may use what is published."""
    organizations: tuple[str, ...] = ()
    public: bool = False
    keep: int = 0
    """How many published versions stay; 0 is all."""
    where: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, order=True)
class Command:
    """The user's own command in place of what a rule makes of the source, or beside it when it ``adds``."""

    run: str = ""
    """For sh; "" is no command. It gets SOURCE_DIR, ARTIFACTS_DIR, SCRATCH_DIR, RUNTIME and ARCHITECTURE."""
    adds: bool = False
    tools: tuple[str, ...] = ()
    """Programs whose version counts."""
    environment: tuple[str, ...] = ()
    """Names of variables that it gets."""


@dataclass(frozen=True)
class CacheSettings:
    """Where steps that were run before are looked for, and kept."""

    enabled: bool = True
    dir: str = ""
    """The machine's folder; "" means ``cache`` beside the machine's store."""
    max_size: str = "10 GB"
    """How much that folder may hold; "0" is as much as there is."""
    remotes: tuple[str, ...] = ()
    """``s3://bucket/prefix``, ``http(s)://host/path``, ``grpc(s)://host:port/instance``, asked in this order."""
    read_only: bool = False
    namespace: str = ""
    timeout_seconds: int = 10
    upload_seconds: int = 300
    """How long the end of a run may wait for uploads."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """For remotes over HTTP and gRPC: header -> the name of the variable that holds its value."""
    ca_file: str = ""
    client_certificate: str = ""
    client_key: str = ""

    @property
    def max_bytes(self) -> int:
        return size_of(self.max_size) or 0


@dataclass(frozen=True)
class ExecutorSettings:
    """The engine of the Remote Execution API that runs steps, if there is one."""

    address: str = ""
    """``grpc(s)://host:port/instance``; "" runs all here."""
    steps: tuple[str, ...] = ("compile",)
    """Which kinds of steps are run there; ``zip`` too where bytes travel faster than they are packed here."""
    only: tuple[str, ...] = ()
    """Rules whose steps are run there; empty means all that can be."""
    jobs: int = 16
    """How many steps may be on their way at once, beside those that are run here."""
    platform: Mapping[str, str] = field(default_factory=dict)
    """What a worker must have, in the engine's own words: ``container-image``, ``OSFamily``."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables there, such as PATH."""
    timeout_seconds: int = 10
    """How long an answer may take that is not the end of a step."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Header -> the name of the variable that holds its value."""
    ca_file: str = ""
    client_certificate: str = ""
    client_key: str = ""


@dataclass(frozen=True)
class Settings:
    """All settings. Folders are relative to the folder of the settings file, which is the project's folder."""

    template: str = ""
    """"" means the first of template.yaml, template.yml, template.json."""
    build_dir: str = "build"
    root: str = ""
    """Where relative code folders start and shared manifests lie, when that is not the template's folder."""
    project_root: str = ""
    """How far out a symlink in the source may point; "" means the git checkout, else the project's folder."""
    stage: str = ""
    """Given to the template's parameter Stage, when it has one."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """A template's parameters; a serverless.yml's params."""
    opt: Mapping[str, str] = field(default_factory=dict)
    """What ``${opt:NAME}`` of a serverless.yml stands for."""
    serverless_dir: str = ""
    """A folder for the files that ``serverless package`` leaves, for scripts that deploy them; "" means none."""
    store: str = ""
    """A folder for artifacts; "" means ``.store`` in the build folder. Not used when a bucket is named."""
    bucket: str = ""
    prefix: str = ""
    region: str = ""
    profile: str = ""
    endpoint_url: str = ""
    kms_key_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    repository: str = ""
    """Where images go: ``HOST/NAME``, or ``ecr:NAME`` for one of the account's own."""
    create_repository: bool = False
    """A repository of ECR that is not there is made."""
    scan_on_push: bool = False
    max_image_count: int = 0
    """How many images a repository that is made keeps; 0 is all."""
    exclude: tuple[str, ...] = ()
    exclude_dependencies: tuple[str, ...] = ()
    exclude_provided: bool = False
    """Leave out packages that the runtime has (``provided`` of a rule's claims)."""
    slim: bool = False
    """Leave out what packages bring that nobody needs to run them (``slim`` of a rule's claims)."""
    strip: bool = False
    """Take symbols and debug information out of packages' native files."""
    bytecode: bool = False
    auto_layers: bool = False
    """Packages that several functions have lie in layers that nobody has to write."""
    resolver: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    include: tuple[str, ...] = ()
    """Files, and folders whose content, that go into every function beside its source."""
    requirements: tuple[str, ...] = ()
    """Requirements files of every Python function."""
    zip_dependencies: bool = False
    native: str = "false"
    """Whether tools run in a container that is like the runtime: ``true``, ``false``, or ``auto``: only for what has to
    be compiled."""
    image: str = ""
    """The image of all containers; "" is that of ``images``, else AWS's build image of the runtime."""
    dockerfile: str = ""
    """A Dockerfile to build the image from instead; its folder is the context."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Images by runtime; patterns too."""
    container: Container = field(default_factory=Container)
    keep_going: bool = False
    """Build what can be built though a step failed."""
    offline: bool = False
    jobs: int = 0
    """How many steps run side by side; 0 means as many as there are processors."""
    format: str = "text"
    quiet: bool = False
    paranoid: bool = False
    """Trust no stat: hash every file at every run."""
    missing_tools: str = "fail"
    """``skip``: what needs a tool that is not here is left out of a plain run, but for CI=true."""
    tool_timeout_seconds: int = 1800
    lock_timeout_seconds: int = 600
    functions: Mapping[str, FunctionSettings] = field(default_factory=dict)
    layers: Mapping[str, LayerSettings] = field(default_factory=dict)
    commands: Mapping[str, Command] = field(default_factory=dict)
    """By a function's or layer's name, a build method or a runtime; patterns too."""
    sources: Mapping[str, SourceSettings] = field(default_factory=dict)
    cache: CacheSettings = field(default_factory=CacheSettings)
    executor: ExecutorSettings = field(default_factory=ExecutorSettings)

    @property
    def needs_no_template(self) -> bool:
        """Whether the settings alone say what to build."""
        return bool(self.sources or self.layers)

    def command_of(self, name: str, build_method: str, runtime: str) -> Command:
        """The command for its name, else for its build method, else its runtime; of patterns the longest."""
        for value in filter(None, (name, build_method, runtime)):
            fitting = [pattern for pattern in self.commands if fnmatchcase(value, pattern)]
            if fitting:
                return self.commands[max(fitting, key=len)]
        return Command()

    def image_of(self, runtime: str) -> str:
        """The image that ``images`` has for a runtime; of patterns the longest."""
        fitting = [pattern for pattern in self.images if fnmatchcase(runtime, pattern)]
        return self.images[max(fitting, key=len)] if fitting else ""

    def container_of(self, name: str) -> Container:
        """[container] with what the function has of its own."""
        mine = dict(self.of(name).container)
        mine["environment"] = {**self.container.environment, **mine.get("environment", {})}
        return replace(self.container, **mine)

    def says(self, setting: str, name: str) -> bool:
        """A setting that is on or off, as one function or layer has it, else as all do."""
        mine = getattr(self.of(name), setting)
        return bool(getattr(self, setting) if mine is None else mine)

    def of(self, name: str) -> FunctionSettings:
        """What a function or layer has of its own, under [functions] or [layers]."""
        return self.layer(name) or self.functions.get(name, FunctionSettings())

    def layer(self, name: str) -> LayerSettings | None:
        """The table of a layer, by its name or by one that ``layer_units`` gives it."""
        return self.layers.get(name) or self._by_unit.get(name)

    @cached_property
    def _by_unit(self) -> Mapping[str, LayerSettings]:
        return {unit: table for name, table in self.layers.items() for unit, _ in layer_units(name, table)}

    def over(self, said: Mapping[str, FunctionSettings]) -> Settings:
        """These, over what a template says as settings of its own."""
        functions, layers = dict(self.functions), dict(self.layers)
        for name, one in said.items():
            if name in layers:
                layers[name] = replace(layers[name], **vars(one.under(layers[name])))
            else:
                functions[name] = one.under(self.of(name))
        return replace(self, functions=functions, layers=layers) if said else self


def layer_units(name: str, table: LayerSettings) -> tuple[tuple[str, str], ...]:
    """What is built of a table: ``deps``, or one for each of its architectures, ``deps-arm64``."""
    architectures = table.architectures or ("x86_64",)
    if len(architectures) == 1:
        return ((name, architectures[0]),)
    return tuple((f"{name}-{architecture}", architecture) for architecture in architectures)


CACHES = ("s3://", "http://", "https://", "grpc://", "grpcs://")
EXECUTORS = ("grpc://", "grpcs://")
EXECUTED = frozenset({"compile", "zip"})
FOLLOWED = frozenset({"parameters", "opt", "tags", "images", "container", "cache", "executor"})
"""Tables whose keys are settings by themselves."""
UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
CHOICES = {
    "format": ("text", "json"), "resolver": ("uv", "pip"), "missing_tools": ("fail", "skip"),
    "native": ("true", "false", "auto"), "pull": ("missing", "always", "never"),
    "transfer": ("auto", "mount", "archive"),
}  # fmt: skip
MAPPINGS = ("parameters", "opt", "tags", "options", "images")
TEXTS = ("tags", "metadata")


@dataclass(frozen=True)
class Table:
    """A setting that holds named items, each with fields of its own: ``[sources.NAME]``."""

    item: type[FunctionSettings | Command | SourceSettings]
    example: str
    short: str = ""
    """The field that a value stands for which is given in place of an item's table."""


TABLES: Mapping[str, Table] = {
    "functions": Table(FunctionSettings, "a table such as [functions.Orders]"),
    "layers": Table(LayerSettings, "a table such as [layers.deps]"),
    "commands": Table(Command, "a table [commands], with a command for a function or a runtime", short="run"),
    "sources": Table(SourceSettings, "a table such as [sources.app]"),
}


def load(
    file: str, text: str, environment: Mapping[str, str], variables: Mapping[str, str], *, table: tuple[str, ...] = ()
) -> Settings:
    """Settings from a TOML text (``table`` is where in it they stand), the environment and the command line.

    All mistakes are raised together (LB107), each with its place in the file when it has one.
    """
    errors: list[LambdaBuildError] = []
    settings = Settings()
    for source in (
        _from_toml(file, text, table),
        _from_environment(environment),
        [_Given(key.split("."), value, f"the argument {key}={value}") for key, value in variables.items()],
    ):
        for given in source:
            try:
                settings = _set(settings, given)
            except BadSettings as error:
                errors.append(error)
    raise_all(errors)
    return settings


@dataclass(frozen=True)
class _Given:
    """One setting as somebody gave it. Values from outside TOML are text."""

    path: list[str]
    value: Any
    source: str
    where: Span | None = None
    item: Span | None = None
    """Where the named item that it is about begins."""

    @property
    def key(self) -> str:
        return ".".join(self.path)


def _from_toml(file: str, text: str, table: tuple[str, ...]) -> Iterable[_Given]:
    if not text:
        return
    import tomllib

    try:
        data: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        where = Span(file, int(place[1]), int(place[2])) if place else Span(file)
        raise BadSettings(f"not TOML: {error}", where=where, mend="correct the text at that place") from error
    for name in table:
        data = data.get(name, {})
    for path, value in _leaves(data):
        yield _Given(path, value, file, _place(file, text, (*table, *path)), _place(file, text, (*table, *path[:2])))


def _leaves(data: Any, path: tuple[str, ...] = ()) -> Iterable[tuple[list[str], Any]]:
    """Every (dotted path, value); tables that are settings of their own are followed, ``options`` are not."""
    for key, value in data.items():
        here = (*path, key)
        follow = isinstance(value, dict) and (len(here) < 3) and here[-1] not in ("options",)
        if follow and (here[0] in FOLLOWED or here[0] in TABLES):
            yield from _leaves(value, here)
            if len(here) == 2 and not value:
                yield [*here], value
        else:
            yield list(here), value


def _place(file: str, text: str, path: Sequence[str]) -> Span:
    """Where a key stands, or the nearest thing around it; TOML's parser keeps no places."""
    best, depth, position = Span(file), 0, 0
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        header, key = re.match(HEADER, line), re.match(KEY, line)
        found = header or key
        if found:
            name = _parts(found[1])
            table, whole = (name, name) if header else (table, (*table, *name))
            if depth < len(whole) <= len(path) and tuple(path[: len(whole)]) == whole:
                start, end = (position + place for place in found.span(1))
                best, depth = Span(file, number, found.start(1) + 1, start, end), len(whole)
        position += len(line)
    return best


WORD = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
DOTTED = rf"{WORD}(?:\s*\.\s*{WORD})*"
HEADER = rf"\s*\[+\s*({DOTTED})\s*\]"
KEY = rf"\s*({DOTTED})\s*="


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(word.strip("\"'") for word in re.findall(WORD, dotted))


def _from_environment(environment: Mapping[str, str]) -> Iterable[_Given]:
    for name in sorted(environment):
        if name.startswith("LAMBDABUILD_") and name not in NOT_SETTINGS:
            first, *rest = name.removeprefix("LAMBDABUILD_").split("__")
            yield _Given([first.lower(), *rest], environment[name], f"the variable {name}")


def _set(settings: Settings, given: _Given) -> Settings:
    first, *rest = given.path
    first = {"param": "parameters"}.get(first, first)
    known = {item.name: item for item in fields(Settings)}
    if first not in known:
        raise _unknown(given, first, [*known, "param.NAME"])
    if first in TABLES:
        items = {**getattr(settings, first), **_item(getattr(settings, first), given, first, rest)}
        return _with(settings, first, items)
    if first == "container":
        old = {"environment": settings.container.environment}
        return replace(settings, container=replace(settings.container, **_container(old, given, rest)))
    if first == "cache":
        return replace(settings, cache=_cache(settings.cache, given, rest))
    if first == "executor":
        return replace(settings, executor=_executor(settings.executor, given, rest))
    if first in MAPPINGS:
        old_map = getattr(settings, first)
        if rest:
            value = given.value if first == "options" else _text(given)
            return _with(settings, first, {**old_map, ".".join(rest): value})
        if not isinstance(given.value, dict):
            raise _bad(given, f"a table, or {first}.NAME=value")
        return _with(settings, first, {**old_map, **given.value})
    if rest:
        raise _unknown(given, given.key, list(known))
    return _with(settings, first, _typed(given, first, known[first]))


def _item(items: Mapping[str, Any], given: _Given, name: str, rest: list[str]) -> dict[str, Any]:
    """The named item of a table with the value in it: ``{NAME: item}``."""
    table = TABLES[name]
    is_whole = len(rest) == 1 and given.value == {}
    key = rest[1] if rest[1:] else table.short
    mine = {item.name: item for item in fields(table.item) if item.name != "where"}
    if not rest or not (key or is_whole) or len(rest) > (3 if key in TEXTS else 4 if key == "container" else 2):
        raise _bad(given, table.example)
    old = items.get(rest[0]) or table.item()
    changes: dict[str, Any] = {"where": given.item} if hasattr(old, "where") and given.item else {}
    if not is_whole:
        if key not in mine:
            raise _unknown(given, key, list(mine))
        changes[key] = _value(given, key, old, mine[key], rest[2:])
    return {rest[0]: replace(old, **changes)}


def _value(given: _Given, key: str, old: Any, item: Any, rest: list[str]) -> Any:
    if key == "container":
        return {**old.container, **_container(old.container, given, rest)}
    return _texts(given, getattr(old, key), rest) if key in TEXTS else _typed(given, key, item)


def _texts(given: _Given, old: Mapping[str, str], rest: list[str]) -> dict[str, str]:
    """A table of texts, given whole or name by name."""
    if rest:
        return {**old, rest[0]: _text(given)}
    if not isinstance(given.value, dict):
        raise _bad(given, f"a table, or {given.key}.NAME=value")
    return {**old, **{name: _text(replace(given, value=value)) for name, value in given.value.items()}}


def _container(old: Mapping[str, Any], given: _Given, rest: list[str]) -> dict[str, Any]:
    """What is given of a [container] table, as a whole table or one key of it."""
    if not rest:
        if not isinstance(given.value, dict):
            raise _bad(given, "a table")
        parts = [(key, replace(given, path=[*given.path, key], value=value)) for key, value in given.value.items()]
        return {name: value for key, part in parts for name, value in _container(old, part, [key]).items()}
    mine = {item.name: item for item in fields(Container)}
    name = rest[0].lower()  # a variable of the environment writes it large
    if name not in mine:
        raise _unknown(given, rest[0], list(mine))
    if name == "environment":
        return {"environment": _texts(given, old.get("environment", {}), rest[1:])}
    if rest[1:]:
        raise _unknown(given, given.key, list(mine))
    return {name: _typed(given, name, mine[name])}


def _cache(settings: CacheSettings, given: _Given, rest: list[str]) -> CacheSettings:
    key, value = _of_table(settings, given, rest)
    if key == "max_size" and size_of(value) is None:
        raise _bad(given, 'a size such as "500 MB" or "10 GB"')
    if key == "remotes" and not all(address.startswith(CACHES) for address in value):
        raise _bad(given, f"addresses that begin with {', '.join(CACHES)}")
    changes: dict[str, Any] = {key: value}
    return replace(settings, **changes)


def _executor(settings: ExecutorSettings, given: _Given, rest: list[str]) -> ExecutorSettings:
    """A whole address stands for the table that has no more."""
    key, value = _of_table(settings, given, rest or ["address"])
    if key == "address" and value and not value.startswith(EXECUTORS):
        raise _bad(given, f"an address that begins with {' or '.join(EXECUTORS)}")
    if key == "steps" and not set(value) <= EXECUTED:
        raise _bad(given, f"a list of {', '.join(sorted(EXECUTED))}")
    changes: dict[str, Any] = {key: value}
    return replace(settings, **changes)


def _of_table(settings: Any, given: _Given, rest: list[str]) -> tuple[str, Any]:
    """The key of a table that a setting is about, and its value; in tables within it, name by name."""
    mine = {item.name: item for item in fields(settings)}
    key = rest[0].lower() if rest else ""
    if not rest:
        raise _bad(given, f"a table [{given.key}]")
    old = getattr(settings, key, None)
    if key not in mine or (rest[1:] and not isinstance(old, Mapping)):
        raise _unknown(given, key, list(mine))
    if rest[1:]:
        return key, {**(old or {}), ".".join(rest[1:]): _text(given)}
    return key, _typed(given, key, mine[key])


def size_of(text: str) -> int | None:
    """Bytes of ``500 MB`` and the like, in units of 1000; None for what is no size."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B?)", text.strip().upper())
    unit = UNITS.get(found[2] if found[2] in UNITS else found[2] + "B") if found else None
    return None if found is None or unit is None else int(float(found[1]) * unit)


def _with(settings: Settings, name: str, value: Any) -> Settings:
    changes: dict[str, Any] = {name: value}
    return replace(settings, **changes)


def _typed(given: _Given, name: str, item: Any) -> Any:
    value = given.value
    default = item.default if item.default is not MISSING else item.default_factory()
    if isinstance(default, bool) or item.type == "bool | None":
        if isinstance(value, str) and value.lower() in ("true", "1", "yes", "on", "false", "0", "no", "off", ""):
            return value.lower() in ("true", "1", "yes", "on")
        if isinstance(value, bool):
            return value
        raise _bad(given, "true or false")
    if isinstance(default, int):
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        if isinstance(value, str) and value.isdigit():
            return int(value)
        raise _bad(given, "a whole number, 0 or more")
    if isinstance(default, tuple):
        if isinstance(value, str):
            value = [part for part in value.split(",") if part]
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            return tuple(value)
        raise _bad(given, "a list of texts")
    if isinstance(default, dict):
        if isinstance(value, dict):
            return value
        raise _bad(given, "a table")
    if name == "native" and isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str):
        raise _bad(given, "a text in quotes")
    allowed = CHOICES.get(name)
    if allowed and value not in allowed:
        raise _bad(given, f"one of {', '.join(allowed)}")
    return value


def _text(given: _Given) -> str:
    if isinstance(given.value, bool):
        return str(given.value).lower()
    if isinstance(given.value, str | int | float):
        return str(given.value)
    if isinstance(given.value, list):
        return ",".join(map(str, given.value))
    raise _bad(given, "a text or a number")


def _bad(given: _Given, expected: str) -> BadSettings:
    return BadSettings(
        f"setting {given.key!r} is {given.value!r}, expected {expected}",
        where=given.where,
        mend=f"change it in {given.source}",
    )


def _unknown(given: _Given, name: str, known: list[str]) -> BadSettings:
    near = nearest(name, known)
    return BadSettings(
        f"unknown setting {given.key!r} in {given.source}",
        where=given.where,
        mend=f"did you mean {near!r}?" if near else f"known settings: {', '.join(sorted(known))}",
    )


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name most like this one, or "" when none is."""
    import difflib

    return next(iter(difflib.get_close_matches(name, list(known), 1, 0.6)), "")
