"""What was edited, touched, renamed, removed x what runs because of it. Nothing here needs a network."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox import Sandbox

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.11, Handler: app.handler}
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: orders, Layers: [!Ref Shared]}
  Refunds:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: refunds}
  RefundsToo:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: refunds, Handler: app.other}
  Made:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: makefile}
    Properties: {CodeUri: made}
  Shared:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: shared}
"""
FILES = {
    "template.yaml": TEMPLATE,
    "orders/app.py": "def handler(event, context): return 'orders'\n",
    "orders/notes.txt": "a note\n",
    "refunds/app.py": "def handler(event, context): return 'refunds'\n",
    "made/Makefile": 'build-Made:\n\tcp app.py "$(ARTIFACTS_DIR)"\n',
    "made/app.py": "def handler(event, context): return 'made'\n",
    "shared/data.json": "{}\n",
}
AFTER_COPY = ("copy", "hash", "tree", "upload", "zip")


def chain(name: str, *first: str) -> set[str]:
    """The steps of one function from copy on, and the template."""
    return {f"{kind}:{name}" for kind in (*first, *AFTER_COPY)} | {"template"}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    project = Sandbox(tmp_path_factory.mktemp("pristine") / "project").write(FILES)
    project.build()
    return project


@pytest.fixture
def built(pristine: Sandbox, tmp_path: Path) -> Sandbox:
    """A project that is built and up to date, at a place of its own."""
    shutil.copytree(pristine.folder, tmp_path / "project", symlinks=True)
    project = Sandbox(tmp_path / "project")
    project.build()
    assert project.build().steps == []
    return project


def append(name: str, text: str = "# more\n") -> Callable[[Sandbox], object]:
    return lambda project: project.append(name, text)


def write(name: str, text: str) -> Callable[[Sandbox], object]:
    return lambda project: project.write({name: text})


def touch(name: str) -> Callable[[Sandbox], object]:
    return lambda project: os.utime(project.path(name))


def remove(name: str) -> Callable[[Sandbox], object]:
    def act(project: Sandbox) -> object:
        path = project.path(name)
        return path.unlink() if path.is_file() or path.is_symlink() else shutil.rmtree(path)

    return act


def same_length_and_time(project: Sandbox) -> None:
    """An edit that keeps size and mtime, as ``rsync -t`` or an archive may make one."""
    path = project.path("orders/app.py")
    before = path.stat()
    path.write_text(path.read_text().replace("'orders'", "'ORDERS'"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


TABLE: list[tuple[str, Callable[[Sandbox], object], set[str]]] = [
    ("nothing", lambda project: None, set()),
    ("a handler is touched", touch("orders/app.py"), set()),
    ("every file is touched", lambda p: [os.utime(path) for path in p.folder.rglob("*") if path.is_file()], set()),
    ("a handler is written again with the same bytes", write("orders/app.py", FILES["orders/app.py"]), set()),
    ("a handler is edited", append("orders/app.py"), chain("Orders")),
    ("a handler is edited, size and time kept", same_length_and_time, chain("Orders")),
    ("the handler of two is edited", append("refunds/app.py"), chain("Refunds")),
    ("a file is new", write("orders/new.py", "x = 1\n"), chain("Orders")),
    ("a file is gone", remove("orders/notes.txt"), chain("Orders")),
    ("a file is renamed", lambda p: p.path("orders/notes.txt").rename(p.path("orders/note.txt")), chain("Orders")),
    ("a file may be run", lambda p: p.path("orders/notes.txt").chmod(0o755), chain("Orders")),
    ("other bits of a mode change", lambda p: p.path("orders/notes.txt").chmod(0o600), set()),
    ("bytecode appears", write("orders/__pycache__/app.cpython-311.pyc", "x"), set()),
    ("an empty folder appears", lambda p: p.path("orders/empty").mkdir(), set()),
    ("a comment in a Makefile", append("made/Makefile"), {"compile:Made"}),
    ("what a Makefile copies", append("made/app.py"), chain("Made", "compile")),
    ("a file of the source that a Makefile does not use", write("made/unused", "x"), {"compile:Made"}),
    ("a layer's file", append("shared/data.json"), chain("Shared") | {"hash:Orders"}),
    ("a comment in the template", append("template.yaml", "# end\n"), {"template"}),
    ("an ignore file", write("orders/.lambdabuildignore", "notes.txt\n"), chain("Orders")),
    ("an ignore file that changes nothing", write("orders/.lambdabuildignore", "*.none\n"), set()),
    ("a setting that leaves a file out",
     write("lambdabuild.toml", "[functions.Orders]\nexclude = ['notes.txt']\n"), chain("Orders")),
    ("a zip is gone", remove("build/Orders.zip"), {"zip:Orders"}),
    ("a zip was changed by hand", write("build/Orders.zip", "x"), {"zip:Orders"}),
    ("a tree is gone", remove("build/Orders"), {"tree:Orders"}),
    ("a file of a tree is gone", remove("build/Orders/notes.txt"), {"tree:Orders"}),
    ("a file of a tree was changed by hand", append("build/Orders/app.py"), {"tree:Orders"}),
    ("bytecode was left in a tree", write("build/Orders/__pycache__/app.cpython-311.pyc", ""), {"tree:Orders"}),
    ("the template is gone", remove("build/packaged-template.yaml"), {"template"}),
    ("a template was changed by hand", append("build/packaged-template.yaml"), {"template"}),
    ("the store is gone", remove("build/.store"),
     {f"upload:{name}" for name in ("Orders", "Refunds", "Made", "Shared")}),
    ("a build folder's result is gone", remove("build/.lambdabuild/out/compile/Made"), {"compile:Made"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "runs"), [row[1:] for row in TABLE], ids=[row[0].replace(" ", "-") for row in TABLE]
)
def test_what_runs(change: Callable[[Sandbox], object], runs: set[str], built: Sandbox) -> None:
    change(built)

    assert set(built.build().steps) == runs


@pytest.mark.parametrize(
    ("change", "runs"), [row[1:] for row in TABLE], ids=[row[0].replace(" ", "-") for row in TABLE]
)
def test_the_quick_answer_is_the_same(change: Callable[[Sandbox], object], runs: set[str], built: Sandbox) -> None:
    """What is said without loading the project, by the snapshot of the last run."""
    change(built)
    ran = built.run()

    assert ("nothing to do: 4 functions and 1 layer up to date" in ran.out) == (not runs), ran.said
    assert built.build().steps == []


def test_a_project_that_was_moved_with_its_build_folder_is_up_to_date(pristine: Sandbox, tmp_path: Path) -> None:
    """What a CI cache brings back: other paths, other times, other inodes."""
    shutil.copytree(pristine.folder, tmp_path / "moved", symlinks=True, copy_function=shutil.copy)

    assert Sandbox(tmp_path / "moved").build().steps == []


def test_a_step_that_runs_again_gives_what_was_there(built: Sandbox) -> None:
    before = built.zips()
    shutil.rmtree(built.path("build"))
    built.build()

    assert built.zips() == before


def test_a_new_function_builds_itself_only(built: Sandbox) -> None:
    built.write({"template.yaml": TEMPLATE + "  New:\n    Type: AWS::Serverless::Function\n"
                 "    Properties: {CodeUri: new}\n", "new/app.py": "x = 1\n"})  # fmt: skip

    assert set(built.build().steps) == chain("New")


def test_a_function_that_leaves_a_shared_build_gets_its_own(built: Sandbox) -> None:
    shutil.copytree(built.path("refunds"), built.path("too"))
    built.write({"template.yaml": TEMPLATE.replace("{CodeUri: refunds, Handler", "{CodeUri: too, Handler")})
    built.build()

    assert not built.path("build/RefundsToo").is_symlink()
    assert built.path("build/RefundsToo/app.py").exists()
    assert built.manifest["functions"]["RefundsToo"]["shared_with"] == []
    assert built.build().steps == []


def test_naming_a_function_builds_nothing_else(built: Sandbox) -> None:
    append("orders/app.py")(built)
    append("refunds/app.py")(built)

    assert set(built.build("Orders").steps) == chain("Orders") - {"template"}
    assert set(built.build().steps) == chain("Refunds")


def test_an_edit_while_a_step_runs_counts_as_a_change(built: Sandbox) -> None:
    built.write({"made/Makefile": 'build-Made:\n\tcp app.py "$(ARTIFACTS_DIR)"\n\techo "# late" >> $(LATE)\n'})
    built.write({"lambdabuild.toml": "[functions.Made.options]\nenvironment = ['LATE']\n"})
    late = {"LATE": str(built.path("made/app.py"))}
    built.build(env=late)
    assert b"# late" not in built.content("Made", "app.py")

    assert "compile:Made" in built.build(env=late).steps
    assert b"# late" in built.content("Made", "app.py")


def test_why_names_the_input_that_changed(built: Sandbox) -> None:
    append("orders/app.py")(built)
    write("orders/new.py", "")(built)
    said = built.run("why", "Orders").out

    assert "copy:Orders  would run" in said
    assert "the file orders/app.py changed" in said
    assert "the file orders/new.py is new" in said
    assert "zip:Orders  runs if the result of copy:Orders changes" in said
    assert "would run" not in built.run("why", "Refunds").out


def test_why_names_a_setting_a_rule_and_what_was_removed(built: Sandbox) -> None:
    rule = built.path("rules/custom_make")
    shutil.copytree(Path(__file__).parents[2] / "rules/custom_make", rule)
    assert "the code of rule custom_make" not in built.run("why", "Made").out
    with (rule / "rule.py").open("a") as stream:
        stream.write("# mine\n")
    assert "the code of rule custom_make changed" in built.run("why", "Made").out

    built.write({"lambdabuild.toml": "exclude = ['notes.txt']\n"})
    remove("build/Orders.zip")(built)
    said = built.run("why", "Orders").out
    assert "exclude" in said or "leaves out" in said or "notes.txt is gone" in said
    assert "what it made is gone or was changed by hand" in said


def test_why_runs_nothing_and_doit_can_ask_too(built: Sandbox) -> None:
    import sys

    built.run("init")
    append("orders/app.py")(built)
    before = built.zips()
    ran = built.command([sys.executable, "-m", "doit", "why:Orders"])

    assert "copy:Orders  would run" in ran.out
    assert built.zips() == before


def test_what_is_forgotten_runs_again_and_what_is_clean_is_gone(built: Sandbox) -> None:
    assert built.run("forget", "zip:Orders").code == 0
    assert built.build().steps == ["zip:Orders"]

    assert built.run("clean", "build:Orders").code == 0
    assert not built.path("build/Orders.zip").exists()
    assert not built.path("build/Orders").exists()
    assert built.path("build/Refunds.zip").exists()
    assert set(built.build().steps) >= {"zip:Orders", "tree:Orders"}

    assert built.run("clean").code == 0
    assert not list(built.path("build").glob("*.zip"))
    assert not built.path("build/manifest.json").exists()


def test_doits_own_commands_know_the_tasks(built: Sandbox) -> None:
    listed = built.run("list", "--all", "-s").out

    assert "U zip:Orders" in listed
    assert "zip:Orders" in built.run("info", "zip:Orders").out
    assert "up-to-date" in built.run("info", "zip:Orders").out
    append("orders/app.py")(built)
    assert "R copy:Orders" in built.run("list", "--all", "-s").out
    built.run("init")
    assert built.command([sys.executable, "-m", "doit", "reset-dep"]).code == 0


def test_an_ignored_task_is_not_run(built: Sandbox) -> None:
    built.run("init")
    built.command([sys.executable, "-m", "doit", "ignore", "zip:Orders"])
    append("orders/app.py")(built)
    before = built.path("build/Orders.zip").read_bytes()
    built.run("build")

    assert built.path("build/Orders.zip").read_bytes() == before
