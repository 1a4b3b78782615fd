"""lambdabuild run on a pseudo-terminal, and what its screen shows while it runs."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping

import pyte
from sandbox import Sandbox

ROWS, COLUMNS = 50, 100


def screens(project: Sandbox, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run lambdabuild, and yield the screen's text each time that something was drawn."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = project.environment({"TERM": "xterm", **(env or {})})
    environment.pop("CI", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "lambdabuild", *arguments],
        cwd=project.folder,
        env=environment,
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
    )
    os.close(side)
    began = time.monotonic()
    while (data := _read(main)) is not None:
        assert time.monotonic() - began < 120, "lambdabuild did not end"
        if data:
            stream.feed(data)
            yield "\n".join(row.rstrip() for row in screen.display)
    os.close(main)
    assert process.wait() == 0, "\n".join(screen.display)


def _read(terminal: int) -> bytes | None:
    """Return what has arrived within a moment, or None when the other side was closed."""
    ready, _, _ = select.select([terminal], [], [], 0.1)
    if not ready:
        return b""
    try:
        return os.read(terminal, 4096) or None
    except OSError:
        return None
