"""Which files of a service are packed: dot-files, files from above it, and those of its own build/ folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox import Sandbox

from lambdabuild.frontends.serverless.package_patterns import from_above, globs

HEAD = "service: shop\nprovider: {name: aws, runtime: python3.12}\n"
ONE = "functions: {one: {handler: a.b}}\n"


@pytest.mark.parametrize(
    ("excluded", "included", "expected"),
    [
        ([], ["!tests"], ["!tests", "!tests/**"]),
        ([], ["!**/tests", "tests/a.py"], ["!**/tests", "!**/tests/**", "tests/a.py"]),
        ([], ["!{a,b}/c"], ["!{a,b}/c", "!a/c/**", "!b/c/**"]),
        ([], ["!*.md", "!t*", "!docs/"], ["!*.md", "!t*", "!docs/"]),
        (["tests", "!keep"], ["./src/**"], ["!tests", "keep", "src/**"]),
        ([], ["tests/a.py", "!tests"], ["tests/a.py", "!tests", "!tests/**", "tests/a.py"]),
        ([], ["!a", "**"], ["**", "!a", "!a/**"]),
        ([], ["!x/[!a].py"], ["!x/[!a].py", "!x/[^a].py"]),
    ],
)
def test_a_pattern_that_names_a_folder_leaves_out_its_content(
    excluded: list[str], included: list[str], expected: list[str]
) -> None:
    assert list(globs(excluded, included)) == expected


def test_only_lines_about_folders_above_bring_in_files_from_there() -> None:
    assert from_above(["!x", "../lib/**", "a", "!../lib/*.md"]) == ("../lib/**", "!../lib/*.md")
    assert from_above(["!../lib/**", "a"]) == ()


def test_files_from_above_the_service_go_in_and_count(tmp_path: Path) -> None:
    place = Sandbox(tmp_path / "all/services/shop").write({
        "serverless.yml": HEAD + "package: {patterns: ['!**', a.py, '../lib/**', '!../lib/**/*.md', '../../common.py']}\n" + ONE,
        "a.py": "",
    })  # fmt: skip
    Sandbox(tmp_path / "all").write({
        "services/lib/x.py": "", "services/lib/deep/y.py": "", "services/lib/z.md": "", "services/no.py": "", "common.py": "1", "no.py": "",
    })  # fmt: skip
    place.build()
    assert place.names("one") == ["a.py", "common.py", "lib/deep/y.py", "lib/x.py"]
    (tmp_path / "all/common.py").write_text("2 # changed")
    assert "zip:one" in place.build().said
    assert place.build().steps == []


def test_dot_files_are_packed_as_the_framework_packs_them_and_secrets_are_told(project: Sandbox) -> None:
    files = {
        ".env": "A=1",
        ".npmrc": "a=b",
        ".python-version": "3.12",
        ".eslintrc": "{}",
        "src/.gitignore": "x",
        "src/.env.local": "B=1",
    }
    project.write({"serverless.yml": HEAD + ONE, "a.py": "", ".gitignore": "x", **files})
    ran = project.build()
    assert project.names("one") == sorted([*files, "a.py"])
    for name in (".env", ".npmrc", "src/.env.local"):
        assert f"one: {name} goes into the artifact, and such files hold secrets" in ran.said
    project.write({"serverless.yml": "useDotenv: true\n" + HEAD + ONE})
    project.build()
    assert ".env" not in project.names("one")


def test_a_build_folder_of_the_service_itself_is_source_and_nothing_is_written_into_it(project: Sandbox) -> None:
    project.write({"serverless.yml": HEAD + ONE, "a.py": "", "build/out.py": "", "build/deep/x.txt": ""})
    ran = project.run("build")
    assert ran.code == 0, ran.said
    assert "build/ holds files that lambdabuild did not make, so its output goes to .lambdabuild/" in ran.said
    assert sorted(path.name for path in project.path("build").iterdir()) == ["deep", "out.py"]
    assert project.names("one", build_dir=".lambdabuild") == ["a.py", "build/deep/x.txt", "build/out.py"]
    assert "nothing to do" in project.run("build").said
    named = project.run("build", "build_dir=out")
    assert named.code == 0, named.said
    assert project.names("one", build_dir="out") == ["a.py", "build/deep/x.txt", "build/out.py"]


@pytest.mark.parametrize("how", ["empty", "ours"])
def test_a_build_folder_that_is_empty_or_ours_is_taken_as_ever(how: str, project: Sandbox) -> None:
    project.write({"serverless.yml": HEAD + ONE, "a.py": ""})
    project.path("build").mkdir()
    if how == "ours":
        project.build()
        project.write({"build/more.txt": "", "a.py": "# changed"})
    assert ".lambdabuild/" not in project.build().said
    assert project.names("one") == ["a.py"]
