"""Booleans that are written as texts, and options behind requirements that pip passes over."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_sam import Memory, function, sam

from lambdabuild.config.settings import with_flags
from lambdabuild.frontends.sam.reader import load
from lambdabuild.python import requirements


@pytest.mark.parametrize(
    ("given", "expected"),
    [("true", True), ("false", False), ("True", True), (" FALSE ", False), (True, True), ("yes", "yes"), ("", ""), (1, 1),
     (["true"], ["true"]), ("inline", "inline")],
)  # fmt: skip
def test_true_and_false_may_be_texts(given: object, expected: object) -> None:
    assert with_flags({"Minify": given}) == {"Minify": expected}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("!Ref Minified", "true"),
        ("!Ref Maps", "false"),
        ('!Sub "${Minified}"', "true"),
        ('"false"', "false"),
        ("false", "false"),
    ],
)
def test_a_build_property_may_be_a_parameter_which_is_always_a_text(value: str, expected: str) -> None:
    text = sam(function("CodeUri: src\nHandler: app.handler")).replace(
        "    Properties:", f"    Metadata: {{BuildProperties: {{SourcesContent: {value}}}}}\n    Properties:", 1
    )
    text += 'Parameters: {Minified: {Type: String, Default: "true"}, Maps: {Type: String, Default: "false"}}\n'
    assert dict(load("t.yaml", Memory({"t.yaml": text})).functions[0].options)["SourcesContent"] == expected


@pytest.mark.parametrize(
    ("line", "passed_over", "meant"),
    [
        ("idna==3.10 --no-binary=:idna:", "--no-binary=:idna:", "idna==3.10"),
        ("idna==3.10 --no-binary :all: --pre", "--no-binary :all: --pre", "idna==3.10"),
        ("idna ; python_version < '3.12' --only-binary=idna", "--only-binary=idna", "idna ; python_version < '3.12'"),
        ("./near --index-url=https://x", "--index-url=https://x", "./near"),
        ("-e ./near --config-settings editable=1", "--config-settings editable=1", "-e ./near"),
        ("a==1 --hash=sha256:aa --no-index --hash sha256:bb", "--no-index", "a==1 --hash=sha256:aa --hash sha256:bb"),
        ("a==1 --hash=sha256:aa", "", "a==1 --hash=sha256:aa"),
        ("a @ https://x/y--z.whl", "", "a @ https://x/y--z.whl"),
        ("--no-binary :all:", "", "--no-binary :all:"),
        ("-r other.txt", "", "-r other.txt"),
    ],
)
def test_options_behind_a_requirement_are_told_apart(line: str, passed_over: str, meant: str, tmp_path: Path) -> None:
    tmp_path.joinpath("requirements.txt").write_text(line + "\n")
    tmp_path.joinpath("other.txt").touch()
    read = requirements.read(str(tmp_path / "requirements.txt")).lines[0]
    assert (read.passed_over, read.meant.text) == (passed_over, meant)
