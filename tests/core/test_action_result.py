"""Records in the form of the Remote Execution API: the bytes are those that protobuf writes, and all that it reads is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from lambdabuild.cache import remote
from lambdabuild.cache import remote_execution_pb2 as api
from lambdabuild.cache.action_result import OutputFile, decode, encode
from lambdabuild.cache.cache import Digest
from lambdabuild.core.errors import MissingExtra

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
DIGESTS = st.builds(Digest, st.text(max_size=70), INT64)
FILES = st.lists(st.builds(OutputFile, st.text(), DIGESTS, st.binary()), max_size=4)


def by_protobuf(files: list[OutputFile], **more: object) -> api.ActionResult:
    return api.ActionResult(
        output_files=[
            api.OutputFile(
                path=file.path,
                digest=api.Digest(hash=file.digest.sha256, size_bytes=file.digest.size),
                contents=file.contents,
            )
            for file in files
        ],
        **more,
    )


@given(
    st.lists(
        st.builds(
            OutputFile, st.text(), st.builds(Digest, st.text(max_size=70), st.integers(0, (1 << 63) - 1)), st.binary()
        ),
        max_size=4,
    )
)
def test_the_bytes_are_those_of_protobuf(files: list[OutputFile]) -> None:
    assert encode(files) == by_protobuf(files).SerializeToString(deterministic=True)
    assert decode(encode(files)) == files


@given(FILES, st.integers(-(1 << 31), (1 << 31) - 1), st.binary())
def test_what_else_a_server_says_is_passed_over(files: list[OutputFile], code: int, stdout: bytes) -> None:
    answer = by_protobuf(files, exit_code=code, stdout_raw=stdout)
    answer.output_directories.add(path="x", tree_digest=api.Digest(hash="y"))

    assert decode(answer.SerializeToString()) == files


@given(FILES, st.data())
def test_what_is_damaged_is_refused_or_read_as_protobuf_reads_it(files: list[OutputFile], data: st.DataObject) -> None:
    whole = bytearray(by_protobuf(files).SerializeToString())
    for place in data.draw(st.lists(st.integers(0, max(0, len(whole) - 1)), max_size=3)):
        whole[place : place + 1] = data.draw(st.binary(max_size=2))
    try:
        read = decode(bytes(whole))
    except ValueError:
        return
    try:
        theirs = api.ActionResult.FromString(bytes(whole)).output_files
    except DecodeError:  # in the content of a field that is passed over here
        return
    assert read == [
        OutputFile(one.path, Digest(one.digest.hash, one.digest.size_bytes), one.contents) for one in theirs
    ]


@pytest.mark.parametrize("address", ["grpc://engine:1/main", "grpcs://user:secret@engine:1"])
def test_an_address_that_needs_grpc_names_the_extra_when_it_is_missing(address: str) -> None:
    with pytest.raises(MissingExtra) as raised:
        remote.check_extra(("s3://bucket", address), packages=("no_such_package.inside",))

    assert raised.value.help == "pip install 'doit-lambdabuild[remote]'"
    assert "secret" not in str(raised.value)


def test_other_addresses_need_no_extra() -> None:
    remote.check_extra(("s3://bucket", "https://cache.example.org", ""), packages=("no_such_package",))


def test_the_extra_is_in_the_packages_of_the_project() -> None:
    remote.check_extra(("grpc://engine:1",))
    assert "remote = [" in (Path(__file__).parents[2] / "pyproject.toml").read_text()
