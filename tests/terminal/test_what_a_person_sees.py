"""The reporter, read as a person or a machine reads it."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from doit.task import Task
from sandbox import PLAIN_FUNCTION, Sandbox

from lambdabuild.engine.doit import reporter as reporters

MAKE = PLAIN_FUNCTION.replace("  Orders:\n", "  Orders:\n    Metadata: {BuildMethod: makefile}\n")


@pytest.fixture
def plain(project: Sandbox) -> Sandbox:
    return project.write({"template.yaml": PLAIN_FUNCTION, "src/app.py": "x = 1\n"})


def on_a_terminal(project: Sandbox, *arguments: str, env: Mapping[str, str] | None = None, stop_at: bytes = b"") -> str:
    """What a terminal of 80 columns receives; Ctrl-C is typed when ``stop_at`` is seen."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = project.environment({"TERM": "xterm", **(env or {})})
    environment.pop("CI", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "lambdabuild", *arguments], cwd=project.folder, env=environment,
        stdin=side, stdout=side, stderr=side, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(side)
    began, received, typed = time.monotonic(), b"", False
    while True:
        ready, _, _ = select.select([main], [], [], 0.1)
        if stop_at and not typed and stop_at in received:
            os.write(main, b"\x03")
            typed = True
        if ready:
            try:
                data = os.read(main, 4096)
            except OSError:
                break
            if not data:
                break
            received += data
        assert time.monotonic() - began < 60
    os.close(main)
    process.wait()
    return received.decode()


def test_a_build_ends_with_a_summary(plain: Sandbox) -> None:
    ran = plain.run("build")

    assert "zip:Orders" in ran.out
    assert "built 1 function; 6 steps run, 0 up to date; 1 uploaded (" in ran.out
    assert ran.out.rstrip().endswith(" s")
    assert ran.err == ""


def test_a_null_build_is_one_line(plain: Sandbox) -> None:
    plain.run("build")

    assert plain.run("build").out == "nothing to do: 1 function up to date\n"


def test_the_summary_tells_what_was_built_and_what_was_reused(plain: Sandbox) -> None:
    other = PLAIN_FUNCTION.partition("Resources:\n")[2].replace("Orders", "Other").replace("src", "other")
    plain.write({"template.yaml": PLAIN_FUNCTION + other, "other/app.py": "y = 1\n"})
    assert "built 2 functions; " in plain.run("build").out
    plain.append("src/app.py", "# more\n")

    assert "built 1 function; reused 1 function; 6 steps run" in plain.run("build").out


def test_quiet_prints_nothing_but_errors(plain: Sandbox) -> None:
    assert plain.run("build", "-q").said == ""
    plain.write({"template.yaml": MAKE, "src/Makefile": "build-Orders:\n\tfalse\n"})
    ran = plain.run("-q")

    assert ran.out == ""
    assert "LB502" in ran.err


def test_json_is_one_object_a_line(plain: Sandbox) -> None:
    ran = plain.run("build", "--format", "json")
    events = [json.loads(line) for line in ran.out.splitlines()]

    assert {event["event"] for event in events} == {"start", "done", "summary"}
    zipped = next(event for event in events if event["event"] == "done" and event["task"] == "zip:Orders")
    assert (zipped["kind"], zipped["name"]) == ("zip", "Orders")
    assert zipped["size"] == plain.path("build/Orders.zip").stat().st_size
    assert events[-1]["uploaded"] == 1
    assert events[-1]["built"] == ["build:Orders"]


def test_json_tells_a_mistake_as_data(plain: Sandbox) -> None:
    plain.write({"template.yaml": MAKE, "src/Makefile": "build-Orders:\n\tfalse\n"})
    ran = plain.run("build", "--format=json")
    failed = next(event for event in ran.events if event["event"] == "fail")

    assert failed["error"]["code"] == "LB502"
    assert "command: " in failed["error"]["tail"]
    assert ran.summary["failed"] == ["compile:Orders"]
    assert "upload:Orders" in ran.summary["not_run"] or ran.summary["ran"] == 0


def test_json_tells_a_mistake_of_the_template_as_data_too(plain: Sandbox) -> None:
    plain.write({"template.yaml": "Resources: [\n"})
    ran = plain.run("build", "--format", "json")

    assert ran.code != 0
    assert ran.events[0]["event"] == "error"
    assert ran.events[0]["error"]["code"] == "LB102"
    assert ran.events[0]["error"]["where"] == [{"file": "template.yaml", "line": 2, "column": 1}]


def test_a_terminal_shows_what_runs_and_is_left_clean(plain: Sandbox) -> None:
    plain.write({"template.yaml": MAKE, "src/Makefile": 'build-Orders:\n\tsleep 0.7\n\tcp app.py "$(ARTIFACTS_DIR)"\n'})
    seen = on_a_terminal(plain, "build")

    assert "compile:Orders  0 s" in seen
    assert "0/7" in seen
    assert "built 1 function" in seen
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")  # the cursor is back


def test_no_color_and_a_dumb_terminal_are_respected(plain: Sandbox) -> None:
    assert "\x1b[" not in on_a_terminal(plain, "build", env={"TERM": "dumb"})
    plain.append("src/app.py", "# more\n")
    seen = on_a_terminal(plain, "build", env={"NO_COLOR": "1"})

    assert "\x1b[3" not in seen


def test_ctrl_c_on_a_terminal_leaves_it_clean(plain: Sandbox) -> None:
    plain.write({"template.yaml": MAKE, "src/Makefile": "build-Orders:\n\tsleep 30\n"})
    seen = on_a_terminal(plain, "build", stop_at=b"compile:Orders")

    assert "interrupted" in seen
    assert "Traceback" not in seen
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")


def test_a_failing_tool_is_shown_with_its_function_and_last_lines(plain: Sandbox) -> None:
    lines = "".join(f"\t@echo line {number}\n" for number in range(60))
    plain.write({"template.yaml": MAKE, "src/Makefile": f"build-Orders:\n{lines}\tfalse\n"})
    ran = plain.run("build")

    assert "function 'Orders'" in ran.err
    assert "line 59" in ran.err
    assert "line 1\n" not in ran.err
    assert "failed: compile:Orders" in ran.out


def test_init_writes_at_most_three_lines_and_never_over_yours(plain: Sandbox) -> None:
    assert plain.run("init").code == 0
    text = plain.path("dodo.py").read_text()
    assert len([line for line in text.splitlines() if line]) <= 3

    plain.write({"dodo.py": "# mine\n"})
    ran = plain.run("init")
    assert ran.code != 0
    assert plain.path("dodo.py").read_text() == "# mine\n"


def test_the_plan_is_printed_without_building(plain: Sandbox) -> None:
    text = plain.run("plan")
    data = json.loads(plain.run("plan", "--format", "json").out)

    assert "build:Orders" in text.out
    assert data["builds"][0]["users"] == ["Orders"]
    assert not plain.path("build/Orders.zip").exists()


def test_a_build_from_nothing_in_particular_can_be_forced(plain: Sandbox) -> None:
    plain.build()

    assert len(plain.build("--always-execute").steps) == 6


def test_settings_of_the_command_line_win_over_the_environment_and_the_file(plain: Sandbox) -> None:
    plain.write({"lambdabuild.toml": "build_dir = 'from-file'\n"})
    plain.run("build")
    plain.run("build", env={"LAMBDABUILD_BUILD_DIR": "from-environment"})
    plain.run("build", "build_dir=from-command", env={"LAMBDABUILD_BUILD_DIR": "from-environment"})

    assert plain.path("from-file/Orders.zip").exists()
    assert plain.path("from-environment/Orders.zip").exists()
    assert plain.path("from-command/Orders.zip").exists()


def test_settings_may_stand_in_pyproject(plain: Sandbox) -> None:
    plain.write({"pyproject.toml": "[tool.lambdabuild]\nbuild_dir = 'out'\n"})
    plain.run("build")

    assert plain.path("out/Orders.zip").exists()
    plain.write({"lambdabuild.toml": "jobs = 1\n"})
    assert "LB107" in plain.run("build").said


def test_doit_takes_stage_and_parameters(plain: Sandbox) -> None:
    text = "Parameters: {Stage: {Type: String, Default: dev}, Part: {Type: String, Default: a}}\n" + PLAIN_FUNCTION
    plain.write({"template.yaml": text.replace("CodeUri: src", "CodeUri: !Sub 'src-${Stage}-${Part}'"),
                 "src-prod-b/app.py": "x = 1\n"})  # fmt: skip
    plain.run("init")
    ran = plain.command([sys.executable, "-m", "doit", "stage=prod", "param.Part=b"])

    assert ran.code == 0, ran.said
    assert plain.names("Orders") == ["app.py"]


class SlowTerminal(io.StringIO):
    """A terminal that answers only once two have asked what it is, or nobody else has for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.both = threading.Barrier(2)

    def isatty(self) -> bool:
        with suppress(threading.BrokenBarrierError):
            self.both.wait(0.5)
        return True


def test_steps_that_begin_at_once_in_two_threads_have_one_view_that_never_counts_backwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    tasks = {f"zip:F{n}": Task(f"zip:F{n}", ["true"], meta={"kind": "zip", "name": f"F{n}"}) for n in range(10)}
    terminal = SlowTerminal()
    reporter = reporters.Reporter(terminal, {})
    reporter.initialize(tasks, tasks)
    with ThreadPoolExecutor(2) as workers:
        list(workers.map(reporter.execute_task, tasks.values()))
        for task in tasks.values():
            reporter.add_success(task)
    reporter.printer.close()

    seen = terminal.getvalue()
    assert seen.count("\x1b[?25l") == 1, "the cursor is hidden once, by one view"
    counts = [int(count) for count in re.findall(r"(\d+)/10\b", seen)]
    assert counts == sorted(counts) and counts[-1] == 10
