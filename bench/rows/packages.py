"""Functions with Python packages, and many without, against ``sam build``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from bench import peers
from bench.figures import Bench, Figure
from bench.measure import Contestant, in_turn, once, seconds, written
from bench.services import plain

THREE = "requests==2.32.5\npyyaml==6.0.3\npython-dateutil==2.9.0.post0\n"


def against_sam(bench: Bench) -> Iterator[Figure]:
    """Null runs of 100 functions without packages, and cold and null builds of 20 with packages."""
    build = [str(peers.sam()), "build", "--cached", "--parallel"]
    ours, theirs = (plain.write(bench.folder(f"hundred-{who}"), 100, 5) for who in ("ours", "theirs"))
    yield from _null(bench, ours, theirs, build, "null build of 100 functions", 50)
    yield from _cold(bench, build)
    ours, theirs = (plain.write(bench.folder(f"boto3-{who}"), 20, 5, "boto3==1.43.3\n") for who in ("ours", "theirs"))
    yield from _null(bench, ours, theirs, build, "null build of 20 functions with boto3", 100)
    with_boto3 = list((ours / "build").glob("Fn*/boto3/session.py"))
    copies = len({path.stat().st_ino for path in with_boto3})
    resolved = len(list((ours / "build/.lambdabuild/steps/resolve").iterdir()))
    yield Figure("resolutions of the 20", resolved, 1, "")
    yield Figure("copies of boto3 on disk", copies, 1, "", detail=f"{len(with_boto3)} functions have it")


def _null(bench: Bench, ours: Path, theirs: Path, build: list[str], what: str, goal: float) -> Iterator[Figure]:
    """By both commands: a third and more of what ``doit`` takes is the import of doit."""
    once(bench.ours("doit", folder=ours))
    once(bench.ours("doit", folder=ours))
    peer = Contestant(build, theirs, bench.env({}))
    once(peer)
    commands = {command: bench.ours(command, folder=ours) for command in ("doit", "lambdabuild")}
    taken = in_turn({**commands, "sam": peer}, bench.few)
    for command in commands:
        yield Figure(f"{what}, {command}, times faster than sam build", seconds(taken["sam"]) / seconds(taken[command]),
                     goal, more=True, detail=f"{seconds(taken[command]):.3f} s against {seconds(taken['sam']):.2f} s")  # fmt: skip


def _cold(bench: Bench, build: list[str]) -> Iterator[Figure]:
    folders = {who: plain.write(bench.folder(f"cold-{who}"), 20, 5, THREE) for who in ("ours", "theirs")}
    caches = {who: bench.folder(f"caches-{who}") for who in folders}

    def contestant(who: str, *, empty: bool) -> Contestant:
        def before() -> None:
            for output in ("build", ".aws-sam"):
                shutil.rmtree(folders[who] / output, ignore_errors=True)
            if empty:
                shutil.rmtree(caches[who], ignore_errors=True)

        command = [str(bench.programs / "doit")] if who == "ours" else build
        # As users have it where nothing is there yet; a warm package cache must not be a warm cache of steps.
        kept = {"LAMBDABUILD_CACHE__ENABLED": str(empty).lower()}
        env = bench.env({"XDG_CACHE_HOME": str(caches[who]), "PIP_CACHE_DIR": str(caches[who] / "pip"), **kept})
        return Contestant(command, folders[who], env, before)

    for empty, goal in ((True, 5), (False, 15)):
        taken = in_turn({who: contestant(who, empty=empty) for who in folders}, bench.few)
        kind = "empty caches" if empty else "a warm package cache"
        yield Figure(f"cold build of 20 functions with 3 packages, {kind}, times faster than sam build",
                     seconds(taken["theirs"]) / seconds(taken["ours"]), goal, more=True,
                     detail=f"{seconds(taken['ours']):.2f} s, {written(taken['ours']):.0f} MB written; sam build "
                            f"{seconds(taken['theirs']):.2f} s, {written(taken['theirs']):.0f} MB")  # fmt: skip
