"""The command line, read as a person or a machine reads it: help, mistakes, the project that is meant, completion."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox import PLAIN_FUNCTION, ROOT, Ran, Sandbox

from lambdabuild.cli import commands, project_folder, quick
from lambdabuild.cli.main import main
from lambdabuild.cli.parser import parser_of

PAGES = (ROOT / "docs/reference/command-line.md").read_text()


@pytest.fixture
def plain(project: Sandbox) -> Sandbox:
    return project.write({"template.yaml": PLAIN_FUNCTION, "src/app.py": "x = 1\n", "src/deep/more.py": ""})


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ran:
    """``lambdabuild`` in this process: for what needs no project."""
    code = main(arguments)
    printed = capsys.readouterr()
    return Ran(code, printed.out, printed.err)


# help


@pytest.mark.parametrize("name", commands.MODULES)
def test_every_command_has_a_page_with_options_examples_and_exit_codes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = ask(capsys, name, "--help").out

    assert page.startswith(f"Usage: lambdabuild {name}")
    assert page.count(f"lambdabuild {name}") >= 3 or "-C service init" in page, "usage, and two examples"
    assert "Exit codes:\n  0  done" in page
    assert max(map(len, page.splitlines())) <= 120
    assert ask(capsys, "help", name).out == page


@pytest.mark.parametrize("name", commands.MODULES)
def test_the_documentation_shows_the_same_page(name: str) -> None:
    section = PAGES[PAGES.index(f"\n## {name}\n") :].partition("\n## ")[2].partition("\n## ")[0]
    page = parser_of(commands.command(name)).format_help().rstrip()

    assert f"```\n{page}\n```" in section, f"write into docs/reference/command-line.md, below ## {name}:\n{page}"


def test_the_overview_names_every_command_once(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["-h"], ["help"]):
        page = ask(capsys, *arguments).out
        assert re.findall(r"^  (\w+) {2,}", page, re.MULTILINE)[: len(commands.MODULES)] == [
            name for _, names in commands.OVERVIEW for name in names
        ]
    assert {name for _, names in commands.OVERVIEW for name in names} == {*commands.MODULES}


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert re.fullmatch(r"lambdabuild \d+\.\d+\.\d+\n", ask(capsys, "--version").out)


def test_every_option_with_a_value_that_may_stand_before_a_command_is_known() -> None:
    taking = {
        flag
        for name in ("build", "plan")
        for action in parser_of(commands.command(name))._actions
        for flag in action.option_strings
        if action.nargs is None and flag in commands.VALUE_FLAGS
    }

    assert taking == commands.VALUE_FLAGS
    assert commands.first_word(["-C", "plan", "--format", "json", "stage=why", "list"]) == 5


# mistakes

MISTAKES = [
    ("bulid", "LB100", "no command 'bulid'", "did you mean 'build'?"),
    ("--verison", "LB100", "no option '--verison'", "did you mean '--version'?"),
    ("build --stge x", "LB100", "no option '--stge'", "did you mean '--stage'?"),
    ("plan --sahrd=1/2", "LB100", "no option '--sahrd'", "did you mean '--shard'?"),
    ("why --nope", "LB100", "lambdabuild why has no option '--nope'", "lambdabuild why --help"),
    ("list --nope", "LB100", "lambdabuild list has no option '--nope'", "lambdabuild list --help"),
    ("build -n", "LB100", "-n/--process needs a value", "lambdabuild build --help"),
    ("build -n x", "LB100", "takes a whole number, not 'x'", "lambdabuild build --help"),
    ("build -q -v", "LB100", "does not go with", "lambdabuild build --help"),
    ("plan Orders", "LB100", "lambdabuild plan takes no 'Orders'", "lambdabuild plan --help"),
    ("plan --shard 7/2", "LB100", "there is no shard 7 of 2", "1/2 to 2/2"),
    ("plan --shard x", "LB100", "'x' is not a share", "2/5"),
    ("affected", "LB100", "needs --since REF", "--since origin/main"),
    ("affected Orders --since HEAD", "LB100", "takes no 'Orders'", "lambdabuild affected --help"),
    ("cache polish", "LB100", "no action 'polish'", "one of stats, verify, gc, export, import"),
    ("cache stat", "LB100", "no action 'stat'", "did you mean 'stats'?"),
    ("completion bahs", "LB100", "'bahs'", "did you mean 'bash'?"),
    ("help bulid", "LB100", "no command 'bulid'", "did you mean 'build'?"),
    ("dumpdb", "LB100", "no command 'dumpdb'", "lambdabuild info TASK"),
    ("ignore zip:Orders", "LB100", "no command 'ignore'", "doit ignore TASK"),
    ("deploy", "LB100", "no command 'deploy'", "sam deploy -t build/packaged-template.yaml"),
    ("package", "LB100", "no command 'package'", "packaged-template.yaml"),
    ("invoke Orders", "LB100", "no command 'invoke'", "sam local invoke"),
    ("sync", "LB100", "no command 'sync'", "builds and uploads only what changed"),
    ("validate", "LB100", "no command 'validate'", "lambdabuild plan"),
    ("-C nowhere plan", "LB100", "cannot work in 'nowhere'", "exists"),
]
OF_PROJECTS = [
    ("build Ordres", "LB108", "'Ordres'", "did you mean 'Orders'?"),
    ("why Ordres", "LB108", "'Ordres'", "did you mean 'Orders'?"),
    ("zip:Ordres", "LB108", "there is no task 'zip:Ordres'", "did you mean 'zip:Orders'?"),
    ("build:Ordres -a", "LB108", "there is no task 'build:Ordres'", "did you mean 'build:Orders'?"),
    ("list Ordres", "LB108", "there is no task 'Ordres'", "did you mean 'build:Orders'?"),
    ("info Orders", "LB108", "there is no task 'Orders'", "did you mean 'build:Orders'?"),
    ("forget zip:Ordres", "LB108", "there is no task 'zip:Ordres'", "did you mean 'zip:Orders'?"),
    ("clean zip:Ordres", "LB108", "there is no task 'zip:Ordres'", "did you mean 'zip:Orders'?"),
]


def check(ran: Ran, code: str, message: str, hint: str) -> None:
    assert ran.code == 2, ran.said
    assert ran.out == "" and "Traceback" not in ran.err
    assert code in ran.err and message in ran.err and hint in ran.err
    assert len(ran.err.splitlines()) <= 3, "not a page of usage"


def check_json(ran: Ran, code: str, message: str, hint: str) -> None:
    (event,) = map(json.loads, ran.out.splitlines())
    assert ran.code == 2 and ran.err == ""
    assert event["event"] == "error" and event["error"]["code"] == code
    assert message in event["error"]["message"] and hint in event["error"]["help"]


@pytest.mark.parametrize(("line", "code", "message", "hint"), MISTAKES, ids=[row[0] for row in MISTAKES])
def test_a_mistake_names_the_closest_thing_that_exists(
    line: str, code: str, message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check(ask(capsys, *line.split()), code, message, hint)
    check_json(ask(capsys, *line.split(), "--format", "json"), code, message, hint)


@pytest.mark.parametrize(("line", "code", "message", "hint"), OF_PROJECTS, ids=[row[0] for row in OF_PROJECTS])
def test_a_name_that_the_project_does_not_have_is_a_mistake_too(
    line: str, code: str, message: str, hint: str, plain: Sandbox
) -> None:
    check(plain.run(*line.split()), code, message, hint)
    check_json(plain.run(*line.split(), "--format=json"), code, message, hint)


# what stays as it was


def test_options_and_settings_stand_anywhere(plain: Sandbox) -> None:
    plain.run("-n", "2", "stage=x", "build", "--format", "json", "Orders", "-P", "thread", "--continue")
    ran = plain.run("--format=json", "build", "Orders", "-a", "-s", "stage=x")

    assert ran.code == 0, ran.said
    assert ran.summary["ran"] == 0, "the group alone, without what it needs"
    assert plain.run("stage=x", "zip:Orders", "-v", "2", "-a", "--format", "json").steps == [
        "copy:Orders",
        "zip:Orders",
    ]


def test_clean_says_what_it_removes_and_removes_nothing_in_a_dry_run(plain: Sandbox) -> None:
    plain.run("build")
    dry = plain.run("clean", "--dry-run").out
    assert plain.path("build/Orders.zip").exists()
    ran = plain.run("clean")

    assert "removed build/Orders.zip\n" in ran.out and "executing" not in ran.out
    assert dry == ran.out.replace("removed", "would remove")
    assert not plain.path("build/Orders.zip").exists()
    assert plain.run("clean").out == "nothing to remove\n"


def test_quiet_lists_names_alone_and_verbose_says_why_steps_run(plain: Sandbox) -> None:
    assert plain.run("list", "-q").out.splitlines()[0].strip() == "build"
    first = plain.run("build", "-v")
    second = plain.run("build", "Orders", "-v")

    assert f"project: {plain.folder}\n" in first.err
    assert "zip:Orders  " in first.err and "because" in first.err
    assert "zip:Orders  is up to date" in second.err
    assert second.out == "nothing to do: 1 function up to date\n"


# where the project is


def test_the_project_is_found_from_a_folder_inside_it(plain: Sandbox) -> None:
    inside = Sandbox(plain.path("src/deep"))
    assert inside.run("build", "build_dir=../../out").code == 0
    assert plain.path("out/Orders.zip").exists(), "a path is relative to where the user stands"

    assert inside.run("costs", "--output", "costs.json", "build_dir=../../out").code == 0
    assert plain.path("src/deep/costs.json").exists()
    assert inside.run("-C", "../..", "plan").out == plain.run("plan").out == inside.run("plan").out


@pytest.mark.parametrize("marker", ["template.yaml", "serverless.yml", "lambdabuild.toml", "pyproject.toml"])
def test_what_makes_a_folder_a_project(marker: str, tmp_path: Path) -> None:
    Sandbox(tmp_path / "top").write({marker: "[tool.lambdabuild]\n", "src/deep/x": "", "src/pyproject.toml": "[x]\n"})

    assert project_folder.find(str(tmp_path / "top/src/deep"), {}) == str(tmp_path / "top")


def test_the_search_ends_at_a_checkout_the_home_and_folders_that_others_write_to(tmp_path: Path) -> None:
    Sandbox(tmp_path).write({"template.yaml": "", "one/deep/x": "", "two/.git/HEAD": "", "two/deep/x": ""})
    one, two = str(tmp_path / "one/deep"), str(tmp_path / "two/deep")

    assert project_folder.find(one, {}) == str(tmp_path)
    assert project_folder.find(two, {}) == two
    assert project_folder.find(one, {"HOME": str(tmp_path)}) == one
    tmp_path.chmod(0o1777)
    assert project_folder.find(one, {}) == one


def test_a_template_that_is_named_and_stands_here_makes_here_the_project(tmp_path: Path) -> None:
    Sandbox(tmp_path).write({"template.yaml": "", "infra/app.yaml": ""})
    infra = str(tmp_path / "infra")

    assert project_folder.find(infra, {}, "app.yaml") == infra
    assert project_folder.find(infra, {}) == str(tmp_path)
    moved = project_folder.from_there({"template": "../x.yaml", "stage": "a/b", "store": "/s"}, infra, str(tmp_path))
    assert moved == {"template": "x.yaml", "stage": "a/b", "store": "/s"}


def test_only_the_plainest_command_lines_are_answered_without_the_parser() -> None:
    assert quick.plain_build([]) == ({}, [])
    assert quick.plain_build(["--stage", "dev", "stage=prod"]) == ({"stage": "dev"}, []), "as the parser has it"
    assert quick.plain_build(["build", "Orders", "stage=prod", "-q"]) == (
        {"stage": "prod", "quiet": "true"},
        ["Orders"],
    )
    for others in (["plan"], ["zip:Orders"], ["build", "-a"], ["build", "-v"], ["-C", "x"], ["build", "--help"]):
        assert quick.plain_build(others) is None


def test_a_run_with_nothing_to_do_loads_no_parser(plain: Sandbox) -> None:
    plain.run("build")
    script = "import atexit, sys\nfrom lambdabuild.cli.main import main\natexit.register(lambda: print('argparse' in sys.modules))\nmain(sys.argv[1:])"
    inside = Sandbox(plain.path("src"))

    for arguments in ([], ["build", "Orders"]):
        assert inside.command([sys.executable, "-c", script, *arguments]).out.endswith("up to date\nFalse\n")


# completion


def complete(project: Sandbox, *words: str) -> list[str]:
    return [line.partition("\t")[0] for line in project.run("__complete", *words).out.splitlines()]


def test_commands_options_and_names_are_completed(plain: Sandbox) -> None:
    plain.run("build")

    assert complete(plain, "co") == ["costs", "compile", "completion", "compile", "copy"]
    assert complete(plain, "build", "--st") == ["--stage"]
    assert complete(plain, "build", "O") == complete(plain, "why", "-q", "O") == ["Orders"]
    assert complete(Sandbox(plain.path("src")), "list", "build:") == ["build:Orders"]
    assert complete(plain, "build", "--format", "") == ["text", "json"]
    assert complete(plain, "cache", "e") == ["export"]
    assert complete(plain, "costs", "--output", "") == []


BASH = 'source <(lambdabuild completion bash); COMP_LINE="{line}"; COMP_POINT=${{#COMP_LINE}}; _lambdabuild; echo "${{COMPREPLY[@]}}"'


@pytest.mark.parametrize(
    ("line", "offered"),
    [("lambdabuild build ", "Orders"), ("lambdabuild build:Or", "Orders"), ("lambdabuild pl", "plan")],
)
def test_bash_completes_with_the_printed_script(line: str, offered: str, plain: Sandbox) -> None:
    plain.run("build")
    path = {"PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"}

    assert plain.command(["bash", "-c", BASH.format(line=line)], env=path).out.strip() == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_scripts_of_other_shells_are_read_by_them(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    script = ask(capsys, "completion", shell).out
    assert "lambdabuild __complete" in script or '" __complete' in script
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=script, text=True, check=False).returncode == 0
