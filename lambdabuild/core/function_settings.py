"""What is set for one function or layer, by the settings or by its description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any


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
    use_container: str = ""
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
    check_handler: bool | None = None
    """Whether what its Handler names must be in its artifact."""
    repository: str = ""
    image_tags: tuple[str, ...] = ()
    """Tags that its image gets in the repository."""

    def merged_under(self, other: FunctionSettings) -> FunctionSettings:
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
