"""BuildGrid on loopback: PostgreSQL from Debian, its server from PyPI, workers of our own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from cache_servers import free_port, wait_for
from engines import settings_of
from filelock import FileLock

WANTED = ("buildgrid[database]==0.4.4",)
"""The newest for Python 3.11."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lambdabuild-tests"
BOT = Path(__file__).with_name("build_grid_bot.py")
INSTANCE = "team"
# The driver is named because BuildGrid hears through psycopg2 that an action is done. For postgresql:// SQLAlchemy 2.1
# takes psycopg 3, with which the stream of Execute never ends.
DATABASE = "postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres"
CONFIGURATION = """\
server:
  - !channel
    address: 127.0.0.1:{port}
    insecure-mode: true
connections:
  - !sql-connection &sql
    connection-string: {database}
storages:
  - !disk-storage &storage
    path: {folder}/cas
caches:
  - !lru-action-cache &results
    storage: *storage
    max-cached-refs: 1000
    allow-updates: true
    cache-failed-actions: false
schedulers:
  - !sql-scheduler &scheduler
    sql: *sql
    storage: *storage
    action-cache: *results
    property-set: !dynamic-property-set
      match-property-keys: [OSFamily]
    poll-interval: 0.2
    bot-session-keepalive-timeout: 6
    session-expiry-timer-interval: 1
    assigners:
      - !priority-age-assigner
        interval: 0.05
        jitter-factor: 0.05
instances:
  - name: {instance}
    services:
      - !action-cache
        cache: *results
      - !execution
        scheduler: *scheduler
      - !cas
        storage: *storage
      - !bytestream
        storage: *storage
thread-pool-size: 50
"""


@dataclass
class Grid:
    """BuildGrid with workers that see this machine as it is. What it was asked is in the database."""

    folder: Path
    port: int
    database: str
    programs: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    server: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"grpc://127.0.0.1:{self.port}/{INSTANCE}"

    @property
    def environment(self) -> dict[str, str]:
        return settings_of(self.address)

    def start(self) -> None:
        """With the blobs and the queue of the last time."""
        said = {"port": self.port, "database": self.database, "folder": self.folder, "instance": INSTANCE}
        configuration = self.folder / "bgd.yml"
        configuration.write_text(CONFIGURATION.format(**said))
        self.server = self._started("log", self.programs / "bgd", "server", "start", "-v", configuration)
        wait_for(self.port, self.server, self.folder / "log")

    def stop(self) -> None:
        if self.server is not None:
            self.server.kill()
            self.server.wait(10)
        self.server = None

    def hire(self, number: int) -> None:
        """Start workers."""
        address = f"127.0.0.1:{self.port}"
        for _ in range(number):
            log = f"worker{len(self.workers)}.log"
            self.workers.append(self._started(log, self.programs / "python", BOT, address, INSTANCE))

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """With all that it has started."""
        for process in _started_by(worker):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        worker.kill()
        worker.wait(10)

    def running(self, program: str) -> list[subprocess.Popen[bytes]]:
        """The workers that run a program now."""
        return [worker for worker in self.workers if program in map(_name, _started_by(worker))]

    def _started(self, log: str, *command: str | Path) -> subprocess.Popen[bytes]:
        with (self.folder / log).open("ab") as stream:
            return subprocess.Popen(
                command, stdout=stream, stderr=stream, env={**os.environ, "TMPDIR": str(self.folder)}
            )


def _started_by(worker: subprocess.Popen[bytes]) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(worker.pid).children(recursive=True)
    return []


def _name(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return str(process.name())
    return ""


@contextmanager
def build_grid(folder: Path, workers: int = 2) -> Iterator[Grid]:
    folder.mkdir(parents=True)
    programs = installed()
    with postgres(folder / "postgres.log") as database:
        subprocess.run([programs / "bgd", "migrate", "apply", database], check=True, stdout=subprocess.DEVNULL)
        made = Grid(folder, free_port(), database, programs)
        made.start()
        try:
            made.hire(workers)
            yield made
        finally:
            for worker in made.workers:
                made.kill(worker)
            made.stop()


def installed() -> Path:
    """The programs of BuildGrid's virtual environment, which is kept for the next run."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / "buildgrid"
    stamp = folder / "wanted"
    with FileLock(f"{folder}.lock"):
        if not stamp.exists() or stamp.read_text() != " ".join(WANTED):
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            subprocess.run([folder / "bin/pip", "install", "--quiet", *WANTED], check=True)
            stamp.write_text(" ".join(WANTED))
    return folder / "bin"


@contextmanager
def postgres(log: Path) -> Iterator[str]:
    """Its address. PostgreSQL refuses to be run by root."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    assert found, "PostgreSQL is missing; on Debian: apt-get install postgresql"
    programs = found[-1]
    user = "postgres" if os.geteuid() == 0 else None
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        if user:
            shutil.chown(folder, user)
        data = Path(folder, "data")
        initdb = [programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        settings = [f"--port={port}", "--listen-addresses=127.0.0.1", "--unix-socket-directories=", "--fsync=off"]
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [programs / "postgres", "-D", data, *settings], user=user, cwd=folder, stdout=stream, stderr=stream
            )
        try:
            wait_for(port, process, log)
            yield DATABASE.format(port=port)
        finally:
            process.send_signal(signal.SIGINT)  # it waits for nobody
            process.wait(10)
