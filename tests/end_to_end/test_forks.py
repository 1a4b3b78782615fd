"""Many small functions are built by forks: the same bytes, words and states as without them, whatever happens."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sandbox import Ran, Sandbox

COUNT, FILES = 40, 25
ONE, TWO = {"LAMBDABUILD_JOBS": "1"}, {"LAMBDABUILD_JOBS": "2"}
HEAD = "Transform: AWS::Serverless-2016-10-31\nGlobals:\n  Function: {Runtime: python3.11, Handler: app.handler}\n"
KEY = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7" * 3 + "\n"

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor: nothing forks")


@pytest.fixture
def many(tmp_path: Path) -> Sandbox:
    functions = "".join(
        f"  F{number:02}:\n    Type: AWS::Serverless::Function\n    Properties: {{CodeUri: src/f{number:02}}}\n"
        for number in range(COUNT)
    )
    files = {
        f"src/f{number:02}/{'app' if file == 0 else f'm{file}'}.py": f"# {number} {file}\n" * (file + 1)
        for number in range(COUNT)
        for file in range(FILES)
    }
    return Sandbox(tmp_path / "app").write({"template.yaml": f"{HEAD}Resources:\n{functions}", **files})


def forks(process: int) -> list[int]:
    """The processes that a process has started."""
    text = "".join(path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children"))
    return [int(number) for number in text.split()]


def wait_for_forks(process: subprocess.Popen[str]) -> list[int]:
    until = time.monotonic() + 30
    while len(found := forks(process.pid)) < 2:
        assert time.monotonic() < until and process.poll() is None, "it did not fork"
        time.sleep(0.001)
    return found


def is_running(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def cleaned(project: Sandbox) -> Sandbox:
    shutil.rmtree(project.path("build"), ignore_errors=True)
    return project


def receipts(project: Sandbox) -> dict[str, dict]:
    found = project.path("build/.lambdabuild/steps").rglob("*.json")
    return {str(path.relative_to(project.folder)): json.loads(path.read_text()) for path in found}


def events(ran: Ran) -> list[tuple[str, str]]:
    return sorted((event["event"], event.get("task", "")) for event in ran.events)


@pytest.fixture
def undisturbed(many: Sandbox) -> dict[str, bytes]:
    many.build(env=ONE)
    zips = many.zips()
    cleaned(many)
    return zips


def test_a_run_of_many_forks_and_leaves_what_one_process_leaves(many: Sandbox) -> None:
    one = many.build(env=ONE)
    zips, manifest, made = many.zips(), many.manifest, receipts(many)
    process = cleaned(many).start("build", "--format", "json", env=TWO)
    wait_for_forks(process)
    out, err = process.communicate()
    two = Ran(process.returncode, out, err)

    assert (two.code, err) == (0, "")
    assert many.zips() == zips and len(zips) == COUNT
    assert many.manifest == manifest
    assert receipts(many) == made
    assert events(two) == events(one)
    assert sorted(path.name for path in many.path("build/F07").iterdir()) == sorted(many.names("F07"))
    assert many.run("build", env=TWO).out == f"nothing to do: {COUNT} functions up to date\n"
    assert many.build("-a", env=TWO).steps == two.steps
    assert many.zips() == zips


def test_what_is_edited_is_built_and_nothing_else(many: Sandbox) -> None:
    many.build(env=TWO)
    many.append("src/f03/m4.py", "x = 3\n")
    assert many.build(env=TWO).steps == [
        "copy:F03", "hash:F03", "template", "tree:F03", "upload:F03", "zip:F03",
    ]  # fmt: skip
    assert b"x = 3" in many.content("F03", "m4.py")


def test_many_that_were_edited_are_built_by_forks(many: Sandbox) -> None:
    many.build(env=TWO)
    for number in range(COUNT):
        many.path(f"src/f{number:02}/m4.py").touch()  # the content is what counts
    assert many.build(env=TWO).steps == []
    for number in range(30):
        many.append(f"src/f{number:02}/m4.py", "x = 3\n")
    process = many.start("build", "--format", "json", env=TWO)
    wait_for_forks(process)
    ran = Ran(0, process.communicate()[0], "")

    assert [step for step in ran.steps if step.startswith("copy:")] == [f"copy:F{n:02}" for n in range(30)]
    assert [step for step in ran.steps if step.startswith("zip:")] == [f"zip:F{n:02}" for n in range(30)]
    assert b"x = 3" in many.content("F29", "m4.py")
    assert many.run("build", env=TWO).out == f"nothing to do: {COUNT} functions up to date\n"


def test_a_mistake_is_told_once_and_what_is_whole_is_built(many: Sandbox) -> None:
    many.path("src/f05/gone.py").symlink_to("nowhere")
    one = many.run("build", "--continue", "--format", "json", env=ONE)
    two = cleaned(many).run("build", "--continue", "--format", "json", env=TWO)

    assert two.code == one.code != 0
    assert events(two) == events(one)
    assert [event["error"] for event in two.events if event["event"] == "fail"] == [
        event["error"] for event in one.events if event["event"] == "fail"
    ]
    assert len(many.zips()) == COUNT - 1
    assert cleaned(many).run("build", "--continue", env=TWO).err.count("LB405") == 1


def test_a_warning_is_in_the_summary_as_without_forks(many: Sandbox) -> None:
    many.write({"src/f09/access.txt": KEY})
    one = many.run("build", env=ONE)
    two = cleaned(many).run("build", env=TWO)
    assert [line for line in two.out.splitlines() if line.startswith("warning:")] == [
        line for line in one.out.splitlines() if line.startswith("warning:")
    ]
    assert two.out.count("access.txt goes into the artifact and holds a private key") == 1


@pytest.mark.parametrize("count", [1, 2])
def test_forks_that_are_killed_are_done_without(count: int, many: Sandbox, undisturbed: dict[str, bytes]) -> None:
    process = many.start("build", "--format", "json", env=TWO)
    for fork in wait_for_forks(process)[:count]:
        os.kill(fork, signal.SIGKILL)
    out, err = process.communicate()

    assert process.returncode == 0, out + err
    assert many.zips() == undisturbed
    assert many.build(env=TWO).steps == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.1])
def test_a_run_that_ends_early_leaves_no_fork_and_is_resumed(
    number: signal.Signals, seconds: float, many: Sandbox, undisturbed: dict[str, bytes]
) -> None:
    process = many.start("build", env=TWO)
    begun = wait_for_forks(process)
    time.sleep(seconds)
    process.send_signal(number)
    process.communicate()
    until = time.monotonic() + 20
    while any(map(is_running, begun)):
        assert time.monotonic() < until, "a fork goes on"
        time.sleep(0.01)

    many.build(env=TWO)
    assert many.zips() == undisturbed
    assert not list(many.path("build").rglob("*.tmp"))
    assert many.run("build", env=TWO).out == f"nothing to do: {COUNT} functions up to date\n"


def test_a_terminal_interrupts_forks_with_the_run(many: Sandbox, undisturbed: dict[str, bytes]) -> None:
    """Ctrl-C goes to every process of the group."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lambdabuild", "build"],
        cwd=many.folder,
        env=many.environment(TWO),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for_forks(process)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate()
    assert "Traceback" not in out + err
    many.build(env=TWO)
    assert many.zips() == undisturbed


def test_the_cache_of_steps_accounts_for_what_forks_put_there(many: Sandbox, tmp_path: Path) -> None:
    cache = tmp_path / "steps"
    env = {**TWO, "LAMBDABUILD_CACHE__ENABLED": "true", "LAMBDABUILD_CACHE__DIR": str(cache)}
    ran = many.build(env=env)
    zips = many.zips()
    files = [path for kind in ("ac", "cas") for path in (cache / kind).rglob("*") if path.is_file()]
    assert len(files) >= 3 * COUNT
    assert int((cache / "size").read_text()) == sum(path.stat().st_size for path in files)

    again = cleaned(many).build(env=env)
    assert many.zips() == zips
    restored = {event["task"] for event in again.events if event["event"] == "restored"}
    assert restored == {step for step in ran.steps if step.startswith(("copy:", "zip:"))}


def test_doit_may_fork_by_itself(many: Sandbox, undisturbed: dict[str, bytes]) -> None:
    many.write(
        {"dodo.py": "from lambdabuild.project import doit_project\n\nglobals().update(doit_project(__file__))\n"}
    )
    ran = many.command([sys.executable, "-m", "doit", "-n", "2", "-P", "process"])
    assert ran.code == 0, ran.said
    assert many.zips() == undisturbed
