"""Texts of .env files and what programs of Node.js have of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lambdabuild.config.settings import Settings
from lambdabuild.core.errors import SourceFailed
from lambdabuild.frontends.serverless.variables import dotenv
from lambdabuild.project_loader import load_service


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HASH=abc#def # c\n", {"HASH": "abc"}),
        ("A='abc#def' # c\nB=\"x # y\"\nC=`z#`#", {"A": "abc#def", "B": "x # y", "C": "z#"}),
        ("K: v\nurl: http://a:1 # c\nnot:this\n", {"K": "v", "url": "http://a:1"}),
        ("export A = b \r\nB=\r\n  C=c\r", {"A": "b", "B": "", "C": "c"}),
        ("A=${NOPE:-fallback}\nB=${A:-x}-$A\nC=\\$A\n", {"A": "fallback", "B": "fallback-fallback", "C": "$A"}),
        ("A=${NOPE:-${B}}\nB=b\n", {"A": "b", "B": "b"}),
        ('KEY="-----BEGIN\nline\n-----END"\nTWO="a\\nb"\nTHREE=\'a\\nb\'', {"KEY": "-----BEGIN\nline\n-----END", "TWO": "a\nb", "THREE": "a\\nb"}),
        ("A=1\nA=2\n# B=3\n=4\nno line\n", {"A": "2"}),
        ("a.b-c=1\nD={\"x\": 1}\nE=it's\n", {"a.b-c": "1", "D": '{"x": 1}', "E": "it's"}),
    ],
)  # fmt: skip
def test_a_text_gives_what_dotenv_gives(text: str, expected: dict[str, str]) -> None:
    assert dotenv.load(text, {}) == expected


def test_what_the_environment_has_wins_and_fills_in_others() -> None:
    environment = {"A": "own", "HOST": "h"}
    assert dotenv.load("A=file\nB=$A@${HOST}:${PORT:-80}\n", environment) == {"A": "own", "B": "own@h:80"}
    assert environment == {"A": "own", "HOST": "h", "B": "own@h:80"}


@pytest.mark.parametrize("text", ["A=${A}\n", "A=x$B\nB=y$A\n", "A=${B:-$A}$A\n"])
def test_a_variable_that_is_made_of_itself_is_an_error_and_not_endless(text: str) -> None:
    with pytest.raises(SourceFailed, match="made of itself"):
        dotenv.load(text, {})


HEAD = "service: shop\nprovider: {name: aws, runtime: python3.12}\n"
ONE = "functions: {one: {handler: a.b, environment: {A: \"${env:A, 'none'}\", B: \"${env:B, 'none'}\"}}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"A": "none", "B": "none"}),
        ("useDotenv: true\n", {"A": "stage", "B": "none"}),
        ("frameworkVersion: '4'\n", {"A": "stage", "B": "default"}),
        ("frameworkVersion: ^4.2.0\n", {"A": "stage", "B": "default"}),
        ("stages: {default: {params: {}}}\n", {"A": "stage", "B": "default"}),
        ("frameworkVersion: '4'\nuseDotenv: false\n", {"A": "none", "B": "none"}),
        ("frameworkVersion: '3'\n", {"A": "none", "B": "none"}),
    ],
)
def test_version_3_loads_one_file_when_asked_and_version_4_both_unless_told_not_to(
    text: str, expected: dict[str, str], tmp_path: Path
) -> None:
    for name, content in {
        "serverless.yml": text + HEAD + ONE,
        ".env.dev": "A=stage\n",
        ".env": "A=x\nB=default\n",
    }.items():
        tmp_path.joinpath(name).write_text(content)
    service = load_service(str(tmp_path), Settings(), environment={})
    assert service.definition is not None
    assert service.definition.data["functions"]["one"]["environment"] == expected
