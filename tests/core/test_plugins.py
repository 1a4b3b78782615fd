"""Options of plugins -> settings: pure, given which files are there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from lambdabuild.config.settings import Settings
from lambdabuild.core.errors import LambdaBuildError
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.spans import Node
from lambdabuild.frontends.serverless.plugins import read
from lambdabuild.frontends.yaml_text import parse

POETRYS = '[build-system]\nrequires = ["poetry-core>=1"]\n'


@dataclass
class Disk:
    """Files in memory: ``{path: text}``."""

    files: dict[str, str] = field(default_factory=dict)

    def kind(self, path: str) -> str:
        if path in self.files:
            return "file"
        return "folder" if path == "." or any(name.startswith(f"{path}/") for name in self.files) else ""

    def read(self, path: str) -> str:
        return self.files[path]


def plugins(text: str, *names: str, base: str = "", build_dir: str = "build", **texts: str) -> read.Plugins:
    """The plugins of a serverless.yml beside which files lie: by name, or with their text."""
    root = parse("serverless.yml", "service: shop\nprovider: {name: aws, runtime: python3.12}\n" + text)[0]

    def value(path: tuple[str, ...]) -> Node | None:
        node: Node | None = root
        for key in path:
            node = node.get(key) if node else None
        return node

    return read.read(root, root, value, base, "dev", Disk(dict.fromkeys(names, "") | texts), build_dir)


def python(options: str, *names: str, module: str = ".", runtime: str = "python3.12", **texts: str) -> FunctionSettings:
    found = plugins(f"custom: {{pythonRequirements: {options}}}\npackage: {{individually: true}}\n", *names, **texts)
    assert found.errors() == []
    return found.of_function({"handler": "a.b", "module": module}, runtime, True).settings


def test_a_plugin_counts_when_it_is_listed_or_its_options_are_there() -> None:
    assert plugins("").python is None
    assert plugins("plugins: [serverless-python-requirements]").python is not None
    assert plugins("plugins: {modules: [serverless-esbuild]}").esbuild is not None
    assert plugins("custom: {soclessPackager: {buildDir: b}}").socless is not None
    assert plugins("build: esbuild").built_in is not None
    assert plugins("build: {esbuild: {minify: true}}").built_in is not None
    assert plugins("build: {esbuild: false}").built_in is None
    assert plugins("plugins: [serverless-plugin-typescript]").typescript is not None


def bundled(text: str, *names: str, handler: str = "src/h.handler", runtime: str = "nodejs22.x", **more: str) -> Any:
    """The options of a function's bundle; None when it is none."""
    found = plugins(text, *names, **more)
    assert found.errors() == []
    return found.of_function({"handler": handler}, runtime, True).bundled


@pytest.mark.parametrize(
    ("text", "files", "is_bundled"),
    [
        ("frameworkVersion: '4'", ["src/h.ts"], True),
        ("frameworkVersion: ^4.0.0", ["src/h.mts"], True),
        ("frameworkVersion: '>=4'", ["src/h.tsx"], True),
        ("", ["src/h.cts"], True),  # version 3 would ship what Lambda cannot run
        ("frameworkVersion: '4'", ["src/h.js"], False),
        ("frameworkVersion: '4'", ["src/h.ts", "src/h.js"], False),  # compiled already
        ("frameworkVersion: '4'", ["h.ts"], False),
        ("frameworkVersion: '3'", ["src/h.ts"], False),
        ("frameworkVersion: ^3.38", ["src/h.ts"], False),
        ("frameworkVersion: '>=2.0.0 <4.0.0'", ["src/h.ts"], False),
        ("plugins: [serverless-webpack]", ["src/h.ts"], False),
        ("plugins: [serverless-bundle]", ["src/h.ts"], False),
        ("build: {esbuild: false}", ["src/h.ts"], False),
        ("build: esbuild", ["src/h.js"], True),
        ("build: {esbuild: true}", ["src/h.mjs"], True),
        ("plugins: [serverless-plugin-typescript]", ["src/h.ts"], True),
        ("frameworkVersion: '3'\nplugins: [serverless-plugin-typescript]", ["src/h.tsx"], True),
        ("plugins: [serverless-plugin-typescript]", ["src/h.js"], False),
    ],
)
def test_typescript_is_bundled_where_the_framework_or_its_plugin_compiles_it(
    text: str, files: list[str], is_bundled: bool
) -> None:
    assert (bundled(text, *files) is not None) == is_bundled
    assert bundled(text, *files, runtime="python3.12") is None


def test_a_bundle_of_version_4_has_the_frameworks_defaults_under_what_is_said() -> None:
    plain = bundled("build: esbuild")
    assert (plain["minify"], plain["sourcemap"], plain["external"]) == (False, True, ["@aws-sdk/*"])
    assert bundled("build: esbuild", runtime="nodejs16.x")["external"] == ["aws-sdk"]
    said = bundled(
        "build: {esbuild: {minify: true, sourcemap: {type: inline}, exclude: [a], external: [b], target: es2022}}"
    )
    assert (said["minify"], said["sourcemap"], said["target"]) == (True, "inline", "es2022")
    assert (said["external"], said["ship"]) == (["@aws-sdk/*", "a"], ["b"])
    package = {"package.json": '{"type": "module", "dependencies": {"ms": "2"}}'}
    assert bundled("build: {esbuild: {sourcemap: false}}", **package)["sourcemap"] is False
    assert bundled("build: {esbuild: {packages: external}}", **package)["ship"] == ["ms"]
    assert bundled("build: esbuild", **package)["format"] == "esm"


def test_the_plugin_bundles_the_sdk_that_package_json_names_and_reads_its_tsconfig() -> None:
    custom = "plugins: [serverless-plugin-typescript]\ncustom: {serverlessPluginTypescript: {tsConfigFileLocation: ./ts.json}}"
    own = {
        "package.json": '{"dependencies": {"@aws-sdk/client-s3": "3"}}',
        "ts.json": '{"emitDecoratorMetadata": true}',
    }
    found = bundled(custom, "src/h.ts", **own)
    assert (found["tsconfig"], found["external"]) == ("ts.json", [])
    assert bundled(custom, "src/h.ts")["external"] == ["@aws-sdk/*"]
    assert "emitDecoratorMetadata" in "".join(plugins(custom, "src/h.ts", **own).notes())


@pytest.mark.parametrize(
    ("options", "files", "expected"),
    [
        ("{}", {"requirements.txt": ""}, ("python_pip", "requirements.txt")),
        (
            "{}",
            {"requirements.txt": "", "pyproject.toml": POETRYS, "poetry.lock": ""},
            ("python_poetry", "poetry.lock"),
        ),
        ("{}", {"requirements.txt": "", "pyproject.toml": POETRYS}, ("python_poetry", "pyproject.toml")),
        ("{usePoetry: false}", {"requirements.txt": "", "pyproject.toml": POETRYS}, ("python_pip", "requirements.txt")),
        ("{}", {"requirements.txt": "", "Pipfile": ""}, ("python_pipenv", "Pipfile")),
        ("{usePipenv: false}", {"requirements.txt": "", "Pipfile": ""}, ("python_pip", "requirements.txt")),
        ("{}", {"requirements.txt": "", "uv.lock": "", "pyproject.toml": ""}, ("python_uv", "pyproject.toml")),
        (
            "{useUv: false}",
            {"requirements.txt": "", "uv.lock": "", "pyproject.toml": ""},
            ("python_pip", "requirements.txt"),
        ),
        ("{fileName: needs}", {"needs": "", "requirements.txt": ""}, ("python_pip", "needs")),
        ("{}", {"pyproject.toml": "not = [toml"}, ("python_uv", "pyproject.toml")),
        ("{}", {"other/requirements.txt": ""}, ("", "")),
    ],
)
def test_the_manifest_is_looked_for_in_the_plugins_order(
    options: str, files: dict[str, str], expected: tuple[str, str]
) -> None:
    found = python(options, **files)
    assert (found.rule, found.manifest) == expected
    assert found.dependencies is (None if expected[1] else False)


def test_a_modules_manifest_is_its_own() -> None:
    assert python("{}", "one/requirements.txt", "requirements.txt", module="one").manifest == "one/requirements.txt"
    assert python("{}", "requirements.txt", module="two").dependencies is False


@pytest.mark.parametrize(
    ("options", "names", "expected"),
    [
        ("{poetryWithGroups: [a], poetryWithoutGroups: [main]}", "pyproject.toml", {"groups": ["a"]}),
        ("{poetryWithGroups: [a, b]}", "pyproject.toml", {"groups": ["main", "a", "b"]}),
        ("{poetryOnlyGroups: [a]}", "pyproject.toml", {"groups": ["a"]}),
        ("{noDeploy: [boto3, 'x[y]']}", "requirements.txt", {"without": ["boto3", "x"]}),
        (
            "{pipCmdExtraArgs: ['-i https://a/simple', --extra-index-url=https://b/simple, '--no-cache-dir', '-c', 'c.txt']}",
            "requirements.txt",
            {"requirement_options": ["-i https://a/simple", "--extra-index-url https://b/simple", "-c c.txt"]},
        ),
        (
            "{pipCmdExtraArgs: ['--extra-index-url https://aws:${env:TOKEN}@b/simple']}",
            "requirements.txt",
            {"requirement_options": ["--extra-index-url https://aws:${TOKEN}@b/simple"]},
        ),
    ],
)
def test_what_a_rule_can_do_is_an_option_of_it(options: str, names: str, expected: dict) -> None:
    files = {names: POETRYS if names == "pyproject.toml" else ""}
    assert python(options, **files).options == expected


def test_slim_patterns_become_gitignore_patterns() -> None:
    def slim(options: str) -> tuple[str, ...]:
        return python(options, "requirements.txt").exclude_dependencies

    assert slim("{}") == slim("{slimPatterns: ['x/**']}") == ()
    assert slim("{slim: 'true'}") == ("**/*.py[c|o]", "**/__pycache__*", "**/*.dist-info*")
    assert slim("{slim: true, slimPatternsAppendDefaults: false, slimPatterns: ['x/{a,b}/*', '**/t', './u']}") == (
        "/x/a/*", "/x/b/*", "**/t", "/u",
    )  # fmt: skip


def test_containers_are_for_what_has_no_wheel() -> None:
    assert python("{dockerImage: a/b}", "requirements.txt").use_container == ""
    found = python("{dockerizePip: non-linux, dockerImage: 'a/b:1', dockerEnv: [TOKEN, 'A=b=c']}", "requirements.txt")
    assert (found.use_container, found.image, found.dockerfile) == ("auto", "a/b:1", "")
    assert found.container == {"environment": {"A": "b=c"}, "pass_environment": ("TOKEN",)}
    assert python("{dockerizePip: true, dockerFile: ./docker/D}", "requirements.txt").dockerfile == "docker/D"
    socless = "custom: {soclessPackager: {buildDir: b, containerName: mine, useDocker: %s}}\n"
    function = {"handler": "a.b", "package": {"include": ["fun"]}}
    wanted, not_wanted = (
        plugins(socless % use, "fun/a.py").of_function(function, "python3.12", True).settings
        for use in ("true", "false")
    )
    assert (wanted.use_container, wanted.container) == ("auto", {"name": "mine"})
    assert not_wanted.use_container == ""


def test_the_layer_has_the_packages_and_functions_have_none() -> None:
    found = plugins("custom: {pythonRequirements: {layer: {name: mine}, vendor: lib}}", "requirements.txt", "lib/a.py")
    assert found.of_function({"handler": "a.b"}, "python3.12", False).settings == FunctionSettings(dependencies=False)
    assert found.of_layer("pythonRequirements").settings.include == ("lib",)
    assert found.of_layer("other").settings == FunctionSettings()
    assert found.python is not None
    assert found.python.layers()["pythonRequirements"]["name"] == "mine"


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("pythonRequirements: {slim: [1]}", "LB112", "slim is [1], and must be true or false"),
        ("pythonRequirements: {noDeploy: {a: b}}", "LB112", "must be a list of texts"),
        ("pythonRequirements: {layer: mine}", "LB112", "must be true or false or a mapping"),
        ("pythonRequirements: {dockerImage: a, dockerFile: b}", "LB113", "both dockerImage and dockerFile"),
        ("pythonRequirements: {vendor: nowhere}", "LB415", "there is no folder nowhere"),
        ("pythonRequirements: {requirePoetryLockFile: true}", "LB114", "poetry.lock does not exist"),
        ("pythonRequirements: {pipCmdExtraArgs: ['-i https://u:pass@h/']}", "LB112", "holds a password"),
        ("esbuild: {outputFileExtension: .mjs}", "LB113", "CommonJS cannot be in files that end in .mjs"),
        ("esbuild: {external: 3}", "LB112", "external is 3"),
    ],
)
def test_mistakes_in_options_have_a_code_and_a_place(text: str, code: str, words: str) -> None:
    found = plugins(f"custom: {{{text}}}\nfunctions: {{one: {{handler: a.b}}}}", **{"pyproject.toml": POETRYS})
    (error,) = found.errors()
    assert isinstance(error, LambdaBuildError)
    assert (error.code, words in error.message) == (code, True), error
    assert "pass@" not in str(error)
    assert error.where[0].line == 3


def test_what_has_no_place_here_is_told() -> None:
    found = plugins(
        "custom: {pythonRequirements: {dockerExtraFiles: [D], slmi: true, pipCmdExtraArgs: ['--odd x']}, esbuild: {plugins: p.js}}"
    )
    notes = "\n".join(found.notes())
    assert "slmi is not known; did you mean slim?" in notes
    assert "dockerExtraFiles: nothing is taken from an image" in notes
    assert "pipCmdExtraArgs: --odd is not passed on" in notes
    assert "plugins: esbuild plugins are not run" in notes
    assert plugins("custom: {pythonRequirements: {dockerizePip: non-linux, useStaticCache: true}}").notes() == []


def test_the_users_settings_stand_over_what_a_template_says() -> None:
    said = FunctionSettings(
        rule="python_pip", manifest="a", exclude=("x",), options={"a": 1, "b": 1}, dependencies=False
    )
    mine = FunctionSettings(exclude=("!x",), options={"b": 2}, bytecode=True)
    settings = Settings(functions={"one": mine}).merged_over({"one": said, "two": said})

    assert settings.of("one") == FunctionSettings(
        rule="python_pip",
        manifest="a",
        exclude=("x", "!x"),
        options={"a": 1, "b": 2},
        dependencies=False,
        bytecode=True,
    )
    assert settings.of("two") == said
    assert said.merged_under(FunctionSettings(rule="custom_make")) == FunctionSettings(
        rule="custom_make", exclude=("x",), options={"a": 1, "b": 1}
    )


SOCLESS = """\
custom: {soclessPackager: {buildDir: _build}}
functions:
  fun: {handler: a.b, package: {include: [fun], artifact: _build/fun.zip}}
  js: {handler: a.b, runtime: nodejs22.x}
"""


@pytest.mark.parametrize(
    ("text", "base", "build_dir", "words"),
    [
        (SOCLESS, "", "build", ['_build/fun.zip is written as build/fun.zip; for that folder say build_dir = "_build"']),
        (SOCLESS, "", "./out/", ["_build/fun.zip is written as out/fun.zip"]),
        (SOCLESS, "app", "build", ['is written as build/fun.zip; for that folder say build_dir = "app/_build"']),
        (SOCLESS.replace(", artifact: _build/fun.zip", ""), "", "build", ["_build/fun.zip is written as build/fun.zip"]),
        (SOCLESS.replace("{handler: a.b, package", "{name: fun-dev, handler: a.b, package").replace(", artifact: _build/fun.zip", ""),
         "", "_build", ["_build/fun-dev.zip is written as _build/fun.zip"]),
        (SOCLESS + "".join(f"  f{n}: {{handler: a.b, package: {{include: [fun]}}}}\n" for n in range(4)),
         "", "build", ["_build/f1.zip is written as build/f1.zip, and 2 more likewise; for"]),
        (SOCLESS, "", "_build", []),
        (SOCLESS, "app", "app/_build/", []),
        (SOCLESS.replace("_build/fun.zip", "ready.zip"), "", "build", []),
    ],
)  # fmt: skip
def test_where_the_zips_of_socless_build_dir_are_is_said_unless_they_are_there(
    text: str, base: str, build_dir: str, words: list[str]
) -> None:
    notes = plugins(text, f"{base}/fun/a.py".lstrip("/"), base=base, build_dir=build_dir).notes()
    assert len(notes) == len(words)
    assert all(part in note and note.startswith("serverless.yml:3:") for part, note in zip(words, notes, strict=True))
