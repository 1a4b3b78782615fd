"""lambdabuild where it can do no harm: the real file system, read-only but for one folder, and no rights.

Whatever names a test thinks of, nothing outside of that folder can be written or removed: bubblewrap mounts everything
else read-only in a namespace without network, capabilities or other processes, as the user nobody.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox import Ran

NOBODY = "65534"


def jailed(folder: Path, argv: Sequence[str], *, cwd: Path, stdin: bytes = b"",
           env: Mapping[str, str] | None = None, timeout: float = 120) -> Ran:  # fmt: skip
    """Run a program that can write below ``folder`` alone; its home is there, too."""
    assert shutil.which("bwrap"), "these tests need bubblewrap (apt-get install bubblewrap), for they name any folder"
    home = folder / "home"
    home.mkdir(exist_ok=True)
    prison = ["bwrap", "--unshare-all", "--uid", NOBODY, "--gid", NOBODY, "--cap-drop", "ALL", "--die-with-parent",
              "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
              "--bind", str(folder), str(folder), "--chdir", str(cwd)]  # fmt: skip
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
