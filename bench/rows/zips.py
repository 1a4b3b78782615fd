"""From a lock to a zip, and zips of other trees, against installers and ``zip -9``."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Bench, Figure
from bench.measure import Contestant, in_turn, once, seconds
from bench.services import plain

SEVENTEEN = "requests==2.32.5\nboto3==1.43.3\npydantic==2.12.5\nnumpy==2.2.6\n"


def lock_to_zip(bench: Bench) -> Iterator[Figure]:
    """17 wheels -> a zip, against an installer and zip -9, from a lock and from what is resolved anew; then other zips."""
    uv = str(bench.programs / "uv")
    locked, wanted = (
        plain.write(bench.folder("locked"), 1, 1),
        plain.write(bench.folder("wheels"), 1, 1, SEVENTEEN),
    )
    exported = plain.write_lock(locked / "src/f0000", SEVENTEEN, uv)
    yield from _to_zip(bench, "lock to zip", locked, exported)
    yield from _to_zip(bench, "requirements.txt to zip", wanted, wanted / "src/f0000/requirements.txt")
    packed = (wanted / "build/Fn0000.zip").stat().st_size
    run = bench.top / "run"
    once(_installed(bench, run, _by_uv(bench, wanted / "src/f0000/requirements.txt")))
    yield Figure(
        "its zip's size, of zip -9 of what uv installs", packed / (bench.top / "installed.zip").stat().st_size, 1.01
    )
    yield from _of_a_tree(bench, run)


def _to_zip(bench: Bench, what: str, folder: Path, requirements: Path) -> Iterator[Figure]:
    """The wheels are in the store, and in the other tools' caches."""
    run = bench.top / "run"
    once(bench.ours("doit", folder=folder))
    ours = Contestant([str(bench.programs / "doit"), "zip:Fn0000"], folder, bench.env({}),
                      lambda: shutil.rmtree(folder / "build", ignore_errors=True))  # fmt: skip
    with_pip = (
        f"{bench.programs / 'python'} -m pip install -q --disable-pip-version-check --target {run} -r {requirements}"
    )
    taken = in_turn({"ours": ours, "uv": _installed(bench, run, _by_uv(bench, requirements)),
                     "pip": _installed(bench, run, with_pip)}, bench.few)  # fmt: skip
    for name, goal in (("uv", 10), ("pip", 15)):
        yield Figure(f"{what} of 17 wheels in the store, times faster than {name} install and zip -9",
                     seconds(taken[name]) / seconds(taken["ours"]), goal, more=True,
                     detail=f"{seconds(taken['ours']):.2f} s against {seconds(taken[name]):.2f} s")  # fmt: skip


def _by_uv(bench: Bench, requirements: Path) -> str:
    return (
        f"{bench.programs / 'uv'} pip install -q --target {bench.top / 'run'} -r {requirements} --python-version 3.11"
    )


def _installed(bench: Bench, run: Path, command: str) -> Contestant:
    """What an installer puts into a folder, zipped."""

    def clear() -> None:
        shutil.rmtree(run, ignore_errors=True)
        (bench.top / "installed.zip").unlink(missing_ok=True)

    return Contestant(
        ["sh", "-c", f"{command} && cd {run} && zip -9 -q -r ../installed.zip ."], bench.top, bench.env({}), clear
    )


def _of_a_tree(bench: Bench, run: Path) -> Iterator[Figure]:
    """The same files, as if they came from no archive."""
    folder = plain.write(bench.folder("tree"), 1, 1)
    shutil.copytree(run, folder / "src/f0000/vendored")
    for found in (folder / "src/f0000/vendored").rglob("__pycache__"):
        shutil.rmtree(found)
    once(bench.ours("doit", "copy:Fn0000", folder=folder))
    result = folder / "build/Fn0000.zip"

    def clear() -> None:
        result.unlink(missing_ok=True)
        (bench.top / "tree.zip").unlink(missing_ok=True)

    theirs = Contestant(["zip", "-9", "-q", "-r", str(bench.top / "tree.zip"), "."], folder / "src/f0000", {}, clear)
    ours = Contestant([str(bench.programs / "doit"), "zip:Fn0000"], folder, bench.env({}), clear)
    null = bench.ours("doit", "copy:Fn0000", folder=folder)
    taken = in_turn({"ours": ours, "theirs": theirs, "null": null}, bench.few)
    once(theirs)
    once(Contestant(ours.command, ours.folder, ours.env))
    took = seconds(taken["ours"]) - seconds(taken["null"])
    size = result.stat().st_size / (bench.top / "tree.zip").stat().st_size
    yield Figure("zip of a tree that came from no archive, times faster than zip -9", seconds(taken["theirs"]) / took, 5,
                 more=True, detail=f"{took:.2f} s against {seconds(taken['theirs']):.2f} s")  # fmt: skip
    yield Figure("its size, of zip -9", size, 1.0)
    again = [_step(bench, folder, "zip:Fn0000", "src/f0000/app.py") for _ in range(bench.rounds)]
    yield Figure("zip anew after an edit of one file beside them, the step itself", statistics.median(again), 0.1, "s")


def _step(bench: Bench, folder: Path, task: str, edited: str) -> float:
    """How long one step takes after an edit, as lambdabuild tells it."""
    plain.edit(folder, edited)
    command = [str(bench.programs / "doit"), "format=json", task]
    said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    events = [json.loads(line) for line in said.splitlines()]
    return next(float(event["seconds"]) for event in events if event["event"] == "done" and event["task"] == task)
