"""``ParentPackageMode``: below which packages a Python function's code goes."""

from __future__ import annotations

import json

import pytest
from test_sam import Memory, function, sam

from lambdabuild.frontends.sam.parent_packages import inferred
from lambdabuild.frontends.sam.reader import load


@pytest.mark.parametrize(
    ("handler", "source", "packages"),
    [
        ("app.orders.main.handler", "app/orders", "app.orders"),
        ("app.orders.main.handler", "app/", "app"),
        ("app.orders.main.handler", "./services/app/orders/", "app.orders"),
        ("app.orders.v1.main.handler", "src/app/orders", "app.orders"),
        ("app.main.handler", "..", "app"),
        ("app.main.handler", ".", "app"),
        ("main.handler", "app", ""),
        ("app/main.handler", "app", ""),
    ],
)
def test_the_packages_that_a_handler_and_its_folder_have_in_common(handler: str, source: str, packages: str) -> None:
    assert inferred(handler, source) == packages


@pytest.mark.parametrize(
    ("properties", "option"),
    [
        ("{ParentPackageMode: explicit, ParentPackages: a.b}", "a.b"),
        ("{ParentPackageMode: auto}", "src"),
        ("{ParentPackageMode: auto, ParentPackages: ignored}", "src"),
        ("{ParentPackages: a.b}", None),
        ("{ParentPackageMode: explicit}", None),
    ],
)
def test_the_mode_becomes_the_option_of_the_rules(properties: str, option: str | None) -> None:
    text = sam(function("CodeUri: src\nHandler: src.app.handler")).replace(
        "    Properties:", f"    Metadata: {{BuildProperties: {properties}}}\n    Properties:", 1
    )
    options = dict(load("t.yaml", Memory({"t.yaml": text})).functions[0].options)
    assert options.get("parent_python_packages") == (json.dumps(option) if option else None)
