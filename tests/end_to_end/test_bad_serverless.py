"""Mistakes in a serverless.yml: each has a code, a place and what to do about it, and what was built stays."""

from __future__ import annotations

import json
import re

import pytest
from sandbox import Sandbox

HEAD = "service: shop\nprovider: {name: aws, runtime: python3.11}\n"
ROLES = "plugins: [serverless-iam-roles-per-function]\n"
STRICT = "configValidationMode: error\n"
GOOD = HEAD + "functions:\n  one: {handler: app.one}\n"

MISTAKES: dict[str, tuple[str, str, str]] = {
    "unknown key": (HEAD + "functions:\n  one:\n    handlr: app.one\n", "LB109", r"functions.one.handlr is not known here.*--> serverless.yml:5:5.*did you mean handler\?"),
    "unknown key of the provider": ("service: shop\nprovider:\n  name: aws\n  runtme: x\nfunctions: {one: {handler: a.b}}\n", "LB109", r"provider.runtme.*?serverless.yml:4:3.*?did you mean runtime\?"),
    "wrong type": (HEAD + "functions:\n  one: {handler: app.one, timeout: long}\n", "LB109", r"timeout is 'long', and must be a whole number.*?serverless.yml:4:36"),
    "too much": (HEAD + "functions:\n  one: {handler: app.one, memorySize: 99999}\n", "LB109", r"must be 10240 or less"),
    "unknown event": (HEAD + "functions:\n  one: {handler: app.one, events: [{htpp: GET /}]}\n", "LB109", r"did you mean http\?"),
    "no such runtime": (HEAD + "functions:\n  one: {handler: app.one, runtime: pyhton3.11}\n", "LB109", r"must be a Lambda runtime such as"),
    "another provider": ("service: shop\nprovider: google\n", "LB109", r"builds for aws only"),
    "cycle": (HEAD + "custom: {a: '${self:custom.b}', b: '${self:custom.a}'}\nfunctions:\n  one: {handler: '${self:custom.a}'}\n", "LB203", r"custom.a -> custom.b -> custom.a"),
    "no value": (HEAD + "functions:\n  one: {handler: '${env:NOT_THERE}'}\n", "LB202", r"functions.one.handler: \$\{env:NOT_THERE\} has no value.*?serverless.yml:4:18.*?fallback"),
    "no such file": (HEAD + "functions: ${file(functions.yml)}\n", "LB202", r"file\(functions.yml\)"),
    "broken file": (HEAD + "functions: ${file(broken.yml)}\n", "LB102", r"broken.yml:2:1"),
    "file that throws": (HEAD + "functions: ${file(throws.js)}\n", "LB205", r"throws.js threw an error[^@]*boom"),
    "unknown source": (HEAD + "functions:\n  one: {handler: '${slef:x}'}\n", "LB204", r"did you mean self:\?"),
    "unclosed": (HEAD + "functions:\n  one: {handler: '${self:x'}\n", "LB201", r"the closing } is missing"),
    "broken yaml": ("service: [\n", "LB102", r"serverless.yml:2:1"),
    "key twice": (HEAD + "functions:\n  one: {handler: a.b}\n  one: {handler: a.b}\n", "LB103", r"'one' is written twice"),
    "names that clash": (HEAD + "functions:\n  a-b: {handler: a.b}\n  aDashb: {handler: a.b}\n", "LB705", r"ADashbLambdaFunction.*?serverless.yml:4:3.*?serverless.yml:5:3"),
    "role too long": (HEAD + ROLES + "functions:\n  one_function_with_a_name_that_is_longer_than_anybody_would_want_it_to_be: {handler: a.b, iamRoleStatements: []}\n", "LB702", r"64"),
    "role and own role": (HEAD + ROLES + "functions:\n  one: {handler: a.b, role: X, iamRoleStatements: []}\n", "LB702", r"both a role and statements"),
    "layer of nothing": (HEAD + "layers: {a: {name: x}}\nfunctions: {one: {handler: a.b}}\n", "LB702", r"neither a path nor a package.artifact"),
    "layer folder missing": (HEAD + "layers: {a: {path: nothing}}\nfunctions: {one: {handler: a.b}}\n", "LB302", r"nothing"),
    "module missing": (HEAD + "functions: {one: {handler: a.b, module: nothing}}\n", "LB302", r"nothing"),
    "nothing left": (HEAD + "package: {patterns: ['!**']}\nfunctions: {one: {handler: a.b}}\n", "LB405", r"empty zip"),
    "image without a folder": (HEAD.replace("}", ", ecr: {images: {base: ./image}}}", 1) + "functions: {one: {image: base}}\n", "LB302", r"the folder image/"),
    "image without a Dockerfile": (HEAD.replace("}", ", ecr: {images: {base: {path: ., file: none}}}}", 1) + "functions: {one: {image: base}}\n", "LB810 (DOCKERFILE_NOT_AVAILABLE_ERROR)", r"none, from which"),
    "image of another region": (HEAD + "functions: {one: {image: '1.dkr.ecr.eu-west-3.amazonaws.com/a:v1'}}\n", "LB702 (LAMBDA_ECR_REGION_MISMATCH_ERROR)", r"in eu-west-3"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_has_a_code_a_place_and_a_mend_and_spoils_nothing(name: str, project: Sandbox) -> None:
    text, code, words = MISTAKES[name]
    text += STRICT if code == "LB109" else ""
    project.write({
        "serverless.yml": GOOD, "app.py": "", "broken.yml": "a: [\n", "throws.js": "throw new Error('boom');\n",
    }).build()  # fmt: skip
    before = {**project.zips(), "template": project.path("build/packaged-template.json").read_bytes()}
    project.write({"serverless.yml": text})
    ran = project.run("build")

    assert ran.code != 0
    assert code in ran.said, ran.said
    assert re.search(words, ran.said, re.DOTALL), ran.said
    assert re.search(r"(?m)^  --> \S+:\d+:\d+$", ran.said) or code in ("LB405",), ran.said
    assert "help: " in ran.said
    assert "Traceback" not in ran.said
    assert {**project.zips(), "template": project.path("build/packaged-template.json").read_bytes()} == before


def test_many_mistakes_are_told_at_once(project: Sandbox) -> None:
    functions = "functions:\n  one: {handler: a.b, timeout: x, memorySize: y, funny: z}\n"
    project.write({"serverless.yml": STRICT + HEAD + functions})
    assert project.run("build").said.count("LB109") == 3


ODD = HEAD + "functions:\n  one:\n    handler: a.b\n    memorySize: 1536MB\n    tenant: x\n    timout: 7\n"
WARNED = (
    "serverless.yml:6:17: functions.one.memorySize is '1536MB', and must be a whole number",
    "serverless.yml:7:5: functions.one.tenant is not known here",
    "serverless.yml:8:5: functions.one.timout is not known here; did you mean timeout?",
)


def test_what_the_schema_does_not_take_is_a_warning_with_place_and_hint_as_with_the_framework(project: Sandbox) -> None:
    project.write({"serverless.yml": ODD, "a.py": ""})
    for ran in (project.run("build"), project.run("compile")):
        assert ran.code == 0, ran.said
        for words in WARNED:
            assert f"warning: {words}" in ran.err
    project.write({"a.py": "b = 1\n"})
    told = json.loads(project.run("build", "format=json").out.splitlines()[-1])["warnings"]
    assert all(any(line.startswith(words) for line in told) for words in WARNED), told
    assert '"MemorySize": "1536MB"' in project.path("build/packaged-template.json").read_text()


def test_a_file_may_ask_for_errors_or_for_nothing_at_all(project: Sandbox) -> None:
    project.write({"serverless.yml": STRICT + ODD, "a.py": ""})
    ran = project.run("compile")
    assert ran.code != 0
    assert ran.err.count("LB109") == 3
    project.write({"serverless.yml": "configValidationMode: off\n" + ODD})
    assert project.run("compile").err == ""


def test_what_is_told_of_plugins_is_printed_by_build_and_compile(project: Sandbox) -> None:
    project.write(
        {
            "serverless.yml": "plugins: [serverless-offline, serverless-step-functions]\n"
            + HEAD
            + "stepFunctions: {}\nfunctions:\n  one: {handler: a.b}\n",
            "a.py": "",
        }
    )
    refused = project.run("build")
    assert refused.code != 0
    assert "LB115" in refused.said
    project.write({"lambdabuild.toml": 'plugins_ignored = ["serverless-step-functions"]\n'})
    for ran in (project.run("build"), project.run("compile")):
        assert ran.code == 0, ran.said
        assert "serverless-offline is not run" in ran.said
        assert "serverless-step-functions is ignored" in ran.said
        assert "stepFunctions is not known here" in ran.said


def test_a_template_that_is_too_large_says_which_limit_and_what_to_do(project: Sandbox) -> None:
    functions = "".join(f"  f{n}: {{handler: a.b}}\n" for n in range(201))
    project.write({"serverless.yml": HEAD + "functions:\n" + functions, "a.py": ""})
    ran = project.run("compile", "--output", "out.json")

    assert ran.code == 3
    assert "606 resources, and 500 are allowed" in ran.err
    assert "202 outputs, and 200 are allowed" in ran.err
    assert "versionFunctions: false" in ran.err
    assert project.path("out.json").exists(), "it is there to be looked at"


def test_compile_needs_nothing_but_a_serverless_yml(project: Sandbox) -> None:
    project.write({"serverless.yml": GOOD})
    ran = project.run("compile", "--stage", "prod", "--region=eu-west-1", "--output", "out.json")
    assert ran.code == 0, ran.said
    assert ran.out == ""
    assert '"shop-prod-one"' in project.path("out.json").read_text()
    assert sorted(path.name for path in project.folder.iterdir()) == ["out.json", "serverless.yml"]


def test_compile_makes_the_folder_that_it_writes_into(project: Sandbox) -> None:
    project.write({"serverless.yml": GOOD})
    for path in ("out/t.json", "a/b/c/t.json"):
        ran = project.run("compile", "--output", path)
        assert ran.code == 0, ran.said
        assert '"shop-dev-one"' in project.path(path).read_text()
    ran = project.run("compile", "--output", "serverless.yml/t.json")
    assert ran.code != 0
    assert "Traceback" not in ran.said


def test_compile_takes_what_was_built_last(project: Sandbox) -> None:
    project.write({"serverless.yml": GOOD, "app.py": ""}).build()
    assert project.run("compile").out == project.path("build/packaged-template.json").read_text()
