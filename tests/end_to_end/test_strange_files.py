"""What nobody expects in a project's folder or in our state: a message with a code, at once, and nothing else touched."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox import PLAIN_FUNCTION, Sandbox

SECONDS = 60


@pytest.fixture
def app(project: Sandbox) -> Sandbox:
    return project.write(
        {"template.yaml": PLAIN_FUNCTION, "src/app.py": "def handler(event, context):\n    return 1\n"}
    )


@pytest.mark.parametrize(
    "name",
    ["template.yaml", "src/requirements.txt", ".lambdabuildignore", "src/.lambdabuildignore", "lambdabuild.toml",
     "pyproject.toml", "src/pyproject.toml", "src/data.bin"],
)  # fmt: skip
def test_a_pipe_in_a_files_place_is_told_at_once(name: str, app: Sandbox) -> None:
    app.path(name).unlink(missing_ok=True)
    os.mkfifo(app.path(name))
    ran = app.run("build", timeout=SECONDS)
    assert ran.code != 0
    assert "LB" in ran.said and os.path.basename(name) in ran.said, ran.said
    assert "Traceback" not in ran.said


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to("nowhere")


def a_link_to_somebodys_file(path: Path) -> None:
    path.symlink_to(path.parents[2] / "precious")


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("name", ["journal", "lock"])
@pytest.mark.parametrize("make", [a_folder, a_link_to_nothing, a_link_to_somebodys_file, a_pipe])
def test_what_stands_in_place_of_the_journal_or_the_lock_is_named(
    name: str, make: Callable[[Path], None], app: Sandbox
) -> None:
    app.write({"precious": "mine"})
    app.path("build/.lambdabuild").mkdir(parents=True)
    make(app.path(f"build/.lambdabuild/{name}"))
    ran = app.run("build", timeout=SECONDS)
    assert (ran.code, "Traceback" in ran.said) == (3, False), ran.said
    assert "LB50" in ran.said and name in ran.said, ran.said
    assert app.path("precious").read_text() == "mine"
    assert not app.path("build/.lambdabuild/nowhere").exists()


def test_records_nested_without_end_are_as_if_missing(app: Sandbox) -> None:
    app.build()
    state = app.path("build/.lambdabuild")
    for file in (*state.glob("out/copy/*.json"), *state.glob("out/zip/*.json"), *state.glob("steps/*/*.json")):
        file.write_text("[" * 100_000)  # that of a tree says what of it is ours: without it nothing there is replaced
    app.append("src/app.py", "# edited\n")
    assert "zip:Orders" in app.build().steps


def test_patterns_that_can_match_nothing_leave_nothing_out(app: Sandbox) -> None:
    app.write(
        {".lambdabuildignore": "!\n\\\na\\\n[z-a]\n[\n/\n**[\nout.txt\n", "src/out.txt": "", "src/a": "", "src/b[": ""}
    )
    app.write({"lambdabuild.toml": "exclude = ['!', 'b\\\\', '[9-0]', '***']\n"})
    app.run("build")
    app.write({"lambdabuild.toml": "exclude = ['!', 'b\\\\', '[9-0]']\n"}).build()
    assert set(app.names("Orders")) == {"a", "app.py", "b["}


@pytest.mark.parametrize("place", ['"s\\0c"', '"src\\0"', '"\\x00"'])
def test_a_place_that_no_file_can_have_is_told(place: str, app: Sandbox) -> None:
    app.write({"template.yaml": PLAIN_FUNCTION.replace("CodeUri: src", f"CodeUri: {place}")})
    ran = app.run("build")
    assert (ran.code, "LB104" in ran.err) == (3, True), ran.said


def test_a_setting_with_a_nul_is_told(app: Sandbox) -> None:
    for line in (
        'build_dir = "a\\u0000b"',
        'exclude = ["a\\u0000"]',
        '[functions."O\\u0000"]\nexclude = []',
        'template = "\\u0000"',
    ):
        ran = app.write({"lambdabuild.toml": line + "\n"}).run("plan")
        assert (ran.code, "LB107" in ran.err) == (3, True), ran.said


@pytest.mark.parametrize("command", ["list", "plan", "list --all", "schema", "why Orders"])
def test_who_reads_our_output_may_stop_reading(command: str, app: Sandbox) -> None:
    ran = app.command(["sh", "-c", f"{sys.executable} -m lambdabuild {command} | true"])
    assert ran.err == ""
