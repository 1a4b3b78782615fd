"""What a plan is made of: rules as claims, resolutions, builds. Frozen, sorted, printable."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from lambdabuild.config.settings import Command
from lambdabuild.core.model import Asset, Broken, Globs, Options, Skipped
from lambdabuild.core.records import Struct, field

Kind = Literal["function", "layer", "source"]


class StepClaims(Struct, frozen=True):
    """What one step of a rule reads, beside the results of the steps before it."""

    reads: tuple[str, ...] = ()
    """Any of ``manifest`` (with lock files), ``source``."""
    environment: tuple[str, ...] = ()
    source_keys: tuple[str, ...] = ()
    """Dotted keys of the manifest: one that has any of them makes the step read what lies beside it, too."""
    source_unless: str = ""
    """An option that, when it is set, keeps it from that."""
    tools: tuple[str, ...] = ()
    """Programs whose version counts; ``go version`` is one that does not know ``--version``."""
    options: tuple[str, ...] = ()
    """Names of the options that enter the step's fingerprint."""
    host_tools: tuple[str, ...] = ()
    """Those of the tools that run on this machine even when the others run in a container."""
    only_with_option: str = ""
    """The name of an option without which the step has nothing to do."""
    reads_are_complete: bool = False
    """It reads nothing beside that: its results name no ``reads``."""
    remote: bool = False
    """It can be run on another machine: it needs no network, and nothing of this machine but its tools."""

    def environment_with(self, options: Options) -> tuple[str, ...]:
        """The variables that its tools get: those claimed here and those that the option ``environment`` lists."""
        extra = json.loads(dict(options).get("environment", "[]"))
        return (*self.environment, *(extra if isinstance(extra, list) else ()))

    def tools_with(self, options: Options) -> tuple[str, ...]:
        """The tools whose versions count; ``resolver=pip`` stands for the tool uv when the user chose so."""
        chosen = json.loads(dict(options).get("resolver", '""'))
        return tuple(name for name in self.tools if not (chosen and name == "uv" and chosen != "uv"))


class Workspace(Struct, frozen=True):
    """Several packages under one lock file, which is in the folder of the workspace's root."""

    files: tuple[str, ...]
    """Names of the file that makes a folder a root: ``package.json``, ``go.work``. It may be JSON, TOML or YAML when
    one of the keys below is asked for."""
    key: str = ""
    """What it must have, as a dotted key: ``tool.uv.workspace``; "" for the keys of ``members``, if there are any."""
    members: tuple[str, ...] = ()
    """Dotted keys of lists of globs: the folders that belong. Without any every folder below the root does."""
    exclude: tuple[str, ...] = ()
    """The same of folders that do not."""
    locks: tuple[str, ...] = ()
    """Dotted keys of a manifest; one that has none of them needs no lock file."""
    own_lock_first: bool = True
    """A lock file beside the manifest goes before the root's; the manager itself may never look at it."""


class PackageLayers(Struct, frozen=True):
    """How a function finds in layers what it would find in its zip. Each archive of resolve with an ``origin`` is a
    package."""

    hidden_by: tuple[str, ...] = ()
    """Variables of a function with which it looks into no layer."""
    marker: str = ""
    """The name, or a pattern, of a file that makes its folder whole: the first found on the path is the only one."""
    modules: tuple[str, ...] = ()
    """Patterns of the files that are looked for by their names without endings."""


class Rule(Struct, frozen=True):
    """A rule.toml, read. ``folder`` is where it lies; nothing here needed the rule's code to run."""

    name: str
    folder: str
    language: str
    dependency_manager: str
    application_framework: str = ""
    runtimes: tuple[str, ...] = ()
    build_methods: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    """File names or patterns (``*.csproj``)."""
    lock_files: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    """Files beside the manifest that count as it does, but do not make the rule a better choice."""
    goes_first: bool = False
    """It goes before other rules that find their manifest in the same folder, locked or not."""
    manifest_search: Literal["code", "template", "checkout"] = "code"
    """Where else than in the code folder a manifest is looked for: nowhere, in the folders above it as far as the one
    that holds the template too, or as far as the project root."""
    workspace: Workspace | None = None
    """How lock files further up than the manifest are about it."""
    needs_manifest: bool = False
    needs_name: bool = False
    """The target's logical id changes the result (a make target), so nothing is shared with another target."""
    ships_source: bool = True
    """The source goes into the artifact by default."""
    ships_manifest: str = ""
    """The name of a manifest that ships from outside of the code folder, too."""
    source_below: str = ""
    """The option that names packages (``app.orders``) below which the source goes."""
    layer_prefix: str = ""
    package_layers: PackageLayers | None = None
    """How packages can lie in layers one by one; None when they have to lie in the zip."""
    leave_out: tuple[str, ...] = ()
    """gitignore patterns that the rule keeps out of the source part, beside the project-wide ones."""
    ignore_files: tuple[str, ...] = ()
    """Files in the source that hold gitignore patterns of the language's own, such as .npmignore."""
    local_reference: str = ""
    """A regular expression; a manifest that matches it names files beside itself, so an equal copy is not the same."""
    libraries: tuple[str, ...] = ()
    """Packages of lambdabuild whose code is the rule's too and enters its digest."""
    runtime_prefix: str = ""
    """Where below ``layer_prefix`` the dependencies of one runtime go when a layer has several and they differ; in it
    {runtime} is python3.12 and {major} is 22 of nodejs22.x. A rule without one builds a layer once, for the first."""
    provided: tuple[str, ...] = ()
    """gitignore patterns of dependencies that the runtime has itself."""
    slim: tuple[str, ...] = ()
    """gitignore patterns of what dependencies bring that nobody needs to run them."""
    globs_reach_dependencies: bool = False
    """A service's package patterns are also about the dependencies, which peers find in the source."""
    entry: str | tuple[str, ...] = ""
    """A Python file, or a command that speaks JSON-RPC; arguments that are files of the rule's folder name these."""
    protocol: str = "1.0"
    """What such a command speaks (lambdabuild.rulebook.wire)."""
    resolve_by: tuple[str, ...] = ()
    """Rules whose resolve step this one takes: the first whose lock file is there, else the last."""
    ships_dependencies: bool = True
    """What was resolved goes into the artifact by default."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Values of options that nobody gives."""
    resolve: StepClaims | None = None
    fetch: StepClaims | None = None
    """What goes along when compile is run on another machine: what it would download."""
    compile: StepClaims | None = None
    copy: StepClaims = field(default_factory=lambda: StepClaims(reads=("source",)))

    def runtime_folder(self, runtime: str) -> str:
        """Where below ``layer_prefix`` one runtime has its own: ``lib/python3.13/site-packages``, ``node22``."""
        major = re.sub(r"^[a-z]+|\..*$", "", runtime)
        return self.runtime_prefix.format(runtime=runtime, major=major)


class ContainerKey(Struct, frozen=True, order=True):
    """In which container tools run. Two that are equal are one container."""

    mode: Literal["", "auto", "true"] = ""
    """"" for none, ``auto`` for what has to be compiled, ``true`` for all."""
    image: str = ""
    """Its name; "" when there is a Dockerfile."""
    dockerfile: str = ""
    platform: str = ""
    """``linux/amd64``"""
    rest: str = ""
    """The digest of the other settings, whose values may be secret."""


class ResolutionKey(Struct, frozen=True, order=True):
    """What makes two resolutions the same. Nothing else may enter, the source only when the manifest has scripts."""

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
    """The code folder, when the manifest has scripts that are run with what lies beside it; "" when it has none."""


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
    """The folder of the distribution that takes the source's place, installed."""
    leave_out_package: tuple[str, ...] = ()
    """What else of the distribution stays out than what its backend leaves out."""
    container: ContainerKey = field(default_factory=ContainerKey)
    strip: bool = False
    include: tuple[str, ...] = ()
    """Files, and folders whose content, beside the source; where two bring one path, the first wins."""
    extras: tuple[str, ...] = ()
    """Globs of what goes in from the project's folder under its own path."""
    zips_dependencies: bool = False
    """Dependencies go in as one zip."""
    workspace: str = ""
    """The root of the workspace that the manifest belongs to, "" when it stands alone."""
    shares_in: str = ""
    """The stack in whose layers its packages may lie, "." for the root; "" when they have to lie in the zip."""

    @property
    def is_source_replaced(self) -> bool:
        """Whether a command of the user's, or a distribution, takes the place of what the rule makes of the source."""
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
    """The name of the distribution that takes the source's place; "" when there is none."""
    other_resolutions: tuple[str, ...] = ()
    """Those of a layer's further runtimes, in their order."""

    @property
    def resolutions(self) -> tuple[str, ...]:
        return (self.resolution, *self.other_resolutions) if self.resolution else ()

    def group(self, user: str) -> str:
        """The task that people name for one of its users: ``build``, ``layer`` or ``source``."""
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
    """Whether a development version is replaced by other bytes."""


class Pinned(Struct, frozen=True):
    """A function whose code is a version of a source that was published before; it is not built."""

    function: str
    source: str
    version: str


class ImageKey(Struct, frozen=True, order=True):
    """What makes two images the same image."""

    kind: str
    """``recipe``: built; ``archive``: loaded; ``tagged``: in a registry already, its digest is asked for."""
    place: str
    """The folder, the file or the address."""
    dockerfile: str = ""
    platform: str = ""
    arguments: str = ""
    """A digest, for their values may be secrets."""
    target: str = ""
    options: tuple[str, ...] = ()
    cache_from: tuple[str, ...] = ()
    provenance: str = ""
    tag: str = ""
    push_tags: tuple[str, ...] = ()
    repository: str = ""
    """Where it is pushed to, "" when it stays here."""


class ImageBuild(Struct, frozen=True):
    """One image; functions with equal images share it. ``name`` is the first of ``users``."""

    name: str
    key: ImageKey
    users: tuple[str, ...]

    def group(self, user: str) -> str:
        """The task that people name for one of its users."""
        return "build"

    @property
    def steps(self) -> tuple[str, ...]:
        """The kinds of its steps, in order."""
        made = ("image",) if self.key.kind != "tagged" else ()
        return (*made, "upload") if self.key.repository or not made else made

    def local_name(self, user: str) -> str:
        """Return what a user's image is called on this machine, as ``sam build`` calls it."""
        return f"{user.replace('/', '-').lower()}:{self.key.tag}"

    @property
    def local_names(self) -> tuple[str, ...]:
        return tuple(map(self.local_name, self.users))


class Sizes(Struct, frozen=True):
    """What a function has in Lambda: a build and its layers' builds, whose unzipped sizes count together."""

    function: str
    build: str
    layers: tuple[str, ...] = ()
    layer_count: int = 0
    handler: tuple[str, ...] = ()
    """Its runtime, its handler, and variables with which it may be found elsewhere; () when it is not checked."""


class Stage(Struct, frozen=True, order=True):
    """Functions on one stage can have a layer in common: one template, one kind of machine, one place in the layer."""

    stack: str
    """"" is the root template."""
    runtime: str
    architecture: str
    prefix: str
    """Where in the layer packages lie."""


class Sharer(Struct, frozen=True):
    """A build whose packages may lie in layers with those of others (``auto_layers``)."""

    build: str
    resolution: str
    stage: Stage
    functions: tuple[str, ...]
    quota: int
    """How many layers its functions may have beside those they have."""


class Publication(Struct, frozen=True):
    """A layer as Lambda is to have it. ``name`` is the task's."""

    name: str
    layers: tuple[str, ...]
    """What is built of it: itself, or one for each architecture."""
    layer_name: str
    description: str = ""
    license: str = ""
    runtimes: tuple[str, ...] = ()
    architectures: tuple[tuple[str, ...], ...] = ()
    """What each of ``layers`` is compatible with."""
    accounts: tuple[str, ...] = ()
    """Accounts that may use it; ``*`` is all."""
    organizations: tuple[str, ...] = ()
    keep: int = 0
    """How many versions stay for each architecture; 0 is all."""


class BuildPlan(Struct, frozen=True, dict=True):
    """All that is to be done, in sorted order."""

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
    sharers: tuple[Sharer, ...] = ()
    broken: tuple[Broken, ...] = ()
    """Of these there is nothing else in the plan."""

    def build_of(self, user: str) -> Build:
        """The build that a function or layer gets its artifact from."""
        return self._of_user[user]

    @property
    def users(self) -> tuple[str, ...]:
        """Every function and layer that has something to be built."""
        return tuple(sorted(user for unit in self.made for user in unit.users))

    @property
    def made(self) -> tuple[Build | ImageBuild, ...]:
        """All that functions and layers get their code from."""
        return (*self.builds, *self.images)

    def image_of(self, user: str) -> ImageBuild:
        """The image that a function gets."""
        return next(image for image in self.images if user in image.users)

    @cached_property
    def _of_user(self) -> Mapping[str, Build]:
        return {user: build for build in self.builds for user in build.users}
