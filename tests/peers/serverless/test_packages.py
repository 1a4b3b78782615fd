"""The zips of services set up for serverless-python-requirements and serverless-esbuild, entry by entry, beside ours."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from peers.serverless.conftest import python_programs
from peers.serverless.differences import both, corrected, differing
from sandbox import Sandbox

pytestmark = pytest.mark.slow

PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"
HEAD = f"service: shop\nprovider: {{name: aws, runtime: {PYTHON}}}\nplugins: [serverless-python-requirements]\n"
OPTIONS = {"pythonBin": sys.executable, "useStaticCache": False}
"""Of no effect with us: the Serverless Framework needs an interpreter of the runtime's version, and its cache knows no other option."""

NOT_OURS = {
    r"(.*/)?requirements\.txt": "a manifest is no code; the plugin also ships the copy that it installed from",
    r"\.completed_requirements": "the mark of a cache",
    r".*\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json)": "written at installation, naming what is not there",
    r"bin/.*": "scripts that begin with this machine's folder",
    r"(.*/)?__pycache__/.*": "compiled by this machine's interpreter, with times that a zip does not keep",
    r"(.*/)?(pyproject\.toml|poetry\.lock|Pipfile|Pipfile\.lock|uv\.lock)": "a manifest is no code",
}
"""Entries that only the plugin has, and why. docs/guides/serverless.md tells them one by one."""


@dataclass(frozen=True)
class Case:
    """A service; ``artifacts`` are (ours, the Serverless Framework's) zips."""

    options: dict
    rest: str
    files: dict[str, str] = field(default_factory=dict)
    artifacts: tuple[tuple[str, str], ...] = (("one", "shop.zip"),)
    head: str = ""
    locks: tuple[str, ...] = ()
    """What makes the lock, for us and for the plugin."""


PROGRAMS = {"poetry": ("poetry==2.2.1", "poetry-plugin-export==1.9.0"), "pipenv": ("pipenv==2025.0.4",)}
"""What the plugin runs."""

ONE = "functions: {one: {handler: app.handler}}\n"
INDIVIDUALLY = "package: {individually: true, patterns: ['!node_modules/**', '!lib/**']}\n"
TOGETHER = "package: {patterns: ['!node_modules/**', '!lib/**']}\n"
REQUIREMENTS = "# what we need\nidna==3.10\npython-dateutil==2.9.0.post0  # brings six\nboto3==1.40.0\n"
APP = {"app.py": "import idna\n\ndef handler(event, context):\n    return idna.encode('ü').decode()\n"}
SHARED = {**APP, "requirements.txt": REQUIREMENTS.replace("boto3==1.40.0\n", "")}
VENDOR = {"lib/mine/__init__.py": "MINE = 1\n", "lib/plain.py": ""}
POETRY = """\
[tool.poetry]
name = "shop"
version = "1.0"
description = ""
authors = []
package-mode = false

[tool.poetry.dependencies]
python = ">=3.11"
idna = "3.10"

[tool.poetry.group.more.dependencies]
python-dateutil = "2.9.0.post0"

[tool.poetry.group.dev.dependencies]
click = "8.1.8"

[[tool.poetry.source]]
name = "simple"
url = "https://pypi.org/simple/"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""
PIPFILE = """\
[[source]]
name = "pypi"
url = "https://pypi.org/simple"
verify_ssl = true

[packages]
idna = "==3.10"
python-dateutil = "==2.9.0.post0"

[dev-packages]
click = "==8.1.8"
"""

CASES = {
    "plain": Case({}, TOGETHER + ONE, SHARED),
    "individually, by module": Case(
        {},
        INDIVIDUALLY + "functions:\n  one: {handler: app.handler, module: one}\n  two: {handler: app.handler, module: two}\n"
        "  three: {handler: app.handler, module: three}\n",
        {f"{name}/{file}": text for name in ("one", "two") for file, text in APP.items()}
        | {"one/requirements.txt": "idna==3.10\n", "two/requirements.txt": "six==1.17.0\nidna==3.7\n", "three/app.py": ""},
        (("one", "one-shop-dev-one.zip"), ("two", "two-shop-dev-two.zip"), ("three", "three-shop-dev-three.zip")),
    ),
    "slim": Case({"slim": True, "slimPatterns": ["**/idnadata.py", "dateutil/zoneinfo/*.{py,gz}"]}, TOGETHER + ONE, SHARED),
    "slim with patterns alone": Case(
        {"slim": True, "slimPatterns": ["**/tz*"], "slimPatternsAppendDefaults": False}, TOGETHER + ONE, SHARED
    ),
    "noDeploy": Case({"noDeploy": ["boto3", "six"]}, TOGETHER + ONE, {**APP, "requirements.txt": REQUIREMENTS}),
    "vendor": Case({"vendor": "./lib"}, TOGETHER + ONE, {**SHARED, **VENDOR}),
    "vendor of a function": Case(
        {"vendor": "./lib"},
        INDIVIDUALLY + "functions:\n  one: {handler: app.handler, module: one, vendor: own}\n",
        {f"one/{file}": text for file, text in SHARED.items()} | VENDOR | {"own/plain.py": "OWN = 1\n"},
        (("one", "one-shop-dev-one.zip"),),
        "configValidationMode: off\n",
    ),
    "fileName": Case({"fileName": "needs.txt"}, TOGETHER + ONE, {**APP, "needs.txt": "-r more.txt\nidna==3.10\n", "more.txt": "six==1.17.0\n"}),
    "pip's arguments": Case(
        {"pipCmdExtraArgs": ["--no-deps", "--only-binary :all:", "--no-cache-dir"]}, TOGETHER + ONE, SHARED
    ),
    "without requirements": Case({}, TOGETHER + ONE, {"app.py": APP["app.py"]}),
    "poetry": Case(
        {"poetryWithGroups": ["more"]}, TOGETHER + ONE, {**APP, "pyproject.toml": POETRY}, locks=("poetry", "lock", "--quiet")
    ),
    "pipenv": Case({}, TOGETHER + ONE, {**APP, "Pipfile": PIPFILE}, locks=("pipenv", "lock", "--quiet")),
}  # fmt: skip

ALSO_NOT_OURS = {
    "noDeploy": {
        r"(s3transfer|jmespath|botocore)(-.*)?/.*": "only boto3 needs them",
        r"six\.py|six-.*": "in a layer the plugin has what is not to be deployed, when another package asks for it",
    },
}


def set_up(folder: Path, case: Case, serverless: Path) -> Sandbox:
    custom = json.dumps({"pythonRequirements": {**OPTIONS, **case.options}})
    place = Sandbox(folder).write({"serverless.yml": f"{case.head}{HEAD}custom: {custom}\n{case.rest}", **case.files})
    place.path("node_modules").symlink_to(serverless.parents[2])
    return place


def locked(place: Sandbox, case: Case) -> dict[str, str]:
    """The environment in which the plugin finds its programs, once there is a lock."""
    if not case.locks:
        return {}
    programs = python_programs(*PROGRAMS[case.locks[0]])
    env = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PIPENV_PYTHON": sys.executable}
    ran = place.command([str(programs / case.locks[0]), *case.locks[1:]], env=env)
    assert ran.code == 0, ran.said
    return env


def entries(archive: bytes | Path) -> dict[str, str]:
    """``{path: digest of content}``"""
    with zipfile.ZipFile(io.BytesIO(archive) if isinstance(archive, bytes) else archive) as opened:
        return {
            info.filename: hashlib.sha256(opened.read(info)).hexdigest()
            for info in opened.infolist()
            if not info.is_dir()
        }


def unexplained(ours: dict[str, str], theirs: dict[str, str], name: str = "") -> list[str]:
    """What is in one zip and not in the other, or is another, without a reason that is known."""
    not_ours = [*NOT_OURS, *ALSO_NOT_OURS.get(name, {})]
    missing = [path for path in theirs.keys() - ours.keys() if not any(re.fullmatch(one, path) for one in not_ours)]
    more = ours.keys() - theirs.keys()
    other = [path for path in ours.keys() & theirs.keys() if ours[path] != theirs[path]]
    return sorted([f"missing {p}" for p in missing] + [f"more {p}" for p in more] + [f"other {p}" for p in other])


@pytest.mark.parametrize("name", CASES)
def test_zips_hold_what_the_plugins_hold_but_for_named_differences(
    name: str, peer, serverless: Path, tmp_path: Path
) -> None:
    case = CASES[name]
    place = set_up(tmp_path / "shop", case, serverless)
    theirs = peer(place, env=locked(place, case))
    assert theirs.code == 0, theirs.said
    ran = place.build()
    for own, other in case.artifacts:
        found = entries(place.path(f"build/{own}.zip"))
        assert unexplained(found, entries(place.path(f".serverless/{other}")), name) == [], ran.said
    if name == "individually, by module":
        assert [name for name in place.names("one") if "idna" in name]
        assert place.names("three") == ["app.py"]


def test_zipped_packages_are_the_plugins_and_are_unpacked_as_its_are(peer, serverless: Path, tmp_path: Path) -> None:
    app = "import unzip_requirements\nimport idna, six\n\ndef handler(event, context):\n    return idna.__file__\n"
    case = Case({"zip": True}, TOGETHER + ONE, {"app.py": app, "requirements.txt": "idna==3.10\nsix==1.17.0\n"})
    place = set_up(tmp_path / "shop", case, serverless)
    theirs = peer(place)
    assert theirs.code == 0, theirs.said
    place.build()
    ours, other = (zipfile.ZipFile(place.path(path)) for path in ("build/one.zip", ".serverless/shop.zip"))
    assert set(other.namelist()) - set(ours.namelist()) == {"requirements.txt"}
    assert set(ours.namelist()) == {".requirements.zip", "app.py", "unzip_requirements.py"}
    assert unexplained(entries(ours.read(".requirements.zip")), entries(other.read(".requirements.zip"))) == []
    for archive, name in ((ours, "ours"), (other, "theirs")):
        folder = tmp_path / name
        archive.extractall(folder)
        helper = folder / "unzip_requirements.py"
        helper.write_text(helper.read_text().replace("/tmp/", f"{folder}/"))
        call = "import sys; sys.path.insert(0, '.'); import app; print(app.handler(0, 0)); print(sys.path[1])"
        said = subprocess.run(
            [sys.executable, "-S", "-c", call], cwd=folder, capture_output=True, text=True, check=True
        )
        assert said.stdout.splitlines() == [f"{folder}/sls-py-req/idna/__init__.py", f"{folder}/sls-py-req"]


LAYER = {"layer": {"description": "what all need", "allowedAccounts": ["*"], "licenseInfo": "MIT"}, "noDeploy": ["six"]}


@pytest.mark.parametrize("layer", [{"layer": True}, LAYER], ids=["as it is", "with properties"])
def test_a_layer_of_packages_is_the_plugins_and_so_is_the_template(
    layer: dict, peer, serverless: Path, cloud: str, tmp_path: Path
) -> None:
    one = "functions: {one: {handler: app.handler, layers: [{Ref: PythonRequirementsLambdaLayer}]}}\n"
    case = Case({**layer, "vendor": "lib"}, TOGETHER + one, {**SHARED, **VENDOR})
    place = set_up(tmp_path / "shop", case, serverless)
    theirs = peer(place, env={"NODE_OPTIONS": f"--require {cloud}"})
    assert theirs.code == 0, theirs.said
    place.build()
    assert place.names("one") == ["app.py"]
    found, expected = (
        place.path(path) for path in ("build/pythonRequirements.zip", ".serverless/pythonRequirements.zip")
    )
    inside = [
        {name.removeprefix("python/"): digest for name, digest in entries(one).items()} for one in (found, expected)
    ]
    assert all(name.startswith("python/") for name in entries(found))
    assert unexplained(*inside, "noDeploy" if layer == LAYER else "") == []
    template = json.loads(place.path("build/packaged-template.json").read_text())
    peers = json.loads(place.path(".serverless/cloudformation-template-update-stack.json").read_text())
    assert differing(both(template), both(corrected(peers))) == []


BUNDLES = """\
service: shop
provider: {name: aws, runtime: nodejs20.x}
plugins: [serverless-esbuild]
package: {individually: true, patterns: ['texts/**', '!texts/not.txt']}
custom:
  esbuild: {bundle: true, minify: true, sourcemap: true, target: node20, keepNames: true, define: {GREETING: '"hello"'},
            external: [once], exclude: [left-out], packager: npm, concurrency: 2, keepOutputDirectory: false}
functions:
  one: {handler: src/one.handler}
  two: {handler: src/two.handler, package: {patterns: ['data/two.json']}}
"""


def test_bundles_answer_as_the_plugins_do(peer, serverless: Path, tmp_path: Path) -> None:
    place = Sandbox(tmp_path / "shop").write({
        "serverless.yml": BUNDLES,
        "package.json": '{"name": "shop", "version": "1.0.0", "dependencies": {"ms": "2.1.3", "once": "1.4.0"}, '
        '"devDependencies": {"esbuild": "0.25.12"}}',
        "src/one.ts": 'import ms from "ms";\nimport { greet } from "./greet";\n'
        "export const handler = async (): Promise<string> => greet(ms(1000));\n",
        "src/greet.ts": "declare const GREETING: string;\nexport const greet = (name: string) => `${GREETING} ${name}`;\n",
        "src/two.ts": 'import once from "once";\nimport fs from "node:fs";\nconst twice = once(() => 2);\n'
        'export const handler = async () => [twice(), fs.readFileSync("data/two.json", "utf8"), handler.name];\n'
        'export const never = () => require("left-out");\n',
        "texts/yes.txt": "yes", "texts/not.txt": "no", "data/two.json": "{}",
    })  # fmt: skip
    place.command(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"])
    theirs = peer(place)
    assert theirs.code == 0, theirs.said
    ran = place.build()
    for name, answer in (("one", "hello 1s"), ("two", [2, "{}", "handler"])):
        ours, other = (tmp_path / side / name for side in ("ours", "theirs"))
        zipfile.ZipFile(place.path(f"build/{name}.zip")).extractall(ours)
        zipfile.ZipFile(place.path(f".serverless/{name}.zip")).extractall(other)
        for folder in (ours, other):
            call = f"require('./src/{name}').handler().then((found) => console.log(JSON.stringify(found)))"
            said = subprocess.run(["node", "-e", call], cwd=folder, capture_output=True, text=True, check=True)
            assert json.loads(said.stdout) == answer, folder
        files = [{str(path.relative_to(side)) for path in side.rglob("*") if path.is_file()} for side in (ours, other)]
        assert files[0] - files[1] == set(), ran.said
        assert {path for path in files[1] - files[0] if path not in BUNDLES_NOT_OURS} == set()


BUNDLES_NOT_OURS = {
    "package.json": "the plugin's own, made to install what is external",
    "package-lock.json": "the same",
    "node_modules/.package-lock.json": "npm's note of what it installed",
}
