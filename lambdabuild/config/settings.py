"""All settings, with their defaults and descriptions, and what follows from them. The loader reads them.

The text below a field is its description in the JSON Schema and in docs/reference/settings.md (config/schema.py):
Markdown, with units, and with a last sentence ``Default: ...`` where an empty value stands for something.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import takewhile
from typing import Any

from lambdabuild.config.tables import (
    EVERY,
    NOT_KEYS,
    NOTHING,
    Command,
    LayerSettings,
    SourceSettings,
    described,
    layer_units,
    of_any,
)
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.records import Struct, asdict, field, replace

DEFAULT_EXCLUDE = (
    ".git/", ".hg/", ".svn/", ".gitignore", ".lambdabuild/", ".lambdabuildignore", ".aws-sam/", ".serverless/",
    "cdk.out/", "__pycache__/", "*.pyc", "*.pyo", "*.egg-info/", ".venv/", ".env", ".python-version", ".tox/", ".nox/",
    ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".hypothesis/", ".coverage", "htmlcov/", ".idea/", ".vscode/",
    ".DS_Store", "*.swp", "*~",
)  # fmt: skip
"""Left out of every source folder unless a later pattern includes it again (``!.env``)."""

PACKED_OF_A_SERVICE = frozenset({".env", ".gitignore", ".python-version"})
"""The dot-files among these that the Serverless Framework packs, so they are packed for a serverless.yml too."""

CREDENTIALS = (
    ".env", ".env.*", ".envrc", ".npmrc", ".netrc", "_netrc", ".pypirc", "pip.conf", "pip.ini", ".git-credentials",
    ".aws/", ".azure/", ".docker/", ".dockercfg", ".kube/", ".ssh/", ".gnupg/", "id_rsa", "id_dsa", "id_ecdsa",
    "id_ed25519", "*.ppk", ".htpasswd", ".pgpass", ".my.cnf", ".s3cfg", ".boto", ".vault-token", ".terraformrc",
)  # fmt: skip
"""Also left out of source that is shipped as it is, because such files hold secrets; build tools do see them."""


class Container(Struct, frozen=True):
    """How containers are run. Which image they are made of: `image`, `dockerfile`, `images`."""

    name: str = ""
    """Name of the container. Default: the engine chooses one."""
    network: str = ""
    """Network of the container: `host`, `none`, or the name of one. Default: the engine's own."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that tools get, with their values."""
    pass_environment: tuple[str, ...] = ()
    """Names of variables that tools get with the values they have here; the values are written nowhere."""
    mounts: tuple[str, ...] = ()
    """Files and folders of this machine to mount: `source[:target][:ro|rw]`, read-only unless `rw`."""
    platform: str = ""
    """Platform of the container, such as `linux/arm64`. Default: the function's architecture."""
    pull: str = "missing"
    """When to pull the image: `missing` (if it is not on this machine), `always` or `never`."""
    transfer: str = "auto"
    """How files get into the container: `mount` or `archive`; `auto` mounts where the engine can."""


class CacheSettings(Struct, frozen=True):
    """Where results of steps are kept and looked for."""

    enabled: bool = True
    """Look for results in caches, and keep results there."""
    dir: str = ""
    """Folder of the cache on this machine. Default: `~/.cache/lambdabuild/cache`."""
    max_size: str = "10 GB"
    """Size limit of that folder, in units of 1000 (`500 MB`); the least recently used go first, `0` is no limit."""
    remotes: tuple[str, ...] = ()
    """Remote caches, asked in this order: `s3://bucket/prefix`, `https://host/path`, `grpcs://host:port/instance`."""
    read_only: bool = False
    """Write to no cache, not even the folder; for jobs that build code from strangers."""
    namespace: str = ""
    """A word that enters every key; a different word is a different cache."""
    timeout_seconds: int = 10
    """Seconds a server may take to answer; large files get more, by their size."""
    upload_seconds: int = 300
    """Seconds the end of a run may wait for uploads."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers for HTTP and gRPC: name of the header, and *name of the variable* that holds its value."""
    ca_file: str = ""
    """PEM file of the certificate authority, for `https` and `grpcs`."""
    client_certificate: str = ""
    """PEM file of the client's certificate, for `https` and `grpcs`."""
    client_key: str = ""
    """PEM file of the client's key, for `https` and `grpcs`."""

    @property
    def max_bytes(self) -> int:
        """Return `max_size` in bytes; 0 is no limit."""
        return size_of(self.max_size) or 0


class ExecutorSettings(Struct, frozen=True):
    """An engine of the Remote Execution API that runs steps. A text in place of the table is its address."""

    address: str = ""
    """Address of the engine: `grpc://` or `grpcs://host:port/instance`. Default: all steps run on this machine."""
    steps: tuple[str, ...] = ("compile",)
    """Kinds of steps to run there: `compile`, and `zip` where sending bytes is faster than packing them here."""
    only: tuple[str, ...] = ()
    """Rules whose steps run there. Default: all that can."""
    jobs: int = 16
    """Number of steps sent at once, besides the `jobs` that run here."""
    platform: Mapping[str, str] = field(default_factory=dict)
    """What a worker must have, in your engine's words, such as `OSFamily` or `container-image` (name it by digest)."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables on the worker. Default: a usual `PATH`."""
    timeout_seconds: int = 10
    """Seconds a server may take to answer; does not limit the step itself."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers for gRPC: name of the header, and *name of the variable* that holds its value."""
    ca_file: str = ""
    """PEM file of the certificate authority, for `grpcs`."""
    client_certificate: str = ""
    """PEM file of the client's certificate, for `grpcs`."""
    client_key: str = ""
    """PEM file of the client's key, for `grpcs`."""


class Settings(Struct, frozen=True, dict=True):
    """Settings of lambdabuild. Paths are relative to the project's folder, where the settings file is."""

    template: str = ""
    """Template, `serverless.yml`, cloud assembly (`cdk.out`) or output of `terraform show -json`; `none` reads none.
    Default: `template.yaml`, `.yml`, `.json`, then `serverless.yml`, `.yaml`, `.json`, `.js`, `.ts`, then
    `terraform.json`, then `cdk.out`."""
    build_dir: str = "build"
    """Folder for everything that is built; `.lambdabuild` if a serverless.yml has files of its own in `build/`. Not a
    folder with code: files that others put there stay (LB507)."""
    code_root: str = ""
    """Folder that code folders are relative to, and that has shared manifests. Default: the template's folder."""
    project_root: str = ""
    """Top folder in which to look for manifests, lock files and workspaces; a symlink in the source must not point out
    of it. Default: the git checkout."""
    stage: str = ""
    """Stage of a serverless.yml (`--stage`); for a SAM template the parameter `Stage`, if it has one."""
    config_file: str = ""
    """A samconfig.toml or .yaml whose parameters of `build`, `deploy` and `package` are read; `none` reads none
    (`--config-file`). Default: the one next to a SAM template."""
    config_env: str = ""
    """Environment in the samconfig.toml (`--config-env`). Default: `default`."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the template, params of a serverless.yml; on the command line also `param.NAME=value`."""
    serverless_options: Mapping[str, str] = field(default_factory=dict)
    """Values of `${opt:NAME}` in a serverless.yml; on the command line also `opt.NAME=value`."""
    serverless_dir: str = ""
    """Folder for the files that `serverless package` leaves, for scripts that deploy them. Default: not written."""
    store: str = ""
    """Folder for artifacts when no bucket is named; not one with code. Default: `<build_dir>/.store`."""
    bucket: str = ""
    """S3 bucket for artifacts. Default: `deploymentBucket` of a serverless.yml, unless `store` is set."""
    prefix: str = ""
    """Prefix of the keys of artifacts in the bucket."""
    region: str = ""
    """AWS region, and `AWS::Region` in templates (`--region`). Default: boto3's."""
    profile: str = ""
    """AWS profile. Default: boto3's."""
    endpoint_url: str = ""
    """Address of AWS, for a local stand-in. Default: boto3's."""
    kms_key_id: str = ""
    """KMS key that objects in the bucket are encrypted with."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of objects in the bucket."""
    repository: str = ""
    """Where images are pushed: `HOST/NAME`, or `ecr:NAME`. Default: `serverless-SERVICE-STAGE` in ECR for a
    serverless.yml."""
    create_repository: bool = False
    """Create the ECR repository if it does not exist."""
    scan_on_push: bool = False
    """Let a created repository scan images for vulnerabilities."""
    max_image_count: int = 0
    """Number of images a created repository keeps; `0` keeps all."""
    exclude: tuple[str, ...] = ()
    """Gitignore patterns of files to leave out of every source, after lambdabuild's own and, unless it is a
    serverless.yml, those for secrets (`.npmrc`, `.env.*`, `.aws/`, `id_rsa`); `lambdabuild plan` lists them, `!name`
    includes one again."""
    exclude_dependencies: tuple[str, ...] = ()
    """Gitignore patterns of files to leave out of packages: `tests/`, `*.pyi`."""
    exclude_provided: bool = False
    """Leave out packages that the runtime already has."""
    slim: bool = False
    """Leave tests, docs, type hints and the like out of packages."""
    strip: bool = False
    """Strip symbols and debug information from packages' native files."""
    bytecode: bool = False
    """Compile Python to bytecode for the target's version, reproducibly."""
    auto_layers: bool = False
    """Put packages that several functions share into automatic layers."""
    resolver: str = ""
    """Resolver of Python packages: `uv` or `pip`. With `pip`, what only uv understands (`[tool.uv.sources]`, an index
    for one package) is an error. Default: `uv`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of rules, such as `environment`; the template's `BuildProperties` take precedence."""
    include: tuple[str, ...] = ()
    """Files, and the contents of folders, to add to the root of every function's zip."""
    requirements: tuple[str, ...] = ()
    """Requirements files of every Python function, resolved together with its own."""
    zip_dependencies: bool = False
    """Add packages as one zip, which is unpacked where the function runs."""
    check_handler: bool = True
    """Check that a function's `Handler` is in its artifact or its layers (LB409)."""
    plugins_ignored: tuple[str, ...] = ()
    """Plugins of a serverless.yml that are not run and not needed for a correct template; patterns too."""
    artifacts_only: bool = False
    """Build the functions and layers of a serverless.yml, and no template: the Serverless Framework makes it."""
    use_container: str = "false"
    """Run tools in a container like the runtime: `true`, `false`, or `auto` for only what must be compiled."""
    image: str = ""
    """Image of containers. Default: that of `images`, else AWS's build image of the runtime."""
    dockerfile: str = ""
    """Dockerfile to build the image from instead; its folder is the context."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Images of containers by runtime; patterns too."""
    container: Container = field(default_factory=Container)
    """How containers are run."""
    keep_going: bool = False
    """After a step failed, run the steps that do not need it (`--continue`); build other functions if the code folder
    or manifest of one is missing."""
    offline: bool = False
    """Use no network; packages come from this machine's store (`--offline`)."""
    jobs: int = 0
    """Number of steps to run at once. Default: the number of processors."""
    format: str = "text"
    """Format of the output: `text`, or `json` for one object a line (`--format json`)."""
    quiet: bool = False
    """Print only errors (`-q`)."""
    paranoid: bool = False
    """Hash every file on every run instead of trusting time stamps."""
    missing_tools: str = "fail"
    """What to do with functions whose tools are not installed: `fail`, or `skip` with a note unless they are asked for
    by name or `CI=true`."""
    tool_timeout_seconds: int = 1800
    """Seconds a tool may run; `0` is no limit."""
    lock_timeout_seconds: int = 600
    """Seconds to wait for another run in the project."""
    functions: Mapping[str, FunctionSettings] = field(default_factory=dict)
    """Settings of one function or layer, by its name (`Child/NAME` in a nested stack), or a function that no template
    has; `"*"` for all functions."""
    layers: Mapping[str, LayerSettings] = field(default_factory=dict)
    """A layer of your own, or additions to one of the template, by its name."""
    commands: Mapping[str, Command] = field(default_factory=dict)
    """Commands of your own by a function's or layer's name, a build method or a runtime; patterns too."""
    sources: Mapping[str, SourceSettings] = field(default_factory=dict)
    """Python distributions of your own that are published under their versions, by a name for tasks."""
    cache: CacheSettings = field(default_factory=CacheSettings)
    """Where results of steps are kept and looked for."""
    executor: ExecutorSettings = field(default_factory=ExecutorSettings)
    """An engine that runs steps on other machines; a text is its address."""
    notes: tuple[str, ...] = ()
    read_files: tuple[str, ...] = ()

    @property
    def needs_no_template(self) -> bool:
        """Return whether the settings alone say what to build."""
        return bool(self.sources or self.layers or described(self.functions))

    def command_of(self, name: str, build_method: str, runtime: str) -> Command:
        """Return the command for its name, else its build method, else its runtime, by the longest pattern."""
        for value in filter(None, (name, build_method, runtime)):
            fitting = [pattern for pattern in self.commands if fnmatchcase(value, pattern)]
            if fitting:
                return self.commands[max(fitting, key=len)]
        return Command()

    def image_of(self, runtime: str) -> str:
        """Return the image in ``images`` for a runtime, by the longest pattern that matches."""
        fitting = [pattern for pattern in self.images if fnmatchcase(runtime, pattern)]
        return self.images[max(fitting, key=len)] if fitting else ""

    def container_of(self, name: str) -> Container:
        """Return [container] merged with the function's own table."""
        own = dict(self.of(name).container)
        own["environment"] = {**self.container.environment, **own.get("environment", {})}
        return replace(self.container, **own)

    def flag(self, setting: str, name: str) -> bool:
        """Return a true-or-false setting of one function or layer: its own value, else the project's."""
        own = getattr(self.of(name), setting)
        return bool(getattr(self, setting) if own is None else own)

    def of(self, name: str) -> FunctionSettings:
        """Return the own settings of a function or layer, from [functions] or [layers]."""
        return self._own.get(name, NOTHING)

    def layer(self, name: str) -> LayerSettings | None:
        """Return a layer's table, by its name or by one that ``layer_units`` gives it."""
        return self.layers.get(name) or self._by_unit.get(name)

    @cached_property
    def _own(self) -> Mapping[str, FunctionSettings]:
        return {**self.functions, **self._by_unit, **self.layers}

    @cached_property
    def _by_unit(self) -> Mapping[str, LayerSettings]:
        return {unit: table for name, table in self.layers.items() for unit, _ in layer_units(name, table)}

    def merged_over(self, template: Mapping[str, FunctionSettings], functions: Iterable[str] = ()) -> Settings:
        """Return these settings, with what all ``functions`` have in common, and the template's own below that."""
        tables, layers = {name: of_any(table) for name, table in self.functions.items()}, dict(self.layers)
        common = tables.pop(EVERY, None)
        if common is not None:
            tables |= {name: common.merged_under(tables.get(name, NOTHING)) for name in functions}
        for name, own in template.items():
            if name in layers:
                layers[name] = replace(layers[name], **asdict(own.merged_under(layers[name])))
            else:
                tables[name] = own.merged_under(tables.get(name) or self.of(name))
        return replace(self, functions=tables, layers=layers) if template or self.functions else self


def keys_of(kind: type[Struct]) -> list[str]:
    """Return the fields of a class that a settings file may have."""
    return [name for name in kind.__struct_fields__ if name not in NOT_KEYS]


def annotation_of(kind: type[Struct], name: str) -> str:
    """Return the type of a field as it is written: ``tuple[str, ...]``."""
    annotations = (vars(base).get("__annotations__", {}) for base in kind.__mro__)
    return next(str(own[name]) for own in annotations if name in own)


UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def size_of(text: str) -> int | None:
    """Return the bytes in ``500 MB`` and the like, in units of 1000; None if it is not a size."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B?)", text.strip().upper())
    unit = UNITS.get(match[2] if match[2] in UNITS else match[2] + "B") if match else None
    return None if match is None or unit is None else int(float(match[1]) * unit)


MOST_NAMES, LONGEST_NAME = 2000, 255


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the closest known name, or "" if none is close or comparing would take long.

    If several are equally close, prefer the one with the longest common beginning.
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
    """Return options with the texts ``true`` and ``false`` as booleans: a template's parameters are always texts."""
    flags = {"true": True, "false": False}
    return {
        name: flags.get(value.strip().lower(), value) if isinstance(value, str) else value
        for name, value in options.items()
    }
