"""What callers read: how an error begins, warnings, and what tools print, as Lambda Builders has them."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
from caller_project import Project

MAKE = ("provided", "Makefile", "provided")
FN = {"options": {"build_logical_id": "Fn"}}


@pytest.fixture
def made(tmp_path: Path) -> Project:
    return Project(tmp_path)


ESBUILD = ("nodejs/npm-esbuild", "package.json", "nodejs22.x")
FAILURES: dict[str, tuple[dict[str, str], tuple[str, str, str], dict[str, Any], str]] = {
    "a recipe": ({"src/Makefile": "build-Fn:\n\tfalse\n"}, MAKE, FN, "CustomMakeBuilder:MakeBuild - Make Failed: "),
    "no target": ({"src/Makefile": "x:\n"}, MAKE, FN, "CustomMakeBuilder:MakeBuild - Make Failed: .*No rule to make target"),
    "no Makefile": ({"src/x": ""}, MAKE, FN, "CustomMakeBuilder:MakeBuild - Makefile not found at /.*/src/Makefile$"),
    "no build.gradle": (
        {"src/x": ""}, ("java/gradle", "build.gradle", "java17"), {},
        "JavaGradleWorkflow:GradleBuild - Gradle Failed: Gradle build file not found: /.*/src/build.gradle$",
    ),
    "no options": ({"src/package.json": "{}"}, ESBUILD, {},
                   r"NodejsNpmEsbuildBuilder:EsbuildBundle - entry_points not set \({}\)$"),
    "other options": ({"src/package.json": "{}"}, ESBUILD, {"options": {"minify": True}},
                      r"NodejsNpmEsbuildBuilder:EsbuildBundle - entry_points not set \({'minify': True}\)$"),
    "no list": ({"src/package.json": "{}"}, ESBUILD, {"options": {"entry_points": 1}},
                r"NodejsNpmEsbuildBuilder:EsbuildBundle - entry_points must be a list \("),
    "an empty list": ({"src/package.json": "{}"}, ESBUILD, {"options": {"entry_points": []}},
                      r"NodejsNpmEsbuildBuilder:EsbuildBundle - entry_points must not be empty \("),
    "an entry that is not there": (
        {"src/x": ""}, ESBUILD, {"options": {"entry_points": ["a.js"]}},
        "NodejsNpmEsbuildBuilder:EsbuildBundle - Esbuild Failed: ",
    ),
    "no dependencies": (
        {"src/package.json": "{}"}, ESBUILD, {"options": {"entry_points": ["a.js"]}, "download_dependencies": False},
        "Esbuild Failed: .* unable to find the location of the dependencies",
    ),
    "a requirement": (
        {"src/requirements.txt": "boto3=1.19.99\n"}, ("python/pip", "requirements.txt", "python3.11"), {},
        "PythonPipBuilder:ResolveDependencies - .*Invalid requirement: 'boto3=1.19.99'",
    ),
    "a Gemfile": (
        {"src/Gemfile": "gem(\n"}, ("ruby/bundler", "Gemfile", "ruby3.4"), {}, "RubyBundlerBuilder:RubyBundle - Bundler Failed: ",
    ),
    "a go.mod": (
        {"src/go.mod": "modul a\n", "src/main.go": "package main\n"}, ("go/modules", "go.mod", "provided"), {},
        "GoModulesBuilder:Build - Builder Failed: ",
    ),
    "a pom.xml": (
        {"src/pom.xml": "<project"}, ("java/maven", "pom.xml", "java17"), {}, "JavaMavenWorkflow:MavenBuild - Maven Failed: ",
    ),
    "a package.json": (
        {"src/package.json": "{"}, ("nodejs/npm", "package.json", "nodejs22.x"), {}, "NodejsNpmBuilder:NpmInstall - NPM Failed: ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
def test_an_error_begins_as_the_peers_does(name: str, made: Project) -> None:
    files, what, more, expected = FAILURES[name]
    assert re.match(expected, made.write(files).failure(*what, **more), re.DOTALL)


def test_a_tool_that_is_not_there_is_the_resolvers(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(made.folder))
    made.write({"src/Makefile": "x:\n", "src/go.mod": "module a\n", "src/package.json": '{"dependencies": {"a": "1"}}'})
    assert made.failure(*MAKE, **FN).startswith("CustomMakeBuilder:Resolver - ")
    assert made.failure("go/modules", "go.mod", "provided").startswith("GoModulesBuilder:Resolver - ")
    assert made.failure("nodejs/npm", "package.json", "nodejs22.x").startswith("NodejsNpmBuilder:Resolver - ")


@pytest.mark.parametrize(
    ("capability", "runtime", "expected"),
    [
        ("python/pip", "python3.11", "requirements.txt file not found. Continuing the build without dependencies."),
        ("nodejs/npm", "nodejs22.x", "package.json file not found. Continuing the build without dependencies."),
        ("ruby/bundler", "ruby3.4", "Gemfile not found. Continuing the build without dependencies."),
    ],
)
def test_a_manifest_that_is_not_there_is_told_in_the_peers_words(
    capability: str, runtime: str, expected: str, made: Project, caplog: pytest.LogCaptureFixture
) -> None:
    made.write({"src/x": ""})
    assert made.build(capability, "non/existent/manifest", runtime) == {"x"}
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [expected]


@pytest.mark.parametrize("level", ["INFO", "ERROR"])
def test_what_a_makefile_prints_is_on_standard_error(
    level: str, made: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("lambdabuild").setLevel(level)
    made.write({"src/Makefile": "build-Fn:\n\t@echo one\n\t@echo two >&2\n\t@touch $(ARTIFACTS_DIR)/x\n"})
    made.build(*MAKE, **FN)
    out, err = capfd.readouterr()
    assert out == "" and {"one", "two"} <= set(err.splitlines())


def test_what_npm_prints_is_a_log(made: Project, capfd: pytest.CaptureFixture[str]) -> None:
    made.write({
        "src/package.json": '{"name": "a", "version": "1.0.0", "dependencies": {"near": "file:../near"}}',
        "near/package.json": '{"name": "near", "version": "1.0.0"}',
    })  # fmt: skip
    for level, expected in (("INFO", True), ("WARNING", False)):
        logging.getLogger("lambdabuild").setLevel(level)
        made.build("nodejs/npm", "package.json", "nodejs22.x")
        assert ("added 1 package" in capfd.readouterr().err) == expected


def test_npm_test_runs_when_sam_clis_variable_asks_for_it(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    made.write(
        {"src/package.json": '{"name": "a", "version": "1.0.0", "scripts": {"test": "touch tested && exit $CODE"}}'}
    )
    npm = ("nodejs/npm", "package.json", "nodejs22.x")
    monkeypatch.setenv("CODE", "0")
    assert made.build(*npm) == {"package.json"}
    monkeypatch.setenv("SAM_NPM_RUN_TEST_WITH_BUILD", "true")
    made.build(*npm)
    assert made.artifacts.joinpath("tested").exists()
    monkeypatch.setenv("CODE", "3")
    assert made.failure(*npm).startswith("NodejsNpmBuilder:NpmTest - NPM Failed: ")


@pytest.mark.parametrize(
    ("files", "what", "expected"),
    [
        ({"src/fn.mk": "build-Fn:\n\ttouch $(ARTIFACTS_DIR)/x\n"}, ("provided", "fn.mk", "provided"), {"x"}),
        ({"src/requirements-dev.txt": "", "src/a.py": ""}, ("python/pip", "requirements-dev.txt", "python3.11"),
         {"a.py", "requirements-dev.txt"}),
        ({"src/prod.in": "", "src/a.py": ""}, ("python/pip", "prod.in", "python3.11"), {"a.py", "prod.in"}),
        ({"src/package.json": "{}", "src/package-x.json": "{", "src/a.js": ""}, ("nodejs/npm", "package-x.json", "nodejs22.x"),
         {"a.js", "package.json", "package-x.json"}),
        ({"src/package-x.json": '{"name": "x", "version": "1.0.0"}', "src/a.js": ""},
         ("nodejs/npm", "package-x.json", "nodejs22.x"), {"a.js", "package-x.json"}),
        ({"src/go.mod": "module a\n\ngo 1.20\n", "src/main.go": "package main\n\nfunc main() {}\n"},
         ("go/modules", "non/go.mod", "provided"), {"bootstrap"}),
    ],
)  # fmt: skip
def test_a_manifest_may_have_another_name(
    files: dict[str, str], what: tuple[str, str, str], expected: set[str], made: Project
) -> None:
    assert made.write(files).build(*what, **FN) == expected
