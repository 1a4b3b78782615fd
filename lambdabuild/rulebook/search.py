"""Find rules on the search path and read their claims; no rule code runs here.

The project's own ``rules/`` comes first, then LAMBDABUILD_RULES_PATH, then the rules that ship with lambdabuild. The
first rule of a name wins, so dropping a folder in adds a rule or replaces one.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from lambdabuild.core import regular
from lambdabuild.core.errors import BadRule
from lambdabuild.core.spans import Span
from lambdabuild.plan.types import PackageLayers, Rule, StepClaims, Workspace
from lambdabuild.rulebook.wire import PROTOCOL

CLAIMS = "rule.toml"
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""The folder of lambdabuild itself, which has the libraries that rules share."""
RENAMED = {"here": "host_tools", "when": "only_with_option", "closed": "reads_are_complete"}
"""Old spellings of claims and what they are called now, for the hint of an unknown claim."""
STEPS = ("resolve", "fetch", "compile", "copy")


def search_path(project: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the folders that may hold rules, those that matter most first."""
    shipped = (os.path.join(PACKAGE, "rules"), os.path.join(os.path.dirname(PACKAGE), "rules"))
    given = environment.get("LAMBDABUILD_RULES_PATH", "").split(os.pathsep)
    return (os.path.join(project, "rules"), *filter(None, given), next(filter(os.path.isdir, shipped), shipped[0]))


class Files(Protocol):
    """The disk that rules are found on."""

    def names(self, folder: str) -> Iterable[str]: ...
    def read(self, path: str) -> str: ...


class Disk:
    """This machine's, as it is now."""

    def names(self, folder: str) -> Iterable[str]:
        return os.listdir(folder)

    def read(self, path: str) -> str:
        with open(path, encoding="utf-8", newline="", opener=regular.opener) as stream:
            return stream.read()


def find_rules(path: Iterable[str], files: Files | None = None) -> tuple[Rule, ...]:
    """Every rule on the path, sorted by name. Raises BadRule (LB401) for claims that cannot be read."""
    found: dict[str, Rule] = {}
    files = files or Disk()
    for folder in path:
        for name in _names(files, folder):
            if CLAIMS in _names(files, os.path.join(folder, name)):
                rule = read_claims(os.path.join(folder, name, CLAIMS), files)
                found.setdefault(rule.name, rule)
    return tuple(found[name] for name in sorted(found))


def _names(files: Files, folder: str) -> list[str]:
    try:
        return sorted(files.names(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def read_claims(file: str, files: Files | None = None) -> Rule:
    """Return a rule.toml as a Rule."""
    try:
        data = regular.toml((files or Disk()).read(file))
    except (OSError, ValueError) as error:
        raise BadRule(f"cannot read the claims of a rule: {error}", where=Span(file)) from error
    steps = {step: _claims(file, StepClaims, data.pop(step)) for step in STEPS if step in data}
    for name, kind in (("package_layers", PackageLayers), ("workspace", Workspace)):
        if isinstance(data.get(name), dict):
            data[name] = _claims(file, kind, data[name])
    rule: Rule = _claims(file, Rule, {"folder": os.path.dirname(file)} | data | steps)
    if str(rule.protocol).partition(".")[0] != PROTOCOL.partition(".")[0]:
        raise BadRule(
            f"rule {rule.name!r} speaks protocol {rule.protocol}, and this lambdabuild {PROTOCOL}",
            where=Span(file),
            help="bring lambdabuild, or the rule, up to date",
        )
    return rule


def _claims(file: str, kind: type[Any], data: Mapping[str, Any]) -> Any:
    known = kind.__struct_fields__
    for key in data:
        if key not in known:
            near = [RENAMED[key]] if RENAMED.get(key) in known else difflib.get_close_matches(key, known, 1)
            help = f"did you mean {near[0]!r}?" if near else f"known claims: {', '.join(sorted(known))}"
            raise BadRule(f"unknown claim {key!r}", where=Span(file), help=help)
    try:
        return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in data.items()})
    except TypeError as error:
        raise BadRule(f"the claims are not whole: {error}", where=Span(file)) from error
