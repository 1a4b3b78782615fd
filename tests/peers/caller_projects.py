"""Projects of all of Lambda Builders' workflows, and how a caller asks for them: one table for each workflow.

Each is built by Lambda Builders and by lambdabuild (``test_caller_projects.py``); no expectation stands here but ``known``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Files = Mapping[str, str | None]


@dataclass(frozen=True)
class Call:
    """A project and what is asked for it. Paths are relative to the case's folder, in ``more`` and ``options`` too."""

    files: Files
    more: Mapping[str, Any] = field(default_factory=dict)
    manifest: str = ""
    """"" for the workflow's usual one, in ``src``."""
    source: str = "src"
    env: Mapping[str, str] = field(default_factory=dict)
    again: tuple[tuple[Files, Mapping[str, Any]], ...] = ()
    """More requests in the same folders: which files change before, and which parameters differ."""
    known: Mapping[str, str] = field(default_factory=dict)
    """Differences with a reason, by a regular expression for ``where/name``; ``answer`` is the response."""


@dataclass(frozen=True)
class Workflow:
    capability: tuple[str, str | None]
    manifest: str
    runtime: str
    calls: Mapping[str, Call]
    known: Mapping[str, str] = field(default_factory=dict)


def package(name: str = "fn", **more: Any) -> str:
    return json.dumps({"name": name, "version": "1.0.0", **more})


def lock(name: str, *packages: tuple[str, str, str], dev: Mapping[str, str] | None = None) -> str:
    """A package-lock.json without download addresses: (name, range, version) of each dependency."""
    wanted = {one: span for one, span, _ in packages}
    root: dict[str, Any] = {"name": name, "version": "1.0.0", "dependencies": wanted}
    return json.dumps(
        {"name": name, "version": "1.0.0", "lockfileVersion": 3, "requires": True,
         "packages": {"": root | ({"devDependencies": dict(dev)} if dev else {}),
                      **{f"node_modules/{one}": {"version": version} for one, _, version in packages}}}
    )  # fmt: skip


GONE = {"artifacts": None}
APART = {"dependencies_dir": "dependencies"}
IN_SOURCE = {"build_in_source": True}
KEPT = {"download_dependencies": False}
LEFT_OUT = {"combine_dependencies": False}

# make

RECIPE = "build-Fn:\n\tcp app.py $(ARTIFACTS_DIR)\n\ttouch made\n"
MAKE = Workflow(("provided", None), "Makefile", "provided", {
    "a target": Call({"src/Makefile": RECIPE, "src/app.py": ""}),
    "in the source": Call({"src/Makefile": RECIPE, "src/app.py": ""}, IN_SOURCE),
    "in the source, below": Call(
        {"src/Makefile": RECIPE, "src/code/app.py": ""},
        {**IN_SOURCE, "options": {"build_logical_id": "Fn", "working_directory": "src/code"}},
    ),
    "in a folder of the source": Call(
        {"src/Makefile": "build-Fn:\n\tcp app.py $(ARTIFACTS_DIR)\n", "src/code/app.py": ""},
        {"options": {"build_logical_id": "Fn", "working_directory": "src/code"}},
    ),
    "the wrong folder": Call({"src/Makefile": RECIPE, "src/code/app.py": ""}),
    "another target": Call({"src/Makefile": RECIPE, "src/app.py": ""}, {"options": {"build_logical_id": "Other"}}),
    "a Makefile of another name": Call({"src/fn.mk": RECIPE, "src/app.py": ""}, manifest="src/fn.mk"),
    "a Makefile elsewhere": Call({"Makefile": RECIPE, "src/app.py": ""}, manifest="Makefile"),
    "a Makefile elsewhere, in the source": Call({"Makefile": RECIPE, "src/app.py": ""}, IN_SOURCE, manifest="Makefile"),
    "no Makefile": Call({"src/app.py": ""}),
    "a recipe that prints": Call({"src/Makefile": "build-Fn:\n\t@echo from the recipe\n\t@touch $(ARTIFACTS_DIR)/x\n"}),
    "nothing made": Call(
        {"src/Makefile": "build-Fn:\n\t@true\n"}, known={"answer": "an artifact without a file is a mistake"},
    ),
    "in the source, twice": Call(
        {"src/Makefile": RECIPE, "src/app.py": ""}, IN_SOURCE, again=((GONE, {}),),
    ),
}, {})  # fmt: skip

# npm

MS, KLEUR = ("ms", "^2.0.0", "2.1.2"), ("kleur", "^4.0.0", "4.1.4")
WITH_MS = package(dependencies={"ms": "2.1.3"})
LOCKED = {
    "src/package.json": package(dependencies={"ms": "^2.0.0"}),
    "src/package-lock.json": lock("fn", MS),
    "src/x.js": "",
}
LOCAL = {
    "src/package.json": package(dependencies={"ms": "2.1.3", "near": "file:../near"}), "src/x.js": "",
    "near/package.json": package("near"), "near/index.js": "",
}  # fmt: skip
OUTSIDE = {"manifest/package.json": WITH_MS, "src/x.js": "", "src/sub/y.js": ""}
OUTSIDE_LOCAL = {
    "manifest/package.json": package(dependencies={"ms": "2.1.3", "near": "file:../near"}), "src/x.js": "",
    "near/package.json": package("near"), "near/index.js": "",
}  # fmt: skip
NOT_MADE = "Lambda Builders moves a node_modules that it has not made"
AT_MANIFEST = "manifest/package.json"
NPM = Workflow(("nodejs", "npm"), "package.json", "nodejs22.x", {
    "no dependencies": Call({"src/package.json": package(files=["x.js"]), "src/x.js": "", "src/y.js": ""}),
    "dependencies": Call({"src/package.json": WITH_MS, "src/x.js": ""}),
    "for development too": Call(
        {"src/package.json": package(dependencies={"ms": "2.1.3"}, devDependencies={"kleur": "4.1.5"}), "src/x.js": ""}
    ),
    "a lock": Call(LOCKED),
    "what is SAM's stays out": Call({"src/package.json": package(), "src/.aws-sam/x": "", "src/x.js": ""}),
    "npmrc": Call({"src/package.json": package(optionalDependencies={"ms": "2.1.3"}), "src/.npmrc": "omit=optional\n"}),
    "no such version": Call({"src/package.json": package(dependencies={"ms": "2.997.999"})}),
    "in the source": Call({"src/package.json": WITH_MS, "src/x.js": ""}, IN_SOURCE),
    "in the source, twice": Call(
        {"src/package.json": WITH_MS, "src/x.js": ""}, IN_SOURCE, again=((GONE, {}), (GONE, {})),
    ),
    "in the source, a dependency is dropped": Call(
        {"src/package.json": package(dependencies={"ms": "2.1.3", "kleur": "4.1.5"}), "src/x.js": ""}, IN_SOURCE,
        again=((GONE | {"src/package.json": WITH_MS}, {}),),
    ),
    "in the source, a folder near": Call(LOCAL, IN_SOURCE),
    "in the source, a lock": Call(LOCKED, IN_SOURCE | {"experimental_flags": ["experimentalNodejsMonorepo"]}),
    "in the source, apart": Call({"src/package.json": WITH_MS, "src/x.js": ""}, IN_SOURCE | APART),
    "in the source, apart and left out": Call(
        {"src/package.json": WITH_MS, "src/x.js": ""}, IN_SOURCE | APART | LEFT_OUT, known={"answer": NOT_MADE},
    ),
    "in the source, kept": Call(
        {"src/package.json": WITH_MS, "src/x.js": ""}, IN_SOURCE | APART, again=((GONE, KEPT),),
    ),
    "in the source, as it is": Call(
        {"src/package.json": WITH_MS, "src/x.js": "", "src/node_modules/mine/index.js": ""}, IN_SOURCE | KEPT,
    ),
    "in the source, no manifest": Call({"src/x.js": ""}, IN_SOURCE),
    "in the source, no such version": Call({"src/package.json": package(dependencies={"ms": "2.997.999"})}, IN_SOURCE),
    "outside": Call(OUTSIDE, manifest=AT_MANIFEST),
    "outside, apart": Call(OUTSIDE, APART, manifest=AT_MANIFEST),
    "outside, left out": Call(OUTSIDE, APART | LEFT_OUT, manifest=AT_MANIFEST),
    "outside, kept": Call(OUTSIDE, APART, manifest=AT_MANIFEST, again=((GONE, KEPT),)),
    "outside, in the source": Call(OUTSIDE_LOCAL, IN_SOURCE, manifest=AT_MANIFEST),
    "outside, in the source, apart": Call(OUTSIDE_LOCAL, IN_SOURCE | APART, manifest=AT_MANIFEST),
    "outside, in the source, left out": Call(
        OUTSIDE_LOCAL, IN_SOURCE | APART | LEFT_OUT, manifest=AT_MANIFEST, known={"answer": NOT_MADE},
    ),
    "outside, in the source, kept": Call(
        OUTSIDE_LOCAL, IN_SOURCE | APART, manifest=AT_MANIFEST, again=((GONE, KEPT),),
        known={r"artifacts/node_modules(/.*| -> .*)": "a link, as after the install; Lambda Builders copies"},
    ),
    "tests run when asked for": Call(
        {"src/package.json": package(scripts={"test": "touch tested.js"}), "src/x.js": ""},
        env={"SAM_NPM_RUN_TEST_WITH_BUILD": "true"},
    ),
    "tests do not run": Call({"src/package.json": package(scripts={"test": "touch tested.js"}), "src/x.js": ""}),
    "no tests": Call(
        {"src/package.json": package(scripts={"test": ""}), "src/x.js": ""}, env={"SAM_NPM_RUN_TEST_WITH_BUILD": "true"},
    ),
    "tests that fail": Call(
        {"src/package.json": package(scripts={"test": "exit 3"}), "src/x.js": ""},
        env={"SAM_NPM_RUN_TEST_WITH_BUILD": "true"},
    ),
    "flags as a text": Call({"src/package.json": package(), "src/x.js": ""}, {"experimental_flags": "experimentalX"}),
    "another name beside": Call({"src/package.json": package(), "src/package-x.json": "{}", "src/x.js": ""}, manifest="src/package-x.json"),
}, {})  # fmt: skip

# esbuild

ENTRY = {"entry_points": ["app.js"]}
BUNDLED = {"src/package.json": WITH_MS, "src/app.js": 'exports.handler = () => require("ms")("1s");\n'}


def bundle(files: Files, *names: str, **options: Any) -> Call:
    return Call(files, {"options": {"entry_points": list(names) or ["app.js"], **options}})


def asked(**more: Any) -> dict[str, Any]:
    return {"options": dict(ENTRY), **more}


ESBUILD = Workflow(("nodejs", "npm-esbuild"), "package.json", "nodejs22.x", {
    "a bundle": bundle(BUNDLED),
    "two": bundle(BUNDLED | {"src/b.js": "exports.handler = () => 2;\n"}, "app.js", "b.js"),
    "TypeScript": bundle({"src/package.json": package(), "src/app.ts": "export const handler = (a: string) => a;\n"}, "app.ts"),
    "names without an end": bundle(
        {"src/package.json": package(), "src/a.ts": "export const handler = 1;\n", "src/b.js": "exports.h = 1;\n"}, "a", "b",
    ),
    "no options": Call(BUNDLED),
    "no entry points": Call(BUNDLED, {"options": {"minify": True}}),
    "entry points as a text": Call(
        BUNDLED, {"options": {"entry_points": "app.js"}}, known={"answer": "a text with commas is a list, too"},
    ),
    "an empty list": Call(BUNDLED, {"options": {"entry_points": []}}),
    "no such entry": Call(
        BUNDLED, {"options": {"entry_points": ["other.js"]}}, known={"answer": "it is esbuild's rule that tells"},
    ),
    "does not parse": bundle({"src/package.json": package(), "src/app.js": "exports.handler = () => {\n"}),
    "does not resolve": bundle({"src/package.json": package(), "src/app.js": 'require("nowhere");\n'}),
    "no manifest": bundle({"src/app.js": "exports.handler = 1;\n"}),
    "nothing is downloaded, nothing kept": Call(
        BUNDLED, asked(**KEPT), known={"answer": "the caller's mistake is 400 and not 500; the text is the same"},
    ),
    "kept": Call(BUNDLED, asked(**APART), again=((GONE, KEPT),)),
    "left out": Call(BUNDLED, asked(**APART, **LEFT_OUT)),
    "external": bundle(BUNDLED, external=["ms"]),
    "external, all": bundle(BUNDLED, external=["./node_modules/*"]),
    "a loader": bundle(
        {"src/package.json": package(), "src/app.js": 'console.log(require("./x.ref").a);\n', "src/x.ref": '{"a": "b"}'},
        loader=[".ref=json"],
    ),
    "a source map": bundle(BUNDLED, sourcemap=True),
    "modules": bundle(BUNDLED, sourcemap=True, out_extension=[".js=.mjs"], format="esm"),
    "texts for true and false": bundle(BUNDLED, sourcemap=True, sources_content="false", minify="false"),
    "npm ci is npm's": bundle(BUNDLED | {"src/package-lock.json": lock("fn", ("ms", "2.1.3", "2.1.3"))}, use_npm_ci=True),
    "in the source": Call(BUNDLED, asked(**IN_SOURCE)),
    "in the source, a folder near": Call(
        LOCAL | {"src/app.js": 'exports.handler = () => [require("ms"), require("near")];\n'}, asked(**IN_SOURCE),
    ),
    "in the source, as it is": Call(
        {"src/package.json": package(dependencies={"mine": "1.0.0"}), "src/app.js": 'exports.h = require("mine");\n',
         "src/node_modules/mine/package.json": package("mine"), "src/node_modules/mine/index.js": "module.exports = 1;\n"},
        asked(**IN_SOURCE, **KEPT),
    ),
    "outside": Call(
        {"manifest/package.json": WITH_MS, "src/app.ts": 'import ms from "ms";\nexport const handler = () => ms("1s");\n'},
        {"options": {"entry_points": ["app.ts"]}}, manifest=AT_MANIFEST,
    ),
    "outside, in the source": Call(
        OUTSIDE_LOCAL | {"src/app.js": 'exports.handler = () => [require("ms"), require("near")];\n'}, asked(**IN_SOURCE),
        manifest=AT_MANIFEST,
    ),
}, {
    r"dependencies/node_modules/\.package-lock\.json": "npm's own notes",
    r"dependencies/node_modules/(esbuild|@esbuild)/.*": "dependencies_dir keeps what is for development",
})  # fmt: skip

# Python

SETUP = 'from setuptools import setup\nsetup(name="near", version="1.0", packages=["near"], install_requires=["idna==3.10"])\n'
NEAR = {"near/setup.py": SETUP, "near/near/__init__.py": ""}
RECORD = r"(artifacts|dependencies)/.*\.dist-info/(RECORD|INSTALLER|REQUESTED)"
PIP = Workflow(("python", "pip"), "requirements.txt", "python3.11", {
    "requirements": Call({"src/requirements.txt": "idna==3.10\n", "src/app.py": ""}),
    "for arm64": Call({"src/requirements.txt": "markupsafe==2.1.5\n", "src/app.py": ""}, {"architecture": "arm64"}),
    "another name": Call({"src/requirements-dev.txt": "idna==3.10\n", "src/app.py": ""}, manifest="src/requirements-dev.txt"),
    "elsewhere": Call({"deps/prod.in": "idna==3.10\n", "src/app.py": ""}, manifest="deps/prod.in"),
    "no such requirement": Call({"src/requirements.txt": "idna=3.10\n"}),
    "no such version": Call({"src/requirements.txt": "idna==0.0.99\n"}),
    "pip's options on a requirement": Call({"src/requirements.txt": "idna==3.10 --no-binary=:idna:\n", "src/app.py": ""}),
    "no manifest": Call({"src/app.py": ""}, manifest="non/existent"),
    "apart": Call({"src/requirements.txt": "idna==3.10\n", "src/app.py": ""}, APART),
    "apart, flags as a text": Call(
        {"src/requirements.txt": "idna==3.10\n", "src/app.py": ""}, APART | {"experimental_flags": "experimentalBuildPerformance"},
    ),
    "nothing is downloaded": Call({"src/requirements.txt": "idna==3.10\n", "src/app.py": ""}, KEPT),
    "nothing is downloaded, nothing kept": Call({"src/requirements.txt": "idna==3.10\n", "src/app.py": ""}, KEPT | APART),
    "a project near": Call(
        NEAR | {"src/requirements.txt": "../near\n", "src/app.py": ""}, source="src",
        known={"answer": "a path is relative to the list that says it, and not to where Lambda Builders' pip is started"},
    ),
    "in the source": Call({"src/app.py": ""}, IN_SOURCE),
    "an old runtime": Call({"src/requirements.txt": "idna==3.10\n"}, {"runtime": "python2.8"}),
}, {RECORD: "it lists what an installer wrote"})  # fmt: skip

PROJECT = '[project]\nname = "fn"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["idna==3.10"]\n'
UV = Workflow(("python", "uv"), "pyproject.toml", "python3.11", {
    "a project": Call({"src/pyproject.toml": PROJECT, "src/app.py": ""}),
    "requirements": Call({"src/requirements.txt": "idna==3.10\n", "src/app.py": ""}, manifest="src/requirements.txt"),
    "another name": Call({"src/requirements-dev.txt": "idna==3.10\n", "src/app.py": ""}, manifest="src/requirements-dev.txt"),
    "looked for": Call({"src/requirements-test.txt": "idna==3.10\n", "src/app.py": ""}),
    "no manifest": Call({"src/app.py": ""}),
    "a lock alone": Call({"src/uv.lock": "version = 1\n", "src/app.py": ""}, manifest="src/uv.lock"),
    "apart": Call({"src/pyproject.toml": PROJECT, "src/app.py": ""}, APART),
    "no such version": Call({"src/requirements.txt": "idna==0.0.99\n"}, manifest="src/requirements.txt"),
    "no such requirement": Call(
        {"src/requirements.txt": "idna=3.10\n"}, manifest="src/requirements.txt",
        known={"answer": "the mistake is told with its place; uv's words are the same"},
    ),
}, {
    RECORD: "it lists what an installer wrote",
    r"(artifacts|dependencies)/\.lock": "uv's own lock on the folder that it installs into",
    r"(artifacts|src)/uv\.lock": "Lambda Builders writes it into the source, and ships it from there",
})  # fmt: skip

# Ruby

GEMFILE = 'source "https://rubygems.org"\n'
RUBY = Workflow(("ruby", "bundler"), "Gemfile", "ruby3.4", {
    "no gems": Call({"src/Gemfile": GEMFILE, "src/app.rb": ""}),
    "no gems, apart": Call(
        {"src/Gemfile": GEMFILE, "src/app.rb": ""}, APART, known={"dependencies/Gemfile": "it is written anew"},
    ),
    "no Gemfile": Call({"src/app.rb": ""}, manifest="non/existent"),
    "a Gemfile all the same": Call({"src/Gemfile": GEMFILE, "src/app.rb": ""}, manifest="non/existent"),
    "nothing is downloaded, nothing kept": Call({"src/Gemfile": GEMFILE, "src/app.rb": ""}, KEPT),
    "nothing is downloaded": Call({"src/Gemfile": GEMFILE, "src/app.rb": ""}, KEPT | APART),
    "a Gemfile that Ruby cannot read": Call({"src/Gemfile": "gem(\n", "src/app.rb": ""}),
    "no such gem": Call({"src/Gemfile": GEMFILE + 'gem "no-such-gem-is-here-0"\n', "src/app.rb": ""}),
    "in the source": Call({"src/Gemfile": GEMFILE, "src/app.rb": ""}, IN_SOURCE),
}, {})  # fmt: skip

# what is compiled

MAIN = "package main\n\nfunc main() {}\n"
GO = Workflow(("go", "modules"), "go.mod", "provided", {
    "a program": Call({"src/go.mod": "module fn\n\ngo 1.20\n", "src/main.go": MAIN}),
    "of the module above": Call(
        {"app/go.mod": "module fn\n\ngo 1.20\n", "app/cmd/one/main.go": MAIN}, source="app/cmd/one", manifest="app/go.mod",
    ),
    "a manifest that is not there": Call({"src/go.mod": "module fn\n\ngo 1.20\n", "src/main.go": MAIN}, manifest="non/go.mod"),
    "go1.x": Call(
        {"src/go.mod": "module fn\n\ngo 1.20\n", "src/main.go": MAIN},
        {"runtime": "go1.x", "options": {"artifact_executable_name": "hello"}},
    ),
    "for arm64": Call({"src/go.mod": "module fn\n\ngo 1.20\n", "src/main.go": MAIN}, {"architecture": "arm64", "options": {
        "artifact_executable_name": "x", "trim_go_path": "false"}}),
    "no such module": Call({
        "src/go.mod": "module fn\n\ngo 1.20\n\nrequire example.invalid/x v1.0.0\n",
        "src/main.go": 'package main\n\nimport "example.invalid/x"\n\nfunc main() { x.X() }\n',
    }),
    "does not compile": Call({"src/go.mod": "module fn\n\ngo 1.20\n", "src/main.go": "package main\n\nfunc main( {}\n"}),
    "debug": Call({"src/go.mod": "module fn\n\ngo 1.20\n", "src/main.go": MAIN}, {"mode": "Debug"}),
    "in the source": Call({"src/go.mod": "module fn\n\ngo 1.20\n", "src/main.go": MAIN}, IN_SOURCE),
    "not in the source": Call({"src/go.mod": "module fn\n\ngo 1.20\n", "src/main.go": MAIN}, {"build_in_source": False}),
}, {})  # fmt: skip

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>fn</groupId><artifactId>fn</artifactId><version>1</version>
<properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target>
<project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>%s</project>
"""
JAVA = {"src/src/main/java/fn/Main.java": "package fn;\npublic class Main {}\n"}
NOWHERE = "<dependencies><dependency><groupId>x</groupId><artifactId>nowhere</artifactId><version>1</version></dependency></dependencies>"
MAVEN = Workflow(("java", "maven"), "pom.xml", "java17", {
    "classes": Call(JAVA | {"src/pom.xml": POM % "", "src/src/main/resources/data.txt": "1\n"}),
    "no such dependency": Call(JAVA | {"src/pom.xml": POM % NOWHERE}),
    "does not compile": Call({"src/pom.xml": POM % "", "src/src/main/java/fn/Main.java": "package fn;\npublic class {}\n"}),
    "in the source": Call(JAVA | {"src/pom.xml": POM % ""}, IN_SOURCE),
}, {})  # fmt: skip

BUILD_GRADLE = 'plugins { id "java" }\nrepositories { mavenCentral() }\n'
GRADLE = Workflow(("java", "gradle"), "build.gradle", "java17", {
    "classes": Call(JAVA | {"src/build.gradle": BUILD_GRADLE, "src/settings.gradle": 'rootProject.name = "fn"\n'}),
    "does not compile": Call({
        "src/build.gradle": BUILD_GRADLE, "src/settings.gradle": 'rootProject.name = "fn"\n',
        "src/src/main/java/fn/Main.java": "package fn;\npublic class {}\n",
    }),
    "no manifest": Call(JAVA),
}, {"artifacts/META-INF/MANIFEST.MF": "Lambda Builders unpacks the project's jar; nothing reads its manifest in Lambda",
    r"src/\.gradle/.*": "Lambda Builders works in the source"})  # fmt: skip

CARGO = '[package]\nname = "fn"\nversion = "0.1.0"\nedition = "2021"\n'
RUST = Workflow(("rust", "cargo"), "Cargo.toml", "provided", {
    "a program": Call({"src/Cargo.toml": CARGO, "src/src/main.rs": "fn main() {}\n"}),
    "does not compile": Call({"src/Cargo.toml": CARGO, "src/src/main.rs": "fn main( {}\n"}),
}, {r"src/(target/.*|Cargo\.lock)": "Lambda Builders works in the source"})  # fmt: skip

DOTNET = Workflow(("dotnet", "cli-package"), "fn.csproj", "dotnet8", {
    "without the SDK": Call({"src/fn.csproj": "<Project/>", "src/Function.cs": ""}),
}, {})  # fmt: skip

WORKFLOWS = {
    "make": MAKE, "npm": NPM, "esbuild": ESBUILD, "pip": PIP, "uv": UV, "bundler": RUBY, "go": GO, "maven": MAVEN,
    "gradle": GRADLE, "cargo": RUST, "dotnet": DOTNET,
}  # fmt: skip

OFTEN: Mapping[str, list[str]] = {
    "make": ["a target", "in the source", "in the source, below", "the wrong folder", "another target", "a Makefile of another name", "no Makefile", "a recipe that prints", "nothing made"],
    "npm": ["a lock", "outside, in the source, kept", "no such version"],
    "esbuild": ["no options", "texts for true and false", "does not parse", "nothing is downloaded, nothing kept", "in the source"],
    "pip": ["no such requirement", "pip's options on a requirement", "no manifest"],
    "uv": ["looked for", "no manifest", "a lock alone"],
    "bundler": ["no Gemfile", "nothing is downloaded, nothing kept", "a Gemfile that Ruby cannot read"],
    "go": ["of the module above", "a manifest that is not there", "does not compile"],
    "maven": ["no such dependency"],
    "gradle": ["no manifest"],
    "cargo": ["does not compile"],
    "dotnet": ["without the SDK"],
}  # fmt: skip
"""What every run of the tests builds. All of them are built with LAMBDABUILD_CALLERS=all, which takes minutes."""
