"""Functions in compiled languages, against the tool alone, run by hand in each folder in turn."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.figures import Bench, Figure
from bench.measure import Contestant, in_turn, once, seconds
from bench.services import compiled

MAVEN = "mvn -B -q package dependency:copy-dependencies -DincludeScope=runtime"


@dataclass(frozen=True)
class Tool:
    """How somebody would build one function by hand, where the tool has its result, and what it keeps of a function."""

    name: str
    command: str
    outputs: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    caches: tuple[str, ...] = ()
    """Variables that name a cache of what is compiled; each contestant has its own, which is empty for a cold build."""
    needs: tuple[str, ...] = ()
    """Programs besides its own."""
    afterwards: str = ""

    @property
    def program(self) -> str:
        return self.command.split()[0]


GO = Tool(
    "go",
    "go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o bootstrap .",
    ("bootstrap",),
    {"GOOS": "linux", "GOARCH": "amd64", "CGO_ENABLED": "0"},
    ("GOCACHE",),
)
RUST = Tool(
    "rust",
    "cargo lambda build --release --locked --target x86_64-unknown-linux-gnu.2.34",
    ("target",),
    # zig as it comes from PyPI has no program of its own name.
    {"CARGO_ZIGBUILD_ZIG_PATH": str(Path(sys.executable).with_name("python-zig"))},
    needs=("cargo-lambda", "python-zig"),
)


def go(bench: Bench) -> Iterator[Figure]:
    """Cold with nothing compiled, not even the standard library, as on a new machine; and with that in Go's cache."""
    yield from _against(bench, GO, "nothing in GOCACHE")
    yield from _against(bench, replace(GO, caches=()), "the standard library in GOCACHE")


def rust(bench: Bench) -> Iterator[Figure]:
    """By cargo-lambda on both sides, each with its own target folders."""
    yield from _against(bench, RUST)


def maven(bench: Bench) -> Iterator[Figure]:
    """With the jars that a function ships."""
    yield from _against(bench, Tool("maven", MAVEN, ("target",)))


def gradle(bench: Bench) -> Iterator[Figure]:
    """By hand with its daemon, as it is by default; a registry of its own, so that it can be stopped and no other."""
    alone = f"gradle -Dorg.gradle.daemon.registry.base={bench.folder('daemons')}"
    yield from _against(bench, Tool("gradle", f"{alone} -q build", ("build", ".gradle"), afterwards=f"{alone} --stop"))


def _against(bench: Bench, tool: Tool, state: str = "") -> Iterator[Figure]:
    missing = [name for name in (tool.program, *tool.needs) if shutil.which(name, path=_path(bench)) is None]
    if missing:
        print(f"{tool.name}: not measured, because {' and '.join(missing)} cannot be found", file=sys.stderr)
        return
    count = bench.sized(10)
    ours, theirs = (compiled.write(bench.folder(f"{tool.name}-{who}"), tool.name, count) for who in ("ours", "theirs"))
    contestants = _contestants(bench, tool, ours, theirs)
    try:
        taken = in_turn({name: contestants[name] for name in ("ours", "tool")}, bench.few)
        edited = in_turn({name: contestants[name] for name in ("edit", "edit by hand")}, bench.rounds)
    finally:
        if tool.afterwards:
            once(Contestant(["sh", "-c", tool.afterwards], theirs))
    took = {name: seconds(runs) for name, runs in (taken | edited).items()}
    what = f"{count} functions in {tool.name}" + (f", {state}" if state else "")
    yield Figure(f"cold, {what}, of {tool.program} run by hand in turn", took["ours"] / took["tool"], 1.0,
                 detail=f"{took['ours']:.2f} s against {took['tool']:.2f} s")  # fmt: skip
    yield Figure(f"one file edited, {what}, beyond {tool.program} by hand in its folder",
                 took["edit"] - took["edit by hand"], 0.3, "s",
                 detail=f"{took['edit']:.2f} s against {took['edit by hand']:.2f} s")  # fmt: skip


def _contestants(bench: Bench, tool: Tool, ours: Path, theirs: Path) -> dict[str, Contestant]:
    caches = {who: {name: str(bench.folder(f"{name}-{who}")) for name in tool.caches} for who in ("ours", "theirs")}
    by_hand = {**tool.env, **caches["theirs"], "PATH": _path(bench)}
    script = f"set -e; for folder in src/*; do cd $folder; {tool.command}; cd ../..; done"
    numbers = itertools.count(1000)

    def ours_anew() -> None:
        for folder in (str(ours / "build"), *caches["ours"].values()):
            shutil.rmtree(folder, ignore_errors=True)

    def theirs_anew() -> None:
        outputs = [path for name in tool.outputs for path in theirs.glob(f"src/*/{name}")]
        for path in (*outputs, *map(Path, caches["theirs"].values())):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    run = bench.ours("lambdabuild", folder=ours, PATH=_path(bench), **caches["ours"])
    return {
        "ours": replace(run, before=ours_anew),
        "tool": Contestant(["sh", "-c", script], theirs, by_hand, theirs_anew),
        "edit": replace(run, before=lambda: compiled.edit(ours / "src/f0000", tool.name, next(numbers))),
        "edit by hand": Contestant(["sh", "-c", tool.command], theirs / "src/f0000", by_hand,
                                  lambda: compiled.edit(theirs / "src/f0000", tool.name, next(numbers))),
    }  # fmt: skip


def _path(bench: Bench) -> str:
    """cargo-lambda and zig are where this Python is."""
    return os.pathsep.join([bench.env({})["PATH"], os.path.dirname(sys.executable)])
