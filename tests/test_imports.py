"""Who may import whom: the table of docs/architecture.md, held against the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "lambdabuild"

CORE = ("_version", "core")
ARTIFACTS = (*CORE, "files", "artifacts")
ENGINE = (
    *ARTIFACTS, "config", "plan", "rule_api", "rulebook", "cloudformation", "cache", "aws", "docker", "engine",
)  # fmt: skip
EVERYTHING = (*ENGINE, "frontends", "changes", "project_files", "project_settings", "project_loader")

ALLOWED: Mapping[str, tuple[str, ...]] = {
    "__init__": ("_version", "api"),
    "__main__": ("cli",),
    "_version": (),
    "core": ("_version", "core"),
    "config": (*CORE, "config"),
    "rule_api": CORE,
    "frontends": (*CORE, "config", "frontends"),
    "plan": (*CORE, "config", "plan"),
    "cloudformation": (*CORE, "cloudformation"),
    "python": (*ARTIFACTS, "rule_api", "python", "aws.codeartifact"),
    "node": (*ARTIFACTS, "rule_api", "node", "aws.codeartifact"),
    "jvm": (*ARTIFACTS, "rule_api", "jvm"),
    "rulebook": (*CORE, "rule_api", "plan.types", "rulebook", "artifacts"),
    "files": (*CORE, "files"),
    "artifacts": (*CORE, "artifacts", "files"),
    "cache": (*ARTIFACTS, "cache"),
    "aws": (*ARTIFACTS, "cache", "aws"),
    "docker": (*ARTIFACTS, "docker"),
    "engine": ENGINE,
    "changes": (*ENGINE, "changes", "project_files"),
    "project_files": (*CORE, "config", "plan.workspaces", "engine.base", "project_files"),
    "project_settings": (*CORE, "config", "frontends.kinds", "engine.base", "project_files", "project_settings"),
    "project_loader": EVERYTHING,
    "project_planner": (*EVERYTHING, "project_planner"),
    "project": (*EVERYTHING, "project_planner", "project"),
    "project_outputs": (*ENGINE, "project_outputs"),
    "starters": (*CORE, "starters"),
    "cdk": (*CORE, "api.builds", "cdk"),
    "api": (*EVERYTHING, "project", "node", "api"),
    "cli": (
        *CORE,
        "config",
        "frontends.kinds",
        "project_loader",
        "project",
        "project_outputs",
        "starters",
        "api",
        "cli",
    ),
}
"""A module or package -> what it may import, of ours. The longest name that fits a module counts."""

FLOORS = ("base", "containers", "remote", "freshness", "step_cache", "steps", "processes", "noop", "doit")
"""The floors of the engine; each imports only itself and floors before it."""

HEAVY = {
    "boto3": "aws",
    "botocore": "aws",
    "docker": "docker/",
    "grpc": "cache",
    "rich": "engine/doit/live.py",
}
EXTRAS = {"aws_cdk": "cdk/", "constructs": "cdk/", "jsii": "cdk/"}
"""What is imported in one place that nothing else imports."""


def modules() -> list[Path]:
    # What is in programs/ runs in Lambda, and is never imported here.
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent.name != "programs")


def own_name(path: Path) -> str:
    """The dotted name of a module below lambdabuild; that of a package is its ``__init__``'s."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


NAMES = {own_name(path): path for path in modules()}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module a file imports, and whether it does so when it is itself imported."""
    tree = ast.parse(path.read_text())
    lazy = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, id(node) not in lazy
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path}: imports name the whole package"
            for name in node.names:
                yield f"{node.module}.{name.name}", id(node) not in lazy


def own_imports(path: Path) -> Iterator[str]:
    """The modules of ours that a file imports, wherever it does so."""
    for name, _ in imports(path):
        own = name.removeprefix("lambdabuild.")
        if name == "lambdabuild":
            yield "__init__"
        elif own != name:
            yield own if own in NAMES else own.rpartition(".")[0] or "__init__"


def is_allowed(importer: str, imported: str) -> bool:
    """Whether the table has the arrow; an unknown importer is a KeyError."""
    row = next(ALLOWED[one] for one in _prefixes(importer) if one in ALLOWED or "." not in one)
    if not set(_prefixes(imported)) & set(row):
        return False
    both = [name.split(".") for name in (importer, imported)]
    if all(parts[0] == "engine" and len(parts) > 1 for parts in both):
        here, there = (FLOORS.index(parts[1]) for parts in both)
        return there <= here
    return True


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import one another, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph.get(name, ())):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            found.extend([sorted(group)] if len(group) > 1 else [])

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found


def graph() -> dict[str, set[str]]:
    return {name: set(own_imports(path)) - {name} for name, path in NAMES.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_module_imports_only_what_the_table_allows(name: str) -> None:
    refused = sorted({other for other in own_imports(NAMES[name]) if not is_allowed(name, other)})
    assert not refused, f"{name} may not import {', '.join(refused)}"


def test_no_module_imports_itself_by_way_of_others_functions_and_types_included() -> None:
    assert cycles(graph()) == []


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("core.errors", "config.settings"),
        ("plan.planner", "engine.base.run"),
        ("plan.planner", "artifacts.limits"),
        ("frontends.sam.reader", "plan.types"),
        ("cloudformation.compiler", "frontends.yaml_text"),
        ("files.listing", "artifacts.entries"),
        ("cache.folder", "engine.step_cache.lookup"),
        ("rule_api", "rulebook.wire"),
        ("engine.base.session", "engine.step_cache.caches"),
        ("engine.steps.contents.assemble", "engine.noop.snapshot_writer"),
        ("project", "cli.main"),
        ("engine.doit.loader", "project"),
    ],
)
def test_an_arrow_that_is_not_in_the_table_is_refused(importer: str, imported: str) -> None:
    assert {importer, imported} <= NAMES.keys()
    assert not is_allowed(importer, imported)


def test_every_cycle_is_found() -> None:
    arrows = graph()
    arrows["core.spans"].add("engine.doit.loader")
    assert any({"core.spans", "core.errors", "engine.doit.loader"} <= {*group} for group in cycles(arrows))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_clients_load_only_when_first_used_and_in_one_place(path: Path) -> None:
    for name, at_import in imports(path):
        home = (HEAVY | EXTRAS).get(name.split(".")[0])
        if home is None:
            continue
        assert str(path.relative_to(PACKAGE)).startswith(home), f"{name} belongs to {home}"
        if name.split(".")[0] in EXTRAS:
            continue
        assert not at_import, f"{path.relative_to(ROOT)} imports {name} when it is itself imported"


@pytest.mark.parametrize("path", sorted((ROOT / "rules").rglob("rule.py")), ids=lambda path: path.parent.name)
def test_a_rule_imports_the_rule_api_and_what_its_claims_name(path: Path) -> None:
    claims = (path.parent / "rule.toml").read_text()
    for name, _ in imports(path):
        if name.startswith("lambdabuild."):
            library = name.split(".")[1]
            assert library == "rule_api" or f'"{library}"' in claims, f"{path.relative_to(ROOT)} may not import {name}"
