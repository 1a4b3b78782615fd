"""Steps that are run by an engine on other machines leave what they would leave here, whatever happens to the engine."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cache_servers import free_port
from clones import Clone, really_run
from engines import SENT, Engine, engine, until
from sandbox import Ran, sample_app

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Made:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: makefile}
    Properties: {Runtime: python3.11, Handler: app.handler, CodeUri: made}
  Packed: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.11, Handler: app.handler, CodeUri: packed}}
"""
FILES = {
    "template.yaml": TEMPLATE,
    "made/Makefile": 'build-Made:\n\tcp app.py "$(ARTIFACTS_DIR)"\n\tln -s app.py "$(ARTIFACTS_DIR)/same.py"\n',
    "made/app.py": "x = 1\n",
    "packed/app.py": "import idna\n",
    "packed/requirements.txt": "idna==3.10\n",
    "lambdabuild.toml": "[options]\nbytecode = true\n",
}


SLOW = {"made/Makefile": 'build-%:\n\tsleep 4\n\tcp app.py "$(ARTIFACTS_DIR)"\n'}
MADE = TEMPLATE[TEMPLATE.index("  Made") : TEMPLATE.index("  Packed")]
TWO_MADE = f"Transform: AWS::Serverless-2016-10-31\nResources:\n{MADE}{MADE.replace('Made:', 'MadeToo:')}"


@pytest.fixture(scope="module")
def casd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with engine(tmp_path_factory.mktemp("casd") / "engine") as made:
        yield made


@pytest.fixture
def clone(tmp_path: Path) -> Callable[..., Clone]:
    def make(name: str, **env: str) -> Clone:
        return Clone(tmp_path / name / "app", tmp_path / "home", LAMBDABUILD_CACHE__ENABLED="false", **env)

    return make


def small(app: Clone, files: dict[str, str] | None = None) -> Clone:
    app.write({**FILES, **(files or {})})
    return app


def ran_on(ran: Ran, engine: Engine) -> list[str]:
    return sorted(event["task"] for event in ran.events if event.get("executor") == engine.address)


@pytest.mark.slow
def test_the_sample_app_is_compiled_on_an_engine_to_the_same_bytes(casd: Engine, tmp_path: Path) -> None:
    there, here = (
        Clone(sample_app(tmp_path / name / "app").folder, tmp_path / "home", **more)
        for name, more in (("there", casd.environment), ("here", {}))
    )
    sent = there.build()

    assert ran_on(sent, casd) == [f"compile:{name}" for name in SENT]
    assert sent.summary["warnings"] == []
    assert there.build().steps == []
    # What an engine made is found here by who has none: the keys are the same.
    restored = here.build()
    assert really_run(restored) == []
    assert here.zips() == there.zips()
    alone = Clone(sample_app(tmp_path / "alone/app").folder, tmp_path / "home", LAMBDABUILD_CACHE__ENABLED="false")
    ran = alone.build(*SENT)
    assert [step for step in ran.steps if step.startswith("compile")] == [f"compile:{name}" for name in SENT]
    assert alone.zips().items() <= there.zips().items()


def test_links_modes_and_bytecode_come_back_as_they_were_made(casd: Engine, clone: Callable[..., Clone]) -> None:
    there, here = small(clone("there", **casd.environment)), small(clone("here"))

    assert ran_on(there.build(), casd) == ["compile:Made", "compile:Packed"]
    here.build()
    assert there.zips() == here.zips()
    assert there.run("why", "Made", env=there.env).out.splitlines()[0] == "compile:Made  is up to date"


def test_zips_are_made_there_when_they_are_asked_for(casd: Engine, clone: Callable[..., Clone]) -> None:
    there = small(clone("there", **casd.environment, LAMBDABUILD_EXECUTOR__STEPS="compile,zip"))
    here = small(clone("here"))
    large = bytes(range(256)) * 70_000  # longer than what is held in memory
    for app in (there, here):
        app.write({"packed/data.bin": large})
    sent = there.build()
    here.build()

    assert ran_on(sent, casd) == ["compile:Made", "compile:Packed", "zip:Made", "zip:Packed"]
    assert there.zips() == here.zips()
    assert there.build().steps == []
    # What a worker packed is not packed again here.
    there.append("packed/app.py", "# edited\n")
    here.append("packed/app.py", "# edited\n")
    there.env["LAMBDABUILD_EXECUTOR__STEPS"] = "compile"
    assert ran_on(there.build(), casd) == ["compile:Packed"]
    here.build()
    assert there.zips() == here.zips()


def test_more_steps_are_on_their_way_than_work_here(casd: Engine, clone: Callable[..., Clone]) -> None:
    app = small(clone("app", **casd.environment, LAMBDABUILD_JOBS="1"), SLOW | {"template.yaml": TWO_MADE})
    process = app.start("build", env=app.env)
    until(lambda: len(casd.running("sleep")) == 2, 60)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_mistake_is_told_as_it_is_told_here(casd: Engine, clone: Callable[..., Clone]) -> None:
    bare = (
        "  Bare: {Type: AWS::Serverless::Function, Properties: {Runtime: provided.al2023, Handler: x, CodeUri: bare}}\n"
    )
    broken = {"made/Makefile": "build-Other:\n\ttrue\n", "bare/main.go": "x\n", "template.yaml": TEMPLATE + bare}
    told = []
    for app in (small(clone("there", **casd.environment), broken), small(clone("here"), broken)):
        ran = app.run("build", "Bare", "Made", "keep_going=true", "--format", "json", env=app.env)
        failed = {event["task"]: event["error"] for event in ran.events if event["event"] == "fail"}
        assert "No rule to make target" in failed["compile:Made"].pop("tail")
        told.append(failed)

    there, here = told
    assert there == here
    assert there["compile:Made"]["where"] == [{"file": "made/Makefile", "line": 1, "column": 1}]
    assert there["compile:Bare"]["message"] == "function 'Bare' has no bootstrap, and main.go must be built"


def test_only_the_named_rules_go_and_a_secret_stays(casd: Engine, clone: Callable[..., Clone]) -> None:
    one = small(clone("one", **casd.environment, LAMBDABUILD_EXECUTOR__ONLY="python_pip"))
    assert ran_on(one.build(), casd) == ["compile:Packed"]

    token = "not-to-be-seen-by-anybody"
    secret = small(clone("two", **casd.environment, API_TOKEN=token))
    secret.write({"lambdabuild.toml": "[functions.Made.options]\nenvironment = ['API_TOKEN']\n"})
    assert ran_on(secret.build("Made"), casd) == []
    assert not any(token.encode() in file.read_bytes() for file in casd.folder.rglob("*") if file.is_file())

    wrong = small(clone("three", **casd.environment, LAMBDABUILD_EXECUTOR__ONLY="rust_cargo,custom_mak"))
    said = wrong.run("build", env=wrong.env)
    assert said.code and "LB107" in said.said and "'rust_cargo', a rule that runs here only" in said.said


def test_without_the_engine_all_is_run_here_and_told_once(clone: Callable[..., Clone]) -> None:
    app = small(clone("app", LAMBDABUILD_EXECUTOR=f"grpc://127.0.0.1:{free_port()}"))
    began = time.monotonic()
    ran = app.build()

    assert len(ran.summary["warnings"]) == 1 and "LB640" in ran.summary["warnings"][0]
    assert [step for step in ran.steps if step.startswith("compile")] == ["compile:Made", "compile:Packed"]
    assert time.monotonic() - began < 60
    assert app.build().steps == []
    # What changed is a question to nobody but git.
    app.command(["sh", "-c", "git init -q && git add -A && git -c user.name=x -c user.email=x@x commit -qm x"])
    app.append("made/app.py", "y = 2\n")
    affected = app.run("affected", "--since", "HEAD", env=app.env)
    assert (affected.out, affected.err) == ("Made\n", "")


@pytest.mark.parametrize(
    ("name", "file", "words"),
    [
        ("ca_file", "ca.pem", "No such file or directory"),
        ("ca_file", "made", ""),
        ("client_certificate", "keys/client.pem", "No such file or directory"),
        ("client_key", "made/app.py/key.pem", "Not a directory"),
    ],
)
def test_a_wrong_file_of_certificates_is_told_as_the_executors_and_all_is_run_here(
    name: str, file: str, words: str, clone: Callable[..., Clone]
) -> None:
    app = small(clone("app", LAMBDABUILD_EXECUTOR=f"grpcs://127.0.0.1:{free_port()}"))
    app.env[f"LAMBDABUILD_EXECUTOR__{name.upper()}"] = file
    ran = app.build("Made")
    (warning,) = ran.summary["warnings"]
    assert "LB640" in warning and f"{file}, which executor.{name} names: {words}" in warning
    assert "correct the path in [executor]" in warning and "[cache]" not in ran.said
    assert "compile:Made" in ran.steps


def test_what_the_workers_lack_is_run_here(clone: Callable[..., Clone], tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python3").symlink_to(f"{sys.base_prefix}/bin/python3")
    with engine(tmp_path / "engine", {str(programs): "/only"}) as made:
        app = small(clone("app", **{**made.environment, "LAMBDABUILD_EXECUTOR__ENVIRONMENT__PATH": "/only"}))
        ran = app.build()

        assert ran_on(ran, made) == ["compile:Packed"]
        assert "compile:Made" in ran.steps and ran.summary["warnings"] == []

        app.append("packed/app.py", "y = 2\n")
        app.env["LAMBDABUILD_EXECUTOR__ENVIRONMENT__PATH"] = "/nowhere"
        ran = app.build()
        assert "compile:Packed" in ran.steps and ran_on(ran, made) == []
        assert len(ran.summary["warnings"]) == 1 and "python3 of 3.11" in ran.summary["warnings"][0]


def test_an_action_whose_worker_dies_is_run_again(tmp_path: Path, clone: Callable[..., Clone]) -> None:
    with engine(tmp_path / "engine") as made:
        app = small(clone("app", **made.environment), SLOW)
        process = app.start("build", "Made", "--format", "json", env=app.env)
        for worker in until(lambda: made.running("sleep") and made.running("buildbox-run"), 60):
            worker.kill()
        out, _ = process.communicate(timeout=120)

    events = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 0, out
    assert [event["task"] for event in events if event.get("executor") == made.address] == ["compile:Made"]
    assert events[-1]["warnings"] == []


def test_an_engine_that_is_started_anew_is_asked_again(tmp_path: Path, clone: Callable[..., Clone]) -> None:
    with engine(tmp_path / "engine") as made:
        app = small(clone("app", **made.environment), SLOW)
        process = app.start("build", "Made", "--format", "json", env=app.env)
        until(lambda: made.running("sleep"), 60)
        made.stop()
        time.sleep(1)
        made.start()
        out, _ = process.communicate(timeout=120)

        events = [json.loads(line) for line in out.splitlines()]
        assert process.returncode == 0, out
        assert [event["task"] for event in events if event.get("executor") == made.address] == ["compile:Made"]
        assert app.zips().keys() == {"Made.zip"}


def test_what_is_interrupted_does_not_go_on_elsewhere(tmp_path: Path, clone: Callable[..., Clone]) -> None:
    with engine(tmp_path / "engine") as made:
        app = small(clone("app", **made.environment), {"made/Makefile": "build-Made:\n\tsleep 300\n"})
        process = app.start("build", "Made", env=app.env)
        until(lambda: made.running("sleep"), 60)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)

        until(lambda: not made.running("sleep"), 30)
