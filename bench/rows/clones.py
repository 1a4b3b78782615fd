"""A service that another machine has built before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.figures import Bench, Figure
from bench.services import node, plain, s3


def second_clone(bench: Bench) -> Iterator[Figure]:
    """A service built with an empty home, and again elsewhere with another, from the first one's S3 cache."""
    yield from _second_clone(bench, "the sample app", plain.sample_app)
    yield from _second_clone(bench, "10 functions bundled by esbuild", node.bundled)


def _second_clone(bench: Bench, what: str, make: Callable[[Path], Path]) -> Iterator[Figure]:
    taken = {}
    with s3.server() as where:
        for who in ("first", "second"):
            app = make(bench.folder(f"clone-{who}") / "app")
            home = {"HOME": str(app.parent), "XDG_CACHE_HOME": str(app.parent / ".cache"),
                    "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", os.path.expanduser("~/.rustup")),
                    # cargo-lambda and zig lie there, for the function in Rust.
                    "PATH": os.pathsep.join([bench.env({})["PATH"], os.path.dirname(sys.executable)])}  # fmt: skip
            env = {**home, **where, "LAMBDABUILD_CACHE__ENABLED": "true"}
            one = bench.ours("lambdabuild", "build", "--format", "json", folder=app, **env)
            before = received()
            ran = subprocess.run(one.command, cwd=app, env={**os.environ, **one.env}, capture_output=True, check=True)
            taken[who] = {**json.loads(ran.stdout.splitlines()[-1]), "received": received() - before}
    first, second = taken["first"], taken["second"]
    steps = f"{second['restored']} steps restored"
    yield Figure(f"a second clone of {what} with an empty home and an S3 cache, times faster than building",
                 first["seconds"] / second["seconds"], 10, more=True,
                 detail=f"{first['seconds']:.1f} s, then {second['seconds']:.1f} s; {steps}")  # fmt: skip
    yield Figure("the same, bytes fetched: times less than building downloads", first["received"] / second["fetched_bytes"], 10,
                 more=True, detail=f"{first['received'] / 1e6:.1f} MB, then {second['fetched_bytes'] / 1e6:.1f} MB")  # fmt: skip


def received() -> int:
    """How many bytes this machine's network interfaces have received, loopback apart."""
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    return sum(int(line.split(":")[1].split()[0]) for line in lines if line.split(":")[0].strip() != "lo")
