"""One value of a good file is odd: there is a template, or an error that says where, whatever is checked.

Some thousands of such files in each mode, other ones with ``FUZZ_SEED``, more of them with ``FUZZ_ROUNDS``.
"""

from __future__ import annotations

import json
import os
import random
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import pytest
from mutations import ODD, Disk, Path, paths, put, template
from peers.serverless.event_services import EVENTS, NEWER
from peers.serverless.services import ROLES, SERVICES
from test_fuzz import SAM, SECONDS, SETTINGS

from lambdabuild.cloudformation.template_text.write import as_text
from lambdabuild.config import loader
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Node, Span, from_data, to_data
from lambdabuild.frontends.sam import reader
from lambdabuild.frontends.yaml_text import parse

ROUNDS = 1
"""Odd values for each kind of place."""


def services() -> list[Node]:
    texts = [text for group in (EVENTS, NEWER, SERVICES, ROLES) for text in group.values() if isinstance(text, str)]
    roots = [parse("serverless.yml", text, core_schema=True)[0] for text in texts if "${" not in text]
    return [one for root in roots for one in [replace(root, value=_without_mode(root))] if _is_good(one)]


def _without_mode(root: Node) -> dict[str, Node]:
    assert isinstance(root.value, dict)
    return {key: node for key, node in root.value.items() if key != "configValidationMode"}


def _is_good(root: Node) -> bool:
    try:
        template(root)
    except LambdaBuildError:  # it needs something of the outside
        return False
    return True


def picked(roots: list[Node], seed: int) -> Iterator[tuple[Path, str, Node]]:
    """Each kind of place with some odd values, the same ones each time."""
    chance = random.Random(int(os.environ.get("FUZZ_SEED", seed)))
    for root, path in one_of_each_kind(roots):
        for name in chance.sample(list(ODD), int(os.environ.get("FUZZ_ROUNDS", ROUNDS))):
            yield path, name, put(root, path, ODD[name])


def one_of_each_kind(roots: list[Node]) -> Iterator[tuple[Node, Path]]:
    """One place of each that differ in keys, whatever their positions in lists, in the smallest file that has it."""
    known: set[Path] = set()
    for root in sorted(roots, key=lambda root: sum(1 for _ in paths(root))):
        for path in paths(root):
            kind = tuple("*" if isinstance(key, int) else key for key in path)
            if kind not in known:
                known.add(kind)
                yield root, path


def nulls(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if value is None:
        yield path
    for key, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from nulls(one, (*path, str(key)))


def errors_of(error: LambdaBuildError) -> tuple[LambdaBuildError, ...]:
    return getattr(error, "errors", (error,))


SEEDS_OF = {"warn": 16, "off": 17, "error": 18}


@pytest.mark.parametrize("mode", SEEDS_OF)
def test_a_serverless_yml_with_an_odd_value_is_a_template_or_an_error_with_its_place(
    mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    began, slowest, ends = time.process_time(), 0.0, Counter[str]()
    for path, name, root in picked(services(), SEEDS_OF[mode]):
        whole = root
        if isinstance(root.value, dict) and mode != "warn":
            whole = replace(root, value={**root.value, "configValidationMode": from_data(mode, root.span)})
        start = time.process_time()
        try:
            found = template(whole)
            assert list(nulls(found)) == [], f"{path} is {name}"
            as_text(found)
            ends["compiled"] += 1
        except LambdaBuildError as error:
            for one in errors_of(error):
                assert one.where, f"{path} is {name}: {one}"
            ends["refused"] += 1
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}, when {path} is {name}") from error
        slowest = max(slowest, time.process_time() - start)
    with capsys.disabled():
        print(f"\n{mode}: {ends.total()} odd values, {dict(ends)}, 0 tracebacks; {time.process_time() - began:.0f} s")
    assert slowest < SECONDS
    assert min(ends.values()) > ends.total() / 10


# SAM templates and settings

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {Runtime: python3.11, Timeout: 3, Environment: {Variables: {A: b}}, Layers: [!Ref L]}}
Resources:
  A:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      CodeUri: {Bucket: b, Key: k, Version: v}
      Events: {Api: {Type: Api, Properties: {Path: /, Method: get}}, S: {Type: Schedule, Properties: {Schedule: rate(1 day)}}}
      Policies: [AWSLambdaBasicExecutionRole, {S3ReadPolicy: {BucketName: !Ref Bucket}}]
    Metadata: {BuildMethod: esbuild, BuildProperties: {EntryPoints: [a.ts], Minify: true, External: [x], Target: es2020}}
  I:
    Type: AWS::Serverless::Function
    Properties: {PackageType: Image, ImageConfig: {Command: [a.b]}, Architectures: [arm64]}
    Metadata: {Dockerfile: Dockerfile, DockerContext: ./app, DockerTag: v1, DockerBuildArgs: {A: b}, DockerBuildTarget: x}
  P:
    Type: AWS::Lambda::Function
    Properties: {Handler: a.b, Runtime: java21, Code: {ZipFile: 'x'}, Layers: ['arn:aws:lambda:us-east-1:1:layer:a:1']}
    DependsOn: [A]
    Condition: Yes
  L:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layer, CompatibleRuntimes: [python3.11], CompatibleArchitectures: [arm64], RetentionPolicy: Retain}
    Metadata: {BuildMethod: python3.11, BuildArchitecture: arm64}
  Api: {Type: AWS::Serverless::Api, Properties: {StageName: !Ref Stage, DefinitionUri: api.yml}}
  Nested: {Type: AWS::Serverless::Application, Properties: {Location: nested.yml, Parameters: {A: !GetAtt A.Arn}}}
  Bucket: {Type: AWS::S3::Bucket, DeletionPolicy: Retain, Metadata: {SamResourceId: B}}
Parameters: {Stage: {Type: String, Default: dev, AllowedValues: [dev, prod]}}
Conditions: {Yes: !Equals [!Ref Stage, dev]}
Outputs: {A: {Value: !GetAtt A.Arn, Export: {Name: !Sub '${Stage}-a'}}}
"""
MORE_SETTINGS = """\
template = "a.yaml"
jobs = 4
include = ["a/**"]
profile = "x"
[functions.B]
exclude_dependencies = ["boto3"]
strip = true
container = {network = "host", mounts = ["/a:/b"]}
requirements = ["common.txt"]
image_tags = ["v1"]
[sources.lib]
path = "lib"
tags = {a = "b"}
[layers.more]
path = "deps"
runtimes = ["python3.11"]
accounts = ["123456789012"]
keep = 3
[executor]
address = "grpc://127.0.0.1:1"
steps = ["compile"]
platform = {a = "b"}
"""


def read_sam(root: Node) -> None:
    disk = Disk(json.dumps(to_data(root), indent=1))
    disk.files["nested.yml"] = "Parameters: {A: {Type: String}}\nResources: {T: {Type: AWS::SNS::Topic}}\n"
    reader.load("template.yaml", disk)


def read_settings(root: Node) -> None:
    data = to_data(root)
    lines = [f"{json.dumps(key)} = {_toml(value)}" for key, value in data.items()]
    loader.load("lambdabuild.toml", "\n".join(lines), {}, {})


def _toml(value: Any) -> str:
    """A value of a table; what TOML has no word for is an empty text."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps("" if value is None else value)


SEEDS: dict[str, tuple[Callable[[Node], None], list[Node]]] = {
    "SAM": (read_sam, [parse("template.yaml", text)[0] for text in (SAM, TEMPLATE)]),
    "settings": (read_settings, [from_data(tomllib.loads(text), Span("lambdabuild.toml")) for text in (SETTINGS, MORE_SETTINGS)]),
}  # fmt: skip


@pytest.mark.parametrize("kind", SEEDS)
def test_a_template_or_settings_with_an_odd_value_are_read_or_refused_with_the_place(kind: str) -> None:
    read_it, roots = SEEDS[kind]
    for root in roots:
        read_it(root)  # what is made odd is good
    for path, name, root in chain.from_iterable(picked(roots, seed) for seed in SEEDS_OF.values()):
        if not path:
            continue
        try:
            read_it(root)
        except LambdaBuildError as error:
            for one in errors_of(error):
                assert one.where, f"{path} is {name}: {one}"
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}, when {path} is {name}") from error
