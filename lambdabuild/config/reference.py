"""The tables of settings in docs/, generated from the same descriptions as the JSON Schema.

A page has them between comments: ``<!-- table: cache -->`` and ``<!-- end -->``. To bring the pages up to date, type
``python -m lambdabuild.config.reference docs/settings.md``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

from lambdabuild.config.schema import CLASSES, default_of, describe, keys_of
from lambdabuild.config.settings import LayerSettings, Settings
from lambdabuild.core.function_settings import FunctionSettings

PAGES: Mapping[str, str] = {
    "plugins_ignored": "plugins.md#all-the-others",
    "repository": "images.md",
    "exclude_provided": "layers.md#smaller",
    "auto_layers": "auto-layers.md",
    "include": "#what-functions-share",
    "zip_dependencies": "#what-functions-share",
    "check_handler": "#handlers",
    "use_container": "containers.md",
    "container": "containers.md#the-container",
    "layers": "layers.md",
    "commands": "#commands-of-your-own",
    "sources": "#sources",
    "cache": "cache.md",
    "executor": "remote-execution.md",
    "packaged": "source-artifacts.md",
    "image_tags": "images.md",
}
"""Fields with a page, or a section of this page, that says more."""

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
TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(page: str) -> str:
    """Return a page of docs with its tables as the settings are now: ``<!-- table: cache -->...<!-- end -->``."""
    return TABLE.sub(lambda place: f"{place[1]}{table(place[2])}{place[3]}", page)


def table(name: str) -> str:
    """Return the table of the settings, or of a class in CLASSES, by its name; KeyError for another."""
    kind, prefix = (Settings, "") if name == "settings" else (CLASSES[name], PREFIXES[name])
    return "".join(("| setting | default | |\n|---|---|---|\n", *_rows(kind, prefix)))


def _rows(kind: type, prefix: str) -> Iterator[str]:
    inherited = {item.name for item in fields(FunctionSettings)} if kind is LayerSettings else set()
    for item in keys_of(kind):
        if item.name not in inherited:
            text = describe(kind, item.name).replace("|", "\\|")
            told = DEFAULT.search(text)
            shown = told[1] if told else _shown(default_of(kind, item))
            more = f" ([more]({PAGES[item.name]}))" if item.name in PAGES else ""
            name = f"{prefix}{item.name}{'.NAME' if str(item.type).startswith('Mapping') else ''}"
            row = f"| `{name}` | {shown} | {DEFAULT.sub('', text)}{more} |"
            yield row.replace(" |  | ", " | | ") + "\n"


def _shown(default: object) -> str:
    if isinstance(default, bool | int | list) and default != []:
        return f"`{json.dumps(default)}`"
    return f"`{default}`" if isinstance(default, str) and default else ""


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]):
        file.write_text(with_tables(file.read_text(encoding="utf-8")), encoding="utf-8")
