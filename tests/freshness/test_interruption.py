"""Kills, signals, and two runs at once: what is finished is kept, and the end is the same as undisturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sandbox import Sandbox

COUNT = 6
FUNCTIONS = "".join(
    f"""  Make{number}:
    Type: AWS::Serverless::Function
    Metadata: {{BuildMethod: makefile}}
    Properties: {{Runtime: python3.11, Handler: app.handler, CodeUri: src}}
"""
    for number in range(COUNT)
)
MAKEFILE = """\
build-%:
	echo $@ >> "$(LOG)"
	sleep 0.3
	cp app.py "$(ARTIFACTS_DIR)"
	echo "$@" > "$(ARTIFACTS_DIR)/name"
"""
SETTINGS = "[options]\nenvironment = ['LOG']\n"


@pytest.fixture
def slow(project: Sandbox) -> Sandbox:
    """Six functions that take 0.3 s each to compile, and note that they were compiled."""
    return project.write({
        "template.yaml": "Transform: AWS::Serverless-2016-10-31\nResources:\n" + FUNCTIONS,
        "src/Makefile": MAKEFILE, "src/app.py": "x = 1\n", "lambdabuild.toml": SETTINGS,
    })  # fmt: skip


def log(project: Sandbox) -> dict[str, str]:
    return {"LOG": str(project.path("log"))}


def compiled(project: Sandbox) -> list[str]:
    return project.path("log").read_text().split() if project.path("log").exists() else []


def wait_for(found: object, seconds: float = 20) -> None:
    """Until a condition (a function) holds."""
    until = time.monotonic() + seconds
    while not found():  # type: ignore[operator]
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("kill_after", [0.2, 0.35, 0.5, 0.7, 0.9, 1.1])
def test_a_killed_build_resumes_and_ends_with_the_same_bytes(kill_after: float, slow: Sandbox, tmp_path: Path) -> None:
    for _ in range(2):
        process = slow.start("build", "-n", "4", env=log(slow))
        time.sleep(kill_after)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    slow.build(env=log(slow))
    undisturbed = Sandbox(tmp_path / "undisturbed")
    subprocess.run(["cp", "-r", *map(str, slow.folder.glob("[!b]*")), str(undisturbed.folder)], check=True)
    undisturbed.build(env=log(slow))

    assert slow.zips() == undisturbed.zips()
    assert len(slow.zips()) == COUNT
    assert slow.build(env=log(slow)).steps == []
    assert not list(slow.path("build").rglob("*.tmp"))


def test_what_was_finished_before_a_kill_is_not_done_again(slow: Sandbox) -> None:
    process = slow.start("build", "-n", "1", env=log(slow))
    wait_for(lambda: len(compiled(slow)) == 4)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    slow.build(env=log(slow))

    assert len(compiled(slow)) <= COUNT + 1


def test_children_die_with_their_parent(slow: Sandbox) -> None:
    slow.write({"src/Makefile": 'build-%:\n\techo $$$$ >> "$(LOG)"; exec sleep 60\n'})
    process = slow.start("build", "-n", "2", env=log(slow))
    wait_for(lambda: len(compiled(slow)) == 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    wait_for(lambda: not any(is_running(int(pid)) for pid in compiled(slow)))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_keeps_what_is_finished(number: int, slow: Sandbox) -> None:
    process = slow.start("build", "-n", "1", env=log(slow))
    wait_for(lambda: len(compiled(slow)) == 3)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)

    assert process.returncode != 0
    assert "Traceback" not in err, err
    assert "interrupted" in out + err
    slow.build(env=log(slow))
    assert len(compiled(slow)) <= COUNT + 1


@pytest.fixture
def slower(slow: Sandbox) -> Sandbox:
    """The same, slow enough that a second run starts meanwhile however busy the machine is."""
    return slow.write({"src/Makefile": MAKEFILE.replace("0.3", "1.5")})


def test_two_runs_at_once_wait_for_one_another_and_do_the_work_once(slower: Sandbox) -> None:
    slow = slower
    first = slow.start("build", env=log(slow))
    wait_for(lambda: bool(compiled(slow)))
    second = slow.run("build", env=log(slow))
    _, err = first.communicate()

    assert (first.returncode, second.code) == (0, 0), err + second.said
    assert "waiting for another run" in second.err
    assert sorted(compiled(slow)) == [f"build-Make{number}" for number in range(COUNT)]
    assert "nothing to do" in second.out
    assert slow.build(env=log(slow)).steps == []


def test_eight_runs_started_together_lose_no_record(slow: Sandbox) -> None:
    runs = [slow.start("build", env=log(slow)) for _ in range(8)]
    said = [run.communicate() for run in runs]

    assert [run.returncode for run in runs] == [0] * 8, said
    assert len(compiled(slow)) == COUNT
    assert slow.build(env=log(slow)).steps == []


def test_a_run_that_waits_too_long_says_who_has_the_project(slower: Sandbox) -> None:
    slow = slower
    first = slow.start("build", env=log(slow))
    wait_for(lambda: bool(compiled(slow)))
    second = slow.run("build", "lock_timeout_seconds=0", env=log(slow))
    first.communicate()

    assert second.code != 0
    assert "LB506" in second.said
    assert str(first.pid) in second.said
    assert "Traceback" not in second.said


def test_forget_waits_for_a_run_that_is_going_on(slower: Sandbox) -> None:
    slow = slower
    first = slow.start("build", env=log(slow))
    wait_for(lambda: bool(compiled(slow)))
    assert slow.run("forget", "compile:Make0", env=log(slow)).code == 0
    first.communicate()

    assert first.returncode == 0
    assert slow.build(env=log(slow)).steps == ["compile:Make0"]


def test_processes_instead_of_threads_give_the_same(slow: Sandbox) -> None:
    ran = slow.run("run", "-n", "3", "-P", "process", env=log(slow), timeout=120)

    assert ran.code == 0, ran.said
    assert slow.build(env=log(slow)).steps == []


def test_a_tool_that_takes_too_long_is_stopped(slow: Sandbox) -> None:
    slow.write({"src/Makefile": "build-%:\n\tsleep 60\n"})
    began = time.monotonic()
    ran = slow.run("build", "tool_timeout_seconds=1", "Make0", env=log(slow))

    assert "LB503" in ran.said
    assert time.monotonic() - began < 30


def test_a_failing_function_does_not_stop_others_when_asked_to_continue(slow: Sandbox) -> None:
    slow.write({"src/Makefile": "build-Make0:\n\tfalse\n" + MAKEFILE})
    ran = slow.run("build", "--continue", env=log(slow))

    assert ran.code != 0
    assert "compile:Make0 failed" in ran.said
    assert "not run because of that: " in ran.said
    assert "zip:Make0" in ran.said
    assert len(slow.zips()) == COUNT - 1


def test_a_torn_journal_is_read_as_far_as_it_is_good(slow: Sandbox) -> None:
    slow.build(env=log(slow))
    journal = slow.path("build/.lambdabuild/journal")
    with journal.open("ab") as stream:
        stream.write(b'["zip:Make0", "_values_:", {"inp')

    assert slow.build(env=log(slow)).steps == []
    slow.run("forget", "zip:Make1")
    assert slow.build(env=log(slow)).steps == ["zip:Make1"]
    journal.write_bytes(os.urandom(100))
    assert slow.build(env=log(slow)).steps != []


def test_doit_in_a_users_own_dodo_file_takes_the_same_lock(slow: Sandbox) -> None:
    slow.run("init")
    runs = [
        subprocess.Popen([sys.executable, "-m", "doit"], cwd=slow.folder, env=slow.environment(log(slow)),
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]  # fmt: skip
    said = [run.communicate() for run in runs]

    assert [run.returncode for run in runs] == [0, 0, 0], said
    assert len(compiled(slow)) == COUNT
