"""``lambdabuild rpc``: what is asked, what is answered, and that nothing else is ever said on standard output."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jail
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambdabuild.api import json_rpc as rpc
from lambdabuild.api.workflows import WORKFLOWS

# The watchdog over tools (lambdabuild.core.tools) lives as long as this process, and is waited for by nobody.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PARSE_ERROR, NO_REQUEST, NO_METHOD, BAD_PARAMS = -32700, -32600, -32601, -32602


def nothing(_: object) -> None:
    """A build that does nothing."""


def valid(**more: object) -> dict[str, Any]:
    params = {
        "__protocol_version": "0.3",
        "capability": {"language": "python", "dependency_manager": "pip", "application_framework": None},
        "source_dir": "s", "artifacts_dir": "a", "scratch_dir": "t", "manifest_path": "s/requirements.txt",
        "runtime": "python3.12", "optimizations": None, "options": None,
    }  # fmt: skip
    return {"jsonrpc": "2.0", "id": 7, "method": "LambdaBuilder.build", "params": params | more}


def answer(request: object) -> dict[str, Any]:
    return rpc.respond(request if isinstance(request, str | bytes) else json.dumps(request), nothing)


def code(request: object) -> int | None:
    return answer(request).get("error", {}).get("code")


def test_a_request_is_answered_with_the_folder_as_it_was_named() -> None:
    assert answer(valid()) == {"jsonrpc": "2.0", "id": 7, "result": {"artifacts_dir": "a"}}
    assert answer({**valid(), "id": "seven"})["id"] == "seven"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"", PARSE_ERROR),
        (b"{", PARSE_ERROR),
        (b"\xff\xfe", PARSE_ERROR),
        (b"[" * 100_000, PARSE_ERROR),
        (b'{"id": NaN}', PARSE_ERROR),
        (b'{"id": 1e999}', PARSE_ERROR),
        (b"9" * 5000, PARSE_ERROR),
        (b"1", NO_REQUEST),
        (b"null", NO_REQUEST),
        ([valid()], NO_REQUEST),
        ({"method": "LambdaBuilder.build", "params": {}}, NO_REQUEST),
        ({"id": 1, "params": {}}, NO_REQUEST),
        ({"id": 1, "method": "LambdaBuilder.build"}, NO_REQUEST),
        ({**valid(), "id": {"a": 1}}, NO_REQUEST),
        ({**valid(), "method": "LambdaBuilder.clean"}, NO_METHOD),
        ({**valid(), "method": 1}, NO_METHOD),
        ({**valid(), "params": []}, BAD_PARAMS),
        ({**valid(), "params": None}, BAD_PARAMS),
    ],
)
def test_what_is_no_request_has_the_codes_of_json_rpc(request_: object, expected: int) -> None:
    assert code(request_) == expected


@pytest.mark.parametrize("version", ["0.1", "0.2", "0.3", "0.03", "0.0"])
def test_versions_up_to_0_3_are_understood(version: str) -> None:
    assert code(valid(__protocol_version=version)) is None


@pytest.mark.parametrize("version", ["0.4", "0.10", "1.0", "1", "0x3", "", None, 0.3, 3, "0.3.1", " 0.3", "٠.٣", []])  # noqa: RUF001  # digits of another script
def test_other_versions_are_refused(version: object) -> None:
    assert answer(valid(__protocol_version=version))["error"] == {
        "code": 505,
        "message": "Unsupported Protocol Version",
    }


def test_a_missing_version_is_refused() -> None:
    request = valid()
    del request["params"]["__protocol_version"]
    assert code(request) == 505


@pytest.mark.parametrize("name", rpc.NEEDED)
def test_a_missing_parameter_is_named(name: str) -> None:
    request = valid()
    del request["params"][name]
    found = answer(request)
    assert found["id"] == 7
    assert found["error"]["code"] == BAD_PARAMS
    assert f"{name} is missing" in found["error"]["message"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("capability", "python"),
        ("capability", {"language": "python"}),
        ("capability", {"language": None, "dependency_manager": None, "application_framework": None}),
        ("source_dir", 1),
        ("source_dir", ""),
        ("source_dir", None),
        ("source_dir", "a\0b"),
        ("artifacts_dir", "\ud800"),
        ("manifest_path", []),
        ("runtime", 3.12),
        ("options", []),
        ("options", "mode"),
        ("optimizations", 1),
        ("executable_search_paths", "/bin"),
        ("executable_search_paths", [1]),
        ("mode", True),
        ("download_dependencies", "false"),
        ("combine_dependencies", 0),
        ("dependencies_dir", False),
        ("architecture", ["arm64"]),
        ("is_building_layer", "yes"),
        ("experimental_flags", {}),
        ("build_in_source", 1),
        ("supported_workflows", [None]),
    ],
)
def test_a_parameter_of_another_type_is_named(name: str, value: object) -> None:
    found = answer(valid(**{name: value}))["error"]
    assert found["code"] == BAD_PARAMS
    assert f"{name} is to be " in found["message"]


@pytest.mark.parametrize("flags", ["experimentalBuildPerformance", "", [], ["a", "b"], None])
def test_experimental_flags_are_a_text_too(flags: object) -> None:
    assert "result" in answer(valid(experimental_flags=flags))


def test_null_is_the_default_and_what_is_not_known_is_passed_over() -> None:
    asked: list[dict[str, Any]] = []
    optional = dict.fromkeys(set(rpc.PARAMETERS) - set(rpc.NEVER_NULL))
    rpc.respond(json.dumps(valid(**optional, from_the_future=1)), asked.append)  # type: ignore[arg-type]

    assert set(asked[0]) == set(rpc.NEEDED)


@pytest.mark.parametrize(
    "error", [RuntimeError("odd"), SystemExit(3), RecursionError(), MemoryError(), OSError(28, "full")]
)
def test_whatever_breaks_is_an_answer(error: BaseException) -> None:
    def build(_: object) -> None:
        raise error

    assert rpc.respond(json.dumps(valid()), build)["error"]["code"] == 500


def test_the_page_tells_every_parameter_and_workflow_and_its_request_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/rpc.md").read_text()
    rows = [name for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    asked: list[Any] = []
    rpc.respond(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0], asked.append)

    assert sorted(rows) == sorted(set(rpc.PARAMETERS) - {"capability"})
    assert asked[0]["runtime"] == "python3.12"
    assert all(workflow.name in page for workflow in WORKFLOWS.values())


# what a fuzzer finds

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KNOWN = st.sampled_from([*rpc.PARAMETERS, "__protocol_version", "unknown"])
REQUESTS = st.builds(
    lambda outer, inner: {**valid(), **outer, **({} if "params" in outer else {"params": valid()["params"] | inner})},
    st.dictionaries(st.sampled_from(["jsonrpc", "jsonschema", "id", "method", "params"]), JSON, max_size=2),
    st.dictionaries(KNOWN, JSON | st.sampled_from(["0.1", "0.3", "python", "", "/", "\0", True]), max_size=4),
)
INPUTS = st.text() | st.binary() | JSON.map(json.dumps) | REQUESTS.map(json.dumps)
CODES = {400, 500, 505, PARSE_ERROR, NO_REQUEST, NO_METHOD, BAD_PARAMS}


@given(INPUTS)
@settings(max_examples=1500, deadline=None)
def test_every_input_has_one_response(given_: str | bytes) -> None:
    response = rpc.respond(given_, nothing)

    assert json.loads(json.dumps(response, allow_nan=False)) == response
    assert set(response) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
    assert response.get("error", {}).get("code", 400) in CODES


@pytest.fixture(scope="module")
def prison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[jail.Jail]:
    """Where a request that names the root folder does no harm, whoever runs the tests."""
    prison = jail.Jail(tmp_path_factory.mktemp("prison"))
    yield prison
    prison.close()


def answered(prison: jail.Jail, raw: bytes) -> dict[str, Any]:
    """The one answer to a request, after which everything that was there is as it was."""
    place = prison.folder / "place"
    if not place.exists():
        (place / "src").mkdir(parents=True)
        (place / "theirs").mkdir()
        for name in ("a-file", "src/requirements.txt", "src/app.py", "theirs/keep.txt"):
            (place / name).write_text("# kept\n")
    before = jail.content(place)
    ran = prison.run("rpc", cwd=place, stdin=raw)
    assert "Traceback" not in ran.err, ran.err
    assert jail.lost(before, jail.content(place)) == [], raw
    response: dict[str, Any] = json.loads(ran.out)
    assert "result" in response or response["error"]["code"] in CODES
    return response


SOURCES = ["nowhere/at all", ".", "src", "a-file", "a-file/below", "x" * 300, "/proc/nowhere", "ü\n"]
ODD = [*SOURCES, "/", "/usr", "/etc", "..", "theirs", "home", "/proc", "/dev/null", "src/..", "./theirs/../src"]


@given(st.fixed_dictionaries(
    {
        **{name: st.sampled_from(SOURCES) for name in ("source_dir", "manifest_path")},
        **{name: st.sampled_from(ODD) for name in ("artifacts_dir", "scratch_dir")},
    },
    optional={
        "dependencies_dir": st.sampled_from(ODD),
        "runtime": st.text() | st.sampled_from(["provided", "python3.12", "nodejs22.x"]) | st.none(),
        "options": st.dictionaries(st.sampled_from(["build_logical_id", "mode", "entry_points", "external"]), JSON),
        "architecture": st.sampled_from(["arm64", "", "mips"]),
        "executable_search_paths": st.lists(st.sampled_from(ODD), max_size=2),
        "experimental_flags": st.lists(st.text()),
        "build_in_source": st.booleans(),
        "capability": st.sampled_from(
            [("python", "pip"), ("go", "modules"), ("provided", None), ("nodejs", "npm-esbuild"), ("\0", "")]
        ).map(lambda pair: {"language": pair[0], "dependency_manager": pair[1], "application_framework": None}),
    },
))  # fmt: skip
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_build_of_nonsense_is_an_answer_too_and_takes_nobodys_files(prison: jail.Jail, more: dict[str, Any]) -> None:
    answered(prison, json.dumps(valid(**more)).encode())


@pytest.mark.parametrize(
    "raw",
    [b"", b"\0\xff", b"nonsense", b"[]", b"{}", b"[" * 100_000, b'{"id": 1e400}', b'"\\ud800"', b"\xef\xbb\xbf{}"],
)
def test_standard_output_has_one_json_document_whatever_comes_in(ask: Callable[..., Any], raw: bytes) -> None:
    assert ask(raw).error[0] in CODES
    if b"\0" not in raw and len(raw) < 1000:
        assert ask(raw, as_argument=True).error[0] in CODES


def of_no_source(request: dict[str, Any]) -> bytes:
    """The same request, but of a folder that is not there: nothing is to be built of ``/``."""
    params = request["params"]
    if isinstance(params, dict) and isinstance(params.get("source_dir"), str):
        params = params | {"source_dir": "nowhere"}
    return json.dumps(request | {"params": params}).encode()


@given(st.binary() | JSON.map(json.dumps).map(str.encode) | REQUESTS.map(of_no_source))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_standard_output_has_one_json_document_whatever_a_fuzzer_thinks_of(prison: jail.Jail, raw: bytes) -> None:
    answered(prison, raw)


NOISY = """
import os, subprocess, sys
from lambdabuild.rule_api import Job, Result

def compile(job: Job) -> Result:
    print("printed")
    os.write(1, b"written")
    subprocess.run(["echo", "said by a child"])
    if job.target.options.get("leaves"):
        sys.exit(0)
    return Result()
"""


def test_what_a_rule_prints_goes_to_standard_error(
    tmp_path: Path, ask: Callable[..., Any], params: Callable[..., Any], request_of: Callable[..., Any]
) -> None:
    rule = tmp_path / "rules/noisy"
    rule.mkdir(parents=True)
    (rule / "rule.toml").write_text(
        'name = "noisy"\nlanguage = "noise"\ndependency_manager = "none"\nentry = "rule.py"\n[compile]\noptions = ["leaves"]\n'
    )
    (rule / "rule.py").write_text(NOISY)
    (tmp_path / "src").mkdir()
    (tmp_path / "src/app.txt").write_text("here")

    answer = ask(request_of(params("noise/none", "none", "provided")))
    assert answer.response["result"] == {"artifacts_dir": str(tmp_path / "artifacts")}
    assert (tmp_path / "artifacts/app.txt").read_text() == "here"
    assert all(words in answer.logs for words in ("printed", "written", "said by a child"))
    assert ask(request_of(params("noise/none", "none", "provided", options={"leaves": True}))).error[0] == 500


def test_logs_have_the_level_that_is_asked_for(tmp_path: Path, ask: Callable[..., Any], params: Callable[..., Any], request_of: Callable[..., Any]) -> None:  # fmt: skip
    (tmp_path / "src").mkdir()
    (tmp_path / "src/app.py").write_text("")
    request = request_of(params("python/pip", "requirements.txt", "python3.12", build_in_source=True))

    for level, expected in (
        ("20", {"Running", "building in source"}),
        ("WARNING", {"building in source"}),
        ("50", set()),
    ):
        logs = ask(request, env={"LAMBDA_BUILDERS_LOG_LEVEL": level}).logs
        assert {words for words in ("Running", "building in source") if words in logs} == expected


def test_a_process_without_standard_streams_ends_quietly(tmp_path: Path) -> None:
    for closed, expected in (("<&-", 1), (">&-", 1), ("2>&-", 1), (">/dev/full", 1)):
        command = f'"$0" -m lambdabuild rpc {closed}'
        done = subprocess.run(
            ["sh", "-c", command, sys.executable], stdin=subprocess.DEVNULL, capture_output=True, cwd=tmp_path
        )
        assert done.returncode == expected
        assert b"Traceback" not in done.stderr
        assert closed.startswith(">") or json.loads(done.stdout)["error"]["code"] == PARSE_ERROR
