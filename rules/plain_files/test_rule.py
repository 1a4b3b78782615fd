"""plain_files: a folder as it is."""

from pathlib import Path

from rule_example import example
from sandbox import Sandbox

HERE = Path(__file__).parent
LAYER = "  Example: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: src}}\n"


def test_the_example_is_shipped_as_it_is(project: Sandbox) -> None:
    example(project, HERE, LAYER).build()

    assert project.names("Example") == ["data/word.txt"]
    assert project.content("Example", "data/word.txt") == b"hello\n"


def test_a_manifest_in_it_is_a_file_like_any_other(project: Sandbox) -> None:
    example(project, HERE, LAYER).write({"src/requirements.txt": "no-such-package-at-all\n"}).build()

    assert project.names("Example") == ["data/word.txt", "requirements.txt"]
