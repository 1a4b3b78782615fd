"""The tables of settings in docs/, generated from the same descriptions as the JSON Schema.

A page has them between comments: ``<!-- table: cache -->`` and ``<!-- end -->``. ``python .ci/reference.py`` brings the
pages up to date.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping

from lambdabuild.config.schema import CLASSES, default_of, describe
from lambdabuild.config.settings import Settings, annotation_of, keys_of
from lambdabuild.config.tables import LayerSettings
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.records import Struct

PAGES: Mapping[str, str] = {
    "plugins_ignored": "guides/plugins.md#all-the-others",
    "repository": "guides/images.md",
    "exclude_provided": "guides/layers.md#smaller",
    "auto_layers": "guides/auto-layers.md",
    "include": "reference/settings.md#what-functions-share",
    "zip_dependencies": "reference/settings.md#what-functions-share",
    "check_handler": "reference/settings.md#handlers",
    "use_container": "guides/containers.md",
    "container": "guides/containers.md#the-container",
    "layers": "guides/layers.md",
    "commands": "reference/settings.md#commands-of-your-own",
    "sources": "reference/settings.md#sources",
    "cache": "guides/cache.md",
    "executor": "guides/remote-execution.md",
    "packaged": "guides/source-artifacts.md",
    "image_tags": "guides/images.md",
}
"""Fields with a page of docs/ that says more."""

PREFIXES: Mapping[str, str] = {
    "function": "",
    "layer": "layers.NAME.",
    "command": "commands.NAME.",
    "source": "sources.NAME.",
    "container": "container.",
    "cache": "cache.",
    "executor": "executor.",
}
"""What stands in front of a key in the table of a class."""

DEFAULT = re.compile(r"\s*Default: (.*)\.$")


def table(name: str, page: str) -> str:
    """Return the table of the settings, or of a class in CLASSES, for a page of docs/; KeyError for another name."""
    kind, prefix = (Settings, "") if name == "settings" else (CLASSES[name], PREFIXES[name])
    return "".join(("| setting | default | |\n|---|---|---|\n", *_rows(kind, prefix, page)))


def _rows(kind: type[Struct], prefix: str, page: str) -> Iterator[str]:
    inherited = {*keys_of(FunctionSettings)} if kind is LayerSettings else set()
    for key in keys_of(kind):
        if key not in inherited:
            text = describe(kind, key).replace("|", "\\|")
            told = DEFAULT.search(text)
            shown = told[1] if told else _shown(default_of(kind, key))
            more = f" ([more]({_link(PAGES[key], page)}))" if key in PAGES else ""
            name = f"{prefix}{key}{'.NAME' if annotation_of(kind, key).startswith('Mapping') else ''}"
            row = f"| `{name}` | {shown} | {DEFAULT.sub('', text)}{more} |"
            yield row.replace(" |  | ", " | | ") + "\n"


def _link(target: str, page: str) -> str:
    """Return a link from one page of docs/ to a section of another, or of the same."""
    file, hash_sign, section = target.partition("#")
    return f"{'' if file == page else posixpath.relpath(file, posixpath.dirname(page))}{hash_sign}{section}"


def _shown(default: object) -> str:
    if isinstance(default, bool | int | list) and default != []:
        return f"`{json.dumps(default)}`"
    return f"`{default}`" if isinstance(default, str) and default else ""
