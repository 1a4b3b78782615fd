"""Service, Function, Layer and what of a template is rewritten: frozen, no behaviour.

This is what every front end (SAM, plain CloudFormation, later serverless.yml) gives and everything after it reads.
Paths are POSIX text relative to the project's folder (they may begin with ``..``); names are logical ids, led by the
names of the nested stacks they stand in: ``Orders``, ``Notifications/Sender``.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, TypeAlias, cast

from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.records import Struct, field
from lambdabuild.core.spans import Node, Span, to_data

Options: TypeAlias = tuple[tuple[str, str], ...]
"""Build options, sorted by name; each value is JSON text, so that equal options are equal values."""


class Globs(Struct, frozen=True, order=True):
    """Which files of a source go into the artifact: a line takes in, a line that begins with ``!`` leaves out.

    The last line that matches a path decides; https://github.com/micromatch/micromatch is what the globs mean.
    ``prefix`` is put before a file's path in comparisons, because the lines are relative to the service's folder.
    """

    lines: tuple[str, ...] = ()
    prefix: str = ""


class Function(Struct, frozen=True):
    """A function that is built from a folder of source."""

    name: str
    runtime: str
    architecture: Literal["x86_64", "arm64"]
    handler: str
    source: str
    where: Span
    build_method: str = ""
    options: Options = ()
    layers: tuple[str, ...] = ()
    """Names of the service's own layers it uses, in order."""
    foreign_layers: int = 0
    """How many layers it uses that this service does not define."""
    fixed_layers: str = ""
    """Why no layer can be added to these, "" when one can."""
    environment: tuple[str, ...] = ()
    """Names of the variables it is deployed with, as far as they are known."""
    globs: Globs = Globs()
    plain: bool = False
    """Its files go in as they are when no rule claims its runtime."""
    is_bundled: bool = False
    """Its handler's file is put into the folder that all entry points share, and its Handler shortened to that."""
    handler_place: Span | None = None
    """The place of its handler, if that is not in a settings file."""
    extras: tuple[str, ...] = ()
    """Globs of files of the service's folder that are added under their own paths to what a rule makes."""
    from_settings: bool = False
    """It is described by a table of the settings, and is in no template."""


class About(Struct, frozen=True):
    """Metadata of a layer version when it is published, as far as a template has it; "" and () mean nothing."""

    name: str = ""
    description: str = ""
    license: str = ""
    architectures: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    """Accounts that may use it; ``*`` means everybody."""


class Layer(Struct, frozen=True):
    """A layer: built by a rule when it has a build method, else its folder as it stands."""

    name: str
    architecture: Literal["x86_64", "arm64"]
    source: str
    where: Span
    build_method: str = ""
    runtimes: tuple[str, ...] = ()
    options: Options = ()
    globs: Globs = Globs()
    about: About = About()
    from_settings: bool = False
    """It comes from a table of the settings: built for each of its runtimes, plain when there is no manifest."""
    dependencies_only: bool = False
    """Nothing of its folder but the manifest is meant."""


class DockerBuild(Struct, frozen=True):
    """An image that is built: the folder that the engine gets, and what it is told."""

    context: str
    dockerfile: str
    platform: str
    """As Docker says it: ``linux/arm64``; "" is the engine's own."""
    arguments: tuple[tuple[str, str], ...] = ()
    """Build arguments, sorted by name. They may be secrets: no record and no plan holds them."""
    target: str = ""
    options: tuple[str, ...] = ()
    """More arguments of ``docker build``, as on its command line."""
    cache_from: tuple[str, ...] = ()
    provenance: str = ""


class Archive(Struct, frozen=True):
    """An image in a file, as ``docker save`` writes it."""

    path: str


class Tagged(Struct, frozen=True):
    """An image in a registry, by a tag whose meaning only the registry knows."""

    uri: str


class Image(Struct, frozen=True):
    """A function whose code is an image. ``tag`` is that of its name on this machine."""

    name: str
    source: DockerBuild | Archive | Tagged
    where: Span
    tag: str = "latest"
    push_tags: tuple[str, ...] = ()
    """Tags that it gets in its repository, besides the one that is derived from its content."""
    repository: str = ""
    """Its place if the settings name none."""


class Asset(Struct, frozen=True):
    """A local file or folder that deployment needs as it is: an OpenAPI file, a state machine."""

    name: str
    source: str
    is_folder: bool
    where: Span
    is_code: bool = False
    """Lambda takes a zip of it: a file that is none is packed into one."""


class Skipped(Struct, frozen=True):
    """A function or layer that is left as the template has it, and why (inline code, a ready zip, an S3
    location...).
    """

    name: str
    reason: str
    where: Span
    kind: Literal["function", "layer", "stack", "file", "resource"] = "function"


class Broken(Struct, frozen=True):
    """A function or layer that cannot be built, and its mistakes."""

    name: str
    kind: Literal["function", "layer"]
    errors: tuple[LambdaBuildError, ...]
    stops: frozenset[str] = frozenset()
    """Names of others that cannot be built without it: functions that use the layer, or share layers with it."""


Form: TypeAlias = Literal["uri", "s3", "s3-bucket", "template-url"]
"""How a location in S3 is spelled at its place (a file is its path everywhere; an image is a text at ``uri``, and
``{ImageUri}`` at ``s3``): ``uri`` is ``s3://b/k`` (CodeUri,
ContentUri, DefinitionUri); ``s3`` is ``{S3Bucket, S3Key}`` (AWS::Lambda::Function Code, AWS::Lambda::LayerVersion
Content); ``s3-bucket`` is ``{Bucket, Key}`` (BodyS3Location, DefinitionS3Location); ``template-url`` is an https
address of the object (nested stacks)."""


class Iteration(Struct, frozen=True):
    """Which of the resources that an Fn::ForEach makes a place of the text is filled in for."""

    key: str
    """Its logical id as the loop writes it: ``${Name}Function``."""
    logical_id: str
    property: str
    otherwise: str | None = None
    """The text at the place, if it is one."""
    is_same: bool = False
    """The place says the same of all that the loop makes, and of what it would make with other values."""


class Rewrite(Struct, frozen=True):
    """One place of a template's text where an artifact's location goes.

    ``target`` is the name of a Function, Layer, Image or Asset, of a nested stack's Document, or (kind "path") a path
    that is only written again, relative to the folder of the output. Kinds "handler" and "node_options" are no
    locations: the Handler of a bundle, and ``text`` as its NODE_OPTIONS when it has source maps. Kind "kept" has no
    artifact, and shares its place in a loop with what may have one. ``span`` is what is replaced; ``insert``, when it
    is not empty, is what stands around the new text, with ``{}`` for the value (a property that only Globals gave);
    ``pair`` is that of it which is the property alone.
    """

    target: str
    kind: Literal["artifact", "image", "asset", "stack", "path", "handler", "node_options", "kept"]
    form: Form
    span: Span
    insert: str = ""
    pair: str = ""
    text: str = ""
    iteration: Iteration | None = None


class LayersPlace(Struct, frozen=True):
    """The place in a template's text for more layers of the function ``target``.

    ``before``, the references with ``between`` among them, and ``after`` are put at ``span``, which is empty.
    """

    target: str
    span: Span
    before: str
    between: str
    after: str


class ResourcesPlace(Struct, frozen=True):
    """The place in a template's text for more resources, before all others.

    In a block each is led by ``indent`` and followed by ``between``, which is a line's end; else ``indent`` is "" and
    ``between`` has the comma.
    """

    kind: str
    """The type of a layer in this template: AWS::Serverless::LayerVersion or AWS::Lambda::LayerVersion."""
    span: Span
    is_block: bool
    indent: str
    between: str


class MappingsPlace(Struct, frozen=True):
    """The place in a template's text for more mappings, before all others, like ResourcesPlace."""

    span: Span
    is_block: bool
    indent: str
    between: str
    has_section: bool
    """True if there is a section Mappings; else it is put before Resources."""
    names: frozenset[str]
    """The mappings that are there."""


class Document(Struct, frozen=True):
    """A template's text as it was read; ``stack`` is "" for the root and the stack's name for a nested one."""

    stack: str
    path: str
    text: str
    is_json: bool
    rewrites: tuple[Rewrite, ...]
    layers: tuple[LayersPlace, ...] = ()
    resources: ResourcesPlace | None = None
    """None when nothing can be added."""
    names: frozenset[str] = frozenset()
    """Logical ids and parameters: what a new resource must not be called."""
    mappings: MappingsPlace | None = None
    """None when no loop needs any, or nothing can be added."""


class Definition(Struct, frozen=True, dict=True):
    """A serverless.yml with no variable left in it and every value in the type its schema wants.

    ``artifacts`` gives for ``function:KEY``, ``layer:KEY`` and ``image:KEY`` (of a function) the name its artifact has
    in the plan, or an ``s3://`` address.
    """

    path: str
    root: Node
    stage: str
    region: str
    artifacts: Mapping[str, str]

    @cached_property
    def data(self) -> dict[str, Any]:
        """The whole configuration as plain data; nobody may change it."""
        return cast("dict[str, Any]", to_data(self.root))

    @property
    def service(self) -> str:
        return str(self.data["service"])

    @cached_property
    def digest(self) -> str:
        """The sha256 of all that is said in it; what is secret in it cannot be told from that."""
        content = [self.path, self.data, self.stage, self.region, dict(self.artifacts)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def key(self, sha256: str, extension: str = ".zip") -> str:
        """Return an artifact's key in the bucket. Equal content has one place, whoever has it."""
        return f"{self.folder}/{sha256}{extension}"

    @property
    def folder(self) -> str:
        prefix = self.data["provider"].get("deploymentPrefix")
        parts = ("serverless" if prefix is None else str(prefix), self.service, self.stage, "code-artifacts")
        return "/".join(part for part in parts if part)

    def at(self, *path: str) -> Span:
        """Return the place of a value, or of the nearest thing around it that is written."""
        node, span = self.root, Span(self.path)
        for key in path:
            if isinstance(node.value, dict) and key in node.value:
                span = node.keys.get(key, node.value[key].span)
                node = node.value[key]
            elif isinstance(node.value, list) and key.isdecimal() and int(key) < len(node.value):
                node = node.value[int(key)]
                span = node.span
            else:
                break
        return span


class Read(Struct, frozen=True):
    """What reading a template took: files (present or not), variables of the environment, and whether the
    result can be repeated: it cannot if AWS, git or a program was asked, whose answer may change."""

    files: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    is_repeatable: bool = True


class Service(Struct, frozen=True, dict=True):
    """Everything that one template describes, including its nested local stacks."""

    documents: tuple[Document, ...]
    """The texts to be spliced; none when there is a definition to compile."""
    functions: tuple[Function, ...]
    layers: tuple[Layer, ...]
    images: tuple[Image, ...] = ()
    assets: tuple[Asset, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    """Notes about what is not known before deployment and was left as it is."""
    warnings: tuple[str, ...] = ()
    """Warnings about what is most likely a mistake in the template."""
    definition: Definition | None = None
    read: Read = Read()
    settings: Mapping[str, FunctionSettings] = field(default_factory=dict)
    """Settings that the template has for a function or layer; the user's own win."""
    assembly: str = ""
    """The folder of the cloud assembly that the documents are templates of; "" if they are of none."""
    is_for_framework: bool = False
    """The Serverless Framework makes its template of these artifacts: it wants zips alone, with the files it packs."""
    broken: tuple[Broken, ...] = ()
    """Functions and layers that could not be read because of their own mistakes."""

    @property
    def function_names(self) -> tuple[str, ...]:
        """Return the names of all functions that are built, images too."""
        return (*(function.name for function in self.functions), *(image.name for image in self.images))

    @property
    def has_template(self) -> bool:
        """Return whether the step ``template`` has something to write: templates, or the manifest of what the settings
        describe.
        """
        return bool(self.documents or self.functions) or self.definition is not None

    @property
    def has_trees(self) -> bool:
        """Return whether a run of everything writes folders; of a serverless.yml only zips are deployed."""
        return bool(self.documents or self.functions) and not self.packs_as_framework

    @property
    def packs_as_framework(self) -> bool:
        """Return whether it is a serverless.yml, whose functions get the files that the Serverless Framework packs."""
        return self.definition is not None or self.is_for_framework

    def folder_of(self, stack: str) -> str:
        """Return the folder of a stack's template, "." if it has none."""
        if self.definition is not None:
            return posixpath.dirname(self.definition.path) or "."
        return self._folders.get(stack, ".")

    @cached_property
    def _folders(self) -> Mapping[str, str]:
        return {document.stack: posixpath.dirname(document.path) or "." for document in reversed(self.documents)}


class FileLocation(Struct, frozen=True):
    """An artifact on this machine: an absolute path."""

    path: str


class S3Location(Struct, frozen=True):
    """An artifact in S3. ``region`` serves the https address of nested templates."""

    bucket: str
    key: str
    region: str = ""
    endpoint_url: str = ""


class ImageLocation(Struct, frozen=True):
    """An image: its name on this machine, or its repository and digest."""

    uri: str


class Text(Struct, frozen=True):
    """The text for a place that takes no location: a handler, a variable."""

    text: str


Location: TypeAlias = FileLocation | S3Location | ImageLocation | Text
