"""What an engine of the Remote Execution API is sent, what comes back, and what is done when something is lost."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import Workshop
from hypothesis import given
from hypothesis import strategies as st

from lambdabuild.cache import remote_execution_pb2 as api
from lambdabuild.cache.cache import Digest, File, Link, Node
from lambdabuild.cache.reapi import directories
from lambdabuild.cache.reapi.executor import Command, Executor, Ran
from lambdabuild.cache.remote import Connection
from lambdabuild.core.errors import ExecutorFailed, NoExecutor

COPY = Command(
    (sys.executable, "-c", "import shutil; shutil.copytree('in', 'out', symlinks=True); print('done')"), {}, ("out",)
)
INPUTS: dict[str, Node] = {
    "in/a": File.of(b"hello"),
    "in/deep/er/b": File(Digest.of(b"#!/bin/sh\n"), True, b"#!/bin/sh\n"),
    "in/deep/link": Link("er/b"),
}


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    with Workshop(tmp_path) as made:
        yield made


@pytest.fixture
def engine(workshop: Workshop) -> Executor:
    return Executor(Connection(f"grpc://127.0.0.1:{workshop.port}"), {"OSFamily": "linux"})


def is_broken(ran: Ran) -> bool:
    return ran.status != 0


def test_a_command_finds_its_inputs_and_leaves_its_outputs(engine: Executor, tmp_path: Path) -> None:
    ran = engine.run(COPY, INPUTS, is_broken)
    left = {path.removeprefix("out/"): node for path, node in ran.files.items()}
    engine.write(left, str(tmp_path / "here"))

    assert (ran.status, ran.stdout) == (0, b"done\n")
    assert (tmp_path / "here/a").read_bytes() == b"hello"
    assert os.access(tmp_path / "here/deep/er/b", os.X_OK) and not os.access(tmp_path / "here/a", os.X_OK)
    assert os.readlink(tmp_path / "here/deep/link") == "er/b"


@pytest.mark.parametrize(
    ("trouble", "asked"),
    [
        (["lost"], ["Execute", "WaitExecution"]),
        (["died"], ["Execute", "Execute"]),
        (["gone"], ["Execute", "Execute"]),
        (["died", "gone", "lost"], ["Execute", "Execute", "Execute", "WaitExecution"]),
    ],
)
def test_what_is_lost_is_asked_for_again(
    trouble: list[str], asked: list[str], workshop: Workshop, engine: Executor
) -> None:
    workshop.trouble = trouble

    assert engine.run(COPY, INPUTS, is_broken).stdout == b"done\n"
    assert [method for method in workshop.asked if "Execut" in method] == asked


def test_who_waits_for_a_worker_is_told(workshop: Workshop) -> None:
    said: list[str] = []
    engine = Executor(Connection(f"grpc://127.0.0.1:{workshop.port}"), {}, said.append, patience_seconds=0.2)
    engine.run(COPY, INPUTS, is_broken)
    assert said == []
    workshop.queue_seconds = 1
    engine.run(COPY, INPUTS, is_broken)
    assert said == [f"waiting for a worker of {engine.name}"]


def test_an_engine_that_never_does_it_is_given_up(workshop: Workshop, engine: Executor) -> None:
    with pytest.raises(ExecutorFailed, match="in 3 tries: the worker ended with 7"):
        engine.run(Command((sys.executable, "-c", "raise SystemExit(7)"), {}, ()), {}, is_broken)
    with pytest.raises(NoExecutor):
        Executor(Connection("grpc://127.0.0.1:9", timeout_seconds=1), {}).refuse_unable()


def test_bytes_that_are_not_what_was_made_are_refused(workshop: Workshop, engine: Executor, tmp_path: Path) -> None:
    ran = engine.run(COPY, INPUTS, is_broken)
    workshop.blobs = dict.fromkeys(workshop.blobs, b"other")
    with pytest.raises(ExecutorFailed, match="does not have"):
        engine.write(ran.files, str(tmp_path / "here"))


@pytest.mark.parametrize(
    "root",
    [
        api.Directory(files=[api.FileNode(name="../out", digest=api.Digest(hash="0" * 64))]),
        api.Directory(files=[api.FileNode(name="..", digest=api.Digest(hash="0" * 64))]),
        api.Directory(symlinks=[api.SymlinkNode(name="a", target="../../etc")]),
        api.Directory(symlinks=[api.SymlinkNode(name="a", target="/etc")]),
        api.Directory(directories=[api.DirectoryNode(name="a", digest=api.Digest(hash="0" * 64))]),
    ],
)
def test_a_tree_that_leads_out_of_itself_is_refused(root: api.Directory) -> None:
    with pytest.raises(ValueError, match=r"name|out of|not in"):
        directories.files_of(api.Tree(root=root).SerializeToString())


def test_a_link_to_a_folder_gives_way_to_what_is_named_below_it() -> None:
    below, link = ("lib/a.py", File.of(b"a")), ("lib", Link("../common"))

    assert directories.tree(dict([below, link])) == directories.tree(dict([link, below]))
    assert directories.tree(dict([below, link])) == directories.tree(dict([below]))


names = st.text("abc", min_size=1, max_size=2)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


@given(st.dictionaries(paths, st.tuples(st.binary(max_size=9), st.booleans())))
def test_a_tree_says_all_of_its_files_and_equal_files_give_an_equal_tree(said: dict[str, tuple[bytes, bool]]) -> None:
    files: dict[str, Node] = {
        path: File(Digest.of(data), runs)
        for path, (data, runs) in said.items()
        if not any(other.startswith(path + "/") for other in said)
    }
    root, blobs = directories.tree(files)
    again, _ = directories.tree(dict(reversed(files.items())))

    messages = {digest: data for digest, data in blobs.items() if isinstance(data, bytes) and data}
    top = api.Directory.FromString(messages.get(root, b""))
    children = [api.Directory.FromString(data) for digest, data in messages.items() if digest != root]
    whole = api.Tree(root=top, children=[one for one in children if one.files or one.directories])
    assert again == root
    assert directories.files_of(whole.SerializeToString()) == files


def test_our_numbers_are_those_of_the_specification() -> None:
    """BuildStream's wheel has the whole specification, generated from its own files."""
    from buildstream._protos.build.bazel.remote.execution.v2 import remote_execution_pb2 as theirs
    from buildstream._protos.google.bytestream import bytestream_pb2
    from buildstream._protos.google.longrunning import operations_pb2

    known = {**vars(operations_pb2), **vars(bytestream_pb2), **vars(theirs)}
    elsewhere = {"Status", "Duration", "Any", "Empty"}
    for name, message in api.DESCRIPTOR.message_types_by_name.items():
        if name in elsewhere:
            continue
        spec = known["Platform"].Property if name == "Property" else known[name]
        for field in message.fields:
            assert spec.DESCRIPTOR.fields_by_name[field.name].number == field.number, f"{name}.{field.name}"
