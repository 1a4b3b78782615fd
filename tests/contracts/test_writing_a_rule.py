"""docs/guides/writing-a-rule.md, followed by somebody who has a function in C."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from rule_example import function, template
from sandbox import Sandbox

DOCS = Path(__file__).parents[2] / "docs/guides/writing-a-rule.md"


def files_of_the_page() -> dict[str, str]:
    """The files that the page says to write."""
    found = re.findall(r"`(rules/\S+)`\n\n```\w+\n(.*?)```\n", DOCS.read_text(), re.DOTALL)
    return dict(found)


def test_a_rule_for_a_new_language_in_under_sixty_lines(tmp_path: Path) -> None:
    files = files_of_the_page()
    assert len(files) == 2
    assert sum(len(text.splitlines()) for text in files.values()) < 60

    project = Sandbox(tmp_path / "project").write(files)
    project.write({
        "template.yaml": template(function(runtime="provided.al2023", handler="bootstrap")),
        "src/main.c": '#include <stdio.h>\nint answer(void);\nint main(void) { printf("%d", answer()); }\n',
        "src/answer.c": "int answer(void) { return 42; }\n",
    })  # fmt: skip
    project.build()

    assert project.names("Example") == ["bootstrap"]
    assert subprocess.run([str(project.path("build/Example/bootstrap"))], capture_output=True, text=True).stdout == "42"
    assert project.build().steps == []
    project.append("src/answer.c", "/* edited */\n")
    assert "compile:Example" in project.build().steps

    project.write({"src/answer.c": "int answer(void) { return 42 }\n"})
    ran = project.run("build")
    assert "LB405]: function 'Example' does not compile" in ran.err
    assert "answer.c:1" in ran.err


def test_a_projects_own_rule_replaces_one_that_ships(project: Sandbox) -> None:
    shipped = Path(__file__).parents[2] / "rules/custom_make"
    shutil.copytree(shipped, project.path("rules/mine"))
    claims = project.path("rules/mine/rule.toml")
    ours, replaced = re.subn(r"(?m)^runtimes = .*$", 'runtimes = ["python*"]', claims.read_text())
    assert replaced == 1
    claims.write_text(ours)
    project.write({
        "template.yaml": template(function()),
        "src/Makefile": 'build-Example:\n\techo made > "$(ARTIFACTS_DIR)/made.txt"\n',
    })  # fmt: skip
    project.build()
    assert project.names("Example") == ["made.txt"]


def test_a_copy_step_that_claims_to_read_the_manifest_runs_when_it_changed(project: Sandbox) -> None:
    """The manifest is left out of the code here, so nothing else tells of it."""
    project.write({
        "template.yaml": template(function()), "src/app.py": "", "src/things.txt": "one\n",
        "lambdabuild.toml": 'exclude = ["things.txt"]\n',
        "rules/mine/rule.toml": 'name = "mine"\nlanguage = "python"\ndependency_manager = "things"\nruntimes = ["python*"]\n'
        'manifests = ["things.txt"]\n[copy]\nreads = ["manifest", "source"]\n',
    })  # fmt: skip
    project.build()
    project.write({"src/things.txt": "two\n"})

    assert project.build().steps == ["copy:Example"]
