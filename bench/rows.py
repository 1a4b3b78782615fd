"""The rows of the table: what is run, what it is held against, and the goal. Each gives figures; ``Figure.is_met`` decides."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench import peers, services
from bench.measure import Contestant, in_turn, memory, once, seconds, system_calls, written

THREE = "requests==2.32.5\npyyaml==6.0.3\npython-dateutil==2.9.0.post0\n"
SEVENTEEN = "requests==2.32.5\nboto3==1.43.3\npydantic==2.12.5\nnumpy==2.2.6\n"
AWS = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
QUIET = {**AWS, "SAM_CLI_TELEMETRY": "0", "SLS_TELEMETRY_DISABLED": "1", "SLS_NOTIFICATIONS_MODE": "off"}


@dataclass(frozen=True)
class Figure:
    """One measured value beside its goal. ``more`` means that more is better."""

    what: str
    value: float
    goal: float
    unit: str = "x"
    more: bool = False
    detail: str = ""

    @property
    def is_met(self) -> bool:
        return self.value >= self.goal if self.more else self.value <= self.goal


@dataclass(frozen=True)
class Bench:
    """Where things are made, what is measured, and how often."""

    top: Path
    rounds: int
    programs: Path

    def folder(self, name: str) -> Path:
        path = self.top / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def ours(self, *command: str, folder: Path, **env: str) -> Contestant:
        return Contestant([str(self.programs / command[0]), *command[1:]], folder, self._env(env))

    def _env(self, more: dict[str, str]) -> dict[str, str]:
        return {
            **QUIET,
            "LAMBDABUILD_CACHE__ENABLED": "false",
            "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
            **more,
        }

    def python(self, code: str, folder: Path) -> Contestant:
        return self.ours("python", "-c", code, folder=folder)


def null_of_many(bench: Bench) -> Iterator[Figure]:
    """A run with nothing to do, of 1,000 and of 5,000 functions with 50 files each, against git and ninja."""
    for functions, of_git, of_ours, against, megabytes in ((1000, 2.2, 1.1, "git", 60), (5000, 1.2, 1.0, "ninja", 100)):
        folder = services.write(bench.folder(f"many-{functions}"), functions, 50)
        services.write_ninja(folder)
        ninja = Contestant([str(peers.ninja()), "--quiet"], folder)
        for first in (bench.ours("doit", folder=folder), bench.ours("doit", folder=folder), ninja):
            once(first)
        imports = bench.python("import doit.doit_cmd", folder)
        contestants = {
            "git": Contestant(["git", "status"], folder),
            "ninja": ninja,
            "doit": bench.ours("doit", folder=folder),
            "lambdabuild": bench.ours("lambdabuild", folder=folder),
            "build:F": bench.ours("doit", "build:Fn0500", folder=folder),
            "import": imports,
            "list": bench.ours("doit", "list", folder=folder),
            "edit": Contestant(
                [str(bench.programs / "doit")],
                folder,
                bench._env({}),
                lambda folder=folder: edit(folder, "src/f0500/m7.py"),
            ),
            "after the edit": bench.ours("doit", folder=folder),
        }
        taken = in_turn(contestants, bench.rounds)
        took = {name: seconds(one) for name, one in taken.items()}
        size = f"{functions:,} functions x 50 files"
        opened, started = system_calls(contestants["doit"])
        detail = f"{opened} files opened, {started} processes, {written(taken['doit']):.1f} MB written"
        yield Figure(f"null doit, {size}, of git status", took["doit"] / took["git"], of_git, detail=detail)
        yield Figure(f"null doit, {size}, memory", memory(taken["doit"]), megabytes, "MB")
        yield Figure(f"null lambdabuild, {size}, of {against}", took["lambdabuild"] / took[against], of_ours,
                     detail=f"git status {took['git']:.3f} s, ninja {took['ninja']:.3f} s, "
                            f"lambdabuild {took['lambdabuild']:.3f} s")  # fmt: skip
        if functions == 1000:
            yield from _of_one(bench, folder, took)


def _of_one(bench: Bench, folder: Path, took: dict[str, float]) -> Iterator[Figure]:
    yield Figure("null doit build:F among 1,000, of import doit.doit_cmd", took["build:F"] / took["import"], 1.3)
    alone = services.write(bench.folder("alone"), 1, 50)
    for _ in range(2):
        once(bench.ours("doit", folder=alone))
    steps = in_turn(
        {"edit": Contestant([str(bench.programs / "doit")], alone, bench._env({}), lambda: edit(alone, "src/f0000/m7.py")),
         "null": bench.ours("doit", folder=alone)}, bench.rounds
    )  # fmt: skip
    own = seconds(steps["edit"]) - seconds(steps["null"])
    yield Figure("one file of one function in 1,000 edited: beyond the null run and its own steps",
                 took["edit"] - took["doit"] - own, 0.1, "s",
                 detail=f"{took['edit']:.3f} s; null {took['doit']:.3f} s, the steps of one alone {own:.3f} s")  # fmt: skip
    empty = bench.folder("empty")
    (empty / "dodo.py").write_text("")
    listed = in_turn({"empty": bench.ours("doit", "list", folder=empty), "many": bench.ours("doit", "list", folder=folder)},
                     bench.rounds)  # fmt: skip
    yield Figure(
        "doit list of 1,000 functions, of an empty dodo.py", seconds(listed["many"]) / seconds(listed["empty"]), 2
    )


def edit(folder: Path, name: str) -> None:
    with (folder / name).open("a") as stream:
        stream.write(f"# {time.time_ns()}\n")


def against_sam(bench: Bench) -> Iterator[Figure]:
    """Null runs of 100 functions without packages, and cold and null builds of 20 with packages."""
    build = [str(peers.sam()), "build", "--cached", "--parallel"]
    ours, theirs = (services.write(bench.folder(f"hundred-{who}"), 100, 5) for who in ("ours", "theirs"))
    yield from _null(bench, ours, theirs, build, "null build of 100 functions", 50)
    yield from _cold(bench, build)
    ours, theirs = (
        services.write(bench.folder(f"boto3-{who}"), 20, 5, "boto3==1.43.3\n") for who in ("ours", "theirs")
    )
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
    peer = Contestant(build, theirs, bench._env({}))
    once(peer)
    commands = {command: bench.ours(command, folder=ours) for command in ("doit", "lambdabuild")}
    taken = in_turn({**commands, "sam": peer}, max(1, bench.rounds // 2))
    for command in commands:
        yield Figure(f"{what}, {command}, times faster than sam build", seconds(taken["sam"]) / seconds(taken[command]),
                     goal, more=True, detail=f"{seconds(taken[command]):.3f} s against {seconds(taken['sam']):.2f} s")  # fmt: skip


def _cold(bench: Bench, build: list[str]) -> Iterator[Figure]:
    folders = {who: services.write(bench.folder(f"cold-{who}"), 20, 5, THREE) for who in ("ours", "theirs")}
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
        env = bench._env({"XDG_CACHE_HOME": str(caches[who]), "PIP_CACHE_DIR": str(caches[who] / "pip"), **kept})
        return Contestant(command, folders[who], env, before)

    for empty, goal in ((True, 5), (False, 15)):
        taken = in_turn({who: contestant(who, empty=empty) for who in folders}, max(1, bench.rounds // 2))
        kind = "empty caches" if empty else "a warm package cache"
        yield Figure(f"cold build of 20 functions with 3 packages, {kind}, times faster than sam build",
                     seconds(taken["theirs"]) / seconds(taken["ours"]), goal, more=True,
                     detail=f"{seconds(taken['ours']):.2f} s, {written(taken['ours']):.0f} MB written; sam build "
                            f"{seconds(taken['theirs']):.2f} s, {written(taken['theirs']):.0f} MB")  # fmt: skip


def lock_to_zip(bench: Bench) -> Iterator[Figure]:
    """17 wheels -> a zip, against an installer and zip -9, from a lock and from what is resolved anew; then other zips."""
    uv = str(bench.programs / "uv")
    locked, wanted = (
        services.write(bench.folder("locked"), 1, 1),
        services.write(bench.folder("wheels"), 1, 1, SEVENTEEN),
    )
    exported = services.write_lock(locked / "src/f0000", SEVENTEEN, uv)
    yield from _to_zip(bench, "lock to zip", locked, exported)
    yield from _to_zip(bench, "requirements.txt to zip", wanted, wanted / "src/f0000/requirements.txt")
    packed = (wanted / "build/Fn0000.zip").stat().st_size
    run = bench.top / "run"
    once(_installed(bench, run, _by_uv(bench, wanted / "src/f0000/requirements.txt")))
    yield Figure(
        "its zip's size, of zip -9 of what uv installs", packed / (bench.top / "run.project.zip").stat().st_size, 1.01
    )
    yield from _of_a_tree(bench, run)


def _to_zip(bench: Bench, what: str, folder: Path, requirements: Path) -> Iterator[Figure]:
    """The wheels are in the store, and in the other tools' caches."""
    run = bench.top / "run"
    once(bench.ours("doit", folder=folder))
    ours = Contestant([str(bench.programs / "doit"), "zip:Fn0000"], folder, bench._env({}),
                      lambda: shutil.rmtree(folder / "build", ignore_errors=True))  # fmt: skip
    with_pip = (
        f"{bench.programs / 'python'} -m pip install -q --disable-pip-version-check --target {run} -r {requirements}"
    )
    taken = in_turn({"ours": ours, "uv": _installed(bench, run, _by_uv(bench, requirements)),
                     "pip": _installed(bench, run, with_pip)}, max(1, bench.rounds // 2))  # fmt: skip
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
        (bench.top / "run.project.zip").unlink(missing_ok=True)

    return Contestant(
        ["sh", "-c", f"{command} && cd {run} && zip -9 -q -r ../site.project.zip ."], bench.top, bench._env({}), clear
    )


def _of_a_tree(bench: Bench, run: Path) -> Iterator[Figure]:
    """The same files, as if they came from no archive."""
    folder = services.write(bench.folder("tree"), 1, 1)
    shutil.copytree(run, folder / "src/f0000/vendored")
    for found in (folder / "src/f0000/vendored").rglob("__pycache__"):
        shutil.rmtree(found)
    once(bench.ours("doit", "copy:Fn0000", folder=folder))
    result = folder / "build/Fn0000.zip"

    def clear() -> None:
        result.unlink(missing_ok=True)
        (bench.top / "tree.zip").unlink(missing_ok=True)

    theirs = Contestant(["zip", "-9", "-q", "-r", str(bench.top / "tree.zip"), "."], folder / "src/f0000", {}, clear)
    ours = Contestant([str(bench.programs / "doit"), "zip:Fn0000"], folder, bench._env({}), clear)
    null = bench.ours("doit", "copy:Fn0000", folder=folder)
    taken = in_turn({"ours": ours, "theirs": theirs, "null": null}, max(1, bench.rounds // 2))
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
    edit(folder, edited)
    command = [str(bench.programs / "doit"), "format=json", task]
    said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    events = [json.loads(line) for line in said.splitlines()]
    return next(event["seconds"] for event in events if event["event"] == "done" and event["task"] == task)


def node_modules(bench: Bench) -> Iterator[Figure]:
    """A second function with the same lock: is anything installed or compressed again?"""
    folder = bench.folder("node")
    source = folder / "src/one"
    source.mkdir(parents=True)
    (source / "package.json").write_text(
        '{"private": true, "dependencies": {"aws-cdk-lib": "2.170.0", "constructs": "10.4.2"}}'
    )
    (source / "index.js").write_text("exports.handler = async () => 1;\n")
    npm = ["npm", "install", "--package-lock-only", "--silent", "--ignore-scripts"]
    subprocess.run(npm, cwd=source, check=True)
    shutil.copytree(source, folder / "src/two")
    one = "  {0}:\n    Type: AWS::Serverless::Function\n    Properties: {{CodeUri: src/{0}, Runtime: nodejs22.x, Handler: index.handler}}\n"
    head = "Transform: AWS::Serverless-2016-10-31\nResources:\n"
    (folder / "template.yaml").write_text(head + one.format("one"))
    (folder / "dodo.py").write_text(services.DODO)
    first = once(bench.ours("doit", folder=folder))
    (folder / "src/two/index.js").write_text("exports.handler = async () => 2;\n")
    (folder / "template.yaml").write_text(head + one.format("one") + one.format("two"))
    second = once(bench.ours("doit", "zip:two", folder=folder))
    resolved = len(list((folder / "build/.lambdabuild/steps/resolve").iterdir()))
    yield Figure("node_modules, a second function with the same lock: resolutions", resolved, 1, "")
    yield Figure("its zip, of the first function's build", second.seconds / first.seconds, 0.2,
                 detail=f"{first.seconds:.2f} s, then {second.seconds:.2f} s")  # fmt: skip


def compile_template(bench: Bench) -> Iterator[Figure]:
    """A serverless.yml to CloudFormation."""
    given = ["--stage", "dev", "--region", "us-east-1"]
    for functions, events in ((1, 0), (120, 3)):
        folder = bench.folder(f"compile-{functions}")
        (folder / "serverless.yml").write_text(services.serverless(functions, events))
        (folder / "app.py").write_text("def handler(event, context):\n    return 1\n")
        taken = in_turn({
            # More resources than a stack may have: the template is written, and then refused.
            "ours": replace(bench.ours("lambdabuild", "compile", "--output", "out.json", *given, folder=folder), writes="out.json"),
            "theirs": Contestant(["node", str(peers.serverless()), "package", *given], folder, QUIET),
        }, bench.rounds)  # fmt: skip
        what = f"{functions} functions with {events} events" if functions > 1 else "one function"
        yield Figure(f"compile {what}, times faster than serverless package",
                     seconds(taken["theirs"]) / seconds(taken["ours"]), 10, more=True)  # fmt: skip


def second_clone(bench: Bench) -> Iterator[Figure]:
    """A service built with an empty home, and again elsewhere with another, from the first one's S3 cache."""
    yield from _second_clone(bench, "the sample app", services.sample_app)
    yield from _second_clone(bench, "10 functions bundled by esbuild", services.bundled)


def _second_clone(bench: Bench, what: str, make: Callable[[Path], Path]) -> Iterator[Figure]:
    taken = {}
    with services.s3() as where:
        for who in ("first", "second"):
            app = make(bench.folder(f"clone-{who}") / "app")
            home = {"HOME": str(app.parent), "XDG_CACHE_HOME": str(app.parent / ".cache"),
                    "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", os.path.expanduser("~/.rustup")),
                    # cargo-lambda and zig lie there, for the function in Rust.
                    "PATH": os.pathsep.join([bench._env({})["PATH"], os.path.dirname(sys.executable)])}  # fmt: skip
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


ROWS: tuple[Callable[[Bench], Iterator[Figure]], ...] = (
    null_of_many, against_sam, lock_to_zip, node_modules, compile_template, second_clone,
)  # fmt: skip
