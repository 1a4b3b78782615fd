"""What serverless-dotenv-plugin, -plugin-ifelse and -plugin-conditional-functions do to a service."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from lambdabuild.config.settings import Settings
from lambdabuild.core.errors import BadPluginOption, PluginNeeds, SourceFailed
from lambdabuild.frontends.serverless.plugins import expressions
from lambdabuild.project_loader import load_service

NODE = {"PATH": str(Path(shutil.which("node") or "/usr/bin/node").parent)}
PROVIDER = "service: shop\nprovider: {name: aws, runtime: python3.12, stage: dev, environment: {A: own}, timeout: 9}\n"
ONE = "functions: {one: {handler: a.b}}\n"


def loaded(
    folder: Path, text: str, environment: dict[str, str] | None = None, **files: str
) -> tuple[dict[str, Any], str]:
    for name, content in {"serverless.yml": text, **files}.items():
        folder.joinpath(name).write_text(content)
    service = load_service(str(folder), Settings(), environment=environment or {})
    assert service.definition is not None
    return service.definition.data, "\n".join(service.notes)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('"dev" == "prod"', False), ("'a' != 'b' && 1 < 2", True), ("true", True), ("false", False), ("", None),
        ('"a" === "a" || "x" == "y"', True), ('!("a" == "a")', False), ("2.5 >= 2.5", True), ('"" || false', False),
        ('"1" == 1', None), ('"a" < "b"', None), ('/a/.test("a")', None), ("x == 1", None), ('"a" ==', None), ("(" * 99 + "1", None),
        ("1 < 2 < 3", None), ('"a" == "a" "b"', None), ("!!1 == true", True),
    ],
)  # fmt: skip
def test_a_condition_that_compares_values_of_one_kind_needs_no_node(condition: str, expected: bool | None) -> None:
    assert expressions.truth(condition) is expected


IF_ELSE = PROVIDER + "plugins: [serverless-plugin-ifelse]\n"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("If: '\"${sls:stage}\" == \"dev\"', Set: {provider.timeout: 90}, ElseSet: {provider.timeout: 1}", {"timeout": 90}),
        ("If: '\"${sls:stage}\" == \"prod\"', Set: {provider.timeout: 90}, ElseSet: {provider.timeout: 1}", {"timeout": 1}),
        ("If: 'true', Exclude: provider.environment.A", {"environment": {}}),
        ("If: '1 > 2', Exclude: [provider.timeout], ElseExclude: [provider.environment]", {"environment": None}),
        ("If: true, Set: {provider.memorySize: 512, nowhere.at.all: 1, single: 2}", {"memorySize": 512, "timeout": 9}),
        ("ExcludeIf: {provider.timeout: '\"a\" == \"a\"', provider.environment: 'false'}", {"timeout": None, "environment": {"A": "own"}}),
    ],
)  # fmt: skip
def test_ifelse_sets_and_removes_what_its_conditions_say(options: str, expected: dict, tmp_path: Path) -> None:
    data, _ = loaded(tmp_path, f"{IF_ELSE}custom: {{serverlessIfElse: [{{{options}}}]}}\n{ONE}")
    assert {key: data["provider"].get(key) for key in expected} == expected
    untouched, _ = loaded(tmp_path, f"{PROVIDER}custom: {{serverlessIfElse: [{{{options}}}]}}\n{ONE}")
    assert untouched["provider"]["timeout"] == 9, "the plugin is not listed"


def test_events_and_functions_are_removed_by_their_places_as_written(tmp_path: Path) -> None:
    functions = "functions: {one: {handler: a.b, events: [{sns: a}, {sns: b}, {sns: c}]}, two: {handler: a.b}}\n"
    custom = "custom: {serverlessIfElse: [{If: 'true', Exclude: [functions.one.events.0, functions.one.events.2, functions.two]}]}\n"
    data, _ = loaded(tmp_path, IF_ELSE + custom + functions)
    assert data["functions"] == {"one": {"handler": "a.b", "events": [{"sns": "b"}]}}


def test_any_other_condition_is_evaluated_by_node_with_the_service_as_it_is_then(tmp_path: Path) -> None:
    custom = """custom:
  serverlessIfElse:
    - {If: '/^d/.test("${sls:stage}") && ["dev"].includes("${sls:stage}")', Set: {provider.timeout: 90}}
    - {If: 'this.serverless.service.provider.timeout === 90', Set: {provider.memorySize: 512}}
    - {If: 'process.env.SHOP == "yes"', Set: {provider.environment.A: set}}
    - {If: 'undefinedName == 1', Set: {provider.timeout: 3}}
"""
    data, notes = loaded(tmp_path, IF_ELSE + custom + ONE, {**NODE, "SHOP": "yes"})
    assert (data["provider"]["timeout"], data["provider"]["memorySize"]) == (90, 512)
    assert data["provider"]["environment"] == {"A": "set"}
    assert "serverless.yml:9:12: the condition cannot be evaluated" in notes
    assert "undefinedName is not defined" in notes
    with pytest.raises(SourceFailed, match="needs node"):
        loaded(tmp_path, IF_ELSE + custom + ONE, {"PATH": str(tmp_path)})


def test_options_of_ifelse_that_are_no_list_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadPluginOption, match="must be a list of mappings"):
        loaded(tmp_path, f"{IF_ELSE}custom: {{serverlessIfElse: {{If: 'true'}}}}\n{ONE}")


def test_functions_that_are_not_enabled_are_not_there(tmp_path: Path) -> None:
    functions = """functions:
  one: {handler: a.b, enabled: true}
  two: {handler: a.b, enabled: false}
  three: {handler: a.b, enabled: '"${self:provider.stage}" == "prod"'}
  four: {handler: a.b, enabled: '"${self:provider.stage}" != "prod"'}
  five: {handler: a.b}
  six: {handler: a.b, enabled: 'no such thing'}
  seven: {handler: a.b, enabled: '["prod"].includes("dev")'}
"""
    head = "configValidationMode: error\nplugins: [serverless-plugin-conditional-functions]\n"
    data, notes = loaded(tmp_path, head + PROVIDER + functions, NODE)
    assert list(data["functions"]) == ["one", "four", "five", "six"]
    assert all("enabled" not in one for one in data["functions"].values())
    assert "serverless.yml:11:32: the condition cannot be evaluated" in notes
    assert "not known" not in notes


FILES = {
    ".env": "A=env\nB=$A-${NOPE:-f}\nC=c#x\nSECRET=s\n", ".env.dev": "B=dev\n", ".env.local": "D=local\n",
    ".env.staging.local": "E=e\n", "other.env": "A=other\nF=$A\n", "sub.env": "G=g\n", ".env.test": "T=t\n",
}  # fmt: skip
DOTENV = {
    "by default": ("", {}, {"A": "env", "B": "env-f", "C": "c", "SECRET": "s", "D": "local"}),
    "of NODE_ENV": ("", {"NODE_ENV": "staging"}, {"A": "env", "B": "env-f", "C": "c", "SECRET": "s", "D": "local", "E": "e"}),
    "of a test": ("exclude: [A, C]", {"NODE_ENV": "test"}, {"A": "own", "B": "env-f", "SECRET": "s", "T": "t"}),
    "one file": ("path: other.env", {}, {"A": "other", "F": "other"}),
    "several files": ("path: [other.env, .env]", {}, {"A": "other", "F": "other", "B": "other-f", "C": "c", "SECRET": "s"}),
    "a file that is not there": ("path: nothing.env", {}, {"A": "own"}),
    "beginning otherwise": ("basePath: nowhere/", {}, {"A": "own"}),
    "in this folder": ("basePath: ./", {}, {"A": "env", "B": "env-f", "C": "c", "SECRET": "s", "D": "local"}),
    "included": ("include: [B, Z], exclude: [B]", {}, {"A": "own", "B": "env-f"}),
    "excluded": ("exclude: [SECRET, D]", {}, {"A": "env", "B": "env-f", "C": "c"}),
    "as they are": ("variableExpansion: false, include: [B]", {}, {"A": "own", "B": "$A-${NOPE:-f}"}),
    "over the environment's": ("include: [A]", {"A": "here"}, {"A": "here"}),
    "required": ("required: {env: [A, HERE], file: true}, include: [A]", {"HERE": "1"}, {"A": "env"}),
}  # fmt: skip


@pytest.mark.parametrize("name", DOTENV)
def test_every_function_gets_the_variables_of_env_files(name: str, tmp_path: Path) -> None:
    options, environment, expected = DOTENV[name]
    text = f"plugins: [serverless-dotenv-plugin]\n{PROVIDER}custom: {{dotenv: {{{options}}}}}\n{ONE}"
    data, _ = loaded(tmp_path, text, environment, **FILES)
    assert data["provider"]["environment"] == expected


def test_a_note_names_the_variables_and_not_their_values(tmp_path: Path) -> None:
    text = f"plugins: [serverless-dotenv-plugin]\n{PROVIDER}custom: {{dotenv: {{%s}}}}\n{ONE}"
    _, notes = loaded(tmp_path, text % "include: [SECRET, C], colour: 1", **FILES)
    assert "every function gets of .env.local, .env: C, SECRET" in notes
    assert "custom.dotenv.colour is not known" in notes
    assert "gets of" not in loaded(tmp_path, text % "logging: false")[1]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ("dotenvParser: parse.js", BadPluginOption, "is a program, and it is not run"),
        ("required: {env: [A, MISSING]}", PluginNeeds, "MISSING is not set"),
        ("required: {file: true}, basePath: nowhere/", PluginNeeds, "there is no .env file"),
        ("path: 3", BadPluginOption, "must be a text or a list of texts"),
    ],
)
def test_what_is_required_and_what_is_not_done_are_errors(
    options: str, error: type, words: str, tmp_path: Path
) -> None:
    text = f"plugins: [serverless-dotenv-plugin]\n{PROVIDER}custom: {{dotenv: {{{options}}}}}\n{ONE}"
    with pytest.raises(error, match=words):
        loaded(tmp_path, text, **FILES)
