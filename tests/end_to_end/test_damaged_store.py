"""Whatever is wrong in the machine's store and caches, no artifact is: it is fetched again, with a warning."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from made_wheels import make_wheel
from sandbox import Sandbox

from lambdabuild.core.atomic import remove

RUNS = int(os.environ.get("LAMBDABUILD_DAMAGED_RUNS", "5"))
DAMAGES = 10
"""How many files are damaged before each run."""
TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.12, Handler: app.handler, CodeUri: src}
  Refunds:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.12, Handler: app.handler, CodeUri: other}
"""
NAMES = ("alpha", "beta", "gamma")


def locked(folder: Path, names: tuple[str, ...] = NAMES) -> str:
    """A requirements file that names wheels next to it, each by its hash."""
    wheels = [make_wheel(folder / "wheels", name) for name in names]
    lines = [f"{one.name.split('-')[0]}==1.0 --hash=sha256:{digest(one)}\n" for one in wheels]
    return "--no-index\n--find-links ../wheels\n" + "".join(lines)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def service(folder: Path) -> Sandbox:
    app = Sandbox(folder)
    handler = "import alpha\ndef handler(event, context): return alpha.VERSION\n"
    return app.write({
        "template.yaml": TEMPLATE, "src/app.py": handler, "src/requirements.txt": locked(folder),
        "other/app.py": handler, "other/requirements.txt": locked(folder, NAMES[:2]),
    })  # fmt: skip


def zips(app: Sandbox) -> dict[str, str]:
    return {path.name: digest(path) for path in sorted(app.path("build").glob("*.zip"))}


def in_store(home: Path, name: str) -> Path:
    return next((home / "lambdabuild/wheels").glob(f"*/{name}-*.whl"))


def rewrite(path: Path, data: bytes) -> None:
    """Other bytes in a file that may be read-only; its time stays."""
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.chmod(0o644)
    path.write_bytes(data)
    os.utime(path, ns=times)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project that was built, its home, and a copy of both."""
    top = tmp_path_factory.mktemp("damaged")
    service(top / "now/app").build(env=own(top / "now/home"))
    shutil.copytree(top / "now", top / "then", symlinks=True)
    return top


@pytest.fixture
def home(built: Path) -> Path:
    return built / "now/home"


@pytest.fixture
def app(built: Path) -> Sandbox:
    """The project as it was built, with a home of its own."""
    shutil.rmtree(built / "now")
    shutil.copytree(built / "then", built / "now", symlinks=True)
    return Sandbox(built / "now/app")


def own(home: Path, *, cache: bool = False) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(home), "LAMBDABUILD_CACHE__ENABLED": str(cache).lower()}


def flipped(data: bytes) -> bytes:
    return data[:40] + bytes([data[40] ^ 4]) + data[41:]


def another_code(data: bytes) -> bytes:
    """A whole wheel of the same size, with other code."""
    return data.replace(b"alpha", b"alphb")


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "flipped": flipped, "cut": lambda data: data[:-7], "emptied": lambda data: b"", "other code": another_code,
}  # fmt: skip


@pytest.mark.parametrize("how", DAMAGE)
def test_a_wheel_that_is_not_what_the_lock_promises_is_fetched_again(app: Sandbox, home: Path, how: str) -> None:
    expected, wheel = zips(app), in_store(home, "alpha")
    good = wheel.read_bytes()
    rewrite(wheel, DAMAGE[how](good))
    shutil.rmtree(app.path("build"))
    ran = app.build(env=own(home))

    assert zips(app) == expected
    assert wheel.read_bytes() == good
    assert [("LB621" in text, str(wheel) in text) for text in ran.summary["warnings"]] == [(True, True)]
    assert app.build(env=own(home)).summary["warnings"] == []


@pytest.mark.parametrize("how", ["flipped", "other code"])
def test_a_wheel_that_broke_between_two_runs_is_fetched_again_when_it_is_read(
    app: Sandbox, home: Path, how: str
) -> None:
    wheel = in_store(home, "alpha")
    rewrite(wheel, DAMAGE[how](wheel.read_bytes()))
    for name in ("Orders", "Refunds"):
        app.path(f"build/{name}.zip").unlink()
        shutil.rmtree(app.path(f"build/{name}"))
    before = json.loads((app.path("build/manifest.json")).read_text())
    ran = app.build(env=own(home))

    assert len(ran.summary["warnings"]) == 1
    assert {one["sha256"] for one in before["functions"].values()} == set(zips(app).values())
    assert app.path("build/Orders/alpha.py").read_text() == "VERSION = '1.0'\n"


def test_offline_a_broken_wheel_is_an_error_and_no_artifact(app: Sandbox, home: Path) -> None:
    index = home.parent / "app/wheels"
    wheel = in_store(home, "beta")
    rewrite(wheel, flipped(wheel.read_bytes()))
    shutil.rmtree(app.path("build"))
    shutil.rmtree(index)
    ran = app.run("build", "--offline", env=own(home))

    assert ran.code != 0
    assert "Traceback" not in ran.said
    assert not list(app.path("build").glob("*.zip"))


def test_wheels_that_changed_places_are_both_fetched_again(app: Sandbox, home: Path) -> None:
    expected, one, two = zips(app), in_store(home, "alpha"), in_store(home, "beta")
    data = one.read_bytes(), two.read_bytes()
    rewrite(one, data[1])
    rewrite(two, data[0])
    shutil.rmtree(app.path("build"))
    ran = app.build(env=own(home))

    assert zips(app) == expected
    assert len(ran.summary["warnings"]) == 2


def test_an_index_of_a_folder_that_ci_brought_back_is_not_believed(app: Sandbox, home: Path) -> None:
    expected = zips(app)
    shutil.copytree(home, home.parent / "brought-back", symlinks=True)
    shutil.rmtree(home)
    shutil.copytree(home.parent / "brought-back", home, symlinks=True)  # other inodes, other change times
    index = Path(f"{in_store(home, 'alpha')}.index")
    text = index.read_text().partition("\n")[2].replace("alpha.py", "alphb.py")
    index.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}")
    shutil.rmtree(app.path("build"))
    app.build(env=own(home))

    assert zips(app) == expected


def test_a_file_without_symbols_that_broke_is_made_again(tmp_path: Path, home: Path) -> None:
    app = Sandbox(tmp_path / "app").write({
        "template.yaml": TEMPLATE.partition("  Refunds")[0], "lambdabuild.toml": "strip = true\n",
        "src/app.py": "def handler(event, context): return 1\n", "src/requirements.txt": "markupsafe==3.0.2\n",
    })  # fmt: skip
    app.build(env=own(home))
    expected = zips(app)
    (kept,) = (path for path in (home / "lambdabuild/stripped").rglob("*") if path.is_file())
    for again in (lambda: None, lambda: shutil.rmtree(app.path("build"))):
        rewrite(kept, flipped(kept.read_bytes()))
        again()
        app.path("build/Orders.zip").unlink(missing_ok=True)
        shutil.rmtree(app.path("build/.lambdabuild/out/zip"), ignore_errors=True)
        ran = app.build(env=own(home))

        assert zips(app) == expected
        assert len(ran.summary["warnings"]) == 1


def test_cache_verify_looks_everywhere(app: Sandbox, home: Path) -> None:
    def said(code: int) -> dict[str, object]:
        ran = app.run("cache", "verify", "--format", "json", env=own(home))
        assert ran.code == code, ran.said
        return json.loads(ran.out)

    assert said(0)["broken"] == []
    wheel = in_store(home, "alpha")
    rewrite(wheel, flipped(wheel.read_bytes()))
    tool = home / "lambdabuild/tools/pnpm-1.0" / ("0" * 64) / "bin/pnpm"
    built = home / "lambdabuild/built" / ("1" * 64) / ("2" * 64) / "x-1.0-cp312-cp312-linux_x86_64.whl"
    stripped = home / "lambdabuild/stripped/tool" / ("3" * 64) / ("4" * 64)
    (sent,) = app.path("build/.store").glob(f"{app.manifest['functions']['Orders']['sha256']}*")
    for path in (tool, built, stripped, sent):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text("what nobody promised")
    broken = said(1)["broken"]

    store = home / "lambdabuild"
    expected = [wheel, tool.parent.parent, built, stripped]
    assert broken == sorted([*(str(path.relative_to(store)) for path in expected), f"build/.store/{sent.name}"])
    assert not any(path.exists() for path in (*expected, sent))
    assert said(0)["broken"] == []
    app.build(env=own(home))
    assert sent.exists()


# every file of the machine's store and caches


def damaged(chosen: random.Random, files: list[Path]) -> tuple[Path, str]:
    """Damage a file, or swap it with another; which, and how."""
    path, how = chosen.choice(files), chosen.choice(["flip", "cut", "empty", "swap", "random"])
    data = path.read_bytes()
    if how == "swap":
        other = chosen.choice(files)
        rewrite(path, other.read_bytes())
        rewrite(other, data)
    elif how == "flip" and data:
        at = chosen.randrange(len(data))
        rewrite(path, data[:at] + bytes([data[at] ^ (1 << chosen.randrange(8))]) + data[at + 1 :])
    elif how == "random":
        rewrite(path, chosen.randbytes(len(data)))
    else:
        rewrite(path, data[: chosen.randrange(len(data)) if data and how == "cut" else 0])
    return path, how


@pytest.mark.slow
def test_no_damage_to_the_store_and_the_caches_gives_a_wrong_artifact(tmp_path: Path) -> None:
    app, home = service(tmp_path / "app"), tmp_path / "home"
    app.build(env=own(home, cache=True))
    expected, told = zips(app), 0
    shutil.copytree(app.folder / "build", tmp_path / "built", symlinks=True)
    shutil.copytree(home / "lambdabuild", tmp_path / "store")
    for seed in range(RUNS):
        chosen = random.Random(seed)
        shutil.rmtree(home / "lambdabuild")
        shutil.copytree(tmp_path / "store", home / "lambdabuild")
        shutil.rmtree(app.path("build"))
        if not (is_fresh := chosen.random() < 0.6):
            shutil.copytree(tmp_path / "built", app.path("build"), symlinks=True)
            for name in ("Orders.zip", "Refunds"):
                remove(str(app.path(f"build/{name}")))
        places = [home / "lambdabuild", app.path("build/.store")]
        files = sorted(path for place in places for path in place.rglob("*") if path.is_file() and path.stat().st_size)
        done = [damaged(chosen, files) for _ in range(DAMAGES)]
        ran = app.run("build", "--format", "json", env=own(home, cache=chosen.random() < 0.5))

        about = f"seed {seed}, {'fresh' if is_fresh else 'kept'}: {done}, ended with {ran.code}: {ran.err}"
        assert ran.code == 0, about
        assert zips(app) == expected, about
        assert app.path("build/Orders/alpha.py").read_text() == "VERSION = '1.0'\n", about
        for name in ("Orders", "Refunds"):
            sent = app.path("build") / app.manifest["functions"][name]["location"]
            assert digest(sent) == app.manifest["functions"][name]["sha256"], about
        told += bool(ran.summary["warnings"])
    assert told
