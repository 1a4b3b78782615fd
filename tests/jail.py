"""lambdabuild where it can do no harm: the real file system, read-only but for one folder, and no rights.

Whatever names a test thinks of, nothing outside of that folder can be written or removed: bubblewrap mounts everything
else read-only in a namespace without network, capabilities or other processes, as the user nobody.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox import Ran

NOBODY = "65534"


def bubblewrap(folder: Path, cwd: Path) -> list[str]:
    """What a command begins with that may write below a folder alone."""
    assert shutil.which("bwrap"), "these tests need bubblewrap (apt-get install bubblewrap), for they name any folder"
    return ["bwrap", "--unshare-all", "--uid", NOBODY, "--gid", NOBODY, "--cap-drop", "ALL", "--die-with-parent",
            "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
            "--bind", str(folder), str(folder), "--chdir", str(cwd)]  # fmt: skip


def jailed(folder: Path, argv: Sequence[str], *, cwd: Path, stdin: bytes = b"",
           env: Mapping[str, str] | None = None, timeout: float = 120) -> Ran:  # fmt: skip
    """Run a program that can write below ``folder`` alone; its home is there, too."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    prison = bubblewrap(folder, cwd)
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    given = {**kept, "HOME": str(home), "TMPDIR": str(home), "LAMBDABUILD_CACHE__ENABLED": "false", **(env or {})}
    done = subprocess.run([*prison, *argv], input=stdin, env=given, capture_output=True, timeout=timeout, check=False)
    return Ran(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def lambdabuild(folder: Path, *arguments: str, cwd: Path | None = None, stdin: bytes = b"",
                env: Mapping[str, str] | None = None) -> Ran:  # fmt: skip
    """``lambdabuild`` with these arguments, in such a place."""
    return jailed(folder, [sys.executable, "-m", "lambdabuild", *arguments], cwd=cwd or folder, stdin=stdin, env=env)


Content = dict[str, tuple[str, bytes | str]]


def content(folder: Path) -> Content:
    """Every file, link and folder below a folder, with its mode and what is in it; the home's is left out."""
    found: Content = {}
    for top, folders, files in os.walk(folder):
        inside = Path(top)
        if inside == folder and "home" in folders:
            folders.remove("home")
        for name in (*folders, *files):
            path = inside / name
            status = path.lstat()
            kind = f"{status.st_mode:o}"
            where = str(path.relative_to(folder))
            if path.is_symlink():
                found[where] = (kind, os.readlink(path))
            else:
                found[where] = (kind, path.read_bytes() if path.is_file() else "")
    return found


def lost(before: Content, after: Content) -> list[str]:
    """What is gone, or is not what it was."""
    return sorted(path for path, was in before.items() if after.get(path) != was)


SERVER = """
import contextlib, io, json, os, sys, traceback
from lambdabuild.cli import main, rpc
import lambdabuild.api.lambda_builders, lambdabuild.engine.doit.loader, lambdabuild.engine.steps.delivery.templates
import lambdabuild.artifacts.zips, lambdabuild.frontends.sam.reader, lambdabuild.api.source_packages, doit.doit_cmd
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if not child:
        os.setsid()
        os.chdir(asked["cwd"])
        os.environ.update(asked["env"])
        for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY | os.O_TRUNC), (2, os.O_WRONLY | os.O_TRUNC)):
            os.dup2(os.open(asked["files"][number], mode | os.O_CREAT, 0o600), number)
        sys.argv[1:], code = asked["arguments"], 9
        try:
            code = main.main(asked["arguments"])
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            import atexit
            sys.stdout.flush()
            atexit._run_exitfuncs()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Runs a command for each line that it is given, each in a fork of its own, so that nothing is imported anew."""


class Jail:
    """Many commands in one such place."""

    def __init__(self, folder: Path) -> None:
        self.folder, home = folder, folder / "home"
        home.mkdir(exist_ok=True)
        self.files = [home / name for name in ("stdin", "stdout", "stderr")]
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home)}
        prison = bubblewrap(folder, folder)
        self.process = subprocess.Popen([*prison, sys.executable, "-c", SERVER], env=environment, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip

    def run(self, *arguments: str, cwd: Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Ran:
        for file, content_ in zip(self.files, (stdin, b"", b""), strict=True):
            file.write_bytes(content_)
            file.chmod(0o666)
        asked = {"cwd": str(cwd), "arguments": arguments, "files": [*map(str, self.files)], "env": dict(env or {})}
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        return Ran(code, *(file.read_text(errors="replace") for file in self.files[1:]))

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=30)
        if self.process.stdout:
            self.process.stdout.close()
