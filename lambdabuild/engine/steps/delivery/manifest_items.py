"""What manifest.json says, as types: ``lambdabuild schema manifest`` is generated from them.

Paths are relative to the build folder, so that two checkouts give one manifest. Digests are sha256: ``sha256`` in
hexadecimal, ``code_sha256`` in base64, as Lambda's CodeSha256 and Terraform's source_code_hash have it. The text below
a field is its description in the schema.
"""

from __future__ import annotations

from typing import TypeAlias

from lambdabuild.core.records import Struct


class Artifact(Struct, frozen=True, kw_only=True):
    """A zip, and where it is."""

    zip: str
    """The zip."""
    tree: str
    """The same as a folder, if a run of everything writes folders."""
    sha256: str
    """The digest of the zip; "" if it has not been built."""
    code_sha256: str
    """The same in base64."""
    zip_bytes: int
    """The size of the zip in bytes."""
    unzipped_bytes: int
    """The size of its files in bytes, which Lambda limits to 250 MB together with those of the layers."""
    location: str
    """Where it was uploaded: `s3://BUCKET/KEY`, or a path when no bucket is named."""
    key: str
    """Its key in the bucket, or in the folder store."""


class Built(Artifact, frozen=True, kw_only=True):
    """What was built by a rule, and from what."""

    rule: str
    """The rule that built it."""
    runtime: str
    """Its runtime, such as `python3.13`; "" for a layer that names none."""
    architecture: str
    """`x86_64` or `arm64`; "" where both will do."""
    source: str
    """The folder of its code, relative to the project."""
    manifest: str
    """The manifest that was resolved, relative to the project; "" if there is none."""
    inputs_digest: str
    """The digest of all that it was built from."""
    tree_digest: str
    """The digest of its files' names, modes and contents."""
    files: int
    """How many files it has."""
    packages: list[str]
    """The packages in it, as `NAME VERSION`."""
    left_out: list[str]
    """What was left out of it."""
    shared_layers: list[str]
    """The automatic layers that hold its packages."""
    shared_with: list[str]
    """The names of others that have the same bytes."""
    resolution: str
    """The name of the step that resolved its packages; "" if none did."""


class FunctionItem(Built, frozen=True, kw_only=True, tag_field="kind", tag="zip"):
    """A function with a zip."""

    handler: str
    """Its handler; "" if that is not known."""
    layers: list[str]
    """The names of the project's layers that it runs with, in order."""
    version: str
    """The version of the source that is its code; "" if no source is."""


class LayerItem(Built, frozen=True, kw_only=True, tag_field="kind", tag="layer"):
    """A layer."""


class SourceItem(Built, frozen=True, kw_only=True, tag_field="kind", tag="source"):
    """A distribution of `[sources]`."""

    version: str
    """Its version."""


class PinnedItem(Struct, frozen=True, kw_only=True, tag_field="kind", tag="version"):
    """A function whose code is a version of a source that was published before."""

    source: str
    """The name of the source."""
    version: str
    """The version."""
    sha256: str
    """The digest of its zip."""
    code_sha256: str
    """The same in base64."""
    location: str
    """Where it is: `s3://BUCKET/KEY`, or a path when no bucket is named."""
    key: str
    """Its key in the bucket, or in the folder store."""


class ImageItem(Struct, frozen=True, kw_only=True, tag_field="kind", tag="image"):
    """A function whose code is an image."""

    image: str
    """Its name on this machine; "" if it is not built here."""
    image_id: str
    """The engine's id of it."""
    image_bytes: int
    """Its size in bytes."""
    inputs_digest: str
    """The digest of all that it was built from."""
    bases: dict[str, str]
    """The images it is based on, each with its digest."""
    source: str
    """The folder that the engine gets, or the archive, or the tag."""
    dockerfile: str
    """The Dockerfile, relative to that folder."""
    platform: str
    """As Docker says it: `linux/arm64`."""
    location: str
    """Its place in a registry, with its digest; "" if it was not pushed."""
    key: str
    """The same without the registry's host."""
    sha256: str
    """The digest of its manifest in the registry."""
    code_sha256: str
    """The same: Lambda shows an image's digest in hexadecimal."""
    shared_with: list[str]
    """The names of others that have the same image."""


class SharedLayerItem(Artifact, frozen=True, kw_only=True):
    """An automatic layer."""

    packages: list[str]
    """The packages in it, as `NAME VERSION`."""
    functions: list[str]
    """The functions that use it."""
    runtime: str
    """The runtime it is for."""
    architecture: str
    """The architecture it is for."""


class AssetItem(Struct, frozen=True, kw_only=True):
    """A file or folder that the template names, and that was sent as it is."""

    source: str
    """Its path, relative to the project."""
    sha256: str
    """The digest of what was sent."""
    code_sha256: str
    """The same in base64."""
    location: str
    """Where it was uploaded."""
    key: str
    """Its key in the bucket, or in the folder store."""


AnyFunction: TypeAlias = FunctionItem | PinnedItem | ImageItem


class Manifest(Struct, frozen=True, kw_only=True):
    """What a run of everything built, and where it is."""

    version: int
    """The version of this format: 1. Keys may be added to it; none is removed or gets another meaning."""
    functions: dict[str, AnyFunction]
    """Functions by name; `kind` says what a function's code is."""
    layers: dict[str, LayerItem]
    """Layers by name; one of the settings for two architectures is two: `NAME-arm64`, `NAME-x86_64`."""
    sources: dict[str, SourceItem]
    """Distributions of `[sources]` by name."""
    shared_layers: dict[str, SharedLayerItem]
    """Automatic layers by name."""
    left_alone: dict[str, str]
    """Functions and layers that were not built, and why."""
    assets: dict[str, AssetItem]
    """Local files of other resources, by resource and property."""
    templates: dict[str, str]
    """The templates that are ready to deploy: `.` is the project's own, others are nested stacks."""
