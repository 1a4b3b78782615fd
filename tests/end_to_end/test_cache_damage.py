"""Whatever happens to a cache (bytes flipped, files cut or gone, 8 processes killed at random), builds end right."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cache_servers import corrupted, nginx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandbox import Sandbox

pytestmark = pytest.mark.slow

HEAD = "Transform: AWS::Serverless-2016-10-31\nResources:\n"
FUNCTION = """\
  Make{0}:
    Type: AWS::Serverless::Function
    Metadata: {{BuildMethod: makefile}}
    Properties: {{Runtime: python3.11, Handler: app.handler, CodeUri: made{0}}}
"""
MAKEFILE = """\
build-Make%:
	cp app.py data.bin "$(ARTIFACTS_DIR)"
"""
PACKED = """\
  Packed:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.11, Handler: app.handler, CodeUri: packed}
"""


def service(folder: Path, numbers: range, *, packed: bool = False) -> Sandbox:
    """Functions that a Makefile makes, each with 40 kB of its own; equal numbers are equal in every service."""
    files: dict[str, str | bytes] = {
        "template.yaml": HEAD + "".join(FUNCTION.format(n) for n in numbers) + (PACKED if packed else "")
    }
    for number in numbers:
        files |= {f"made{number}/Makefile": MAKEFILE, f"made{number}/app.py": f"x = {number}\n",
                  f"made{number}/data.bin": random.Random(number).randbytes(40_000)}  # fmt: skip
    if packed:
        files |= {"packed/app.py": "import idna\n", "packed/requirements.txt": "idna==3.10\n"}
    return Sandbox(folder).write(files)


def again(app: Sandbox) -> Sandbox:
    """As a fresh clone: nothing was built here."""
    shutil.rmtree(app.path("build"), ignore_errors=True)
    return app


@pytest.fixture(scope="module", params=["folder", "nginx"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Sandbox, dict[str, str], Path]]:
    """A project that was built, its settings, and where the entries of its cache lie as files."""
    top = tmp_path_factory.mktemp("damage")
    app = service(top / "project", range(1), packed=True)
    common = {"LAMBDABUILD_CACHE__ENABLED": "true", "XDG_CACHE_HOME": str(top / "home")}
    if request.param == "folder":
        app.build(env=common)
        yield app, common, top / "home/lambdabuild/cache"
        return
    with nginx(top / "nginx") as address:
        common |= {"LAMBDABUILD_CACHE__REMOTES": address}
        app.build(env=common)
        yield app, common, top / "nginx/root"


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    damage=st.lists(
        st.tuples(st.integers(0, 10_000), st.sampled_from(["flip", "cut", "delete"])), min_size=1, max_size=6
    )
)
def test_any_damage_ends_in_a_right_build_and_is_mended(
    place: tuple[Sandbox, dict[str, str], Path], damage: list[tuple[int, str]]
) -> None:
    app, env, files = place
    right = app.zips()
    for number, how in damage:
        entries = sorted(path for kind in ("ac", "cas") for path in (files / kind).rglob("?" * 64))
        corrupted(entries[number % len(entries)], how)
    home = Path(env["XDG_CACHE_HOME"])
    for _ in range(3):  # what one run has no need to read the next may find
        if files.name == "root":
            shutil.rmtree(home)  # all that is left is what the server has
        ran = again(app).build(env=env)
        assert app.zips() == right
        assert len(ran.summary["warnings"]) <= 1, ran.err
        assert all("LB621" in warning for warning in ran.summary["warnings"])
    assert ran.summary["warnings"] == []
    assert not [step for step in ran.steps if step.startswith(("resolve", "compile", "copy"))]


def test_eight_processes_on_one_folder_killed_at_random_leave_nothing_wrong(tmp_path: Path) -> None:
    chance = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID", "here"))
    env = {
        "LAMBDABUILD_CACHE__ENABLED": "true",
        "XDG_CACHE_HOME": str(tmp_path / "home"),
        "LAMBDABUILD_CACHE__MAX_SIZE": "700 KB",
    }
    apps = [service(tmp_path / f"p{number}", range(number // 2, number // 2 + 4)) for number in range(8)]
    until = time.monotonic() + 8
    runs = {app: app.start("build", env=env) for app in apps}
    while time.monotonic() < until:
        app = chance.choice(apps)
        if runs[app].poll() is None:
            runs[app].send_signal(signal.SIGKILL)
        runs[app].communicate()
        runs[app] = again(app).start("build", env=env)
        time.sleep(chance.uniform(0.05, 0.5))
    for run in runs.values():
        out, err = run.communicate(timeout=120)
        assert run.returncode == 0, out + err
        assert "warning" not in err

    alone = service(tmp_path / "alone", range(7))
    alone.build()
    right = alone.zips()
    for app in apps:
        began = time.monotonic()
        again(app).build(env=env)
        assert time.monotonic() - began < 60  # nobody waits for a lock that was left behind
        assert app.zips() == {name: right[name] for name in app.zips()}
        assert len(app.zips()) == 4
    assert alone.run("cache", "verify", env=env).code == 0
    held = list((tmp_path / "home/lambdabuild/cache").rglob("*"))
    assert sum(path.stat().st_size for path in held if path.is_file()) < 1_500_000
