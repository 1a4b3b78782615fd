"""Whatever is where lambdabuild writes, what it did not make is neither replaced nor removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import jail
import pytest
from sandbox import Ran, Sandbox

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.11, Handler: app.handler}
Resources:
  other:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: src/one}
  Twin:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: src/one, Handler: app.twin}
  Nested:
    Type: AWS::Serverless::Application
    Properties: {Location: nested/template.yaml}
"""
NESTED = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Deep:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.11, Handler: app.handler, CodeUri: ../src/two}
"""
FILES = {
    "template.yaml": TEMPLATE, "nested/template.yaml": NESTED, "src/one/app.py": "x = 1\n", "src/two/app.py": "x = 2\n",
    "other/keep.txt": "kept", "docs/keep.txt": "kept",
}  # fmt: skip


@pytest.fixture
def app(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "app").write(FILES)


def run(app: Sandbox, *arguments: str, env: dict[str, str] | None = None) -> Ran:
    ran = jail.lambdabuild(app.folder.parent, *arguments, cwd=app.folder, env=env)
    assert "Traceback" not in ran.said, ran.said
    return ran


def refused(app: Sandbox, *names: str, arguments: tuple[str, ...] = ("build",)) -> Ran:
    """The run names everything that is in the way, builds nothing, and loses nothing."""
    before = jail.content(app.folder)
    ran = run(app, *arguments)
    after = jail.content(app.folder)

    assert ran.code != 0, ran.said
    assert "LB507" in ran.said, ran.said
    for name in names:
        assert name in ran.said, ran.said
    assert jail.lost(before, after) == []
    made = {path for path in after.keys() - before.keys() if "/.lambdabuild" not in f"/{path}"}
    assert made <= {"build"}, made
    return ran


def link(name: str, target: str) -> Callable[[Sandbox], object]:
    def act(app: Sandbox) -> object:
        path = app.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.symlink_to(app.path(target))

    return act


def write(*names: str) -> Callable[[Sandbox], object]:
    return lambda app: app.write(dict.fromkeys(names, "kept"))


def folder(name: str) -> Callable[[Sandbox], object]:
    return lambda app: app.path(name).mkdir(parents=True)


IN_THE_WAY: dict[str, tuple[Callable[[Sandbox], object], tuple[str, ...]]] = {
    "a file in a tree's folder": (write("build/other/keep.txt"), ("build/other/keep.txt",)),
    "a file deep in a tree's folder": (write("build/other/a/b/keep.txt"), ("build/other/a/b/keep.txt",)),
    "the bytecode of nobody's run": (write("build/other/__pycache__/x.txt"), ("build/other/__pycache__/x.txt",)),
    "a file with the name of ours": (write("build/other/app.py"), ("build/other/app.py",)),
    "a file where a tree goes": (write("build/other"), ("build/other",)),
    "a file where a link to a tree goes": (write("build/Twin"), ("build/Twin",)),
    "a folder where a link to a tree goes": (write("build/Twin/x"), ("build/Twin/x",)),
    "a zip": (write("build/other.zip"), ("build/other.zip",)),
    "the zip of a twin": (write("build/Twin.zip"), ("build/Twin.zip",)),
    "a template": (write("build/packaged-template.yaml"), ("build/packaged-template.yaml",)),
    "a manifest": (write("build/manifest.json"), ("build/manifest.json",)),
    "a nested stack's zip": (write("build/Nested/Deep.zip"), ("build/Nested/Deep.zip",)),
    "a nested stack's template": (write("build/Nested/built-template.yaml"), ("build/Nested/built-template.yaml",)),
    "a file where a nested stack's folder goes": (write("build/Nested"), ("build/Nested",)),
    "a link where a nested stack's folder goes": (link("build/Nested", "src"), ("build/Nested",)),
    "a link where a tree goes": (link("build/other", "docs"), ("build/other",)),
    "a dangling link where a zip goes": (link("build/other.zip", "nowhere"), ("build/other.zip",)),
    "a link where a template goes": (link("build/built-template.yaml", "docs/keep.txt"), ("built-template.yaml",)),
    "a store": (write("build/.store/keep.txt"), ("build/.store",)),
    "our state's folder": (write("build/.lambdabuild/keep.txt"), ("build/.lambdabuild", "keep.txt")),
    "a tag of our state's folder": (write("build/.lambdabuild/CACHEDIR.TAG"), ("CACHEDIR.TAG",)),
    "our state's folder, a link": (link("build/.lambdabuild", "docs"), ("build/.lambdabuild", "keep.txt")),
    "a folder where a zip goes": (folder("build/other.zip"), ("build/other.zip",)),
    "several": (write("build/other/keep.txt", "build/Twin.zip", "build/manifest.json"),
                ("build/other/keep.txt", "build/Twin.zip", "build/manifest.json")),
}  # fmt: skip


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_what_is_in_the_way_is_named_before_anything_is_built(what: str, app: Sandbox) -> None:
    put, names = IN_THE_WAY[what]
    put(app)

    refused(app, *names)


def test_what_is_in_the_way_of_another_function_does_not_matter(app: Sandbox) -> None:
    app.write({"build/other.zip": "kept"})
    ran = run(app, "build", "Nested/Deep")
    assert ran.code == 0, ran.said
    assert app.path("build/other.zip").read_text() == "kept"


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("build_dir=.",), ("build_dir",)),
        (("build_dir=src",), ("build_dir", "src")),
        (("build_dir=src/one",), ("build_dir", "src/one")),
        (("build_dir=./src/../src/",), ("build_dir",)),
        (("build_dir=..",), ("build_dir",)),
        (("build_dir=/",), ("build_dir",)),
        (("store=src",), ("store", "src")),
        (("store=.",), ("store",)),
        (("store=/",), ("store",)),
        (("store=build",), ("store", "build")),
        (("store=build/.lambdabuild/x",), ("store",)),
    ],
)
@pytest.mark.parametrize("command", ["build", "clean"])
def test_a_folder_that_holds_what_is_built_is_no_place_for_what_comes_out(
    command: str, arguments: tuple[str, ...], names: tuple[str, ...], app: Sandbox
) -> None:
    refused(app, *names, arguments=(command, *arguments))


def test_a_build_folder_that_is_a_link_is_followed_and_what_it_leads_to_counts(app: Sandbox) -> None:
    app.path("elsewhere").mkdir()
    app.path("build").symlink_to("elsewhere")
    assert run(app, "build").code == 0
    assert app.path("elsewhere/other.zip").exists()

    app.path("out").symlink_to("src")
    refused(app, "build_dir", arguments=("build", "build_dir=out"))


def test_a_file_of_ours_is_replaced_and_a_strangers_beside_it_is_kept(app: Sandbox) -> None:
    app.write({"build/keep.txt": "kept", "build/Nested/keep.txt": "kept", "build/.cache/x": "kept"})
    assert run(app, "build").code == 0
    app.write({"src/one/app.py": "x = 3\n", "build/other/app.py": "by hand\n"})
    assert run(app, "build").code == 0

    assert app.path("build/other/app.py").read_text() == "x = 3\n"
    assert app.path("build/keep.txt").read_text() == app.path("build/Nested/keep.txt").read_text() == "kept"


def test_a_strangers_file_in_a_tree_that_is_up_to_date_is_named_each_time(app: Sandbox) -> None:
    assert run(app, "build").code == 0
    app.write({"build/Twin/keep.txt": "kept"})
    for _ in range(2):
        refused(app, "build/Twin/keep.txt")
    app.path("build/Twin/keep.txt").unlink()
    assert "nothing to do" in run(app, "build").out


def test_json_lines_tell_it_too(app: Sandbox) -> None:
    app.write({"build/other.zip": "kept", "build/manifest.json": "kept"})
    ran = run(app, "build", "--format", "json")

    assert [event["error"]["code"] for event in ran.events if event["event"] == "error"] == ["LB507", "LB507"]


def test_clean_leaves_what_is_a_strangers_and_says_so(app: Sandbox) -> None:
    assert run(app, "build").code == 0
    kept = {"build/Twin/keep.txt": "kept", "build/keep.txt": "kept", "build/Nested/x/keep.txt": "kept"}
    app.write(kept)
    ran = run(app, "clean")

    assert ran.code == 0, ran.said
    assert "build/Twin/keep.txt" in ran.err
    assert all(app.path(name).read_text() == text for name, text in kept.items())
    left = {path for path in jail.content(app.path("build")) if ".lambdabuild" not in path and ".store" not in path}
    assert left == {"keep.txt", "Twin", "Twin/keep.txt", "Nested", "Nested/x", "Nested/x/keep.txt"}


def test_what_a_person_puts_where_something_was_cleaned_is_theirs(app: Sandbox) -> None:
    assert run(app, "build").code == 0
    assert run(app, "clean").code == 0
    app.write({"build/other.zip": "kept", "build/other/app.py": "kept"})

    refused(app, "build/other.zip", "build/other/app.py")
    ran = run(app, "clean")
    assert app.path("build/other.zip").read_text() == app.path("build/other/app.py").read_text() == "kept", ran.said


def test_a_function_that_gets_a_twin_loses_no_strangers_file_in_its_tree(app: Sandbox) -> None:
    app.write({"template.yaml": TEMPLATE.replace("CodeUri: src/one, Handler", "CodeUri: src/three, Handler")})
    app.write({"src/three/app.py": "x = 3\n"})
    assert run(app, "build").code == 0
    assert not app.path("build/other").is_symlink()
    app.write({"build/other/keep.txt": "kept", "template.yaml": TEMPLATE})
    refused(app, "build/other/keep.txt")
    app.path("build/other/keep.txt").unlink()

    assert run(app, "build").code == 0
    assert app.path("build/other").is_symlink()


def test_a_stack_takes_the_place_of_a_function_that_had_its_name(app: Sandbox) -> None:
    app.write({"template.yaml": TEMPLATE.replace("other:", "Nested2:").replace("Nested:", "Other:")})
    assert run(app, "build").code == 0
    app.write({"template.yaml": TEMPLATE.replace("Nested:", "Nested2:")})
    assert run(app, "build").code == 0
    assert app.path("build/Nested2/Deep/app.py").exists()


def test_a_built_project_that_moves_to_another_machine_is_still_ours(app: Sandbox, tmp_path: Path) -> None:
    assert run(app, "build").code == 0
    shutil.copytree(app.folder, tmp_path / "moved", symlinks=True, copy_function=shutil.copy)
    shutil.rmtree(app.folder)
    moved = Sandbox(tmp_path / "moved")
    assert "nothing to do" in run(moved, "build").out
    moved.write({"src/one/app.py": "x = 4\n", "build/other/app.py": "by hand"})

    assert run(moved, "build").code == 0
    assert moved.path("build/other/app.py").read_text() == "x = 4\n"


def test_a_build_folder_whose_state_is_gone_says_what_to_do(app: Sandbox) -> None:
    assert run(app, "build").code == 0
    shutil.rmtree(app.path("build/.lambdabuild"))
    ran = refused(app, "build/other.zip")
    assert "an earlier version" in ran.err
    shutil.rmtree(app.path("build"))
    assert run(app, "build").code == 0


def test_a_store_elsewhere_keeps_what_is_in_it(app: Sandbox) -> None:
    app.write({"artifacts/keep.txt": "kept"})
    assert run(app, "build", "store=artifacts").code == 0
    stored = next(app.path("artifacts").rglob("*.zip"))
    stored.write_bytes(b"somebody else's")
    app.path("build/.lambdabuild/steps/upload").rename(app.path("build/.lambdabuild/steps/gone"))
    ran = run(app, "forget", "upload:Twin", "upload:Nested/Deep", "store=artifacts")
    assert ran.code == 0, ran.said
    ran = run(app, "build", "store=artifacts")

    assert ran.code == 1 and "LB507" in ran.said and stored.name in ran.said, ran.said
    assert stored.read_bytes() == b"somebody else's"
    assert app.path("artifacts/keep.txt").read_text() == "kept"


def test_the_compatible_files_of_a_serverless_yml_take_nobodys_place(tmp_path: Path) -> None:
    app = Sandbox(tmp_path / "app").write({
        "serverless.yml": "service: shop\nprovider: {name: aws, runtime: python3.11}\n"
                          "functions: {one: {handler: app.handler}}\n",
        "app.py": "", ".serverless/serverless-state.json": "the framework's own",
    })  # fmt: skip
    refused(app, ".serverless/serverless-state.json", arguments=("build", "serverless_dir=.serverless"))
    app.path(".serverless/serverless-state.json").unlink()

    for _ in range(2):
        assert run(app, "build", "serverless_dir=.serverless").code == 0
        app.append("app.py", "x = 1\n")


@pytest.mark.parametrize(
    "name", ["../evil", "a/b", "..", ".", ".lambdabuild", ".store", "manifest.json", "/etc/x", "a\0b"]
)
def test_no_name_of_a_function_leads_out_or_onto_our_own_files(name: str, app: Sandbox) -> None:
    app.write({"a/b": "kept", "evil": "kept"})
    app.write({"template.yaml": TEMPLATE.replace("  other:", "  " + repr(name).replace("'", '"') + ":")})
    before = jail.content(app.folder.parent)
    ran = run(app, "build")

    assert ran.code != 0, ran.said
    assert jail.lost(before, jail.content(app.folder.parent)) == []
    assert not os.path.lexists(app.folder.parent / "evil")
