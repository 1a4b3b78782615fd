"""A new kind of step is a module and a row: everything that walks the graph knows it."""

from __future__ import annotations

import sys

import pytest
from sandbox import Ran, Sandbox

LINT = """
import os, sys
from lambdabuild.cli.main import main
from lambdabuild.engine.base.outputs import Output
from lambdabuild.engine.base.receipts import StepOutput
from lambdabuild.engine.base.step_kind import StepKind
from lambdabuild.engine.steps.kinds import KINDS
from lambdabuild.plan.steps import Step


def planned(plan, left_out):
    return (Step("lint", build.name, (f"copy:{build.name}",), build.name) for build in plan.builds)


def inputs(run, name):
    return {f"step:copy:{name}": str(run.saved(f"copy:{name}").get("output", "not built"))}


def outputs(run, name):
    yield Output(os.path.join(run.project.build_dir, name + ".lint"))


def write(run, name):
    with open(os.path.join(run.project.build_dir, name + ".lint"), "w") as report:
        report.write("clean\\n")
    return StepOutput("clean")


def restore(run, name, entry):
    return bool(write(run, name))


def is_intact(run, name, values):
    return os.path.exists(os.path.join(run.project.build_dir, name + ".lint"))


KINDS["lint"] = StepKind(title="lint {}", planned=planned, inputs=inputs, run=write, usual_ms=40, outputs=outputs,
                         restore=restore, is_intact=is_intact)
sys.exit(main(sys.argv[1:]))
"""
TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.12, Handler: app.handler, CodeUri: orders}
"""


@pytest.fixture
def app(tmp_path) -> Sandbox:
    handler = "def handler(event, context):\n    return 1\n"
    return Sandbox(tmp_path).write({"template.yaml": TEMPLATE, "orders/app.py": handler, "lint.py": LINT})


def run(app: Sandbox, *arguments: str) -> Ran:
    cache = {"LAMBDABUILD_CACHE__ENABLED": "true", "XDG_CACHE_HOME": str(app.path("cache"))}
    return app.command([sys.executable, "lint.py", *arguments], env=cache)


def test_a_kind_that_one_row_adds_is_known_to_every_command(app: Sandbox) -> None:
    assert len(LINT.strip().splitlines()) < 40

    first = run(app)
    assert first.code == 0, first.said
    assert "lint:Orders" in first.out
    assert app.path("build/Orders.lint").read_text() == "clean\n"
    assert "lint   " in run(app, "list").out
    assert "lint:Orders" in run(app, "info", "lint:Orders").out
    assert "-> lint:Orders" in run(app, "plan").out
    assert "lint:Orders  is up to date" in run(app, "why", "Orders").out
    assert run(app).out == "nothing to do: 1 function up to date\n"


def test_it_is_fresh_stale_and_repaired_like_any_other(app: Sandbox) -> None:
    run(app)
    app.append("orders/app.py", "# edited\n")
    assert "lint:Orders  would run" in run(app, "why", "Orders").out.replace("runs if the result of", "would run")
    assert "lint:Orders" in run(app).out

    app.path("build/Orders.lint").unlink()
    assert "what it made is gone" in run(app, "why", "Orders").out
    assert "lint:Orders" in run(app, "-a").out
    assert app.path("build/Orders.lint").exists()


def test_a_cache_brings_it_back_and_clean_removes_it(app: Sandbox) -> None:
    run(app)
    assert run(app, "clean").code == 0
    assert not app.path("build/Orders.lint").exists()
    assert "lint:Orders  " in run(app).out and app.path("build/Orders.lint").exists()
    assert "restored from" in run(app, "why", "Orders").out.partition("lint:Orders")[2]


def test_shards_count_what_it_costs(app: Sandbox) -> None:
    with_lint = run(app, "plan", "--shard", "1/1", "--format", "json").out
    assert "build:Orders" in with_lint
