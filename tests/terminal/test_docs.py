"""What the documents say is so."""

from __future__ import annotations

import inspect
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from sandbox import PLAIN_FUNCTION, ROOT, Sandbox

from lambdabuild.config.loader import load
from lambdabuild.core import errors
from lambdabuild.frontends.serverless.plugins import (
    built_in,
    dotenv_plugin,
    esbuild,
    known,
    python_requirements,
    socless,
)

RULES_PAGES = [page.relative_to(ROOT).as_posix() for page in ROOT.glob("rules/*/README.md")]
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


PAGES = sorted((ROOT / "docs").rglob("*.md"))


def test_the_generated_parts_of_the_pages_are_what_the_code_says() -> None:
    reference = runpy.run_path(str(ROOT / ".ci/reference.py"))
    shown = [name for page in PAGES for _, name, _ in reference["GENERATED"].findall(page.read_text())]

    assert sorted(shown) == sorted(reference["PARTS"])
    for page in PAGES:
        name = page.relative_to(ROOT / "docs").as_posix()
        assert reference["current"](page.read_text(), name) == page.read_text(), f"{name}: python .ci/reference.py"


def build_site(folder: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", ".mkdocs.yml", "--site-dir", out]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_pages_are_a_site_with_every_page_and_no_broken_link(tmp_path: Path) -> None:
    built = build_site(ROOT, tmp_path)

    assert built.returncode == 0, built.stderr
    for page in PAGES:
        assert (tmp_path / page.relative_to(ROOT / "docs")).with_suffix(".html").exists(), page


def test_a_link_to_a_missing_page_or_heading_fails_the_site(tmp_path: Path) -> None:
    for name in (".mkdocs.yml", ".ci/site.py", "CHANGELOG.md", "bench/results.md", *RULES_PAGES):
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "site" / name)
    shutil.copytree(ROOT / "docs", tmp_path / "site/docs")
    with (tmp_path / "site/docs/index.md").open("a") as page:
        page.write("\n[a](guides/nowhere.md) [b](concepts.md#nothing) [c](../rules/nobody/README.md)\n")

    built = build_site(tmp_path / "site", tmp_path / "out")

    assert built.returncode == 1
    assert "'guides/nowhere.md'" in built.stderr
    assert "'concepts.md#nothing'" in built.stderr
    assert "'rules/nobody/README.md'" in built.stderr


@pytest.mark.parametrize("page", ["sam", "serverless"])
def test_a_quick_start_prints_what_it_shows(page: str, project: Sandbox) -> None:
    text = (ROOT / f"docs/start/{page}.md").read_text()
    files = re.findall(r'```\w+ title="(.+?)"\n(.*?)```', text, re.DOTALL)
    project.write({name: content for name, content in files if name != "lambdabuild.toml"})
    shown = re.search(r"```console\n\$ lambdabuild\n(.*?)```", text, re.DOTALL)
    assert shown

    ran = project.run()

    assert ran.code == 0, ran.said
    printed = without_numbers(ran.out)
    assert sorted(printed[: len(shown[1].splitlines())]) == sorted(without_numbers(shown[1]))


def without_numbers(text: str) -> list[str]:
    """Return the lines without counts, sizes and times, which depend on the machine."""
    return [re.sub(r"[\d.]+ (s|kB|MB|B|files)\b", "", line) for line in text.splitlines()]


def test_the_pictures_are_drawn_by_their_script_and_refer_to_nothing_else() -> None:
    pictures = {path.stem: path.read_text() for path in (ROOT / "docs/pictures").iterdir()}
    drawn = runpy.run_path(str(ROOT / ".ci/pictures.py"))["DRAWN"]

    assert sorted(pictures) == sorted(drawn)
    assert pictures["data-flow"] == drawn["data-flow"](), "python .ci/pictures.py data-flow"
    for text in pictures.values():
        assert set(re.findall(r"https?://[^\"]+", text)) == {"http://www.w3.org/2000/svg"}
        assert not re.search(r"/(home|root|tmp|work)/", text)


def test_the_examples_of_the_settings_are_read() -> None:
    examples = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/reference/settings.md").read_text(), re.DOTALL)
    first, shared, commands, _ = (load("lambdabuild.toml", example, {}, {}) for example in examples)

    assert first.of("Orders").exclude == ("!README.md",)
    assert shared.include == ("common_files", "config/app.json")
    assert commands.command_of("Other", "", "python3.12").adds


def test_no_code_of_an_error_is_used_twice() -> None:
    kinds = [
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.LambdaBuildError)
    ]
    codes = [kind.code for kind in kinds if kind.code != "LB000"]

    assert len(codes) == len(set(codes))


def test_the_changelog_is_about_this_version() -> None:
    version = re.search(r'__version__ = "(.+)"', (ROOT / "lambdabuild/_version.py").read_text())
    assert version
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text()
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"] == "doit-lambdabuild"


def test_what_becomes_of_each_option_of_a_plugin_is_documented_in_the_same_words() -> None:
    text = (ROOT / "docs/guides/plugins.md").read_text()
    words = {"mapped": "", "no effect": "no effect: ", "told": "a note: "}
    titles = {plugin.NAME: plugin.OPTIONS for plugin in (python_requirements, socless, esbuild, dotenv_plugin)}
    for title, options in {**titles, "TypeScript, and version 4": built_in.OPTIONS}.items():
        section = text[text.index(f"## {title}") :]
        rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section.partition("\n## ")[0], re.MULTILINE))
        assert rows == {name: words[one.becomes] + one.words for name, one in options.items()}


def test_what_becomes_of_each_plugin_is_documented_in_the_same_words() -> None:
    section = (ROOT / "docs/guides/plugins.md").read_text().partition("## All the others")[2]
    rows = dict(re.findall(r"^\| `(\S+)` \| (.*) \|$", section, re.MULTILINE))
    words = {"done": "done here", "harmless": "a note: ", "error": "LB115: "}
    assert rows == {name: words[one.becomes] + one.words for name, one in known.PLUGINS.items()}
