"""Functions in Node.js and TypeScript."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from bench import peers
from bench.figures import Bench, Figure
from bench.measure import Contestant, in_turn, once, seconds
from bench.services import node, plain


def second_function(bench: Bench) -> Iterator[Figure]:
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
    (folder / "dodo.py").write_text(plain.DODO)
    first = once(bench.ours("doit", folder=folder))
    (folder / "src/two/index.js").write_text("exports.handler = async () => 2;\n")
    (folder / "template.yaml").write_text(head + one.format("one") + one.format("two"))
    second = once(bench.ours("doit", "zip:two", folder=folder))
    resolved = len(list((folder / "build/.lambdabuild/steps/resolve").iterdir()))
    yield Figure("node_modules, a second function with the same lock: resolutions", resolved, 1, "")
    yield Figure("its zip, of the first function's build", second.seconds / first.seconds, 0.2,
                 detail=f"{first.seconds:.2f} s, then {second.seconds:.2f} s")  # fmt: skip


def npm(bench: Bench) -> Iterator[Figure]:
    """Functions with thirty packages each."""
    count = bench.sized(20)
    yield _cold(bench, node.write_npm, count, f"cold build of {count} npm functions with 30 packages", 5)


def esbuild(bench: Bench) -> Iterator[Figure]:
    """Functions in TypeScript, bundled."""
    count = bench.sized(20)
    yield _cold(bench, node.write_esbuild, count, f"cold build of {count} esbuild bundles", 8)


def _cold(bench: Bench, write: Callable[[Path, int], Path], count: int, what: str, goal: float) -> Figure:
    """Warm package caches: the first round, which does not count, fills them."""
    ours, theirs = (write(bench.folder(who), count) for who in ("ours", "theirs"))
    taken = in_turn(cold(bench, ours, theirs), bench.few)
    return Figure(f"{what}, warm package caches, times faster than sam build",
                  seconds(taken["sam"]) / seconds(taken["ours"]), goal, more=True,
                  detail=f"{seconds(taken['ours']):.2f} s against {seconds(taken['sam']):.2f} s")  # fmt: skip


def cold(bench: Bench, ours: Path, theirs: Path) -> dict[str, Contestant]:
    """Builds that begin without an output folder. ``sam build`` needs esbuild on PATH; both get the same."""
    path = os.pathsep.join([bench.env({})["PATH"], str(peers.esbuild())])
    build = bench.ours("lambdabuild", folder=ours, PATH=path)
    sam = Contestant([str(peers.sam()), "build", "--cached", "--parallel"], theirs, bench.env({"PATH": path}))
    return {
        "ours": replace(build, before=lambda: shutil.rmtree(ours / "build", ignore_errors=True)),
        "sam": replace(sam, before=lambda: shutil.rmtree(theirs / ".aws-sam", ignore_errors=True)),
    }
