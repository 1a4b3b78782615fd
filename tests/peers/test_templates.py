"""Sixty templates as people write them, built by `sam build` and here: the same functions, files and template."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sam_cli import python_with_pip, sam
from sandbox import ROOT, Sandbox
from template_cases import CASES

from lambdabuild.core.spans import to_data
from lambdabuild.frontends.sam import packaged
from lambdabuild.frontends.sam.code_resource import SHAPES
from lambdabuild.frontends.yaml_text import parse

pytestmark = pytest.mark.slow
__all__ = ["sam"]

DIFFERENCES: Mapping[str, str] = {
    "yaml-yaml-1.1": "sam build writes 012 as 10, for YAML 1.1 takes it for octal; here it stays as it is written",
}
"""What differs in the template of a case, and why."""
IN_GLOBALS = (
    "sam build leaves Globals' CodeUri as it is, which leads nowhere from the built template; here it is told anew"
)

OURS, THEIRS = "lambdabuild", "sam"
NOTES_OF_SAM = ("SamResourceId", "SamNormalized", "aws:asset:path")
"""Metadata for sam deploy; sam build tells the asset anew where it was, and here it is the artifact."""
LOCATIONS = {"CodeUri", "ContentUri", "Code", "Content", "Location", "TemplateURL", "DefinitionUri", "BodyS3Location",
             "LicenseUrl", "ReadmeUrl"}  # fmt: skip


@pytest.fixture(scope="module")
def built(sam: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], tuple[Path, dict]]:
    """``{(program, case): (project, how it ended)}``; each program is started once."""
    top = tmp_path_factory.mktemp("templates")
    pythons = top / "pythons"
    pythons.mkdir()
    (pythons / "python3.11").write_text(f'#!/bin/sh\nexec "{python_with_pip()}" "$@"\n')
    (pythons / "python3.11").chmod(0o755)
    env = {
        "PATH": f"{pythons}{os.pathsep}{os.environ['PATH']}",
        "SAM_CLI_TELEMETRY": "0",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    found = {}
    for program, python in {OURS: sys.executable, THEIRS: str(sam.with_name("python"))}.items():
        for name, files in CASES.items():
            Sandbox(top / program / name).write(files)
        folders = [str(top / program / name) for name in CASES]
        results = top / f"{program}.json"
        script = str(ROOT / "tests/many_builds.py")
        Sandbox(top).command([python, script, program, str(results), *folders], env=env)
        ended = json.loads(results.read_text())
        found |= {(program, name): (top / program / name, ended[str(top / program / name)]) for name in CASES}
    return found


def known(name: str) -> bool:
    """What an installer notes, and manifests: DIFFERENCES of test_sam_build."""
    return name.endswith(("dist-info/RECORD", "requirements.txt")) or "__pycache__" in name


def without_global_code(data: Any) -> Any:
    """IN_GLOBALS."""
    data.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    return data


def files(folder: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in found.items() if not known(name)}


def output(program: str, project: Path) -> Path:
    if program == THEIRS:
        return project / ".aws-sam/build/template.yaml"
    return next(path for path in (project / "build").glob("built-template.*"))


def read(path: Path) -> Any:
    return to_data(parse(path.name, path.read_text(encoding="utf-8"), tell_duplicate=lambda error: None)[0])


def normal(project: Path, template: Path, value: Any, key: str = "") -> Any:
    """A template's data with each local path told by what lies there, and without what sam notes for itself."""
    if isinstance(value, dict):
        found = {
            name: normal(project, template, child, name) for name, child in value.items() if name not in NOTES_OF_SAM
        }
        return {name: child for name, child in found.items() if not (name == "Metadata" and child == {})}
    if isinstance(value, list):
        return [normal(project, template, child) for child in value]
    if not isinstance(value, str) or key not in LOCATIONS:
        return value
    path = Path(os.path.normpath(template.parent / value))
    if path.is_dir():
        return sorted(files(path.resolve()))
    if path.is_file() and "template" in path.name:
        return normal(project, path, read(path))
    return os.path.relpath(path, project)


def artifacts(project: Path, template: Path) -> Iterator[tuple[str, str, Path]]:
    """``(name, handler, folder)`` of all functions and layers of a built template and its nested stacks."""
    data = read(template)
    common = data.get("Globals", {}).get("Function", {})
    for name, resource in data["Resources"].items():
        shape, properties = SHAPES.get(resource.get("Type")), resource.get("Properties", {})
        if shape is not None and isinstance(properties.get(shape.code), str):
            handler = properties.get("Handler", common.get("Handler", "")) if shape.kind == "function" else ""
            yield name, handler, (template.parent / properties[shape.code]).resolve()
        elif resource.get("Type") in packaged.STACKS:
            yield from artifacts(project, template.parent / properties[packaged.STACKS[resource["Type"]]])


@pytest.mark.parametrize("name", CASES)
def test_both_make_the_same_of_a_template(name: str, built: Mapping[tuple[str, str], tuple[Path, dict]]) -> None:
    (mine, ended), (theirs, peers_ended) = built[OURS, name], built[THEIRS, name]
    assert peers_ended["code"] == 0, peers_ended["said"]
    assert ended["code"] == 0, ended["said"]

    found = {key: (handler, files(folder)) for key, handler, folder in artifacts(mine, output(OURS, mine))}
    peers = {key: (handler, files(folder)) for key, handler, folder in artifacts(theirs, output(THEIRS, theirs))}
    assert {key: sorted(content) for key, (_, content) in found.items()} == {
        key: sorted(content) for key, (_, content) in peers.items()
    }
    assert found == peers
    if name not in DIFFERENCES:
        told, peers_told = (
            normal(project, output(program, project), without_global_code(read(output(program, project))))
            for program, project in ((OURS, mine), (THEIRS, theirs))
        )
        assert told == peers_told


IMPORT = """\
import importlib, json, os, sys
for folder, handler in json.load(sys.stdin):
    child = os.fork()
    if not child:
        sys.path.insert(0, folder)
        module, _, name = handler.rpartition(".")
        getattr(importlib.import_module(module.replace("/", ".")), name)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(folder, handler)
"""


def test_every_python_handler_of_both_can_be_imported(built: Mapping[tuple[str, str], tuple[Path, dict]]) -> None:
    wanted = [
        (str(folder), handler)
        for (program, _), (project, ended) in built.items()
        if not ended["code"]
        for _, handler, folder in artifacts(project, output(program, project))
        if handler and list(folder.glob("*.py"))
    ]
    done = subprocess.run(
        [sys.executable, "-I", "-c", IMPORT], input=json.dumps(wanted), capture_output=True, text=True, check=False
    )

    assert len(wanted) > len(CASES)
    assert done.stdout == "", done.stderr


EXPORTS = """\
import json
from samcli.lib.package import packageable_resources as p
print(json.dumps([[c.RESOURCE_TYPE, c.PROPERTY_NAME] for c in p.RESOURCES_EXPORT_LIST]
                 + [[e.metadata_type, n] for e in p.METADATA_EXPORTS for n in getattr(e, "property_names", [])]
                 if hasattr(p.METADATA_EXPORTS[0], "metadata_type") else
                 [[c.RESOURCE_TYPE, c.PROPERTY_NAME] for c in p.RESOURCES_EXPORT_LIST]))
from samcli.lib.utils import resources as r
print(json.dumps([r.METADATA_WITH_LOCAL_PATHS, r.NESTED_STACKS_RESOURCES, r.RESOURCES_WITH_LOCAL_PATHS]))
"""

NOT_FILES = {
    ("AWS::ECR::Repository", "RepositoryName"): "a repository that sam delete removes",
    ("AWS::Serverless::Function", "ImageUri"): "an image",
    ("AWS::Lambda::Function", "Code.ImageUri"): "an image",
    ("AWS::Serverless::WebFunction", "CodeUri"): "not built yet: it needs a bucket of sam deploy's own",
}
"""What sam package sends that is no file of ours, and why."""


def test_all_that_sam_package_sends_is_in_a_table_here(sam: Path) -> None:
    said = subprocess.run(
        [str(sam.with_name("python")), "-c", EXPORTS], capture_output=True, text=True, check=True
    ).stdout
    exported, (metadata, stacks, local) = map(json.loads, said.splitlines())
    wanted = {(kind, name) for kind, name in exported}
    wanted |= {(kind, name) for table in (metadata, local) for kind, names in table.items() for name in names}
    wanted |= set(stacks.items())
    ours = {(kind, shape.code) for kind, shape in SHAPES.items()} | set(packaged.STACKS.items())
    ours |= {
        (kind, name) for table in (packaged.PROPERTIES, packaged.METADATA) for kind in table for name in table[kind]
    }
    ours |= {(kind, name.rpartition(".")[2]) for kind, names in packaged.PROPERTIES.items() for name in names}

    assert wanted - ours - NOT_FILES.keys() == set()
