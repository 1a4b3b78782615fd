"""Settings of one function or layer, from the settings file or from a template.

The text below a field is its description in the JSON Schema and in docs/reference/settings.md, as in
config/settings.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdabuild.core.records import Struct, field, replace


class FunctionSettings(Struct, frozen=True):
    """Settings of one function or layer; the key is its name, `Child/Orders` in a nested stack."""

    rule: str = ""
    """Name of the rule that builds it. Default: the rule whose claims fit."""
    manifest: str = ""
    """Manifest to resolve, such as `requirements-lambda.txt`. Default: the one the rule finds."""
    exclude: tuple[str, ...] = ()
    """Gitignore patterns of files to leave out of its source, after the setting `exclude`."""
    exclude_dependencies: tuple[str, ...] = ()
    """Gitignore patterns of files to leave out of its packages, after the setting `exclude_dependencies`."""
    exclude_provided: bool | None = None
    """Leave out packages that its runtime already has. Default: the project's setting."""
    slim: bool | None = None
    """Leave tests, docs, type hints and the like out of its packages. Default: the project's setting."""
    strip: bool | None = None
    """Strip symbols and debug information from its packages' native files. Default: the project's setting."""
    bytecode: bool | None = None
    """Compile its Python to bytecode. Default: the project's setting."""
    auto_layers: bool | None = None
    """Share its packages in automatic layers. Default: the project's setting."""
    resolver: str = ""
    """Resolver of its Python packages: `uv` or `pip`. Default: the project's setting."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of its rule, added to the setting `options`."""
    use_container: str = ""
    """Run its tools in a container: `true`, `false` or `auto`. Default: the project's setting."""
    image: str = ""
    """Image of its container. Default: the project's setting."""
    dockerfile: str = ""
    """Dockerfile to build the image of its container from. Default: the project's setting."""
    container: Mapping[str, Any] = field(default_factory=dict)
    """How its container is run, added to the project's table `container`."""
    packaged: bool = False
    """Install the distribution that its folder belongs to, instead of copying the folder's files."""
    source: str = ""
    """Name of a source (`[sources.NAME]`) whose artifact is its code."""
    source_version: str = ""
    """Version of that source, published before. Default: the one that is built here."""
    include: tuple[str, ...] = ()
    """Files, and the contents of folders, to add to its zip, before those of the setting `include`."""
    requirements: tuple[str, ...] = ()
    """Requirements files to resolve together with its manifest, before those of the setting `requirements`."""
    dependencies: bool | None = None
    """Add its packages to its artifact; `false` if a layer has them. Default: `true` where the rule does so."""
    zip_dependencies: bool | None = None
    """Add its packages as one zip, which is unpacked where it runs. Default: the project's setting."""
    check_handler: bool | None = None
    """Check that its `Handler` is in its artifact. Default: the project's setting."""
    repository: str = ""
    """Where its image is pushed. Default: the project's setting."""
    image_tags: tuple[str, ...] = ()
    """Tags of its image in the repository."""

    def merged_under(self, other: FunctionSettings) -> FunctionSettings:
        """Return these settings with the other's on top; `exclude` lists are joined, the other's last."""
        nothing = FunctionSettings()
        changes = {
            name: value for name in self.__struct_fields__ if (value := getattr(other, name)) != getattr(nothing, name)
        }
        for name in {"exclude", "exclude_dependencies"} & changes.keys():
            changes[name] = (*getattr(self, name), *changes[name])
        if {"rule", "manifest"} & changes.keys():  # these go together
            changes = {"rule": "", "manifest": "", "dependencies": None, **changes}
        joined = {name: {**getattr(self, name), **getattr(other, name)} for name in ("options", "container")}
        return replace(self, **{**changes, **joined})
