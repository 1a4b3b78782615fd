"""What the settings say of one function, layer, command or source: the items of their tables.

The text below a field is its description in the JSON Schema and in docs/reference/settings.md, as in settings.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.records import Struct, field
from lambdabuild.core.spans import Span

NOTHING = FunctionSettings()
"""The settings of a function or layer without a table."""


class SourceSettings(Struct, frozen=True):
    """A Python distribution of your own, published under its version. A project that has one needs no template."""

    path: str = "."
    """Folder with the `pyproject.toml` or `setup.py`."""
    prefix: str | None = None
    """Prefix of the keys: a version goes to `PREFIX/source/VERSION/source.zip`. Default: the setting `prefix`."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of its objects in S3, added to the setting `tags`."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Metadata of its objects in S3, added to their `sha256`."""
    overwrite: bool = False
    """Replace a development version (`0.1.2.dev1`, `0.1.2+mine`) whose bytes changed. Other versions never change."""
    where: Span | None = None


class LayerSettings(FunctionSettings, frozen=True):
    """A layer of your own, or additions to a layer of the template. All settings of a function apply too."""

    path: str = ""
    """Folder of the layer. Not for a layer of the template. Default: only what its manifest names."""
    runtimes: tuple[str, ...] = ()
    """Runtimes the layer is built for and published as compatible with."""
    architectures: tuple[str, ...] = ()
    """Architectures: `x86_64`, `arm64`. Not for a layer of the template. Default: `["x86_64"]`."""
    name: str = ""
    """Name of the layer in Lambda. Default: the table's name, or the template's."""
    description: str = ""
    """Description of published versions. Default: the template's."""
    license: str = ""
    """License of published versions. Default: the template's."""
    accounts: tuple[str, ...] = ()
    """AWS accounts that may use published versions. Default: only your own."""
    organizations: tuple[str, ...] = ()
    """AWS organizations whose accounts may use published versions."""
    public: bool = False
    """Let every AWS account use published versions."""
    keep: int = 0
    """Number of published versions to keep; `0` keeps all."""
    where: Span | None = None


class FunctionTable(FunctionSettings, frozen=True):
    """Settings of one function of the template, or the description of one that no template has (`path`, `runtime`).

    `[functions."*"]` holds what all functions have in common; a function's own table takes precedence.
    """

    path: str = ""
    """Folder of its code, relative to the project's folder. Not for a function of the template."""
    runtime: str = ""
    """Runtime, such as `python3.13`. Not for a function of the template."""
    handler: str = ""
    """Handler, as Lambda gets it. Not for a function of the template. Default: not checked."""
    architecture: str = ""
    """Architecture: `x86_64` or `arm64`. Not for a function of the template. Default: `x86_64`."""
    build_method: str = ""
    """Build method, as in a template's `Metadata`: `makefile`, `esbuild`. Not for a function of the template."""
    layers: tuple[str, ...] = ()
    """Layers it runs with, in order: names of `[layers]`, or ARNs. Not for a function of the template."""
    where: Span | None = None


class Command(Struct, frozen=True, order=True):
    """A command of your own for a function or layer, a build method or a runtime (patterns too)."""

    run: str = ""
    """Command line for `sh`. It gets SOURCE_DIR, ARTIFACTS_DIR, SCRATCH_DIR, RUNTIME and ARCHITECTURE."""
    adds: bool = False
    """Add the result to what the rule makes of the source, instead of replacing it."""
    tools: tuple[str, ...] = ()
    """Programs it needs; their versions count as inputs."""
    environment: tuple[str, ...] = ()
    """Names of variables that it gets; their values count as inputs."""


EVERY = "*"
"""The table ``[functions."*"]``, for all functions."""
NOT_KEYS = frozenset({"where", "notes", "read_files"})
"""Fields that nobody sets: where a table begins, what is to be told about the settings, which files they come from."""
DESCRIBED = tuple(
    name
    for name in FunctionTable.__struct_fields__
    if name not in NOT_KEYS and name not in FunctionSettings.__struct_fields__
)
"""Settings that describe a function, which a function of a template has from there."""


def described(tables: Mapping[str, FunctionSettings], is_alone: bool = True) -> tuple[str, ...]:
    """Return the names of tables that say what a function is, and not only how one of the template is built.

    Without a template (``is_alone``) it is enough that the table for all functions says so.
    """
    common = is_alone and is_described(tables.get(EVERY, NOTHING))
    return tuple(name for name, table in tables.items() if name != EVERY and (common or is_described(table)))


def is_described(table: FunctionSettings) -> bool:
    return any(getattr(table, name, "") for name in DESCRIBED)


def of_any(table: FunctionSettings) -> FunctionSettings:
    """Return of a function's table what a function of a template may have, too."""
    return FunctionSettings(**{name: getattr(table, name) for name in FunctionSettings.__struct_fields__})


def layer_units(name: str, table: LayerSettings) -> tuple[tuple[str, str], ...]:
    """Return what is built for a table: ``deps``, or one for each architecture, ``deps-arm64``."""
    architectures = table.architectures or ("x86_64",)
    if len(architectures) == 1:
        return ((name, architectures[0]),)
    return tuple((f"{name}-{architecture}", architecture) for architecture in architectures)
