"""What becomes of each plugin that a service lists: nothing is lost without a word."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lambdabuild.core.errors import LambdaBuildError, PluginNotRun
from lambdabuild.frontends.serverless.plugins.known import PLUGINS, row
from lambdabuild.project_loader import compile_text

HEAD = "service: shop\nconfigValidationMode: error\nprovider: {name: aws, runtime: python3.11}\n"
FUNCTION = "functions: {one: {handler: a.b}}\n"


def compiled(folder: Path, text: str, **settings: str) -> tuple[dict, list[str]]:
    """A service's template, and what is told of it."""
    folder.joinpath("serverless.yml").write_text(text)
    notes: list[str] = []
    found, _ = compile_text(str(folder), settings, notes.append)
    return json.loads(found), notes


def test_every_plugin_is_done_or_harmless_or_an_error_and_all_but_the_first_are_told_why() -> None:
    assert {known.becomes for known in PLUGINS.values()} == {"done", "harmless", "error"}
    assert [name for name, known in PLUGINS.items() if known.becomes != "done" and not known.words] == []
    assert row("serverless-offline-sqs").becomes == "harmless"
    assert row("./plugins/mine.js").becomes == row("@acme/nobody-knows").becomes == "error"


@pytest.mark.parametrize("name", [n for n, one in PLUGINS.items() if one.becomes == "error"])
def test_a_plugin_whose_work_would_be_lost_is_an_error_until_somebody_says_that_it_is_right(
    name: str, tmp_path: Path
) -> None:
    text = f"{HEAD}plugins:\n  - serverless-offline\n  - {name}\n{FUNCTION}"
    with pytest.raises(PluginNotRun) as raised:
        compiled(tmp_path, text)
    assert raised.value.code == "LB115"
    assert name in raised.value.message
    assert f'plugins_ignored = ["{name}"]' in raised.value.help
    assert "serverless.yml:6:5" in str(raised.value)
    _, notes = compiled(tmp_path, text, plugins_ignored=name)
    assert re.search(rf"serverless.yml:6:5: {re.escape(name)} is ignored", "\n".join(notes))


@pytest.mark.parametrize(
    "plugins",
    ["[./plugins/mine.js]", "{modules: [mine], localPath: ./own}", "['@acme/serverless-thing', serverless-offline]"],
)
def test_a_plugin_that_nobody_knows_is_an_error_too(plugins: str, tmp_path: Path) -> None:
    with pytest.raises(PluginNotRun, match="lambdabuild does not know what it does"):
        compiled(tmp_path, f"{HEAD}plugins: {plugins}\n{FUNCTION}")
    compiled(tmp_path, f"{HEAD}plugins: {plugins}\n{FUNCTION}", plugins_ignored="*")


def test_one_error_names_all_and_its_hint_keeps_those_that_are_ignored_already(tmp_path: Path) -> None:
    text = f"{HEAD}plugins: [serverless-webpack, serverless-plugin-warmup, serverless-rust]\n{FUNCTION}"
    with pytest.raises(PluginNotRun) as raised:
        compiled(tmp_path, text, plugins_ignored="serverless-rust")
    assert (
        'plugins_ignored = ["serverless-rust", "serverless-webpack", "serverless-plugin-warmup"]' in raised.value.help
    )


@pytest.mark.parametrize("name", [n for n, one in PLUGINS.items() if one.becomes == "harmless"])
def test_a_plugin_that_no_template_shows_is_told_with_its_place(name: str, tmp_path: Path) -> None:
    name = name.replace("*", "x")
    _, notes = compiled(tmp_path, f"{HEAD}plugins: [{name}]\n{FUNCTION}")
    assert any(f"serverless.yml:4:11: {name} is not run" in note for note in notes)


KEYS = {
    "throttling of an endpoint": (
        "serverless-api-gateway-throttling",
        "functions: {one: {handler: a.b, events: [{http: {path: a, method: get, throttling: {maxRequestsPerSecond: 1}}}]}}\n",
        "http.throttling is not known",
    ),
    "throttling of a route": (
        "serverless-api-gateway-throttling",
        "functions: {one: {handler: a.b, events: [{httpApi: {path: /a, method: get, throttling: {maxConcurrentRequests: 1}}}]}}\n",
        "httpApi.throttling is not known",
    ),
    "a value of another kind": ("serverless-plugin-tracing", "provider: {tracing: true, name: aws, runtime: python3.11}\n" + FUNCTION, "provider.tracing is True"),
    "an event": ("serverless-plugin-existing-s3", "functions: {one: {handler: a.b, events: [{existingS3: {bucket: b}}]}}\n", "existingS3 is not known"),
    "an event of a plugin that nobody knows": ("./mine.js", "functions: {one: {handler: a.b, events: [{fax: 1}, {http: GET /a}]}}\n", "fax is not known"),
    "a key of a schedule": ("./mine.js", "functions: {one: {handler: a.b, events: [{schedule: {rate: rate(1 day), jitter: 1}}]}}\n", "jitter is not known"),
    "a section": ("serverless-step-functions", f"stepFunctions: {{stateMachines: {{}}}}\n{FUNCTION}", "stepFunctions is not known"),
    "a key of a function": ("serverless-plugin-warmup", "functions: {one: {handler: a.b, warmup: {default: {enabled: true}}}}\n", "warmup is not known"),
}  # fmt: skip


@pytest.mark.parametrize("name", KEYS)
def test_keys_and_events_of_a_listed_plugin_are_told_and_no_mistakes(name: str, tmp_path: Path) -> None:
    plugin, text, words = KEYS[name]
    head = HEAD if "provider:" not in text else HEAD.partition("provider:")[0]
    template, notes = compiled(tmp_path, f"{head}plugins: ['{plugin}']\n{text}", plugins_ignored=plugin)
    assert words in "\n".join(notes)
    assert "OneLambdaFunction" in template["Resources"]
    with pytest.raises(LambdaBuildError, match=r"is not known here|must be"):
        compiled(tmp_path, f"{head}{text}")


@pytest.mark.parametrize(
    "plugin", ["serverless-offline", "serverless-iam-roles-per-function", "serverless-prune-plugin"]
)
def test_a_plugin_without_keys_of_its_own_excuses_no_mistake(plugin: str, tmp_path: Path) -> None:
    with pytest.raises(LambdaBuildError, match="handlr is not known here"):
        compiled(tmp_path, f"{HEAD}plugins: [{plugin}]\nfunctions: {{one: {{handler: a.b, handlr: a.c}}}}\n")


ROLE = "iamRoleStatements: [{Effect: Allow, Action: 's3:*', Resource: '*'}], iamRoleStatementsName: mine"


@pytest.mark.parametrize(
    ("head", "is_made"),
    [("", False), ("frameworkVersion: '3'\n", False), ("plugins: [serverless-offline]\n", False),
     ("plugins: [serverless-iam-roles-per-function]\n", True), ("frameworkVersion: ^4.2.0\n", True)],
)  # fmt: skip
def test_a_role_for_one_function_is_made_where_its_plugin_is_listed(head: str, is_made: bool, tmp_path: Path) -> None:
    text = f"{HEAD.replace('error', 'warn')}{head}functions: {{one: {{handler: a.b, {ROLE}}}}}\n"
    template, notes = compiled(tmp_path, text)
    assert ("mine" in str(template)) == is_made
    told = [note for note in notes if "which is not listed under plugins: it has no effect" in note]
    assert len(told) == (0 if is_made else 2)
    assert all("functions.one.iamRoleStatements" in note for note in told)


def test_it_is_a_mistake_where_mistakes_are_errors(tmp_path: Path) -> None:
    with pytest.raises(LambdaBuildError, match="iamRoleStatements belongs to serverless-iam-roles"):
        compiled(tmp_path, f"{HEAD}functions: {{one: {{handler: a.b, {ROLE}}}}}\n")
