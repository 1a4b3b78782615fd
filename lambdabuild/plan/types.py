"""The parts of a plan: rules as claims, resolutions, builds, images. Frozen, sorted, printable."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from lambdabuild.config.tables import Command
from lambdabuild.core.model import Asset, Broken, Globs, Options, Skipped
from lambdabuild.core.records import Struct, field

Kind = Literal["function", "layer", "source"]


class StepClaims(Struct, frozen=True):
    """What one step of a rule reads in addition to the results of the steps before it."""

    reads: tuple[str, ...] = ()
    """Any of ``manifest`` (with lock files and companions), ``source``."""
    environment: tuple[str, ...] = ()
    """Names of variables that the tools get and that enter the step's fingerprint."""
    source_keys: tuple[str, ...] = ()
    """Dotted keys of the manifest, such as ``scripts.postinstall``. If it has any of them, the step reads the files
    next to the manifest, too.
    """
    source_unless: str = ""
    """An option that, when set, keeps the step from reading them."""
    tools: tuple[str, ...] = ()
    """Programs whose version counts; ``go version`` is one that does not know ``--version``."""
    options: tuple[str, ...] = ()
    """Names of the options that enter the step's fingerprint; ``entry_points`` is also ``EntryPoints``."""
    host_tools: tuple[str, ...] = ()
    """Those of ``tools`` that run on this machine even when the others run in a container."""
    only_with_option: str = ""
    """The name of an option without which the step has nothing to do."""
    reads_are_complete: bool = False
    """The step's results never name more files that it read, so ``lambdabuild affected`` need not have seen it run."""
    remote: bool = False
    """It can be run on another machine: it needs no network, and nothing of this machine but its tools. It imports only
    the standard library, ``lambdabuild.rule_api`` and the ``libraries``.
    """

    def environment_with(self, options: Options) -> tuple[str, ...]:
        """Return the variables for the tools: those claimed here and those of the option ``environment``."""
        extra = _option(options, "environment")
        return (*self.environment, *(extra if isinstance(extra, list) else ()))

    def tools_with(self, options: Options) -> tuple[str, ...]:
        """Return the tools whose versions count. With another ``resolver`` than uv, uv does not."""
        chosen = _option(options, "resolver")
        return tuple(name for name in self.tools if not (chosen and name == "uv" and chosen != "uv"))


def _option(options: Options, wanted: str) -> Any:
    """Return the value of an option; None without it, as most builds are."""
    return next((json.loads(value) for name, value in options if name == wanted), None)


class Workspace(Struct, frozen=True):
    """Several packages under one lock file, which is in the folder of the workspace's root."""

    files: tuple[str, ...]
    """Names of the file that makes a folder a root: ``package.json``, ``go.work``. It may be JSON, TOML or YAML when
    one of the keys below is asked for."""
    key: str = ""
    """The dotted key it must have: ``tool.uv.workspace``; "" means the keys of ``members``, if there are any."""
    members: tuple[str, ...] = ()
    """Dotted keys of lists of globs: the folders that belong to it. Without any, every folder below the root does."""
    exclude: tuple[str, ...] = ()
    """Dotted keys of lists of globs: folders that do not belong to it."""
    locks: tuple[str, ...] = ()
    """Dotted keys of a manifest; one that has none of them needs no lock file."""
    own_lock_first: bool = True
    """A lock file next to the manifest takes precedence over the root's; false for a manager that never looks at it."""


class PackageLayers(Struct, frozen=True):
    """How a function finds packages in layers instead of its zip. Each archive of resolve with an ``origin`` is a
    package.
    """

    hidden_by: tuple[str, ...] = ()
    """Variables that, when a function has them, keep it from looking into layers."""
    marker: str = ""
    """The name or pattern of a file that marks its folder as complete: only the first such folder on the path is used.
    """
    modules: tuple[str, ...] = ()
    """Patterns of files that are imported by their names without extensions."""


class Rule(Struct, frozen=True):
    """The claims of one rule.toml, in ``folder``. Reading them runs none of the rule's code."""

    name: str
    """Name of the rule. Required."""
    folder: str
    language: str
    """Language of the functions. Required."""
    dependency_manager: str
    """Name of the package manager. Required."""
    application_framework: str = ""
    """Name of a framework of the language, for callers that speak Lambda Builders' protocol."""
    runtimes: tuple[str, ...] = ()
    """Patterns of the runtimes it builds: ``python3.[1-9][0-9]``."""
    build_methods: tuple[str, ...] = ()
    """Patterns of the build methods it builds: ``makefile``."""
    manifests: tuple[str, ...] = ()
    """File names or patterns (``*.csproj``)."""
    lock_files: tuple[str, ...] = ()
    """File names. A rule whose lock file exists takes precedence over one that has only its manifest."""
    companions: tuple[str, ...] = ()
    """Files next to the manifest that count as it does, but do not make the rule a better choice: ``.npmrc``."""
    goes_first: bool = False
    """It takes precedence over other rules that find their manifest in the same folder, with a lock file or without."""
    manifest_search: Literal["code", "template", "checkout"] = "code"
    """Where to look for a manifest besides the code folder: ``code`` nowhere; ``template`` in the folders above it, up
    to the one that holds the template; ``checkout`` up to the project root.
    """
    workspace: Workspace | None = None
    """How lock files above the manifest's folder apply to it."""
    needs_manifest: bool = False
    """It builds nothing that has no manifest."""
    needs_name: bool = False
    """The function's or layer's name changes the result (a make target), so nothing is shared."""
    ships_source: bool = True
    """The source goes into the artifact unless a setting says not to."""
    ships_manifest: str = ""
    """The name of a manifest that goes into the artifact even when it is outside of the code folder."""
    source_below: str = ""
    """The option that names packages below which the source goes: with ``parent_python_packages = "app.orders"`` it
    goes into ``app/orders/``.
    """
    layer_prefix: str = ""
    """The folder of a layer's files: ``python``."""
    package_layers: PackageLayers | None = None
    """How packages can be put into layers one by one; without it they stay in the zip."""
    leave_out: tuple[str, ...] = ()
    """gitignore patterns that keep files out of the source, in addition to the project-wide ones."""
    ignore_files: tuple[str, ...] = ()
    """Files in the source that hold gitignore patterns of the language's own, such as ``.npmignore``."""
    local_reference: str = ""
    """A regular expression. A manifest that matches it names files next to itself, so an equal copy elsewhere is
    different.
    """
    libraries: tuple[str, ...] = ()
    """Packages of lambdabuild that the rule imports; their code enters its digest."""
    runtime_prefix: str = ""
    """The folder below ``layer_prefix`` for the dependencies of one runtime, when a layer has several runtimes and they
    differ. In it ``{runtime}`` stands for ``python3.12`` and ``{major}`` for the 22 of ``nodejs22.x``. A rule without
    one builds a layer once, for its first runtime.
    """
    provided: tuple[str, ...] = ()
    """gitignore patterns of dependencies that the runtime provides, for ``exclude_provided``."""
    slim: tuple[str, ...] = ()
    """gitignore patterns of files in dependencies that nobody needs at run time, for the setting ``slim``."""
    globs_reach_dependencies: bool = False
    """A service's package patterns also apply to the dependencies, because the Serverless Framework finds them in the
    source.
    """
    entry: str | tuple[str, ...] = ""
    """A Python file, or a command that speaks JSON-RPC: ``["node", "rule.mjs"]``. Arguments that name files of the
    rule's folder stand for these.
    """
    protocol: str = "1.0"
    """The version of the protocol that such a command speaks."""
    resolve_by: tuple[str, ...] = ()
    """Rules whose resolve step this one uses: the first whose lock file exists, otherwise the last."""
    ships_dependencies: bool = True
    """The dependencies go into the artifact unless a setting says not to."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Default values of options."""
    resolve: StepClaims | None = None
    """Finds and fetches the dependencies; it never reads the source."""
    fetch: StepClaims | None = None
    """Downloads the files that compile would, so that compile can run on another machine."""
    compile: StepClaims | None = None
    """Makes programs or other files from the source."""
    copy: StepClaims = field(default_factory=lambda: StepClaims(reads=("source",)))
    """Settles which files go into the artifact."""

    def runtime_folder(self, runtime: str) -> str:
        """Return the folder of one runtime below ``layer_prefix``: ``lib/python3.13/site-packages``, ``node22``."""
        major = re.sub(r"^[a-z]+|\..*$", "", runtime)
        return self.runtime_prefix.format(runtime=runtime, major=major)


class ContainerKey(Struct, frozen=True, order=True):
    """The container that tools run in. Equal keys share one container."""

    mode: Literal["", "auto", "true"] = ""
    """"" for none, ``auto`` for what has to be compiled, ``true`` for everything."""
    image: str = ""
    """The image's name; "" when there is a Dockerfile."""
    dockerfile: str = ""
    platform: str = ""
    """``linux/amd64``"""
    rest: str = ""
    """The digest of the other settings, because their values may be secret."""


class ResolutionKey(Struct, frozen=True, order=True):
    """What makes two resolutions the same. Nothing else may enter; the source only when the manifest has scripts."""

    rule: str
    runtime: str
    architecture: str
    manifest: str
    """The digest of manifest and lock files when they stand alone, else the manifest's path."""
    options: Options = ()
    name: str = ""
    container: ContainerKey = field(default_factory=ContainerKey)
    workspace: str = ""
    """The root of the workspace that the manifest belongs to, "" when it stands alone."""
    source: str = ""
    """The code folder, when the manifest has scripts that run next to its files; "" when it has none."""


class Resolution(Struct, frozen=True):
    """Dependencies resolved once for all its users (names of builds)."""

    name: str
    key: ResolutionKey
    manifest: str
    users: tuple[str, ...] = ()


class BuildKey(Struct, frozen=True, order=True):
    """What makes two builds the same build. Nothing else may enter."""

    rule: str
    kind: Kind
    runtime: str
    architecture: str
    source: str
    manifest: str = ""
    options: Options = ()
    leave_out: tuple[str, ...] = ()
    leave_out_dependencies: tuple[str, ...] = ()
    name: str = ""
    globs: Globs = field(default_factory=Globs)
    command: Command = field(default_factory=Command)
    package: str = ""
    """The folder of the distribution that is installed in place of the source."""
    leave_out_package: tuple[str, ...] = ()
    """Patterns of files that are left out of the distribution, besides those its backend leaves out."""
    container: ContainerKey = field(default_factory=ContainerKey)
    strip: bool = False
    include: tuple[str, ...] = ()
    """Files, and folders whose content is added to the source; where two have the same path, the first wins."""
    extras: tuple[str, ...] = ()
    """Globs of files that are added from the project's folder under their own paths."""
    zips_dependencies: bool = False
    """Dependencies are packed as one zip inside the artifact."""
    workspace: str = ""
    """The root of the workspace that the manifest belongs to, "" when it stands alone."""
    shares_in: str = ""
    """The stack in whose layers its packages may be put, "." for the root; "" when they have to stay in the zip."""

    @property
    def is_source_replaced(self) -> bool:
        """Return whether a command of the user's or a distribution replaces what the rule makes of the source."""
        return bool(self.package) or (bool(self.command.run) and not self.command.adds)


class Build(Struct, frozen=True):
    """One chain of steps; functions that need the same bytes share it. ``name`` is the first of ``users``."""

    name: str
    key: BuildKey
    users: tuple[str, ...]
    resolution: str = ""
    """The name of the Resolution, "" when there is nothing to resolve."""
    compiles: bool = False
    package: str = ""
    """The name of the distribution that replaces the source; "" when there is none."""
    other_resolutions: tuple[str, ...] = ()
    """The resolutions for a layer's other runtimes, in their order."""

    @property
    def resolutions(self) -> tuple[str, ...]:
        return (self.resolution, *self.other_resolutions) if self.resolution else ()

    def group(self, user: str) -> str:
        """Return the group of tasks that users ask for: ``build``, ``layer`` or ``source``."""
        if self.key.kind == "source":
            return "source" if user == self.name else "build"
        return "build" if self.key.kind == "function" else "layer"


class Source(Struct, frozen=True):
    """A build that is published under its distribution's version, as ``prefix/source/VERSION/source.zip``."""

    name: str
    prefix: str
    tags: tuple[tuple[str, str], ...]
    metadata: tuple[tuple[str, str], ...]
    overwrite: bool
    """A development version is replaced when its bytes differ."""


class Pinned(Struct, frozen=True):
    """A function whose code is a version of a source that was published before; it is not built."""

    function: str
    source: str
    version: str


class ImageKey(Struct, frozen=True, order=True):
    """What makes two images the same image."""

    kind: str
    """``recipe``: built; ``archive``: loaded from a file; ``tagged``: in a registry, which is asked for its digest."""
    place: str
    """The folder, file or address."""
    dockerfile: str = ""
    platform: str = ""
    arguments: str = ""
    """A digest, because their values may be secrets."""
    target: str = ""
    options: tuple[str, ...] = ()
    cache_from: tuple[str, ...] = ()
    provenance: str = ""
    tag: str = ""
    push_tags: tuple[str, ...] = ()
    repository: str = ""
    """The repository it is pushed to; "" when it stays on this machine."""


class ImageBuild(Struct, frozen=True):
    """One image; functions with equal images share it. ``name`` is the first of ``users``."""

    name: str
    key: ImageKey
    users: tuple[str, ...]

    def group(self, user: str) -> str:
        """Return the group of tasks that users ask for."""
        return "build"

    @property
    def steps(self) -> tuple[str, ...]:
        """Return the kinds of its steps, in order."""
        made = ("image",) if self.key.kind != "tagged" else ()
        return (*made, "upload") if self.key.repository or not made else made

    def local_name(self, user: str) -> str:
        """Return what a user's image is called on this machine, as ``sam build`` calls it."""
        return f"{user.replace('/', '-').lower()}:{self.key.tag}"

    @property
    def local_names(self) -> tuple[str, ...]:
        return tuple(map(self.local_name, self.users))


class Sizes(Struct, frozen=True):
    """What a function loads in Lambda: a build and its layers' builds, whose unzipped sizes are added up."""

    function: str
    build: str
    layers: tuple[str, ...] = ()
    layer_count: int = 0
    handler: tuple[str, ...] = ()
    """Its runtime, its handler, and the variables that change where the handler is found; () when it is not checked."""


class ShareGroup(Struct, frozen=True, order=True):
    """Functions that can have a layer in common: one template, runtime, architecture and folder in the layer."""

    stack: str
    """The stack's name; "" is the root template."""
    runtime: str
    architecture: str
    prefix: str
    """The folder of packages inside the layer."""


class LayerCandidate(Struct, frozen=True):
    """A build whose packages may be put into layers together with those of others (``auto_layers``)."""

    build: str
    resolution: str
    group: ShareGroup
    functions: tuple[str, ...]
    quota: int
    """How many more layers its functions may have."""


class Publication(Struct, frozen=True):
    """One layer to publish to Lambda. ``name`` is the task's."""

    name: str
    layers: tuple[str, ...]
    """The layers that are built for it: itself, or one for each architecture."""
    layer_name: str
    description: str = ""
    license: str = ""
    runtimes: tuple[str, ...] = ()
    architectures: tuple[tuple[str, ...], ...] = ()
    """The architectures that each of ``layers`` is compatible with."""
    accounts: tuple[str, ...] = ()
    """Accounts that may use it; ``*`` means all."""
    organizations: tuple[str, ...] = ()
    keep: int = 0
    """How many versions are kept for each architecture; 0 means all."""


class BuildPlan(Struct, frozen=True, dict=True):
    """Everything to build, in sorted order."""

    resolutions: tuple[Resolution, ...]
    builds: tuple[Build, ...]
    images: tuple[ImageBuild, ...] = ()
    assets: tuple[Asset, ...] = ()
    sizes: tuple[Sizes, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    packages: tuple[Build, ...] = ()
    """Distributions that are installed once for all their users (names of builds)."""
    sources: tuple[Source, ...] = ()
    pinned: tuple[Pinned, ...] = ()
    publications: tuple[Publication, ...] = ()
    layer_candidates: tuple[LayerCandidate, ...] = ()
    broken: tuple[Broken, ...] = ()
    """What has a mistake; nothing else in the plan is about it."""
    has_trees: bool = False
    """True if built-template.yaml points at folders, so that a run of everything writes them."""
    has_template: bool = False

    def build_of(self, user: str) -> Build:
        """Return the build that a function or layer gets its artifact from."""
        return self._of_user[user]

    @property
    def users(self) -> tuple[str, ...]:
        """Return every function and layer that something is built for."""
        return tuple(sorted(user for unit in self.made for user in unit.users))

    @property
    def made(self) -> tuple[Build | ImageBuild, ...]:
        """Return the builds and images that functions and layers get their code from."""
        return (*self.builds, *self.images)

    def image_of(self, user: str) -> ImageBuild:
        """Return the image of a function."""
        return next(image for image in self.images if user in image.users)

    @cached_property
    def _of_user(self) -> Mapping[str, Build]:
        return {user: build for build in self.builds for user in build.users}
