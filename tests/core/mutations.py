"""What people put where something else is wanted: each value of a document in turn replaced by something odd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from test_fuzz import Memory

from lambdabuild.cloudformation import compiler, stack
from lambdabuild.cloudformation.context import Artifact
from lambdabuild.core.model import Definition
from lambdabuild.core.records import replace
from lambdabuild.core.spans import Node, from_data
from lambdabuild.frontends.serverless import reader
from lambdabuild.frontends.serverless.environment import Outside

IMAGE = "1.dkr.ecr.us-east-1.amazonaws.com/a@sha256:" + "0" * 64

Path = tuple[str | int, ...]

ODD: dict[str, Any] = {
    "null": None,
    "a number": 7,
    "a fraction": -1.5,
    "a text": "odd",
    "no text": "",
    "an empty list": [],
    "odd things": [None, 3, {"a": []}, "x"],
    "a mapping": {"odd": {"a": 1}},
    "an empty mapping": {},
    "true": True,
    "false": False,
    "a huge text": "x" * 100_000,
    "an intrinsic": {"Fn::Sub": "${Odd}"},
    "an intrinsic of null": {"Fn::GetAtt": None},
}


def paths(node: Node, path: Path = ()) -> Iterator[Path]:
    """All places of a document, the whole of it first."""
    yield path
    children = (
        node.value.items()
        if isinstance(node.value, dict)
        else enumerate(node.value)
        if isinstance(node.value, list)
        else ()
    )
    for key, child in children:
        yield from paths(child, (*path, key))


def put(node: Node, path: Path, data: Any) -> Node:
    """The document with other data at one place, which everything else keeps."""
    if not path:
        return from_data(data, node.span)
    first, *rest = path
    if isinstance(node.value, dict):
        return replace(node, value={**node.value, str(first): put(node.value[str(first)], tuple(rest), data)})
    assert isinstance(node.value, list)
    items = list(node.value)
    items[int(first)] = put(items[int(first)], tuple(rest), data)
    return replace(node, value=items)


def mutations(root: Node) -> Iterator[tuple[Path, str, Node]]:
    """Each value of a document replaced by each odd one."""
    for path in paths(root):
        for name, value in ODD.items():
            yield path, name, put(root, path, value)


class Disk(Memory):
    """A disk that has whatever is named."""

    def read(self, path: str) -> str:
        return self.files.get(path, "")

    text = read

    def kind(self, path: str) -> str:
        name = path.rpartition("/")[2]
        return "file" if "." in name.strip(".") or name == "Dockerfile" else "folder"


def read(root: Node) -> tuple[Definition, tuple[str, ...]]:
    """A serverless.yml as it is read from a disk that has whatever it names, and its warnings."""
    files = Disk("")
    outside = Outside(files, {}, {}, lambda: None, True)  # type: ignore[arg-type, return-value]
    service = reader.read("serverless.yml", root, files, outside, reader.RunOptions("", "", {}, {}))  # type: ignore[arg-type]
    assert service.definition is not None
    return service.definition, service.warnings


def template(root: Node) -> dict[str, Any]:
    definition, _ = read(root)
    codes = {key: Artifact(IMAGE if key.startswith("image") else "a.zip", "c2hh") for key in definition.artifacts}
    found = compiler.compile(definition, codes)
    settings = stack.settings(definition, found)
    assert stack.command(settings, "t.json", {"a secret"}) and stack.notes(settings) is not None
    assert stack.provider_keys(definition) is not None
    return found
