"""Run a program: argv, a listed environment, a time limit, and the tail of its output when it fails.

Every program runs in a process group of its own. One watchdog process per run of lambdabuild holds the read end of a
pipe; when this process is gone, however it died, the pipe closes and the watchdog kills every group still registered.
So children die with their parent, grandchildren too, even after SIGKILL.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Protocol

from lambdabuild.core.errors import ToolFailed, ToolMissing, ToolTimeout
from lambdabuild.core.records import Struct

TAIL_LINES = 25

Heard = Callable[[str], None]
"""Is told of each line that a program prints, on either stream; from two threads."""

BASE_ENVIRONMENT = (
    "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_CACHE_HOME", "SYSTEMROOT",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO",
)  # fmt: skip
"""Variables that every tool gets: paths of programs and homes, and the network. Not part of a fingerprint."""


class Output(Struct, frozen=True):
    stdout: str
    stderr: str


class Runner(Protocol):
    """A place to run tools: this machine or a container. Paths are the same in both."""

    @property
    def machine(self) -> tuple[str, str]:
        """System and processor, as the module ``platform`` calls them."""

    @property
    def identity(self) -> str:
        """Identifies runners that give the same result: an image's digest, "" for this machine."""

    def find(self, name: str) -> str | None:
        """Return the path of a program, None when there is none."""

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        names: Sequence[str],
        extra: Mapping[str, str],
        timeout_seconds: float | None,
        who: str,
        help: str,
        stdin: str | None,
    ) -> Output:
        """Run a program with the variables named and the extra ones; raises as ``run`` of this module does."""


class ThisMachine:
    """Tools of this machine."""

    @property
    def machine(self) -> tuple[str, str]:
        import platform

        return platform.system(), platform.machine()

    @property
    def identity(self) -> str:
        return ""

    def find(self, name: str) -> str | None:
        return find(name)

    def run(
        self, argv: Sequence[str], *, cwd: str, names: Sequence[str], extra: Mapping[str, str],
        timeout_seconds: float | None, who: str, help: str, stdin: str | None,
    ) -> Output:  # fmt: skip
        env = environment(names, extra)
        return run(argv, cwd=cwd, env=env, timeout_seconds=timeout_seconds, who=who, help=help, stdin=stdin)


HERE: Runner = ThisMachine()


def find(name: str, path: str | None = None) -> str | None:
    """Return the absolute path of a program: next to this Python (a virtual environment's tools), then on PATH."""
    if os.sep in name:
        return name if os.access(name, os.X_OK) else None
    beside = os.path.join(os.path.dirname(sys.executable), name)
    if os.access(beside, os.X_OK) and not os.path.isdir(beside):
        return beside
    return shutil.which(name, path=path)


def version(name: str) -> str:
    """Return a tool's version line; some, such as ``go version``, do not know ``--version``."""
    program, *question = name.split()
    executable = find(program)
    if executable is None:
        return "missing"
    try:
        completed = run([executable, *(question or ["--version"])], cwd="/", env=environment(), timeout_seconds=60)
    except ToolFailed as error:
        return f"unknown: {error.message}"
    lines = (completed.stdout or completed.stderr).strip().splitlines()
    return next((line for line in lines if any(map(str.isdigit, line))), "")  # some begin with a ruled line


def machine() -> str:
    """Return what tools' output may depend on of this machine: system, processor, C library."""
    import platform

    libc = os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in os.confstr_names else ""
    return f"{sys.platform} {platform.machine()} {libc or ''}".rstrip()


def environment(
    names: Sequence[str] = (), extra: Mapping[str, str] | None = None, of: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the base environment, the variables named (when set) and the extra ones; always UTF-8 and no locale."""
    chosen = {name: of[name] for name in (*BASE_ENVIRONMENT, *names) if name in of}
    return chosen | {"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"} | dict(extra or {})


def run(
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    timeout_seconds: float | None = None,
    who: str = "",
    help: str = "",
    stdin: str | None = None,
    heard: Heard | None = None,
) -> Output:
    """Run a program to its end and return its output; ``who`` is the function it works for.

    ``heard`` is called with each line as soon as the program prints it. Raises ToolMissing, ToolTimeout (after
    killing the process group) or ToolFailed with the command, folder, exit code and the last lines of both streams.
    """
    command = list(argv)
    missing = help or f"install {os.path.basename(command[0])} or put it on PATH"
    process = _started(command, cwd, env, takes_input=stdin is not None, who=who, help=missing)
    with _Watched(process.pid):
        try:
            stdout, stderr = _communicated(process, stdin, timeout_seconds, heard)
        except subprocess.TimeoutExpired as error:
            _kill(process.pid)
            if heard is None:
                process.communicate()
            raise ToolTimeout(
                f"{_for(who)}{os.path.basename(argv[0])} took longer than {timeout_seconds:g} s and was stopped",
                tail=f"command: {shlex.join(command)}\nfolder: {cwd}",
                help="raise tool_timeout_seconds, or look at what the tool waits for",
            ) from error
        except BaseException:
            _kill(process.pid)
            process.wait()
            raise
    if process.returncode:
        raise failure(command, cwd, process.returncode, stdout, stderr, who=who, help=help)
    return Output(stdout, stderr)


def _started(
    command: list[str], cwd: str, env: Mapping[str, str], *, takes_input: bool, who: str = "", help: str = ""
) -> subprocess.Popen[str]:
    """Start a program in a process group of its own. Raises ToolMissing (LB501)."""
    try:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            process_group=0,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise ToolMissing(f"{_for(who)}cannot start {command[0]!r}: {error.strerror}", help=help) from error


def _communicated(
    process: subprocess.Popen[str], stdin: str | None, timeout_seconds: float | None, heard: Heard | None
) -> tuple[str, str]:
    """Return what ``process.communicate`` returns, and pass output to ``heard`` as it arrives."""
    if heard is None:
        return process.communicate(stdin, timeout=timeout_seconds)

    def listen(stream: IO[str] | None, lines: list[str]) -> None:
        for line in stream or ():
            lines.append(line)
            heard(line)

    outputs: tuple[list[str], list[str]] = [], []
    streams: tuple[IO[str] | None, IO[str] | None] = process.stdout, process.stderr
    ears = [threading.Thread(target=listen, args=pair) for pair in zip(streams, outputs, strict=True)]
    for ear in ears:
        ear.start()
    try:
        if process.stdin:
            process.stdin.write(stdin or "")
    except BrokenPipeError:
        pass
    try:
        _close(process.stdin)
        process.wait(timeout_seconds)
    except BaseException:
        _kill(process.pid)
        raise
    finally:
        for ear in ears:
            ear.join()
        for out in streams:
            _close(out)
    return "".join(outputs[0]), "".join(outputs[1])


def converse(
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    timeout_seconds: float,
    answer: Callable[[str], str | None],
    help: str = "",
) -> None:
    """Run a program to its end, answering its lines with lines.

    ``answer`` gets each line and returns the reply, None for no reply. Raises as ``run`` does.
    """
    process = _started(list(argv), cwd, env, takes_input=True, help=help)
    complaints: list[str] = []
    errors = threading.Thread(target=lambda: complaints.append(process.stderr.read() if process.stderr else ""))
    errors.start()
    late = threading.Timer(timeout_seconds, _kill, [process.pid])
    late.start()
    with _Watched(process.pid):
        try:
            _answer_lines(process, answer)
            process.wait()
        except BrokenPipeError:
            process.wait()
        except BaseException:
            _kill(process.pid)
            process.wait()
            raise
        finally:
            in_time = late.is_alive()
            late.cancel()
            errors.join()
            for stream in (process.stdin, process.stdout, process.stderr):
                _close(stream)
    if not in_time:
        raise ToolTimeout(
            f"{os.path.basename(argv[0])} took longer than {timeout_seconds:g} s and was stopped", help=help
        )
    if process.returncode:
        raise failure(argv, cwd, process.returncode, "", "".join(complaints), help=help)


def _answer_lines(process: subprocess.Popen[str], answer: Callable[[str], str | None]) -> None:
    for line in process.stdout or ():
        reply = answer(line)
        if reply is not None and process.stdin:
            process.stdin.write(reply + "\n")
            process.stdin.flush()


def _close(stream: IO[str] | None) -> None:
    try:
        if stream is not None:
            stream.close()
    except BrokenPipeError:
        pass


def failure(
    command: Sequence[str], cwd: str, status: int, stdout: str, stderr: str, *, who: str = "", help: str = ""
) -> ToolFailed:
    """Return the error of a program that ended with a status other than 0."""
    tail = [line for text in (stdout, stderr) for line in text.splitlines() if line.strip()][-TAIL_LINES:]
    how = f"was ended by signal {-status}" if status < 0 else f"failed with exit code {status}"
    error = ToolFailed(
        f"{_for(who)}{os.path.basename(command[0])} {how}",
        tail="\n".join([f"command: {shlex.join(command)}", f"folder: {cwd}", *tail]),
        help=help or "the tool's last lines say what it missed",
    )
    error.output = f"{stdout}\n{stderr}"
    return error


def _for(who: str) -> str:
    return f"{who}: " if who else ""


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


_WATCHDOG = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try: os.killpg(group, signal.SIGKILL)
    except OSError: pass
"""


class _Watched:
    """Register a process group with the watchdog for as long as its program runs."""

    lock = threading.Lock()
    pipe: int | None = None
    owner = 0
    watchdog: subprocess.Popen[bytes] | None = None

    def __init__(self, group: int) -> None:
        self.group = group

    def __enter__(self) -> None:
        self._tell("+")

    def __exit__(self, *_: object) -> None:
        self._tell("-")

    def _tell(self, sign: str) -> None:
        with self.lock:
            if _Watched.pipe is None or _Watched.owner != os.getpid():
                _Watched.watchdog, _Watched.pipe = _start_watchdog()
                _Watched.owner = os.getpid()
            os.write(_Watched.pipe, f"{sign}{self.group}\n".encode())


def _start_watchdog() -> tuple[subprocess.Popen[bytes], int]:
    """Start the watchdog, which ends when this process does; return it and the pipe that tells it what to watch."""
    read, write = os.pipe()  # both ends close at exec, so no tool keeps the pipe open
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WATCHDOG],
        stdin=read,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(read)
    return process, write
