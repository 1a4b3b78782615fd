"""Who may import whom: the table of docs/architecture.md, held against the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "lambdabuild"
EVERYTHING = frozenset({"*"})

ALLOWED: dict[str, frozenset[str]] = {
    "records": frozenset(),
    "regular": frozenset(),
    "spans": frozenset(),
    "errors": frozenset({"spans"}),
    "tools": frozenset({"errors", "spans"}),
    "model": frozenset({"errors", "spans", "settings"}),
    "settings": frozenset({"errors", "spans"}),
    "given": frozenset({"errors", "spans", "settings"}),
    "store": frozenset(),
    "rule_api": frozenset({"errors", "spans", "store", "tools"}),
    "wheels": frozenset({"errors", "spans", "store", "tools", "rule_api", "aws.codeartifact"}),
    "node_packages": frozenset({"errors", "spans", "store", "tools", "rule_api", "aws.codeartifact"}),
    "jars": frozenset({"rule_api"}),
    "variables": frozenset({"errors", "spans"}),
    "naming": frozenset(),
    "template": frozenset({"errors", "spans", "model", "settings", "variables", "naming"}),
    "outside": frozenset({"errors", "spans", "model", "tools", "template", "variables.dotenv"}),
    "handlers": frozenset(),
    "plan": frozenset({"errors", "spans", "model", "settings", "handlers", "artifacts.limits"}),
    "cloudformation": frozenset({"errors", "spans", "model", "naming"}),
    "rulebook": frozenset({"errors", "spans", "tools", "rule_api", "plan.types", "artifacts"}),
    "files": frozenset({"errors", "spans", "rule_api"}),
    "images": frozenset({"errors", "spans", "files"}),
    "artifacts": frozenset({"errors", "spans", "store", "files.watch"}),
    "cache": frozenset({"errors", "spans", "store"}),
    "aws": frozenset({"errors", "spans", "artifacts", "cache"}),
    "engine": frozenset({
        "errors", "spans", "model", "settings", "rule_api", "plan", "rulebook", "files", "artifacts", "tools",
        "cloudformation", "aws", "naming", "cache", "images", "handlers", "store",
    }),
    "changes": frozenset({"errors", "spans", "tools", "model", "settings", "plan", "files", "engine", "reading"}),
    "reading": EVERYTHING - {"cli", "project"} | {"*"},
    "project": EVERYTHING - {"cli"} | {"*"},
    "caller_folders": frozenset({"errors", "spans", "artifacts", "files"}),
    "workflows": frozenset({"plan.types"}),
    "caller_errors": frozenset({"errors", "workflows"}),
    "caller_source": frozenset({"errors", "spans", "rule_api", "node_packages"}),
    "caller_build": EVERYTHING - {"cli"} | {"*"},
    "builder": EVERYTHING - {"cli"} | {"*"},
    "source": EVERYTHING - {"cli"} | {"*"},
    "cli": frozenset({"project", "reading", "builder", "errors", "spans", "settings"}),
}  # fmt: skip

HEAVY = {
    "boto3": "aws",
    "botocore": "aws",
    "docker": "engine/docker.py",
    "grpc": "cache",
    "rich": "engine/live.py",
}


def modules() -> list[Path]:
    # What is in programs/ runs in Lambda, and is never imported here.
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent.name != "programs")


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
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                yield f"{node.module}.{name.name}", id(node) not in lazy


def own_name(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_the_table_allows(path: Path) -> None:
    own = own_name(path)
    if own in ("__init__", "__main__"):
        return
    allowed = ALLOWED[own]
    for name, _ in imports(path):
        if not name.startswith("lambdabuild."):
            continue
        parts = name.split(".")[1:]
        fine = (
            "*" in allowed
            or parts[0] == own
            or parts[0] in allowed
            or ".".join(parts[:2]) in allowed
            or parts[0] in ("__version__", "records", "regular")  # who reads a file may be sure that it is one
        )
        assert fine, f"{path.relative_to(ROOT)} may not import {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_clients_load_only_when_first_used_and_in_one_place(path: Path) -> None:
    for name, at_import in imports(path):
        home = HEAVY.get(name.split(".")[0])
        if home is None:
            continue
        assert str(path.relative_to(PACKAGE)).startswith(home), f"{name} belongs to {home}"
        assert not at_import, f"{path.relative_to(ROOT)} imports {name} when it is itself imported"


@pytest.mark.parametrize("path", sorted((ROOT / "rules").rglob("rule.py")), ids=lambda path: path.parent.name)
def test_a_rule_imports_the_rule_api_and_what_its_claims_name(path: Path) -> None:
    claims = (path.parent / "rule.toml").read_text()
    for name, _ in imports(path):
        if name.startswith("lambdabuild."):
            library = name.split(".")[1]
            assert library == "rule_api" or f'"{library}"' in claims, f"{path.relative_to(ROOT)} may not import {name}"
