"""What a person who stands somewhere in a project, or above one, gives on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sandbox import Sandbox


@pytest.fixture
def project(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "shop").write({
        "lambdabuild.toml": "[functions.Orders]\npath = 'src/orders'\nruntime = 'python3.11'\n",
        "src/orders/app.py": "def handler(event, context): return 1\n", "tools/python/tool.py": "X = 1\n",
        "src/orders/cdk.out/asset.zip": "made by the CDK",
    })  # fmt: skip


def test_a_functions_path_is_as_seen_from_the_current_folder(project: Sandbox) -> None:
    inner = Sandbox(project.path("src"))
    arguments = ["functions.New.path=orders", "functions.New.runtime=python3.11", "layers.More.path=../tools"]
    ran = inner.run("output", "New", "More", *arguments)
    assert ran.code == 0, ran.said
    assert json.loads(ran.out)["New"]["zip"] == "../build/New.zip"
    assert project.names("New") == ["app.py"]
    assert project.names("More") == ["python/tool.py"]


def test_without_a_template_the_current_folder_is_the_project(project: Sandbox) -> None:
    inner = Sandbox(project.path("src"))
    ran = inner.run("build", "template=none", "functions.New.path=orders", "functions.New.runtime=python3.11")
    assert ran.code == 0, ran.said
    assert inner.names("New") == ["app.py"]
    assert not project.path("build").exists()
