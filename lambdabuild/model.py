"""Service, Function, Layer and what of a template is rewritten: frozen, no behaviour.

This is what every front end (SAM, plain CloudFormation, later serverless.yml) gives and everything after it reads.
Paths are POSIX text relative to the project's folder (they may begin with ``..``); names are logical ids, led by the
names of the nested stacks they stand in: ``Orders``, ``Notifications/Sender``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from lambdabuild.spans import Span

Options: TypeAlias = tuple[tuple[str, str], ...]
"""Build options, sorted by name; each value is JSON text, so that equal options are equal values."""


@dataclass(frozen=True)
class Function:
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


@dataclass(frozen=True)
class Layer:
    """A layer: built by a rule when it has a build method, else its folder as it stands."""

    name: str
    architecture: Literal["x86_64", "arm64"]
    source: str
    where: Span
    build_method: str = ""
    runtimes: tuple[str, ...] = ()
    options: Options = ()


@dataclass(frozen=True)
class Asset:
    """A local file or folder that deployment needs as it is: an OpenAPI file, a state machine."""

    name: str
    source: str
    is_folder: bool
    where: Span


@dataclass(frozen=True)
class Skipped:
    """A function or layer that is left alone, and why (inline code, a ready zip, an S3 location...)."""

    name: str
    reason: str
    where: Span


Form: TypeAlias = Literal["uri", "s3", "s3-bucket", "template-url"]
"""How a location in S3 is spelled at its place (a file is its path everywhere): ``uri`` is ``s3://b/k`` (CodeUri,
ContentUri, DefinitionUri); ``s3`` is ``{S3Bucket, S3Key}`` (AWS::Lambda::Function Code, AWS::Lambda::LayerVersion
Content); ``s3-bucket`` is ``{Bucket, Key}`` (BodyS3Location, DefinitionS3Location); ``template-url`` is an https
address of the object (nested stacks)."""


@dataclass(frozen=True)
class Rewrite:
    """One place of a template's text where an artifact's location goes.

    ``target`` is the name of a Function, Layer or Asset, of a nested stack's Document, or (kind "path") a path that is
    only told anew from the folder of the output. ``span`` is what is replaced; ``insert``, when it is not empty, is
    what stands around the new text, with ``{}`` for the value (a property that only Globals gave).
    """

    target: str
    kind: Literal["artifact", "asset", "stack", "path"]
    form: Form
    span: Span
    insert: str = ""


@dataclass(frozen=True)
class Document:
    """A template's text as it was read; ``stack`` is "" for the root and the stack's name for a nested one."""

    stack: str
    path: str
    text: str
    is_json: bool
    rewrites: tuple[Rewrite, ...]


@dataclass(frozen=True)
class Service:
    """What one template describes, its nested local stacks included."""

    documents: tuple[Document, ...]
    functions: tuple[Function, ...]
    layers: tuple[Layer, ...]
    assets: tuple[Asset, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    """What could not be known before deployment and was therefore left as it is."""


@dataclass(frozen=True)
class FileLocation:
    """An artifact on this machine: an absolute path."""

    path: str


@dataclass(frozen=True)
class S3Location:
    """An artifact in S3. ``region`` serves the https address of nested templates."""

    bucket: str
    key: str
    region: str = ""
    endpoint_url: str = ""


Location: TypeAlias = FileLocation | S3Location
