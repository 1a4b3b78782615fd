"""A Docker engine of the tests' own, with an image that has Python, Node.js and compilers.

``DOCKER_HOST`` names an engine to use instead, when it answers. Else root starts one that all workers of the test run
share; it ends with the process that runs the tests, however that ends. Containers have the host's network or none, and
no firewall rule is touched.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import base_image as base
import docker
import pytest
from filelock import FileLock

IMAGE, SMALL_IMAGE = "lambdabuild-tests/base:latest", "lambdabuild-tests/small:latest"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lambdabuild-tests"
START_SECONDS = 30
DRIVERS = ((), ("--storage-driver", "vfs"))
"""What the engine likes best, then what works everywhere, in a container too whose files are an overlay already."""
KEEPER = """
import os, select, shutil, signal, subprocess, sys, time
tests, folder, *command = sys.argv[1:]
signal.signal(signal.SIGINT, signal.SIG_IGN)
asked, ask = os.pipe()
signal.signal(signal.SIGTERM, lambda *_: os.write(ask, b"!"))
tests, ended = os.pidfd_open(int(tests)), []
while not ended:
    with open(os.path.join(folder, "log"), "ab") as log:
        engine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    begun, alive = time.monotonic(), os.pidfd_open(engine.pid)
    ended = [which for which in select.select([asked, tests, alive], [], [])[0] if which != alive]
    if engine.poll() is not None and time.monotonic() - begun < 1: break
if engine.poll() is None:
    engine.terminate()
    try: engine.wait(20)
    except subprocess.TimeoutExpired: engine.kill()
mounts = [line.split()[1] for line in open("/proc/mounts") if line.split()[1].startswith(folder)]
if mounts: subprocess.run(["umount", "--recursive", "--lazy", *mounts], stderr=subprocess.DEVNULL)
shutil.rmtree(folder, ignore_errors=True)
if os.path.exists(folder + ".lock"): os.unlink(folder + ".lock")
"""
"""Starts the engine again when it dies, as a machine's init does, until the tests end; then nothing is left."""
OWN_MOUNTS = ("unshare", "--mount", "--propagation", "slave")
"""What an engine mounts is for itself alone: bubblewrap, which mounts again whatever it sees, fails over a mount that
is gone by then."""
KEEPERS: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Engine:
    """A running engine. ``folder`` is "" for one that was there."""

    host: str
    folder: str = ""

    @property
    def environment(self) -> dict[str, str]:
        return {"DOCKER_HOST": self.host}

    def answers(self) -> bool:
        if self.folder and not _listens(f"{self.folder}/docker.sock"):
            return False
        try:
            with self.client() as client:
                return bool(client.ping())
        except (docker.errors.DockerException, OSError):
            return False

    def client(self) -> Any:
        return closing(docker.DockerClient(base_url=self.host, timeout=60))

    def containers(self, project: Path) -> list[str]:
        """The names of all containers of a project, ended ones too."""
        with self.client() as client:
            found = client.api.containers(all=True, filters={"label": "lambdabuild.project"})
        return [item["Names"][0] for item in found if _is_of(item["Labels"], project)]

    def run(self, image: str, *command: str, folder: Path | None = None) -> str:
        """What a command prints in a new container that is gone afterwards; ``folder`` is there under its own path."""
        mounts = [docker.types.Mount(str(folder), str(folder), type="bind", read_only=True)] if folder else []
        with self.client() as client:
            said = client.containers.run(
                image, list(command), mounts=mounts, network_mode="none", remove=True, working_dir=str(folder or "/")
            )
        return str(said.decode())

    @contextmanager
    def started(self, project: Path) -> Iterator[list[str]]:
        """The names of all containers of a project that are started meanwhile."""
        found: list[str] = []
        with self.client() as client:
            since = client.info()["SystemTime"]
            yield found
            until = client.info()["SystemTime"]
            events = client.events(
                since=_seconds(since), until=_seconds(until), decode=True, filters={"event": "start"}
            )
            about = [event["Actor"]["Attributes"] for event in events]
            found += [one["name"] for one in about if _is_of(one, project)]

    def in_its_mounts(self, *command: str | Path) -> list[str | Path]:
        """Return a command that mounts something where the engine sees it."""
        return [*(["nsenter", "--mount", "--target", str(self._pid())] if self.folder else []), *command]

    def _pid(self) -> int:
        return int(Path(self.folder, "pid").read_text())

    def kill(self) -> None:
        """End the engine as a crash would. It is started again."""
        os.kill(self._pid(), signal.SIGKILL)


def _is_of(labels: dict[str, str], project: Path) -> bool:
    return labels.get("lambdabuild.project", "").endswith(f":{project}")


def _seconds(time: str) -> str:
    """``2026-01-02T03:04:05.678901234Z`` as the engine's events want it."""
    whole, _, fraction = time.rstrip("Z").partition(".")
    return f"{int(datetime.fromisoformat(whole + '+00:00').timestamp())}.{fraction or 0}"


def start(folder: Path, tests: int, image: str = IMAGE) -> Engine:
    """An engine in a folder, which is removed when the process ``tests`` has ended."""
    found = Engine(f"unix://{folder}/docker.sock", str(folder))
    for driver in DRIVERS:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        command = ["dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false", *driver]
        command += ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
        command += ["--host", found.host, "--group", "root"]
        keeper = subprocess.Popen(
            [*OWN_MOUNTS, sys.executable, "-I", "-c", KEEPER, str(tests), str(folder), *command], start_new_session=True
        )
        KEEPERS.append(keeper)
        if _answers_soon(found, keeper) and _has_image(found, image):
            return found
        log = [line for line in Path(folder, "log").read_text().splitlines() if "level=info" not in line][-9:]
        keeper.terminate()
        keeper.wait()
    pytest.fail("no Docker engine can be started:\n" + "\n".join(log))


def _answers_soon(engine: Engine, keeper: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and keeper.poll() is None:
        if engine.answers():
            return True
        time.sleep(0.05)
    return False


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as one:
        return one.connect_ex(path) == 0


def _has_image(engine: Engine, image: str = IMAGE) -> bool:
    """Make an image unless it is there; the tar of its files is kept from run to run."""
    contents = base.WHOLE if image == IMAGE else base.SMALL
    tar = CACHE / f"{contents.name}-{contents.identity()}.tar"
    with engine.client() as client:
        try:
            if client.images.get(image).labels.get("made.of") == tar.stem:
                return True
        except docker.errors.ImageNotFound:
            pass
        with open(_made(tar, contents), "rb") as stream:
            changes = [f"ENV PATH={base.PATH}", f"LABEL made.of={tar.stem}", 'CMD ["/bin/sh"]']
            repository, tag = image.split(":")
            try:
                client.api.import_image_from_data(stream, repository=repository, tag=tag, changes=changes)
                client.containers.run(image, ["true"], network_mode="none", remove=True)
            except docker.errors.APIError as error:
                with open(os.path.join(engine.folder or CACHE, "log"), "a", encoding="utf-8") as log:
                    log.write(f"{error}\n")
                return False
    return True


def _made(tar: Path, contents: base.Contents) -> Path:
    if not tar.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        for old in CACHE.glob(f"{contents.name}-*.tar"):
            old.unlink()
        with tempfile.NamedTemporaryFile(dir=CACHE, delete=False) as stream:
            contents.write(stream)
        os.replace(stream.name, tar)
    return tar


def _tests() -> int:
    """The process that runs the tests: of several workers their parent."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


def _unavailable(why: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{why}; with CI=true the tests of containers must run")
    pytest.skip(why)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A real engine that has the base image."""
    given = Engine(os.environ.get("DOCKER_HOST", ""))
    if given.host and given.answers() and _has_image(given):
        yield given
        return
    _check_tools()
    # A socket's path must be short (108 bytes, unix(7)), so pytest's own folders will not do.
    folder = Path(tempfile.gettempdir(), f"lambdabuild-engine-{_tests()}")
    with FileLock(f"{folder}.lock"):
        found = Engine(f"unix://{folder}/docker.sock", str(folder))
        if not found.answers():
            found = start(folder, _tests())
    yield found


@pytest.fixture
def own_engine() -> Iterator[Engine]:
    """An engine for one test alone, which may do to it what it likes; it has the small image only."""
    _check_tools()
    with tempfile.TemporaryDirectory(prefix="lambdabuild-engine-", ignore_cleanup_errors=True) as folder:
        yield start(Path(folder), os.getpid(), SMALL_IMAGE)
        KEEPERS[-1].terminate()
        KEEPERS[-1].wait()


@pytest.fixture
def base_image(engine: Engine) -> str:
    """The tag of an image with Debian's Python, Node.js with npm, Ruby and compilers."""
    return IMAGE


def _check_tools() -> None:
    missing = [*base.missing(), *([] if shutil.which("dockerd") else ["docker.io"])]
    if os.geteuid() != 0:
        _unavailable("only root can start a Docker engine; name one that runs with DOCKER_HOST")
    if missing:
        _unavailable(f"missing Debian packages: {' '.join(missing)}")
