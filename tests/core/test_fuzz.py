"""Thousands of broken inputs in one process: each is read or refused with a code, soon, and in little memory.

Nothing is built and nothing on the real tree is written: what is fuzzed is read from memory or a folder of the test's own.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lambdabuild.api import json_rpc as rpc
from lambdabuild.artifacts.trees import TreeRecord
from lambdabuild.config import loader
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.engine.base import receipts, snapshot
from lambdabuild.engine.base.journal import Journal
from lambdabuild.engine.noop import plan_cache
from lambdabuild.files.listing import Patterns
from lambdabuild.files.stat_cache import StatCache
from lambdabuild.frontends.sam import reader as sam_reader
from lambdabuild.frontends.serverless import reader
from lambdabuild.frontends.yaml_text import parse_any

SECONDS, MEGABYTES = 5, 500
ROUNDS = 1000
SAM = """\
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Parameters: {Stage: {Type: String, Default: dev}, Names: {Type: CommaDelimitedList, Default: "a, b"}}
Mappings: {M: {dev: {dir: src}}}
Conditions: {IsDev: !Equals [!Ref Stage, dev], Both: !And [!Condition IsDev, !Not [!Condition IsDev]]}
Globals: {Function: &g {Runtime: python3.11, Handler: app.handler, Timeout: 3}}
Resources:
  A:
    Type: AWS::Serverless::Function
    Properties: {<<: *g, CodeUri: !Sub "src/${Stage}", Layers: [!Ref L], Architectures: [arm64]}
    Metadata: {BuildMethod: makefile, BuildProperties: {a: [1, 2.5, null]}}
  B:
    Type: AWS::Lambda::Function
    Properties: {Runtime: !If [IsDev, nodejs22.x, go1.x], Handler: a.b, Code: !FindInMap [M, !Ref Stage, dir]}
  L: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: !Join ['/', [src, !Select [0, !Ref Names]]]}}
  S: {Type: AWS::Serverless::StateMachine, Properties: {DefinitionUri: s.json}, DependsOn: [A]}
  Fn::ForEach::Each: [N, [X, Y], {"E${N}": {Type: AWS::Serverless::Function, Properties: {CodeUri: !Sub "${N}"}}}]
"""
SERVERLESS = """\
service: shop
provider: {name: aws, runtime: python3.11, memorySize: 512, environment: {A: "${self:custom.a}"}}
custom: {a: "${opt:x, 'y'}", b: "${file(./other.yml):k.1, self:custom.a}", c: ["${strToBool('true')}", 0x1F]}
package: {patterns: ['!**', 'src/**']}
functions:
  one: {handler: src/app.handler, events: [{httpApi: 'GET /a'}, {schedule: rate(1 hour)}, {sqs: {arn: 'arn:aws:sqs:a:1:q'}}]}
  two: {handler: src/app.other, timeout: 6, layers: [{Ref: DepsLambdaLayer}]}
layers: {deps: {path: src}}
resources: {Resources: {T: {Type: AWS::SNS::Topic}}}
"""
SETTINGS = """\
build_dir = "out"
exclude = ["*.md", "!keep.md"]
[functions.A]
exclude = ["tests/"]
options = {a = 1, b = [1.5, true]}
[commands.A]
run = "make"
[layers.deps]
source = "src"
runtimes = ["python3.11"]
[cache]
max_size = "5 GB"
[parameters]
Stage = "dev"
"""
IGNORE = "*.pyc\n/build\n!keep/**/x\n[a-c]?.txt\nfolder/\n# comment\n\\!odd\n**/node_modules\n"
REQUEST = json.dumps({
    "jsonrpc": "2.0", "id": 1, "method": "LambdaBuilder.build",
    "params": {
        "__protocol_version": "0.3", "supported_workflows": [], "source_dir": "s", "artifacts_dir": "a", "scratch_dir": "t",
        "manifest_path": "m", "runtime": "python3.11", "optimizations": {}, "options": {"a": [1]}, "mode": None,
        "capability": {"language": "python", "dependency_manager": "pip", "application_framework": None},
        "executable_search_paths": ["x"], "download_dependencies": True, "dependencies_dir": None, "architecture": "x86_64",
    },
})  # fmt: skip
STATE = json.dumps({"components": {"a": "1"}, "output": "x", "reads": {}, "folders": {}, "result": {}})
TOKENS = [
    "!", "\\", "[", "]", "{", "}", "{{", "&a ", "*a", "<<: ", "!Ref ", "!Sub ", "!GetAtt ", "!!float ", "!!int ", "${", "${self:",
    "${file(./serverless.yml)}", "${file(other.yml)}", "\x00", "\\u0000", "\\ud800", "\t", "\r", "\ufeff", "\u2028", "9" * 5000,
    "0x" + "f" * 400, "1e999", ".nan", "-", "[z-a]", "a" * 300, "(" * 50, "'", '"', ": ", ", ", "null", "true", "~", "\n", "é", "- ",
    "[" * 200, "Fn::If", "Condition", "../", "/", "%", "#", "=", "|", ">", "?", "@", "`",
]  # fmt: skip


class Memory:
    """The only disk that templates are read from."""

    project = "/nowhere"
    runs_programs = False

    def __init__(self, text: str) -> None:
        self.files = {"template.yaml": text, "serverless.yml": text, "other.yml": "k: [1, '${self:service}']\n"}

    def read(self, path: str) -> str:
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]

    text = read

    def real(self, path: str) -> str:
        return path

    def kind(self, path: str) -> Any:
        return "file" if path in self.files else "folder"

    def names(self, folder: str) -> frozenset[str]:
        return frozenset(self.files)


def mutated(text: str, chance: random.Random) -> str:
    """A text with a few pieces removed, doubled, moved or replaced."""
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice((0, 1, 1, 5, 30)))
        piece = text[start:end]
        new = chance.choice(("", piece * 2, chance.choice(TOKENS), chance.choice(TOKENS), piece[::-1]))
        text = text[:start] + new + text[end:]
    return text


def read_sam(text: str, folder: Path) -> None:
    sam_reader.load("template.yaml", Memory(text))


def read_serverless(text: str, folder: Path) -> None:
    from lambdabuild.frontends.serverless.environment import Outside

    files = Memory(text)
    outside = Outside(files, {}, {}, lambda: None, True)  # type: ignore[arg-type, return-value]
    reader.load("serverless.yml", text, files, outside, reader.RunOptions("", "", {}, {}))  # type: ignore[arg-type]


def read_settings(text: str, folder: Path) -> None:
    loader.load("lambdabuild.toml", text, {}, {})


def read_ignore(text: str, folder: Path) -> None:
    found = Patterns(text.splitlines())
    for path in ("a/b.pyc", "build", "keep/x", "é/ü.txt", "a" * 200):
        found.leaves_out(path, path.rpartition("/")[2], False)


def read_state(text: str, folder: Path) -> None:
    file = folder / ".lambdabuild" / "state"
    file.parent.mkdir(exist_ok=True)
    data = text.encode("utf-8", "surrogatepass")
    for name, mark in (("snapshot", snapshot.MARK), ("plan", plan_cache.MARK), ("state", "lambdabuild stats 5")):
        file.with_name(name).write_bytes(mark.encode() + b"\n" + data)
    file.with_name("journal").write_bytes(b"zip:A\t_values_:\t" + data + b"\n" + data)
    snapshot.read(str(folder), {}, {})
    plan_cache.read(str(folder), "x")
    StatCache(str(file))
    Journal(str(file.with_name("journal"))).record("zip:A")
    file.write_bytes(data)
    receipts.read(str(file))
    TreeRecord.read(str(file))


def read_json(text: str, folder: Path) -> None:
    parse_any("x.json", text)


def answer(text: str, folder: Path) -> None:
    """Everything up to the build, which is not begun: a path that is fuzzed reaches no disk."""
    response = rpc.respond(text.encode("utf-8", "surrogatepass"), lambda params: None)
    json.dumps(response, allow_nan=False)
    assert response.get("error", {}).get("code") != rpc.BROKEN, response


def peak_from_now() -> int:
    """The megabytes this process has now; its peak begins anew (proc(5), clear_refs), for other tests ran in it before."""
    Path("/proc/self/clear_refs").write_text("5")
    return megabytes("VmRSS")


def megabytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) // 1024


@pytest.mark.parametrize(
    ("seed", "read"),
    [(SAM, read_sam), (SERVERLESS, read_serverless), (SETTINGS, read_settings), (IGNORE, read_ignore), (STATE, read_state),
     (STATE, read_json), (REQUEST, answer)],
    ids=["sam", "serverless", "settings", "ignore files", "state", "json", "rpc"],
)  # fmt: skip
def test_broken_input_is_read_or_refused_with_a_code(
    seed: str, read: Callable[[str, Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(int(os.environ.get("FUZZ_SEED", "15")))
    before = peak_from_now()
    began, slowest, ends = time.process_time(), 0.0, Counter[str]()
    read(seed, tmp_path)  # what is mutated is good
    rounds = int(os.environ.get("FUZZ_ROUNDS", ROUNDS))
    for _ in range(rounds if read is not read_serverless else rounds // 4):
        text = mutated(seed, chance)
        start = time.process_time()
        try:
            read(text, tmp_path)
            ends["read"] += 1
        except LambdaBuildError as error:
            assert "LB" in str(error)
            ends["refused"] += 1
        except Exception as error:
            raise AssertionError(f"{type(error).__name__} for {text!r}") from error
        slowest = max(slowest, time.process_time() - start)
    grown = megabytes("VmHWM") - before
    with capsys.disabled():
        print(
            f"\n{read.__name__}: {ends.total()} inputs, {ends['read']} read, {ends['refused']} refused, 0 tracebacks; "
            f"slowest {slowest:.2f} s, {grown} MB more at most; {time.process_time() - began:.0f} s"
        )
    assert slowest < SECONDS
    assert grown < MEGABYTES
