"""What the documents say is so."""

from __future__ import annotations

import inspect
import re
import tomllib

import pytest
from sandbox import PLAIN_FUNCTION, ROOT, Sandbox

from lambdabuild.config.loader import load
from lambdabuild.config.reference import TABLE, with_tables
from lambdabuild.config.schema import CLASSES
from lambdabuild.core import errors
from lambdabuild.frontends.serverless.plugins import (
    built_in,
    dotenv_plugin,
    esbuild,
    known,
    python_requirements,
    socless,
)
from lambdabuild.plan.types import Rule, StepClaims

README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^\$ lambdabuild(.*?)(?:\s+#.*)?$", README, re.MULTILINE)


@pytest.mark.parametrize("arguments", COMMANDS)
def test_every_command_of_the_readme_does_what_it_says(arguments: str, project: Sandbox) -> None:
    project.write({"template.yaml": PLAIN_FUNCTION, "src/app.py": "x = 1\n"})
    ran = project.run(*arguments.split())

    assert ran.code == 0, ran.said
    assert ran.out


def test_the_readme_has_commands_and_its_links_lead_somewhere() -> None:
    assert len(COMMANDS) == 5
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


SETTINGS_PAGES = [
    ROOT / f"docs/{name}.md" for name in ("settings", "layers", "containers", "cache", "remote-execution")
]


def test_the_tables_of_settings_say_what_the_settings_say() -> None:
    tables = [name for page in SETTINGS_PAGES for _, name, _ in TABLE.findall(page.read_text())]

    assert sorted(tables) == sorted(["settings", *CLASSES])
    for page in SETTINGS_PAGES:
        assert with_tables(page.read_text()) == page.read_text(), (
            f"python -m lambdabuild.config.reference docs/{page.name}"
        )


def test_the_examples_of_the_settings_are_read() -> None:
    examples = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/settings.md").read_text(), re.DOTALL)
    first, shared, commands, _ = (load("lambdabuild.toml", example, {}, {}) for example in examples)

    assert first.of("Orders").exclude == ("!README.md",)
    assert shared.include == ("common_files", "config/app.json")
    assert commands.command_of("Other", "", "python3.12").adds


def test_every_error_is_documented_and_no_code_is_used_twice() -> None:
    text = (ROOT / "docs/errors.md").read_text()
    kinds = [
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.LambdaBuildError)
    ]
    codes = [kind.code for kind in kinds if kind.code != "LB000"]

    assert len(codes) == len(set(codes))
    assert set(re.findall(r"^\| (LB\d+)", text, re.MULTILINE)) == set(codes)


def test_every_claim_of_a_rule_is_documented() -> None:
    text = (ROOT / "docs/rules.md").read_text()
    for name in (*Rule.__struct_fields__, *StepClaims.__struct_fields__):
        assert name in ("folder", "application_framework") or f"`{name}`" in text or f"[{name}]" in text, name


def test_the_changelog_is_about_this_version() -> None:
    version = re.search(r'__version__ = "(.+)"', (ROOT / "lambdabuild/_version.py").read_text())
    assert version
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text()
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"] == "doit-lambdabuild"


def test_what_becomes_of_each_option_of_a_plugin_is_documented_in_the_same_words() -> None:
    text = (ROOT / "docs/plugins.md").read_text()
    words = {"mapped": "", "no effect": "no effect: ", "told": "a note: "}
    titles = {plugin.NAME: plugin.OPTIONS for plugin in (python_requirements, socless, esbuild, dotenv_plugin)}
    for title, options in {**titles, "TypeScript, and version 4": built_in.OPTIONS}.items():
        section = text[text.index(f"## {title}") :]
        rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section.partition("\n## ")[0], re.MULTILINE))
        assert rows == {name: words[one.becomes] + one.words for name, one in options.items()}


def test_what_becomes_of_each_plugin_is_documented_in_the_same_words() -> None:
    section = (ROOT / "docs/plugins.md").read_text().partition("## All the others")[2]
    rows = dict(re.findall(r"^\| `(\S+)` \| (.*) \|$", section, re.MULTILINE))
    words = {"done": "done here", "harmless": "a note: ", "error": "LB115: "}
    assert rows == {name: words[one.becomes] + one.words for name, one in known.PLUGINS.items()}
