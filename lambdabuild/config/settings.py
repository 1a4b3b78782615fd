"""All settings, with their defaults, and what follows from them. How they are given: ``given``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import takewhile
from typing import Any

from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.spans import Span

DEFAULT_EXCLUDE = (
    ".git/", ".hg/", ".svn/", ".gitignore", ".lambdabuild/", ".lambdabuildignore", ".aws-sam/", ".serverless/",
    "__pycache__/", "*.pyc", "*.pyo", "*.egg-info/", ".venv/", ".env", ".python-version", ".tox/", ".nox/",
    ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".hypothesis/", ".coverage", "htmlcov/", ".idea/", ".vscode/",
    ".DS_Store", "*.swp", "*~",
)  # fmt: skip
"""What is left out of every source folder unless a later pattern brings it back (``!.env``)."""

PACKED_OF_A_SERVICE = frozenset({".env", ".gitignore", ".python-version"})
"""Dot-files of these that the Serverless Framework packs, so they are packed of a serverless.yml."""

CREDENTIALS = (
    ".env", ".env.*", ".envrc", ".npmrc", ".netrc", "_netrc", ".pypirc", "pip.conf", "pip.ini", ".git-credentials",
    ".aws/", ".azure/", ".docker/", ".dockercfg", ".kube/", ".ssh/", ".gnupg/", "id_rsa", "id_dsa", "id_ecdsa",
    "id_ed25519", "*.ppk", ".htpasswd", ".pgpass", ".my.cnf", ".s3cfg", ".boto", ".vault-token", ".terraformrc",
)  # fmt: skip
"""What is left out of what is shipped as it is written, too, for such files hold secrets; tools that build see it."""


@dataclass(frozen=True)
class Container:
    """How containers are run in which tools build (``use_container``). None of it is about which image."""

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
    code_root: str = ""
    """Where relative code folders start and shared manifests lie, when that is not the template's folder."""
    project_root: str = ""
    """How far out a symlink in the source may point; "" means the git checkout, else the project's folder."""
    stage: str = ""
    """Given to the template's parameter Stage, when it has one."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """A template's parameters; a serverless.yml's params."""
    serverless_options: Mapping[str, str] = field(default_factory=dict)
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
    check_handler: bool = True
    """Whether what functions' Handlers name must be in their artifacts."""
    plugins_ignored: tuple[str, ...] = ()
    """Plugins of a serverless.yml without whose work its template is right; patterns too."""
    use_container: str = "false"
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

    def flag(self, setting: str, name: str) -> bool:
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

    def merged_over(self, said: Mapping[str, FunctionSettings]) -> Settings:
        """These, over what a template says as settings of its own."""
        functions, layers = dict(self.functions), dict(self.layers)
        for name, one in said.items():
            if name in layers:
                layers[name] = replace(layers[name], **vars(one.merged_under(layers[name])))
            else:
                functions[name] = one.merged_under(self.of(name))
        return replace(self, functions=functions, layers=layers) if said else self


def layer_units(name: str, table: LayerSettings) -> tuple[tuple[str, str], ...]:
    """What is built of a table: ``deps``, or one for each of its architectures, ``deps-arm64``."""
    architectures = table.architectures or ("x86_64",)
    if len(architectures) == 1:
        return ((name, architectures[0]),)
    return tuple((f"{name}-{architecture}", architecture) for architecture in architectures)


UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def size_of(text: str) -> int | None:
    """Bytes of ``500 MB`` and the like, in units of 1000; None for what is no size."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B?)", text.strip().upper())
    unit = UNITS.get(found[2] if found[2] in UNITS else found[2] + "B") if found else None
    return None if found is None or unit is None else int(float(found[1]) * unit)


MOST_NAMES, LONGEST_NAME = 2000, 255


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name most like this one, or "" when none is, or comparing would take long.

    Of equals it is the one that begins as the name does.
    """
    import difflib

    names = list(known)
    if len(name) > LONGEST_NAME or len(names) > MOST_NAMES:
        return ""

    def likeness(other: str) -> tuple[float, int]:
        same = takewhile(lambda pair: pair[0] == pair[1], zip(other, name, strict=False))
        return difflib.SequenceMatcher(None, other, name).ratio(), len(list(same))

    return max(difflib.get_close_matches(name, names, 20, 0.6), key=likeness, default="")


def with_flags(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with ``true`` and ``false`` where they are written as texts: a template's parameters are always texts."""
    flags = {"true": True, "false": False}
    return {
        name: flags.get(value.strip().lower(), value) if isinstance(value, str) else value
        for name, value in options.items()
    }
