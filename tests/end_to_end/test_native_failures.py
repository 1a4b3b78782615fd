"""What goes wrong with a container is told by a code and a way out, and leaves neither container nor half an artifact."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker_engine import SMALL_IMAGE, Engine
from sandbox import Sandbox

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Made:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: makefile}
    Properties: {Runtime: provided.al2023, Handler: bootstrap, CodeUri: src}
"""
SETTINGS = 'use_container = true\nimage = "{image}"\n[container]\nnetwork = "none"\n{more}\n'
GOOD = "build-Made:\n\techo made > $(ARTIFACTS_DIR)/bootstrap\n"
SLOW = "build-Made:\n\techo half > $(ARTIFACTS_DIR)/bootstrap\n\tsleep 300\n"


def made(project: Sandbox, image: str, makefile: str = GOOD, more: str = "") -> Sandbox:
    return project.write({
        "template.yaml": TEMPLATE, "lambdabuild.toml": SETTINGS.format(image=image, more=more), "src/Makefile": makefile,
    })  # fmt: skip


def left(project: Sandbox) -> list[str]:
    """What a build left that a person or a deployment could take for its result."""
    build = project.path("build")
    return [
        str(path)
        for pattern in ("*.zip", "*.json", "Made", ".lambdabuild/out/compile/*")
        for path in build.glob(pattern)
    ]


@pytest.fixture
def full_disk(engine: Engine, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "full"
    folder.mkdir()
    subprocess.run(engine.in_its_mounts("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder), check=True)
    yield folder
    subprocess.run(engine.in_its_mounts("umount", folder), check=True)


CASES = {
    "no engine": ("{base}", GOOD, "", {"DOCKER_HOST": "unix:///nowhere/docker.sock"}, ["LB801", "unix:///nowhere"]),
    "no image": ("nobody/nothing:1", GOOD, 'pull = "never"', {}, ["LB802", "nobody/nothing:1", "docker pull"]),
    "pull refused": ("127.0.0.1:9/nothing:1", GOOD, "", {}, ["LB802", "127.0.0.1:9/nothing:1", "docker login"]),
    "other processor": ("{base}", GOOD, 'platform = "linux/arm64"\npull = "never"', {}, ["LB802", "linux/arm64"]),
    "tool fails": ("{base}", "build-Made:\n\techo no such thing; exit 3\n", "", {}, ["LB502", "no such thing", "container: "]),
    "too slow": ("{base}", SLOW, "", {"LAMBDABUILD_TOOL_TIMEOUT_SECONDS": "2"}, ["LB503", "longer than 2 s", "container: "]),
    "tool missing": ("{base}", GOOD, "", {"LAMBDABUILD_COMMANDS__Made": "no-such-program"}, ["LB502", "no-such-program"]),
    "disk full": (
        "{base}", "build-Made:\n\thead -c 200000 /dev/zero > /full/file\n", 'mounts = ["{full}:/full:rw"]', {},
        ["LB502", "No space left on device", "make room"],
    ),
    "no such mount": ("{base}", GOOD, 'mounts = ["/no/where"]', {}, ["LB107", "/no/where"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_failure_says_what_and_how_to_mend_it(
    project: Sandbox, engine: Engine, base_image: str, full_disk: Path, case: str
) -> None:
    image, makefile, more, env, words = CASES[case]
    made(project, image.format(base=base_image), makefile, more.format(full=full_disk))

    ran = project.run("build", env={**engine.environment, **env})

    assert ran.code != 0
    assert [word for word in words if word not in ran.said] == [], ran.said
    assert "Traceback" not in ran.said
    assert "help:" in ran.said
    assert engine.containers(project.folder) == []
    assert left(project) == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_run_that_is_ended_takes_its_container_along(
    project: Sandbox, engine: Engine, base_image: str, name: str
) -> None:
    made(project, base_image, SLOW)
    run = project.start("build", env=engine.environment)
    wait_until(lambda: engine.containers(project.folder))
    wait_until(lambda: list(project.path("build").rglob("bootstrap")))

    run.send_signal(getattr(signal, name))
    _, said = run.communicate(timeout=30)

    wait_until(lambda: not engine.containers(project.folder))
    assert left(project) == []
    assert "Traceback" not in said
    made(project, base_image, GOOD)
    project.build(env=engine.environment)
    assert project.content("Made", "bootstrap") == b"made\n"


def test_an_engine_that_dies_in_mid_build_is_told(project: Sandbox, own_engine: Engine) -> None:
    made(project, SMALL_IMAGE, SLOW)
    run = project.start("build", env=own_engine.environment)
    wait_until(lambda: list(project.path("build").rglob("bootstrap")))

    own_engine.kill()
    out, said = run.communicate(timeout=30)

    assert run.returncode == 1
    assert "LB804" in out + said
    assert "went away" in out + said
    assert left(project) == []
    made(project, SMALL_IMAGE, GOOD)
    wait_until(own_engine.answers)
    project.build(env=own_engine.environment)
    assert own_engine.containers(project.folder) == []


def wait_until(true: object, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)
