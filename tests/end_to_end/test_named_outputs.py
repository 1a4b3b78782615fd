"""Files that a person names for an output: one that lambdabuild did not write there is kept."""

from __future__ import annotations

from pathlib import Path

import jail
import pytest
from sandbox import Ran, Sandbox

from lambdabuild.api import source_packages
from lambdabuild.core.errors import InTheWay

COMMANDS = {
    "compile": ("compile", "--output"), "costs": ("costs", "--output"), "export": ("cache", "export"),
}  # fmt: skip


@pytest.fixture
def service(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "app").write({
        "serverless.yml": "service: shop\nprovider: {name: aws, runtime: python3.11}\n"
                          "functions: {one: {handler: app.handler}}\n",
        "app.py": "def handler(e, c): return 1\n", "keep.txt": "kept", "docs/keep.txt": "kept",
    })  # fmt: skip


def run(app: Sandbox, *arguments: str) -> Ran:
    on = {"LAMBDABUILD_CACHE__ENABLED": "true"}
    ran = jail.lambdabuild(app.folder.parent, *arguments, cwd=app.folder, env=on)
    assert "Traceback" not in ran.said, ran.said
    return ran


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", ["file", "folder", "link", "template"])
def test_a_file_of_a_persons_is_kept_and_named(command: str, kind: str, service: Sandbox) -> None:
    service.path("link").symlink_to("keep.txt")
    name = {"file": "keep.txt", "folder": "docs", "link": "link", "template": "serverless.yml"}[kind]
    before = jail.content(service.folder)
    ran = run(service, *COMMANDS[command], name)

    assert ran.code == 3 and "LB507" in ran.said and name in ran.said, ran.said
    assert jail.lost(before, jail.content(service.folder)) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_what_was_written_there_before_is_replaced_unless_somebody_changed_it(command: str, service: Sandbox) -> None:
    assert run(service, *COMMANDS[command], "docs/out").code == 0
    assert run(service, *COMMANDS[command], "docs/out").code == 0
    service.append("serverless.yml", "  # more\n")
    assert run(service, "build").code == 0
    assert run(service, *COMMANDS[command], "docs/out").code == 0
    service.path("docs/out").write_text("edited")

    ran = run(service, *COMMANDS[command], "docs/out")
    assert ran.code == 3 and "LB507" in ran.said, ran.said
    assert service.path("docs/out").read_text() == "edited"


def test_a_device_is_written_to(service: Sandbox) -> None:
    assert run(service, "compile", "--output", "/dev/null").code == 0
    assert "AWSTemplateFormatVersion" in run(service, "compile", "--output", "/dev/stdout").out


def test_init_writes_over_nothing(service: Sandbox) -> None:
    for _ in range(2):
        service.write({"dodo.py": "kept"}).path("dodo.py").write_text("kept")
        assert run(service, "init").code == 2
        assert service.path("dodo.py").read_text() == "kept"
    service.path("dodo.py").unlink()
    service.path("dodo.py").symlink_to("nowhere")
    assert run(service, "init").code == 2 and not service.path("nowhere").exists()


@pytest.mark.parametrize("there", ["keep.txt", "theirs-1.0.dist-info/METADATA", "sub/deep/keep.txt"])
def test_a_distribution_takes_no_folder_with_a_strangers_file(there: str, tmp_path: Path) -> None:
    """As site-packages has them: a folder is not ours because a .dist-info is in it."""
    app = Sandbox(tmp_path).write({
        "project/pyproject.toml": '[project]\nname = "p"\nversion = "1"\n', "project/p/__init__.py": "", f"out/{there}": "kept",
    })  # fmt: skip
    with pytest.raises(InTheWay):
        source_packages.build(app.path("project"), app.path("out"))
    app.write({"one.zip": "kept"})
    with pytest.raises(InTheWay):
        source_packages.write_zip(app.path("project"), app.path("one.zip"))
    assert app.path("one.zip").read_text() == app.path(f"out/{there}").read_text() == "kept"
