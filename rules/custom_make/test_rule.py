"""custom_make: the function's own Makefile decides."""

from pathlib import Path

from rule_example import call_python, example, function, template
from sandbox import Sandbox

HERE = Path(__file__).parent
METADATA = "    Metadata: {BuildMethod: makefile}\n"


def test_the_example_is_built_and_answers(project: Sandbox) -> None:
    example(project, HERE, function(metadata=METADATA)).build()

    assert project.names("Example") == ["app.py", "word.txt"]
    assert call_python(project, {}) == "made"


def test_a_custom_runtime_needs_no_build_method(project: Sandbox) -> None:
    example(project, HERE, function(runtime="provided.al2023", handler="bootstrap"))
    project.write(
        {
            "src/Makefile": 'build-Example:\n\tprintf x > "$(ARTIFACTS_DIR)/bootstrap"; chmod +x "$(ARTIFACTS_DIR)/bootstrap"\n'
        }
    )
    project.build()

    assert project.names("Example") == ["bootstrap"]


def test_the_source_is_never_written_to(project: Sandbox) -> None:
    example(project, HERE, function(metadata=METADATA))
    project.write({"src/Makefile": 'build-Example:\n\ttouch rubbish\n\tcp app.py "$(ARTIFACTS_DIR)"\n'}).build()

    assert not project.path("src/rubbish").exists()


def test_make_works_where_working_directory_says(project: Sandbox) -> None:
    metadata = "    Metadata: {BuildMethod: makefile, WorkingDirectory: src/inner}\n"
    example(project, HERE, function(metadata=metadata))
    project.write({"src/inner/x": "", "src/Makefile": 'build-Example:\n\tpwd > "$(ARTIFACTS_DIR)/where"\n'}).build()

    assert project.content("Example", "where").strip().endswith(b"/inner")


def test_a_makefile_may_lie_in_another_folder(project: Sandbox) -> None:
    metadata = "    Metadata: {BuildMethod: makefile, ContextPath: make}\n"
    example(project, HERE, function(metadata=metadata))
    project.path("src/Makefile").unlink()
    project.write({"make/Makefile": 'build-Example:\n\tcp app.py "$(ARTIFACTS_DIR)"\n'}).build()

    assert project.names("Example") == ["app.py"]


def test_a_layer_may_be_made_too(project: Sandbox) -> None:
    layer = "  Example:\n    Type: AWS::Serverless::LayerVersion\n    Metadata: {BuildMethod: makefile}\n    Properties: {ContentUri: src}\n"
    example(project, HERE, layer).build()

    assert project.names("Example") == ["app.py", "word.txt"]


def test_make_gets_the_variables_that_the_option_names_and_no_others(project: Sandbox) -> None:
    example(project, HERE, function(metadata=METADATA)).write({
        "src/Makefile": 'build-Example:\n\techo "[$(WANTED)][$(SECRET)]" > "$(ARTIFACTS_DIR)/said"\n',
        "lambdabuild.toml": "[options]\nenvironment = ['WANTED']\n",
    })  # fmt: skip
    project.build(env={"WANTED": "yes", "SECRET": "no"})
    assert project.content("Example", "said") == b"[yes][]\n"

    assert "compile:Example" in project.build(env={"WANTED": "other", "SECRET": "no"}).steps
    assert project.build(env={"WANTED": "other", "SECRET": "changed"}).steps == []


def test_functions_of_one_makefile_are_built_apart(project: Sandbox) -> None:
    two = function(metadata=METADATA).replace("Example:", "Other:")
    example(project, HERE, function(metadata=METADATA)).write({
        "template.yaml": template(function(metadata=METADATA), two),
        "src/Makefile": 'build-%:\n\techo "$*" > "$(ARTIFACTS_DIR)/name"\n',
    }).build()  # fmt: skip

    assert project.content("Example", "name") == b"Example\n"
    assert project.content("Other", "name") == b"Other\n"
