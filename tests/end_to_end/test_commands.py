"""[commands]: what a user's own command does in place of a rule, or beside it."""

from __future__ import annotations

import pytest
from rule_example import call_python, function, packages, template
from sandbox import Sandbox


def service(project: Sandbox, commands: str, **properties: str) -> Sandbox:
    return project.write({
        "template.yaml": template(function(**properties)),
        "src/app.py": "import idna\n\ndef handler(event, context):\n    return idna.encode(event).decode()\n",
        "src/requirements.txt": "idna==3.10\n",
        "lambdabuild.toml": commands,
    })  # fmt: skip


def test_a_command_takes_the_place_of_what_the_rule_makes_of_the_source(project: Sandbox) -> None:
    command = (
        'sed s/handler/answer/ app.py > "$ARTIFACTS_DIR/app.py"; echo $RUNTIME $ARCHITECTURE > "$ARTIFACTS_DIR/about"'
    )
    service(project, f"[commands]\nExample = '''{command}'''\n").build()

    assert call_python(project, "ü", handler="app.answer") == "xn--tda"
    assert packages(project) == {"idna": "3.10"}
    assert project.path("build/Example/about").read_text() == "python3.11 x86_64\n"
    assert "requirements.txt" not in project.names("Example")
    assert project.build().steps == []
    project.append("src/app.py", "# edited\n")
    assert {"compile:Example", "zip:Example"} <= set(project.build().steps)


def test_a_command_that_adds_leaves_the_rule_its_work(project: Sandbox) -> None:
    commands = """
        [commands."python*"]
        run = 'echo "$GREETING" > "$ARTIFACTS_DIR/greeting"; touch left-over; test -e "$SOURCE_DIR/app.py"'
        adds = true
        environment = ["GREETING"]
        """
    service(project, commands).build(env={"GREETING": "hello"})
    assert project.path("build/Example/greeting").read_text() == "hello\n"
    assert call_python(project, "a") == "a"
    assert not project.path("src/left-over").exists()

    assert project.build(env={"GREETING": "hello"}).steps == []
    assert "compile:Example" in project.build(env={"GREETING": "bye"}).steps


def test_a_runtime_that_no_rule_builds_needs_a_command_only(project: Sandbox) -> None:
    service(project, "[commands]\n'cobol*' = 'cp app.py $ARTIFACTS_DIR/bootstrap'\n", runtime="cobol85").build()
    assert project.names("Example") == ["bootstrap"]


@pytest.mark.parametrize(
    ("commands", "words"),
    [
        ("Example = 'true'", "its command left nothing in ARTIFACTS_DIR"),
        ("Example = 'echo oh no >&2; exit 3'", "oh no"),
        ("Exampel = 'true'", "did you mean 'Example'?"),
        ("Example = 3", "expected a text in quotes"),
        ("Example = {runs = 'true'}", "did you mean 'run'?"),
    ],
)
def test_mistakes_are_told(commands: str, words: str, project: Sandbox) -> None:
    ran = service(project, f"[commands]\n{commands}\n").run("build")
    assert ran.code != 0
    assert words in ran.err
    assert "Traceback" not in ran.err
