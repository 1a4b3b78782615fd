"""The smallest project around a rule's example, and calls of what was built."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox import Sandbox, python_of


def function(source: str = "src", runtime: str = "python3.11", handler: str = "app.handler", **more: str) -> str:
    """A function called Example, as YAML; ``more`` are properties, ``metadata`` is Metadata."""
    metadata = more.pop("metadata", "")
    properties = {"Runtime": runtime, "Handler": handler, "CodeUri": source, **more}
    lines = "".join(f"      {key}: {value}\n" for key, value in properties.items())
    return f"  Example:\n    Type: AWS::Serverless::Function\n{metadata}    Properties:\n{lines}"


def template(*resources: str) -> str:
    return "Transform: AWS::Serverless-2016-10-31\nResources:\n" + "".join(resources)


def example(project: Sandbox, rule_folder: Path, resource: str) -> Sandbox:
    """The rule's example as the folder src/ of a project."""
    shutil.copytree(rule_folder / "example", project.path("src"), dirs_exist_ok=True)
    return project.write({"template.yaml": template(resource)})


def call_python(project: Sandbox, event: object, name: str = "Example", handler: str = "app.handler") -> Any:
    """Import the handler from the unzipped artifact in a clean interpreter and call it."""
    code = unzipped(project, name)
    module, _, attribute = handler.rpartition(".")
    script = (
        f"import sys, json; sys.path = [{str(code)!r}] + [p for p in sys.path if 'site-packages' not in p]\n"
        f"from {module} import {attribute} as handler\nprint(json.dumps(handler(json.loads(sys.argv[1]), None)))"
    )
    return _answer([python_of("3.11"), "-I", "-S", "-c", script, json.dumps(event)], code)


def call_node(project: Sandbox, event: object, name: str = "Example", module: str = "index.js") -> Any:
    code = unzipped(project, name)
    script = f"require({str(code / module)!r}).handler({json.dumps(event)}).then(a => console.log(JSON.stringify(a)))"
    return _answer(["node", "-e", script], code)


def _answer(command: list[str], folder: Path) -> Any:
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def unzipped(project: Sandbox, name: str = "Example") -> Path:
    target = project.folder.with_name(f"{project.folder.name}-unzipped") / name
    shutil.rmtree(target, ignore_errors=True)
    with zipfile.ZipFile(project.path(f"build/{name}.zip")) as archive:
        archive.extractall(target)
    return target


def packages(project: Sandbox, name: str = "Example") -> Mapping[str, str]:
    """``{package: version}`` of a function, as the manifest tells."""
    return {item["name"]: item["version"] for item in project.manifest["functions"][name]["packages"]}
