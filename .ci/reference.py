"""Write the generated parts of docs/ again: ``python .ci/reference.py``.

A page holds them between comments, ``<!-- generated: settings -->`` and ``<!-- end -->``. Each name is a row of
``PARTS``: the tables of settings, of errors and of rule.toml, and the help of each command.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import get_args

from lambdabuild.cli import commands
from lambdabuild.cli.parser import parser_of
from lambdabuild.config.reference import table
from lambdabuild.config.schema import CLASSES, describe
from lambdabuild.core import errors
from lambdabuild.engine.steps.delivery import manifest_items
from lambdabuild.plan.types import PackageLayers, Rule, StepClaims, Workspace

DOCS = Path(__file__).resolve().parents[1] / "docs"
GENERATED = re.compile(r"(<!-- generated: ([\w-]+(?: [\w-]+)?) -->\n).*?(<!-- end -->)", re.DOTALL)

NOT_KEYS = ("folder",)
"""Fields of a rule that are not written in rule.toml."""

TABLES_OF_A_RULE = ("workspace", "package_layers", "resolve", "fetch", "compile", "copy")
"""Fields of a rule that are tables of rule.toml, each with keys of its own."""


def errors_table(page: str) -> str:
    """Return a row for every error: its code, its name, and the text of its class."""
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    coded = {kind.code: kind for kind in kinds if issubclass(kind, errors.LambdaBuildError) and kind.code != "LB000"}
    rows = (
        f"| {code} | {kind.__name__} | {in_markdown(kind.__doc__ or '')} |\n" for code, kind in sorted(coded.items())
    )
    return "".join(("| code | name | |\n|---|---|---|\n", *rows))


def claims_table(kind: type, page: str) -> str:
    """Return a row for every key of a table of rule.toml, with the text below the field."""
    rows = (f"| `{key}` | {describe(kind, field).replace('|', chr(92) + '|')} |\n" for field, key in keys(kind))
    return "".join(("| key | |\n|---|---|\n", *rows))


def keys(kind: type) -> Iterator[tuple[str, str]]:
    """Yield the fields of a class of plan.types that rule.toml sets, each with how it is written there."""
    for field in kind.__struct_fields__:  # type: ignore[attr-defined]  # every msgspec.Struct has it
        if field not in NOT_KEYS:
            yield field, f"[{field}]" if kind is Rule and field in TABLES_OF_A_RULE else field


def command_help(name: str, page: str) -> str:
    """Return what ``lambdabuild NAME --help`` prints, as a block of code."""
    return f"```\n{parser_of(commands.command(name)).format_help().rstrip()}\n```\n"


def in_markdown(text: str) -> str:
    """Return a docstring on one line."""
    return " ".join(text.replace("``", "`").split()).replace("|", "\\|")


def manifest_table(page: str) -> str:
    """Return a table for every class of manifest.json, with the text below each field."""
    kinds = [manifest_items.Manifest, *get_args(manifest_items.AnyFunction), manifest_items.LayerItem,
             manifest_items.SourceItem, manifest_items.SharedLayerItem, manifest_items.AssetItem]  # fmt: skip
    return "\n".join(map(_manifest_part, kinds))


def _manifest_part(kind: type) -> str:
    config = kind.__struct_config__  # type: ignore[attr-defined]  # every msgspec.Struct has it
    title = in_markdown(kind.__doc__ or "").rstrip(".")
    tag = f"| `{config.tag_field}` | `{config.tag}` |\n" if config.tag else ""
    rows = (f"| `{name}` | {describe(kind, name)} |\n" for name in kind.__struct_fields__)  # type: ignore[attr-defined]
    return "".join((f"### {title}\n\n| key | |\n|---|---|\n", tag, *rows))


PARTS: Mapping[str, Callable[[str], str]] = {
    **{name: partial(table, name) for name in ("settings", *CLASSES)},
    **{f"help {name}": partial(command_help, name) for name in commands.MODULES},
    "errors": errors_table,
    "manifest": manifest_table,
    "rule": partial(claims_table, Rule),
    "rule-step": partial(claims_table, StepClaims),
    "rule-workspace": partial(claims_table, Workspace),
    "rule-package-layers": partial(claims_table, PackageLayers),
}
"""Every generated part: its name, and the function that writes it for a page, whose path in docs/ it is given."""


def current(text: str, page: str) -> str:
    """Return a page of docs/ with its generated parts as the code is now; KeyError for an unknown part."""
    return GENERATED.sub(lambda place: f"{place[1]}{PARTS[place[2]](page)}{place[3]}", text)


if __name__ == "__main__":
    for file in sorted(DOCS.rglob("*.md")):
        text = file.read_text(encoding="utf-8")
        if (written := current(text, file.relative_to(DOCS).as_posix())) != text:
            file.write_text(written, encoding="utf-8")
