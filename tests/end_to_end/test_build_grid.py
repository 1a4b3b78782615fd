"""Steps that are run by BuildGrid, whose queue is in PostgreSQL, leave what they would leave here."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from build_grid import Grid, build_grid
from engines import SENT, until
from sandbox import Sandbox, sample_app

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Made:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: makefile}
    Properties: {Runtime: python3.11, Handler: app.handler, CodeUri: made}
"""


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    with build_grid(tmp_path_factory.mktemp("build") / "grid") as made:
        yield made


@pytest.fixture
def slow(tmp_path: Path) -> Callable[[int], Sandbox]:
    """An app that sleeps while it is made. It is of this test alone: BuildGrid remembers what it made before."""

    def make(seconds: int) -> Sandbox:
        makefile = f'build-Made:\n\tsleep {seconds}\n\tcp app.py "$(ARTIFACTS_DIR)"\n'
        files = {"template.yaml": TEMPLATE, "made/Makefile": makefile, "made/app.py": f"test = {tmp_path.name!r}\n"}
        return Sandbox(tmp_path / "app").write(files)

    return make


def ends_on(grid: Grid, build: subprocess.Popen[str]) -> None:
    """The build ends right, made by the engine, and there is nothing to tell of it."""
    out, _ = build.communicate(timeout=120)
    events = [json.loads(line) for line in out.splitlines()]
    assert build.returncode == 0, out
    assert [event["task"] for event in events if event.get("executor") == grid.address] == ["compile:Made"]
    assert events[-1]["warnings"] == []


@pytest.mark.slow
def test_the_sample_app_is_made_on_build_grid_to_the_same_bytes(grid: Grid, tmp_path: Path) -> None:
    there, here = (sample_app(tmp_path / name) for name in ("there", "here"))
    env = {**grid.environment, "LAMBDABUILD_EXECUTOR__STEPS": "compile,zip"}
    sent = there.build(*SENT, env=env)
    here.build(*SENT)

    assert sent.summary["warnings"] == []
    on_grid = sorted(event["task"] for event in sent.events if event.get("executor") == grid.address)
    assert on_grid == [f"{kind}:{name}" for kind in ("compile", "zip") for name in SENT], sent.events
    assert there.zips() == here.zips() and there.zips().keys() >= {f"{name}.zip" for name in SENT}
    assert there.build(*SENT, env=env).steps == []


def test_what_a_dead_worker_had_is_given_to_another(grid: Grid, slow: Callable[[int], Sandbox]) -> None:
    build = slow(3).start("build", "--format", "json", env=grid.environment)
    [worker] = until(lambda: grid.running("sleep"), 60)
    grid.kill(worker)
    grid.hire(1)
    [other] = until(lambda: grid.running("sleep"), 60)

    assert other != worker
    ends_on(grid, build)


def test_a_server_that_is_started_anew_knows_what_it_was_asked(grid: Grid, slow: Callable[[int], Sandbox]) -> None:
    build = slow(3).start("build", "--format", "json", env=grid.environment)
    until(lambda: grid.running("sleep"), 60)
    grid.stop()
    time.sleep(1)
    grid.start()

    ends_on(grid, build)


def test_what_is_interrupted_does_not_go_on_elsewhere(grid: Grid, slow: Callable[[int], Sandbox]) -> None:
    build = slow(300).start("build", env=grid.environment)
    until(lambda: grid.running("sleep"), 60)
    build.send_signal(signal.SIGINT)
    build.communicate(timeout=30)

    until(lambda: not grid.running("sleep"), 30)
