"""What a run leaves that was killed or interrupted goes with it or with the next, and nothing that only looks like it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox import Sandbox

FUNCTIONS = "".join(
    f"""  F{number}:
    Type: AWS::Serverless::Function
    Properties: {{Runtime: python3.11, Handler: app.handler, CodeUri: src{number}}}
"""
    for number in range(3)
)
DEAD = "4194305"
"""No process has this number: it is above the kernel's limit."""


@pytest.fixture
def large(project: Sandbox) -> Sandbox:
    """Three functions that take a while to be zipped."""
    project.write({"template.yaml": "Transform: AWS::Serverless-2016-10-31\nResources:\n" + FUNCTIONS})
    for number in range(3):
        project.write({f"src{number}/app.py": "x = 1\n"})
        project.write({f"src{number}/{part}.bin": os.urandom(1_000_000) for part in range(40)})
    return project


def leftovers(project: Sandbox) -> list[str]:
    build = project.path("build")
    scratch = build / ".lambdabuild/tmp"
    found = [*build.rglob("*.tmp"), *(scratch.iterdir() if scratch.exists() else ())]
    return sorted(str(path.relative_to(build)) for path in found)


def stopped(project: Sandbox, number: int, when: Callable[[], bool]) -> subprocess.Popen[str]:
    """A build that was sent a signal once a condition held."""
    process = project.start("build", "-n", "3")
    until = time.monotonic() + 60
    while not when():
        assert time.monotonic() < until and process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.005)
    process.send_signal(number)
    process.communicate(timeout=60)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_takes_away_what_it_was_writing(number: int, large: Sandbox) -> None:
    ended = stopped(large, number, lambda: bool(list(large.path("build").glob("*.zip.*.tmp"))))

    assert ended.returncode != 0
    assert leftovers(large) == []


@pytest.mark.slow
def test_what_a_killed_run_was_writing_goes_with_the_next(large: Sandbox) -> None:
    stopped(large, signal.SIGKILL, lambda: bool(list(large.path("build").glob("*.zip.*.tmp"))))
    assert leftovers(large) != []
    ran = large.run("build", "F0")

    assert ran.code == 0, ran.said
    assert leftovers(large) == []


def small(project: Sandbox) -> Sandbox:
    project.write({"template.yaml": "Transform: AWS::Serverless-2016-10-31\nResources:\n" + FUNCTIONS})
    return project.write({f"src{number}/app.py": f"x = {number}\n" for number in range(3)})


def after_a_kill(project: Sandbox) -> None:
    """As a run leaves the lock that was killed."""
    project.path("build/.lambdabuild/lock").write_text(DEAD)


OURS = ("F0.zip.{}.7f01.tmp", "manifest.json.{}.7f01.tmp", "F1/app.py.{}.7f01.tmp", ".lambdabuild/out/copy/F1.json.{}.1.tmp",
        ".lambdabuild/steps/zip/F1.json.{}.7f01.tmp", ".lambdabuild/journal.{}.tmp", ".lambdabuild/stats.{}.tmp",
        ".lambdabuild/tmp/{}.abcd/x", ".lambdabuild/tmp/abcd/x")  # fmt: skip
THEIRS = ("notes.{}.7f01.tmp", "F0.zip.bak.{}.7f01.tmp", "sub/F0.zip.{}.7f01.tmp", "journal.{}.tmp", "tmp/x", "F9.zip.{}.1.tmp",
          "F0.zip.tmp")  # fmt: skip


def test_only_what_is_surely_ours_is_swept(project: Sandbox) -> None:
    small(project).build()
    project.write({f"build/{name.format(DEAD)}": "half" for name in OURS})
    project.write({f"build/{name.format(DEAD)}": "kept" for name in THEIRS})
    after_a_kill(project)
    project.append("src1/app.py", "# edited\n")
    project.build()

    assert [name for name in OURS if project.path(f"build/{name.format(DEAD)}").exists()] == []
    assert [name for name in THEIRS if not project.path(f"build/{name.format(DEAD)}").exists()] == []


def test_what_a_process_that_still_runs_is_writing_is_left_to_it(project: Sandbox) -> None:
    small(project).build()
    alive = [name.format(os.getpid()) for name in OURS[:1] + OURS[5:7]]
    project.write({f"build/{name}": "half" for name in alive})
    after_a_kill(project)
    project.append("src1/app.py", "# edited\n")
    project.build()

    assert [name for name in alive if not project.path(f"build/{name}").exists()] == []


def test_the_state_is_swept_at_every_run_whoever_left_it(project: Sandbox) -> None:
    """``why`` and ``list`` write there too, and hold no lock that would tell of their death."""
    small(project).build()
    left = [name.format(DEAD) for name in OURS[5:]]
    project.write({f"build/{name}": "half" for name in left})
    project.append("src1/app.py", "# edited\n")
    project.build()

    assert [name for name in left if project.path(f"build/{name}").exists()] == []


def test_the_machines_cache_is_swept_of_what_killed_processes_left(project: Sandbox, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    on = {"LAMBDABUILD_CACHE__ENABLED": "true", "LAMBDABUILD_CACHE__DIR": str(cache)}
    small(project).build(env=on)
    (cache / "tmp").mkdir(exist_ok=True)
    ours, alive = cache / f"tmp/{DEAD}.abcd1234.lambdabuild", cache / f"tmp/{os.getpid()}.abcd1234.lambdabuild"
    theirs = cache / "tmp/keep.txt"
    for path in (ours, alive, theirs):
        path.write_text("half")
        os.utime(path, (1, 1))
    project.append("src1/app.py", "# edited\n")
    project.build(env=on)

    assert sorted((cache / "tmp").iterdir()) == sorted([alive, theirs])
